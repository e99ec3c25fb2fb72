"""Labels of conditional models: one label or several, as integers or as indicator vectors."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen._arrays import is_known
from jaxgen.batch_checks import check_data
from jaxgen.errors import InputError
from jaxgen.typing import AnyArray, Array, Batch, Float, Int

Labels: TypeAlias = Int[AnyArray, "..."] | Sequence[int] | int
"""One label, or one for each example."""

Label: TypeAlias = Int[Array, " batch"] | None
"""A class for each example of a batch; None without a condition."""


def labels_of(batch: Batch) -> Int[Array, " batch"]:
    """Return the labels of a batch.

    Args:
        batch: batch of a data set with labels.

    Returns:
        One integer per example.

    Raises:
        InputError: if the batch has no labels, or `check_data` refuses them.

    Example:
        >>> labels_of({"point": jnp.zeros((4, 2))})
        Traceback (most recent call last):
        jaxgen.errors.InputError: the data must have labels for this model, got only ['point']: choose data with labels
    """
    if "label" not in batch:
        raise InputError(f"the data must have labels for this model, got only {sorted(batch)}: choose data with labels")
    check_data({"label": batch["label"]})
    return batch["label"]


def count_classes(example: Batch) -> int:
    """Return the number of classes, `label.max() + 1`.

    Args:
        example: batch that represents the data, as of `jaxgen.data.example`: its largest label is that of the data.

    Returns:
        Number of classes.

    Raises:
        InputError: if the batch has no labels.

    Example:
        >>> count_classes({"label": np.array([0, 9])})
        10
    """
    return int(np.max(labels_of(example))) + 1


def each_label(label: Labels | None, n: int, classes: int) -> Int[Array, " n"]:
    """Return one label for each of n examples.

    Args:
        label: one label for all examples, or one for each; None for all classes in order: 0, 1, ..., 0, 1, ...
        n: number of examples.
        classes: number of classes.

    Returns:
        The labels, [n].

    Raises:
        InputError: if the number of labels is neither 1 nor n, or `check_labels` rejects them.

    Example:
        >>> each_label(None, 5, 3).tolist(), each_label(2, 3, 3).tolist()
        ([0, 1, 2, 0, 1], [2, 2, 2])
    """
    if label is None:
        return jnp.arange(n) % classes
    if np.shape(label) not in ((), (n,)):
        raise InputError(f"label must be one label or {n} labels for {n} examples, got shape {np.shape(label)}")
    check_labels(label, classes)
    return jnp.broadcast_to(jnp.asarray(label), (n,))


def check_conditional(label: Labels | None, *, conditional: bool) -> None:
    """Refuse labels for a model that is not conditioned on them.

    Args:
        label: labels that are given; None for none.
        conditional: whether the model is conditioned on labels.

    Raises:
        InputError: if labels are given and the model is not conditioned on them.

    Example:
        >>> check_conditional(3, conditional=False)
        Traceback (most recent call last):
        jaxgen.errors.InputError: this model is not conditioned on labels: train one with conditional=True
    """
    if label is not None and not conditional:
        raise InputError("this model is not conditioned on labels: train one with conditional=True")


def one_hot(label: Labels, classes: int) -> Float[Array, "*shape classes"]:
    """Return labels as indicator vectors.

    Args:
        label: integers in [0, classes), of any shape.
        classes: number of classes.

    Returns:
        float32, 1 at the label and 0 elsewhere. The value of a traced label is not checked; outside the range it gives
        0 everywhere.

    Raises:
        InputError: if labels are not integers, or not traced and outside the range.

    Example:
        >>> one_hot(jnp.array([0, 2]), 3)
        Array([[1., 0., 0.],
               [0., 0., 1.]], dtype=float32)
    """
    check_labels(label, classes)
    return jax.nn.one_hot(jnp.asarray(label), classes)


def check_labels(label: Labels, classes: int) -> None:
    """Check that labels are integers in [0, classes), as far as their values are known.

    Args:
        label: labels of any shape; of traced ones only the type is checked.
        classes: number of classes.

    Raises:
        InputError: if labels are not integers, or not traced and outside the range.

    Example:
        >>> check_labels(jnp.array([0, 3]), 3)
        Traceback (most recent call last):
        jaxgen.errors.InputError: label must be from 0 to 2, as there are 3 classes, got 3
    """
    known = is_known(label)
    # In NumPy, because under jit even the minimum of a constant would be traced.
    labels: Any = np.asarray(label) if known else label
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise InputError(f"label must be an integer, got {labels.dtype}")
    if known and labels.size:
        lowest, highest = int(labels.min()), int(labels.max())
        if lowest < 0 or highest >= classes:
            wrong = lowest if lowest < 0 else highest
            raise InputError(f"label must be from 0 to {classes - 1}, as there are {classes} classes, got {wrong}")
