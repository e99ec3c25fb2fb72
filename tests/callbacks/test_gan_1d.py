"""A game on the line is shown as it is: densities, probabilities and where noise goes, for functions that are known."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from jaxgen.callbacks.gan_1d import Gan1D, why_not_gan_1d
from jaxgen.game import State
from jaxgen.models import gan
from jaxgen.runs import RunConfig

POINT = {"point": np.zeros((1, 1), np.float32)}
SETTINGS = RunConfig(model_config=gan.Config(), data="gaussian_1d")
KEY = jax.random.key(0)
NOTHING = State(jnp.int32(0), {}, {}, {}, {})


def affine():
    """A generator that makes 2 z + 1, and a discriminator whose logit is 3 x."""

    def decode(state, codes):
        return 2 * codes + 1

    def prior(key, n):
        return jax.random.normal(key, (n, 1))

    return gan.build(SETTINGS.config, POINT)._replace(
        prior=prior,
        decode=decode,
        sample=lambda key, state, n: decode(state, prior(key, n)),
        evaluate=lambda key, state, batch: {"real_output": 3 * batch["point"][:, 0]},
    )


def test_a_moment_shows_what_the_networks_do():
    game = Gan1D(affine(), SETTINGS, np.array([[-6.0], [4.0]]), KEY)
    places, density = game.line.places, np.exp(game.line.log_density)
    parts = zip((0.3, 0.5, 0.2), (-4.0, 0.0, 3.0), (0.5, 1.0, 0.7), strict=True)
    np.testing.assert_allclose(density, sum(w * norm.pdf(places, m, s) for w, m, s in parts), rtol=1e-4, atol=1e-7)
    assert (places[0], places[-1]) == (-7.0, 5.0)
    moment = game.moment(NOTHING, "now")
    np.testing.assert_allclose(moment.discriminator, 1 / (1 + np.exp(-3.0 * places)), rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(moment.outputs, 2 * moment.latents + 1, rtol=1e-6)
    assert (np.diff(moment.latents) > 0).all()
    # Of 5000 points N(1, 2), within four standard errors.
    assert moment.generated.mean() == pytest.approx(1, abs=4 * 2 / np.sqrt(5000))
    assert moment.generated.std() == pytest.approx(2, abs=4 * 2 / np.sqrt(10_000))


def test_a_moment_shows_the_generator_that_is_played_against_and_not_its_average():
    def affine_layer(slope, offset):
        return {"generator": {"Dense_0": {"kernel": jnp.full((1, 1), slope), "bias": jnp.full(1, offset)}}}

    model = gan.build(gan.Config(hidden=(), latent_dim=1, ema=0.9), POINT)
    state = model.init(KEY, POINT)
    state = state.replace(params=state.params | affine_layer(2.0, 1.0), ema=affine_layer(0.5, -3.0))
    moment = Gan1D(model, SETTINGS, np.array([[-6.0], [4.0]]), KEY).moment(state, "now")
    np.testing.assert_allclose(moment.outputs, 2 * moment.latents + 1, rtol=1e-5, atol=1e-6)
    assert moment.generated.mean() == pytest.approx(1, abs=4 * 2 / np.sqrt(5000))
    # What is drawn from the run elsewhere is the average's.
    assert model.sample(KEY, state, 5000).mean() == pytest.approx(-3, abs=4 * 0.5 / np.sqrt(5000))


def test_all_moments_are_drawn_on_the_same_axes():
    game = Gan1D(affine(), SETTINGS, np.array([[-6.0], [4.0]]), KEY)
    moment = game.moment(NOTHING, "now")
    narrow = moment._replace(latents=moment.latents / 9, outputs=moment.outputs / 9, generated=moment.generated / 9)
    for one, other in zip(game.draw([moment]).axes, game.draw([narrow]).axes, strict=True):
        assert (one.get_xlim(), one.get_ylim()) == (other.get_xlim(), other.get_ylim())


def test_noise_of_two_dimensions_has_no_lines():
    model = affine()._replace(prior=lambda key, n: jnp.zeros((n, 2)), sample=lambda key, state, n: jnp.zeros((n, 1)))
    moment = Gan1D(model, SETTINGS, np.array([[-6.0], [4.0]]), KEY).moment(NOTHING, "now")
    assert moment.latents.size == moment.outputs.size == 0


@pytest.mark.parametrize(
    ("changes", "data", "reason"),
    [
        ({}, "points.npz", "the data are not points on the line with a known density"),
        ({"packing": 2}, "gaussian_1d", "the discriminator judges several examples at once"),
        ({"loss": "hinge"}, "gaussian_1d", "with the loss 'hinge' the discriminator gives no probabilities"),
        ({}, "gaussian_1d", None),
        ({"loss": "minimax"}, "gaussian_1d", None),
    ],
)
def test_what_is_no_game_on_the_line_is_said(changes, data, reason):
    config = dataclasses.replace(SETTINGS, config=gan.Config(**changes), data=data)
    assert why_not_gan_1d(gan.build(config.model_config, POINT), config, POINT) == reason
