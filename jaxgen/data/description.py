"""Shapes, dtypes and number of classes of a data set, as the smallest batch from which a model can be built.

A model is built from the shapes and the number of classes alone. `example` extracts them from the data. `describe` and
`example_from` write them to the `config.json` of a run and read them back, so that a trained model can be loaded
without its data set.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxgen._signatures import checked
from jaxgen.batch_checks import MAX_CLASSES
from jaxgen.data.streaming import Stream
from jaxgen.errors import InputError, shortened
from jaxgen.typing import Batch

DTYPES = {"image": ("uint8", 3), "point": ("float32", 1)}
"""Array name -> dtype, and number of axes without the axis of examples."""


@checked
def example(data: Batch | Stream) -> dict[str, np.ndarray]:
    """Return a batch of one example with the shapes, dtypes and number of classes of the data.

    Args:
        data: arrays with the examples along the leading axis, or a stream of such batches.

    Returns:
        Zeros for every array, leading axis 1, except `label`: the largest label of the data, so that the number of
        classes is `example["label"].max() + 1`.

    Example:
        >>> example({"image": np.ones((5, 8, 8, 1), np.uint8), "label": np.array([3, 9, 0, 1, 2])})["label"]
        array([9], dtype=int32)
    """
    if isinstance(data, Stream):
        return data.example()
    one = {name: np.zeros((1, *array.shape[1:]), array.dtype) for name, array in data.items() if name != "label"}
    if "label" in data:
        one["label"] = np.asarray(data["label"]).max(keepdims=True).astype(np.int32)
    return one


@checked
def count_examples(data: Batch | Stream) -> int:
    """Return the number of examples.

    Args:
        data: arrays with the examples along the leading axis, or a stream of such batches.

    Returns:
        The common length of all arrays.

    Raises:
        InputError: if there are no arrays, or their lengths differ.

    Example:
        >>> count_examples({"image": np.zeros((5, 8, 8, 1), np.uint8), "label": np.arange(5)})
        5
    """
    if isinstance(data, Stream):
        return data.examples
    lengths = {name: len(array) for name, array in data.items()}
    if len(set(lengths.values())) != 1:
        raise InputError(f"all arrays of the data must have the same number of examples, got {lengths or 'no arrays'}")
    return next(iter(lengths.values()))


def describe(example: Batch) -> dict[str, Any]:
    """Convert the result of `example` to values that JSON can represent.

    Args:
        example: batch of one example, as `example` returns it.

    Returns:
        Array name -> shape without the axis of examples, and dtype; for `label` the number of classes.

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
    """Convert the result of `describe` back to a batch of one example.

    Args:
        description: result of `describe`, also after a round trip through a JSON file.

    Returns:
        Batch of one example, as `example` returns it.

    Raises:
        InputError: if the description is not valid, e.g. because the JSON file was edited; the message names the entry.

    Example:
        >>> example_from({"point": {"shape": [2], "dtype": "float32"}, "label": {"classes": 8}})
        {'point': array([[0., 0.]], dtype=float32), 'label': array([7], dtype=int32)}
    """
    if not isinstance(description, Mapping) or not any(name in DTYPES for name in description):
        raise InputError(f"a description of data must have an entry 'image' or 'point', got {shortened(description)}")
    return {name: _array_from(name, entry) for name, entry in description.items()}


def _array_from(name: str, entry: Any) -> np.ndarray:
    if name == "label":
        classes = entry.get("classes") if isinstance(entry, Mapping) else None
        if classes is None or not _is_count(classes):
            raise InputError(
                f"the description of 'label' must be {{'classes': a positive integer}}, got {shortened(entry)}"
            )
        if classes > MAX_CLASSES:
            raise InputError(f"the description of 'label' must have at most {MAX_CLASSES} classes, got {classes}")
        return np.array([classes - 1], np.int32)
    if name not in DTYPES:
        raise InputError(f"entries of a description of data must be 'image', 'point' or 'label', got {shortened(name)}")
    dtype, axes = DTYPES[name]
    shape = entry.get("shape") if isinstance(entry, Mapping) else None
    if not isinstance(shape, list) or len(shape) != axes or not all(_is_count(n) for n in shape):
        raise InputError(
            f"the description of {shortened(name)} must have a 'shape' of {axes} positive integers, got "
            f"{shortened(entry)}"
        )
    if entry.get("dtype") != dtype:
        raise InputError(
            f"the description of {shortened(name)} must have the 'dtype' {shortened(dtype)}, got {shortened(entry)}"
        )
    if math.prod(shape) >= 2**31:
        raise InputError(f"an example of {shortened(name)} must have less than 2^31 values, got shape {shape}")
    return np.zeros((1, *shape), np.dtype(dtype))


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31
