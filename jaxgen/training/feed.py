"""How batches reach the compiled loop: drawn by index from data on the device, or read ahead from a stream.

Both give the same batches: which examples turn t sees depends on the key of the order and on t alone.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from jaxgen.data import Stream, batch_indices, example, take
from jaxgen.training.mesh import replicate
from jaxgen.typing import Array, Batch, Key, KeyArray, PyTree


class Feed(NamedTuple):
    """A source of batches.

    Attributes:
        examples: how many there are.
        example: the smallest batch that shows what they look like.
        fetch: `(first, count) -> fetched`: on the host, once a chunk, what the compiled chunk is given.
        draw: `(fetched, order key, turn, turn within the chunk) -> batch`: inside the compiled chunk.
        per_run: whether what is fetched has a leading axis of runs.
    """

    examples: int
    example: Batch
    fetch: Callable[[int, int], PyTree]
    draw: Callable[[PyTree, KeyArray, Array, Array], Batch]
    per_run: bool


def from_arrays(data: Batch, batch_size: int, mesh: Mesh) -> Feed:
    """Move the arrays to the device once and draw batches there by index.

    Example:
        >>> from jaxgen.training.mesh import data_parallel_mesh
        >>> mesh = data_parallel_mesh(2, jax.local_devices()[:1])
        >>> feed = from_arrays({"point": np.zeros((10, 2), np.float32)}, 2, mesh)
        >>> feed.draw(feed.fetch(0, 5), jax.random.key(0), 3, 3)["point"].shape
        (2, 2)
    """
    examples = len(next(iter(data.values())))
    on_device = replicate(dict(data), mesh)

    def draw(fetched: PyTree, key: KeyArray, turn: Array, _: Array) -> Batch:
        return take(fetched, batch_indices(key, turn, examples=examples, batch_size=batch_size))

    return Feed(examples, example(data), lambda first, count: on_device, draw, per_run=False)


def from_stream(stream: Stream, order_keys: Key[Array, "..."], batch_size: int, chunk: int, mesh: Mesh) -> Feed:
    """Read the batches of one chunk from the stream, which goes on reading ahead while the device computes.

    Args:
        stream: of examples.
        order_keys: the key of the order, or one for each run.
        batch_size: examples a turn.
        chunk: turns a chunk.
        mesh: where the batches go.

    Returns:
        A feed whose `fetch` must be called with consecutive chunks.

    Example:
        >>> from_stream.__name__
        'from_stream'
    """
    readers: list[Any] = []

    def fetch(first: int, count: int) -> PyTree:
        if not readers:
            endless = 2**31 - 1
            readers.extend(stream.batches(key, first, endless, batch_size) for key in order_keys.ravel())
        runs = [_stack([next(reader) for _ in range(count)], chunk) for reader in readers]
        return replicate(runs[0] if order_keys.ndim == 0 else jax.tree.map(lambda *x: np.stack(x), *runs), mesh)

    def draw(fetched: PyTree, _: KeyArray, __: Array, i: Array) -> Batch:
        return jax.tree.map(lambda x: x[i], fetched)

    return Feed(stream.examples, stream.example(), fetch, draw, per_run=order_keys.ndim > 0)


def _stack(batches: list[Batch], length: int) -> Batch:
    """Stack batches to a fixed length, so that one compiled program takes full chunks and the shorter last one."""
    padded = batches + [batches[-1]] * (length - len(batches))
    return jax.tree.map(lambda *x: np.stack(x), *padded)
