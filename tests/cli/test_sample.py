"""`jaxgen sample`: samples as a figure, as arrays, as files and as an animation, of one seed and of several."""

import dataclasses
import sys

import jax
import numpy as np
import pytest
from PIL import Image

from jaxgen import plot
from jaxgen.game import Model, Styles
from jaxgen.models import REGISTRY
from jaxgen.runs import load_run
from jaxgen.runs.loading import single
from jaxgen.training.chunk import Divergence

KEY = jax.random.key(0)


@pytest.fixture(scope="session")
def ring(tmp_path_factory, untrained):
    """A GAN on points, of three seeds that begin with 5."""
    config = REGISTRY["gan"].config(hidden=(4,))
    return untrained(tmp_path_factory.mktemp("ring"), REGISTRY["gan"], config, data="ring", seeds=3, seed=5)


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def arrays(path):
    with np.load(path) as content:
        return content["samples"]


class TestFigure:
    def test_images_are_in_a_near_square_grid_of_crisp_pixels(self, vae, tmp_path, jaxgen):
        result = jaxgen("sample", vae, "--out", tmp_path / "x.png", "--n", 30)
        assert result == (0, f"{tmp_path / 'x.png'}\n", "")
        samples = load_run(vae).sample(KEY, 30)
        np.testing.assert_array_equal(pixels(tmp_path / "x.png"), plot.image_grid(samples, columns=6))

    def test_each_seed_has_a_panel_with_its_seed(self, cvae, tmp_path, jaxgen):
        assert jaxgen("sample", cvae, "--out", tmp_path / "x.png").status == 0
        samples = load_run(cvae).sample(KEY, 20)
        expected = plot.samples(samples, titles=["seed 0", "seed 1"], columns=10)
        np.testing.assert_array_equal(pixels(tmp_path / "x.png"), expected)

    def test_points_of_seeds_are_not_pooled(self, ring, tmp_path, jaxgen, monkeypatch):
        drawn = []
        monkeypatch.setattr("jaxgen.cli.sample.write_figure", lambda path, figure: drawn.append(figure))
        assert jaxgen("sample", ring, "--out", tmp_path / "x.png", "--n", 40).status == 0
        assert [axes.get_title() for axes in drawn[0].axes] == ["seed 5", "seed 6", "seed 7"]
        for axes, of_seed in zip(drawn[0].axes, load_run(ring).sample(KEY, 40), strict=True):
            np.testing.assert_allclose(axes.collections[0].get_offsets(), of_seed, rtol=1e-6)

    def test_too_many_points_are_refused_before_any_is_sampled(self, ring, tmp_path, refused):
        sentence = refused("sample", ring, "--out", tmp_path / "x.png", "--n", 2_000_000_000)
        assert sentence.startswith("a figure has at most 1,048,576 points, got 6,000,000,000: draw fewer of them, or ")

    def test_one_seed_can_be_chosen(self, ring, tmp_path, jaxgen, monkeypatch, refused):
        drawn = []
        monkeypatch.setattr("jaxgen.cli.sample.write_figure", lambda path, figure: drawn.append(figure))
        assert jaxgen("sample", ring, "--out", tmp_path / "x.png", "--n", 40, "--run-index", 2).status == 0
        (axes,) = drawn[0].axes
        assert axes.get_title() == "seed 7"
        expected = load_run(ring).sample(KEY, 40)[2]
        np.testing.assert_allclose(axes.collections[0].get_offsets(), expected, rtol=1e-5, atol=1e-6)
        for index in (3, -1):
            sentence = refused("sample", ring, "--out", tmp_path / "x.png", "--run-index", index)
            assert sentence == f"--run-index must be from 0 to 2, got {index}: the run has 3 seeds"

    def test_a_seed_that_diverged_has_no_panel_and_cannot_be_chosen(self, cvae, tmp_path, jaxgen, monkeypatch):
        diverged = load_run(cvae)._replace(diverged={0: Divergence(7, "vae", "loss")})
        monkeypatch.setattr("jaxgen.cli.output.load_run", lambda folder, **_: diverged)
        assert jaxgen("sample", cvae, "--out", tmp_path / "x.png").status == 0
        samples = diverged.sample(KEY, 80)[1:]
        expected = plot.samples(samples, titles=["seed 1"], columns=10)
        np.testing.assert_array_equal(pixels(tmp_path / "x.png"), expected)
        result = jaxgen("sample", cvae, "--out", tmp_path / "y.png", "--run-index", 0)
        assert result.status == 2
        assert result.err.endswith("--run-index must be a seed that has not diverged, one of 1, got 0\n")

    def test_too_many_images_are_refused_with_the_largest_number(self, vae, tmp_path, refused):
        sentence = refused("sample", vae, "--out", tmp_path / "x.png", "--n", 2 * 10**9)
        assert "a figure has at most 67,108,864 pixels" in sentence
        assert ".npz" in sentence
        assert not list(tmp_path.iterdir())


class TestArrays:
    def test_arrays_are_the_samples_of_the_run(self, vae, tmp_path, jaxgen):
        result = jaxgen("sample", vae, "--out", tmp_path / "x.npz", "--n", 1203, "--seed", 3)
        assert result == (0, f"{tmp_path / 'x.npz'}\n", "")
        np.testing.assert_array_equal(arrays(tmp_path / "x.npz"), load_run(vae).sample(jax.random.key(3), 1203))

    def test_samples_of_several_seeds_have_a_leading_axis_of_seeds(self, cvae, tmp_path, jaxgen):
        assert jaxgen("sample", cvae, "--out", tmp_path / "x.npz", "--n", 1203, "--label", 3).status == 0
        samples = arrays(tmp_path / "x.npz")
        np.testing.assert_array_equal(samples, load_run(cvae).sample(KEY, 1203, label=3))
        assert samples.shape == (2, 1203, 8, 8, 1)
        assert jaxgen("sample", cvae, "--out", tmp_path / "y.npz", "--n", 20, "--run-index", 1).status == 0
        of_seed = load_run(cvae).sample(KEY, 20)[1]
        np.testing.assert_allclose(arrays(tmp_path / "y.npz"), of_seed, rtol=1e-5, atol=1e-6)
        assert {path.name for path in tmp_path.iterdir()} == {"x.npz", "y.npz"}

    def test_equal_samples_give_equal_bytes(self, vae, tmp_path, jaxgen):
        for name in "xy":
            assert jaxgen("sample", vae, "--out", tmp_path / f"{name}.npz").status == 0
        assert (tmp_path / "x.npz").read_bytes() == (tmp_path / "y.npz").read_bytes()

    def test_more_than_the_disk_holds_is_refused_before_it_is_written(self, vae, tmp_path, refused, monkeypatch):
        monkeypatch.setattr("shutil.disk_usage", lambda path: dataclasses.make_dataclass("Usage", ["free"])(255_999))
        sentence = refused("sample", vae, "--out", tmp_path / "x.npz", "--n", 1000)
        assert sentence.startswith("1000 samples are 256,000 bytes, and the disk of ")
        assert not list(tmp_path.iterdir())


class TestFolder:
    def test_each_image_is_a_file_with_its_own_pixels(self, vae, tmp_path, jaxgen):
        assert jaxgen("sample", vae, "--out", tmp_path / "x", "--n", 1203).status == 0
        samples = plot.to_bytes(load_run(vae).sample(KEY, 1203))
        assert sorted(path.name for path in (tmp_path / "x").iterdir()) == [f"{i:06}.png" for i in range(1203)]
        for i in (0, 7, 999, 1000, 1202):
            np.testing.assert_array_equal(pixels(tmp_path / "x" / f"{i:06}.png"), samples[i, :, :, 0])

    def test_names_have_the_class_and_each_seed_has_a_folder(self, cvae, tmp_path, jaxgen):
        (tmp_path / "x.y").mkdir()  # A name that ends in / is a folder, with a suffix or not.
        assert jaxgen("sample", cvae, "--out", f"{tmp_path}/x.y/", "--n", 12).status == 0
        samples = plot.to_bytes(load_run(cvae).sample(KEY, 12))
        for seed in range(2):
            files = sorted((tmp_path / "x.y" / f"seed-{seed}").iterdir())
            assert [path.name for path in files] == [f"{i:06}-class-{i % 10}.png" for i in range(12)]
            for path, image in zip(files, samples[seed], strict=True):
                np.testing.assert_array_equal(pixels(path), image[..., 0])
        assert jaxgen("sample", cvae, "--out", tmp_path / "z", "--n", 2, "--label", 7, "--run-index", 0).status == 0
        assert {path.name for path in (tmp_path / "z" / "seed-0").iterdir()} == {
            "000000-class-7.png",
            "000001-class-7.png",
        }

    def test_a_folder_with_files_is_refused(self, vae, tmp_path, refused):
        (tmp_path / "x").mkdir()
        (tmp_path / "x" / "mine").write_text("content")
        assert "must be a new or an empty folder" in refused("sample", vae, "--out", tmp_path / "x")
        assert [path.name for path in (tmp_path / "x").iterdir()] == ["mine"]
        assert "there is no folder" in refused("sample", vae, "--out", tmp_path / "no" / "x")

    def test_a_full_disk_leaves_no_folder(self, vae, tmp_path, refused, full_disk):
        with full_disk(free=10):
            sentence = refused("sample", vae, "--out", tmp_path / "x")
        assert sentence == f"{tmp_path / 'x' / '000000.png'} could not be written: File too large"
        assert not list(tmp_path.iterdir())

    def test_points_are_refused(self, ring, tmp_path, refused):
        assert "the run generates points: give --out x.npz" in refused("sample", ring, "--out", "x")


class TestInterpolation:
    def test_frames_are_decoded_latents_that_return_to_the_first(self, cvae, tmp_path, jaxgen):
        out = tmp_path / "x.gif"
        assert (
            jaxgen("sample", cvae, "--interpolate", "--out", out, "--n", 3, "--label", 4, "--run-index", 1).status == 0
        )
        run = load_run(cvae)
        stops = np.asarray(run.model.sample_latent(KEY, 15)).reshape(5, 3, 2)
        with Image.open(out) as animation:
            assert animation.n_frames == 60
            for i in range(5):
                animation.seek(12 * i)
                images = run.decode(stops[i], label=4)[1:]
                shown = np.asarray(animation.convert("L"), float)
                np.testing.assert_allclose(shown, plot.samples(images, titles=["seed 1"]), atol=2)

    def test_a_conditional_model_has_one_path_for_each_class(self, cvae, tmp_path, jaxgen, monkeypatch):
        frames = []
        monkeypatch.setattr("jaxgen.plot.animate", lambda drawn, path, **_: frames.extend(drawn))
        assert jaxgen("sample", cvae, "--interpolate", "--out", tmp_path / "x.gif").status == 0
        run = load_run(cvae)
        images = run.decode(run.model.sample_latent(KEY, 50)[:10], label=np.arange(10))
        np.testing.assert_array_equal(frames[0], plot.samples(images, titles=["seed 0", "seed 1"]))
        steps = [np.abs(a.astype(int) - b).mean() for a, b in zip(frames, [*frames[1:], frames[0]], strict=True)]
        assert max(steps) < 10 * np.mean(steps)  # No jump, not even from the last frame to the first.

    def test_what_cannot_be_interpolated_is_refused(self, vae, ring, classifier, tmp_path, refused, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert "add --interpolate" in refused("sample", vae, "--out", "x.gif")
        assert ".gif or .mp4" in refused("sample", vae, "--interpolate", "--out", "x.png")
        assert ".gif or .mp4" in refused("sample", vae, "--interpolate", "--out", "folder")
        assert "does not generate images" in refused("sample", ring, "--interpolate", "--out", "x.gif")
        assert "has no latents" in refused("sample", classifier, "--interpolate", "--out", "x.gif")
        assert "cannot be conditioned" in refused("sample", vae, "--interpolate", "--out", "x.gif", "--label", 3)
        assert "draw at most" in refused("sample", vae, "--interpolate", "--out", "x.gif", "--n", 10**6)
        monkeypatch.setenv("PATH", "")
        monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
        assert "jaxgen[video]" in refused("sample", vae, "--interpolate", "--out", "x.mp4")
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("text", "label"), [("nought", 0), ("number 7", 7), ("2", 1), ("5", 5), ("all", 9)])
def test_a_class_is_named_or_numbered(named, tmp_path, jaxgen, text, label):
    """Its name counts where it is the number of another class."""
    assert jaxgen("sample", named, "--out", tmp_path / "x.npz", "--n", 3, "--label", text).status == 0
    np.testing.assert_array_equal(arrays(tmp_path / "x.npz"), load_run(named).sample(KEY, 3, label=label))


def test_unknown_names_of_classes_are_refused(vae, cvae, named, tmp_path, refused, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command in ("sample", "reconstruct"):
        assert refused(command, named, "--label", "noight") == "there is no class 'noight': did you mean 'nought'?"
        message = "--label must be a number from 0 to 9, as the classes have no names, got 'nought'"
        assert refused(command, cvae, "--label", "nought") == message
        assert refused(command, vae, "--label", "x") == "the model 'vae' cannot be conditioned on label"
    assert list(tmp_path.iterdir()) == []


def test_latents_are_truncated(ring, tmp_path, jaxgen):
    """In a file and in a figure; the samples are those of the same key."""
    chosen = ("--run-index", 1, "--n", 6, "--truncation", 0.2)
    assert jaxgen("sample", ring, *chosen, "--out", tmp_path / "x.npz").status == 0
    run = single(load_run(ring), 1)
    np.testing.assert_array_equal(arrays(tmp_path / "x.npz"), run.sample(KEY, 6, truncation=0.2))
    assert np.abs(arrays(tmp_path / "x.npz") - np.asarray(run.sample(KEY, 6))).max() > 1e-3
    assert jaxgen("sample", ring, *chosen, "--out", tmp_path / "x.png").status == 0


@pytest.mark.parametrize("bound", ["0", "-1", "nan", "inf"])
def test_a_truncation_that_no_latent_can_have_is_refused(ring, tmp_path, refused, monkeypatch, bound):
    monkeypatch.chdir(tmp_path)
    message = f"truncation must be finite and above 0, got {float(bound)}"
    assert refused("sample", ring, "--truncation", bound) == message
    assert list(tmp_path.iterdir()) == []


def test_truncation_is_refused_for_models_without_it(vae, refused, tmp_path):
    message = "truncation must be left out: this model has none, which GANs with normal latents have"
    for options in ((), ("--interpolate", "--out", tmp_path / "x.gif")):
        assert refused("sample", vae, "--truncation", 0.5, *options) == message
    assert list(tmp_path.iterdir()) == []


def test_each_layer_has_a_style_of_its_own(vae, tmp_path, jaxgen, monkeypatch):
    """Of a model in whose images row i is the latent of layer i."""

    def decode(state, z):
        return jax.numpy.broadcast_to(z if z.ndim == 3 else z[:, None], (len(z), 8, 8))[..., None]

    def draw(key, n):
        return jax.random.uniform(key, (n, 8))

    styles = Styles(8, *[None] * 5)
    model = Model(None, None, (), sample=lambda key, state, n: decode(state, draw(key, n)), decode=decode)
    run = load_run(vae)._replace(model=model._replace(sample_latent=draw, styles=styles))
    monkeypatch.setattr("jaxgen.cli.output.load_run", lambda folder, **_: run)
    assert jaxgen("sample", vae, "--every-layer", "--n", 6, "--out", tmp_path / "x.npz").status == 0
    drawn = draw(jax.random.fold_in(KEY, 0), 48).reshape(6, 8, 8, 1)
    np.testing.assert_array_equal(arrays(tmp_path / "x.npz"), drawn)


def test_a_style_of_each_layer_is_refused_for_models_without_and_for_interpolations(vae, refused, tmp_path):
    message = "every_layer must be left out: the model 'vae' has no styles of layers, which stylegan and stylegan2 have"
    assert refused("sample", vae, "--every-layer", "--out", tmp_path / "x.png") == message
    message = "--every-layer must be left out with --interpolate, whose images have one latent each"
    assert refused("sample", vae, "--every-layer", "--interpolate", "--out", tmp_path / "x.gif") == message
    assert list(tmp_path.iterdir()) == []


def test_invalid_labels_are_refused(vae, cvae, tmp_path, refused, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for label in (10, -1):
        sentence = refused("sample", cvae, "--label", label)
        assert sentence == f"label must be from 0 to 9, as there are 10 classes, got {label}"
    assert refused("sample", vae, "--label", 3) == "the model 'vae' cannot be conditioned on label"
    assert list(tmp_path.iterdir()) == []
