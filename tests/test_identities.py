"""Identities between densities, divergences and reparameterization, for a model with a closed-form solution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jaxgen.divergences import kl_multivariate_normal, kl_standard_normal
from jaxgen.divergences.gaussian import draw_normal
from jaxgen.losses import gaussian_nll

LATENT, SIZE, NOISE = 2, 3, 0.7
WEIGHTS = np.array([[1.0, -0.5], [0.3, 0.8], [-0.6, 0.2]])
X = np.array([0.4, -1.2, 0.9])
# The model is z ~ N(0, I), x ~ N(W z, NOISE^2 I), so that x ~ N(0, W W' + NOISE^2 I), and p(z|x) is normal as well.
POSTERIOR_COVARIANCE = np.linalg.inv(np.eye(LATENT) + WEIGHTS.T @ WEIGHTS / NOISE**2)
POSTERIOR_MEAN = POSTERIOR_COVARIANCE @ WEIGHTS.T @ X / NOISE**2
LOG_EVIDENCE = scipy.stats.multivariate_normal(np.zeros(SIZE), WEIGHTS @ WEIGHTS.T + NOISE**2 * np.eye(SIZE)).logpdf(X)
POSTERIORS = {
    "prior": ([0.0, 0.0], [0.0, 0.0]),
    "posterior mean and variances": (POSTERIOR_MEAN, np.log(np.diag(POSTERIOR_COVARIANCE))),
    "distant": ([2.0, -1.0], [-3.0, 1.0]),
}


def expected_nll(mean, log_var):
    """Return E_q[-log p(x|z)] for q = N(mean, diag exp(log_var)): the loss at the mean plus the variance of W z."""
    at_the_mean = gaussian_nll((WEIGHTS @ mean)[None], jnp.asarray(X)[None], log_scale=jnp.log(NOISE))[0]
    return at_the_mean + jnp.sum(jnp.asarray(WEIGHTS) ** 2 @ jnp.exp(log_var)) / (2 * NOISE**2)


@pytest.mark.parametrize(("mean", "log_var"), POSTERIORS.values(), ids=POSTERIORS)
def test_evidence_minus_kl_to_posterior_is_elbo(mean, log_var):
    # log p(x) - KL[q(z) || p(z|x)] = E_q log p(x|z) - KL[q(z) || p(z)]
    with jax.enable_x64(True):
        mean, log_var = jnp.asarray(mean), jnp.asarray(log_var)
        to_posterior = kl_multivariate_normal(
            mean, jnp.diag(jnp.exp(log_var)), jnp.asarray(POSTERIOR_MEAN), jnp.asarray(POSTERIOR_COVARIANCE)
        )
        elbo = -expected_nll(mean, log_var) - kl_standard_normal(mean[None], log_var[None])[0]
        np.testing.assert_allclose(LOG_EVIDENCE - to_posterior, elbo, rtol=1e-10)
        assert to_posterior > 0


def test_elbo_gradient_vanishes_at_optimal_diagonal_posterior():
    # Among diagonal q the optimum has the posterior's mean and the inverse of the diagonal of its precision.
    with jax.enable_x64(True):

        def bound(mean, log_var):
            return expected_nll(mean, log_var) + kl_standard_normal(mean[None], log_var[None])[0]

        optimum = jnp.asarray(POSTERIOR_MEAN), -jnp.log(jnp.diag(jnp.linalg.inv(jnp.asarray(POSTERIOR_COVARIANCE))))
        for gradient in jax.grad(bound, (0, 1))(*optimum):
            np.testing.assert_allclose(gradient, 0.0, atol=1e-10)
        assert bound(*optimum) > -LOG_EVIDENCE


def test_reparameterized_gradient_matches_score_function_gradient():
    # d/d(mean, log_var) E_q[f(z)]: by the reparameterized sample, or as E_q[f(z) grad log q(z)].
    mean, log_var = jnp.array([0.3, -0.8]), jnp.array([-0.5, 0.4])
    n = 200_000

    def f(z):
        return 0.5 * jnp.sum((z @ WEIGHTS.T - X) ** 2, axis=-1) / NOISE**2

    def through_the_sample(key):
        def loss(mean, log_var):
            return f(draw_normal(key, mean[None], log_var[None])[0])[0]

        return jnp.concatenate(jax.grad(loss, (0, 1))(mean, log_var))

    def by_the_score(key):
        z = draw_normal(key, mean[None], log_var[None])[0][0]

        def log_q(mean, log_var):
            return -gaussian_nll(mean[None], z[None], log_scale=0.5 * log_var[None])[0]

        return f(z) * jnp.concatenate(jax.grad(log_q, (0, 1))(mean, log_var))

    keys = jax.random.split(jax.random.key(0), n)
    pathwise, score = jax.jit(jax.vmap(through_the_sample))(keys), jax.jit(jax.vmap(by_the_score))(keys[::-1])
    standard_error = jnp.sqrt((pathwise.var(axis=0) + score.var(axis=0)) / n)
    assert (jnp.abs(pathwise.mean(axis=0) - score.mean(axis=0)) < 4 * standard_error).all()
    # Both estimate the gradient of the expectation, which has a closed form; the pathwise variance is smaller.
    exact = jnp.concatenate(jax.grad(expected_nll, (0, 1))(mean, log_var))
    for estimate in (pathwise, score):
        assert (jnp.abs(estimate.mean(axis=0) - exact) < 4 * estimate.std(axis=0) / jnp.sqrt(n)).all()
    assert (pathwise.var(axis=0) < score.var(axis=0)).all()
