"""Winograd's minimal filtering: neighbouring outputs of a convolution from fewer products.

Two outputs of two weights, `d0 g0 + d1 g1` and `d1 g0 + d2 g1`, are also

    (d0 - d1) g0 + d1 (g0 + g1)    and    d1 (g0 + g1) + (d2 - d1) g1,

three products in place of four. In a convolution each d is a matrix of pixels and channels, each g one of channels and
features, and along two axes the savings multiply. With a stride, the pixels within a step count as channels, so that
the window then moves by one. (Winograd 1980, Arithmetic Complexity of Computations; Lavin & Gray 2016,
arXiv:1509.09308, section 4.)

Pixels of a tile that an output does not see cancel in it up to rounding, and one that is not finite spoils its tile.
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


class Filtering(NamedTuple):
    """Along one axis, the outputs of a tile are `outputs @ ((inputs @ pixels) * (kernel @ weights))`."""

    inputs: Matrix
    kernel: Matrix
    outputs: Matrix


# Longer tiles would save more, but their matrices have larger numbers, which cost digits: with these, results are as
# near to the exact ones as those of the plain product; gradients, and so transposed convolutions, lose a bit at most.
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
"""By the number of weights."""

SAVING = 1.3
"""Filtering pays for its sums where the plain product needs this many times its multiplications ..."""

NARROW = 16
"""... and the matrices have so many columns. `benchmarks/convolution.py` times what is chosen beside the plain ways."""


def filterings(
    inputs: Array | jax.ShapeDtypeStruct, kernel: Array | jax.ShapeDtypeStruct, geometry: Geometry
) -> list[Filtering] | None:
    """The filtering with the fewest products along each axis, or None where the plain product is faster."""
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
    """Along an axis of so many outputs."""
    return -(-count // len(filtering.outputs)) * len(filtering.inputs)


def _taps(window: Sequence[int], geometry: Geometry) -> list[int]:
    """Weights along each axis once the pixels within a step are channels."""
    return [-(-size // step) for size, step in zip(window, geometry.strides, strict=True)]


def convolve_filtered(inputs: Array, kernel: Array, geometry: Geometry, chosen: Sequence[Filtering]) -> Array:
    """The convolution, by a product for each combination of the rows of the filterings, one for each axis."""
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
        runs = [outputs[start : start + sizes[axis]] for start in range(0, len(outputs), sizes[axis])]
        outputs = [jnp.stack(run, axis=2 + axis) for run in runs]
    whole = [tile * size for tile, size in zip(tiles, sizes, strict=True)]
    images = outputs[0].reshape(len(inputs), *whole, -1)
    return images[:, *(slice(count) for count in counts)]


def _combined_pixels(
    inputs: Array, tiles: Sequence[int], geometry: Geometry, chosen: Sequence[Filtering]
) -> list[Array]:
    """The left factor of each product, [batch, *tiles, pixels within a step and channels]."""
    batch, *space, _ = inputs.shape
    axes = len(tiles)
    # A tile sees the first pixels of the one after it too, unless the window is a single weight.
    each = zip(tiles, geometry.strides, chosen, strict=True)
    shares = [(tile + (len(rows.inputs[0]) > len(rows.outputs)), len(rows.outputs), step) for tile, step, rows in each]
    edges = zip(space, shares, geometry.padding, strict=True)
    padded = pad(inputs, tuple((low, math.prod(share) - size - low) for size, share, (low, _) in edges))
    parts = [padded.reshape(batch, *[size for share in shares for size in share][:-1], -1)]
    for axis, (tile, filtering) in enumerate(zip(tiles, chosen, strict=True)):
        seen = [_seen(part, 1 + 2 * axis, tile, len(filtering.inputs[0])) for part in parts]
        parts = [row for pixels in seen for row in _combine(filtering.inputs, pixels)]
    parts = [jnp.moveaxis(part, range(2, 2 * axes, 2), range(axes + 1, 2 * axes)) for part in parts]
    return [part.reshape(batch, *tiles, -1) for part in parts]


def _seen(pixels: Array, axis: int, tiles: int, number: int) -> list[Array]:
    """The first, second, ... of the pixels that each tile sees; a tile's own lie along the axis after `axis`."""
    own = split(pixels, axis + 1)
    starts = [(index // len(own), own[index % len(own)]) for index in range(number)]
    return [lax.slice_in_dim(part, start, start + tiles, axis=axis) for start, part in starts]


def _combined_weights(kernel: Array, geometry: Geometry, chosen: Sequence[Filtering]) -> list[Array]:
    """The right factor of each product, [features, *pixels within a step, channels]."""
    *window, channels, features = kernel.shape
    shares = [size for pair in zip(_taps(window, geometry), geometry.strides, strict=True) for size in pair]
    whole = [taps * step for taps, step in zip(shares[::2], shares[1::2], strict=True)]
    parts = [by_features(widen(kernel, whole)).reshape(features, *shares, channels)]
    for axis, filtering in enumerate(chosen):
        parts = [row for part in parts for row in _combine(filtering.kernel, split(part, 1 + axis))]
    return parts


def _combine(matrix: Matrix, arrays: Sequence[Array]) -> list[Array]:
    """The matrix, of few numbers, times the column of arrays."""
    terms = [[_weighted(weight, array) for weight, array in zip(row, arrays, strict=True) if weight] for row in matrix]
    return [reduce(lax.add, row) for row in terms]


def _weighted(weight: float, array: Array) -> Array:
    """The product of both; most weights are 1 and -1, and each operation less is compiled sooner."""
    if abs(weight) != 1:
        return weight * array
    return array if weight > 0 else lax.neg(array)
