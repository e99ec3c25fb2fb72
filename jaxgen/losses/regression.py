"""Elementwise errors of predictions."""

import jax.numpy as jnp

from jaxgen._arrays import check_number, check_same_shape, float_dtype, widen
from jaxgen._numerics import absolute, quotient
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
        delta: threshold in the unit of the arguments, positive; inf for half the squared error.

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
    small, large = _split(widen(predictions) - widen(targets), delta)
    # 0 for small errors: an infinite delta times 0 is NaN, and the gradient (e - delta) + delta has no digits of e.
    bound = jnp.where(large > 0, delta, 0.0)
    loss = 0.5 * jnp.square(small) + bound * (large - 0.5 * bound)
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
        beta: threshold in the unit of the arguments, not negative; the loss is 0 at inf.

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
    small, large = _split(widen(predictions) - widen(targets), beta)
    rounded = 0.5 * small * quotient(small, jnp.maximum(beta, jnp.finfo(small.dtype).tiny))
    loss = rounded + large - 0.5 * jnp.where(large > 0, beta, 0.0)
    return loss.astype(float_dtype(predictions, targets))


def _split(error: Float[Array, "*shape"], threshold: Scalar) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    """Return the errors up to the threshold and the magnitudes of those beyond it, with 0 for the others."""
    within = absolute(error) <= threshold
    return jnp.where(within, error, 0.0), jnp.where(within, 0.0, absolute(error))
