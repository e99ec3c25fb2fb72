"""Examples that do not fit in memory at once: functions of them in batches, and samples in parts."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.typing import Array, KeyArray, PyTree, Shaped

LARGEST_BATCH = 1000
"""Largest number of examples per call of a network outside training."""


def split_batches(examples: PyTree, size: int = LARGEST_BATCH) -> Iterator[PyTree]:
    """Yield the examples in batches of at most `size`, in order.

    Args:
        examples: pytree of arrays whose leading axis is that of the examples.
        size: largest number of examples in a batch.

    Yields:
        The same pytree with the next examples.

    Example:
        >>> [len(batch["label"]) for batch in split_batches({"label": jnp.arange(5)}, 2)]
        [2, 2, 1]
    """
    count = len(jax.tree.leaves(examples)[0])
    for first in range(0, count, size):
        yield jax.tree.map(lambda x, first=first: x[first : first + size], examples)


def map_batches(
    function: Callable[[Any], Array], examples: PyTree, *, size: int = LARGEST_BATCH, axis: int = 0
) -> Array:
    """Apply a function of a batch to any number of examples and join its results.

    Args:
        function: function of a pytree of at most `size` examples.
        examples: pytree of arrays whose leading axis is that of the examples, at least one.
        size: largest number of examples in a batch.
        axis: axis of the examples in the result of the function.

    Returns:
        The result for all examples.

    Example:
        >>> map_batches(lambda x: 2 * x, jnp.arange(5), size=2)
        Array([0, 2, 4, 6, 8], dtype=int32)
    """
    count = len(jax.tree.leaves(examples)[0])
    return join_parts((function(batch) for batch in split_batches(examples, size)), count=count, axis=axis)


def join_parts(parts: Iterable[Shaped[Array, "..."]], *, count: int, axis: int = 0) -> Shaped[Array, "..."]:
    """Join the successive parts of an array in the memory of the array and of one part.

    Args:
        parts: the parts, at least one; each is computed when it is needed.
        count: length of the result along the axis, the sum of the lengths of the parts.
        axis: axis along which they are joined.

    Returns:
        The array.

    Example:
        >>> join_parts((jnp.full(2, i) for i in range(2)), count=4)
        Array([0, 0, 1, 1], dtype=int32)
    """
    whole, done = None, 0
    for part in map(jnp.asarray, parts):
        if part.shape[axis] == count:
            return part
        if whole is None:
            whole = jnp.zeros((*part.shape[:axis], count, *part.shape[axis + 1 :]), part.dtype)
        whole = _written(whole, part, done, axis)
        done += part.shape[axis]
        whole.block_until_ready()  # Otherwise the next parts are computed, and in memory, before this one is written.
    assert whole is not None
    return whole


class SamplePart(NamedTuple):
    """A part of many samples.

    Attributes:
        first: number of its first sample, counted from 0.
        size: number of its samples.
        key: PRNG key of its samples.
    """

    first: int
    size: int
    key: KeyArray


def part_size(n: int, classes: int, *, largest: int) -> int:
    """Return how many samples to draw at once.

    Args:
        n: number of all samples.
        classes: number of classes, through which a conditional model cycles where no label is given; 1 without labels.
        largest: largest number, where it is not smaller than the number of classes.

    Returns:
        The number: all samples, or a multiple of the number of classes.

    Example:
        >>> part_size(50, 10, largest=1000), part_size(10_000, 7, largest=1000)
        (50, 994)
    """
    return min(n, max(1, largest // classes) * classes)


def sample_parts(key: KeyArray, n: int, size: int) -> Iterator[SamplePart]:
    """Yield the parts in which many samples are drawn.

    Args:
        key: PRNG key of all samples.
        n: number of all samples.
        size: number of samples of every part but the last one.

    Yields:
        The next part.

    Example:
        >>> [(part.first, part.size) for part in sample_parts(jax.random.key(0), 5, 2)]
        [(0, 2), (2, 2), (4, 1)]
    """
    for first in range(0, n, size):
        yield SamplePart(first, min(size, n - first), jax.random.fold_in(key, first))


@partial(jax.jit, static_argnums=3, donate_argnums=0)
def _written(whole: Shaped[Array, "..."], part: Shaped[Array, "..."], first: int, axis: int) -> Shaped[Array, "..."]:
    """The array with a part in its place, in the same memory."""
    return jax.lax.dynamic_update_slice_in_dim(whole, part, first, axis)
