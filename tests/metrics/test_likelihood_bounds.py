"""Bounds of likelihoods of linear Gaussian models, whose likelihood is known, and of posteriors against float64."""

import math
from collections.abc import Iterator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from jaxgen.errors import InputError
from jaxgen.metrics import active_units, importance_weighted_bound, mutual_information, rate_distortion
from jaxgen.typing import Array
from tests.metrics.linear_model import LinearModel

KEY = jax.random.key(0)
STANDARD_ERRORS = 5.0


RNG = np.random.default_rng(0)
MODEL = LinearModel(RNG.normal(size=(2, 4)), RNG.normal(size=4), 0.6, RNG.normal(size=(6, 4)))
MEAN = np.float32(MODEL.posterior[0] + 0.3)
LOG_VAR = np.full((6, 2), -0.5, np.float32)

bounds = jax.jit(
    lambda keys, k: jax.vmap(lambda key: importance_weighted_bound(key, MEAN, LOG_VAR, MODEL.log_likelihood, k=k))(
        keys
    ),
    static_argnums=1,
)


def noise(key: Array, shape: tuple[int, ...]) -> np.ndarray:
    return np.float64(jax.random.normal(key, shape))


@pytest.mark.parametrize("chunk", [1, 3, 7, None])
def test_bound_is_that_of_float64_for_chunks_of_any_size(chunk: int | None) -> None:
    found = importance_weighted_bound(KEY, MEAN, LOG_VAR, MODEL.log_likelihood, k=7, chunk=chunk)
    z = np.stack([MEAN + np.exp(LOG_VAR / 2) * noise(jax.random.fold_in(KEY, i), (6, 2)) for i in range(7)])
    log_q = stats.norm(MEAN, np.exp(LOG_VAR.astype(float) / 2)).logpdf(z).sum(axis=-1)
    log_weights = MODEL.log_likelihood_64(z) + stats.norm.logpdf(z).sum(axis=-1) - log_q
    np.testing.assert_allclose(found, special.logsumexp(log_weights, axis=0) - np.log(7), rtol=1e-5)


def test_bound_from_the_true_posterior_is_the_log_likelihood_for_every_k() -> None:
    # Rows of W that are orthogonal make the posterior covariance diagonal.
    model = MODEL._replace(w=np.array([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 2.0, -1.0]]))
    mean, covariance = model.posterior
    log_var = np.tile(np.log(np.diag(covariance)), (6, 1)).astype(np.float32)
    for k in (1, 4):
        found = importance_weighted_bound(KEY, np.float32(mean), log_var, model.log_likelihood, k=k)
        np.testing.assert_allclose(found, model.log_p, rtol=1e-5)


def test_bound_of_one_draw_is_the_evidence_lower_bound_and_it_grows_with_k_to_the_log_likelihood() -> None:
    keys = jax.random.split(KEY, 4000)
    single, few = (np.float64(bounds(keys, k)) for k in (1, 5))
    many = np.float64(bounds(keys[:1], 20_000)[0])
    mean, covariance = MODEL.posterior
    precision = np.linalg.inv(covariance)
    gap = MEAN - mean
    divergence = 0.5 * (
        np.exp(LOG_VAR) @ np.diag(precision)
        + np.einsum("ni,ij,nj->n", gap, precision, gap)
        - 2
        - LOG_VAR.sum(axis=1)
        - np.linalg.slogdet(precision).logabsdet
    )
    error = single.std(axis=0) / math.sqrt(len(keys))
    assert np.all(np.abs(single.mean(axis=0) - (MODEL.log_p - divergence)) < STANDARD_ERRORS * error)
    assert np.all(single.mean(axis=0) + 0.1 < few.mean(axis=0))
    assert np.all(few.mean(axis=0) < MODEL.log_p)
    np.testing.assert_allclose(many, MODEL.log_p, atol=0.05)


def test_bound_of_impossible_examples_is_minus_infinity() -> None:
    found = importance_weighted_bound(KEY, MEAN, LOG_VAR, lambda z: jnp.full(len(z), -jnp.inf), k=3)
    assert np.all(found == -np.inf)


def test_rate_and_distortion_have_their_closed_forms() -> None:
    found = rate_distortion(KEY, MEAN, LOG_VAR, MODEL.log_likelihood, k=20_000)
    variance = np.exp(np.float64(LOG_VAR))
    rate = 0.5 * np.sum(variance + np.float64(MEAN) ** 2 - 1 - LOG_VAR, axis=1)
    np.testing.assert_allclose(found.rate, rate, rtol=1e-5)
    # The mean of a quadratic form of a normal vector is that at its mean and the trace with its covariance.
    spread = 0.5 * variance @ np.square(MODEL.w).sum(axis=1) / MODEL.s**2
    np.testing.assert_allclose(found.distortion, spread - MODEL.log_likelihood_64(np.float64(MEAN)), rtol=0.01)


def test_mutual_information_is_that_of_float64_with_the_same_draws() -> None:
    mean, log_var = RNG.normal(size=(50, 3)), RNG.normal(size=(50, 3)) - 1
    found = mutual_information(KEY, np.float32(mean), np.float32(log_var))
    deviation = np.exp(log_var / 2)
    z = mean + deviation * noise(KEY, (50, 3))
    log_q = stats.norm(mean, deviation).logpdf(z[:, None]).sum(axis=-1)
    expected = np.mean(np.diag(log_q) - special.logsumexp(log_q, axis=1) + math.log(50))
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_mutual_information_is_that_of_a_gaussian_channel() -> None:
    """1/2 log(1 + signal / noise), Cover & Thomas, theorem 9.1.1; and 0 where all posteriors are the prior."""
    mean = np.random.default_rng(1).normal(size=(4000, 1)).astype(np.float32)
    estimate = jax.jit(partial(mutual_information, KEY))
    assert float(estimate(mean, np.full((4000, 1), math.log(0.5), np.float32))) == pytest.approx(
        0.5 * math.log(3), abs=0.03
    )
    zero = np.zeros((4000, 1), np.float32)
    assert float(estimate(zero, zero)) == pytest.approx(0, abs=1e-5)


def test_mutual_information_computes_no_array_of_more_than_16_mb() -> None:
    """Of 2,000 examples and 50 latents, all differences of latents and means take 800 MB."""

    def sizes(jaxpr) -> Iterator[int]:
        for equation in jaxpr.eqns:
            yield from (output.aval.size for output in equation.outvars)
            for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda leaf: hasattr(leaf, "eqns")):
                if hasattr(inner, "eqns"):
                    yield from sizes(inner)

    posterior = jax.ShapeDtypeStruct((2000, 50), jnp.float32)
    assert 2**20 < max(sizes(jax.make_jaxpr(partial(mutual_information, KEY))(posterior, posterior))) <= 2**22


def test_active_units_are_those_whose_mean_varies() -> None:
    means = RNG.normal(size=(1000, 4)) * np.sqrt([0.02, 0.005, 1.0, 0.0]) + 100
    assert int(active_units(np.float32(means))) == 2
    assert int(active_units(np.float32(means), threshold=0.001)) == 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: importance_weighted_bound(0, MEAN, LOG_VAR, f), "key must be a typed PRNG key"),
        (lambda f: importance_weighted_bound(KEY, MEAN, LOG_VAR[:5], f), "shapes must be equal, got mean"),
        (lambda f: importance_weighted_bound(KEY, MEAN[0], LOG_VAR[0], f), r"mean and log_var must be \[batch, latent"),
        (lambda f: importance_weighted_bound(KEY, MEAN[:0], LOG_VAR[:0], f), "of at least 1 example"),
        (lambda f: importance_weighted_bound(KEY, MEAN, LOG_VAR, f, k=0), "k must be at least 1, got 0"),
        (lambda f: importance_weighted_bound(KEY, MEAN, LOG_VAR, f, k=2.5), "k must be an integer, got float 2.5"),
        (lambda f: importance_weighted_bound(KEY, MEAN, LOG_VAR, f, chunk=0), "chunk must be at least 1, got 0"),
        (lambda f: importance_weighted_bound(KEY, MEAN, LOG_VAR, lambda z: z), "one number for each of 6 latents, got"),
        (lambda f: rate_distortion(KEY, MEAN, LOG_VAR, f, k=-1), "k must be at least 1, got -1"),
        (lambda f: mutual_information(KEY, MEAN, LOG_VAR.T), "shapes must be equal"),
        (lambda f: active_units(MEAN[:1]), "of at least 2 examples, got shape"),
        (lambda f: active_units(MEAN, threshold=-1.0), "threshold must be finite and at least 0, got -1"),
    ],
)
def test_wrong_arguments_are_refused(call, message) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        call(MODEL.log_likelihood)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, InputError) or "shape" in message or "example" in message or "latent" in message
