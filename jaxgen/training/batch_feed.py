"""How batches reach the compiled loop: drawn by index from data on the device, or read ahead from a stream.

Both give the same batches: which examples turn t sees depends on the key of the order and on t alone.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxgen.data import Stream, batch_indices, count_examples, example, take
from jaxgen.training.mesh import AXIS, replicate
from jaxgen.typing import Array, Batch, Key, KeyArray, PyTree

BLOCK_BYTES = 64 * 2**20
"""Up to which batches of a stream are moved to the devices together: 64 MiB, or one turn's batches if they are larger.

While one block is trained on the next one is read, so the devices hold two.
"""


class BatchFeed(NamedTuple):
    """A source of batches.

    Attributes:
        example: the smallest batch that shows what they look like.
        turns: for how many at most batches are fetched at once.
        fetch: `(first, count) -> fetched`: on the host, once for that many turns, what the compiled loop is given.
        draw: `(fetched, order key, turn, turn since the first that was fetched) -> batch`: inside the compiled loop.
        per_run: whether what is fetched has a leading axis of runs.
    """

    example: Batch
    turns: int
    fetch: Callable[[int, int], PyTree]
    draw: Callable[[PyTree, KeyArray, Array, Array], Batch]
    per_run: bool


def from_arrays(data: Batch, batch_size: int, chunk: int, mesh: Mesh) -> BatchFeed:
    """Move the arrays to the device once and draw batches there by index.

    Args:
        data: arrays whose leading axis are the examples.
        batch_size: examples a turn.
        chunk: turns between two looks of the host.
        mesh: of the devices, each of which holds all the data.

    Returns:
        A feed that fetches nothing.

    Example:
        >>> from jaxgen.training.mesh import data_parallel_mesh
        >>> mesh = data_parallel_mesh(2, jax.local_devices()[:1])
        >>> feed = from_arrays({"point": np.zeros((10, 2), np.float32)}, 2, 5, mesh)
        >>> feed.draw(feed.fetch(0, 5), jax.random.key(0), 3, 3)["point"].shape
        (2, 2)
    """
    examples = count_examples(data)
    on_device = replicate(dict(data), mesh)

    def draw(fetched: PyTree, key: KeyArray, turn: Array, _: Array) -> Batch:
        return take(fetched, batch_indices(key, turn, examples=examples, batch_size=batch_size))

    return BatchFeed(example(data), chunk, lambda first, turns: on_device, draw, per_run=False)


def from_stream(stream: Stream, order_keys: Key[Array, "..."], batch_size: int, chunk: int, mesh: Mesh) -> BatchFeed:
    """Read the batches of some turns from the stream, which goes on reading ahead while the device computes.

    Args:
        stream: of examples.
        order_keys: the key of the order, or one for each run.
        batch_size: examples a turn.
        chunk: turns between two looks of the host: the most that are fetched at once, if `BLOCK_BYTES` allows.
        mesh: of the devices over which each batch is spread.

    Returns:
        A feed whose `fetch` must be called for consecutive turns.

    Example:
        >>> from jaxgen.data import load
        >>> from jaxgen.training.mesh import data_parallel_mesh
        >>> mesh = data_parallel_mesh(2, jax.local_devices()[:1])
        >>> feed = from_stream(load("digits", stream=True), jax.random.key(0), 2, 5, mesh)
        >>> feed.fetch(0, 3)["image"].shape  # Of a fixed length, whatever was asked for.
        (5, 2, 8, 8, 1)
    """
    readers: list[Iterator[Batch]] = []
    shown = stream.example()
    turn_bytes = order_keys.size * batch_size * sum(array.nbytes for array in shown.values())
    block = min(chunk, max(1, BLOCK_BYTES // turn_bytes))
    per_run = order_keys.ndim > 0
    layout = NamedSharding(mesh, PartitionSpec(*[None] * order_keys.ndim, None, AXIS))

    def fetch(first: int, turns: int) -> PyTree:
        if not readers:
            endless = 2**31 - 1
            readers.extend(stream.batches(key, first, endless, batch_size) for key in order_keys.ravel())
        # Always of a block's length: one compiled program takes full blocks and the shorter last one.
        shape = (len(readers), block, batch_size)
        fetched = {name: np.zeros((*shape, *array.shape[1:]), array.dtype) for name, array in shown.items()}
        for run, classifier in enumerate(readers):
            for i in range(turns):
                for name, array in next(classifier).items():
                    fetched[name][run, i] = array
        return jax.device_put(fetched if per_run else {name: array[0] for name, array in fetched.items()}, layout)

    def draw(fetched: PyTree, _: KeyArray, __: Array, i: Array) -> Batch:
        return jax.tree.map(lambda x: x[i], fetched)

    return BatchFeed(shown, block, fetch, draw, per_run)
