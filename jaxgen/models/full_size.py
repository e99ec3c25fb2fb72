"""Images of the one size that a network has: smaller ones are surrounded by black."""

from collections.abc import Sequence

import jax.numpy as jnp

from jaxgen.errors import InputError
from jaxgen.models.preprocessing import is_image, preprocess, to_signed
from jaxgen.typing import Array, Batch, Float

Shape = tuple[int, int, int]
"""Height, width and channels of the images of the data."""


POWERS = tuple(2**exponent for exponent in range(3, 14))
"""Sizes that the networks of StyleGAN and its predecessor can have."""


def full_size(
    family: str,
    example: Batch,
    size: int | None,
    *,
    sizes: Sequence[int] = POWERS,
    rule: str = "a power of 2 from 8 on",
) -> tuple[int, Shape]:
    """Return the size of the images of the networks, and the shape of those of the data.

    Args:
        family: name of the family, for messages.
        example: batch that shows the shape of the data.
        size: size of the images of the networks that the options have; None for that of the data.
        sizes: sizes that the networks can have, in ascending order.
        rule: description of them, for messages.

    Returns:
        Height and width; height, width and channels of the data.

    Raises:
        InputError: if the data are no images, or the networks cannot have their size.

    Example:
        >>> full_size("stylegan2", {"image": jnp.zeros((1, 28, 28, 1))}, 32)
        (32, (28, 28, 1))
    """
    if not is_image(example):
        raise InputError(f"{family} is for images, and these data are points: choose another family, such as gan")
    height, width, channels = preprocess(example).shape[1:]
    shape = (height, width, channels)
    if size is not None:
        if size not in sizes:
            raise InputError(f"size must be {rule}, got {size}")
        if size < max(height, width):
            raise InputError(f"size must be at least that of the images, {height}x{width}, got {size}")
        return size, shape
    if height == width and height in sizes:
        return height, shape
    larger = next((each for each in sizes if each >= max(height, width)), None)
    smaller = next((each for each in reversed(sizes) if each <= min(height, width)), None)
    choices = [f"surround them by black with size={larger} (--size {larger})"] if larger else []
    choices += [f"reduce them (--image-size {smaller})"] if smaller else []
    choices = choices or ["one side is too long and the other too short; give other images"]
    raise InputError(f"images must be square, with {rule} as their size, got {height}x{width}: {', or '.join(choices)}")


def surrounded(batch: Batch, size: int) -> Float[Array, "batch size size channels"]:
    """Return the images of a batch with values in [-1, 1], surrounded by black.

    Args:
        batch: batch with `image`.
        size: height and width of the result.

    Returns:
        The images, in the middle; where the border is odd, the last row or column is the additional one.

    Example:
        >>> surrounded({"image": jnp.ones((1, 1, 1, 1))}, 2)[0, :, :, 0]
        Array([[ 1., -1.],
               [-1., -1.]], dtype=float32)
    """
    images = to_signed(preprocess(batch))
    (top, bottom), (left, right) = (_border(side, size) for side in images.shape[1:3])
    return jnp.pad(images, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=-1.0)


def without_border(
    images: Float[Array, "batch size size channels"], shape: Shape
) -> Float[Array, "batch height width channels"]:
    """Return images without what surrounds those of the data.

    Args:
        images: images of the size of the networks.
        shape: height, width and channels of the data.

    Returns:
        The middle of the images.

    Example:
        >>> without_border(jnp.zeros((4, 32, 32, 1)), (28, 28, 1)).shape
        (4, 28, 28, 1)
    """
    (top, _), (left, _) = (_border(side, images.shape[1]) for side in shape[:2])
    return images[:, top : top + shape[0], left : left + shape[1]]


def _border(side: int, size: int) -> tuple[int, int]:
    """Numbers of pixels before and after."""
    return (size - side) // 2, size - side - (size - side) // 2
