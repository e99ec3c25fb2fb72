"""What data look like, without the data: the smallest batch from which a model can be built.

A model needs the shapes and the number of classes, nothing else. `example` boils data down to that, and the pair
`describe` and `example_from` writes it to a run's `config.json` and reads it back, so that a trained model is loaded
without its data set.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxgen.data.streaming import Stream
from jaxgen.errors import InputError
from jaxgen.typing import Batch

DTYPES = {"image": ("uint8", 3), "point": ("float32", 1)}
"""Name of an array -> its type, and its number of axes beside the one of examples."""


def example(data: Batch | Stream) -> dict[str, np.ndarray]:
    """Boil data down to the smallest batch that shows what they look like.

    Args:
        data: arrays whose leading axis are the examples, or a stream of such.

    Returns:
        One zero example of every array, leading axis 1; but of `label` the largest one, so that the number of classes
        is `example["label"].max() + 1`.

    Example:
        >>> example({"image": np.ones((5, 8, 8, 1), np.uint8), "label": np.array([3, 9, 0, 1, 2])})["label"]
        array([9], dtype=int32)
    """
    if isinstance(data, Stream):
        return data.example()
    shown = {name: np.zeros((1, *array.shape[1:]), array.dtype) for name, array in data.items() if name != "label"}
    if "label" in data:
        shown["label"] = np.asarray(data["label"]).max(keepdims=True).astype(np.int32)
    return shown


def count_examples(data: Batch | Stream) -> int:
    """Count the examples that data hold.

    Args:
        data: arrays whose leading axis are the examples, or a stream of such.

    Returns:
        The length that all arrays have.

    Raises:
        InputError: if there is no array, or one is longer than another.

    Example:
        >>> count_examples({"image": np.zeros((5, 8, 8, 1), np.uint8), "label": np.arange(5)})
        5
    """
    if isinstance(data, Stream):
        return data.examples
    lengths = {name: len(array) for name, array in data.items()}
    if len(set(lengths.values())) != 1:
        raise InputError(f"data are arrays with the same number of examples, got {lengths or 'none'}")
    return next(iter(lengths.values()))


def describe(example: Batch) -> dict[str, Any]:
    """Write what `example` returned as something JSON can hold.

    Args:
        example: what `example` returned.

    Returns:
        Name of an array -> its shape without the axis of examples and its type; of `label` the number of classes.

    Example:
        >>> describe({"point": np.zeros((1, 2), np.float32), "label": np.array([7], np.int32)})
        {'point': {'shape': [2], 'dtype': 'float32'}, 'label': {'classes': 8}}
    """
    described: dict[str, Any] = {
        name: {"shape": list(array.shape[1:]), "dtype": str(array.dtype)}
        for name, array in example.items()
        if name != "label"
    }
    if "label" in example:
        described["label"] = {"classes": int(example["label"].max()) + 1}
    return described


def example_from(description: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Read back what `describe` has written.

    Args:
        description: what `describe` returned, perhaps by way of a JSON file that somebody has edited since.

    Returns:
        What `example` returned.

    Raises:
        InputError: if this is not a description of data, with what is wrong in it.

    Example:
        >>> example_from({"point": {"shape": [2], "dtype": "float32"}, "label": {"classes": 8}})
        {'point': array([[0., 0.]], dtype=float32), 'label': array([7], dtype=int32)}
    """
    if not isinstance(description, Mapping) or not any(name in DTYPES for name in description):
        raise InputError(f"a description of data names 'image' or 'point', got {description!r}")
    return {name: _array_from(name, entry) for name, entry in description.items()}


def _array_from(name: str, entry: Any) -> np.ndarray:
    if name == "label":
        classes = entry.get("classes") if isinstance(entry, Mapping) else None
        if classes is None or not _is_count(classes):
            raise InputError(f"the description of 'label' is {{'classes': a positive integer}}, got {entry!r}")
        return np.array([classes - 1], np.int32)
    if name not in DTYPES:
        raise InputError(f"a description of data holds 'image' or 'point', and 'label', but not {name!r}")
    dtype, axes = DTYPES[name]
    shape = entry.get("shape") if isinstance(entry, Mapping) else None
    if not isinstance(shape, list) or len(shape) != axes or not all(_is_count(n) for n in shape):
        raise InputError(f"the description of {name!r} has a 'shape' of {axes} positive integers, got {entry!r}")
    if entry.get("dtype") != dtype:
        raise InputError(f"the description of {name!r} has 'dtype' {dtype!r}, got {entry!r}")
    return np.zeros((1, *shape), np.dtype(dtype))


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31
