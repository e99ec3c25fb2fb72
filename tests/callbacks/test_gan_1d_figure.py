"""Snapshots of a 1-D GAN: densities, probabilities and outputs of latents, for networks that are known functions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from jaxgen.averaging import without_averages
from jaxgen.callbacks.gan_1d_figure import Gan1D, why_not_gan_1d
from jaxgen.game import State
from jaxgen.models import gan, vae

POINT = {"point": np.zeros((1, 1), np.float32)}
RANGE = np.array([[-6.0], [4.0]])
KEY = jax.random.key(0)
EMPTY = State(jnp.int32(0), {}, {}, {}, {})


def affine():
    """A generator 2 z + 1, and a discriminator whose logit is 3 x."""

    def decode(state, latents):
        return 2 * latents + 1

    def sample_latent(key, n):
        return jax.random.normal(key, (n, 1))

    return gan.build(gan.Config(), POINT)._replace(
        sample_latent=sample_latent,
        decode=decode,
        sample=lambda key, state, n: decode(state, sample_latent(key, n)),
        evaluate=lambda key, state, batch: {"real_output": 3 * batch["point"][:, 0]},
    )


def snapshot(model, state=EMPTY):
    return Gan1D(model, "gaussian_1d", RANGE, KEY).snapshot(state, "now")


def test_a_snapshot_has_densities_probabilities_and_outputs_of_the_networks():
    gan_1d = Gan1D(affine(), "gaussian_1d", RANGE, KEY)
    x, density = gan_1d.axis.x, np.exp(gan_1d.axis.log_density)
    parts = zip((0.3, 0.5, 0.2), (-4.0, 0.0, 3.0), (0.5, 1.0, 0.7), strict=True)
    np.testing.assert_allclose(density, sum(w * norm.pdf(x, m, s) for w, m, s in parts), rtol=1e-4, atol=1e-7)
    assert (x[0], x[-1]) == (-7.0, 5.0)
    found = gan_1d.snapshot(EMPTY, "now")
    assert found.title == "now"
    np.testing.assert_allclose(found.discriminator, 1 / (1 + np.exp(-3.0 * x)), rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(found.outputs, 2 * found.latents + 1, rtol=1e-6)
    assert (np.diff(found.latents) > 0).all()
    # Of 5000 points N(1, 2), within four standard errors.
    assert found.generated.mean() == pytest.approx(1, abs=4 * 2 / np.sqrt(5000))
    assert found.generated.std() == pytest.approx(2, abs=4 * 2 / np.sqrt(10_000))


def test_the_generator_is_the_one_that_is_trained_and_not_its_average():
    def affine_layer(factor, offset):
        return {"generator": {"Dense_0": {"kernel": jnp.full((1, 1), factor), "bias": jnp.full(1, offset)}}}

    model = gan.build(gan.Config(hidden=(), latent_dim=1, ema=0.9), POINT)
    state = model.init(KEY, POINT)
    averages = {"generator": {"params": affine_layer(0.5, -3.0)["generator"]}}
    assert jax.tree.structure(averages) == jax.tree.structure(state.ema)
    state = state.replace(params=state.params | affine_layer(2.0, 1.0), ema=averages)
    found = snapshot(model, state)
    np.testing.assert_allclose(found.outputs, 2 * found.latents + 1, rtol=1e-5, atol=1e-6)
    assert found.generated.mean() == pytest.approx(1, abs=4 * 2 / np.sqrt(5000))
    # Samples of the run are those of the average.
    assert model.sample(KEY, state, 5000).mean() == pytest.approx(-3, abs=4 * 0.5 / np.sqrt(5000))
    assert model.sample(KEY, without_averages(state), 5000).mean() == pytest.approx(1, abs=4 * 2 / np.sqrt(5000))


def test_all_snapshots_have_the_same_axes():
    gan_1d = Gan1D(affine(), "gaussian_1d", RANGE, KEY)
    first = gan_1d.snapshot(EMPTY, "now")
    narrow = first._replace(latents=first.latents / 9, outputs=first.outputs / 9, generated=first.generated / 9)
    for one, other in zip(gan_1d.draw([first]).axes, gan_1d.draw([narrow]).axes, strict=True):
        assert (one.get_xlim(), one.get_ylim()) == (other.get_xlim(), other.get_ylim())


def test_latents_of_two_dimensions_are_not_drawn():
    model = affine()._replace(
        sample_latent=lambda key, n: jnp.zeros((n, 2)), sample=lambda key, state, n: jnp.zeros((n, 1))
    )
    found = snapshot(model)
    assert found.latents.size == found.outputs.size == 0


@pytest.mark.parametrize(
    ("changes", "data", "reason"),
    [
        ({}, "points.npz", "the data are not one-dimensional points with a known density"),
        ({"packing": 2}, "gaussian_1d", "the discriminator is applied to several examples together"),
        ({"loss": "hinge"}, "gaussian_1d", "with the loss 'hinge' the discriminator does not give probabilities"),
        ({}, "gaussian_1d", None),
        ({"loss": "minimax"}, "gaussian_1d", None),
    ],
)
def test_the_reason_why_a_gan_is_not_drawn_is_given(changes, data, reason):
    config = gan.Config(**changes)
    assert why_not_gan_1d(gan.build(config, POINT), data=data, loss=config.loss, example=POINT) == reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sample": None}, "the model does not decode its samples from latents"),
        ({"decode": None}, "the model does not decode its samples from latents"),
        ({"conditions": ("label",)}, "the discriminator is conditional: the optimal one differs from class to class"),
        (
            {"evaluate": lambda key, state, batch: {"loss": batch["point"][:, 0]}},
            "the output of the discriminator is not among the metrics of the model",
        ),
        ({"players": ()}, "the model has no discriminator"),
    ],
)
def test_the_reason_why_a_custom_model_is_not_drawn_is_given(changes, reason):
    model = gan.build(gan.Config(hidden=(4,)), POINT)._replace(**changes)
    assert why_not_gan_1d(model, data="gaussian_1d", loss="minimax", example=POINT) == reason


def test_other_families_and_other_data_are_not_drawn():
    model = vae.build(vae.Config(likelihood="gaussian"), POINT)
    assert why_not_gan_1d(model, data="gaussian_1d", loss=None, example=POINT) == "the model has no discriminator"
    images = {"image": np.zeros((1, 8, 8, 1), np.uint8)}
    for data, example in (("ring", {"point": np.zeros((1, 2), np.float32)}), ("digits", images)):
        found = why_not_gan_1d(gan.build(gan.Config(), example), data=data, loss="minimax", example=example)
        assert found == "the data are not one-dimensional points with a known density"
