"""Divergences between Gaussians."""

import math

import jax.numpy as jnp

from jaxgen.divergences._arrays import check_batch, check_same_shape, float_dtype, sum_events, widen
from jaxgen.typing import Array, Float


def kl_standard_normal(
    mean: Float[Array, " batch *event"], log_var: Float[Array, " batch *event"]
) -> Float[Array, " batch"]:
    """KL divergence of a diagonal Gaussian from the standard normal.

    `KL(N(mean, exp(log_var)) || N(0, 1)) = 1/2 sum(exp(log_var) + mean^2 - 1 - log_var)`

    Args:
        mean: means, one event per example.
        log_var: logarithms of the variances.

    Returns:
        One divergence per example, summed over the event, in nats; never negative.

    Raises:
        ValueError: if the shapes differ or there is no axis of examples.

    Reference:
        Kingma and Welling 2014, arXiv:1312.6114, appendix B (where its negative is given).

    Example:
        >>> kl_standard_normal(jnp.array([[0.0, 0.0], [1.0, 2.0]]), jnp.zeros((2, 2)))
        Array([0. , 2.5], dtype=float32)
    """
    check_same_shape(mean=mean, log_var=log_var)
    check_batch(mean=mean)
    terms = jnp.square(widen(mean)) + _exp_remainder(widen(log_var))
    return (0.5 * sum_events(terms)).astype(float_dtype(mean, log_var))


def _exp_remainder(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`exp(x) - 1 - x`, in which a posterior near the prior would lose all digits: there, its Taylor series."""
    near = jnp.abs(x) < 0.5
    # Fourteen terms are exact to float64 below 0.5. The series must not see large x, where its gradient overflows.
    coefficients = [1 / math.factorial(n) for n in range(15, 1, -1)] + [0.0, 0.0]
    series = jnp.polyval(jnp.asarray(coefficients, x.dtype), jnp.where(near, x, 0.0))
    return jnp.where(near, series, jnp.expm1(x) - x)
