"""Differences that vanish to second order, kept to all their digits where they do."""

import math

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
    positive = (p > 0) & (q > 0)
    p_inside, q_inside = jnp.where(positive, p, 1.0), jnp.where(positive, q, 1.0)
    excess = (q_inside - p_inside) / p_inside
    near = jnp.abs(excess) < 0.25
    close = p_inside * exp_remainder(jnp.log1p(jnp.where(near, excess, 0.0)))
    far = p_inside * jnp.log(p_inside / q_inside) - p_inside + q_inside
    return jnp.where(positive, jnp.where(near, close, far), jnp.where(p > 0, jnp.inf, q))
