"""Geometric operators: one affine map per image, and the resampling of an image by it.

Positions are in pixels from the centre of the image, x to the right and y down, in homogeneous coordinates (x, y, 1).
The changes G_1, G_2, ... of an image are composed as inverse maps, from positions in the changed image to those in the
original one: `inverse(G) = inverse(G_1) inverse(G_2) ...`.
"""

import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.augmentation.wavelets import SYM6
from jaxgen.typing import Array, Float, Scalar

LOW_PASS = np.array(SYM6) / sum(SYM6)
"""Filter of the up- and down-sampling, an orthogonal one: both in a row change nothing."""

MARGIN = len(LOW_PASS) // 4
"""Pixels beyond each border of the result that the down-sampling needs."""

GEOMETRIC = ("xflip", "rotate90", "xint", "scale", "rotate", "aniso", "xfrac")
"""Operators of this file, in their order."""


XINT_MAX = 0.125
"""Largest translation by whole pixels, as a share of the side."""

SCALE_STD = 0.2
"""Standard deviation of the binary logarithm of isotropic scaling."""

ANISO_STD = 0.2
"""Standard deviation of the binary logarithm of anisotropic scaling."""

XFRAC_STD = 0.125
"""Standard deviation of the translation by fractions of pixels, as a share of the side."""


def inverse_map(numbers: Mapping[str, Float[Array, "n size"]], *, height: int, width: int) -> Float[Array, "n 3 3"]:
    """Compose the inverse maps of all geometric operators.

    With the number u uniform on [0, 1) and z standard normal, in this order::

        xflip       reflection of x if floor(2 u) = 1
        rotate90    rotation by floor(4 u) quarter circles
        xint        translation by round((2 u - 1) side / 8) pixels, one u for each axis
        scale       scaling by 2^(z / 5)
        rotate      rotation by (2 u - 1) pi
        aniso       scaling of x by s and of y by 1 / s, s = 2^(z / 5)
        rotate      again, with the second number
        xfrac       translation by z side / 8 pixels, one z for each axis

    Args:
        numbers: operator -> its random numbers; operators of other files are left out.
        height: height of the images in pixels.
        width: width of the images in pixels.

    Returns:
        The maps from positions in the changed images to positions in the original ones.

    Reference:
        Karras et al. 2020, arXiv:2006.06676, appendix B.

    Example:
        >>> inverse_map({"xflip": jnp.array([[0.7]])}, height=4, width=4)[0]
        Array([[-1.,  0.,  0.],
               [ 0.,  1.,  0.],
               [ 0.,  0.,  1.]], dtype=float32)
    """
    maps = []
    sides = np.array([width, height])
    if "xflip" in numbers:
        maps.append(_scaling(1 - 2 * jnp.floor(2 * numbers["xflip"][:, 0]), 1))
    if "rotate90" in numbers:
        quarters = jnp.floor(4 * numbers["rotate90"][:, 0])
        maps.append(jnp.round(_rotation(quarters * math.pi / 2)))  # Sines and cosines that are exactly 0 or 1.
    if "xint" in numbers:
        maps.append(_translation(-jnp.round((2 * numbers["xint"] - 1) * XINT_MAX * sides)))
    if "scale" in numbers:
        inverse = jnp.exp2(-SCALE_STD * numbers["scale"][:, 0])
        maps.append(_scaling(inverse, inverse))
    angles = (2 * numbers["rotate"] - 1) * math.pi if "rotate" in numbers else None
    if angles is not None:
        maps.append(_rotation(angles[:, 0]))
    if "aniso" in numbers:
        logarithm = ANISO_STD * numbers["aniso"][:, 0]
        maps.append(_scaling(jnp.exp2(-logarithm), jnp.exp2(logarithm)))
    if angles is not None:
        maps.append(_rotation(angles[:, 1]))
    if "xfrac" in numbers:
        maps.append(_translation(-XFRAC_STD * numbers["xfrac"] * sides))
    composed = maps[0]
    for following in maps[1:]:
        composed = jnp.matmul(composed, following, precision="highest")
    return composed


def resampled(
    images: Float[Array, "n height width channels"], inverse: Float[Array, "n 3 3"]
) -> Float[Array, "n height width channels"]:
    """Change images by affine maps, with little aliasing.

    The images are continued by reflection at their borders, by one pixel less than they have, and with zeros from there
    on; enlarged twice with an orthogonal filter; interpolated bilinearly at the positions where the inverse map takes
    the pixels of the result, at twice its size; and reduced with the same filter. As that filter is not quite
    symmetric, a reflected image is not quite the reflection of the image.

    Images with sides below seven pixels are continued by the six pixels that the filter needs; the authors' program
    darkens their borders.

    Args:
        images: images.
        inverse: maps from positions in the results to those in the images, in pixels from the centre.

    Returns:
        The changed images. Where the map is the identity, they are the images with rounding errors.

    Reference:
        Karras et al. 2020, arXiv:2006.06676, appendix B.

    Example:
        >>> image = jnp.arange(3.0).reshape(1, 1, 3, 1)
        >>> one_to_the_left = jnp.array([[[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]])
        >>> resampled(image, one_to_the_left).ravel().round(5)
        Array([1., 2., 1.], dtype=float32)
    """
    height, width = images.shape[1:3]
    enlarged = _separable(images, _enlarging(height), _enlarging(width))
    y, x = np.meshgrid(*(np.arange(-side - 2 * MARGIN, side + 2 * MARGIN) for side in (height, width)), indexing="ij")
    # Filters with an even number of taps shift the grid of the enlarged image by half of its pixels.
    positions = np.stack([x + 1, y + 1], axis=-1).astype(images.dtype)
    linear, shift = inverse[:, None, None, :2, :2], 2 * inverse[:, None, None, :2, 2]
    origin = np.array([enlarged.shape[2], enlarged.shape[1]], images.dtype) / 2 - 1
    at = (linear * positions[..., None, :]).sum(axis=-1) + shift + origin
    return _separable(jax.vmap(_interpolated)(enlarged, at), _reducing(height), _reducing(width))


def _enlarging(side: int) -> Float[np.ndarray, "rows side"]:
    """Matrix that continues a line of pixels by reflection, and enlarges it twice."""
    reach = max(side - 1, 2 * MARGIN)
    continued = np.pad(np.eye(side), ((reach, reach), (0, 0)), mode="reflect" if side > 1 else "edge")
    spread = np.zeros((2 * len(continued), side))
    spread[::2] = 2 * continued
    filtered = np.stack([np.convolve(column, LOW_PASS) for column in spread.T], axis=1)
    return filtered[len(LOW_PASS) // 2 - 1 :][: len(spread)]


def _reducing(side: int) -> Float[np.ndarray, "side columns"]:
    """Matrix that reduces a line of pixels with a margin to half, by the transposed filter."""
    matrix = np.zeros((side, 2 * side + 4 * MARGIN))
    for row in range(side):
        matrix[row, 2 * row + 1 :][: len(LOW_PASS)] = LOW_PASS
    return matrix


def _separable(
    images: Float[Array, "n height width channels"],
    vertical: Float[np.ndarray, "rows height"],
    horizontal: Float[np.ndarray, "columns width"],
) -> Float[Array, "n rows columns channels"]:
    """Multiply columns and rows of pixels by matrices."""
    rows = jnp.einsum("ih,nhwc->niwc", vertical.astype(images.dtype), images, precision="highest")
    return jnp.einsum("jw,niwc->nijc", horizontal.astype(images.dtype), rows, precision="highest")


def _interpolated(
    image: Float[Array, "height width channels"], at: Float[Array, "rows columns 2"]
) -> Float[Array, "rows columns channels"]:
    """Values of an image at positions (x, y) from the centre of its first pixel, by bilinear interpolation.

    The image is 0 outside.
    """
    height, width, channels = image.shape
    flat = image.reshape(height * width, channels)
    first = jnp.floor(at)
    fraction = at - first
    total = jnp.zeros((*at.shape[:-1], channels), image.dtype)
    for dx in (0, 1):
        for dy in (0, 1):
            x, y = first[..., 0] + dx, first[..., 1] + dy
            weight = (fraction[..., 0] if dx else 1 - fraction[..., 0]) * (
                fraction[..., 1] if dy else 1 - fraction[..., 1]
            )
            inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
            column, row = (jnp.clip(value, 0, side - 1).astype(int) for value, side in ((x, width), (y, height)))
            total += jnp.where(inside, weight, 0)[..., None] * flat[row * width + column]
    return total


def _scaling(x: Scalar | Float[Array, " n"], y: Scalar | Float[Array, " n"]) -> Float[Array, "n 3 3"]:
    return _matrix([[x, 0, 0], [0, y, 0], [0, 0, 1]])


def _rotation(angle: Float[Array, " n"]) -> Float[Array, "n 3 3"]:
    sine, cosine = jnp.sin(angle), jnp.cos(angle)
    return _matrix([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])


def _translation(by: Float[Array, "n 2"]) -> Float[Array, "n 3 3"]:
    return _matrix([[1, 0, by[:, 0]], [0, 1, by[:, 1]], [0, 0, 1]])


def _matrix(rows: list[list[Scalar | Float[Array, " n"]]]) -> Float[Array, "n rows columns"]:
    """A matrix per image from its entries, numbers or one per image."""
    entries = jnp.broadcast_arrays(*(jnp.asarray(entry) for row in rows for entry in row))
    return jnp.stack(entries, axis=-1).reshape(-1, len(rows), len(rows[0]))
