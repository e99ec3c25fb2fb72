import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from jax.scipy.special import xlogy

from jaxgen.divergences import (
    chi_square,
    cross_entropy,
    entropy,
    f_divergence,
    hellinger,
    js,
    kl,
    renyi,
    total_variation,
)

BINOMIAL = jnp.array([0.36, 0.48, 0.16])
UNIFORM = jnp.full(3, 1 / 3)
DISJOINT = jnp.array([0.5, 0.5, 0.0, 0.0]), jnp.array([0.0, 0.0, 0.25, 0.75])
RANDOM = jnp.asarray(np.random.default_rng(0).dirichlet(np.ones(6), size=(2, 50)), jnp.float32)
OF_TWO = [kl, js, total_variation, hellinger, chi_square, cross_entropy, functools.partial(renyi, alpha=0.5)]


def test_the_binomial_and_the_uniform_distribution():
    np.testing.assert_allclose(BINOMIAL, scipy.stats.binom(2, 0.4).pmf([0, 1, 2]), rtol=1e-6)
    np.testing.assert_allclose(kl(BINOMIAL, UNIFORM), 0.0852996, rtol=1e-6)
    np.testing.assert_allclose(kl(UNIFORM, BINOMIAL), 0.097455, rtol=1e-5)
    # By hand with three decimals it is easily 0.02095.
    np.testing.assert_allclose([js(BINOMIAL, UNIFORM), js(UNIFORM, BINOMIAL)], 0.0224599, rtol=1e-5)


def test_two_disjoint_point_masses_are_equally_far_however_far_they_are():
    cells = jnp.eye(6)
    for theta in (4, 5):
        assert kl(cells[0], cells[theta]) == jnp.inf
        assert js(cells[0], cells[theta]) == jnp.float32(math.log(2))
        # All cells that p does not have look the same to the gradient: it does not say which of them are nearer.
        slope = jax.grad(js, 1)(cells[0], cells[theta])
        assert (slope[1:] == slope[1]).all()
    assert kl(cells[0], cells[0]) == js(cells[0], cells[0]) == 0.0


def test_what_disjoint_distributions_are_apart():
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
def test_equal_distributions_are_not_apart_and_pull_nowhere(divergence):
    value, slope = jax.value_and_grad(divergence, 1)(BINOMIAL, BINOMIAL)
    assert value == 0.0
    # Along the simplex: a common slope of all outcomes moves nothing, as KL's, -1, does.
    np.testing.assert_allclose(slope - slope.mean(), 0.0, atol=1e-6)


def test_near_distributions_keep_their_digits():
    # Exact in single precision; of the divergences, 1e-7, as the difference of entropies nothing would be left.
    p, q = np.array([0.25, 0.25, 0.5]), np.array([0.25 + 2.0**-13, 0.25 - 2.0**-13, 0.5])
    a, b = np.longdouble(p), np.longdouble(q)
    middle = (a + b) / 2
    of_kl = np.sum(b * np.log(b / a))
    of_js = np.sum(a * np.log(a / middle) + b * np.log(b / middle)) / 2
    p, q = jnp.asarray(p, jnp.float32), jnp.asarray(q, jnp.float32)
    np.testing.assert_allclose(kl(q, p), float(of_kl), rtol=1e-5)
    np.testing.assert_allclose(js(q, p), float(of_js), rtol=1e-5)


@pytest.mark.parametrize("divergence", OF_TWO)
def test_outcomes_may_be_on_any_axis(divergence):
    p, q = RANDOM
    np.testing.assert_allclose(divergence(p.T, q.T, axis=0), divergence(p, q), rtol=1e-6)
    assert divergence(p[None], q[None], axis=-1).shape == (1, 50)
    with pytest.raises(ValueError, match=r"no axis 2 of outcomes in p \(50, 6\)"):
        divergence(p, q, axis=2)


def test_the_inequalities_between_them_hold():
    p, q = RANDOM
    assert (total_variation(p, q) <= jnp.sqrt(kl(p, q) / 2)).all()  # Pinsker
    assert (hellinger(p, q) ** 2 <= total_variation(p, q)).all()
    assert (total_variation(p, q) <= math.sqrt(2) * hellinger(p, q)).all()
    assert (kl(p, q) <= jnp.log1p(chi_square(p, q))).all()
    assert (js(p, q) <= math.log(2)).all()
    orders = [renyi(p, q, alpha=alpha) for alpha in (0.0, 0.3, 0.9, 1.0, 1.1, 2.0, 20.0, math.inf)]
    for lower, higher in itertools.pairwise(orders):
        assert (lower <= higher + 1e-5).all()


def test_renyis_special_orders():
    p, q = RANDOM
    np.testing.assert_allclose(renyi(p, q, alpha=0.5), -2 * jnp.log1p(-(hellinger(p, q) ** 2)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(renyi(p, q, alpha=2.0), jnp.log1p(chi_square(p, q)), rtol=1e-5)
    np.testing.assert_allclose(renyi(p, q, alpha=0.999), kl(p, q), rtol=1e-2)
    assert (renyi(p, q, alpha=1.0) == kl(p, q)).all()
    # With all of p's outcomes among q's, order 0 counts what p never sees; with one of them missing, 1 decides.
    p, q = jnp.array([1.0, 0.0]), jnp.array([0.25, 0.75])
    np.testing.assert_allclose(renyi(p, q, alpha=0.0), math.log(4), rtol=1e-6)
    np.testing.assert_allclose(renyi(q, p, alpha=0.5), math.log(4), rtol=1e-6)
    assert renyi(q, p, alpha=1.0) == jnp.inf
    with pytest.raises(ValueError, match="alpha must be at least 0, got -1"):
        renyi(p, q, alpha=-1.0)


def test_the_order_may_be_swept():
    p, q = RANDOM[:, 0]
    swept = jax.vmap(lambda alpha: renyi(p, q, alpha=alpha))(jnp.array([0.5, 2.0]))
    np.testing.assert_allclose(swept, [renyi(p, q, alpha=0.5), renyi(p, q, alpha=2.0)], rtol=1e-6)


def test_near_distributions_are_never_less_than_nothing_apart():
    logits = jax.random.normal(jax.random.key(0), (1000, 8))
    p, q = jax.nn.softmax(logits), jax.nn.softmax(logits + 3.0)
    assert (kl(p, q) >= 0).all()
    assert (js(p, q) >= 0).all()


@pytest.mark.parametrize("divergence", [kl, js, cross_entropy])
def test_a_softmax_may_be_as_sure_as_it_likes(divergence):
    # Of probabilities down to 2e-35; by the logits, all slopes are between -1 and the logits' range.
    logits, p = jnp.array([0.0, -80.0, -1.0]), jnp.array([0.4, 0.2, 0.4])

    def loss(logits, swap=False):
        q = jax.nn.softmax(logits)
        return divergence(q, p) if swap else divergence(p, q)

    with jax.enable_x64(True):
        exact = [jax.grad(loss)(jnp.float64(logits), swap=swap) for swap in (False, True)]
    for swap in (False, True):
        np.testing.assert_allclose(jax.grad(loss)(logits, swap=swap), exact[swap], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("divergence", [kl, js, hellinger, chi_square])
@pytest.mark.parametrize("faint", [1e-12, 1e-20, 1e-37])
def test_equal_distributions_with_a_faint_outcome_pull_nowhere(divergence, faint):
    p = jnp.array([0.5, 0.5, faint])
    slope = jax.grad(divergence, 1)(p, p)
    np.testing.assert_allclose(slope - slope[0], 0.0, atol=1e-6)


def test_cross_entropy_is_entropy_and_divergence():
    p, q = RANDOM
    np.testing.assert_allclose(cross_entropy(p, q), entropy(p) + kl(p, q), rtol=1e-5)
    np.testing.assert_allclose(entropy(jnp.full(8, 1 / 8)), math.log(8), rtol=1e-6)
    assert entropy(jnp.array([0.0, 1.0])) == 0.0


def test_the_slopes_by_q_of_a_certain_p_are_finite():
    p, q = jnp.array([1.0, 0.0, 0.0]), jnp.array([0.25, 0.75, 0.0])
    # By kl one more, which along the simplex is nothing.
    assert jax.grad(kl, 1)(p, q)[:2].tolist() == [-3.0, 1.0]
    assert jax.grad(cross_entropy, 1)(p, q)[:2].tolist() == [-4.0, 0.0]
    assert np.isfinite(jax.grad(js, 1)(p, q)).all()


@pytest.mark.parametrize(
    ("generator", "slope", "named"),
    [
        (lambda t: xlogy(t, t), math.inf, kl),
        (lambda t: 0.5 * jnp.abs(t - 1), 0.5, total_variation),
        (lambda t: (t - 1) ** 2, math.inf, chi_square),
        (lambda t: 0.5 * (xlogy(t, t) - (t + 1) * jnp.log((t + 1) / 2)), math.log(2) / 2, js),
    ],
)
def test_generators_generate_the_named_divergences(generator, slope, named):
    p, q = RANDOM
    np.testing.assert_allclose(f_divergence(p, q, generator, slope_at_infinity=slope), named(p, q), rtol=1e-4)
    p, q = DISJOINT
    np.testing.assert_allclose(f_divergence(p, q, generator, slope_at_infinity=slope), named(p, q), rtol=1e-6)
