"""Arrays of examples and labels of the user: checked, and converted to those of a data set."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgen.batch_checks import check_data
from jaxgen.data.image_folder import CHANNELS
from jaxgen.data.streaming import READ_CHUNK
from jaxgen.errors import InputError

LABEL = "label"
"""Name of the array, or of the column, of labels."""

LISTED, LONGEST_NAME = 8, 40
"""Number of names of arrays that an error lists, and number of characters of each."""

RESOLUTION = 1e-3
"""Largest rounding error of a point in float32, as a fraction of the standard deviation of its column."""


class Labelled(NamedTuple):
    """What a file holds.

    Attributes:
        arrays: `image`, uint8 [n, h, w, c], or `point`, float32 [n, dim]; and `label`, int32 [n], if there are labels.
        class_names: name of each class in order of the labels; empty where they are numbers.
        skipped: names of what else is in the file.
    """

    arrays: dict[str, np.ndarray]
    class_names: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


def as_uint8(path: Path, images: np.ndarray, name: str = "'image'") -> np.ndarray:
    """Return images as bytes, with an axis of channels.

    Args:
        path: path of the file, for messages.
        images: uint8 or floats in [0, 1], [n, h, w] or [n, h, w, 1 or 3].
        name: what they are in the file, for messages.

    Returns:
        uint8 [n, h, w, 1 or 3].

    Raises:
        InputError: if they are no such images.
    """
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if images.ndim != 4 or images.shape[-1] not in CHANNELS.values() or not images.size:
        raise InputError(f"{name} in {path} must have the shape [n, h, w] or [n, h, w, 1 or 3], got {images.shape}")
    check_data({"image": images}, str(path))
    if images.dtype == np.uint8:
        return images
    converted = np.empty(images.shape, np.uint8)
    for first in range(0, len(images), READ_CHUNK):  # in parts, for the memory of the products
        part = slice(first, first + READ_CHUNK)
        converted[part] = np.rint(images[part] * 255)
    return converted


def as_points(path: Path, points: np.ndarray) -> np.ndarray:
    """Return points as float32.

    Args:
        path: path of the file, for messages.
        points: real numbers [n, dim].

    Returns:
        float32 [n, dim].

    Raises:
        InputError: if they are no such points, not finite, or closer to each other than float32 resolves.
    """
    if points.ndim != 2 or not points.size:
        raise InputError(f"the points of {path} must have the shape [n, dim], got {points.shape}")
    if points.dtype.kind not in "iuf":
        raise InputError(f"the points of {path} must be real numbers, got {points.dtype}")
    with np.errstate(over="ignore"):
        converted = points.astype(np.float32)
    check_data({"point": converted}, str(path))
    deviation = points.std(axis=0, dtype=np.float64)
    rounding = np.abs(converted).max(axis=0) * float(np.finfo(np.float32).epsneg)
    for column in np.flatnonzero((deviation > 0) & (rounding > RESOLUTION * deviation)):
        raise InputError(
            f"column {column + 1} of the points of {path} must be resolved by float32, got the standard deviation "
            f"{deviation[column]:.3g} around {points[:, column].mean(dtype=np.float64):.6g}; subtract an offset"
        )
    return converted


def as_labels(labels: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return labels as numbers, and the names of the classes where the labels are text.

    Args:
        labels: numbers or texts, [n].

    Returns:
        Numbers [n], and the names of the classes in order; empty where the labels are numbers.

    Example:
        >>> numbers, names = as_labels(np.array(["pear", "fig", "pear"]))
        >>> numbers.tolist(), names
        ([1, 0, 1], ('fig', 'pear'))
    """
    if labels.dtype.kind != "U" or labels.ndim != 1:
        return labels, ()
    names, numbers = np.unique(labels, return_inverse=True)
    return numbers, tuple(map(str, names))


def with_labels(
    path: Path, kind: str, examples: np.ndarray, labels: np.ndarray | None, class_names: tuple[str, ...]
) -> Labelled:
    """Return examples with their labels.

    Args:
        path: path of the file, for messages.
        kind: `image` or `point`.
        examples: checked examples, [n, ...].
        labels: a label for each, [n]; None where there are none.
        class_names: name of each class; empty where the labels are numbers.

    Returns:
        What the file holds.

    Raises:
        InputError: if the labels are no whole numbers from 0 on, or there is not one for each example.
    """
    if labels is None:
        return Labelled({kind: examples})
    check_data({LABEL: labels}, str(path))
    if len(labels) != len(examples):
        raise InputError(
            f"'label' in {path} must have one label for each of {len(examples)} examples, got {labels.shape}"
        )
    return Labelled({kind: examples, LABEL: labels.astype(np.int32)}, class_names)


def listed(names: list[str]) -> str:
    """Return names for a message, of many or long ones the beginning.

    Args:
        names: any names.

    Returns:
        The text of a list.

    Example:
        >>> listed([str(i) for i in range(10)])
        "['0', '1', '2', '3', '4', '5', '6', '7'] and 2 others"
    """
    shown = [name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..." for name in names[:LISTED]]
    return f"{shown}{f' and {len(names) - LISTED} others' if len(names) > LISTED else ''}"
