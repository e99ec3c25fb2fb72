"""Divergences between discrete distributions, given as arrays of probabilities along one axis.

The probabilities are not normalized: they must be non-negative and have the sum 1. An outcome whose probability is 0 in
both distributions contributes nothing.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import entr

from jaxgen._arrays import check_number, check_same_shape, float_dtype, is_known, widen
from jaxgen._numerics import absolute, largest, quotient, relative_entropy, safe_sqrt
from jaxgen.typing import Array, Float, Scalar

Probabilities = Float[Array, "..."]


LARGE_ORDER = 1e30
"""Order from which on `renyi` computes its limit: the relative difference is below any rounding error, and the product
of the order and a logarithm may overflow."""


def kl(p: Probabilities, q: Probabilities, *, axis: int = -1) -> Probabilities:
    """Compute the Kullback-Leibler divergence of p from q, the excess cost of coding p with the optimal code of q.

    `KL(p || q) = sum(p log(p / q) - p + q)`. For probabilities, the sum of the last two terms is 0; with them no
    summand is negative, and no digits cancel near p = q.

    Args:
        p: probabilities along `axis`, of any shape.
        q: probabilities, of the same shape.
        axis: axis of the outcomes.

    Returns:
        The divergence, in nats, in the shape without `axis`. It is never negative, 0 only where p = q, and infinite
        where some q = 0 < p. The derivative with respect to a p that is 0, which is -inf, is replaced by a finite
        number.

    Raises:
        ValueError: if the shapes differ or there is no such axis.

    Reference:
        Kullback and Leibler 1951, "On information and sufficiency", doi:10.1214/aoms/1177729694.

    Example:
        >>> kl(jnp.array([0.36, 0.48, 0.16]), jnp.full(3, 1 / 3))
        Array(0.0852996, dtype=float32)
    """
    p, q, dtype = _checked(p, q, axis)
    return jnp.sum(relative_entropy(p, q), axis).astype(dtype)


def js(p: Probabilities, q: Probabilities, *, axis: int = -1) -> Probabilities:
    """Compute the Jensen-Shannon divergence, the mean KL divergence of two distributions from their average.

    `JS(p, q) = KL(p || m) / 2 + KL(q || m) / 2`, m = (p + q) / 2

    Args:
        p: probabilities along `axis`, of any shape.
        q: probabilities, of the same shape.
        axis: axis of the outcomes.

    Returns:
        The divergence, in nats, in the shape without `axis`: from 0 (equal) to log 2 (disjoint; up to rounding of the
        sum of the probabilities). It is the square of a metric, which is what SciPy's `jensenshannon` returns. Between
        disjoint distributions it is constant, and its gradient carries no information on how to bring them together.
        The derivative with respect to a probability that is 0 where the other is not, which is -inf, is replaced by a
        finite number.

    Raises:
        ValueError: if the shapes differ or there is no such axis.

    Reference:
        Lin 1991, "Divergence measures based on the Shannon entropy", doi:10.1109/18.61115.

    Example:
        >>> js(jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0]))
        Array(0.6931472, dtype=float32)
    """
    p, q, dtype = _checked(p, q, axis)
    apart = (p <= 0) | (q <= 0)
    p_shared, q_shared = jnp.where(apart, 1.0, p), jnp.where(apart, 1.0, q)
    mean = 0.5 * (p_shared + q_shared)
    # The terms `- p + m` and `- q + m` of the two relative entropies cancel: p + q = 2 m.
    common = relative_entropy(p_shared, mean) + relative_entropy(q_shared, mean)
    return (0.5 * jnp.sum(jnp.where(apart, math.log(2.0) * (p + q), common), axis)).astype(dtype)


def total_variation(p: Probabilities, q: Probabilities, *, axis: int = -1) -> Probabilities:
    """Compute the total variation distance, the largest difference of the probabilities of any event.

    `TV(p, q) = sum(|p - q|) / 2`

    Args:
        p: probabilities along `axis`, of any shape.
        q: probabilities, of the same shape.
        axis: axis of the outcomes.

    Returns:
        The distance in the shape without `axis`, from 0 (equal) to 1 (disjoint).

    Raises:
        ValueError: if the shapes differ or there is no such axis.

    Reference:
        Levin and Peres 2017, "Markov Chains and Mixing Times", 2nd edition, proposition 4.2.

    Example:
        >>> total_variation(jnp.array([0.5, 0.5]), jnp.array([0.25, 0.75]))
        Array(0.25, dtype=float32)
    """
    p, q, dtype = _checked(p, q, axis)
    return (0.5 * jnp.sum(absolute(p - q), axis)).astype(dtype)


def hellinger(p: Probabilities, q: Probabilities, *, axis: int = -1) -> Probabilities:
    """Compute the Hellinger distance, the Euclidean distance of the square roots over the square root of 2.

    `H(p, q) = sqrt(sum((sqrt p - sqrt q)^2) / 2)`

    Args:
        p: probabilities along `axis`, of any shape.
        q: probabilities, of the same shape.
        axis: axis of the outcomes.

    Returns:
        The distance in the shape without `axis`, from 0 (equal) to 1 (disjoint). Its gradient where p = q is 0. The
        derivative with respect to a probability that is 0, which is -inf, is replaced by a finite number.

    Raises:
        ValueError: if the shapes differ or there is no such axis.

    Reference:
        Le Cam and Yang 2000, "Asymptotics in Statistics", 2nd edition, section 3.2.

    Example:
        >>> hellinger(jnp.array([1.0, 0.0]), jnp.array([0.36, 0.64]))
        Array(0.6324555, dtype=float32)
    """
    p, q, dtype = _checked(p, q, axis)
    apart = (p <= 0) | (q <= 0)
    p_shared, q_shared = jnp.where(apart, 1.0, p), jnp.where(apart, 1.0, q)
    # sqrt(p) - sqrt(q) = (p - q) / (sqrt(p) + sqrt(q)), which keeps its digits near p = q.
    of_shared = jnp.square((p_shared - q_shared) / (jnp.sqrt(p_shared) + jnp.sqrt(q_shared)))
    squared = 0.5 * jnp.sum(jnp.where(apart, p + q, of_shared), axis)
    return safe_sqrt(squared).astype(dtype)


def chi_square(p: Probabilities, q: Probabilities, *, axis: int = -1) -> Probabilities:
    """Compute Pearson's chi-square divergence of p from q.

    `chi^2(p || q) = sum((p - q)^2 / q)`

    Args:
        p: probabilities along `axis`, of any shape.
        q: probabilities, of the same shape.
        axis: axis of the outcomes.

    Returns:
        The divergence in the shape without `axis`; never negative, infinite where some q = 0 < p. It bounds the KL
        divergence: `KL <= log(1 + chi^2)`.

    Raises:
        ValueError: if the shapes differ or there is no such axis.

    Reference:
        Pearson 1900, doi:10.1080/14786440009463897; Csiszar and Shields 2004, doi:10.1561/0100000004, section 4.

    Example:
        >>> chi_square(jnp.array([0.5, 0.5]), jnp.array([0.25, 0.75]))
        Array(0.33333334, dtype=float32)
    """
    p, q, dtype = _checked(p, q, axis)
    inside = (p - q) * quotient(p - q, jnp.where(q <= 0, 1.0, q))
    return jnp.sum(jnp.where(q <= 0, _infinite_unless_zero(p), inside), axis).astype(dtype)


def renyi(p: Probabilities, q: Probabilities, *, alpha: Scalar, axis: int = -1) -> Probabilities:
    """Compute the Renyi divergence of order alpha of p from q.

    `D(p || q) = log(sum(p^alpha q^(1 - alpha))) / (alpha - 1)`, with the limits `-log(sum(q where p > 0))` for alpha =
    0, the KL divergence for alpha = 1, and `log(max(p / q))` for alpha = inf. It increases with alpha.

    Args:
        p: probabilities along `axis`, of any shape.
        q: probabilities, of the same shape.
        alpha: order, not negative. A value traced by `jit` or `vmap` must not be 1 or infinite.
        axis: axis of the outcomes.

    Returns:
        The divergence, in nats, in the shape without `axis`. It is infinite for disjoint distributions and, for
        alpha >= 1, where some q = 0 < p. In float32 its relative error is 1e-5. A small divergence of an order other
        than 1 has an absolute error of `3e-7 / |alpha - 1|` nats, by which it may be negative, because the sum is then
        near 1.

    Raises:
        ValueError: if the shapes differ or there is no such axis.
        InputError: if alpha is negative.

    Reference:
        Van Erven and Harremoes 2014, arXiv:1206.2459, equation 1 and theorems 4 to 6.

    Example:
        >>> print(f"{renyi(jnp.array([0.5, 0.5]), jnp.array([0.25, 0.75]), alpha=2.0):.4f}")  # log(4 / 3)
        0.2877
    """
    check_number("alpha", alpha, at_least=0.0)
    known = is_known(alpha)
    if known and alpha == 1:
        return kl(p, q, axis=axis)
    p, q, dtype = _checked(p, q, axis)
    apart = (p <= 0) | (q <= 0)
    log_p, log_q = (jnp.log(jnp.where(apart, 1.0, x)) for x in (p, q))
    if known and alpha > LARGE_ORDER:
        divergence = largest(jnp.where(apart, -jnp.inf, log_p - log_q), axis)
    else:
        exponents = alpha * log_p + (1.0 - alpha) * log_q
        divergence = jax.nn.logsumexp(exponents, axis, where=~apart) / (alpha - 1.0)
    infinite = jnp.any((p > 0) & (q <= 0), axis) & (alpha > 1)
    return jnp.where(infinite, jnp.inf, divergence).astype(dtype)


def entropy(p: Probabilities, *, axis: int = -1) -> Probabilities:
    """Compute the Shannon entropy.

    `H(p) = -sum(p log p)`

    Args:
        p: probabilities along `axis`, of any shape.
        axis: axis of the outcomes.

    Returns:
        The entropy, in nats, in the shape without `axis`: from 0 (one outcome is certain) to the logarithm of the
        number of outcomes (uniform). The derivative with respect to a p that is 0 is +inf.

    Raises:
        ValueError: if there is no such axis.

    Reference:
        Shannon 1948, doi:10.1002/j.1538-7305.1948.tb01338.x, section 6.

    Example:
        >>> entropy(jnp.array([0.5, 0.5]))
        Array(0.6931472, dtype=float32)
    """
    p, _, dtype = _checked(p, p, axis)
    return jnp.sum(entr(p), axis).astype(dtype)


def cross_entropy(p: Probabilities, q: Probabilities, *, axis: int = -1) -> Probabilities:
    """Compute the cross-entropy, the cost of coding p with the optimal code of q.

    `H(p, q) = -sum(p log q) = H(p) + KL(p || q)`

    Where q is given by logits, `optax.softmax_cross_entropy` on the logits is more accurate.

    Args:
        p: probabilities along `axis`, of any shape.
        q: probabilities, of the same shape.
        axis: axis of the outcomes.

    Returns:
        The cross-entropy, in nats, in the shape without `axis`; infinite where some q = 0 < p.

    Raises:
        ValueError: if the shapes differ or there is no such axis.

    Reference:
        Good 1952, "Rational decisions", doi:10.1111/j.2517-6161.1952.tb00104.x.

    Example:
        >>> cross_entropy(jnp.array([1.0, 0.0]), jnp.array([0.25, 0.75]))
        Array(1.3862944, dtype=float32)
    """
    p, q, dtype = _checked(p, q, axis)
    inside = -p * jnp.log(jnp.where(q <= 0, 1.0, q))
    return jnp.sum(jnp.where(q <= 0, _infinite_unless_zero(p), inside), axis).astype(dtype)


def f_divergence(
    p: Probabilities,
    q: Probabilities,
    generator: Callable[[Array], Array],
    *,
    derivative_at_infinity: Scalar = math.inf,
    axis: int = -1,
) -> Probabilities:
    """Compute the f-divergence of p from q that is generated by a convex function f with f(1) = 0.

    `D_f(p || q) = sum(q f(p / q))`, in which an outcome with q = 0 < p contributes `p lim f(t) / t`, t -> inf::

                        f(t)                                             lim f(t) / t
        KL              t log t                                          inf
        Jensen-Shannon  (t log t - (t + 1) log((t + 1) / 2)) / 2         log(2) / 2
        total variation |t - 1| / 2                                      1/2
        chi-square      (t - 1)^2                                        inf
        Hellinger^2     (sqrt(t) - 1)^2 / 2                              1/2

    Args:
        p: probabilities along `axis`, of any shape.
        q: probabilities, of the same shape.
        generator: f, elementwise; finite at 0 where the divergence is to be finite. `t log t` is
            `jax.scipy.special.xlogy(t, t)`.
        derivative_at_infinity: limit of f(t) / t for t -> inf, which no finite value of f determines. It has no effect
            where all q are positive.
        axis: axis of the outcomes.

    Returns:
        The divergence in the shape without `axis`. In float32 its absolute error may be 1e-6 even for a small
        divergence: near p = q the terms cancel, and the named functions of this module are more accurate.

    Raises:
        ValueError: if the shapes differ or there is no such axis.

    Reference:
        Csiszar and Shields 2004, doi:10.1561/0100000004, section 4; Nowozin, Cseke and Tomioka 2016,
        arXiv:1606.00709, equation 2.

    Example:
        >>> f_divergence(jnp.array([1.0, 0.0]), jnp.array([0.5, 0.5]), lambda t: (t - 1.0) ** 2)
        Array(1., dtype=float32)
    """
    p, q, dtype = _checked(p, q, axis)
    q_inside = jnp.where(q <= 0, 1.0, q)
    inside = q_inside * generator(quotient(jnp.where(q <= 0, 1.0, p), q_inside))
    # With an infinite limit, the gradient of p times the limit would be 0 times infinity.
    infinite = is_known(derivative_at_infinity) and derivative_at_infinity == math.inf
    outside = _infinite_unless_zero(p) if infinite else p * derivative_at_infinity
    return jnp.sum(jnp.where(q <= 0, outside, inside), axis).astype(dtype)


def _infinite_unless_zero(p: Probabilities) -> Probabilities:
    """Return the contribution of an outcome with q = 0: 0 where p = 0, infinity elsewhere."""
    return jnp.where(p <= 0, 0.0, jnp.inf)


def _checked(p: Array, q: Array, axis: int) -> tuple[Array, Array, jnp.dtype]:
    """Return both arrays in float32 or wider, and the dtype of the result."""
    check_same_shape(p=p, q=q)
    if not -np.ndim(p) <= axis < np.ndim(p):
        raise ValueError(f"axis must be an axis of p, got axis {axis} and p {np.shape(p)}")
    return widen(p), widen(q), float_dtype(p, q)
