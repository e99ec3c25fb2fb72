"""A convolution as matrix products, from slices and sums alone: what `jaxgen.nn.convolution` does on the CPU.

Two ways give the same numbers, and `_scatters` chooses where both will do:

- gather: `unfold(x) @ kernel`, what each output pixel sees of the input, times the kernel;
- scatter: `fold(x @ kernel)`, what each input pixel paints on the output, summed where it overlaps.

`unfold` copies slices and `fold` is its transpose, so all derivatives of such a product, in both modes and of every
order, are again such products, and the patches that `unfold` makes for the value are those that the gradient of the
kernel needs. Where windows overlap enough, both go with fewer products, with other rounding errors
(`jaxgen.nn.cpu_convolution.winograd`).

XLA would compute what several products share again for each of them. Barriers keep it from that, where the compiler
leaves them in place: in `fit`, and in what `jaxgen.training.jit` compiles.
"""

import itertools
import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxgen.nn.cpu_convolution.windows import Geometry, Pairs, by_features, multiply, pad, positions, split, widen
from jaxgen.nn.cpu_convolution.winograd import convolve_filtered, filterings
from jaxgen.typing import Array


# Compiled on its own, it is traced only once for layers that are alike, and for a network that is called again.
@partial(jax.jit, static_argnames="geometry")
def product(inputs: Array, kernel: Array, geometry: Geometry) -> Array:
    """The convolution as a matrix product. A stride can only be gathered; else the rule below decides."""
    if math.prod(geometry.strides) > 1:
        outputs = gather(inputs, kernel, geometry)
    elif _scatters(inputs, kernel, geometry):
        outputs = scatter(inputs, kernel, geometry)
    else:
        outputs = gather_interleaved(inputs, kernel, geometry)
    # So the next products, and those of the gradient, take it from memory and do not compute it again.
    return lax.optimization_barrier(outputs.astype(inputs.dtype))


def _scatters(inputs: Array, kernel: Array, geometry: Geometry) -> bool:
    """Whether to scatter where both ways will do.

    A spread input is, where that takes fewer products. Else the smaller matrix decides, since making it is what costs.
    """
    *window, channels, features = kernel.shape
    if math.prod(geometry.dilation) > 1 and filterings(*_gathering(inputs, kernel, geometry)):
        return True
    pixels = inputs.shape[1:-1]
    coarse, padding, _ = _coarse(window, geometry)
    gathered = positions(pixels, coarse, geometry._replace(padding=padding))
    return math.prod((*pixels, *window, features)) < math.prod((*gathered, *coarse, channels))


def gather(inputs: Array, kernel: Array, geometry: Geometry) -> Array:
    """What each output pixel sees of an input that is not spread, times the kernel."""
    chosen = filterings(inputs, kernel, geometry)
    if chosen:
        return convolve_filtered(inputs, kernel, geometry, chosen)
    return gather_patches(inputs, kernel, geometry)


def gather_patches(inputs: Array, kernel: Array, geometry: Geometry) -> Array:
    """Gather by a single product."""
    return multiply(_unfold(inputs, kernel.shape[:-2], geometry), by_features(kernel), geometry)


def gather_interleaved(inputs: Array, kernel: Array, geometry: Geometry) -> Array:
    """Gather from a spread input without its zeros (Shi et al. 2016, arXiv:1609.05158).

    As many outputs as the spread has pixels see the same inputs, through different weights: they are computed as
    features of one position, and then put side by side.
    """
    *window, channels, features = kernel.shape
    spread, axes = geometry.dilation, len(window)
    coarse, padding, crop = _coarse(window, geometry)
    # A window that the spread does not divide gets weights of zero at its end.
    kernel = widen(kernel, [size * step for size, step in zip(coarse, spread, strict=True)])
    shares = [size for pair in zip(coarse, spread, strict=True) for size in pair]
    kernel = jnp.flip(kernel.reshape(*shares, channels, features), range(1, 2 * axes, 2))
    kernel = jnp.moveaxis(kernel, range(1, 2 * axes, 2), range(axes + 1, 2 * axes + 1))
    kernel = kernel.reshape(*coarse, channels, -1)
    outputs = gather(inputs, kernel, geometry._replace(dilation=(1,) * axes, padding=padding))
    batch, *counts, _ = outputs.shape
    outputs = outputs.reshape(batch, *counts, *spread, features)
    outputs = jnp.moveaxis(outputs, range(axes + 1, 2 * axes + 1), range(2, 2 * axes + 1, 2))
    sizes = [size * step for size, step in zip(counts, spread, strict=True)]
    return pad(outputs.reshape(batch, *sizes, features), crop)


def _coarse(window: Sequence[int], geometry: Geometry) -> tuple[list[int], Pairs, Pairs]:
    """The window on the input before it is spread, its padding there, and the pixels to crop (as negative padding)."""
    coarse = [-(-size // step) for size, step in zip(window, geometry.dilation, strict=True)]
    # Without padding, the spread input would be painted on a picture that is larger by these margins.
    full = [size * step for size, step in zip(coarse, geometry.dilation, strict=True)]
    edges = zip(full, window, geometry.padding, strict=True)
    margins = [(size - 1 - low, k - 1 - high) for size, k, (low, high) in edges]
    each = list(zip(coarse, geometry.dilation, margins, strict=True))
    padding = tuple((size - 1 - low // step, size - 1 - high // step) for size, step, (low, high) in each)
    crop = tuple((-(low % step), -(high % step)) for _, step, (low, high) in each)
    return coarse, padding, crop


def scatter(inputs: Array, kernel: Array, geometry: Geometry) -> Array:
    """What each pixel of an input, which may be spread, paints on the output, summed: the transpose of gathering."""
    image, _, gathering = _gathering(inputs, kernel, geometry)
    mirrored = jnp.flip(kernel, range(kernel.ndim - 2)).swapaxes(-1, -2)
    # bfloat16 is summed in float32, as XLA's convolution does, also where what is painted overlaps.
    wide = jnp.promote_types(inputs.dtype, jnp.float32)
    blank = jnp.zeros(image.shape, wide)
    _, paint = jax.vjp(lambda image: gather(image, mirrored.astype(wide), gathering), blank)
    return paint(inputs.astype(wide))[0]


def _gathering(
    inputs: Array, kernel: Array, geometry: Geometry
) -> tuple[jax.ShapeDtypeStruct, jax.ShapeDtypeStruct, Geometry]:
    """The convolution that this one is the transpose of: shapes of its picture and kernel, its geometry."""
    *window, channels, features = kernel.shape
    # The padding with which as many patches are gathered as there are inputs.
    padding = tuple((k - 1 - low, k - 1 - high) for k, (low, high) in zip(window, geometry.padding, strict=True))
    sizes = zip(inputs.shape[1:-1], window, geometry.dilation, padding, strict=True)
    space = [(size - 1) * step + k - low - high for size, k, step, (low, high) in sizes]
    image = jax.ShapeDtypeStruct((len(inputs), *space, features), inputs.dtype)
    mirrored = jax.ShapeDtypeStruct((*window, features, channels), kernel.dtype)
    return image, mirrored, geometry._replace(strides=geometry.dilation, dilation=geometry.strides, padding=padding)


def _unfold(images: Array, window: Sequence[int], geometry: Geometry) -> Array:
    """The patch under each position of the window, as one axis ordered like a kernel's window and channels."""
    batch, *space, _ = images.shape
    counts, strides = positions(space, window, geometry), geometry.strides
    # The picture in blocks of as many pixels as the window moves: what is cut out then has no strides.
    blocks = [count - 1 - (-k // step) for count, k, step in zip(counts, window, strides, strict=True)]
    edges = zip(space, blocks, strides, geometry.padding, strict=True)
    images = pad(images, tuple((low, block * step - size - low) for size, block, step, (low, _) in edges))
    if window[-1] % strides[-1] == 0:  # The pixels of the last axis lie one beside the other: a block is cut as one.
        window, strides = (*window[:-1], window[-1] // strides[-1]), (*strides[:-1], 1)
    pairs = [size for pair in zip(blocks, strides, strict=True) for size in pair]
    planes = [images.reshape(batch, *pairs, -1)]
    for axis in range(len(window)):
        planes = [part for plane in planes for part in split(plane, 2 + axis)]
    # Place within a block -> the pixels there.
    planes_at = dict(zip(itertools.product(*map(range, strides)), _materialize_tangents(planes), strict=True))

    def pixel(offset: tuple[int, ...]) -> Array:
        starts, place = zip(*map(divmod, offset, strides), strict=True)
        return planes_at[place][:, *(slice(start, start + n) for start, n in zip(starts, counts, strict=True))]

    patches = jnp.stack([pixel(offset) for offset in itertools.product(*map(range, window))], axis=-2)
    return patches.reshape(batch, *counts, -1)


@jax.custom_jvp
def _materialize_tangents(arrays: list[Array]) -> list[Array]:
    """The arrays; what comes back through them, their gradients, is computed before it is put together.

    Else the compiler computes every pixel's gradient from all of its sources in one loop, which asks each of them
    whether it has that pixel, and takes several times as long.
    """
    return arrays


@_materialize_tangents.defjvp
def _(primals: Any, tangents: Any) -> Any:
    return primals[0], lax.optimization_barrier(tangents[0])
