"""How batches reach the compiled loop: taken by index from data on the device, or read ahead from a stream.

Both give the same batches: which examples step t uses depends only on the key of the order and on t. The length of a
block is part of the shapes of the compiled program. It depends only on the sizes of data and batch, not on the number
of requested steps: two programs for the same steps need not round in the same way.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxgen.data import Stream, batch_indices, count_examples, take
from jaxgen.training.mesh import AXIS, replicate
from jaxgen.typing import Array, Batch, Key, KeyArray, PyTree

BLOCK_STEPS = 1024
"""Largest number of steps that are computed together, which bounds the memory of their metrics on the devices."""

BLOCK_BYTES = 16 * 2**20
"""Largest size of the batches of a stream that are copied to the devices together: 16 MiB, or the batches of one step
if they are larger. While one block is used, the next one is read, so the devices hold two.
"""


class BatchFeed(NamedTuple):
    """A source of batches for the compiled loop.

    Attributes:
        steps: largest number of steps for which batches are fetched at once.
        fetch: `(first, count) -> fetched`, called on the host once for `count` steps: arguments of the compiled loop.
        batch: `(fetched, order key, step, step since the first of the block) -> batch`, called inside the loop.
        per_seed: whether `fetched` has a leading axis of seeds.
    """

    steps: int
    fetch: Callable[[int, int], PyTree]
    batch: Callable[[PyTree, KeyArray, Array, Array], Batch]
    per_seed: bool


def from_arrays(data: Batch, batch_size: int, mesh: Mesh) -> BatchFeed:
    """Copy the arrays to the devices once and take batches there by index.

    Args:
        data: arrays whose leading axis is that of the examples.
        batch_size: number of examples per step.
        mesh: mesh of the devices, each of which holds all the data.

    Returns:
        A feed whose `fetch` always returns the same arrays.

    Example:
        >>> from jaxgen.training.mesh import data_parallel_mesh
        >>> mesh = data_parallel_mesh(2, jax.local_devices()[:1])
        >>> feed = from_arrays({"point": np.zeros((10, 2), np.float32)}, 2, mesh)
        >>> feed.batch(feed.fetch(0, 5), jax.random.key(0), 3, 3)["point"].shape
        (2, 2)
    """
    examples = count_examples(data)
    on_device = replicate(dict(data), mesh)

    def batch(fetched: PyTree, key: KeyArray, step: Array, _: Array) -> Batch:
        return take(fetched, batch_indices(key, step, examples=examples, batch_size=batch_size))

    return BatchFeed(BLOCK_STEPS, lambda first, count: on_device, batch, per_seed=False)


def from_stream(stream: Stream, order_keys: Key[Array, " seeds"], batch_size: int, mesh: Mesh) -> BatchFeed:
    """Read the batches of some steps from a stream, which reads ahead while the device computes.

    Args:
        stream: stream of examples.
        order_keys: keys of the order of the examples, one for each seed.
        batch_size: number of examples per step.
        mesh: mesh of the devices over which each batch is sharded.

    Returns:
        A feed whose `fetch` must be called for consecutive steps, at most `BLOCK_STEPS`, or as many as `BLOCK_BYTES`
        allows.

    Example:
        >>> from jaxgen.data import load
        >>> from jaxgen.training.mesh import data_parallel_mesh
        >>> from jaxgen.training.seeds import seed_keys
        >>> mesh = data_parallel_mesh(2, jax.local_devices()[:1])
        >>> feed = from_stream(load("digits", stream=True), seed_keys(0, 1), 2, mesh)
        >>> feed.fetch(0, 3)["image"].shape  # Of a fixed length, whatever the number of steps.
        (1, 1024, 2, 8, 8, 1)
    """
    iterators: list[Iterator[Batch]] = []
    example = stream.example()
    bytes_per_step = order_keys.size * batch_size * sum(array.nbytes for array in example.values())
    block = min(BLOCK_STEPS, max(1, BLOCK_BYTES // bytes_per_step))
    layout = NamedSharding(mesh, PartitionSpec(None, None, AXIS))

    def fetch(first: int, count: int) -> PyTree:
        if not iterators:
            endless = 2**31 - 1
            iterators.extend(stream.batches(key, first, endless, batch_size) for key in order_keys)
        # Always of a block's length: one compiled program takes complete blocks and the shorter last one.
        shape = (len(iterators), block, batch_size)
        fetched = {name: np.zeros((*shape, *array.shape[1:]), array.dtype) for name, array in example.items()}
        for seed, batches in enumerate(iterators):
            for i in range(count):
                for name, array in next(batches).items():
                    fetched[name][seed, i] = array
        return jax.device_put(fetched, layout)

    def batch(fetched: PyTree, _: KeyArray, __: Array, i: Array) -> Batch:
        return jax.tree.map(lambda x: x[i], fetched)

    return BatchFeed(block, fetch, batch, per_seed=True)
