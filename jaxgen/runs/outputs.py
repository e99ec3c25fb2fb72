"""Files that runs write: each is complete, or as it was before, or absent."""

import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxgen.atomic_write import write_atomic
from jaxgen.errors import InputError
from jaxgen.typing import AnyArray


def make_folder(folder: Path) -> None:
    """Make a folder if it does not exist, and check that it can be written: before the work, not after it.

    Args:
        folder: path of the folder; its content is kept.

    Raises:
        InputError: if it cannot be made or written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     make_folder(Path(folder) / "a" / "b")
        ...     (Path(folder) / "a" / "b").is_dir()
        True
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # ValueError: a zero byte.
        raise InputError(f"cannot write to the folder {str(folder)!r}: {getattr(error, 'strerror', error)}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"cannot write to the folder '{folder}': it is not writable")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    r"""Write a JSON file atomically.

    Args:
        path: path of the file.
        content: what JSON can hold, without NaN and infinity.

    Raises:
        InputError: if the disk is full or the folder cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_json(Path(folder) / "a.json", {"a": 1})
        ...     (Path(folder) / "a.json").read_text()
        '{\n  "a": 1\n}\n'
    """
    write_atomic(path, (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())


def write_arrays(path: Path, arrays: Mapping[str, AnyArray]) -> None:
    """Write arrays to a compressed .npz file atomically.

    Args:
        path: path of the file.
        arrays: name -> array.

    Raises:
        InputError: if the disk is full or the folder cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_arrays(Path(folder) / "a.npz", {"a": np.arange(3)})
        ...     with np.load(Path(folder) / "a.npz") as arrays:
        ...         arrays["a"]
        array([0, 1, 2])
    """
    contents: dict[str, Any] = {name: np.asarray(array) for name, array in arrays.items()}
    file = io.BytesIO()
    np.savez_compressed(file, **contents)
    write_atomic(path, file.getvalue())
