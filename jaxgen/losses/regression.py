"""Elementwise errors of predictions."""

import jax.numpy as jnp
import optax

from jaxgen._arrays import check_number, check_same_shape, float_dtype, widen
from jaxgen._numerics import absolute
from jaxgen.typing import Array, Float, Scalar


def absolute_error(predictions: Float[Array, "*shape"], targets: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Compute the absolute error of each element.

    `|predictions - targets|`, whose gradient is 0 where both are equal.

    Args:
        predictions: predicted values, of any shape.
        targets: true values, of the same shape.

    Returns:
        The errors, elementwise, in the unit of the arguments.

    Raises:
        ValueError: if the shapes differ.

    Example:
        >>> absolute_error(jnp.array([1.0, 2.0]), jnp.array([3.0, 2.0]))
        Array([2., 0.], dtype=float32)
    """
    check_same_shape(predictions=predictions, targets=targets)
    error = absolute(widen(predictions) - widen(targets))
    return error.astype(float_dtype(predictions, targets))


def squared_error(predictions: Float[Array, "*shape"], targets: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Compute the squared error of each element.

    `(predictions - targets)^2`

    Args:
        predictions: predicted values, of any shape.
        targets: true values, of the same shape.

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


def huber(
    predictions: Float[Array, "*shape"], targets: Float[Array, "*shape"], *, delta: Scalar = 1.0
) -> Float[Array, "*shape"]:
    """Compute Huber's loss: quadratic in small errors and linear in large ones, so that outliers do not dominate.

    With `e = predictions - targets`: `e^2 / 2` where `|e| <= delta`, else `delta (|e| - delta / 2)`. Value and
    derivative are continuous at the threshold, and the derivative is at most delta in magnitude.

    Args:
        predictions: predicted values, of any shape.
        targets: true values, of the same shape.
        delta: threshold in the unit of the arguments, positive.

    Returns:
        The losses, elementwise, in the squared unit of the arguments.

    Raises:
        ValueError: if the shapes differ.
        InputError: if delta is not positive.

    Reference:
        Huber 1964, "Robust estimation of a location parameter", doi:10.1214/aoms/1177703732.

    Example:
        >>> huber(jnp.array([0.5, 3.0]), jnp.array([0.0, 0.0]), delta=2.0)
        Array([0.125, 4.   ], dtype=float32)
    """
    check_same_shape(predictions=predictions, targets=targets)
    check_number("delta", delta, above=0.0)
    loss = optax.losses.huber_loss(widen(predictions), widen(targets), delta=delta)
    return loss.astype(float_dtype(predictions, targets))


def smooth_l1(
    predictions: Float[Array, "*shape"], targets: Float[Array, "*shape"], *, beta: Scalar = 1.0
) -> Float[Array, "*shape"]:
    """Compute the smooth L1 loss, an absolute error that is quadratic near 0.

    With `e = predictions - targets`: `e^2 / (2 beta)` where `|e| <= beta`, else `|e| - beta / 2`. This is Huber's loss
    divided by its threshold. Value and derivative are continuous at the threshold, and the derivative is at most 1 in
    magnitude. At beta = 0 it is the absolute error.

    Args:
        predictions: predicted values, of any shape.
        targets: true values, of the same shape.
        beta: threshold in the unit of the arguments, not negative.

    Returns:
        The losses, elementwise, in the unit of the arguments.

    Raises:
        ValueError: if the shapes differ.
        InputError: if beta is negative.

    Reference:
        Girshick 2015, arXiv:1504.08083, equation 3 (beta = 1).

    Example:
        >>> smooth_l1(jnp.array([0.5, 3.0]), jnp.array([0.0, 0.0]), beta=2.0)
        Array([0.0625, 2.    ], dtype=float32)
    """
    check_number("beta", beta, at_least=0.0)
    check_same_shape(predictions=predictions, targets=targets)
    wide_predictions, wide_targets = widen(predictions), widen(targets)
    threshold = jnp.where(beta > 0, beta, 1.0)
    rounded = optax.losses.huber_loss(wide_predictions, wide_targets, delta=threshold) / threshold
    loss = jnp.where(beta > 0, rounded, absolute_error(wide_predictions, wide_targets))
    return loss.astype(float_dtype(predictions, targets))
