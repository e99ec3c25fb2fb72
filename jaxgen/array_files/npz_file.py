"""Arrays of `.npz` files that may come from elsewhere: no pickled objects, and sizes are looked at before arrays."""

import math
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxgen.errors import InputError
from jaxgen.regular_files import open_regular

MOST_MEMBERS = 1000
"""Largest number of arrays of a file, of each of which the header is read."""


class Header(NamedTuple):
    """What is known of an array before it is read.

    Attributes:
        shape: its shape.
        dtype: its dtype.
        bytes: its size in bytes.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    bytes: int


def read_npz_file(
    path: Path, wanted: Callable[[Mapping[str, Header]], Sequence[str]], *, most: int = MOST_MEMBERS
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Read the arrays of an `.npz` file that are wanted.

    Args:
        path: path of the file.
        wanted: function from the headers of all arrays to the names of those to read; it raises an InputError where
            they are too large.
        most: largest number of arrays in the file.

    Returns:
        Name -> array, in the byte order of this machine; and the names of all files in the archive.

    Raises:
        InputError: if the file cannot be read, is damaged or no regular file, or has more arrays.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "a.npz"
        ...     np.savez(path, a=np.ones(2), b=np.zeros(3))
        ...     read_npz_file(path, lambda headers: [name for name in headers if headers[name].shape == (2,)])
        ({'a': array([1., 1.])}, ['a.npy', 'b.npy'])
    """
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            if (count := len(archive.infolist())) > most:
                raise InputError(f"{path} must have at most {most} arrays, got {count}")
            files = {info.filename: info for info in archive.infolist()}
            members = {name.removesuffix(".npy"): info for name, info in files.items() if name.endswith(".npy")}
            headers = {name: _npy_header(archive, info) for name, info in members.items()}
            found = {}
            for name in wanted(headers):
                with archive.open(members[name]) as member:
                    found[name] = native(np.lib.format.read_array(member, allow_pickle=False))
    except InputError:
        raise
    except Exception as error:  # NumPy and zipfile raise many types of exceptions for damaged files.
        raise InputError(f"{path} cannot be read as an .npz file without pickled objects ({error})") from error
    return found, list(files)


def native(values: np.ndarray) -> np.ndarray:
    """Return the same values in the byte order of this machine, the only one that JAX reads.

    Args:
        values: array of any byte order.

    Returns:
        The array, or a copy.

    Example:
        >>> native(np.ones(1, ">f4")).dtype.isnative
        True
    """
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _npy_header(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Header:
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
        return Header(shape, dtype, size)
