"""`jaxgen project`: what it finds for a generator of which row i of an image is the style of layer i."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxgen import plot
from jaxgen.data import first_examples, load
from jaxgen.game import Model, Styles
from jaxgen.runs import load_run

SIZE = 8


@pytest.fixture
def run(vae, monkeypatch):
    """A run of this generator on the digits, without noise images."""
    styles = Styles(
        layers=SIZE,
        map=lambda state, z: 0.3 + 0.1 * z,
        synthesize=lambda state, w, noise: w[..., None],
        noise=lambda state: {},
        average=lambda state: jnp.zeros(SIZE),
        modulations=lambda state: [],
    )
    model = Model(None, None, (), sample_latent=lambda key, n: jax.random.normal(key, (n, SIZE)), styles=styles)
    loaded = load_run(vae)._replace(family="stylegan2", model=model)
    monkeypatch.setattr("jaxgen.cli.output.load_run", lambda folder, **_: loaded)
    return vae


def content(path):
    with np.load(path) as arrays:
        return dict(arrays)


def test_one_style_is_the_mean_of_rows_and_styles_of_layers_are_the_image(run, tmp_path, jaxgen):
    """The solutions of least squares in W and in W+, for the first examples of the test split."""
    examples = first_examples(load("digits", split="test"), 3)["image"] / 255
    for options, expected in (((), examples.mean(axis=1, keepdims=True)), (("--every-layer",), examples)):
        out = tmp_path / "x.npz"
        result = jaxgen("project", run, "--n", 3, "--steps", 300, *options, "--out", out)
        assert (result.status, result.out) == (0, f"{out}\n")
        assert "mean squared difference of pixels, 300 steps" in result.err
        found = content(out)
        np.testing.assert_allclose(found["images"], examples, atol=1e-6)
        np.testing.assert_allclose(found["projections"], np.broadcast_to(expected, examples.shape), atol=2e-3)
        np.testing.assert_array_equal(found["w"][..., None], found["projections"])
        distances = np.square(expected - examples).mean(axis=(1, 2, 3))
        np.testing.assert_allclose(found["distances"], distances, atol=1e-4)


def test_image_files_are_made_grey_and_cut_and_shown_above_their_projections(run, tmp_path, jaxgen, monkeypatch):
    random, rows = np.random.default_rng(0), []
    grey, colours = random.integers(0, 256, (8, 8), np.uint8), random.integers(0, 256, (8, 12, 3), np.uint8)
    for name, pixels in (("grey", grey), ("colours", colours)):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    monkeypatch.setattr(plot, "image_rows", lambda given, **_: rows.append(given) or np.zeros((2, 2), np.uint8))
    files = tmp_path / "grey.png", tmp_path / "colours.png"
    result = jaxgen("project", run, "--image", *files, "--every-layer", "--steps", 300, "--out", tmp_path / "x.png")
    assert (result.status, result.out) == (0, f"{tmp_path / 'x.png'}\n")
    images, projections = rows[0].values()
    np.testing.assert_allclose(images[0, ..., 0], grey / 255, atol=1e-6)
    luminance = colours[:, 2:10] @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(images[1, ..., 0], luminance / 255, atol=1e-5)
    np.testing.assert_allclose(projections, images, atol=1e-2)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--steps", 0), "--steps must be at least 1, got 0"),
        (("--image", "a.png", "--n", 3), "--n must be left out with --image: all of the files are projected"),
        (("--image", "absent.png"), "there is no image file 'absent.png'"),
        (("--extractor", "digits_v2"), "there is no distance of images 'digits_v2': did you mean 'digits_v1'?"),
    ],
)
def test_impossible_options_are_refused(run, tmp_path, refused, arguments, sentence):
    assert refused("project", run, *arguments, "--out", tmp_path / "x.png") == sentence
    assert list(tmp_path.iterdir()) == []


def test_models_without_styles_are_refused(vae, tmp_path, refused):
    sentence = "the model 'vae' has no generator with styles, which stylegan and stylegan2 have"
    assert refused("project", vae, "--out", tmp_path / "x.png") == sentence
