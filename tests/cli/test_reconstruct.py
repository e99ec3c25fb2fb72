"""`jaxgen reconstruct`: test digits and their reconstructions, also with the labels of other classes."""

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from jaxgen.data import load
from jaxgen.runs import load_run

TEST = {name: array[:4] for name, array in load("digits", split="test").items()}


def test_arrays_are_digits_and_their_reconstructions(vae, tmp_path, jaxgen):
    assert jaxgen("reconstruct", vae, "--out", tmp_path / "x.npz", "--n", 4).status == 0
    with np.load(tmp_path / "x.npz") as arrays:
        originals = np.round(arrays["originals"].reshape(4, 64) * 16)
        np.testing.assert_allclose(arrays["reconstructions"], load_run(vae).reconstruct(TEST), rtol=1e-5, atol=1e-6)
    digits = load_digits().data
    assert all((digits == original).all(axis=1).any() for original in originals)


def test_label_option_decodes_with_one_class_or_with_every_class(cvae, tmp_path, jaxgen):
    assert jaxgen("reconstruct", cvae, "--label", "all", "--out", tmp_path / "x.npz", "--n", 4).status == 0
    assert jaxgen("reconstruct", cvae, "--label", 7, "--out", tmp_path / "seven.npz", "--n", 4).status == 0
    with np.load(tmp_path / "x.npz") as arrays, np.load(tmp_path / "seven.npz") as seven:
        assert arrays["originals"].shape == (4, 8, 8, 1)
        assert arrays["reconstructions"].shape == (2, 4, 10, 8, 8, 1)
        expected = load_run(cvae).restyle(TEST)
        np.testing.assert_allclose(arrays["reconstructions"], expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(seven["reconstructions"], expected[:, :, 7], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("label", "columns", "rows"), [("all", 11, 5), (3, 5, 2)])
def test_figure_has_a_cell_for_each_image(label, columns, rows, cvae, tmp_path, jaxgen):
    assert jaxgen("reconstruct", cvae, "--label", label, "--out", tmp_path / "x.png", "--n", 5).status == 0
    with Image.open(tmp_path / "x.png") as image:
        width, height = image.size
    assert width / height == pytest.approx((columns * 10 + 2) / (rows * 10 + 2))


def test_invalid_labels_are_refused(vae, cvae, tmp_path, refused, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = "label must be from 0 to 9, as there are 10 classes, got 10"
    assert message in refused("reconstruct", cvae, "--label", 10)
    assert "--label" in refused("reconstruct", cvae, "--label", "every")
    for label in (3, "all"):
        assert "'vae' cannot be conditioned on label" in refused("reconstruct", vae, "--label", label)
    assert list(tmp_path.iterdir()) == []
