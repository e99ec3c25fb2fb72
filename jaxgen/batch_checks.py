"""The checks of data that every function with data of the user makes: `load`, `build`, `fit`, `evaluate` and runs."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxgen._arrays import check_byte_order, check_unit_interval, known_bounds, scaling_advice
from jaxgen.errors import InputError
from jaxgen.typing import Array

MAX_CLASSES = 2**16
"""Largest number of classes: labels become indicator vectors of that length."""

LARGEST_PIXELS = 2**26
"""Largest number of pixels of an image that is read or drawn: 8192 x 8192."""


def check_data(data: Mapping[str, Any], origin: str = "") -> None:
    """Check the arrays `image`, `point` and `label` of a batch or of a data set, as far as their values are known.

    Of traced arrays only the dtype and the number of axes are checked. Arrays of other names are not checked.

    Args:
        data: `image`, uint8 or floats in [0, 1], [n, height, width, channels]; `point`, finite floats, [n, dim];
            `label`, integers from 0 to `MAX_CLASSES - 1`, [n].
        origin: where the arrays come from, for the error message, e.g. a path.

    Raises:
        InputError: if an array differs from this description; the message says how to convert it.

    Example:
        >>> check_data({"image": np.zeros((2, 8, 8, 1)), "label": np.array([0, 3])})
        >>> check_data({"image": np.full((2, 8, 8, 1), 255.0)})
        Traceback (most recent call last):
        jaxgen.errors.InputError: floats of 'image' must be in [0, 1], got 255.0 to 255.0; divide them by 255
    """
    if not isinstance(data, Mapping):
        raise InputError(f"data must be arrays by their names, as in {{'image': x}}, got {type(data).__name__}")
    place = f" in {origin}" if origin else ""
    for name, check in (("image", _check_images), ("point", _check_points), ("label", _check_labels)):
        if name in data:
            array = data[name]
            if not hasattr(array, "dtype") or not hasattr(array, "ndim"):
                raise InputError(f"'{name}'{place} must be an array, got {type(array).__name__}; use np.asarray")
            check_byte_order(f"'{name}'{place}", array.dtype)
            check(array, f"'{name}'{place}")


def check_like(example: Mapping[str, Any], batch: Mapping[str, Any]) -> None:
    """Check that a batch may be given to a model that was built from an example.

    Args:
        example: smallest batch that shows the shapes of the data of the model.
        batch: batch of examples.

    Raises:
        InputError: if `check_data` refuses the batch, its examples have another shape, or its arrays are of different
            lengths.

    Example:
        >>> check_like({"point": np.zeros((1, 2))}, {"point": np.zeros((5, 3))})
        Traceback (most recent call last):
        jaxgen.errors.InputError: 'point' must have the shape [n, 2], as the data of the training, got (5, 3)
    """
    check_data(batch)
    for name in ("image", "point"):
        if name not in example:
            continue
        if name not in batch:
            raise InputError(f"a batch must have an array '{name}', as the data of the training, got {sorted(batch)}")
        if batch[name].shape[1:] != example[name].shape[1:]:
            expected = ", ".join(["n", *map(str, example[name].shape[1:])])
            raise InputError(
                f"'{name}' must have the shape [{expected}], as the data of the training, got {batch[name].shape}"
            )
        if "label" in batch and len(batch["label"]) != len(batch[name]):
            raise InputError(
                f"'label' must have one label for each of {len(batch[name])} examples, got {len(batch['label'])} labels"
            )


def check_labels(label: Any) -> Array:
    """Return labels as an array after the checks of `check_data`.

    Args:
        label: one class for each example, [n]; of traced ones only the type and the number of axes are checked.

    Returns:
        The labels.

    Raises:
        InputError: if they are not one integer for each example, or known and negative.

    Example:
        >>> check_labels(np.array([0.5]))
        Traceback (most recent call last):
        jaxgen.errors.InputError: 'label' must have an integer dtype, got float64; convert whole numbers by ...
    """
    check_data({"label": label})
    return jnp.asarray(label)


def _check_images(images: Any, name: str) -> None:
    if images.ndim != 4 or 0 in images.shape[1:]:
        hint = "; add the axis of channels by x[..., None]" if images.ndim == 3 else ""
        raise InputError(f"{name} must have the shape [n, height, width, channels], got {images.shape}{hint}")
    if images.dtype == np.uint8:
        return
    if not jnp.issubdtype(images.dtype, jnp.floating):
        how = scaling_advice(images, of_bytes="convert values from 0 to 255 by x.astype('uint8')")
        raise InputError(f"{name} must be uint8 or floats in [0, 1], got {images.dtype}; {how}")
    check_unit_interval(f"floats of {name}", images)


def _check_points(points: Any, name: str) -> None:
    if points.ndim != 2 or 0 in points.shape[1:]:
        hint = "; points in one dimension are x[:, None]" if points.ndim == 1 else ""
        raise InputError(f"{name} must have the shape [n, dim], got {points.shape}{hint}")
    if not jnp.issubdtype(points.dtype, jnp.floating):
        raise InputError(f"{name} must be floats, got {points.dtype}; convert them by x.astype('float32')")
    if not np.all(np.isfinite(known_bounds(points) or 0)):
        raise InputError(f"{name} must be finite, got NaN or infinity; remove these points")


def _check_labels(labels: Any, name: str) -> None:
    if labels.dtype.kind in "USO":
        raise InputError(
            f"{name} must have an integer dtype, got {labels.dtype}; number the classes by "
            "np.unique(label, return_inverse=True)[1]"
        )
    if labels.ndim != 1:
        hint = "; convert one-hot labels by label.argmax(axis=1)" if labels.ndim == 2 else ""
        raise InputError(f"{name} must have one label for each example, [n], got the shape {labels.shape}{hint}")
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise InputError(
            f"{name} must have an integer dtype, got {labels.dtype}; convert whole numbers by label.astype('int32')"
        )
    lowest, highest = known_bounds(labels) or (0, 0)
    if lowest < 0 or highest >= MAX_CLASSES:
        raise InputError(
            f"{name} must be from 0 to {MAX_CLASSES - 1}, got {lowest} to {highest}; number the classes from 0, e.g. "
            "by np.unique(label, return_inverse=True)[1]"
        )
