"""Atomic writes: after an interruption a file has its complete new content, or its previous content, or does not exist.

A process may be killed at any time and a disk may be full. The content is therefore written to a hidden file in the
same folder, which is then renamed.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from jaxgen.errors import InputError


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file atomically.

    Args:
        path: path of the file; an existing file is replaced.
        content: content of the file.

    Raises:
        InputError: if the disk is full or the folder is not writable.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_atomic(Path(folder) / "a", b"some bytes")
        ...     [(path.name, path.read_bytes()) for path in Path(folder).iterdir()]
        [('a', b'some bytes')]
    """
    with open_atomic(path) as file:
        file.write(content)


@contextlib.contextmanager
def open_atomic(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing that replaces the previous one when the block ends without an error.

    Args:
        path: path of the file; an existing file is replaced.

    Yields:
        A binary file, to which content larger than the memory can be written part by part.

    Raises:
        InputError: if the disk is full or the folder is not writable.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with open_atomic(Path(folder) / "a") as file:
        ...         _ = file.write(b"some ") + file.write(b"bytes")
        ...     [(path.name, path.read_bytes()) for path in Path(folder).iterdir()]
        [('a', b'some bytes')]
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        try:
            with temporary.open("wb") as file:
                yield file
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{path} could not be written: {error.strerror or error}") from error
