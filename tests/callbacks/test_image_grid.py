"""The pictures of a run show what they say they show."""

import dataclasses

import jax
import numpy as np
import pytest
from PIL import Image

from jaxgen.callbacks.image_grid import ImageGrid, draw_pairs, draw_styles, first_examples, latent_size, layout
from jaxgen.data import Stream, load
from jaxgen.data.streaming import ArraySource
from jaxgen.errors import InputError
from jaxgen.models import cvae, vae
from jaxgen.plot.grid import tile
from jaxgen.runs import images
from jaxgen.training.loop import Chunk, Divergence

DIGITS = load("digits")


def chunk(run, step, *, turns=20, diverged=None):
    return Chunk(step, run.state, {"vae/loss": np.zeros(turns)}, 0.1, diverged or {})


def hook(run, folder, **changes):
    return ImageGrid(folder, run.model, dataclasses.replace(run.config, **changes), DIGITS)


def once(figure, grid):
    """The pixels of a figure, in [0, 1], without their repetition by enlargement."""
    (image,) = figure.images
    factor = len(image.get_array()) // len(grid)
    return np.asarray(image.get_array())[::factor, ::factor]


def test_originals_are_above_their_reconstructions():
    originals, reconstructions = np.random.default_rng(0).random((2, 20, 8, 8, 1))
    blank = np.ones((12, 8, 8, 1))
    rows = [originals[:16], reconstructions[:16], originals[16:], blank, reconstructions[16:], blank]
    grid = tile(np.concatenate(rows), columns=16)
    np.testing.assert_allclose(once(draw_pairs(originals, reconstructions), grid), grid, rtol=1e-6)


def test_an_original_comes_before_its_styles():
    originals = np.random.default_rng(0).random((3, 8, 8, 1))
    styles = np.random.default_rng(1).random((3, 10, 8, 8, 1))
    rows = [image for i in range(3) for image in (originals[i], *styles[i])]
    grid = tile(np.stack(rows), columns=11)
    np.testing.assert_allclose(once(draw_styles(originals, styles), grid), grid, rtol=1e-6)


def test_styles_of_points_are_shown_over_the_data():
    originals, styles = np.random.default_rng(0).random((5, 2)), np.random.default_rng(1).random((5, 3, 2))
    drawn = {c.get_label(): c.get_offsets() for c in draw_styles(originals, styles).axes[0].collections}
    np.testing.assert_allclose(drawn["data"], originals)
    np.testing.assert_allclose(drawn["generated"], styles.reshape(15, 2))


def test_it_is_drawn_when_it_is_time(fresh, tmp_path):
    run = fresh("vae")
    draw = hook(run, tmp_path / "samples", image_every=40, steps=100)
    for step in (20, 40, 60, 80, 100):
        draw(chunk(run, step))
    assert sorted(path.name for path in (tmp_path / "samples").iterdir()) == [
        f"step-{step:08d}-{what}.png" for step in (40, 80, 100) for what in ("codes", "reconstructions", "samples")
    ]
    for path in (tmp_path / "samples").iterdir():
        with Image.open(path) as image:
            image.load()


def test_a_stream_shows_what_memory_shows(fresh, tmp_path):
    run = fresh("vae")
    for name, data in (("held", DIGITS), ("streamed", Stream(ArraySource(DIGITS)))):
        ImageGrid(tmp_path / name, run.model, run.config, data)(chunk(run, run.config.steps))
    for path in (tmp_path / "held").iterdir():
        assert path.read_bytes() == (tmp_path / "streamed" / path.name).read_bytes()


def test_of_several_seeds_the_first_sound_one_is_shown(fresh, tmp_path, monkeypatch):
    run = fresh("cvae", seeds=2)
    drawn = []
    monkeypatch.setattr(images, "draw_pairs", lambda originals, reconstructions: drawn.append(reconstructions))
    monkeypatch.setattr(images, "write_figure", lambda path, figure: None)
    hook(run, tmp_path, image_every=20)(chunk(run, 20, diverged={0: Divergence(7, "vae", "loss")}))
    expected = run.reconstruct(first_examples(DIGITS, 32))[1]
    np.testing.assert_allclose(drawn[0], expected, rtol=1e-5, atol=1e-6)


def test_a_full_disk_leaves_no_half_picture(fresh, tmp_path, full_disk):
    run = fresh("vae")
    draw = hook(run, tmp_path, image_every=20)
    with full_disk(free=1000), pytest.raises(InputError, match="could not be written"):
        draw(chunk(run, 20))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("config", "size"), [(vae.Config(latent_dim=2), 2), (cvae.Config(latent_dim=7), 7)])
def test_the_dimension_of_the_code_is_known_beforehand(config, size):
    assert latent_size((cvae if isinstance(config, cvae.Config) else vae).build(config, DIGITS), DIGITS) == size


def test_a_model_without_encoder_has_no_code(fresh):
    run = fresh("gan")
    assert latent_size(run.model, run.example) is None


def test_a_conditional_model_shows_every_class(fresh):
    run = fresh("cvae")
    count, columns = layout(run.model, run.example)
    assert (count % 10, columns) == (0, 10)
    samples = run.sample(jax.random.key(0), count)
    # A column is a class.
    np.testing.assert_allclose(samples[3::10], run.sample(jax.random.key(0), count, label=3)[3::10], rtol=1e-5)
