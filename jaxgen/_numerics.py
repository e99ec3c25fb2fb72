"""Elementary functions whose value or derivative would lose digits, overflow or be NaN where it need not."""

import math

import jax
import jax.numpy as jnp
from jax import lax

from jaxgen.typing import Array, Float


def absolute(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The absolute value with the derivative 0 at 0, where jnp.abs has 1: what is right should stay."""
    return x * jnp.sign(x)


def inverse_scale(log_scale: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`exp(-log_scale)`, kept finite: a difference of 0 is 0 in units of any scale, and its gradient is no NaN."""
    return jnp.exp(jnp.minimum(-log_scale, 0.99 * math.log(jnp.finfo(log_scale.dtype).max)))


def safe_sqrt(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The square root with the derivative 0 at 0, where a distance between coinciding points has none."""
    zero = x <= 0  # Not `x > 0`, which NaN would fail and come out as 0.
    return jnp.where(zero, 0.0, jnp.sqrt(jnp.where(zero, 1.0, x)))


def power_of_two(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The largest not above x, or 1 for 0, as a constant: dividing numbers by it changes their range, but no digit."""
    x = lax.stop_gradient(x)
    return jnp.where(x > 0, jnp.ldexp(jnp.ones_like(x), jnp.frexp(x)[1] - 1), 1.0)


@jax.custom_jvp
def quotient(x: Float[Array, "*shape"], y: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`x / y`, whose derivative by a tiny y does not overflow on the way: JAX's divides by its square."""
    return x / y


@quotient.defjvp
def _quotient_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    (x, y), (dx, dy) = primals, tangents
    ratio = quotient(x, y)
    return ratio, (dx - ratio * dy) / y


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
