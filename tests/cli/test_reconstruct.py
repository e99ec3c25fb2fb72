"""`jaxgen reconstruct`: test digits and their reconstructions, also with the labels of other classes."""

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from jaxgen import plot
from jaxgen.data import load
from jaxgen.runs import load_run
from jaxgen.runs.loading import single

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


@pytest.mark.parametrize(("index", "shown"), [([], 0), (["--run-index", 1], 1)])
@pytest.mark.parametrize("label", ["all", 3])
def test_figure_shows_one_seed_and_says_which(label, index, shown, cvae, tmp_path, jaxgen):
    result = jaxgen("reconstruct", cvae, "--label", label, "--out", tmp_path / "x.png", "--n", 4, *index)
    assert result.status == 0
    assert result.err == ("" if index else "jaxgen: seed 0 of 2 is shown: --run-index chooses another\n")
    run = load_run(cvae)
    decoded = run.restyle(TEST) if label == "all" else run.reconstruct(TEST, label=label)
    draw = plot.styles if label == "all" else plot.reconstructions
    with Image.open(tmp_path / "x.png") as image:
        found = np.asarray(image, int)
    # A seed alone and beside others is the same within rounding, which may change a byte by one.
    np.testing.assert_allclose(found, draw(TEST["image"], decoded[shown], title=f"seed {shown}"), atol=1)


def test_arrays_of_one_seed_can_be_chosen(cvae, tmp_path, jaxgen):
    assert jaxgen("reconstruct", cvae, "--out", tmp_path / "x.npz", "--n", 4, "--run-index", 1).status == 0
    with np.load(tmp_path / "x.npz") as arrays:
        expected = load_run(cvae).reconstruct(TEST)[1]
        np.testing.assert_allclose(arrays["reconstructions"], expected, rtol=1e-5, atol=1e-6)


def test_more_than_there_are_is_said(vae, tmp_path, jaxgen):
    count = len(load("digits", split="test")["image"])
    for n, notice in (
        (count, ""),
        (count + 1, f"jaxgen: the test split has {count} examples, fewer than --n {count + 1}"),
    ):
        result = jaxgen("reconstruct", vae, "--out", tmp_path / "x.npz", "--n", n)
        assert result.status == 0
        assert result.err.startswith(notice)
        assert bool(result.err) == bool(notice)
        with np.load(tmp_path / "x.npz") as arrays:
            assert len(arrays["originals"]) == len(arrays["reconstructions"]) == count


def test_invalid_labels_are_refused(vae, cvae, tmp_path, refused, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = "label must be from 0 to 9, as there are 10 classes, got 10"
    assert message in refused("reconstruct", cvae, "--label", 10)
    assert "--label" in refused("reconstruct", cvae, "--label", "every")
    for label in (3, "all"):
        assert "'vae' cannot be conditioned on label" in refused("reconstruct", vae, "--label", label)
    assert list(tmp_path.iterdir()) == []


def test_a_class_is_named_and_the_columns_of_styles_have_the_names(named, tmp_path, jaxgen, monkeypatch):
    arguments = ("--n", 4, "--run-index", 1)
    assert jaxgen("reconstruct", named, "--label", "two", "--out", tmp_path / "x.npz", *arguments).status == 0
    run = single(load_run(named), 1)
    batch = {name: array[:4] for name, array in TEST.items()}
    with np.load(tmp_path / "x.npz") as content:
        np.testing.assert_array_equal(content["reconstructions"], run.reconstruct(batch, label=2))
    drawn = []
    monkeypatch.setattr("jaxgen.cli.reconstruct.write_figure", lambda path, figure: drawn.append(figure))
    assert jaxgen("reconstruct", named, "--label", "all", "--out", tmp_path / "x.png", *arguments).status == 0
    styles = np.asarray(run.restyle(batch))
    expected = plot.styles(batch["image"] / 255, styles, class_names=run.class_names, title="seed 1")
    np.testing.assert_array_equal(drawn[0], expected)
