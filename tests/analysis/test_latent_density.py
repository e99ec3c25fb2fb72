"""Discrepancy of latents and prior against the closed form of Gaussians, and fits of known mixtures."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.analysis import LatentDensity, aggregate_posterior_mmd, fit_latent_density
from jaxgen.data.synthetic import gaussian_mixture
from jaxgen.errors import InputError


def mmd_of_gaussians(mean, scale):
    """Squared MMD of N(mean, scale^2 I) and N(0, I) for the Gaussian kernel of bandwidth sqrt(2 dim)."""
    dim = len(mean)
    squared = 2 * dim

    def expected(variance, distance):
        return (squared / (squared + variance)) ** (dim / 2) * np.exp(-(distance**2) / (2 * (squared + variance)))

    return expected(2 * scale**2, 0) + expected(2, 0) - 2 * expected(1 + scale**2, np.linalg.norm(mean))


@pytest.mark.parametrize(("shift", "scale", "dim"), [(0.0, 1.0, 20), (1.0, 1.0, 4), (0.0, 3.0, 2), (0.5, 0.2, 8)])
def test_mean_discrepancy_of_gaussians_matches_closed_form(shift, scale, dim):
    def draw(key):
        latent_key, prior_key = jax.random.split(key)
        latents = shift + scale * jax.random.normal(latent_key, (200, dim))
        return aggregate_posterior_mmd(prior_key, latents, kernel="rbf")

    values = np.float64(jax.jit(lambda keys: jax.lax.map(draw, keys))(jax.random.split(jax.random.key(0), 25)))
    want = mmd_of_gaussians(np.full(dim, shift), scale)
    assert abs(values.mean() - want) < 4 * values.std() / 5
    assert values.std() / 5 < 0.01


def test_narrow_and_wide_latents_have_a_larger_discrepancy_than_samples_of_the_prior():
    draws = jax.random.normal(jax.random.key(1), (1000, 8))
    values = [aggregate_posterior_mmd(jax.random.key(0), scale * draws) for scale in (1.0, 0.5, 3.0)]
    assert abs(values[0]) < 0.003
    assert min(values[1:]) > 0.03


MIXTURE = gaussian_mixture(
    jnp.array([[-4.0, 1.0], [0.0, 0.0], [3.0, 3.0]]), jnp.array([0.5, 1.0, 0.2]), jnp.array([2.0, 5.0, 3.0])
)


def test_fit_recovers_the_mixture_of_the_latents():
    density = fit_latent_density(MIXTURE.sample(jax.random.key(0), 20_000)["point"], components=3)
    order = np.argsort(density.means[:, 0])
    np.testing.assert_allclose(density.weights[order], [0.2, 0.5, 0.3], atol=0.01)
    np.testing.assert_allclose(density.means[order], MIXTURE.centers, atol=0.03)
    covariances = density.factors @ density.factors.swapaxes(1, 2)
    want = np.array([0.5, 1.0, 0.2])[:, None, None] ** 2 * np.eye(2)
    np.testing.assert_allclose(covariances[order], want, atol=0.03)


def test_draws_have_the_moments_of_the_mixture():
    factors = jnp.array([[[1.0, 0.0], [0.8, 0.3]], [[0.2, 0.0], [-0.5, 2.0]]])
    density = LatentDensity(jnp.array([0.25, 0.75]), jnp.array([[1.0, 2.0], [-3.0, 0.0]]), factors)
    draws = np.float64(jax.jit(density.sample, static_argnums=1)(jax.random.key(0), 400_000))
    mean = 0.25 * np.array([1, 2]) + 0.75 * np.array([-3, 0])
    seconds = [np.outer(m, m) + f @ f.T for m, f in zip(np.float64(density.means), np.float64(factors), strict=True)]
    np.testing.assert_allclose(draws.mean(axis=0), mean, atol=0.02)
    np.testing.assert_allclose(np.cov(draws.T), 0.25 * seconds[0] + 0.75 * seconds[1] - np.outer(mean, mean), atol=0.05)


def test_samples_of_the_fit_have_the_log_density_of_the_latents_and_samples_of_the_prior_do_not():
    latents = MIXTURE.sample(jax.random.key(0), 5000)["point"]
    samples = fit_latent_density(latents, components=5).sample(jax.random.key(1), 5000)
    mean = lambda points: float(jnp.mean(MIXTURE.log_density(points)))  # noqa: E731
    assert abs(mean(samples) - mean(latents)) < 0.1
    assert mean(jax.random.normal(jax.random.key(2), (5000, 2))) < mean(latents) - 0.5


def test_fit_is_equivariant_to_scaling():
    latents = np.float64(MIXTURE.sample(jax.random.key(0), 2000)["point"])
    fit, small = fit_latent_density(latents, components=3), fit_latent_density(1e-5 * latents, components=3)
    np.testing.assert_allclose(small.means, 1e-5 * fit.means, rtol=1e-3, atol=1e-9)
    np.testing.assert_allclose(small.factors, 1e-5 * fit.factors, rtol=1e-3, atol=1e-9)


def test_fit_of_degenerate_latents_on_a_line():
    line = np.random.default_rng(0).normal(size=(200, 1)) * np.array([[1.0, 2.0, 0.0]])
    samples = fit_latent_density(line, components=1).sample(jax.random.key(0), 1000)
    np.testing.assert_allclose(samples[:, 1], 2 * samples[:, 0], atol=0.02)
    np.testing.assert_allclose(samples[:, 2], 0, atol=0.01)


@pytest.mark.parametrize(
    ("latents", "message"),
    [
        (np.zeros((5, 2)), "components must be from 1 to the number of latents, 5, got 10"),
        (np.zeros((50, 2)), "latents must be finite and not all equal, got a mean variance of"),
        (np.full((50, 2), np.nan), "latents must be finite and not all equal, got a mean variance of"),
        (np.zeros(50), r"latents must be an array of numbers \[n, dim\], got float64 of shape \(50,\)"),
    ],
)
def test_latents_without_a_fit_raise(latents, message):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=message):
            fit_latent_density(latents)


def test_invalid_latents_and_kernels_raise():
    with pytest.raises(ValueError, match=r"latents must be an array of numbers \[n, dim\], got float32 of"):
        aggregate_posterior_mmd(jax.random.key(0), jnp.zeros((3, 2, 2)))
    with pytest.raises(InputError, match="there is no kernel 'gauss'"):
        aggregate_posterior_mmd(jax.random.key(0), jnp.zeros((3, 2)), kernel="gauss")
