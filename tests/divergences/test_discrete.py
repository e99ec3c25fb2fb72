import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from jax.scipy.special import xlogy

from jaxgen import divergences

# Jitted: running operation by operation would take most of the time of these tests.
chi_square, cross_entropy, entropy, hellinger, js, kl, total_variation = (
    jax.jit(function, static_argnames="axis")
    for function in (
        divergences.chi_square,
        divergences.cross_entropy,
        divergences.entropy,
        divergences.hellinger,
        divergences.js,
        divergences.kl,
        divergences.total_variation,
    )
)
renyi = jax.jit(divergences.renyi, static_argnames=("alpha", "axis"))
f_divergence = jax.jit(divergences.f_divergence, static_argnames=("generator", "derivative_at_infinity"))

BINOMIAL = np.float32([0.36, 0.48, 0.16])
UNIFORM = np.full(3, 1 / 3, np.float32)
DISJOINT = np.float32([0.5, 0.5, 0.0, 0.0]), np.float32([0.0, 0.0, 0.25, 0.75])
RANDOM = np.float32(np.random.default_rng(0).dirichlet(np.ones(6), size=(2, 50)))
OF_TWO = [kl, js, total_variation, hellinger, chi_square, cross_entropy, functools.partial(renyi, alpha=0.5)]


@functools.cache
def value_and_gradient(divergence):
    """Return the compiled divergence with its gradient by q."""
    return jax.jit(jax.value_and_grad(divergence, 1))


def gradient_by_q(divergence, p, q):
    return np.asarray(value_and_gradient(divergence)(p, q)[1])


def test_kl_and_js_of_binomial_and_uniform_distribution():
    np.testing.assert_allclose(BINOMIAL, scipy.stats.binom(2, 0.4).pmf([0, 1, 2]), rtol=1e-6)
    np.testing.assert_allclose(kl(BINOMIAL, UNIFORM), 0.0852996, rtol=1e-6)
    np.testing.assert_allclose(kl(UNIFORM, BINOMIAL), 0.097455, rtol=1e-5)
    # A calculation by hand with three decimals may give 0.02095.
    np.testing.assert_allclose([js(BINOMIAL, UNIFORM), js(UNIFORM, BINOMIAL)], 0.0224599, rtol=1e-5)


def test_divergence_of_disjoint_point_masses_does_not_depend_on_distance():
    cells = np.eye(6, dtype=np.float32)
    for theta in (4, 5):
        assert kl(cells[0], cells[theta]) == jnp.inf
        assert js(cells[0], cells[theta]) == jnp.float32(math.log(2))
        # The gradient is the same for all cells where p is 0: it does not depend on their distance.
        gradient = gradient_by_q(js, cells[0], cells[theta])
        assert (gradient[1:] == gradient[1]).all()
    assert kl(cells[0], cells[0]) == js(cells[0], cells[0]) == 0.0


def test_values_for_disjoint_distributions():
    p, q = DISJOINT
    assert js(p, q) == jnp.float32(math.log(2))
    assert total_variation(p, q) == 1.0
    assert hellinger(p, q) == 1.0
    for divergence in (
        kl,
        chi_square,
        cross_entropy,
        *(functools.partial(renyi, alpha=a) for a in (0, 0.5, 2, math.inf)),
    ):
        assert divergence(p, q) == jnp.inf


@pytest.mark.parametrize("divergence", [kl, js, total_variation, hellinger, chi_square])
def test_equal_distributions_have_zero_divergence_and_gradient(divergence):
    value, gradient = value_and_gradient(divergence)(BINOMIAL, BINOMIAL)
    assert value == 0.0
    # A constant added to the gradient, such as KL's -1, has no effect along the simplex.
    np.testing.assert_allclose(gradient - np.mean(gradient), 0.0, atol=1e-6)


def test_kl_and_js_are_accurate_for_near_distributions():
    # Exact in single precision. The divergences, 1e-7, would be lost in a difference of entropies.
    p, q = np.array([0.25, 0.25, 0.5]), np.array([0.25 + 2.0**-13, 0.25 - 2.0**-13, 0.5])
    a, b = np.longdouble(p), np.longdouble(q)
    middle = (a + b) / 2
    of_kl = np.sum(b * np.log(b / a))
    of_js = np.sum(a * np.log(a / middle) + b * np.log(b / middle)) / 2
    p, q = np.float32(p), np.float32(q)
    np.testing.assert_allclose(kl(q, p), float(of_kl), rtol=1e-5)
    np.testing.assert_allclose(js(q, p), float(of_js), rtol=1e-5)


@pytest.mark.parametrize("divergence", OF_TWO)
def test_axis_selects_outcomes(divergence):
    p, q = RANDOM
    np.testing.assert_allclose(divergence(p.T, q.T, axis=0), divergence(p, q), rtol=1e-6)
    assert divergence(p[None], q[None], axis=-1).shape == (1, 50)
    with pytest.raises(ValueError, match=r"axis must be an axis of p, got axis 2 and p \(50, 6\)"):
        divergence(p, q, axis=2)


def test_inequalities_between_divergences_hold():
    p, q = RANDOM
    of_kl, of_js, of_chi_square, of_hellinger, of_total_variation = (
        np.asarray(divergence(p, q)) for divergence in (kl, js, chi_square, hellinger, total_variation)
    )
    assert (of_total_variation <= np.sqrt(of_kl / 2)).all()  # Pinsker
    assert (of_hellinger**2 <= of_total_variation).all()
    assert (of_total_variation <= math.sqrt(2) * of_hellinger).all()
    assert (of_kl <= np.log1p(of_chi_square)).all()
    assert (of_js <= math.log(2)).all()
    alphas = (0.0, 0.3, 0.9, 1.0, 1.1, 2.0, 20.0, math.inf)
    orders = jax.jit(lambda p, q: [renyi(p, q, alpha=alpha) for alpha in alphas])(p, q)
    for lower, higher in itertools.pairwise(map(np.asarray, orders)):
        assert (lower <= higher + 1e-5).all()


def test_renyi_special_orders():
    p, q = RANDOM
    of_hellinger, of_chi_square = np.asarray(hellinger(p, q)), np.asarray(chi_square(p, q))
    np.testing.assert_allclose(renyi(p, q, alpha=0.5), -2 * np.log1p(-(of_hellinger**2)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(renyi(p, q, alpha=2.0), np.log1p(of_chi_square), rtol=1e-5)
    np.testing.assert_allclose(renyi(p, q, alpha=0.999), kl(p, q), rtol=1e-2)
    np.testing.assert_array_equal(renyi(p, q, alpha=1.0), kl(p, q))
    # If q covers all outcomes of p, order 0 measures the mass of q where p is 0; if not, orders from 1 on are infinite.
    p, q = np.float32([1.0, 0.0]), np.float32([0.25, 0.75])
    np.testing.assert_allclose(renyi(p, q, alpha=0.0), math.log(4), rtol=1e-6)
    np.testing.assert_allclose(renyi(q, p, alpha=0.5), math.log(4), rtol=1e-6)
    assert renyi(q, p, alpha=1.0) == jnp.inf
    with pytest.raises(ValueError, match="alpha must be at least 0, got -1"):
        renyi(p, q, alpha=-1.0)


def test_renyi_vmaps_over_order():
    p, q = RANDOM[:, 0]
    swept = jax.jit(jax.vmap(lambda alpha: divergences.renyi(p, q, alpha=alpha)))(np.float32([0.5, 2.0]))
    np.testing.assert_allclose(swept, [renyi(p, q, alpha=0.5), renyi(p, q, alpha=2.0)], rtol=1e-6)


def test_kl_and_js_of_near_distributions_are_not_negative():
    logits = np.random.default_rng(0).normal(size=(1000, 8)).astype(np.float32)
    p, q = jax.jit(lambda logits: (jax.nn.softmax(logits), jax.nn.softmax(logits + 3.0)))(logits)
    assert 0 < np.abs(np.asarray(p) - np.asarray(q)).max() < 1e-6
    assert (np.asarray(kl(p, q)) >= 0).all()
    assert (np.asarray(js(p, q)) >= 0).all()


@pytest.mark.parametrize("divergence", [kl, js, cross_entropy])
def test_gradients_by_logits_are_accurate_for_peaked_softmax(divergence):
    # Probabilities down to 2e-35. With respect to the logits, all gradients are between -1 and the range of the logits.
    logits, p = np.float32([0.0, -80.0, -1.0]), np.float32([0.4, 0.2, 0.4])

    def loss(logits, swap):
        q = jax.nn.softmax(logits)
        return divergence(q, p) if swap else divergence(p, q)

    @jax.jit
    def gradients(logits):
        return [jax.grad(loss)(logits, swap=swap) for swap in (False, True)]

    with jax.enable_x64(True):
        exact = gradients(np.float64(logits))
    for gradient, wanted in zip(gradients(logits), exact, strict=True):
        np.testing.assert_allclose(gradient, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("divergence", [kl, js, hellinger, chi_square])
@pytest.mark.parametrize("rare", [1e-12, 1e-20, 1e-37])
def test_equal_distributions_with_rare_outcome_have_zero_gradient(divergence, rare):
    p = np.float32([0.5, 0.5, rare])
    gradient = gradient_by_q(divergence, p, p)
    np.testing.assert_allclose(gradient - gradient[0], 0.0, atol=1e-6)


def test_cross_entropy_is_entropy_plus_kl():
    p, q = RANDOM
    np.testing.assert_allclose(cross_entropy(p, q), np.asarray(entropy(p)) + np.asarray(kl(p, q)), rtol=1e-5)
    np.testing.assert_allclose(entropy(np.full(8, 1 / 8, np.float32)), math.log(8), rtol=1e-6)
    assert entropy(np.float32([0.0, 1.0])) == 0.0


def test_gradients_by_q_are_finite_for_deterministic_p():
    p, q = np.float32([1.0, 0.0, 0.0]), np.float32([0.25, 0.75, 0.0])
    # The gradient of kl is larger by 1, which has no effect along the simplex.
    assert gradient_by_q(kl, p, q)[:2].tolist() == [-3.0, 1.0]
    assert gradient_by_q(cross_entropy, p, q)[:2].tolist() == [-4.0, 0.0]
    assert np.isfinite(gradient_by_q(js, p, q)).all()


@pytest.mark.parametrize(
    ("generator", "limit", "named"),
    [
        (lambda t: xlogy(t, t), math.inf, kl),
        (lambda t: 0.5 * jnp.abs(t - 1), 0.5, total_variation),
        (lambda t: (t - 1) ** 2, math.inf, chi_square),
        (lambda t: 0.5 * (xlogy(t, t) - (t + 1) * jnp.log((t + 1) / 2)), math.log(2) / 2, js),
    ],
)
def test_f_divergence_matches_named_divergences(generator, limit, named):
    p, q = RANDOM
    np.testing.assert_allclose(f_divergence(p, q, generator, derivative_at_infinity=limit), named(p, q), rtol=1e-4)
    p, q = DISJOINT
    np.testing.assert_allclose(f_divergence(p, q, generator, derivative_at_infinity=limit), named(p, q), rtol=1e-6)


@pytest.mark.parametrize("alpha", [0.5, 2.0, math.inf])
def test_one_nan_among_many_outcomes_gives_nan(alpha):
    p = np.full(8192, 1 / 8192, np.float32)
    unknown = np.where(np.arange(8192) == 70, np.float32(np.nan), p)
    assert np.isnan(divergences.renyi(unknown, p, alpha=alpha))
