"""Penalties on the code of an autoencoder."""

import jax.numpy as jnp

from jaxgen.divergences._arrays import check_batch, float_dtype, sum_events, widen
from jaxgen.losses.regression import absolute_error
from jaxgen.typing import Array, Float


def l1_code(code: Float[Array, " batch *event"]) -> Float[Array, " batch"]:
    """L1 norm of the code, which favours codes of few units.

    `sum(|code|)`

    Args:
        code: one code per example.

    Returns:
        One norm per example, in the unit of the code. Its gradient at 0 is 0.

    Raises:
        ValueError: if there is no axis of examples.

    Example:
        >>> l1_code(jnp.array([[3.0, -4.0]]))
        Array([7.], dtype=float32)
    """
    check_batch(code=code)
    return sum_events(absolute_error(widen(code), jnp.zeros_like(widen(code)))).astype(float_dtype(code))


def l2_code(code: Float[Array, " batch *event"]) -> Float[Array, " batch"]:
    """Squared L2 norm of the code, which favours small codes.

    `sum(code^2)`

    Args:
        code: one code per example.

    Returns:
        One squared norm per example, in the squared unit of the code.

    Raises:
        ValueError: if there is no axis of examples.

    Example:
        >>> l2_code(jnp.array([[3.0, -4.0]]))
        Array([25.], dtype=float32)
    """
    check_batch(code=code)
    return sum_events(jnp.square(widen(code))).astype(float_dtype(code))
