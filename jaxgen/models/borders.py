"""Black borders around images whose size is none that a family's networks can have."""

from collections.abc import Sequence

import jax.numpy as jnp

from jaxgen.errors import InputError
from jaxgen.typing import Array, Float


def size_of_networks(height: int, width: int, size: int | None, *, sizes: Sequence[int], rule: str) -> int:
    """Return the height and width of the images of networks: the given size, or by default that of the data.

    Args:
        height: height of the images of the data.
        width: their width.
        size: size that the user gave, one of `sizes`; None for none.
        sizes: sizes that the networks can have, in ascending order.
        rule: description of them, for the error message.

    Returns:
        The size.

    Raises:
        InputError: if the networks cannot have the size of the data, or the given one is smaller than it.

    Example:
        >>> size_of_networks(28, 28, 32, sizes=(16, 32), rule="a power of 2")
        32
        >>> size_of_networks(28, 28, None, sizes=(16, 32), rule="a power of 2")
        Traceback (most recent call last):
        jaxgen.errors.InputError: images must be square, with a power of 2 as their size, got 28x28: surround ...
    """
    if size is not None:
        if size < max(height, width):
            raise InputError(f"size must be at least that of the images, {height}x{width}, got {size}")
        return size
    if height == width and height in sizes:
        return height
    larger = next((each for each in sizes if each >= max(height, width)), None)
    smaller = next((each for each in reversed(sizes) if each <= min(height, width)), None)
    choices = [f"surround them by black with size={larger} (--size {larger})"] if larger else []
    choices += [f"reduce them (--image-size {smaller})"] if smaller else []
    raise InputError(f"images must be square, with {rule} as their size, got {height}x{width}: {', or '.join(choices)}")


def surround(
    images: Float[Array, "batch height width channels"], size: int
) -> Float[Array, "batch full full channels"]:
    """Return images in [-1, 1] in the middle of black ones of a size.

    Args:
        images: images that are not larger.
        size: height and width of the result.

    Returns:
        Images with -1 around them.

    Example:
        >>> surround(jnp.ones((1, 1, 2, 1)), 4)[0, :, :, 0].tolist()[1]
        [-1.0, 1.0, 1.0, -1.0]
    """
    return jnp.pad(images, ((0, 0), *_borders(images.shape[1:3], size), (0, 0)), constant_values=-1.0)


def without_border(
    images: Float[Array, "batch size size channels"], height: int, width: int
) -> Float[Array, "batch rows columns channels"]:
    """Return the middle of images, the inverse of `surround`.

    Args:
        images: square images.
        height: height of the middle.
        width: width of the middle.

    Returns:
        The middle.

    Example:
        >>> without_border(surround(jnp.ones((1, 3, 2, 1)), 8), 3, 2).min().item()
        1.0
    """
    (top, _), (left, _) = _borders((height, width), images.shape[1])
    return images[:, top : top + height, left : left + width]


def _borders(sides: Sequence[int], size: int) -> tuple[tuple[int, int], ...]:
    """Number of black rows before and after, and of columns."""
    missing = [size - side for side in sides]
    return tuple((space // 2, space - space // 2) for space in missing)
