"""Pictures that are read one by one: held in memory where they fit, streamed from the disk where they do not.

A `Source` knows how to read example i. `hold` reads all of them into one array; a `Stream` reads the examples of each
batch when it is due, in the background, in exactly the order in which `jaxgen.data.batch_indices` would have drawn them
from memory.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import jax
import numpy as np

from jaxgen.data.batching import batch_indices, batches_per_epoch
from jaxgen.optional_imports import require
from jaxgen.typing import KeyArray

MEMORY_LIMIT = 4 * 2**30
"""Bytes up to which pictures are held in memory unless the user says otherwise: 4 GiB."""

READ_TOGETHER = 256
"""Examples that are asked for at once when all are read: sources read many faster than one by one."""

AHEAD = 8
"""Batches that a stream reads in the background, each in a thread of its own."""


class Source(Protocol):
    """Pictures of one size that can be read in any order.

    Attributes:
        shape: height, width and channels of every picture.
        classes: number of labels, None where the pictures have none.
    """

    shape: tuple[int, int, int]
    classes: int | None

    def __len__(self) -> int:
        """Count the examples."""

    def read(self, indices: Sequence[int]) -> dict[str, np.ndarray]:
        """Read examples: `image`, uint8 [n, *shape], and `label`, int32 [n], if they have any."""


class Subset(Source):
    """Some examples of a source."""

    def __init__(self, source: Source, indices: Sequence[int]) -> None:
        self._source, self._indices = source, indices
        self.shape, self.classes = source.shape, source.classes

    def __len__(self) -> int:
        """Count the examples."""
        return len(self._indices)

    def read(self, indices: Sequence[int]) -> dict[str, np.ndarray]:
        """Read examples by their place in the subset."""
        return self._source.read([self._indices[i] for i in indices])


class Held(Source):
    """Arrays in memory, read as a source: so that a stream of them can be asked for too."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self.arrays = arrays
        self.shape = arrays["image"].shape[1:]
        self.classes = int(arrays["label"].max()) + 1 if "label" in arrays else None

    def __len__(self) -> int:
        """Count the examples."""
        return len(self.arrays["image"])

    def read(self, indices: Sequence[int]) -> dict[str, np.ndarray]:
        """Copy examples out of the arrays."""
        return {name: array[np.asarray(indices)] for name, array in self.arrays.items()}


class Stream:
    """Data that are read batch by batch while training goes on.

    Attributes:
        examples: how many there are.

    Example:
        >>> stream = Stream(Held({"image": np.zeros((6, 4, 4, 1), np.uint8), "label": np.arange(6, dtype=np.int32)}))
        >>> batches = stream.batches(jax.random.key(0), 0, 3, batch_size=2)
        >>> sorted(int(label) for batch in batches for label in batch["label"])
        [0, 1, 2, 3, 4, 5]
    """

    def __init__(self, source: Source) -> None:
        require("grain", extra="data")  # Missing, it should be missed here, not when training has begun.
        self._source = source
        self.examples = len(source)

    def example(self) -> dict[str, np.ndarray]:
        """Show what the data look like, as `jaxgen.data.example` does of arrays."""
        shown: dict[str, np.ndarray] = {"image": np.zeros((1, *self._source.shape), np.uint8)}
        if self._source.classes is not None:
            shown["label"] = np.array([self._source.classes - 1], np.int32)
        return shown

    def batches(
        self, key: KeyArray, first_step: int, last_step: int, batch_size: int
    ) -> Iterator[dict[str, np.ndarray]]:
        """Read the batches number first_step to last_step - 1.

        Args:
            key: determines the order, as in `jaxgen.data.batch_indices`.
            first_step: number of the first batch.
            last_step: number of the batch after the last.
            batch_size: examples a batch.

        Returns:
            The batches in turn, equal to `take(data, batch_indices(key, step, ...))` of the same data in memory.

        Raises:
            InputError: if a batch is larger than the data, or grain is not installed.
        """
        batches_per_epoch(examples=self.examples, batch_size=batch_size)  # complains now, not in a thread
        host = _host()
        key = jax.device_put(key, host)

        def indices(step: int) -> np.ndarray:
            with jax.default_device(host):
                return np.asarray(batch_indices(key, step, examples=self.examples, batch_size=batch_size))

        return self._read_ahead(first_step, last_step, indices)

    def in_order(self, batch_size: int) -> Iterator[dict[str, np.ndarray]]:
        """Read every example once, in the stored order; the last batch may be smaller.

        Args:
            batch_size: examples a batch.

        Returns:
            The batches in turn.

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
        return iter(batches.to_iter_dataset(grain.ReadOptions(num_threads=AHEAD, prefetch_buffer_size=AHEAD)))


def hold(source: Source) -> dict[str, np.ndarray]:
    """Read all examples of a source into memory.

    Args:
        source: of at least one example.

    Returns:
        `image`, uint8 [n, h, w, c], and `label`, int32 [n], if the source has any.

    Example:
        >>> hold(Held({"image": np.zeros((3, 8, 8, 1), np.uint8)}))["image"].shape
        (3, 8, 8, 1)
    """
    arrays: dict[str, np.ndarray] = {"image": np.empty((len(source), *source.shape), np.uint8)}
    if source.classes is not None:
        arrays["label"] = np.empty(len(source), np.int32)

    def fill(start: int) -> None:
        several = range(start, min(start + READ_TOGETHER, len(source)))
        for name, values in source.read(several).items():
            arrays[name][several.start : several.stop] = values

    with ThreadPoolExecutor() as pool:
        list(pool.map(fill, range(0, len(source), READ_TOGETHER)))
    return arrays


def hold_or_stream(source: Source, stream: bool | None) -> dict[str, np.ndarray] | Stream:
    """Choose between memory and stream.

    Args:
        source: of pictures.
        stream: the user's choice; None means a stream if the pictures take more than `MEMORY_LIMIT` bytes.

    Returns:
        The arrays, or the stream.

    Example:
        >>> type(hold_or_stream(Held({"image": np.zeros((3, 8, 8, 1), np.uint8)}), None)).__name__
        'dict'
    """
    if stream is None:
        stream = len(source) * int(np.prod(source.shape)) > MEMORY_LIMIT
    if stream:
        return Stream(source)
    return source.arrays if isinstance(source, Held) else hold(source)


def _host() -> jax.Device:
    """The CPU, whatever device trains: there the indices of a batch need not wait for the training steps before it."""
    try:
        return jax.devices("cpu")[0]
    except RuntimeError:  # JAX_PLATFORMS leaves the CPU out.
        return jax.devices()[0]
