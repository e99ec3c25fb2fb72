"""The examples of a batch as floating-point numbers: images in [0, 1] or [-1, 1], and points."""

import jax
import numpy as np

from jaxgen.batch_checks import check_data
from jaxgen.errors import InputError
from jaxgen.typing import Array, Batch, Float


def preprocess(batch: Batch) -> Float[Array, " batch *event"]:
    """Return the examples of a batch: images with values in [0, 1], points unchanged.

    Args:
        batch: batch with `image` (uint8 from 0 to 255, or floats in [0, 1]) or `point`.

    Returns:
        The examples, [batch, ...]; bytes as float32 divided by 255, floats unchanged.

    Raises:
        InputError: if the batch has neither `image` nor `point`, or `check_data` refuses it.

    Example:
        >>> preprocess({"image": np.full((1, 2, 2, 1), 255, np.uint8)})[0, 0, 0]
        Array([1.], dtype=float32)
    """
    name = "image" if is_image(batch) else "point"
    check_data({name: batch[name]})
    x = batch[name]
    scaled = x.astype(np.float32) / 255 if x.dtype == np.uint8 else x
    # Arrays of NumPy are divided by NumPy, with the same bits: every operation of JAX outside of a compiled function
    # is a program that is compiled for each shape.
    return jax.device_put(scaled) if isinstance(scaled, np.ndarray) else scaled


def is_image(batch: Batch) -> bool:
    """Return whether the examples are images, with values in [0, 1], and not points.

    Args:
        batch: batch with `image` or `point`.

    Returns:
        Whether the batch has `image`.

    Raises:
        InputError: if the batch has neither.

    Example:
        >>> is_image({"point": np.zeros((4, 2))})
        False
    """
    if "image" not in batch and "point" not in batch:
        raise InputError(f"a batch must have an array 'image' or 'point', got {sorted(batch)}")
    return "image" in batch


def to_signed(images: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Map values from [0, 1] to [-1, 1], the range of tanh: `2 x - 1`.

    Args:
        images: values in [0, 1].

    Returns:
        Values in [-1, 1].

    Example:
        >>> to_signed(np.array([0.0, 0.25, 1.0])).tolist()
        [-1.0, -0.5, 1.0]
    """
    return 2 * images - 1


def from_signed(signed: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Map values from [-1, 1] to [0, 1], the inverse of `to_signed`: `(x + 1) / 2`.

    Args:
        signed: values in [-1, 1].

    Returns:
        Values in [0, 1].

    Example:
        >>> from_signed(np.array([-1.0, -0.5, 1.0])).tolist()
        [0.0, 0.25, 1.0]
    """
    return (signed + 1) / 2
