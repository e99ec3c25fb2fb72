"""`jaxgen stylize`: an image of the size of the content, by a run of style transfer."""

import numpy as np
import pytest
from PIL import Image

from jaxgen.models import REGISTRY
from jaxgen.runs import load_run
from jaxgen.runs.stylization import stylize

pytestmark = pytest.mark.usefixtures("convolutions_by_xla")

SMALL = {"encoder_weights": "random", "width": 2, "stages": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, untrained):
    """A run of grey images."""
    family = REGISTRY["style_transfer"]
    return untrained(tmp_path_factory.mktemp("style"), family, family.config(**SMALL))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Image files: two grey ones, and one in colours."""
    folder, random = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for name, shape in (("content", (12, 9)), ("style", (8, 20)), ("colours", (10, 10, 3))):
        Image.fromarray(random.integers(0, 256, shape, np.uint8)).save(folder / f"{name}.png")
    return folder


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def test_result_has_the_size_of_the_content_and_is_that_of_python(jaxgen, folder, files, tmp_path):
    out = tmp_path / "styled.png"
    arguments = ["--content", files / "content.png", "--style", files / "style.png", "--alpha", "0.5", "--out", out]
    result = jaxgen("stylize", folder, *arguments)
    assert (result.status, result.out, result.err) == (0, f"{out}\n", "")
    content, style = (pixels(files / f"{name}.png")[..., None] for name in ("content", "style"))
    expected = stylize(load_run(folder), content, [style], alpha=0.5)
    assert expected.shape == (12, 9, 1)
    assert np.ptp(expected) > 0
    np.testing.assert_array_equal(pixels(out), np.round(255 * expected[..., 0]).astype(np.uint8))


def test_mixture_of_styles_and_colours_of_the_content(jaxgen, folder, files, tmp_path):
    out = tmp_path / "styled.png"
    styles = [files / "style.png", files / "colours.png"]
    options = ["--weights", "1", "3", "--preserve-colours", "--image-size", "6", "--out", out]
    result = jaxgen("stylize", folder, "--content", files / "colours.png", "--style", *styles, *options)
    assert result.status == 0
    assert "was trained on grey images" in result.err
    assert pixels(out).shape == (6, 6)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "jaxgen stylize needs --content FILE and --style FILE, got no --content"),
        (["--content", "content.png"], "jaxgen stylize needs --content FILE and --style FILE, got no --style"),
        (["--content", "content.png", "--style", "absent.png"], "there is no image file 'absent.png'"),
        (["--content", "content.png", "--style", "text.png"], "text.png cannot be read as an image"),
        (["--alpha", "1.5"], "--alpha must be from 0 (the content is reconstructed) to 1 (the style), got 1.5"),
        (["--out", "styled.gif"], "cannot write 'styled.gif': give a name that ends in .png, .pdf or .svg"),
        (
            ["--content", "content.png", "--style", "style.png", "--weights", "1", "2"],
            "weights must be one for each of 1 styles",
        ),
        (
            ["--content", "small.png", "--style", "style.png"],
            "images must have at least 3x3 pixels for the encoder, got 2x2: surround them by black, or resize them",
        ),
        (
            ["--content", "content.png", "--style", "style.png", "--image-size", "10"],
            "image_size must be at most 9 for content.png of 9x12 pixels, got 10",
        ),
    ],
    ids=str,
)
def test_wrong_arguments_end_with_one_sentence(refused, folder, files, tmp_path, monkeypatch, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    for name in ("content", "style"):
        (tmp_path / f"{name}.png").write_bytes((files / f"{name}.png").read_bytes())
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(tmp_path / "small.png")
    (tmp_path / "text.png").write_text("no image")
    assert refused("stylize", folder, *arguments).startswith(sentence)


def test_run_of_another_model_is_refused(refused, vae, files):
    arguments = ["--content", files / "content.png", "--style", files / "style.png"]
    sentence = refused("stylize", vae, *arguments, "--out", files / "out.png")
    assert sentence == "the model 'vae' does not transfer styles: give a run of style_transfer"


def test_training_without_weights_ends_with_one_sentence_and_leaves_no_folder(refused, tmp_path, monkeypatch):
    monkeypatch.setenv("JAXGEN_WEIGHTS", str(tmp_path / "weights"))
    out = tmp_path / "run"
    sentence = refused("train", "style_transfer", "--data", "mnist_small", "--steps", "1", "--out", out)
    assert sentence.startswith(f"the weights of vgg_normalised must be installed in {tmp_path / 'weights'}, got none: ")
    assert sentence.endswith("run: jaxgen metrics weights vgg_normalised --from vgg_normalised.pth")
    assert not out.exists()


def test_wrong_file_of_weights_is_refused(refused, tmp_path, monkeypatch):
    monkeypatch.setenv("JAXGEN_WEIGHTS", str(tmp_path / "weights"))
    (tmp_path / "vgg19.pth").write_bytes(b"other")
    sentence = refused("metrics", "weights", "vgg19", "--from", tmp_path / "vgg19.pth")
    assert "must be vgg19-dcbb9e9d.pth, with the SHA-256 dcbb9e9d..., got " in sentence
