"""Image sources: read into memory if the images fit, streamed from the disk otherwise.

A `Source` reads examples by their indices. `read_all` reads all examples into one array per name. A `Stream` reads the
examples of each batch when it is needed, in background threads, in exactly the order in which
`jaxgen.data.batch_indices` draws them from memory.
"""

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Protocol

import jax
import numpy as np

from jaxgen.data.batching import batch_indices, batches_per_epoch
from jaxgen.memory import check_host_memory
from jaxgen.optional_imports import require
from jaxgen.typing import Int, KeyArray, Shaped

MEMORY_LIMIT = 4 * 2**30
"""Largest size in bytes of images that are stored in memory by default: 4 GiB."""

READ_CHUNK = 256
"""Number of examples per call when all are read: sources read several examples at once faster than one by one."""

PREFETCH = 8
"""Number of batches that a stream reads ahead, each in a separate thread."""


class Source(Protocol):
    """Images of one size that can be read in any order.

    Attributes:
        shape: height, width and channels of every image.
        classes: number of classes, None for images without labels.
        class_names: name of each class in order of the labels; empty where they have none.
        notice: what was read and what was not, for the user; empty for data that are always the same.
    """

    shape: tuple[int, int, int]
    classes: int | None
    class_names: tuple[str, ...] = ()
    notice: str = ""

    def __len__(self) -> int:
        """Return the number of examples."""

    def read(self, indices: Sequence[int]) -> dict[str, np.ndarray]:
        """Read examples: `image`, uint8 [n, *shape], and `label`, int32 [n], for images with labels."""

    def store(self, arrays: dict[str, np.ndarray]) -> None:
        """Receive all examples after `read_all` has read them: a source may cache them for the next time."""
        return

    def digests(self) -> tuple[list[bytes], Int[np.ndarray, " n"] | None]:
        """Return the SHA-256 of the content of each example, and the labels.

        All examples are read for it, unless a source finds them in a cheaper way, e.g. in files without decoding them.
        """

        def of_chunk(start: int) -> tuple[list[bytes], np.ndarray | None]:
            chunk = self.read(range(start, min(start + READ_CHUNK, len(self))))
            return digest_rows(chunk["image"]), chunk.get("label")

        with ThreadPoolExecutor() as pool:
            parts = list(pool.map(of_chunk, range(0, len(self), READ_CHUNK)))
        labels = [label for _, label in parts if label is not None]
        return [row for rows, _ in parts for row in rows], np.concatenate(labels) if labels else None


def digest_rows(array: Shaped[np.ndarray, " n *event"]) -> list[bytes]:
    """Return the SHA-256 of the bytes of each example.

    Args:
        array: examples along the leading axis.

    Returns:
        One digest of 32 bytes per example.

    Example:
        >>> [digest.hex()[:8] for digest in digest_rows(np.array([[0, 1], [1, 0], [0, 1]], np.uint8))]
        ['b413f47d', '47dc540c', 'b413f47d']
    """
    return [hashlib.sha256(row.tobytes()).digest() for row in array]


class Subset(Source):
    """Subset of the examples of a source."""

    def __init__(self, source: Source, indices: Sequence[int]) -> None:
        self._source, self._indices = source, indices
        self.shape, self.classes, self.class_names = source.shape, source.classes, source.class_names

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self._indices)

    def read(self, indices: Sequence[int]) -> dict[str, np.ndarray]:
        """Read examples by their indices in the subset."""
        return self._source.read([self._indices[i] for i in indices])


class ArraySource(Source):
    """Arrays in memory as a source, so that they can be streamed as well; `image` or `point`, and optionally `label`.

    Args:
        arrays: arrays with the examples along the leading axis.
        class_names: name of each class in order of the labels; empty where they have none.
    """

    def __init__(self, arrays: dict[str, np.ndarray], class_names: Sequence[str] = ()) -> None:
        self.arrays, self.class_names = arrays, tuple(class_names)
        self._examples = arrays["image" if "image" in arrays else "point"]
        self.shape = self._examples.shape[1:]
        self.classes = len(class_names) or (int(arrays["label"].max()) + 1 if "label" in arrays else None)

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self._examples)

    @property
    def empty_classes(self) -> list[int]:
        """Labels below `classes` that no example has."""
        return np.setdiff1d(np.arange(self.classes or 0), self.arrays.get("label", [])).tolist()

    def read(self, indices: Sequence[int]) -> dict[str, np.ndarray]:
        """Copy examples from the arrays."""
        return {name: array[np.asarray(indices)] for name, array in self.arrays.items()}

    def digests(self) -> tuple[list[bytes], Int[np.ndarray, " n"] | None]:
        """Return the SHA-256 of the content of each example, and the labels, without a copy of the arrays."""
        return self._digests, self.arrays.get("label")

    @cached_property
    def _digests(self) -> list[bytes]:
        return digest_rows(self._examples)


class Stream:
    """Data that are read batch by batch during training.

    Attributes:
        examples: number of examples.

    Example:
        >>> arrays = {"image": np.zeros((6, 4, 4, 1), np.uint8), "label": np.arange(6, dtype=np.int32)}
        >>> stream = Stream(ArraySource(arrays))
        >>> batches = stream.batches(jax.random.key(0), 0, 3, batch_size=2)
        >>> sorted(int(label) for batch in batches for label in batch["label"])
        [0, 1, 2, 3, 4, 5]
    """

    def __init__(self, source: Source) -> None:
        require("grain", extra="data")  # A missing package raises here, before training begins.
        self._source = source
        self.examples = len(source)

    def example(self) -> dict[str, np.ndarray]:
        """Return a batch of one example with the shapes and the number of classes, as `jaxgen.data.example` does."""
        one: dict[str, np.ndarray] = {"image": np.zeros((1, *self._source.shape), np.uint8)}
        if self._source.classes is not None:
            one["label"] = np.array([self._source.classes - 1], np.int32)
        return one

    def read(self, indices: Sequence[int]) -> dict[str, np.ndarray]:
        """Read examples by their indices."""
        return self._source.read(indices)

    def digests(self) -> tuple[list[bytes], Int[np.ndarray, " n"] | None]:
        """Return the SHA-256 of the content of each example, and the labels; this may read all examples."""
        return self._source.digests()

    def select(self, indices: Sequence[int]) -> "Stream":
        """Return a stream of some of the examples."""
        return Stream(Subset(self._source, indices))

    def batches(
        self, key: KeyArray, first_step: int, last_step: int, batch_size: int
    ) -> Iterator[dict[str, np.ndarray]]:
        """Read the batches from number `first_step` to number `last_step - 1`.

        Args:
            key: PRNG key that determines the order, as in `jaxgen.data.batch_indices`.
            first_step: number of the first batch.
            last_step: number of the batch after the last one.
            batch_size: number of examples per batch.

        Returns:
            Iterator over the batches, equal to `take(data, batch_indices(key, step, ...))` of the same data in memory.

        Raises:
            InputError: if the batch size is below 1 or larger than the number of examples, or grain is not installed.
        """
        batches_per_epoch(examples=self.examples, batch_size=batch_size)  # raises here instead of in a thread
        host = _host()
        key = jax.device_put(key, host)

        def indices(step: int) -> np.ndarray:
            with jax.default_device(host):
                return np.asarray(batch_indices(key, step, examples=self.examples, batch_size=batch_size))

        return self._read_ahead(first_step, last_step, indices)

    def in_order(self, batch_size: int) -> Iterator[dict[str, np.ndarray]]:
        """Read every example once, in the stored order; the last batch may be smaller.

        Args:
            batch_size: number of examples per batch.

        Returns:
            Iterator over the batches.

        Raises:
            InputError: if grain is not installed.
        """

        def indices(batch: int) -> np.ndarray:
            return np.arange(batch * batch_size, min((batch + 1) * batch_size, self.examples))

        return self._read_ahead(0, -(-self.examples // batch_size), indices)

    def _read_ahead(
        self, first: int, last: int, indices: Callable[[int], np.ndarray]
    ) -> Iterator[dict[str, np.ndarray]]:
        grain = require("grain", extra="data")
        batches = grain.MapDataset.range(first, last).map(lambda i: self._source.read(indices(int(i)).tolist()))
        return iter(batches.to_iter_dataset(grain.ReadOptions(num_threads=PREFETCH, prefetch_buffer_size=PREFETCH)))


def read_all(source: Source) -> dict[str, np.ndarray]:
    """Read all examples of a source into memory.

    Args:
        source: source of at least one example.

    Returns:
        `image`, uint8 [n, h, w, c], and `label`, int32 [n], for a source with labels.

    Raises:
        InputError: if the machine has too little memory.

    Example:
        >>> read_all(ArraySource({"image": np.zeros((3, 8, 8, 1), np.uint8)}))["image"].shape
        (3, 8, 8, 1)
    """
    check_host_memory(f"{len(source)} images", len(source) * math.prod(source.shape), "stream them from disk")
    arrays: dict[str, np.ndarray] = {"image": np.empty((len(source), *source.shape), np.uint8)}
    if source.classes is not None:
        arrays["label"] = np.empty(len(source), np.int32)

    def fill(start: int) -> None:
        chunk = range(start, min(start + READ_CHUNK, len(source)))
        for name, values in source.read(chunk).items():
            arrays[name][chunk.start : chunk.stop] = values

    with ThreadPoolExecutor() as pool:
        list(pool.map(fill, range(0, len(source), READ_CHUNK)))
    source.store(arrays)
    return arrays


def read_or_stream(source: Source, stream: bool | None) -> dict[str, np.ndarray] | Stream:
    """Read a source into memory, or return a stream of it.

    Args:
        source: source of images.
        stream: whether to stream; None streams images that take more than `MEMORY_LIMIT` bytes.

    Returns:
        Arrays in memory, or the stream.

    Example:
        >>> type(read_or_stream(ArraySource({"image": np.zeros((3, 8, 8, 1), np.uint8)}), None)).__name__
        'dict'
    """
    if stream is None:
        stream = len(source) * int(np.prod(source.shape)) > MEMORY_LIMIT
    if stream:
        return Stream(source)
    return source.arrays if isinstance(source, ArraySource) else read_all(source)


def _host() -> jax.Device:
    """The CPU device: on it, the indices of a batch need not wait for the training steps queued on the accelerator."""
    try:
        return jax.devices("cpu")[0]
    except RuntimeError:  # JAX_PLATFORMS excludes the CPU.
        return jax.devices()[0]
