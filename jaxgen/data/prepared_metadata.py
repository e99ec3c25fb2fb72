"""Description of a data set that tensorflow-datasets prepared: what its JSON files state, without their code.

tensorflow-datasets itself imports every module that `features.json` or `dataset_info.json` names. A folder may come
from anywhere, so this module reads the few entries that are needed, checks them, and ignores all others.
"""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from jaxgen.batch_checks import LARGEST_PIXELS, MAX_CLASSES
from jaxgen.errors import InputError, printable, shortened
from jaxgen.regular_files import regular_size

LARGEST_FILE = 2**21
"""Largest size in bytes of a JSON file: 2 MiB, which take 50 MB of memory when they are parsed."""

LONGEST_PROBLEM = 300
"""Largest number of characters with which an error describes what is wrong: libraries quote from the files."""

MOST_SHARDS = 10**5 - 1
"""Largest number of files of a split."""

MOST_EXAMPLES = 2**31 - 1
"""Largest number of examples of a split."""

NAMES_FILE = "label.labels.txt"
"""File of the names of the classes, one a line."""

FILE_FORMAT = "array_record"
"""The only file format that can be read in any order without TensorFlow."""

FILE_NAMES = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
"""Template of the file names in tensorflow-datasets."""

IMAGE_CLASS = "tensorflow_datasets.core.features.image_feature.Image"
"""Feature of encoded images; features of other classes may encode images differently."""


class Metadata(NamedTuple):
    """Description of a prepared data set of images.

    Attributes:
        name: name of the data set.
        height: height of the images in pixels, None if it varies.
        width: width of the images in pixels, None if it varies.
        channels: number of channels: 1, 3 or 4.
        classes: number of classes, None for images without labels.
        class_names: name of each class in order of the labels; empty where they have none, or only their numbers.
        splits: name of a split -> its files -> number of examples in each.
    """

    name: str
    height: int | None
    width: int | None
    channels: int
    classes: int | None
    class_names: tuple[str, ...]
    splits: dict[str, dict[Path, int]]


def read_metadata(folder: Path) -> Metadata:
    """Read the description of a prepared data set.

    Args:
        folder: folder of the prepared data set, with `features.json` and `dataset_info.json`.

    Returns:
        Its description.

    Raises:
        InputError: if a file is missing or damaged, the data set has no images, or a number is too large.
    """
    info, features = (_read_json(folder / name) for name in ("dataset_info.json", "features.json"))
    file_format = _get(info, "fileFormat", str, folder)
    if file_format != FILE_FORMAT:
        raise InputError(
            f"the file format of {folder} must be {FILE_FORMAT}, got {shortened(file_format)}; "
            f"prepare it with file_format='{FILE_FORMAT}'"
        )
    name = _get(info, "name", str, folder)
    splits: dict[str, dict[Path, int]] = {}
    for split in _get(info, "splits", list, folder):
        split_name = _get(split, "name", str, folder)
        if re.fullmatch(r"\w+", name + split_name) is None or split.get("filepathTemplate", FILE_NAMES) != FILE_NAMES:
            continue  # Only train, test and validation are read, in files with the standard names.
        splits[split_name] = _shards(folder, f"{name}-{split_name}", _get(split, "shardLengths", list, folder))
    features = _get(_get(features, "featuresDict", dict, folder), "features", dict, folder)
    classes = _classes(folder, features)
    return Metadata(name, *_image_shape(folder, features), classes, _class_names(folder, classes), splits)


def damaged(folder: Path, problem: object) -> InputError:
    """Return the error for a prepared data set that cannot be read.

    Args:
        folder: folder of the data set.
        problem: what is wrong.

    Returns:
        The error, which names the folder and says what to do.

    Example:
        >>> print(damaged(Path("mnist/3.0.1"), "features.json is empty"))
        mnist/3.0.1 is damaged (features.json is empty); delete it and prepare it again
    """
    return InputError(f"{folder} is damaged ({printable(problem)[:LONGEST_PROBLEM]}); delete it and prepare it again")


def check_regular_file(path: Path) -> int:
    """Return the size of a file, and raise an error if it is none, e.g. a pipe, whose reading would never end.

    Args:
        path: path of the file, or of a link to it.

    Returns:
        Size in bytes.

    Raises:
        InputError: if there is no regular file.
    """
    try:
        size = regular_size(path)
    except OSError as error:
        raise damaged(path.parent, f"{path.name}: {error.strerror}") from error
    if size is None:
        raise damaged(path.parent, f"{path.name} must be a regular file")
    return size


def _read(path: Path) -> bytes:
    size = check_regular_file(path)
    if size > LARGEST_FILE:
        raise damaged(path.parent, f"{path.name} must have at most {LARGEST_FILE} bytes, got {size}")
    return path.read_bytes()


def _read_json(path: Path) -> Any:
    try:
        return json.loads(_read(path))
    except InputError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(path.parent, f"{path.name}: {error}") from error


def _get(entries: Any, name: str, kind: type, folder: Path) -> Any:
    """Return an entry that has to be of this type."""
    found = entries.get(name) if isinstance(entries, dict) else None
    if not isinstance(found, kind):
        raise damaged(folder, f"its entry {shortened(name)} must be a {kind.__name__}, got {shortened(found)}")
    return found


def _shards(folder: Path, prefix: str, lengths: list[Any]) -> dict[Path, int]:
    if len(lengths) > MOST_SHARDS:
        raise damaged(folder, f"a split must have at most {MOST_SHARDS} files, got {len(lengths)}")
    files = [folder / f"{prefix}.{FILE_FORMAT}-{i:05d}-of-{len(lengths):05d}" for i in range(len(lengths))]
    counts = [_count(folder, "shardLengths", length, MOST_EXAMPLES, least=0) for length in lengths]
    if sum(counts) > MOST_EXAMPLES:
        raise damaged(folder, f"a split must have at most {MOST_EXAMPLES} examples, got {sum(counts)}")
    return dict(zip(files, counts, strict=True))


def _image_shape(folder: Path, features: dict[str, Any]) -> tuple[int | None, int | None, int]:
    feature = features.get("image")
    feature = feature if isinstance(feature, dict) else {}
    content = feature.get("image")
    content = content if isinstance(content, dict) else {}
    if feature.get("pythonClassName") != IMAGE_CLASS or content.get("dtype") != "uint8":
        raise InputError(f"{folder} must have a feature 'image' of dtype uint8, got {', '.join(features)!r:.200}")
    dimensions = _get(_get(content, "shape", dict, folder), "dimensions", list, folder)
    if len(dimensions) != 3:
        raise damaged(folder, f"the shape of 'image' must have 3 dimensions, got {len(dimensions)}")
    height, width, channels = (_count(folder, "dimensions", n, LARGEST_PIXELS, least=-1) for n in dimensions)
    if max(height, 1) * max(width, 1) > LARGEST_PIXELS:
        raise damaged(folder, f"images must have at most {LARGEST_PIXELS} pixels, got {height}x{width}")
    if channels not in (-1, 0, 1, 3, 4):
        raise damaged(folder, f"images must have 1, 3 or 4 channels, got {channels}")
    return height if height > 0 else None, width if width > 0 else None, channels if channels > 0 else 3


def _classes(folder: Path, features: dict[str, Any]) -> int | None:
    label = features.get("label")
    content = label.get("classLabel") if isinstance(label, dict) else None
    if not isinstance(content, dict) or "numClasses" not in content:
        return None
    return _count(folder, "numClasses", content["numClasses"], MAX_CLASSES, least=1)


def _class_names(folder: Path, classes: int | None) -> tuple[str, ...]:
    """The lines of the file of names, where there is one."""
    path = folder / NAMES_FILE
    if classes is None or not path.exists():
        return ()
    try:
        names = tuple(name.strip() for name in _read(path).decode().split("\n") if name.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise damaged(folder, f"{NAMES_FILE}: {error}") from error
    if len(names) != classes:
        raise damaged(folder, f"{NAMES_FILE} must have a name for each of {classes} classes, got {len(names)}")
    return () if names == tuple(map(str, range(classes))) else names


def _count(folder: Path, name: str, value: Any, most: int, *, least: int) -> int:
    """Return an integer, which JSON of 64-bit integers holds as a string."""
    if not re.fullmatch(r"-?[0-9]{1,20}", str(value)) or not least <= int(value) <= most:
        raise damaged(folder, f"{shortened(name)} must be an integer from {least} to {most}, got {shortened(value)}")
    return int(value)
