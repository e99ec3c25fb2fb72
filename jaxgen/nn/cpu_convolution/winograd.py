"""Winograd's minimal filtering: neighbouring outputs of a convolution from fewer multiplications.

Two outputs of two weights, `d0 g0 + d1 g1` and `d1 g0 + d2 g1`, are also

    (d0 - d1) g0 + d1 (g0 + g1)    and    d1 (g0 + g1) + (d2 - d1) g1,

three products instead of four. In a convolution each d is a matrix of pixels and channels, each g a matrix of channels
and features, and along two axes the savings multiply. With a stride, the pixels within one stride are treated as
channels, which leaves a window with stride 1.

Pixels of a tile on which an output does not depend cancel in it up to rounding. A pixel that is not finite makes all
outputs of its tile non-finite.

Reference:
    Winograd 1980, Arithmetic Complexity of Computations; Lavin & Gray 2016, arXiv:1509.09308, section 4.
"""

import math
from collections.abc import Sequence
from functools import partial, reduce
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxgen.nn.cpu_convolution.windows import Geometry, by_features, multiply, pad, positions, split, widen
from jaxgen.typing import Array

Matrix: TypeAlias = Sequence[Sequence[float]]
"""Rows of numbers."""


class Filtering(NamedTuple):
    """Matrices of the filtering along one axis: a tile is `outputs @ ((inputs @ pixels) * (kernel @ weights))`.

    Attributes:
        inputs: matrix [products, pixels].
        kernel: matrix [products, weights].
        outputs: matrix [outputs, products].
    """

    inputs: Matrix
    kernel: Matrix
    outputs: Matrix


# Longer tiles would save more, but their matrices have larger entries, which cost precision. With these matrices, the
# values are as accurate as those of the plain product; gradients, and so transposed convolutions, lose one bit at most.
_FOUR_INPUTS = ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, -1, 0, 1))
FILTERINGS = {
    1: (Filtering(inputs=((1,),), kernel=((1,),), outputs=((1,),)),),
    2: (
        Filtering(
            inputs=((1, -1, 0), (0, 1, 0), (0, -1, 1)),
            kernel=((1, 0), (1, 1), (0, 1)),
            outputs=((1, 1, 0), (0, 1, 1)),
        ),
        Filtering(
            inputs=_FOUR_INPUTS,
            kernel=((1, 0), (0.5, 0.5), (0.5, -0.5), (0, 1)),
            outputs=((1, 1, 1, 0), (0, 1, -1, 0), (0, 1, 1, 1)),
        ),
    ),
    3: (
        Filtering(
            inputs=_FOUR_INPUTS,
            kernel=((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1)),
            outputs=((1, 1, 1, 0), (0, 1, -1, 1)),
        ),
    ),
}
"""Number of weights along an axis -> its filterings."""

SAVING = 1.3
"""Filtering is used where the plain product needs more than this many times its multiplications: it also adds."""

NARROW = 16
"""Filtering is used where its matrices have at least this many columns.

`benchmarks/convolution.py` measures the chosen way and the plain ways.
"""


def filterings(
    inputs: Array | jax.ShapeDtypeStruct, kernel: Array | jax.ShapeDtypeStruct, geometry: Geometry
) -> list[Filtering] | None:
    """Return the filtering with the fewest products along each axis, or None where the plain product is faster."""
    *window, channels, features = kernel.shape
    pixels, taps = math.prod(geometry.strides), _taps(window, geometry)
    precise = jnp.finfo(inputs.dtype).bits >= 32
    if not precise or min(pixels * channels, features) < NARROW or any(number not in FILTERINGS for number in taps):
        return None
    counts = positions(inputs.shape[1:-1], window, geometry)
    axes = zip(counts, taps, strict=True)
    chosen = [min(FILTERINGS[number], key=partial(_products, count)) for count, number in axes]
    filtered = pixels * math.prod(map(_products, counts, chosen))
    return chosen if SAVING * filtered < math.prod((*counts, *window)) else None


def _products(count: int, filtering: Filtering) -> int:
    """Return the number of products along an axis with `count` outputs."""
    return -(-count // len(filtering.outputs)) * len(filtering.inputs)


def _taps(window: Sequence[int], geometry: Geometry) -> list[int]:
    """Return the number of weights along each axis once the pixels within a stride are channels."""
    return [-(-size // step) for size, step in zip(window, geometry.strides, strict=True)]


def convolve_filtered(inputs: Array, kernel: Array, geometry: Geometry, chosen: Sequence[Filtering]) -> Array:
    """Convolve by one matrix product for each combination of rows of the filterings, one row for each axis."""
    counts = positions(inputs.shape[1:-1], kernel.shape[:-2], geometry)
    sizes = [len(filtering.outputs) for filtering in chosen]
    tiles = [-(-count // size) for count, size in zip(counts, sizes, strict=True)]
    pixels = _combined_pixels(inputs, tiles, geometry, chosen)
    weights = _combined_weights(kernel, geometry, chosen)
    products = [multiply(left, right, geometry) for left, right in zip(pixels, weights, strict=True)]
    matrix: np.typing.NDArray[Any] = np.ones((1, 1))
    for filtering in chosen:
        matrix = np.kron(matrix, filtering.outputs)
    outputs = _combine(matrix.tolist(), products)
    for axis in reversed(range(len(tiles))):
        groups = [outputs[start : start + sizes[axis]] for start in range(0, len(outputs), sizes[axis])]
        outputs = [jnp.stack(group, axis=2 + axis) for group in groups]
    full = [tile * size for tile, size in zip(tiles, sizes, strict=True)]
    images = outputs[0].reshape(len(inputs), *full, -1)
    return images[:, *(slice(count) for count in counts)]


def _combined_pixels(
    inputs: Array, tiles: Sequence[int], geometry: Geometry, chosen: Sequence[Filtering]
) -> list[Array]:
    """Return the left factor of each product, [batch, *tiles, pixels within a stride and channels]."""
    batch, *space, _ = inputs.shape
    axes = len(tiles)
    # A tile includes the first pixels of the next tile, unless the window is a single weight.
    each = zip(tiles, geometry.strides, chosen, strict=True)
    shares = [(tile + (len(rows.inputs[0]) > len(rows.outputs)), len(rows.outputs), step) for tile, step, rows in each]
    edges = zip(space, shares, geometry.padding, strict=True)
    padded = pad(inputs, tuple((low, math.prod(share) - size - low) for size, share, (low, _) in edges))
    parts = [padded.reshape(batch, *[size for share in shares for size in share][:-1], -1)]
    for axis, (tile, filtering) in enumerate(zip(tiles, chosen, strict=True)):
        pixels_of = [_tile_pixels(part, 1 + 2 * axis, tile, len(filtering.inputs[0])) for part in parts]
        parts = [row for pixels in pixels_of for row in _combine(filtering.inputs, pixels)]
    parts = [jnp.moveaxis(part, range(2, 2 * axes, 2), range(axes + 1, 2 * axes)) for part in parts]
    return [part.reshape(batch, *tiles, -1) for part in parts]


def _tile_pixels(pixels: Array, axis: int, tiles: int, number: int) -> list[Array]:
    """Return the first, second, ... pixel of every tile; tiles lie along `axis`, their own pixels along the next."""
    own = split(pixels, axis + 1)
    starts = [(index // len(own), own[index % len(own)]) for index in range(number)]
    return [lax.slice_in_dim(part, start, start + tiles, axis=axis) for start, part in starts]


def _combined_weights(kernel: Array, geometry: Geometry, chosen: Sequence[Filtering]) -> list[Array]:
    """Return the right factor of each product, [features, *pixels within a stride, channels]."""
    *window, channels, features = kernel.shape
    shares = [size for pair in zip(_taps(window, geometry), geometry.strides, strict=True) for size in pair]
    full = [taps * step for taps, step in zip(shares[::2], shares[1::2], strict=True)]
    parts = [by_features(widen(kernel, full)).reshape(features, *shares, channels)]
    for axis, filtering in enumerate(chosen):
        parts = [row for part in parts for row in _combine(filtering.kernel, split(part, 1 + axis))]
    return parts


def _combine(matrix: Matrix, arrays: Sequence[Array]) -> list[Array]:
    """Multiply the matrix by the column of arrays."""
    terms = [[_weighted(weight, array) for weight, array in zip(row, arrays, strict=True) if weight] for row in matrix]
    return [reduce(lax.add, row) for row in terms]


def _weighted(weight: float, array: Array) -> Array:
    """Multiply, without an operation for the weight 1 and with a sign change for -1, which are most of the weights."""
    # Fewer operations compile faster.
    if abs(weight) != 1:
        return weight * array
    return array if weight > 0 else lax.neg(array)
