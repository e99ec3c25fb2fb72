"""Elementwise errors of a prediction."""

import jax.numpy as jnp

from jaxgen.divergences._arrays import check_same_shape, float_dtype, widen
from jaxgen.typing import Array, Float


def absolute_error(predictions: Float[Array, "*shape"], targets: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Absolute error of each element.

    `|predictions - targets|`, whose gradient is 0 where both are equal.

    Args:
        predictions: what the model says.
        targets: what is true.

    Returns:
        The errors, elementwise, in the unit of the arguments.

    Raises:
        ValueError: if the shapes differ.

    Example:
        >>> absolute_error(jnp.array([1.0, 2.0]), jnp.array([3.0, 2.0]))
        Array([2., 0.], dtype=float32)
    """
    check_same_shape(predictions=predictions, targets=targets)
    difference = widen(predictions) - widen(targets)
    # Not jnp.abs, whose gradient at 0 is 1: a prediction that is right should stay.
    error = difference * jnp.sign(difference)
    return error.astype(float_dtype(predictions, targets))


def squared_error(predictions: Float[Array, "*shape"], targets: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Squared error of each element.

    `(predictions - targets)^2`

    Args:
        predictions: what the model says.
        targets: what is true.

    Returns:
        The squared errors, elementwise, in the squared unit of the arguments.

    Raises:
        ValueError: if the shapes differ.

    Example:
        >>> squared_error(jnp.array([1.0, 2.0]), jnp.array([3.0, 2.0]))
        Array([4., 0.], dtype=float32)
    """
    check_same_shape(predictions=predictions, targets=targets)
    error = jnp.square(widen(predictions) - widen(targets))
    return error.astype(float_dtype(predictions, targets))
