"""The two ways to compute a convolution as a matrix product, gather and scatter, and the choice between them."""

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


def is_supported(
    inputs: Array,
    kernel: Array,
    *,
    strides: Sequence[int],
    dilation: Sequence[int],
    kernel_dilation: Sequence[int] | None,
    groups: int,
) -> bool:
    """Return whether `convolve` computes such a convolution.

    It does not support a dilated kernel, groups of channels, a stride together with a dilated input, or integers.
    """
    ones = (1,) * (kernel.ndim - 2)
    is_plain = groups == 1 and tuple(kernel_dilation or ones) == ones and ones in (tuple(strides), tuple(dilation))
    return is_plain and jnp.issubdtype(inputs.dtype, jnp.inexact)


def convolve(
    inputs: Array,
    kernel: Array,
    *,
    strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    dilation: Sequence[int],
    precision: Any,
) -> Array:
    """Convolve by matrix products; inputs, kernel and outputs must not be empty.

    Args:
        inputs: images, [batch, *space, channels].
        kernel: weights, [*window, channels, features].
        strides: stride of the window per spatial axis.
        padding: "SAME", "VALID", or pairs (before, after) per spatial axis.
        dilation: dilation of the input per spatial axis.
        precision: precision of the products, as in `jax.lax`.

    Returns:
        The features at each position of the window, [batch, *out, features].

    Example:
        >>> x, kernel = jnp.ones((1, 4, 4, 1)), jnp.ones((2, 2, 1, 1))
        >>> convolve(x, kernel, strides=(2, 2), padding="VALID", dilation=(1, 1), precision=None)[0, :, :, 0]
        Array([[4., 4.],
               [4., 4.]], dtype=float32)
    """
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(inputs.shape[1:-1], kernel.shape[:-2], strides, padding)
    # A list with one precision for each factor is not hashable, as a static argument of `jit` must be.
    precision = tuple(precision) if isinstance(precision, list) else precision
    geometry = Geometry(tuple(strides), tuple((low, high) for low, high in padding), tuple(dilation), precision)
    return _convolve(inputs, kernel, geometry)


# Compiled on its own, so that layers with the same shapes are traced once, also when the network is called again.
@partial(jax.jit, static_argnames="geometry")
def _convolve(inputs: Array, kernel: Array, geometry: Geometry) -> Array:
    """Convolve by gathering, or by scattering where there is no stride and `_scatters` chooses it."""
    if math.prod(geometry.strides) > 1:
        outputs = gather(inputs, kernel, geometry)
    elif _scatters(inputs, kernel, geometry):
        outputs = scatter(inputs, kernel, geometry)
    else:
        outputs = gather_interleaved(inputs, kernel, geometry)
    # The barrier makes later products, and those of the gradient, read the outputs instead of computing them again.
    return lax.optimization_barrier(outputs.astype(inputs.dtype))


def _scatters(inputs: Array, kernel: Array, geometry: Geometry) -> bool:
    """Return whether to scatter where both ways are possible.

    A dilated input is scattered if filtering saves multiplications there. Otherwise the way with the smaller matrix is
    taken, because making the matrix takes most of the time.
    """
    *window, channels, features = kernel.shape
    if math.prod(geometry.dilation) > 1 and filterings(*_transpose(inputs, kernel, geometry)):
        return True
    pixels = inputs.shape[1:-1]
    coarse, padding, _ = _coarse(window, geometry)
    gathered = positions(pixels, coarse, geometry._replace(padding=padding))
    return math.prod((*pixels, *window, features)) < math.prod((*gathered, *coarse, channels))


def gather(inputs: Array, kernel: Array, geometry: Geometry) -> Array:
    """Multiply the patch of the input under each output pixel by the kernel; the input is not dilated."""
    chosen = filterings(inputs, kernel, geometry)
    if chosen:
        return convolve_filtered(inputs, kernel, geometry, chosen)
    return gather_patches(inputs, kernel, geometry)


def gather_patches(inputs: Array, kernel: Array, geometry: Geometry) -> Array:
    """Gather by a single matrix product."""
    return multiply(_unfold(inputs, kernel.shape[:-2], geometry), by_features(kernel), geometry)


def gather_interleaved(inputs: Array, kernel: Array, geometry: Geometry) -> Array:
    """Gather from a dilated input without multiplying by its zeros (Shi et al. 2016, arXiv:1609.05158).

    Neighbouring outputs, as many as the product of the dilations, depend on the same input pixels through different
    weights. They are computed as features of one position and then arranged side by side.
    """
    *window, channels, features = kernel.shape
    dilation, axes = geometry.dilation, len(window)
    coarse, padding, crop = _coarse(window, geometry)
    # Weights of zero extend the window to a multiple of the dilation.
    kernel = widen(kernel, [size * step for size, step in zip(coarse, dilation, strict=True)])
    shares = [size for pair in zip(coarse, dilation, strict=True) for size in pair]
    kernel = jnp.flip(kernel.reshape(*shares, channels, features), range(1, 2 * axes, 2))
    kernel = jnp.moveaxis(kernel, range(1, 2 * axes, 2), range(axes + 1, 2 * axes + 1))
    kernel = kernel.reshape(*coarse, channels, -1)
    outputs = gather(inputs, kernel, geometry._replace(dilation=(1,) * axes, padding=padding))
    batch, *counts, _ = outputs.shape
    outputs = outputs.reshape(batch, *counts, *dilation, features)
    outputs = jnp.moveaxis(outputs, range(axes + 1, 2 * axes + 1), range(2, 2 * axes + 1, 2))
    sizes = [size * step for size, step in zip(counts, dilation, strict=True)]
    return pad(outputs.reshape(batch, *sizes, features), crop)


def _coarse(window: Sequence[int], geometry: Geometry) -> tuple[list[int], Pairs, Pairs]:
    """Return the window on the undilated input, its padding there, and the pixels to crop (as negative padding)."""
    coarse = [-(-size // step) for size, step in zip(window, geometry.dilation, strict=True)]
    # Scattering the dilated input without padding gives outputs that are larger by these margins.
    full = [size * step for size, step in zip(coarse, geometry.dilation, strict=True)]
    edges = zip(full, window, geometry.padding, strict=True)
    margins = [(size - 1 - low, k - 1 - high) for size, k, (low, high) in edges]
    each = list(zip(coarse, geometry.dilation, margins, strict=True))
    padding = tuple((size - 1 - low // step, size - 1 - high // step) for size, step, (low, high) in each)
    crop = tuple((-(low % step), -(high % step)) for _, step, (low, high) in each)
    return coarse, padding, crop


def scatter(inputs: Array, kernel: Array, geometry: Geometry) -> Array:
    """Multiply each input pixel by the kernel and add the windows that overlap; the input may be dilated.

    This is the transpose of gathering from the outputs.
    """
    image, _, gathering = _transpose(inputs, kernel, geometry)
    mirrored = jnp.flip(kernel, range(kernel.ndim - 2)).swapaxes(-1, -2)
    # bfloat16 is summed in float32, as in XLA's convolution, also where windows overlap.
    wide = jnp.promote_types(inputs.dtype, jnp.float32)
    zeros = jnp.zeros(image.shape, wide)
    _, transposed = jax.vjp(lambda image: gather(image, mirrored.astype(wide), gathering), zeros)
    return transposed(inputs.astype(wide))[0]


def _transpose(
    inputs: Array, kernel: Array, geometry: Geometry
) -> tuple[jax.ShapeDtypeStruct, jax.ShapeDtypeStruct, Geometry]:
    """Return the convolution whose transpose is this one: shapes of its input and kernel, and its geometry."""
    *window, channels, features = kernel.shape
    # With this padding the number of gathered patches is the number of input pixels.
    padding = tuple((k - 1 - low, k - 1 - high) for k, (low, high) in zip(window, geometry.padding, strict=True))
    sizes = zip(inputs.shape[1:-1], window, geometry.dilation, padding, strict=True)
    space = [(size - 1) * step + k - low - high for size, k, step, (low, high) in sizes]
    image = jax.ShapeDtypeStruct((len(inputs), *space, features), inputs.dtype)
    mirrored = jax.ShapeDtypeStruct((*window, features, channels), kernel.dtype)
    return image, mirrored, geometry._replace(strides=geometry.dilation, dilation=geometry.strides, padding=padding)


def _unfold(images: Array, window: Sequence[int], geometry: Geometry) -> Array:
    """Return the patch under each position of the window, flattened in the order of a kernel's window and channels."""
    batch, *space, _ = images.shape
    counts, strides = positions(space, window, geometry), geometry.strides
    # The image is divided into blocks of the size of the strides, so that the slices of it have no strides.
    blocks = [count - 1 - (-k // step) for count, k, step in zip(counts, window, strides, strict=True)]
    edges = zip(space, blocks, strides, geometry.padding, strict=True)
    images = pad(images, tuple((low, block * step - size - low) for size, block, step, (low, _) in edges))
    if window[-1] % strides[-1] == 0:  # Pixels along the last axis are contiguous: a block is one slice.
        window, strides = (*window[:-1], window[-1] // strides[-1]), (*strides[:-1], 1)
    pairs = [size for pair in zip(blocks, strides, strict=True) for size in pair]
    planes = [images.reshape(batch, *pairs, -1)]
    for axis in range(len(window)):
        planes = [part for plane in planes for part in split(plane, 2 + axis)]
    # Position within a block -> the pixels at this position.
    planes_at = dict(zip(itertools.product(*map(range, strides)), _materialize_tangents(planes), strict=True))

    def pixel(offset: tuple[int, ...]) -> Array:
        starts, place = zip(*map(divmod, offset, strides), strict=True)
        return planes_at[place][:, *(slice(start, start + n) for start, n in zip(starts, counts, strict=True))]

    patches = jnp.stack([pixel(offset) for offset in itertools.product(*map(range, window))], axis=-2)
    return patches.reshape(batch, *counts, -1)


@jax.custom_jvp
def _materialize_tangents(arrays: list[Array]) -> list[Array]:
    """Return the arrays; their gradients are computed one by one before they are combined.

    Otherwise the compiler combines them in one loop over the pixels, which tests for each array whether it contains
    the pixel and takes several times as long.
    """
    return arrays


@_materialize_tangents.defjvp
def _(primals: Any, tangents: Any) -> Any:
    return primals[0], lax.optimization_barrier(tangents[0])
