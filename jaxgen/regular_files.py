"""Reading of files of a run folder, which may come from elsewhere: size and type are looked at first.

A pipe would be waited for forever, and a sparse file of a few bytes on the disk can have any size in memory.
"""

import os
import stat
from io import BufferedReader
from pathlib import Path

from jaxgen.errors import InputError

SMALL = 64 * 2**20
"""Largest size in bytes of a file of text: 64 MiB."""


def regular_size(path: Path, *, follow_links: bool = True) -> int | None:
    """Return the size of a file without opening it.

    Args:
        path: path of the file.
        follow_links: whether a link to a regular file counts as one.

    Returns:
        Size in bytes; None for what is no regular file.

    Raises:
        OSError: if there is nothing at the path, or it cannot be looked at.

    Example:
        >>> regular_size(Path("/dev/null")) is None
        True
    """
    status = path.stat(follow_symlinks=follow_links)
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def open_regular(path: Path, *, follow_links: bool = True) -> BufferedReader:
    """Open a file for reading if it is a regular file; pipes and devices are not waited for.

    Args:
        path: path of the file.
        follow_links: whether the path may be a symbolic link.

    Returns:
        The file.

    Raises:
        InputError: if it is not a regular file.
        OSError: if it cannot be opened.

    Example:
        >>> open_regular(Path("/dev/null"))
        Traceback (most recent call last):
        jaxgen.errors.InputError: /dev/null must be a regular file
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    file = os.open(path, flags if follow_links else flags | getattr(os, "O_NOFOLLOW", 0))
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise InputError(f"{path} must be a regular file")
    return os.fdopen(file, "rb")


def read_regular(path: Path, *, largest: int = SMALL) -> bytes:
    """Read a regular file of limited size.

    Args:
        path: path of the file.
        largest: largest size in bytes.

    Returns:
        Its content.

    Raises:
        InputError: if it is not a regular file, or larger.
        OSError: if it cannot be read.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "a"
        ...     _ = path.write_bytes(b"abc")
        ...     read_regular(path), read_regular(path, largest=2)
        Traceback (most recent call last):
        jaxgen.errors.InputError: ...a must have at most 2 bytes, got 3
    """
    with open_regular(path) as file:
        if (size := os.fstat(file.fileno()).st_size) > largest:
            raise InputError(f"{path} must have at most {largest} bytes, got {size}")
        return file.read(largest)
