"""Functions of examples that do not fit in memory at once, evaluated in batches."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

from jaxgen.typing import Array, PyTree

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
    """Apply a function of a batch to any number of examples and concatenate its results.

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
    return jnp.concatenate([function(batch) for batch in split_batches(examples, size)], axis=axis)
