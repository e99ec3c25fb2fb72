"""Decoded copies of prepared data sets: reading a copy of MNIST takes a tenth of a second, decoding its files seconds.

A copy lies in the subfolder `decoded` of the data set and may be deleted at any time. It states the SHA-256 of the
files from which it was made and of its own arrays, so a copy that is damaged or belongs to other files is not used.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import filelock
import numpy as np
from numpy.typing import DTypeLike

from jaxgen.atomic_write import open_atomic, write_atomic
from jaxgen.errors import InputError

FOLDER = "decoded"
LARGEST_NOTE = 10_000
"""Largest size in bytes of the JSON file of a copy."""


def files_digest(files: Iterable[Path], **settings: object) -> str:
    """Return the SHA-256 of the names and contents of files, and of the settings with which they are decoded.

    Args:
        files: paths of regular files, in order.
        settings: values that have a representation.

    Returns:
        Hexadecimal digits.
    """
    digest = hashlib.sha256(repr(sorted(settings.items())).encode())
    for path in files:
        with path.open("rb") as file:
            digest.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def load_copy(
    folder: Path, name: str, source: str, shapes: Mapping[str, tuple[tuple[int, ...], DTypeLike]]
) -> dict[str, np.ndarray] | None:
    """Open a copy.

    Args:
        folder: folder of the data set.
        name: name of the copy.
        source: fingerprint of the files from which the copy has to be made.
        shapes: name of each array -> its shape and dtype.

    Returns:
        The arrays, mapped to memory; changes of them are not written to the copy. None if there is no copy, or if it is
        damaged, belongs to other files, or is different from `shapes`.
    """
    folder = folder / FOLDER
    try:
        note = folder / f"{name}.json"
        if not note.is_file() or note.stat().st_size > LARGEST_NOTE:
            return None
        stated = json.loads(note.read_bytes())
        if not isinstance(stated, dict) or stated.get("source") != source:
            return None
        arrays = {}
        for array_name, (shape, dtype) in shapes.items():
            path = folder / f"{name}.{array_name}.npy"
            if not path.is_file():
                return None
            # As a plain array: `np.memmap` would be the type of every result that is computed from it.
            array = np.asarray(np.lib.format.open_memmap(path, mode="c"))
            if array.shape != shape or array.dtype != dtype or not array.flags.c_contiguous:
                return None
            if _digest(array) != stated.get(array_name):
                return None
            arrays[array_name] = array
    except (OSError, EOFError, ValueError, RecursionError):
        return None
    return arrays


def save_copy(folder: Path, name: str, source: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a copy, unless another process is writing one or the folder cannot be written to.

    Args:
        folder: folder of the data set.
        name: name of the copy.
        source: fingerprint of the files from which the arrays were read.
        arrays: array name -> array.
    """
    folder = folder / FOLDER
    if folder.is_symlink():
        return
    # The data set can be read without a copy.
    with suppress(InputError, OSError, NotImplementedError, filelock.Timeout):
        folder.mkdir(exist_ok=True)
        with filelock.FileLock(folder / ".lock", timeout=0):
            note = {"source": source} | {array_name: _digest(array) for array_name, array in arrays.items()}
            for array_name, array in arrays.items():
                with open_atomic(folder / f"{name}.{array_name}.npy") as file:
                    np.save(file, array, allow_pickle=False)
            write_atomic(folder / f"{name}.json", json.dumps(note).encode())


def _digest(array: np.ndarray) -> str:
    return hashlib.sha256(array.data).hexdigest()
