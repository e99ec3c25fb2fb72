"""Split data without a test split: a tenth of each class is held out, chosen by the content of its examples.

The choice does not depend on the order in which the examples are stored: in an order that repeats with a period that
divides ten, every tenth example would be of the same class. Nor does it depend on a random number.
"""

import math
from collections.abc import Sequence

import numpy as np

from jaxgen.data.streaming import ArraySource, Source, Subset
from jaxgen.errors import InputError
from jaxgen.typing import Int, Shaped

TEST_FRACTION = 0.1
"""Share of the examples of a class that belong to the test split."""


LISTED = 3
"""Number of labels without examples that a notice names."""


def holdout_split(source: Source, split: str, name: str) -> Source:
    """Return one split of a source that has no test split.

    Args:
        source: source of all examples.
        split: "train" or "test".
        name: name of the data for the error message.

    Returns:
        Source of the examples of the split, in their order.

    Raises:
        InputError: if the test split is empty, because no class has two examples.

    Example:
        >>> images = np.arange(20, dtype=np.uint8).reshape(20, 1, 1, 1)
        >>> len(holdout_split(ArraySource({"image": images}), "test", "images"))
        2
    """
    selected = holdout_indices(source, split, name)
    if isinstance(source, ArraySource):
        return ArraySource(source.read(selected), source.class_names)
    return Subset(source, selected)


def holdout_indices(source: Source, split: str, name: str) -> list[int]:
    """Return the indices of the examples of one split, as `holdout_split` selects them.

    Args:
        source: source of all examples.
        split: "train" or "test".
        name: name of the data for the error message.

    Returns:
        Indices in increasing order.

    Raises:
        InputError: if the test split is empty, because no class has two examples.

    Example:
        >>> images = np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1)
        >>> sum((holdout_indices(ArraySource({"image": images}), split, "images") for split in ("train", "test")), [])
        [0, 1, 2, 3]
    """
    held_out = choose_held_out(*source.digests())
    if split == "test" and not held_out.any():
        raise InputError(f"{name} must have a class of at least 2 examples for a test split, got {len(source)} in all")
    return np.flatnonzero(held_out == (split == "test")).tolist()


def choose_held_out(
    digests: Sequence[bytes], labels: Int[np.ndarray, " n"] | None, fraction: float = TEST_FRACTION
) -> Shaped[np.ndarray, " n"]:
    """Choose a share of each class, to the nearest whole number, but at least one, and never the last, of two or more.

    Within a class the examples are ranked by the digests of their contents, and by their indices where the contents are
    equal; the first ones are held out.

    Args:
        digests: digest of the content of each example.
        labels: label of each example, [n]; None for a single class.
        fraction: share of each class, below 1.

    Returns:
        Whether each example is held out, bool [n]. The only example of a class never is.

    Example:
        >>> choose_held_out([b"c", b"a", b"b"], np.array([0, 0, 1])).tolist()
        [False, True, False]
    """
    labels = np.zeros(len(digests), np.int32) if labels is None else labels
    held_out = np.zeros(len(digests), bool)
    order = sorted(range(len(digests)), key=lambda i: (labels[i], digests[i]))  # stable: by index where both are equal
    bounds = np.flatnonzero(np.diff(labels[order])) + 1
    for of_class in np.split(np.asarray(order, np.int64), bounds):
        count = max(1, math.floor(len(of_class) * fraction + 0.5))
        held_out[of_class[: min(count, len(of_class) - 1)]] = True
    return held_out


def describe_splits(train: int, test: int, what: str, classes: int | None, empty: Sequence[int] = ()) -> str:
    """Return a sentence about the numbers of examples that were read.

    Args:
        train: number of training examples.
        test: number of test examples.
        what: what they are, in the plural.
        classes: number of classes, None without labels.
        empty: labels below `classes` that no example has.

    Returns:
        The beginning of a notice.

    Example:
        >>> describe_splits(58, 6, "images", 3)
        'read 58 + 6 images of 3 classes'
        >>> describe_splits(58, 6, "images", 4, [0])
        'read 58 + 6 images of 3 classes, none with the label 0'
    """
    if classes is None:
        return f"read {train} + {test} {what}"
    occurring = classes - len(empty)
    without = f", none with the label{'s'[: len(empty) != 1]} {', '.join(map(str, empty[:LISTED]))}" if empty else ""
    more = ", ..." if len(empty) > LISTED else ""
    return f"read {train} + {test} {what} of {occurring} class{'' if occurring == 1 else 'es'}{without}{more}"
