"""`jaxgen encode`: latents of test examples, as arrays and as a figure of two-dimensional latents."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from jaxgen.data import load
from jaxgen.runs import load_run, read_config, write_config

TEST = load("digits", split="test")


def test_all_test_examples_are_encoded(vae, tmp_path, jaxgen):
    assert jaxgen("encode", vae, "--out", tmp_path / "x.npz") == (0, f"{tmp_path / 'x.npz'}\n", "")
    with np.load(tmp_path / "x.npz") as arrays:
        assert set(arrays) == {"latents", "label"}
        np.testing.assert_array_equal(arrays["label"], TEST["label"])
        np.testing.assert_allclose(arrays["latents"], load_run(vae).encode(TEST), rtol=1e-5, atol=1e-6)


def test_latents_of_several_seeds_have_leading_seed_axis(cvae, tmp_path, jaxgen):
    assert jaxgen("encode", cvae, "--out", tmp_path / "x.npz", "--n", 7).status == 0
    with np.load(tmp_path / "x.npz") as arrays:
        assert arrays["latents"].shape == (2, 7, 2)
        assert arrays["label"].shape == (7,)


@pytest.mark.parametrize(
    ("name", "index", "title"), [("vae", None, ""), ("cvae", None, "seed 0"), ("cvae", 1, "seed 1")]
)
def test_figure_receives_latents_of_one_seed_labels_and_the_seed(
    name, index, title, request, tmp_path, jaxgen, monkeypatch
):
    drawn = []
    monkeypatch.setattr("jaxgen.plot.scatter_by_label", lambda points, **options: drawn.append((points, options)))
    monkeypatch.setattr("jaxgen.cli.encode.write_figure", lambda path, figure: None)
    run = load_run(request.getfixturevalue(name))
    given = [] if index is None else ["--run-index", index]
    result = jaxgen("encode", run.folder, "--out", tmp_path / "x.png", *given)
    assert result.status == 0
    assert ("seed 0 of 2 is shown" in result.err) == (title == "seed 0")
    ((points, options),) = drawn
    latents = run.encode(TEST)
    np.testing.assert_allclose(points, latents if name == "vae" else latents[index or 0], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(options["label"], TEST["label"])
    assert options["title"] == title


def test_fewer_than_given_and_more_than_encoded_is_said(vae, tmp_path, jaxgen, monkeypatch):
    out = tmp_path / "x.npz"
    assert "has 360 examples, fewer than --n 400" in jaxgen("encode", vae, "--out", out, "--n", 400).err
    monkeypatch.setattr("jaxgen.cli.encode.EXAMPLES", 100)
    assert "the first 100 of 360 test examples are used" in jaxgen("encode", vae, "--out", out).err


def test_figure_file_has_a_colour_for_each_class(vae, tmp_path, jaxgen):
    assert jaxgen("encode", vae, "--out", tmp_path / "x.png").status == 0
    with Image.open(tmp_path / "x.png") as image:
        colours = {colour for count, colour in image.convert("RGB").getcolors(2**24) if count > 20}
    assert len(colours) > 10


def test_figure_of_three_dimensional_latents_is_refused(vae, tmp_path, refused, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    before = read_config(vae)
    options = dataclasses.replace(before.config.model_config, latent_dim=3)
    write_config(Path("run"), before._replace(config=dataclasses.replace(before.config, model_config=options)))
    monkeypatch.setattr("jaxgen.runs.loading.restore", lambda folder, like: Restored(zeros_like(like)))
    sentence = refused("encode", "run")
    assert sentence == "a figure shows latents of 2 dimensions, and these have 3: give --out latents.npz"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def zeros_like(shapes):
    """A state of zeros."""
    return jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)


@dataclasses.dataclass
class Restored:
    """A checkpoint of parameters that are all 0."""

    state: object
    step: int = 0
    meta: dict = dataclasses.field(default_factory=dict)
    skipped: tuple = ()
