"""`jaxgen encode`: the codes of test examples, as arrays and as a picture of the plane."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from jaxgen.data import load
from jaxgen.runs import load_run

TEST = load("digits", split="test")


def test_the_whole_test_split_is_encoded(vae, tmp_path, jaxgen):
    assert jaxgen("encode", vae, "--out", tmp_path / "x.npz") == (0, f"{tmp_path / 'x.npz'}\n", "")
    with np.load(tmp_path / "x.npz") as arrays:
        assert set(arrays) == {"codes", "label"}
        np.testing.assert_array_equal(arrays["label"], TEST["label"])
        run = load_run(vae)
        np.testing.assert_allclose(arrays["codes"], run.model.encode(run.state, TEST), rtol=1e-5, atol=1e-6)


def test_of_several_seeds_the_leading_axis_are_the_seeds(cvae, tmp_path, jaxgen):
    assert jaxgen("encode", cvae, "--out", tmp_path / "x.npz", "--n", 7).status == 0
    with np.load(tmp_path / "x.npz") as arrays:
        assert arrays["codes"].shape == (2, 7, 2)
        assert arrays["label"].shape == (7,)


@pytest.mark.parametrize("name", ["vae", "cvae"])
def test_the_plane_is_drawn_with_the_colours_of_the_labels(name, request, tmp_path, jaxgen, monkeypatch):
    drawn = []
    monkeypatch.setattr("jaxgen.plot.scatter_by_label", lambda points, label: drawn.append((points, label)))
    monkeypatch.setattr("jaxgen.cli.encode.write_figure", lambda path, figure: None)
    run = load_run(request.getfixturevalue(name))
    assert jaxgen("encode", run.folder, "--out", tmp_path / "x.png").status == 0
    ((points, label),) = drawn
    codes = run.encode(TEST)
    np.testing.assert_allclose(points, codes if name == "vae" else codes[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(label, TEST["label"])


def test_the_picture_is_a_picture(vae, tmp_path, jaxgen):
    assert jaxgen("encode", vae, "--out", tmp_path / "x.png").status == 0
    with Image.open(tmp_path / "x.png") as image:
        colours = {colour for count, colour in image.convert("RGB").getcolors(2**24) if count > 20}
    assert len(colours) > 10


def test_codes_that_are_not_of_the_plane_are_for_arrays(vae, tmp_path, refused, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    config = json.loads((vae / "config.json").read_text())
    config["settings"]["config"]["latent_dim"] = 3
    monkeypatch.setattr("jaxgen.runs.loading.restore", lambda folder, like: Restored(like))
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    sentence = refused("encode", "run")
    assert sentence == "a picture shows codes of 2 dimensions, and these have 3: give --out codes.npz"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@dataclasses.dataclass
class Restored:
    """A checkpoint that nobody looks into."""

    state: object
    step: int = 0
    meta: dict = dataclasses.field(default_factory=dict)
    skipped: tuple = ()
