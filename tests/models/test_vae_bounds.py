"""Bounds of several draws and their gradients against float64, binarized images, and the densities of a model."""

import math
from typing import Any

import jax
import numpy as np
import pytest
from scipy import special, stats

from jaxgen.errors import InputError
from jaxgen.game import Model, State
from jaxgen.metrics import importance_weighted_bound
from jaxgen.models.vae import Config, build
from jaxgen.typing import Batch
from tests.models.random_states import random_state

KEY = jax.random.key(0)
POINTS: Batch = {"point": np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)}
SCALE = 0.7
DRAWS = 4
STANDARD_ERRORS = 5.0


def linear(**options: Any) -> tuple[Model, State]:
    """Return a linear Gaussian model of three dimensions with two latent ones, with random parameters."""
    model = build(Config(architecture="linear", latent_dim=2, likelihood="gaussian", scale=SCALE, **options), POINTS)
    return model, random_state(model, POINTS, scale=0.4, seed=0)


def in_float64(params: dict[str, np.ndarray], noise: np.ndarray, objective: str) -> float:
    """Return the loss of a linear model for given noise [draws, batch, latent], from the densities of SciPy."""
    x = np.float64(POINTS["point"])
    mean, log_var = np.split(x @ params["encoder kernel"] + params["encoder bias"], 2, axis=1)
    z = mean + np.exp(log_var / 2) * noise
    log_p_x = stats.norm(z @ params["decoder kernel"] + params["decoder bias"], SCALE).logpdf(x).sum(axis=-1)
    if objective == "elbo":
        return float(np.mean(0.5 * np.sum(mean**2 + np.exp(log_var) - 1 - log_var, axis=1) - log_p_x.mean(axis=0)))
    log_q = stats.norm(mean, np.exp(log_var / 2)).logpdf(z).sum(axis=-1)
    log_weights = log_p_x + stats.norm.logpdf(z).sum(axis=-1) - log_q
    return float(-np.mean(special.logsumexp(log_weights, axis=0) - math.log(len(noise))))


@pytest.mark.parametrize("objective", ["elbo", "iwae"])
def test_loss_of_several_draws_and_its_gradient_match_float64(objective: Any) -> None:
    model, state = linear(objective=objective, draws=DRAWS)
    loss = jax.jit(jax.value_and_grad(lambda params: model.players[0].loss(KEY, params, state, POINTS)[0]))
    value, gradients = loss(state.params)
    noise = np.float64(jax.random.normal(KEY, (DRAWS, 5, 2)))
    places = [(network, name) for network in ("encoder", "decoder") for name in ("kernel", "bias")]
    params = {f"{network} {name}": np.float64(state.params[network]["Dense_0"][name]) for network, name in places}
    assert float(value) == pytest.approx(in_float64(params, noise, objective), rel=1e-5)
    for network, name in places:
        found, array = np.float64(gradients[network]["Dense_0"][name]), params[f"{network} {name}"]
        expected = np.zeros_like(array)
        for place in np.ndindex(array.shape):
            values = []
            for change in (1e-5, -1e-5):
                moved = array.copy()
                moved[place] += change
                values.append(in_float64({**params, f"{network} {name}": moved}, noise, objective))
            expected[place] = (values[0] - values[1]) / 2e-5
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_densities_give_the_likelihood_of_a_linear_model() -> None:
    model, state = linear()
    w, b = (np.float64(state.params["decoder"]["Dense_0"][name]) for name in ("kernel", "bias"))
    covariance = np.linalg.inv(np.eye(2) + w @ w.T / SCALE**2)
    # q(z|x) has the mean of the true posterior and twice its variances.
    encoder = state.params["encoder"]["Dense_0"]
    encoder["kernel"][:, :2] = w.T @ covariance / SCALE**2
    encoder["bias"][:2] = -b @ w.T @ covariance / SCALE**2
    encoder["kernel"][:, 2:], encoder["bias"][2:] = 0, np.log(2 * np.diag(covariance))

    @jax.jit
    def bound() -> jax.Array:
        densities = model.latent_densities(KEY, state, POINTS)
        return importance_weighted_bound(KEY, *densities, k=20_000)

    expected = stats.multivariate_normal(b, w.T @ w + SCALE**2 * np.eye(3)).logpdf(POINTS["point"])
    np.testing.assert_allclose(bound(), expected, atol=0.03)


def grey(value: int, **options: Any) -> tuple[Model, State, Batch]:
    """Return a linear model of images whose q(z|x) does not depend on x, and 200 images of one grey value."""
    batch: Batch = {"image": np.full((200, 4, 4, 1), value, np.uint8)}
    model = build(Config(architecture="linear", latent_dim=2, **options), batch)
    state = random_state(model, batch, scale=0.4, seed=0)
    state.params["encoder"]["Dense_0"]["kernel"][:] = 0
    return model, state, batch


def test_binarized_pixels_are_drawn_with_their_grey_values_in_training_and_in_metrics() -> None:
    """The mean of the losses is that of grey values, whose cross-entropy is the expectation over the draws."""
    model, state, batch = grey(77)
    drawn = grey(77, binarize=True)[0]
    keys = jax.random.split(KEY, 100)
    for function in (
        lambda model, key: model.players[0].loss(key, state.params, state, batch)[0],
        lambda model, key: model.evaluate(key, state, batch)["elbo"].mean(),
        lambda model, key: model.latent_densities(key, state, batch).log_likelihood(np.ones((200, 2))).mean(),
    ):
        values, of_grey = (np.float64(jax.jit(jax.vmap(lambda key: function(m, key)))(keys)) for m in (drawn, model))  # noqa: B023
        differences = values - of_grey
        assert abs(differences.mean()) < STANDARD_ERRORS * differences.std() / 10
        assert 0.01 < differences.std() < 1


def test_black_and_white_images_are_not_changed_by_binarization() -> None:
    for value in (0, 255):
        (model, state, batch), (drawn, _, _) = grey(value), grey(value, binarize=True)
        for m in (model, drawn):
            found = jax.jit(m.evaluate)(KEY, state, batch)["elbo"]
            np.testing.assert_array_equal(found, jax.jit(model.evaluate)(KEY, state, batch)["elbo"])


def test_every_use_draws_other_pixels() -> None:
    model, state, batch = grey(128, binarize=True)
    likelihood = jax.jit(lambda key: model.latent_densities(key, state, batch).log_likelihood(np.ones((200, 2))))
    first, second = (np.asarray(likelihood(jax.random.key(seed))) for seed in (0, 1))
    assert np.mean(first == second) < 0.1
    np.testing.assert_array_equal(first, likelihood(KEY))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": "iwae", "beta": 4.0}, "beta must be 1 for the objective 'iwae', .* got 4.0: choose elbo"),
        ({"objective": "iwea"}, "there is no objective 'iwea': did you mean 'iwae'?"),
        ({"draws": 0}, "draws must be positive and finite, got 0"),
        (
            {"architecture": "conv", "activation": "tanh"},
            "activation applies to the architecture 'mlp', got 'tanh' for 'conv'",
        ),
        ({"activation": "tan"}, "there is no activation 'tan': did you mean 'tanh'?"),
        ({"likelihood": "gaussian", "binarize": True}, "binarize must be False for the gaussian likelihood"),
    ],
)
def test_contradictory_options_raise_input_error(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(Config(**options), {"image": np.zeros((1, 8, 8, 1), np.uint8)})
