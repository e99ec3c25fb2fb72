"""Elementary functions that avoid cancellation, overflow and NaN in their value or derivative."""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from jaxgen.typing import Array, Float

CHANNEL_EPSILON = 1e-5
"""Number added to the variance of a channel."""

ROOT_EPSILON = 1e-8
"""Number within the roots of the normalizations of PGGAN, StyleGAN and StyleGAN2, as in the authors' code."""


def absolute(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return the absolute value, with the derivative 0 at 0, where that of jnp.abs is 1."""
    return x * jnp.sign(x)


def inverse_scale(log_scale: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return `exp(-log_scale)`, bounded so that it is finite.

    A difference of 0 divided by any scale is then 0, and its gradient is not NaN.
    """
    return jnp.exp(jnp.minimum(-log_scale, 0.99 * math.log(jnp.finfo(log_scale.dtype).max)))


def safe_sqrt(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return the square root, with the derivative 0 at 0, where the distance of coinciding points has none."""
    zero = x <= 0  # Not the complement of `x > 0`, which would include NaN and return 0 for it.
    return jnp.where(zero, 0.0, jnp.sqrt(jnp.where(zero, 1.0, x)))


def channel_statistics(x: Float[Array, "batch height width channels"]) -> Float[Array, "batch 2 channels"]:
    """Return the mean and the standard deviation of every channel of every image over the pixels.

        sqrt(variance + 1e-5)

    The variance is the mean of the squared deviations, as in the code of the paper's authors; pytorch-AdaIN divides
    their sum by the number of pixels minus 1. The derivative is finite for a channel of equal values.

    Args:
        x: features.

    Returns:
        Means, and standard deviations.

    Reference:
        Huang & Belongie 2017, arXiv:1703.06868, equations 5 and 6.

    Example:
        >>> channel_statistics(jnp.array([1.0, 3.0]).reshape(1, 1, 2, 1))[0, :, 0].round(3)
        Array([2., 1.], dtype=float32)
    """
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    mean = wide.mean(axis=(1, 2))
    variance = jnp.square(wide - mean[:, None, None]).mean(axis=(1, 2))
    return jnp.stack([mean, jnp.sqrt(variance + CHANNEL_EPSILON)], axis=1).astype(x.dtype)


def power_of_two(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return the largest power of two that is at most x, or 1 for 0, as a constant; division by it is exact."""
    x = lax.stop_gradient(x)
    return jnp.where(x > 0, jnp.ldexp(jnp.ones_like(x), jnp.frexp(x)[1] - 1), 1.0)


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def largest(x: Float[Array, "*shape"], axis: int) -> Float[Array, "*rest"]:
    """Return the maximum along an axis, NaN if any number is NaN, -inf if the axis is empty.

    Its derivative is the mean of those of the maxima. `jnp.max` ignores NaN on a CPU, unless the numbers are few.

    The derivative of `jnp.max` divides by the number of elements that equal the maximum. It is NaN where a compiler
    computes x again with other rounding errors, so that no element equals it (jax-ml/jax issue 13600).
    """
    return jnp.where(jnp.isnan(x).any(axis), jnp.nan, jnp.max(x, axis, initial=-jnp.inf))


@largest.defjvp
def _largest_jvp(axis: int, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (dx,) = primals, tangents
    maximum = largest(x, axis)
    at_maximum = x == jnp.expand_dims(maximum, axis)
    if x.shape[axis]:  # At least one of them, whatever the rounding errors.
        at_maximum |= jax.nn.one_hot(jnp.argmax(x, axis), x.shape[axis], axis=axis, dtype=bool)
    count = jnp.maximum(jnp.sum(at_maximum, axis), 1).astype(x.dtype)  # 0 of an empty axis.
    return maximum, jnp.sum(jnp.where(at_maximum, dx, 0.0), axis) / count


@jax.custom_jvp
def quotient(x: Float[Array, "*shape"], y: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return `x / y`. Its derivative does not overflow for tiny y, where JAX's divides by the square of y."""
    return x / y


@quotient.defjvp
def _quotient_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    (x, y), (dx, dy) = primals, tangents
    ratio = quotient(x, y)
    return ratio, (dx - ratio * dy) / y


def exp_remainder(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return `exp(x) - 1 - x`, for small x by its Taylor series, since the difference would lose all digits."""
    near = jnp.abs(x) < 0.5
    # Fourteen terms are exact to float64 below 0.5. Large x are masked: there the gradient of the series overflows.
    coefficients = [1 / math.factorial(n) for n in range(15, 1, -1)] + [0.0, 0.0]
    series = jnp.polyval(jnp.asarray(coefficients, x.dtype), jnp.where(near, x, 0.0))
    return jnp.where(near, series, jnp.expm1(x) - x)


def relative_entropy(p: Float[Array, "*shape"], q: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return `p log(p / q) - p + q`, which is never negative: q where p = 0, infinite where q = 0 < p.

    At p = 0 the derivative with respect to p, which is -inf, is replaced by 0.
    """
    at_edge = (p <= 0) | (q <= 0)  # Not the complement of `(p > 0) & (q > 0)`, which would include NaN.
    p_inside, q_inside = jnp.where(at_edge, 1.0, p), jnp.where(at_edge, 1.0, q)
    log_ratio = _log_ratio(p_inside, q_inside)
    near = jnp.abs(log_ratio) < 0.25
    close = p_inside * exp_remainder(jnp.where(near, -log_ratio, 0.0))
    far = p_inside * log_ratio - p_inside + q_inside
    return jnp.where(at_edge, jnp.where(p <= 0, q, jnp.inf), jnp.where(near, close, far))


@jax.custom_jvp
def _log_ratio(p: Float[Array, "*shape"], q: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return `log(p / q)`, accurate where p is near q, with a derivative that does not overflow for tiny p and q."""
    excess = (p - q) / q
    near = jnp.abs(excess) < 0.25
    return jnp.where(near, jnp.log1p(jnp.where(near, excess, 0.0)), jnp.log(p / q))


@_log_ratio.defjvp
def _log_ratio_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    (p, q), (dp, dq) = primals, tangents
    return _log_ratio(p, q), dp / p - dq / q
