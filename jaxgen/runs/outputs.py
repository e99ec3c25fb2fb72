"""Files that runs write: each is complete, or as it was before, or absent."""

import contextlib
import json
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal

import numpy as np

from jaxgen.atomic_write import open_atomic, write_atomic
from jaxgen.errors import InputError, shortened
from jaxgen.typing import AnyArray, Shaped

BLOCK = 2**20
"""Bytes that are copied at once."""


def file_name(name: str) -> str:
    """Return the name of a file or folder for a name.

    Args:
        name: name of a model or a metric, which may contain any characters.

    Returns:
        The name in lower case, with hyphens in place of what is no letter, digit, underscore or point.

    Example:
        >>> file_name("ring, WGAN-GP"), file_name("validation/psnr"), file_name("../x")
        ('ring-wgan-gp', 'validation-psnr', 'x')
    """
    return re.sub(r"[^\w.]+", "-", name.lower()).strip("-.") or "unnamed"


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
    check_writable(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # ValueError: a zero byte.
        raise InputError(
            f"cannot write to the folder {shortened(str(folder))}: {getattr(error, 'strerror', error)}"
        ) from None


def check_writable(folder: Path) -> None:
    """Check that a folder can be written, or made where there is none; nothing is written or made.

    Args:
        folder: path of the folder.

    Raises:
        InputError: if it, or the folder in which it would be made, is not writable.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     check_writable(Path(folder) / "a" / "b")
        ...     list(Path(folder).iterdir())
        []
    """
    existing = next(
        path for path in (folder.absolute(), *folder.absolute().parents) if path.exists() or path.is_symlink()
    )
    if not existing.exists():
        raise InputError(f"cannot write to the folder '{folder}': '{existing}' is a link to nothing")
    if not existing.is_dir():
        raise InputError(f"cannot write to the folder '{folder}': '{existing}' is not a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        which = "it" if existing == folder.absolute() else f"'{existing}'"
        raise InputError(f"cannot write to the folder '{folder}': {which} is not writable")


def check_new_folder(folder: Path) -> None:
    """Check that `new_folder` can make a folder.

    Args:
        folder: path of the folder.

    Raises:
        InputError: if it has files, is a link, or cannot be made.

    Example:
        >>> check_new_folder(Path("absent/new"))
        Traceback (most recent call last):
        jaxgen.errors.InputError: cannot write 'absent/new': there is no folder 'absent'
    """
    if folder.is_symlink():  # It could not be replaced by a folder.
        raise InputError(f"'{folder}' must be a new or an empty folder, and it is a link: give another --out")
    if folder.exists() and not (folder.is_dir() and next(folder.iterdir(), None) is None):
        raise InputError(f"'{folder}' must be a new or an empty folder, and it is not: give another --out")
    if not folder.absolute().parent.is_dir():
        raise InputError(f"cannot write '{folder}': there is no folder '{folder.parent}'")
    check_writable(folder.absolute().parent)  # Also if it exists: it is replaced.


@contextlib.contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Make a folder with all of its files, or none: they are moved in place when the block ends without an error.

    Args:
        folder: path of the folder, which must not exist or be empty.

    Yields:
        A hidden folder beside it, in which the files are written.

    Raises:
        InputError: if the folder has files, or cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as parent:
        ...     with new_folder(Path(parent) / "a") as folder:
        ...         _ = (folder / "x").write_text("content")
        ...     [path.name for path in (Path(parent) / "a").iterdir()]
        ['x']
    """
    check_new_folder(folder)
    temporary = folder.absolute().with_name(f".{folder.absolute().name}.tmp")
    try:
        shutil.rmtree(temporary, ignore_errors=True)  # Of a process that was killed.
        temporary.mkdir()
        yield temporary
        if folder.exists():
            folder.rmdir()
        temporary.rename(folder)
    except OSError as error:
        raise InputError(f"{folder} could not be written: {error.strerror or error}") from error
    except InputError as error:  # Of a file that could not be written: its path is the one that was given.
        raise InputError(str(error).replace(str(temporary), str(folder))) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


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
    with open_atomic(path) as file:
        np.savez_compressed(file, **contents)


def write_array_parts(
    path: Path, name: str, parts: Iterable[Shaped[AnyArray, "..."]], *, count: int, axis: Literal[0, 1] = 0
) -> None:
    """Write one array to a compressed .npz file atomically, part by part: no more than a part is in memory.

    Args:
        path: path of the file.
        name: name of the array.
        parts: successive parts of the array along an axis, at least one.
        count: length of that axis, the sum of the lengths of the parts.
        axis: the axis. For axis 1 a temporary file beside the path holds the array uncompressed.

    Raises:
        InputError: if the disk is full or the folder cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     parts = np.array([[0, 1], [3, 4]]), np.array([[2], [5]])
        ...     write_array_parts(Path(folder) / "a.npz", "a", parts, count=3, axis=1)
        ...     with np.load(Path(folder) / "a.npz") as arrays:
        ...         arrays["a"]
        array([[0, 1, 2],
               [3, 4, 5]])
    """
    remaining = iter(parts)
    first = np.asarray(next(remaining))
    shape = (*first.shape[:axis], count, *first.shape[axis + 1 :])
    every = map(np.asarray, chain([first], remaining))
    with open_atomic(path) as file, contextlib.ExitStack() as stack:
        if axis == 0:
            contents: Iterable[bytes] = map(_bytes, every)
        else:
            contents = _in_order(stack.enter_context(tempfile.TemporaryFile(dir=path.parent)), every, shape)
        _write_member(file, name, shape, first.dtype, contents)


def _write_member(
    file: BinaryIO, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], contents: Iterable[bytes]
) -> None:
    """Write an archive that `numpy.load` opens, with one array."""
    member = zipfile.ZipInfo(f"{name}.npy")  # With a fixed date: equal arrays give equal bytes.
    member.compress_type = zipfile.ZIP_DEFLATED
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    with zipfile.ZipFile(file, "w") as archive, archive.open(member, "w", force_zip64=True) as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        for content in contents:
            stream.write(content)


def _in_order(
    spool: IO[bytes], parts: Iterable[Shaped[np.ndarray, "outer part *event"]], shape: tuple[int, ...]
) -> Iterator[bytes]:
    """The bytes of an array in its own order, those of all parts for each index of the first axis, through a file."""
    outer, count = shape[:2]
    done = 0
    for part in parts:
        size = part.nbytes // (outer * part.shape[1])  # Of one example.
        for i, row in enumerate(part):
            spool.seek((i * count + done) * size)
            spool.write(_bytes(row))
        done += part.shape[1]
    spool.seek(0)
    return iter(lambda: spool.read(BLOCK), b"")


def _bytes(array: AnyArray) -> bytes:
    return np.ascontiguousarray(array).tobytes()
