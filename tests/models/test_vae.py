import math
from typing import Any

import jax
import numpy as np
import pytest
from scipy import stats
from sklearn.decomposition import PCA

from jaxgen.data import load
from jaxgen.divergences.gaussian import draw_normal
from jaxgen.errors import InputError
from jaxgen.game import Model, State
from jaxgen.models.vae import Config, build
from jaxgen.training.loop import fit
from jaxgen.typing import Batch
from tests.models.random_states import random_state

STANDARD_ERRORS = 5.0
"""Largest deviation of a mean that passes; the keys are fixed, so a larger one is the result of a bias."""


def without_variance(state: State, latent_dim: int) -> State:
    """Return the state of a linear model in which the variance of q(z|x) is exp(-60)."""
    kernel, bias = (state.params["encoder"]["Dense_0"][name] for name in ("kernel", "bias"))
    kernel, bias = kernel.copy(), bias.copy()
    kernel[:, latent_dim:], bias[latent_dim:] = 0.0, -60.0
    return state.replace(params=state.params | {"encoder": {"Dense_0": {"kernel": kernel, "bias": bias}}})


def evaluated(model: Model, state: State, data: Batch) -> tuple[dict[str, Any], Any]:
    """Return the metrics and the reconstructions of a model."""
    return jax.jit(lambda: (model.evaluate(jax.random.key(0), state, data), model.reconstruct(state, data)))()


def linear_maps(state: State) -> list[np.ndarray]:
    """Return kernel and bias of a linear encoder, kernel and bias of its decoder, in float64."""
    layers = [state.params[network]["Dense_0"] for network in ("encoder", "decoder")]
    return [np.asarray(layer[name], np.float64) for layer in layers for name in ("kernel", "bias")]


def five_points() -> Batch:
    return {"point": np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)}


def test_sample_posterior_has_mean_and_variance_of_the_encoder() -> None:
    data = five_points()
    model = build(Config(architecture="linear", latent_dim=2, likelihood="gaussian"), data)
    state = random_state(model, data, scale=0.4, seed=0)
    keys = jax.random.split(jax.random.key(2), 20_000)
    draws = np.float64(jax.jit(jax.vmap(lambda key: model.sample_posterior(key, state, data)))(keys))
    a, a0, _, _ = linear_maps(state)
    mean, log_var = np.split(data["point"].astype(np.float64) @ a + a0, 2, axis=1)
    deviation, error = np.exp(log_var / 2), STANDARD_ERRORS / math.sqrt(len(keys))
    np.testing.assert_array_less(np.abs(draws.mean(axis=0) - mean), error * deviation)
    np.testing.assert_array_less(np.abs(draws.std(axis=0) / deviation - 1), error / math.sqrt(2))
    # The coordinates of all examples are independent.
    between = np.corrcoef(draws.reshape(len(keys), -1).T) - np.eye(10)
    assert np.abs(between).max() < error


def test_elbo_is_log_likelihood_minus_divergence_from_true_posterior() -> None:
    data, scale = five_points(), 0.7
    model = build(Config(architecture="linear", latent_dim=2, likelihood="gaussian", scale=scale), data)
    state = random_state(model, data, scale=0.4, seed=0)
    keys = jax.random.split(jax.random.key(2), 20_000)
    bounds = np.asarray(jax.jit(jax.vmap(lambda key: model.evaluate(key, state, data)["elbo"]))(keys), np.float64)
    mean_bound, standard_error = bounds.mean(axis=0), bounds.std(axis=0) / math.sqrt(len(bounds))

    a, a0, w, b = linear_maps(state)
    x = data["point"].astype(np.float64)
    log_likelihood = stats.multivariate_normal(b, w.T @ w + scale**2 * np.eye(3)).logpdf(x)
    q_mean, q_log_var = np.split(x @ a + a0, 2, axis=1)
    posterior_precision = np.eye(2) + w @ w.T / scale**2
    posterior_mean = np.linalg.solve(posterior_precision, w @ (x - b).T / scale**2).T
    gap = posterior_mean - q_mean
    divergence = 0.5 * (
        np.exp(q_log_var) @ np.diag(posterior_precision)
        + np.einsum("ni,ij,nj->n", gap, posterior_precision, gap)
        - 2
        - q_log_var.sum(axis=1)
        - np.linalg.slogdet(posterior_precision).logabsdet
    )
    assert np.all(divergence > 0.01)
    assert np.all(mean_bound < log_likelihood)
    assert np.all(np.abs(mean_bound - (log_likelihood - divergence)) < STANDARD_ERRORS * standard_error)


@pytest.mark.parametrize("learn_scale", [False, True])
@pytest.mark.parametrize(("name", "distribution"), [("gaussian", stats.norm), ("laplace", stats.laplace)])
def test_reconstruction_with_scaled_likelihood_matches_scipy(name: str, distribution: Any, learn_scale: bool) -> None:
    data = five_points()
    model = build(
        Config(architecture="linear", latent_dim=2, likelihood=name, scale=0.3, learn_scale=learn_scale), data
    )
    state = without_variance(random_state(model, data, scale=0.4, seed=0), latent_dim=2)
    scale = np.exp(np.float64(state.params["scale"])) if learn_scale else 0.3
    assert learn_scale == (scale != 0.3)
    a, a0, w, b = linear_maps(state)
    reconstruction = (data["point"] @ a + a0)[:, :2] @ w + b
    expected = -distribution(reconstruction, scale).logpdf(data["point"]).sum(axis=1)
    metrics, reconstructed = evaluated(model, state, data)
    np.testing.assert_allclose(metrics["reconstruction"], expected, rtol=1e-4)
    np.testing.assert_allclose(reconstructed, reconstruction, rtol=1e-4, atol=1e-5)


def test_reconstruction_with_bernoulli_likelihood_is_cross_entropy_with_grey_values() -> None:
    data = {"image": np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1), np.uint8)}
    model = build(Config(architecture="linear", latent_dim=2), data)
    state = without_variance(random_state(model, data, scale=0.4, seed=0), latent_dim=2)
    a, a0, w, b = linear_maps(state)
    x = data["image"].reshape(4, 64) / 255.0
    p = 1 / (1 + np.exp(-((x @ a + a0)[:, :2] @ w + b)))
    expected = -(x * np.log(p) + (1 - x) * np.log(1 - p)).sum(axis=1)
    metrics, reconstructed = evaluated(model, state, data)
    np.testing.assert_allclose(metrics["reconstruction"], expected, rtol=1e-4)
    np.testing.assert_allclose(reconstructed.reshape(4, 64), p, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "best"),
    [("gaussian", lambda residual: np.sqrt(np.mean(residual**2))), ("laplace", lambda r: np.mean(np.abs(r)))],
)
def test_loss_is_stationary_where_learned_scale_is_that_of_the_residual(name: str, best: Any) -> None:
    data = five_points()
    model = build(Config(architecture="linear", latent_dim=2, likelihood=name, learn_scale=True), data)
    state = without_variance(random_state(model, data, scale=0.4, seed=0), latent_dim=2)
    _, reconstructed = evaluated(model, state, data)
    optimum = best(np.float64(reconstructed - data["point"]))

    @jax.jit
    @jax.grad
    def derivative_by_log_scale(log_scale: jax.Array) -> jax.Array:
        return model.players[0].loss(jax.random.key(0), state.params | {"scale": log_scale}, state, data)[0]

    def derivative(scale: float) -> float:
        """Return the derivative of the loss with respect to the logarithm of the scale."""
        return float(derivative_by_log_scale(np.float32(np.log(scale))))

    assert derivative(optimum) == pytest.approx(0.0, abs=1e-4)
    assert derivative(0.9 * optimum) < -0.1
    assert derivative(1.1 * optimum) > 0.1


def test_linear_model_reaches_likelihood_of_probabilistic_pca() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1000, 2)) @ rng.normal(size=(2, 5)) + 0.5 * rng.normal(size=(1000, 5)) + 1.0
    data = {"point": x.astype(np.float32)}
    options = {"likelihood": "gaussian", "learn_scale": True, "learning_rate": 1e-2}
    model = build(Config(architecture="linear", latent_dim=2, **options), data)
    state = fit(model, data, key=jax.random.key(0), steps=2000, batch_size=1000).state
    keys = jax.random.split(jax.random.key(1), 100)
    bound = jax.jit(jax.vmap(lambda key: model.evaluate(key, state, data)["elbo"].mean()))(keys)
    # Lucas et al. 2019: the bound of a linear variational autoencoder is tight at its maximum.
    pca = PCA(2).fit(x)
    assert np.mean(bound) == pytest.approx(pca.score(x), abs=0.02)
    assert float(np.exp(state.params["scale"])) == pytest.approx(math.sqrt(pca.noise_variance_), rel=0.03)


def test_beta_is_the_weight_of_the_kl_term() -> None:
    data = {"image": np.zeros((4, 8, 8, 1), np.uint8)}
    losses = {}
    for beta in (0.0, 1.0, 4.0):
        model = build(Config(hidden=(16,), latent_dim=2, beta=beta), data)
        state = random_state(model, data, scale=0.4, seed=0)
        loss, (_, metrics) = jax.jit(model.players[0].loss)(jax.random.key(1), state.params, state, data)
        losses[beta] = float(loss)
    assert losses[0.0] == pytest.approx(float(metrics["reconstruction"]), rel=1e-6)
    assert losses[4.0] - losses[0.0] == pytest.approx(4 * (losses[1.0] - losses[0.0]), rel=1e-3)
    assert losses[1.0] - losses[0.0] == pytest.approx(float(metrics["kl"]), rel=1e-3)


def test_samples_are_means_of_decoded_standard_normal_latents() -> None:
    data = five_points()
    model = build(Config(architecture="linear", latent_dim=2, likelihood="gaussian"), data)
    state = random_state(model, data, scale=0.4, seed=0)
    _, _, w, b = linear_maps(state)
    samples = np.float64(jax.jit(lambda: model.sample(jax.random.key(0), state, 100_000))())
    np.testing.assert_allclose(samples.mean(axis=0), b, atol=0.02)
    np.testing.assert_allclose(np.cov(samples.T), w.T @ w, rtol=0.03, atol=0.01)


def test_gradients_through_reparameterized_draws_are_unbiased() -> None:
    mean, log_var = np.float32([[0.5]]), np.float32([[-0.4]])

    def second_moment(mean: jax.Array, log_var: jax.Array, key: jax.Array) -> jax.Array:
        return (draw_normal(key, mean, log_var)[0] ** 2)[0, 0]

    keys = jax.random.split(jax.random.key(0), 100_000)
    gradients = jax.jit(jax.vmap(jax.grad(second_moment, (0, 1)), (None, None, 0)))(mean, log_var, keys)
    # E z^2 = mean^2 + exp(log_var)
    for draws, expected in zip(gradients, (2 * 0.5, math.exp(-0.4)), strict=True):
        draws = np.asarray(draws, np.float64).ravel()
        assert abs(draws.mean() - expected) < STANDARD_ERRORS * draws.std() / math.sqrt(draws.size)


@pytest.mark.parametrize(("options", "steps"), [({}, 200), ({"architecture": "conv", "width": 16}, 400)])
def test_elbo_of_test_digits_exceeds_likelihood_of_independent_pixels(options: dict[str, Any], steps: int) -> None:
    digits, test = load("digits"), load("digits", split="test")
    model = build(Config(latent_dim=8, learning_rate=5e-3, **options), digits)
    state = fit(model, digits, key=jax.random.key(0), steps=steps, batch_size=128).state
    bound = float(jax.jit(model.evaluate)(jax.random.key(1), state, test)["elbo"].mean())
    p = np.clip(digits["image"].mean(axis=0) / 255.0, 1e-3, 1 - 1e-3)
    x = test["image"] / 255.0
    independent = (x * np.log(p) + (1 - x) * np.log(1 - p)).sum(axis=(1, 2, 3)).mean()
    # The likelihood of a model that predicts every grey value exactly, an upper bound.
    known = np.clip(x, 1e-9, 1 - 1e-9)
    entropy = -(known * np.log(known) + (1 - known) * np.log(1 - known)).sum(axis=(1, 2, 3)).mean()
    assert independent + 1.0 < bound < -entropy


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"likelihood": "bernuolli"}, "no likelihood 'bernuolli': did you mean 'bernoulli'"),
        ({"likelihood": "bernoulli"}, "the bernoulli likelihood is for images"),
        ({"learn_scale": True}, "the bernoulli likelihood has no scale to learn: choose gaussian or laplace"),
        ({"scale": 0.0}, "scale must be positive and finite, got 0.0"),
        ({"beta": -1.0}, "beta must be finite and not negative, got -1.0"),
        ({"latent_dim": 0}, "latent_dim must be positive and finite, got 0"),
    ],
)
def test_invalid_options_raise_input_error(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(Config(**options), {"point": np.zeros((1, 2), np.float32)})
