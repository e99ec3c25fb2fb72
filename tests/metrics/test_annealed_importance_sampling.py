"""Annealed importance sampling of linear Gaussian models, whose likelihood and posterior are known."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.metrics import (
    annealed_importance_sampling,
    bidirectional_bounds,
    reverse_annealed_importance_sampling,
    sigmoid_schedule,
)
from tests.metrics.linear_model import LinearModel

KEY = jax.random.key(0)
STANDARD_ERRORS = 5.0

RNG = np.random.default_rng(0)
W, B, S = RNG.normal(size=(3, 5)), RNG.normal(size=5), 0.5
Z = RNG.normal(size=(400, 3))
SIMULATED = LinearModel(W, B, S, Z @ W + B + S * RNG.normal(size=(400, 5)))


@pytest.fixture(scope="module")
def errors() -> dict[int, np.ndarray]:
    """Temperatures -> lower and upper bounds minus log p(x) of examples that are drawn from the model."""

    @partial(jax.jit, static_argnums=0)
    def bounds(temperatures):
        return bidirectional_bounds(
            KEY,
            SIMULATED.log_likelihood,
            np.float32(Z),
            chains=4,
            temperatures=temperatures,
            leapfrog_steps=5,
            step_size=0.2,
        )

    return {temperatures: np.float64(bounds(temperatures)) - SIMULATED.log_p for temperatures in (15, 200)}


def test_the_likelihood_is_between_the_bounds_in_expectation(errors) -> None:
    for lower, upper in errors.values():
        assert lower.mean() < 0 < upper.mean()


def test_the_gap_shrinks_with_the_number_of_temperatures(errors) -> None:
    wide, narrow = (np.mean(errors[temperatures][1] - errors[temperatures][0]) for temperatures in (15, 200))
    assert wide > 1
    assert 0 < narrow < wide / 4


def test_the_estimate_of_the_likelihood_is_unbiased_in_both_directions() -> None:
    """The means of w / p(x) and, in reverse, of p(x) / w over chains and examples are 1, however few temperatures."""
    model, options = SIMULATED._replace(x=SIMULATED.x[:5]), {"temperatures": 20, "leapfrog_steps": 3, "step_size": 0.2}
    forward = jax.jit(
        lambda: (
            annealed_importance_sampling(
                KEY, model.log_likelihood, batch=5, latent_dim=3, chains=5000, **options
            ).log_weights
        )
    )()
    ratios = np.exp(np.float64(forward) - model.log_p)
    assert np.all(np.abs(ratios.mean(axis=0) - 1) < STANDARD_ERRORS * ratios.std(axis=0) / math.sqrt(5000))
    assert np.all(ratios.std(axis=0) > 0.1)

    # One chain from each draw of the posterior: the draws of one example may not be shared by its chains here.
    mean, covariance = model.posterior
    draws = mean[0] + RNG.multivariate_normal(np.zeros(3), covariance, size=5000)
    repeated = model._replace(x=np.tile(model.x[:1], (5000, 1)))
    reverse = jax.jit(
        lambda: (
            reverse_annealed_importance_sampling(
                KEY, repeated.log_likelihood, np.float32(draws), chains=1, **options
            ).log_likelihood
        )
    )()
    ratios = np.exp(repeated.log_p - np.float64(reverse))
    assert abs(ratios.mean() - 1) < STANDARD_ERRORS * ratios.std() / math.sqrt(5000)
    assert ratios.std() > 0.1


def test_chains_end_in_the_posterior() -> None:
    model = SIMULATED._replace(x=SIMULATED.x[:2])
    found = jax.jit(
        lambda: annealed_importance_sampling(
            KEY, model.log_likelihood, batch=2, latent_dim=3, chains=4000, temperatures=200, step_size=0.2
        )
    )()
    mean, covariance = model.posterior
    for number in range(2):
        latents = np.float64(found.latents[:, number])
        np.testing.assert_allclose(latents.mean(axis=0), mean[number], atol=0.05)
        np.testing.assert_allclose(np.cov(latents.T), covariance, atol=0.02)
    assert np.mean(found.acceptance) == pytest.approx(0.65, abs=0.1)


def test_proposals_without_a_likelihood_are_rejected() -> None:
    def log_likelihood(z):
        return jnp.where(z[:, 0] > 0, -0.5 * z[:, 1] ** 2, jnp.nan)

    found = reverse_annealed_importance_sampling(
        KEY, log_likelihood, np.float32([[1.0, 0.0]]), chains=8, temperatures=30, step_size=0.5
    )
    assert np.all(np.isfinite(found.log_weights))
    assert np.all(found.latents[:, :, 0] > 0)


def test_schedule_is_symmetric_and_slow_at_both_ends() -> None:
    exponents = sigmoid_schedule(100)
    np.testing.assert_allclose(exponents + exponents[::-1], 1, atol=1e-12)
    assert (exponents[0], exponents[-1]) == (0, 1)
    steps = np.diff(exponents)
    assert np.all(steps > 0)
    # The derivative of the sigmoid is 1/4 at 0 and s(4) (1 - s(4)) at its end.
    assert steps[50] / steps[0] == pytest.approx(0.25 / 0.01766, rel=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"chains": 0}, "chains must be at least 1, got 0"),
        ({"temperatures": 2.5}, "temperatures must be an integer, got float 2.5"),
        ({"leapfrog_steps": -1}, "leapfrog_steps must be at least 1, got -1"),
        ({"batch": 0}, "batch must be at least 1, got 0"),
        ({"step_size": math.nan}, "step_size must be at least 0.0001 and below 0.5, got nan"),
        ({"log_likelihood": lambda z: z.sum()}, r"one number for each of 4 latents, got \(\)"),
        ({"key": 0}, "key must be a typed PRNG key"),
    ],
)
def test_wrong_arguments_are_refused(options, message) -> None:
    given = {"key": KEY, "log_likelihood": lambda z: z[:, 0], "batch": 4, "latent_dim": 2, **options}
    with pytest.raises(ValueError, match=message):
        annealed_importance_sampling(given.pop("key"), given.pop("log_likelihood"), **given)


def test_draws_of_the_posterior_must_be_a_matrix() -> None:
    for posterior in (np.zeros(3, np.float32), np.zeros((0, 3), np.float32)):
        with pytest.raises(ValueError, match=r"posterior must be \[batch, latent\] of at least 1 example"):
            bidirectional_bounds(KEY, lambda z: z[:, 0], posterior)
