import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats
from jax.test_util import check_grads

from jaxgen.losses import feature_similarity

REAL, RECONSTRUCTED = np.random.default_rng(0).normal(size=(2, 5, 4, 3)).astype(np.float32)


def test_feature_similarity_matches_scipy_gaussian_without_constant():
    density = scipy.stats.multivariate_normal(np.zeros(12)).logpdf(np.float64(REAL - RECONSTRUCTED).reshape(5, 12))
    constant = 12 / 2 * np.log(2 * np.pi)
    got = feature_similarity(jnp.asarray(REAL), jnp.asarray(RECONSTRUCTED))
    np.testing.assert_allclose(got, -density - constant, rtol=1e-5)


def test_equal_features_have_zero_loss_and_gradient():
    value, gradient = jax.value_and_grad(lambda x: feature_similarity(jnp.asarray(REAL), x).sum())(jnp.asarray(REAL))
    assert value == 0.0
    assert not gradient.any()


def test_gradients_match_finite_differences():
    with jax.enable_x64(True):
        arguments = (jnp.asarray(REAL, jnp.float64), jnp.asarray(RECONSTRUCTED, jnp.float64))
        check_grads(jax.jit(feature_similarity), arguments, order=2)
