from typing import get_args

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from jaxgen.models.likelihood import LIKELIHOODS, LikelihoodName

DECODED = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
LOG_SCALE = -0.7

DISTRIBUTIONS = {
    "bernoulli": scipy.stats.bernoulli(scipy.special.expit(np.float64(DECODED))),
    "gaussian": scipy.stats.norm(np.float64(DECODED), np.exp(LOG_SCALE)),
    "laplace": scipy.stats.laplace(np.float64(DECODED), np.exp(LOG_SCALE)),
}
"""Name -> the distribution p(x|z) in SciPy, given the decoder's output."""


def test_likelihoods_are_those_of_the_type_of_names() -> None:
    assert set(LIKELIHOODS) == set(get_args(LikelihoodName)) == set(DISTRIBUTIONS)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_mean_matches_scipy(name: str) -> None:
    np.testing.assert_allclose(LIKELIHOODS[name].mean(jnp.asarray(DECODED)), DISTRIBUTIONS[name].mean(), rtol=1e-5)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_nll_matches_scipy(name: str) -> None:
    x = DISTRIBUTIONS[name].rvs(random_state=np.random.default_rng(1)).astype(np.float32)
    distribution = DISTRIBUTIONS[name]
    log_likelihood = distribution.logpmf(x) if name == "bernoulli" else distribution.logpdf(np.float64(x))
    nll = LIKELIHOODS[name].nll(jnp.asarray(DECODED), jnp.asarray(x), jnp.float32(LOG_SCALE))
    np.testing.assert_allclose(nll, -log_likelihood.sum(axis=1), rtol=1e-5)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_nll_depends_on_scale_only_where_scaled(name: str) -> None:
    arguments = jnp.asarray(DECODED), jnp.ones_like(DECODED)
    narrow, wide = (LIKELIHOODS[name].nll(*arguments, jnp.float32(scale)) for scale in (-1.0, 1.0))
    assert np.array_equal(narrow, wide) != LIKELIHOODS[name].scaled
