import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats
from jax.test_util import check_grads

from jaxgen.divergences import kl_standard_normal


@pytest.mark.parametrize(("mean", "log_var"), [(0.0, 0.0), (1.5, 0.0), (0.0, -2.0), (-0.7, 1.2), (3.0, -4.0)])
def test_it_is_the_integral_that_defines_it(mean, log_var):
    p, q = scipy.stats.norm(mean, np.exp(log_var / 2)), scipy.stats.norm(0, 1)
    integral, _ = scipy.integrate.quad(
        lambda x: p.pdf(x) * (p.logpdf(x) - q.logpdf(x)), mean - 12 * p.std(), mean + 12 * p.std(), epsabs=1e-12
    )
    got = kl_standard_normal(jnp.array([[mean]], jnp.float32), jnp.array([[log_var]], jnp.float32))
    np.testing.assert_allclose(got[0], integral, rtol=1e-5, atol=1e-9)


def test_events_are_summed():
    mean, log_var = np.random.default_rng(0).normal(size=(2, 5, 4, 3)).astype(np.float32)
    m, v = np.float64(mean), np.exp(np.float64(log_var))
    want = 0.5 * (m**2 + v - 1 - np.log(v)).sum(axis=(1, 2))
    np.testing.assert_allclose(kl_standard_normal(jnp.asarray(mean), jnp.asarray(log_var)), want, rtol=1e-5)


@pytest.mark.parametrize("log_var", [1e-12, 1e-6, -1e-4, 3e-3, -0.1, 0.499, 0.501, -0.6])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-14)])
def test_a_posterior_near_the_prior_keeps_its_digits(log_var, dtype, tolerance):
    exact_log_var = float(dtype(log_var))
    # The series of exp(x) - 1 - x in exact enough arithmetic: forty terms, smallest first.
    terms = np.cumprod([exact_log_var / n for n in range(1, 41)], dtype=np.longdouble)[1:]
    want = 0.5 * float(np.sum(terms[::-1]))
    with jax.enable_x64(True):
        got = kl_standard_normal(jnp.zeros((1, 1), dtype), jnp.full((1, 1), log_var, dtype))
    np.testing.assert_allclose(np.float64(got[0]), want, rtol=tolerance, atol=0)


def test_extreme_variances_have_the_right_value_and_a_finite_gradient():
    log_var = jnp.array([[-1e4, 0.0, 80.0]])
    value, gradient = jax.value_and_grad(lambda v: kl_standard_normal(jnp.zeros((1, 3)), v).sum())(log_var)
    np.testing.assert_allclose(value, 0.5 * (1e4 - 1 + np.exp(80.0) - 81), rtol=1e-5)
    np.testing.assert_allclose(gradient, [[-0.5, 0.0, 0.5 * np.exp(80.0)]], rtol=1e-5)


def test_gradients_are_those_of_finite_differences():
    with jax.enable_x64(True):
        mean, log_var = jnp.asarray(np.random.default_rng(1).normal(size=(2, 3, 4)))
        check_grads(jax.jit(kl_standard_normal), (mean, log_var), order=2)
