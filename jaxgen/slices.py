"""Slices of a batch: for several updates in a step, and for gradients that are accumulated over parts of a batch."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgen.errors import InputError
from jaxgen.typing import AnyArray, Batch, KeyArray, PyTree, Stats

OfSlice = Callable[[KeyArray, Stats, Batch], tuple[PyTree, Stats]]
"""`(key, statistics, slice) -> (values, new statistics)`."""


def split(batch: Batch, slices: int) -> Batch:
    """Split the examples into slices: `[n * slices, ...] -> [n, slices, ...]`.

    Neighbouring examples go to different slices: each device of a mesh, which holds a block of the batch, then has its
    share of every slice.

    Args:
        batch: arrays of examples.
        slices: number of slices.

    Returns:
        Arrays whose second axis is the slice.

    Raises:
        InputError: if the number of examples is not a multiple of the number of slices.

    Example:
        >>> split({"point": jnp.arange(6)}, 2)["point"].T.tolist()
        [[0, 2, 4], [1, 3, 5]]
    """

    def split_array(x: AnyArray) -> AnyArray:
        if len(x) % slices:
            raise InputError(f"the batch, in {slices} slices, must divide by {slices}, got {len(x)} examples")
        return jnp.reshape(x, (len(x) // slices, slices, *x.shape[1:]))

    return jax.tree.map(split_array, batch)


def mean_over_slices(of_slice: OfSlice, key: KeyArray, stats: Stats, batch: Batch, slices: int) -> tuple[PyTree, Stats]:
    """Return the means of what a function returns for the slices of a batch, one after the other.

    Of a loss that is a mean over examples, the mean of the gradients of slices is the gradient of the loss of the whole
    batch, but for what depends on the batch, such as its statistics. Only one slice is in memory.

    Args:
        of_slice: `(key, statistics, slice) -> (values, new statistics)`; the next slice has the new statistics.
        key: PRNG key, from which each slice has one.
        stats: statistics before the first slice.
        batch: arrays of examples.
        slices: number of slices.

    Returns:
        The means of the values, and the statistics after the last slice.

    Raises:
        InputError: if the number of examples is not a multiple of the number of slices.

    Example:
        >>> batch = {"point": jnp.array([1.0, 2.0, 3.0, 6.0])}
        >>> of_slice = lambda key, count, part: (part["point"].mean(), count + 1)
        >>> mean_over_slices(of_slice, jax.random.key(0), jnp.int32(0), batch, 2)
        (Array(3., dtype=float32), Array(2, dtype=int32))
    """
    parts = jax.tree.map(lambda x: jnp.moveaxis(x, 1, 0), split(batch, slices))

    def add(carry: tuple[PyTree, Stats], part: tuple[PyTree, Batch]) -> tuple[tuple[PyTree, Stats], None]:
        (total, stats), (number, examples) = carry, part
        values, stats = of_slice(jax.random.fold_in(key, number), stats, examples)
        return (jax.tree.map(jnp.add, total, values), stats), None

    first = jax.tree.map(lambda x: x[0], parts)
    shapes = jax.eval_shape(of_slice, key, stats, first)[0]
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    (total, stats), _ = jax.lax.scan(add, (zeros, stats), (jnp.arange(slices), parts))
    return jax.tree.map(lambda x: x / slices, total), stats
