"""Operators of colours: one affine map of colours per image."""

import math
from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np

from jaxgen.errors import InputError
from jaxgen.typing import Array, Float

LUMA = np.full((3, 3), 1 / 3)
"""Projection v v^T onto the axis of luma, v = (1, 1, 1) / sqrt(3)."""

ACROSS = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
"""The product with v: `ACROSS @ colour` is v x colour."""

COLOUR = ("brightness", "contrast", "lumaflip", "hue", "saturation")
"""Operators of this file, in their order."""

ONLY_COLOUR = ("hue", "saturation")
"""Operators that do not change grey images."""


BRIGHTNESS_STD = 0.2
"""Standard deviation of what is added to all colours, which are in [-1, 1]."""

CONTRAST_STD = 0.5
"""Standard deviation of the binary logarithm of the factor of all colours."""

SATURATION_STD = 1.0
"""Standard deviation of the binary logarithm of the factor of the saturation."""


def colour_map(numbers: Mapping[str, Float[Array, "n size"]]) -> tuple[Float[Array, "n 3 3"], Float[Array, "n 3"]]:
    """Compose the operators of colours.

    With the number u uniform on [0, 1), z standard normal and v = (1, 1, 1) / sqrt(3), in this order::

        brightness    c + z / 5
        contrast      2^(z / 2) c
        lumaflip      c - 2 v v^T c if floor(2 u) = 1, the reflection of the luma
        hue           rotation about v by (2 u - 1) pi
        saturation    v v^T c + 2^z (c - v v^T c)

    Args:
        numbers: operator -> its random numbers; operators of other files are left out.

    Returns:
        A and b of the maps `c -> A c + b`.

    Reference:
        Karras et al. 2020, arXiv:2006.06676, appendix B.

    Example:
        >>> linear, shift = colour_map({"contrast": jnp.array([[2.0]])})
        >>> print(linear[0].diagonal(), shift[0])
        [2. 2. 2.] [0. 0. 0.]
    """
    given = next(numbers[name] for name in COLOUR if name in numbers)
    one, luma, across = (matrix.astype(given.dtype) for matrix in (np.eye(3), LUMA, ACROSS))
    linear = jnp.broadcast_to(one, (len(given), 3, 3))
    shift = jnp.zeros((len(given), 3), given.dtype)
    if "brightness" in numbers:
        shift = shift + BRIGHTNESS_STD * numbers["brightness"]
    factors: list[Float[Array, "n 3 3"]] = []
    if "contrast" in numbers:
        factors.append(jnp.exp2(CONTRAST_STD * _each(numbers["contrast"])) * one)
    if "lumaflip" in numbers:
        factors.append(-2 * jnp.floor(2 * _each(numbers["lumaflip"])) * luma + one)
    if "hue" in numbers:
        angle = (2 * _each(numbers["hue"]) - 1) * math.pi
        factors.append(jnp.cos(angle) * (one - luma) + jnp.sin(angle) * across + luma)
    if "saturation" in numbers:
        factors.append(jnp.exp2(SATURATION_STD * _each(numbers["saturation"])) * (one - luma) + luma)
    for factor in factors:
        linear = jnp.matmul(factor, linear, precision="highest")
        shift = jnp.matmul(factor, shift[..., None], precision="highest")[..., 0]
    return linear, shift


def recoloured(
    images: Float[Array, "n height width channels"], linear: Float[Array, "n 3 3"], shift: Float[Array, "n 3"]
) -> Float[Array, "n height width channels"]:
    """Map the colours of images; grey ones as the grey of what grey becomes, the mean of its three colours.

    Args:
        images: images with one or three channels.
        linear: A of the maps `c -> A c + b`.
        shift: b.

    Returns:
        The images.

    Raises:
        InputError: if there is another number of channels.

    Example:
        >>> recoloured(jnp.ones((1, 1, 1, 1)), 2 * jnp.eye(3)[None], jnp.array([[0.0, 0.0, 3.0]])).ravel()
        Array([3.], dtype=float32)
    """
    if images.shape[-1] == 1:
        gain = linear.sum(axis=2).mean(axis=1)
        return images * gain[:, None, None, None] + shift.mean(axis=1)[:, None, None, None]
    if images.shape[-1] != 3:
        raise InputError(f"images must have one or three channels for the operators of colours, got {images.shape[-1]}")
    return jnp.einsum("nij,nhwj->nhwi", linear, images, precision="highest") + shift[:, None, None]


def _each(number: Float[Array, "n 1"]) -> Float[Array, "n 1 1"]:
    """One number per image as the factor of a matrix."""
    return number[..., None]
