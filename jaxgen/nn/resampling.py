"""Resampling of images with a filter: zeros are inserted, the image is padded and filtered, and pixels are left out.

A filter has one axis where it is separable, as the product of itself along height and width; else two.
"""

import operator
from collections.abc import Iterable, Sequence
from functools import reduce
from typing import TypeAlias

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxgen._arrays import check_integers
from jaxgen.errors import InputError
from jaxgen.typing import Array, Float

Filter: TypeAlias = Float[Array, "..."] | Float[np.ndarray, "..."] | Sequence[float]
"""Weights of a filter, `[taps]` if it is separable, or `[height, width]`."""

Padding: TypeAlias = int | Sequence[int]
"""Zeros around an image after zeros were inserted: one number, (height, width), or (top, bottom, left, right).

A negative number leaves out pixels.
"""

BINOMIAL = (0.125, 0.375, 0.375, 0.125)
"""Filter of all resampling in StyleGAN2: (1, 3, 3, 1), divided by its sum."""


def normalized(taps: Sequence[float]) -> Float[np.ndarray, " taps"]:
    """Return a filter whose taps have the sum 1.

    Args:
        taps: weights of a separable filter.

    Returns:
        The weights divided by their sum.

    Example:
        >>> normalized((1.0, 2.0, 1.0))
        array([0.25, 0.5 , 0.25])
    """
    return np.asarray(taps, np.float64) / np.sum(taps)


def resample(
    images: Float[Array, "batch height width channels"],
    taps: Filter,
    *,
    up: int = 1,
    down: int = 1,
    padding: Padding = 0,
    gain: float = 1.0,
) -> Float[Array, "batch rows columns channels"]:
    """Insert zeros, pad, filter, and keep every `down`-th pixel, in each channel.

        y[i] = gain sum_k f[k] z[down i + taps - 1 - k],    z = padded (x[j / up] where up divides j, else 0)

    along height and width: a convolution, `upfirdn2d` of the authors without a flipped filter.

    Args:
        images: images.
        taps: the filter, `[taps]` if it is separable, or `[height, width]`.
        up: factor by which zeros are inserted: `up - 1` after every pixel.
        down: distance of the pixels that are kept.
        padding: zeros around the image, one number, (height, width), or (top, bottom, left, right).
        gain: factor of the result.

    Returns:
        The images, `(up size + padding - taps) // down + 1` pixels high and wide.

    Raises:
        InputError: if a factor is no positive integer, the padding has another form, or the filter is larger than the
            padded image.

    Reference:
        Karras et al. 2020, arXiv:1912.04958, appendix B (filters in StyleGAN2's networks).

    Example:
        >>> x = jnp.array([1.0, 2.0, 4.0]).reshape(1, 1, 3, 1)
        >>> resample(x, [[0.5, 0.5]], down=1)[0, 0, :, 0]
        Array([1.5, 3. ], dtype=float32)
    """
    check_integers(up=up, down=down)
    if up < 1 or down < 1:
        raise InputError(f"up and down must be at least 1, got {up} and {down}")
    weights = np.asarray(taps) if not isinstance(taps, jnp.ndarray) else taps
    if weights.ndim not in (1, 2) or weights.size == 0:
        raise InputError(f"taps must be [taps] or [height, width], got the shape {weights.shape}")
    sides = _sides(padding)
    weights = weights[::-1] if weights.ndim == 1 else weights[::-1, ::-1]
    spread = _padded(images, up, sides)
    sizes = [weights.shape[0], weights.shape[-1]]
    if any(size > have for size, have in zip(sizes, spread.shape[1:3], strict=True)):
        raise InputError(
            f"the filter must be no larger than the padded images, got {sizes[0]}x{sizes[1]} taps and "
            f"{spread.shape[1]}x{spread.shape[2]} pixels"
        )
    # Sums of bfloat16 are in float32, and rounded once.
    factors = jnp.asarray(weights, jnp.promote_types(images.dtype, jnp.float32))
    if factors.ndim == 1:
        filtered = _filtered(_filtered(spread, factors, 1, down), factors, 2, down)
    else:
        rows = [_filtered(spread, row, 2, down) for row in factors]
        count = (spread.shape[1] - len(rows)) // down + 1
        filtered = _total(_every(row, at, count, 1, down) for at, row in enumerate(rows))
    return (gain * filtered).astype(images.dtype)


def upsample(
    images: Float[Array, "batch height width channels"], taps: Filter, *, factor: int = 2
) -> Float[Array, "batch rows columns channels"]:
    """Enlarge images by a factor: zeros are inserted and filtered, which keeps the mean of the image.

    Args:
        images: images.
        taps: a filter with the sum 1.
        factor: factor of height and width.

    Returns:
        The enlarged images, centred on the same point.

    Example:
        >>> upsample(jnp.ones((1, 2, 2, 1)), normalized((1.0, 1.0)))[0, :, :, 0]
        Array([[1., 1., 1., 1.],
               [1., 1., 1., 1.],
               [1., 1., 1., 1.],
               [1., 1., 1., 1.]], dtype=float32)
    """
    sides = [side for size in sizes_of(taps) for side in ((size + factor - 1) // 2, (size - factor) // 2)]
    return resample(images, taps, up=factor, padding=sides, gain=factor**2)


def downsample(
    images: Float[Array, "batch height width channels"], taps: Filter, *, factor: int = 2
) -> Float[Array, "batch rows columns channels"]:
    """Reduce images by a factor: they are filtered, and every `factor`-th pixel is kept.

    Args:
        images: images.
        taps: a filter with the sum 1.
        factor: factor of height and width.

    Returns:
        The reduced images, centred on the same point.

    Example:
        >>> downsample(jnp.arange(4.0).reshape(1, 1, 4, 1).repeat(2, axis=1), normalized((1.0, 1.0)))[0, :, :, 0]
        Array([[0.5, 2.5]], dtype=float32)
    """
    sides = [side for size in sizes_of(taps) for side in ((size - factor + 1) // 2, (size - factor) // 2)]
    return resample(images, taps, down=factor, padding=sides)


def sizes_of(taps: Filter) -> tuple[int, int]:
    """Return height and width of a filter, which are equal where it is separable."""
    shape = np.shape(taps)
    return shape[0], shape[-1]


def _sides(padding: Padding) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of a padding."""
    given = (padding,) if isinstance(padding, int | np.integer) else tuple(padding)
    check_integers(**{f"padding[{i}]": side for i, side in enumerate(given)})
    if len(given) not in (1, 2, 4):
        raise InputError(f"padding must be one number, two or four, got {len(given)}")
    if len(given) == 4:
        return given
    vertical, horizontal = given[0], given[-1]
    return vertical, vertical, horizontal, horizontal


def _padded(
    images: Float[Array, "batch height width channels"], up: int, sides: tuple[int, int, int, int]
) -> Float[Array, "batch rows columns channels"]:
    """Insert `up - 1` zeros after every pixel, and pad; negative numbers leave pixels out."""
    top, bottom, left, right = sides
    between = up - 1
    spaces = ((0, 0, 0), (top, bottom + between, between), (left, right + between, between), (0, 0, 0))
    if any(
        have * up + before + after < 1
        for have, (before, after) in zip(images.shape[1:3], ((top, bottom), (left, right)), strict=True)
    ):
        raise InputError(
            f"padding must leave pixels of the images, got {sides} for {images.shape[1]}x{images.shape[2]}"
        )
    return lax.pad(images, jnp.zeros((), images.dtype), spaces)


def _filtered(
    padded: Float[Array, "batch height width channels"], weights: Float[Array, " taps"], axis: int, down: int
) -> Float[Array, "batch rows columns channels"]:
    """Correlate along one axis, at every `down`-th position."""
    count = (padded.shape[axis] - len(weights)) // down + 1
    return _total(weights[at] * _every(padded, at, count, axis, down) for at in range(len(weights)))


def _total(terms: Iterable[Array]) -> Array:
    return reduce(operator.add, terms)


def _every(x: Float[Array, "..."], start: int, count: int, axis: int, distance: int) -> Float[Array, "..."]:
    """`count` entries along an axis from a start on, at a distance from each other."""
    return lax.slice_in_dim(x, start, start + (count - 1) * distance + 1, distance, axis)
