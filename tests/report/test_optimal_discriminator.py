"""The comparison with the optimal discriminator, for generators and discriminators with known densities and logits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from jaxgen.game import Model, State
from jaxgen.models import REGISTRY
from jaxgen.report.optimal_discriminator import optimal_discriminator
from jaxgen.training.seeds import add_seed_axis
from tests.report.small_reports import on_points

MEAN = 2.0
"""Mean of the generator, which samples N(MEAN, 1)."""


def linear_critic(weights):
    """A GAN on points with a linear discriminator and a generator of N(MEAN, I)."""

    def init(key, batch):
        return State(jnp.zeros((), jnp.int32), {}, {}, {}, {})

    def sample(key, state, n):
        return MEAN + jax.random.normal(key, (n, len(weights)))

    def decode(state, latent):
        return latent

    def evaluate(key, state, batch):
        return {"real_output": batch["point"] @ jnp.asarray(weights)}

    players = REGISTRY["gan"].build(REGISTRY["gan"].config(), {"point": np.zeros((1, 2), np.float32)}).players
    return Model(init, None, players, sample=sample, decode=decode, evaluate=evaluate)


def log_p(x):
    """Log density of `gaussian_1d`."""
    parts = zip((0.3, 0.5, 0.2), (-4.0, 0.0, 3.0), (0.5, 1.0, 0.7), strict=True)
    return jnp.log(sum(w * jnp.exp(-((x - m) ** 2) / (2 * s**2)) / (s * jnp.sqrt(2 * jnp.pi)) for w, m, s in parts))


def optimal_evaluate(key, state, batch):
    """The optimal discriminator for a generator of N(MEAN, 1)."""
    x = batch["point"][:, 0]
    return {"real_output": jnp.maximum(log_p(x), -80.0) + (x - MEAN) ** 2 / 2 + 0.5 * jnp.log(2 * jnp.pi)}


X = np.linspace(-12, 12, 20001)


def value(log_discriminator, log_other):
    """Value of the game against N(MEAN, 1), from log D and log (1 - D) as functions of x, p and q."""
    p, q = np.exp(np.asarray(log_p(X), float)), norm.pdf(X, MEAN, 1)
    terms = p * log_discriminator(X, p, q) + q * log_other(X, p, q)
    return np.sum(terms[p + q > 0]) * (X[1] - X[0])


def optimal_value():
    return value(lambda x, p, q: np.log(p / (p + q) + 1e-300), lambda x, p, q: np.log(q / (p + q) + 1e-300))


def metrics_of(model, state=None):
    inputs = on_points(model, "gaussian_1d") if state is None else on_points(model, "gaussian_1d", state)
    return optimal_discriminator(inputs).metrics


@pytest.fixture(scope="module")
def of_optimal():
    return metrics_of(linear_critic([1.0])._replace(evaluate=optimal_evaluate))


@pytest.fixture(scope="module")
def of_linear():
    return metrics_of(linear_critic([1.0]))


def test_optimal_discriminator_has_no_error(of_optimal):
    assert of_optimal["probability_error"][0] < 0.02
    assert of_optimal["log_ratio_error"][0] < 0.1
    assert of_optimal["optimal_value"][0] == pytest.approx(optimal_value(), abs=0.01)
    assert of_optimal["value"][0] == pytest.approx(optimal_value(), abs=0.01)


def test_value_of_a_linear_discriminator_is_its_integral(of_linear):
    expected = value(lambda x, p, q: -np.logaddexp(0, -x), lambda x, p, q: -np.logaddexp(0, x))
    assert of_linear["value"][0] == pytest.approx(expected, abs=0.03)
    assert of_linear["optimal_value"][0] == pytest.approx(optimal_value(), abs=0.01)


def test_value_of_any_discriminator_is_at_most_the_optimal_value(of_optimal, of_linear):
    for metrics in (of_optimal, of_linear, metrics_of(linear_critic([-1.0]))):
        assert metrics["value"][0] <= metrics["optimal_value"][0]


def test_generator_with_a_narrow_density_far_from_the_data_is_integrated_completely():
    """The optimal value is 0, and a discriminator that classifies all samples as real loses 20 nats."""
    model = linear_critic([1.0])._replace(sample=lambda key, state, n: 20 + 0.01 * jax.random.normal(key, (n, 1)))
    metrics = metrics_of(model)
    assert metrics["optimal_value"][0] == pytest.approx(0, abs=1e-3)
    of_real = np.sum(np.exp(np.asarray(log_p(X), float)) * -np.logaddexp(0, -X)) * (X[1] - X[0])
    assert metrics["value"][0] == pytest.approx(of_real - 20, abs=0.02)


def test_generator_is_the_one_that_is_trained_and_not_its_average():
    """The discriminator is optimal for the generator N(MEAN, 1); the average would sample N(-MEAN, 0.1)."""

    def affine(scale, offset):
        return {"Dense_0": {"kernel": jnp.full((1, 1), scale), "bias": jnp.full(1, offset)}}

    family, example_batch = REGISTRY["gan"], {"point": np.zeros((1, 1), np.float32)}
    model = family.build(family.config(hidden=(), latent_dim=1, ema=0.9), example_batch)
    state = model.init(jax.random.key(0), example_batch)
    assert jax.tree.structure(state.params["generator"]) == jax.tree.structure(affine(1.0, MEAN))
    state = state.replace(
        params=state.params | {"generator": affine(1.0, MEAN)}, ema={"generator": {"params": affine(0.1, -MEAN)}}
    )
    inputs = on_points(model._replace(evaluate=optimal_evaluate), "gaussian_1d", add_seed_axis(state))
    section = optimal_discriminator(inputs)
    assert section.metrics["probability_error"][0] < 0.02
    assert section.metrics["optimal_value"][0] == pytest.approx(optimal_value(), abs=0.01)
    assert "not the moving average" in section.figures[0].caption
