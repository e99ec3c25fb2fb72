"""What identifies the examples of a data set, to notice that a run is resumed with others."""

import hashlib
from typing import Any

import numpy as np

from jaxgen._signatures import checked
from jaxgen.data.description import count_examples
from jaxgen.data.streaming import Stream
from jaxgen.typing import Batch

HASHED_BYTES = 256 * 2**20
"""Largest size of an array that is hashed entirely, in a third of a second: 256 MiB."""

HASHED_EXAMPLES = 64
"""Number of examples of a stream that are read and hashed."""


@checked
def fingerprint(data: Batch | Stream) -> dict[str, Any]:
    """Return the number of examples and a hash of their content.

    Args:
        data: arrays whose leading axis is that of the examples, or a stream. Of a stream, and of arrays of more than
            256 MiB, evenly spaced examples are hashed.

    Returns:
        `examples` and `sha256`, which JSON can represent.

    Example:
        >>> fingerprint({"point": np.zeros((3, 1), np.float32)})["examples"]
        3
    """
    examples = count_examples(data)
    hashed = hashlib.sha256()
    if isinstance(data, Stream):
        arrays = data.read(_evenly_spaced(examples, HASHED_EXAMPLES))
    else:
        arrays = {name: _some(np.asarray(array)) for name, array in data.items()}
    for name, array in sorted(arrays.items()):
        hashed.update(f"{name} {array.dtype} {array.shape}".encode())
        hashed.update(np.ascontiguousarray(array).data)
    return {"examples": examples, "sha256": hashed.hexdigest()}


def _some(array: np.ndarray) -> np.ndarray:
    """The array, or as many of its examples as have the size that is hashed."""
    if array.nbytes <= HASHED_BYTES:
        return array
    return array[_evenly_spaced(len(array), max(1, HASHED_BYTES * len(array) // array.nbytes))]


def _evenly_spaced(examples: int, count: int) -> list[int]:
    return [i * examples // count for i in range(count)] if examples > count else list(range(examples))
