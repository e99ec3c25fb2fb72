"""Differences that vanish to second order, kept to all their digits where they do."""

import math

import jax
import jax.numpy as jnp

from jaxgen.typing import Array, Float


def exp_remainder(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`exp(x) - 1 - x`, in which nothing would be left of a small x: there, its Taylor series."""
    near = jnp.abs(x) < 0.5
    # Fourteen terms are exact to float64 below 0.5. The series must not see large x, where its gradient overflows.
    coefficients = [1 / math.factorial(n) for n in range(15, 1, -1)] + [0.0, 0.0]
    series = jnp.polyval(jnp.asarray(coefficients, x.dtype), jnp.where(near, x, 0.0))
    return jnp.where(near, series, jnp.expm1(x) - x)


def relative_entropy(p: Float[Array, "*shape"], q: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`p log(p / q) - p + q`, never negative: q where p = 0, infinite where q = 0 < p.

    At p = 0 the derivative by p, in truth -inf, is 0.
    """
    at_edge = (p <= 0) | (q <= 0)  # Not its opposite, which NaN would fail and come out as a number.
    p_inside, q_inside = jnp.where(at_edge, 1.0, p), jnp.where(at_edge, 1.0, q)
    log_ratio = _log_ratio(p_inside, q_inside)
    near = jnp.abs(log_ratio) < 0.25
    close = p_inside * exp_remainder(jnp.where(near, -log_ratio, 0.0))
    far = p_inside * log_ratio - p_inside + q_inside
    return jnp.where(at_edge, jnp.where(p <= 0, q, jnp.inf), jnp.where(near, close, far))


@jax.custom_jvp
def _log_ratio(p: Float[Array, "*shape"], q: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`log(p / q)`, to all digits where p is near q, and with a derivative that does not overflow for tiny ones."""
    excess = (p - q) / q
    near = jnp.abs(excess) < 0.25
    return jnp.where(near, jnp.log1p(jnp.where(near, excess, 0.0)), jnp.log(p / q))


@_log_ratio.defjvp
def _log_ratio_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    (p, q), (dp, dq) = primals, tangents
    return _log_ratio(p, q), dp / p - dq / q
