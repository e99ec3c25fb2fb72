"""Figures during the training: when they are drawn, of which seed, and what they show."""

import jax
import numpy as np
import pytest
from PIL import Image

from jaxgen import plot
from jaxgen.callbacks.image_grid import ImageGrid, latent_size, layout
from jaxgen.callbacks.keys import callback_key
from jaxgen.data import Stream, example, first_examples, load
from jaxgen.data.streaming import ArraySource
from jaxgen.errors import InputError
from jaxgen.game import StyleTransfer
from jaxgen.models import cvae, gan, vae
from jaxgen.training.chunk import Divergence
from jaxgen.training.seeds import select_seed

DIGITS = load("digits")


@pytest.fixture
def grid(tmp_path):
    """`grid(run)`: the callback of a run on digits, with figures at every 20th step."""

    def build(run, *, data=DIGITS, folder=tmp_path / "samples", every=20, last=100):
        return ImageGrid(folder, run.model, "digits", data, every=every, last=last, seed=0)

    return build


@pytest.fixture
def drawn(monkeypatch):
    """The arguments of the functions that draw, by the name of the figure; nothing is rendered."""
    arguments = {}

    def record(name):
        return lambda *given, **options: arguments.update({name: (given, options)})

    for name in ("samples", "reconstructions", "style_grid", "scatter_by_label"):
        monkeypatch.setattr(plot, name, record(name))
    monkeypatch.setattr(plot, "save", lambda figure, path: None)
    return arguments


def test_figures_are_drawn_at_every_kth_step_and_the_last_one(fresh, grid, chunk_of, tmp_path):
    run = fresh("vae")
    callback = grid(run, every=40)
    for step in (20, 40, 60, 80, 100):
        callback(chunk_of(run.state, step))
        assert (tmp_path / "samples").exists() is (step >= 40)
    assert sorted(path.name for path in (tmp_path / "samples").iterdir()) == [
        f"step-{step:08d}-{kind}.png" for step in (40, 80, 100) for kind in ("latents", "reconstructions", "samples")
    ]
    for path in (tmp_path / "samples").iterdir():
        with Image.open(path) as image:
            image.load()


def test_a_stream_gives_the_figures_of_arrays(fresh, grid, chunk_of, tmp_path):
    run = fresh("vae")
    for name, data in (("arrays", DIGITS), ("stream", Stream(ArraySource(DIGITS)))):
        grid(run, data=data, folder=tmp_path / name)(chunk_of(run.state, 20))
    assert len(list((tmp_path / "arrays").iterdir())) == 3
    for path in (tmp_path / "arrays").iterdir():
        assert path.read_bytes() == (tmp_path / "stream" / path.name).read_bytes()


def test_of_several_seeds_the_first_finite_one_is_drawn(fresh, grid, chunk_of, drawn):
    run = fresh("cvae", seeds=2)
    grid(run)(chunk_of(run.state, 20, diverged={0: Divergence(7, "vae", "loss")}))
    (originals, decoded), _ = drawn["reconstructions"]
    assert drawn["reconstructions"][1] == {"title": "seed 1"}
    assert drawn["samples"][1]["titles"] == ["seed 1"]
    assert drawn["scatter_by_label"][1]["title"] == "seed 1"
    expected = run.reconstruct(first_examples(DIGITS, 32))[1]
    np.testing.assert_allclose(decoded, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(originals, DIGITS["image"][:32] / 255, rtol=1e-6)


def test_a_seed_with_parameters_that_are_not_finite_is_not_drawn(fresh, grid, chunk_of, drawn):
    """Also where no loss or gradient showed it yet."""
    run = fresh("cvae", seeds=2)
    params = jax.tree.map(lambda x: x.at[0, ..., 0].set(np.nan), run.state.params)
    grid(run)(chunk_of(run.state.replace(params=params), 20))
    assert drawn["samples"][1]["titles"] == ["seed 1"]


def test_samples_are_those_of_the_key_of_the_callback_and_latents_those_of_labelled_data(fresh, grid, chunk_of, drawn):
    run = fresh("vae")
    state = select_seed(run.state, 0)
    grid(run)(chunk_of(run.state, 20))
    (samples,), options = drawn["samples"]
    np.testing.assert_allclose(
        samples, run.model.sample(callback_key(0, "image_grid"), state, 64), rtol=1e-5, atol=1e-6
    )
    assert options == {"titles": (), "data": None, "columns": None}
    (latents,), options = drawn["scatter_by_label"]
    first = first_examples(DIGITS, 1000)
    np.testing.assert_allclose(latents, run.model.encode(state, first), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(options["label"], first["label"])


def test_a_model_without_samples_reconstructions_and_latents_has_no_figures(fresh, grid, chunk_of, drawn, tmp_path):
    run = fresh("classifier")
    grid(run)(chunk_of(run.state, 20))
    assert drawn == {}
    assert not (tmp_path / "samples").exists()


def test_first_examples_are_drawn_in_the_styles_of_others(fresh, grid, chunk_of, drawn):
    run = fresh("vae")
    transfer = StyleTransfer(
        style=lambda state, images: images.mean((1, 2, 3))[:, None, None],
        stylize=lambda state, images, statistics, alpha: images + statistics[..., None],
        smallest=1,
    )
    grid(run._replace(model=run.model._replace(style_transfer=transfer)))(chunk_of(run.state, 20))
    (contents, styles, stylized), options = drawn["style_grid"]
    images = DIGITS["image"][:32] / np.float32(255)
    np.testing.assert_allclose(contents, images[:6], rtol=1e-6)
    np.testing.assert_allclose(styles, images[-6:], rtol=1e-6)
    expected = contents[:, None] + styles.mean((1, 2, 3))[:, None, None, None]
    np.testing.assert_allclose(stylized, expected, rtol=1e-5)
    assert options == {"title": ""}


def test_a_full_disk_leaves_no_incomplete_figure(fresh, grid, chunk_of, tmp_path, full_disk):
    run = fresh("vae")
    callback = grid(run, folder=tmp_path)
    with full_disk(free=1000), pytest.raises(InputError, match="could not be written"):
        callback(chunk_of(run.state, 20))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("config", "size"), [(vae.Config(latent_dim=2), 2), (cvae.Config(latent_dim=7), 7)])
def test_the_dimension_of_the_latent_is_known_without_computing_it(config, size):
    model = (cvae if isinstance(config, cvae.Config) else vae).build(config, DIGITS)
    assert latent_size(model, example(DIGITS)) == size


def test_a_model_without_encoder_has_no_dimension_of_the_latent():
    assert latent_size(gan.build(gan.Config(), DIGITS), example(DIGITS)) is None


class TestLayout:
    def test_samples_of_a_conditional_model_have_a_column_for_each_class(self, fresh):
        run = fresh("cvae")
        count, columns = layout(run.model, run.example)
        assert (count % 10, columns) == (0, 10)
        samples = run.sample(jax.random.key(0), count)
        labelled = run.sample(jax.random.key(0), count, label=3)
        np.testing.assert_allclose(samples[3::10], labelled[3::10], rtol=1e-5)

    def test_the_panel_of_one_of_several_seeds_has_fewer_images(self, fresh):
        assert layout(fresh("cvae").model, fresh("cvae").example, several_seeds=True) == (20, 10)
        assert layout(fresh("vae").model, fresh("vae").example, several_seeds=True) == (16, None)

    def test_any_number_has_columns_of_one_class_and_is_nearly_square(self, fresh):
        for count in (30, 1000, 99_999):
            found, columns = layout(fresh("cvae").model, fresh("cvae").example, count=count)
            assert (found, columns % 10) == (count, 0)
            assert columns == 10 or 1 / 2 < columns**2 / count < 2

    def test_so_many_classes_that_columns_would_be_narrow_have_none_of_their_own(self, fresh):
        example_batch = fresh("cvae").example | {"label": np.array([999])}
        assert layout(fresh("cvae").model, example_batch) == (64, None)

    def test_points_are_drawn_in_one_plot(self, fresh):
        assert layout(fresh("vae").model, {"point": np.zeros((1, 2), np.float32)}) == (2500, None)
