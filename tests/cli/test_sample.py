"""`jaxgen sample`: samples as a figure and as arrays, of one seed and of several."""

import numpy as np
from PIL import Image

from jaxgen.runs import load_run


def test_samples_as_figure_and_as_arrays(vae, tmp_path, jaxgen):
    assert jaxgen("sample", vae, "--out", tmp_path / "x.png", "--n", 9).status == 0
    with Image.open(tmp_path / "x.png") as image:
        assert min(image.size) >= 3 * 8
    result = jaxgen("sample", vae, "--out", tmp_path / "x.npz", "--n", 9, "--seed", 3)
    assert result == (0, f"{tmp_path / 'x.npz'}\n", "")
    with np.load(tmp_path / "x.npz") as arrays:
        assert arrays["samples"].shape == (9, 8, 8, 1)


def test_samples_of_several_seeds_have_leading_seed_axis(cvae, tmp_path, jaxgen):
    assert jaxgen("sample", cvae, "--out", tmp_path / "x.npz", "--n", 20, "--label", 3).status == 0
    with np.load(tmp_path / "x.npz") as arrays:
        samples = arrays["samples"]
    assert samples.shape == (2, 20, 8, 8, 1)
    assert not np.allclose(samples[0], samples[1])
    assert load_run(cvae).config.seeds == 2


def test_invalid_labels_are_refused(vae, cvae, tmp_path, refused, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for label in (10, -1):
        sentence = refused("sample", cvae, "--label", label)
        assert sentence == f"label must be from 0 to 9, as there are 10 classes, got {label}"
    assert refused("sample", vae, "--label", 3) == "the model 'vae' cannot be conditioned on label"
    assert list(tmp_path.iterdir()) == []
