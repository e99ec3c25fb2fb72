"""Windows that move over pictures: the pieces that all ways to compute a convolution as matrix products share."""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import jax.numpy as jnp
from jax import lax

from jaxgen.typing import Array

Pairs: TypeAlias = tuple[tuple[int, int], ...]


class Geometry(NamedTuple):
    """What a convolution is besides its arrays; `dilation` is that of the input."""

    strides: tuple[int, ...]
    padding: Pairs
    dilation: tuple[int, ...]
    precision: Any


def positions(space: Sequence[int], window: Sequence[int], geometry: Geometry) -> list[int]:
    """How often the window fits into the padded picture, which is not spread, along each axis."""
    each = zip(space, window, geometry.strides, geometry.padding, strict=True)
    return [(size + low + high - k) // step + 1 for size, k, step, (low, high) in each]


def widen(kernel: Array, window: Sequence[int]) -> Array:
    """Weights of zero at the kernel's end, up to this window."""
    return jnp.pad(kernel, [*((0, size - k) for size, k in zip(window, kernel.shape, strict=False)), (0, 0), (0, 0)])


def pad(images: Array, edges: Pairs) -> Array:
    """Put zeros around the pictures; a negative number takes pixels away."""
    return lax.pad(images, jnp.zeros((), images.dtype), [(0, 0, 0), *((*pair, 0) for pair in edges), (0, 0, 0)])


def split(array: Array, axis: int) -> list[Array]:
    """Its parts along an axis, which they no longer have."""
    return [jnp.squeeze(part, axis) for part in lax.split(array, [1] * array.shape[axis], axis)]


def by_features(kernel: Array) -> Array:
    """The kernel as `multiply` takes it, [features, *window, channels].

    So its gradient is computed as `outputs^T @ patches`, a third faster in most layers than `patches^T @ outputs`.
    """
    # Behind the barrier it is transposed once, and not again for each product that takes a part of it.
    return lax.optimization_barrier(jnp.moveaxis(kernel, -1, 0))


def multiply(patches: Array, kernel: Array, geometry: Geometry) -> Array:
    """Patches, each on the last axis, times a kernel as `by_features` gives it."""
    # bfloat16 is summed in float32, as XLA's convolution does.
    wide = jnp.promote_types(patches.dtype, jnp.float32)
    numbers = (((1,), (1,)), ((), ()))
    flat, rows = patches.reshape(-1, patches.shape[-1]), kernel.reshape(len(kernel), -1)
    outputs = lax.dot_general(flat, rows, numbers, precision=geometry.precision, preferred_element_type=wide)
    return outputs.reshape(*patches.shape[:-1], -1)
