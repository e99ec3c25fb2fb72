"""The user's arrays: images or points of an `.npz` file, or points of a `.csv` file, with labels if they have any.

Sizes are compared with a limit before anything is read: a small compressed file may hold many gigabytes of zeros.
"""

import csv
import math
import zipfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxgen.batch_checks import check_data
from jaxgen.data.folders import describe_skipped
from jaxgen.data.holdout import describe_splits, holdout_indices
from jaxgen.data.image_folder import CHANNELS, resize_all
from jaxgen.data.streaming import MEMORY_LIMIT, READ_CHUNK, ArraySource
from jaxgen.errors import InputError, shortened

SUFFIXES = (".npz", ".csv")
"""Suffixes of the files that are read, in lower case."""

LABEL = "label"
"""Name of the array, or of the column, of labels."""

DELIMITERS = ",;\t"
"""Characters between the cells of a `.csv` file: the first one of these in the first line."""

MOST_MEMBERS = 1000
"""Largest number of arrays of an `.npz` file, of each of which the header is read."""

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


def array_splits(path: Path, image_size: int | None) -> Callable[[str], ArraySource]:
    """Return a function that opens a split of the user's arrays; the file is read once for all splits.

    A tenth of each class belongs to the split "test", the others to "train".

    Args:
        path: path of an `.npz` or `.csv` file, see `read_npz` and `read_csv`.
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

    def wanted(headers: dict[str, _Header]) -> list[str]:
        name, kind = _choose(path, headers)
        kinds[name] = kind
        return [key for key in (name, LABEL) if key in headers]

    found, files = _read_archive(path, wanted)
    ((name, kind),) = kinds.items()
    labels, class_names = _as_labels(found[LABEL]) if LABEL in found else (None, ())
    examples = _as_uint8(path, found[name]) if kind == "image" else _as_points(path, found[name])
    read = {f"{key}.npy" for key in (name, LABEL)}
    skipped = tuple(sorted(file for file in files if file not in read))
    return _checked(path, kind, examples, labels, class_names)._replace(skipped=skipped)


def read_csv(path: Path) -> Labelled:
    """Read points from a `.csv` file.

    Args:
        path: path of the file, in UTF-8, one point per line, with commas, semicolons or tabs between numbers. The first
            line holds the names of the columns if one of them is `label`, none of them is a number, or they are 0, 1,
            2, ... above numbers that are not whole. The column `label` holds integers from 0 on, or the names of
            classes; all others are coordinates.

    Returns:
        The arrays and the names of the classes.

    Raises:
        InputError: if the file is damaged, takes more than `MEMORY_LIMIT` bytes, or a cell is not a finite number.
    """
    if (size := path.stat().st_size) > MEMORY_LIMIT:
        raise InputError(f"{path} must have at most {MEMORY_LIMIT} bytes, got {size}")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            delimiter = next((mark for mark in file.readline(2**16) if mark in DELIMITERS), ",")
            file.seek(0)
            rows = csv.reader(file, delimiter=delimiter)
            return _table(path, (row for row in rows if any(cell.strip() for cell in row)), rows)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a .csv file in UTF-8 ({error})") from error


def _table(path: Path, rows: "Iterable[list[str]]", parser: Any) -> Labelled:
    """Convert the rows of a table; the parser has the number of the line."""
    rows = iter(rows)
    first = [cell.strip() for cell in next(rows, [])]
    if not first:
        raise InputError(f"{path} must have a line for each point, got none")
    header, rows = _header(path, first, rows)
    if header is not None and "" in header:
        raise InputError(
            f"column {header.index('') + 1} of {path} must have a name, got none; leave out a column that numbers the "
            "rows"
        )
    columns = header or [str(i + 1) for i in range(len(first))]
    places = [i for i, name in enumerate(columns) if header and name.lower() == LABEL]
    if len(places) > 1 or len(columns) == len(places):
        raise InputError(f"{path} must have at most one column 'label', and others of numbers, got {_listed(columns)}")
    coordinates = [i for i in range(len(columns)) if i not in places]
    values, labels = array("d"), []
    for row in rows if header else _chained(first, rows):
        if len(row) != len(columns):
            raise InputError(f"line {parser.line_num} of {path} must have {len(columns)} cells, got {len(row)}")
        try:
            values.extend(_as_number(row[i]) for i in coordinates)
        except ValueError:
            column = next(i for i in coordinates if not _is_number(row[i]))
            raise InputError(
                f"line {parser.line_num} of {path} must have a number in the column {shortened(columns[column])}, got "
                f"{shortened(row[column])}; a column of classes has the name 'label' in the first line"
            ) from None
        if places:
            labels.append(row[places[0]].strip())
    if "" in labels:
        raise InputError(f"every point of {path} must have a label, got none for point {labels.index('') + 1}")
    points = _as_points(path, np.frombuffer(values, np.float64).reshape(-1, len(coordinates)))
    numbers, class_names = _as_labels(_numbers(labels)) if places else (None, ())
    return _checked(path, "point", points, numbers, class_names)


def _chained(first: list[str], rest: Iterable[list[str]]) -> Iterator[list[str]]:
    yield first
    yield from rest


def _header(path: Path, first: list[str], rest: Iterator[list[str]]) -> tuple[list[str] | None, Iterator[list[str]]]:
    """The names of the columns, None where the first line is a point, and the lines after it."""
    if LABEL in map(str.lower, first) or not any(map(_is_number, first)):
        return first, rest
    counted = [str(i) for i in range(len(first))]
    if first[0] == "" and first[1:] == counted[:-1]:  # As pandas numbers rows and columns.
        return first, rest
    if first != counted:
        return None, rest
    # As pandas numbers columns. A point may be the same; then, as others, it is of whole numbers.
    second: list[str] = next(rest, [])
    if second and all(cell.strip().lstrip("-").isdigit() for cell in second):
        raise InputError(
            f"the first line of {path}, {','.join(first)[:40]}, may be the names of the columns or a point: give the "
            "columns names such as x1, or write the numbers as 0.0"
        )
    return first, _chained(second, rest) if second else rest


def _as_number(cell: str) -> float:
    """The number of a cell; Python's grouping of digits, as in 1_000, is none of the file's."""
    if "_" in cell:
        raise ValueError(cell)
    return float(cell)


def _is_number(cell: str) -> bool:
    try:
        _as_number(cell)
    except ValueError:
        return False
    return True


def _numbers(labels: Sequence[str]) -> np.ndarray:
    """Labels as integers if all of them are whole numbers, and as text otherwise."""
    if all(_is_number(label) for label in labels):
        values = np.array(labels, np.float64)
        if np.all(np.abs(values) < 2**53) and np.all(values == np.rint(values)):
            return values.astype(np.int64)
    return np.array(labels)


class _Header(NamedTuple):
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    bytes: int


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
        return _as_uint8(path, _read_npy(path), "the array")

    def wanted(headers: dict[str, _Header]) -> list[str]:
        named = [name for name in headers if name in ("image", "samples")] or list(headers)
        if len(named) != 1:
            raise InputError(
                f"{path} must contain an array named 'image' or 'samples', or a single array, got "
                f"{_listed(sorted(headers))}; write it by np.savez(path, image=x)"
            )
        return named

    ((name, images),) = _read_archive(path, wanted)[0].items()
    return _as_uint8(path, images, repr(name))


def _read_npy(path: Path) -> np.ndarray:
    try:
        with path.open("rb") as file:
            np.lib.format.read_magic(file)  # Otherwise NumPy takes it for a pickle, and recommends to load it unsafely.
        array = np.load(path, mmap_mode="r", allow_pickle=False)  # The size is that of the file.
        _check_bytes(path, [_Header(array.shape, array.dtype, array.nbytes)])
        return _native(np.array(array))
    except InputError:
        raise
    except Exception as error:  # NumPy raises many types of exceptions for damaged files.
        raise InputError(f"{path} cannot be read as an .npy file without pickled objects ({error})") from error


def _read_archive(
    path: Path, wanted: Callable[[dict[str, _Header]], Sequence[str]]
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Read the arrays that are wanted, given the headers of all, and return them and the names of all files.

    Sizes are compared with the limit before any array is read, and pickled objects are not read.
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            if (count := len(archive.infolist())) > MOST_MEMBERS:
                raise InputError(f"{path} must have at most {MOST_MEMBERS} arrays, got {count}")
            files = {info.filename: info for info in archive.infolist()}
            members = {name.removesuffix(".npy"): info for name, info in files.items() if name.endswith(".npy")}
            headers = {name: _npy_header(archive, info) for name, info in members.items()}
            names = wanted(headers)
            _check_bytes(path, [headers[name] for name in names])
            found = {}
            for name in names:
                with archive.open(members[name]) as member:
                    found[name] = _native(np.lib.format.read_array(member, allow_pickle=False))
    except InputError:
        raise
    except Exception as error:  # NumPy and zipfile raise many types of exceptions for damaged files.
        raise InputError(f"{path} cannot be read as an .npz file without pickled objects ({error})") from error
    return found, list(files)


def _npy_header(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Header:
    """Read the header of an array, and check that the size of the array is that of its file."""
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"{info.filename} has version {version} of the format")
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(member)
        size = math.prod(shape) * dtype.itemsize
        if dtype.hasobject:
            raise ValueError(f"{info.filename} holds objects")
        if member.tell() + size != info.file_size:
            raise ValueError(f"{info.filename} has {info.file_size} bytes, and its header describes {size}")
        return _Header(shape, dtype, size)


def _native(values: np.ndarray) -> np.ndarray:
    """The same values in the byte order of this machine, the only one that JAX reads."""
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _choose(path: Path, headers: dict[str, _Header]) -> tuple[str, str]:
    """The name of the array of examples, and what they are."""
    known = [name for name in ("image", "point") if name in headers]
    if len(known) == 1:
        return known[0], known[0]
    tables = [name for name, header in headers.items() if len(header.shape) == 2 and name != LABEL]
    if not known and len(tables) == 1 and len(headers) - (LABEL in headers) == 1:
        return tables[0], "point"
    raise InputError(
        f"{path} must contain an array named 'image' or 'point', or a single two-dimensional array of points, got "
        f"{_listed(sorted(headers))}"
    )


def _listed(names: list[str]) -> str:
    """The names, of many or long ones the beginning."""
    shown = [name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..." for name in names[:LISTED]]
    return f"{shown}{f' and {len(names) - LISTED} others' if len(names) > LISTED else ''}"


def _check_bytes(path: Path, headers: Sequence[_Header]) -> None:
    if (size := sum(header.bytes for header in headers)) > MEMORY_LIMIT:
        raise InputError(
            f"the arrays of {path} must take at most {MEMORY_LIMIT} bytes, got {size}; give more images as a folder, "
            "which is read during training"
        )


def _as_uint8(path: Path, images: np.ndarray, name: str = "'image'") -> np.ndarray:
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


def _as_points(path: Path, points: np.ndarray) -> np.ndarray:
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


def _as_labels(labels: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels as numbers, and the names of the classes where the labels are text."""
    if labels.dtype.kind != "U" or labels.ndim != 1:
        return labels, ()
    names, numbers = np.unique(labels, return_inverse=True)
    return numbers, tuple(map(str, names))


def _checked(
    path: Path, kind: str, examples: np.ndarray, labels: np.ndarray | None, class_names: tuple[str, ...]
) -> Labelled:
    if labels is None:
        return Labelled({kind: examples})
    check_data({LABEL: labels}, str(path))
    if len(labels) != len(examples):
        raise InputError(
            f"'label' in {path} must have one label for each of {len(examples)} examples, got {labels.shape}"
        )
    return Labelled({kind: examples, LABEL: labels.astype(np.int32)}, class_names)
