"""Folders of data sets prepared by tensorflow-datasets, `data_dir/name/version`, and the names that find them."""

import os
import re
from pathlib import Path

from jaxgen.errors import InputError, shortened, suggest
from jaxgen.optional_imports import require
from jaxgen.paths import expand_path

VERSION = r"[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9}"

NAME = rf"\w[\w.+-]{{0,99}}(/[\w.+-]{{1,99}})?(:{VERSION})?"
"""Names in tensorflow-datasets: `set`, `set/config`, `set:version` or `set/config:version`."""


def default_data_dir() -> Path:
    """Return the data folder of tensorflow-datasets: `$TFDS_DATA_DIR`, or `~/tensorflow_datasets`.

    Returns:
        Absolute path of the folder, which may not exist.

    Example:
        >>> default_data_dir().is_absolute()
        True
    """
    return expand_path(os.environ.get("TFDS_DATA_DIR") or Path("~", "tensorflow_datasets")).absolute()


def find_prepared(name: str, data_dir: Path) -> Path | None:
    """Find the folder of a prepared data set.

    Args:
        name: `set`, `set/config`, `set:version` or `set/config:version`.
        data_dir: folder of prepared data sets.

    Returns:
        Folder of the newest version, or None if the data set is not prepared.

    Raises:
        InputError: if several configurations of the data set are prepared and the name does not specify one.

    Example:
        >>> find_prepared("mnist", Path("nowhere"))
    """
    if not re.fullmatch(NAME, name):
        return None
    base, _, version = name.partition(":")
    if versions := _versions(data_dir / base, version):
        return max(versions, key=lambda folder: [int(number) for number in folder.name.split(".")])
    configs = sorted(path.name for path in _glob(data_dir / base, "*") if _versions(path, version))
    if not configs:
        return None
    if len(configs) == 1:
        return find_prepared(f"{base}/{configs[0]}" + (f":{version}" if version else ""), data_dir)
    raise InputError(
        f"the configuration of {shortened(base)} must be one of {', '.join(configs)}, got none; "
        f"give it as in '{base}/{configs[0]}'"
    )


def needs_tensorflow(name: str, data_dir: Path) -> InputError:
    """Return the error for a data set that is not prepared and cannot be prepared without TensorFlow.

    Args:
        name: name of the data set.
        data_dir: folder of prepared data sets.

    Returns:
        The error, which says what to do; for an unknown name, with similar ones.
    """
    tfds = require("tensorflow_datasets", extra="data")
    known = set(tfds.list_builders(with_community_datasets=False))
    base = name.partition(":")[0].partition("/")[0]
    if base not in known:
        return InputError(f"there is no data set, folder or file {shortened(name)}; {suggest(name, known)}")
    return InputError(
        f"{name} is not in {data_dir}, and its preparation needs TensorFlow; run: pip install tensorflow, or copy a "
        f"folder that was prepared with file_format='array_record' to {data_dir}"
    )


def _versions(folder: Path, version: str) -> list[Path]:
    """Folders of prepared versions; a folder left by an interrupted preparation is not named by a version number."""
    named = (path.parent for path in _glob(folder, "*/features.json") if version in ("", path.parent.name))
    return [path for path in named if re.fullmatch(VERSION, path.name)]


def _glob(folder: Path, pattern: str) -> list[Path]:
    """Paths in a folder; none if it cannot be listed, e.g. because its name is too long."""
    try:
        return list(folder.glob(pattern))
    except (OSError, ValueError):
        return []
