"""The labels of conditional models: one or many, as integers or as indicator vectors."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.errors import InputError
from jaxgen.typing import AnyArray, Array, Batch, Float, Int

Labels: TypeAlias = Int[AnyArray, "..."] | Sequence[int] | int
"""One label, or one for each example."""


def labels_of(batch: Batch) -> Int[Array, " batch"]:
    """The labels of a batch.

    Args:
        batch: of a data set with labels.

    Returns:
        One integer for each example.

    Raises:
        InputError: if there are none.

    Example:
        >>> labels_of({"point": jnp.zeros((4, 2))})
        Traceback (most recent call last):
        jaxgen.errors.InputError: a conditional model needs labels, and these data have only ['point']
    """
    if "label" not in batch:
        raise InputError(f"a conditional model needs labels, and these data have only {sorted(batch)}")
    return batch["label"]


def count_classes(example: Batch) -> int:
    """The number of classes of some data: `label.max() + 1`.

    Args:
        example: the smallest batch that shows what the data look like.

    Returns:
        The number.

    Raises:
        InputError: if there are no labels.

    Example:
        >>> count_classes({"label": np.array([0, 9])})
        10
    """
    return int(np.max(labels_of(example))) + 1


def each_label(label: Labels | None, n: int, classes: int) -> Int[Array, " n"]:
    """One label for each of n examples.

    Args:
        label: one for all, or one for each; where nothing is given, the classes take turns: 0, 1, ..., 0, 1, ...
        n: number of examples.
        classes: how many there are.

    Returns:
        The labels.

    Raises:
        InputError: if there are neither one nor n, or they are not what `one_hot` takes.

    Example:
        >>> each_label(None, 5, 3).tolist(), each_label(2, 3, 3).tolist()
        ([0, 1, 2, 0, 1], [2, 2, 2])
    """
    if label is None:
        return jnp.arange(n) % classes
    if np.shape(label) not in ((), (n,)):
        raise InputError(f"give one label or {n} labels for {n} examples, got labels of shape {np.shape(label)}")
    check_labels(label, classes)
    return jnp.broadcast_to(jnp.asarray(label), (n,))


def one_hot(label: Labels, classes: int) -> Float[Array, "*shape classes"]:
    """Labels as indicator vectors.

    Args:
        label: integers in [0, classes).
        classes: how many there are.

    Returns:
        float32, 1 at the label and 0 elsewhere; a traced label outside the range, which cannot be refused, gives 0
        everywhere.

    Raises:
        InputError: if labels are not integers, or are known and outside the range.

    Example:
        >>> one_hot(jnp.array([0, 2]), 3)
        Array([[1., 0., 0.],
               [0., 0., 1.]], dtype=float32)
    """
    check_labels(label, classes)
    return jax.nn.one_hot(jnp.asarray(label), classes)


def check_labels(label: Labels, classes: int) -> None:
    """Refuse labels that no class has.

    Args:
        label: integers in [0, classes).
        classes: how many there are.

    Raises:
        InputError: if labels are not integers, or are known and outside the range.

    Example:
        >>> check_labels(jnp.array([0, 3]), 3)
        Traceback (most recent call last):
        jaxgen.errors.InputError: label 3 is outside the range: the 3 classes are 0 to 2
    """
    known = not isinstance(label, jax.core.Tracer)
    # In NumPy, as under jit even the minimum of a constant would be traced.
    labels: Any = np.asarray(label) if known else label
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise InputError(f"labels must be integers, got {labels.dtype}")
    if known and labels.size:
        lowest, highest = int(labels.min()), int(labels.max())
        if lowest < 0 or highest >= classes:
            wrong = lowest if lowest < 0 else highest
            raise InputError(f"label {wrong} is outside the range: the {classes} classes are 0 to {classes - 1}")
