"""What a model is asked to model: the pictures or the points of a batch, as floating-point numbers."""

import jax.numpy as jnp

from jaxgen.errors import InputError
from jaxgen.typing import Array, Batch, Float


def preprocess(batch: Batch) -> Float[Array, " batch *event"]:
    """The examples of a batch: pictures with values in [0, 1], points as they are.

    Args:
        batch: holds `image` (uint8, 0..255, or floats in [0, 1]) or `point`.

    Returns:
        The examples, float32 unless they came as other floats.

    Raises:
        InputError: if the batch holds neither.

    Example:
        >>> preprocess({"image": jnp.full((1, 2, 2, 1), 255, jnp.uint8)})[0, 0, 0]
        Array([1.], dtype=float32)
    """
    x = jnp.asarray(batch["image" if is_image(batch) else "point"])
    return x.astype(jnp.float32) / 255 if x.dtype == jnp.uint8 else x


def is_image(batch: Batch) -> bool:
    """Whether the examples are pictures, whose values a model should keep in [0, 1], and not points.

    Args:
        batch: holds `image` or `point`.

    Returns:
        Whether it holds `image`.

    Raises:
        InputError: if it holds neither.

    Example:
        >>> is_image({"point": jnp.zeros((4, 2))})
        False
    """
    if "image" not in batch and "point" not in batch:
        raise InputError(f"a batch needs an array named 'image' or 'point', and this one has {sorted(batch)}")
    return "image" in batch


def to_signed(images: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Values in [0, 1] as values in [-1, 1], the range of a tanh.

    Example:
        >>> to_signed(jnp.array([0.0, 0.25, 1.0]))
        Array([-1. , -0.5,  1. ], dtype=float32)
    """
    return 2 * images - 1


def from_signed(signed: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Undo `to_signed`.

    Example:
        >>> from_signed(jnp.array([-1.0, -0.5, 1.0]))
        Array([0.  , 0.25, 1.  ], dtype=float32)
    """
    return (signed + 1) / 2
