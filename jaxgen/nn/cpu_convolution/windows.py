"""Operations on sliding windows that all ways to compute a convolution as matrix products share."""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import jax.numpy as jnp
from jax import lax

from jaxgen.typing import Array

Pairs: TypeAlias = tuple[tuple[int, int], ...]
"""A pair (before, after) for each spatial axis."""


class Geometry(NamedTuple):
    """The static parameters of a convolution.

    Attributes:
        strides: stride of the window per spatial axis.
        padding: number of zeros before and after the dilated input per spatial axis; a negative number crops pixels.
        dilation: dilation of the input per spatial axis.
        precision: precision of the products, as in `jax.lax`.
    """

    strides: tuple[int, ...]
    padding: Pairs
    dilation: tuple[int, ...]
    precision: Any


def positions(space: Sequence[int], window: Sequence[int], geometry: Geometry) -> list[int]:
    """Return the number of positions of the window in the padded input, which is not dilated, along each axis."""
    each = zip(space, window, geometry.strides, geometry.padding, strict=True)
    return [(size + low + high - k) // step + 1 for size, k, step, (low, high) in each]


def widen(kernel: Array, window: Sequence[int]) -> Array:
    """Append weights of zero to the kernel up to the given window size."""
    return jnp.pad(kernel, [*((0, size - k) for size, k in zip(window, kernel.shape, strict=False)), (0, 0), (0, 0)])


def pad(images: Array, edges: Pairs) -> Array:
    """Put zeros around the images; a negative number crops pixels."""
    return lax.pad(images, jnp.zeros((), images.dtype), [(0, 0, 0), *((*pair, 0) for pair in edges), (0, 0, 0)])


def split(array: Array, axis: int) -> list[Array]:
    """Return the slices of the array along an axis, without this axis."""
    return [jnp.squeeze(part, axis) for part in lax.split(array, [1] * array.shape[axis], axis)]


def by_features(kernel: Array) -> Array:
    """Return the kernel in the layout of `multiply`, [features, *window, channels].

    With this layout its gradient is computed as `outputs^T @ patches`, which takes a third less time in most layers
    than `patches^T @ outputs`.
    """
    # Behind the barrier the kernel is transposed once, and not again for each product that uses a part of it.
    return lax.optimization_barrier(jnp.moveaxis(kernel, -1, 0))


def multiply(patches: Array, kernel: Array, geometry: Geometry) -> Array:
    """Multiply patches, which lie along the last axis, by a kernel in the layout of `by_features`."""
    # bfloat16 is summed in float32, as in XLA's convolution.
    wide = jnp.promote_types(patches.dtype, jnp.float32)
    numbers = (((1,), (1,)), ((), ()))
    flat, rows = patches.reshape(-1, patches.shape[-1]), kernel.reshape(len(kernel), -1)
    outputs = lax.dot_general(flat, rows, numbers, precision=geometry.precision, preferred_element_type=wide)
    return outputs.reshape(*patches.shape[:-1], -1)
