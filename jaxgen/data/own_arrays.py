"""The user's arrays: images or points of an `.npz` file, or points of a `.csv` file, with labels if they have any.

Sizes are compared with a limit before anything is read: a small compressed file may hold many gigabytes of zeros.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from jaxgen.array_files.npz_file import Header, native, read_npz_file
from jaxgen.data.csv_points import read_csv
from jaxgen.data.folders import describe_skipped
from jaxgen.data.holdout import describe_splits, holdout_indices
from jaxgen.data.image_size import resize_all
from jaxgen.data.labelled_arrays import LABEL, Labelled, as_labels, as_points, as_uint8, listed, with_labels
from jaxgen.data.streaming import MEMORY_LIMIT, ArraySource
from jaxgen.errors import InputError

SUFFIXES = (".npz", ".csv")
"""Suffixes of the files that are read, in lower case."""


def array_splits(path: Path, image_size: int | None) -> Callable[[str], ArraySource]:
    """Return a function that opens a split of the user's arrays; the file is read once for all splits.

    A tenth of each class belongs to the split "test", the others to "train".

    Args:
        path: path of an `.npz` or `.csv` file, see `read_npz` and `jaxgen.data.csv_points.read_csv`.
        image_size: height and width of the resized images in pixels; None keeps the size.

    Returns:
        Function of the name of a split. It returns the source of its examples, whose `notice` says what was read, and
        raises an InputError if the file is damaged, too large, or its arrays differ from the description.
    """

    @cache
    def read() -> tuple[ArraySource, str]:
        found = read_csv(path) if path.suffix.lower() == ".csv" else read_npz(path)
        if image_size is not None and "image" not in found.arrays:
            raise InputError(f"image_size applies to images only, got {path} of points")
        skipped = describe_skipped([Path(name) for name in found.skipped], Path())
        return ArraySource(found.arrays, found.class_names), skipped

    def open_split(split: str) -> ArraySource:
        everything, skipped = read()
        indices = holdout_indices(everything, split, str(path))
        arrays = everything.read(indices)
        if image_size is not None and arrays["image"].shape[1:3] != (image_size, image_size):
            arrays["image"] = resize_all(arrays["image"], image_size, str(path))
        selected = ArraySource(arrays, everything.class_names)
        counts = len(indices), len(everything) - len(indices)
        train, test = counts if split == "train" else counts[::-1]
        dimensions = everything.shape[0]
        what = "images" if "image" in arrays else f"points in {dimensions} dimension{'' if dimensions == 1 else 's'}"
        selected.notice = describe_splits(train, test, what, everything.classes, everything.empty_classes) + skipped
        return selected

    return open_split


def read_npz(path: Path) -> Labelled:
    """Read images or points from an `.npz` file.

    Args:
        path: path of the file. It contains `image`, uint8 or floats in [0, 1], [n, h, w] or [n, h, w, 1 or 3]; or
            `point`, numbers [n, dim]; or a single two-dimensional array of any name, which holds points. Optionally it
            contains `label`, integers from 0 on, or the names of classes, [n]. Other arrays and files are skipped.

    Returns:
        The arrays, the names of the classes, and those of what is skipped.

    Raises:
        InputError: if the file is damaged, takes more than `MEMORY_LIMIT` bytes, or its arrays differ from this
            description. Pickled objects are not read.
    """
    kinds: dict[str, str] = {}

    def wanted(headers: Mapping[str, Header]) -> list[str]:
        name, kind = _choose(path, headers)
        kinds[name] = kind
        return _checked_bytes(path, headers, [key for key in (name, LABEL) if key in headers])

    found, files = read_npz_file(path, wanted)
    ((name, kind),) = kinds.items()
    labels, class_names = as_labels(found[LABEL]) if LABEL in found else (None, ())
    examples = as_uint8(path, found[name]) if kind == "image" else as_points(path, found[name])
    read = {f"{key}.npy" for key in (name, LABEL)}
    skipped = tuple(sorted(file for file in files if file not in read))
    return with_labels(path, kind, examples, labels, class_names)._replace(skipped=skipped)


def read_images(path: Path) -> np.ndarray:
    """Read the images of an `.npz` or an `.npy` file, all of them, without labels.

    Args:
        path: path of the file. An `.npz` file contains `image`, or `samples` as `jaxgen sample` writes them, or one
            array of any name: uint8 or floats in [0, 1], [n, h, w] or [n, h, w, 1 or 3]; so does an `.npy` file.

    Returns:
        The images, uint8 [n, h, w, 1 or 3].

    Raises:
        InputError: if the file is damaged, takes more than `MEMORY_LIMIT` bytes, or has no such array.
    """
    if path.suffix.lower() == ".npy":
        return as_uint8(path, _read_npy(path), "the array")

    def wanted(headers: Mapping[str, Header]) -> list[str]:
        named = [name for name in headers if name in ("image", "samples")] or list(headers)
        if len(named) != 1:
            raise InputError(
                f"{path} must contain an array named 'image' or 'samples', or a single array, got "
                f"{listed(sorted(headers))}; write it by np.savez(path, image=x)"
            )
        return _checked_bytes(path, headers, named)

    ((name, images),) = read_npz_file(path, wanted)[0].items()
    return as_uint8(path, images, repr(name))


def _read_npy(path: Path) -> np.ndarray:
    try:
        with path.open("rb") as file:
            np.lib.format.read_magic(file)  # Otherwise NumPy takes it for a pickle, and recommends to load it unsafely.
        array = np.load(path, mmap_mode="r", allow_pickle=False)  # The size is that of the file.
        _check_bytes(path, [Header(array.shape, array.dtype, array.nbytes)])
        return native(np.array(array))
    except InputError:
        raise
    except Exception as error:  # NumPy raises many types of exceptions for damaged files.
        raise InputError(f"{path} cannot be read as an .npy file without pickled objects ({error})") from error


def _choose(path: Path, headers: Mapping[str, Header]) -> tuple[str, str]:
    """The name of the array of examples, and what they are."""
    known = [name for name in ("image", "point") if name in headers]
    if len(known) == 1:
        return known[0], known[0]
    tables = [name for name, header in headers.items() if len(header.shape) == 2 and name != LABEL]
    if not known and len(tables) == 1 and len(headers) - (LABEL in headers) == 1:
        return tables[0], "point"
    raise InputError(
        f"{path} must contain an array named 'image' or 'point', or a single two-dimensional array of points, got "
        f"{listed(sorted(headers))}"
    )


def _checked_bytes(path: Path, headers: Mapping[str, Header], names: list[str]) -> list[str]:
    """The names of arrays that take little enough memory together."""
    _check_bytes(path, [headers[name] for name in names])
    return names


def _check_bytes(path: Path, headers: Sequence[Header]) -> None:
    if (size := sum(header.bytes for header in headers)) > MEMORY_LIMIT:
        raise InputError(
            f"the arrays of {path} must take at most {MEMORY_LIMIT} bytes, got {size}; give more images as a folder, "
            "which is read during training"
        )
