"""The idx format, in which MNIST and the sets of its shape were published.

A file is two zero bytes, a type (8 = uint8), the number of axes, each axis' length as a big-endian 32-bit integer, and
then the values; usually gzipped.
"""

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np

from jaxgen.errors import InputError

UINT8 = 8


def read_idx(path: Path, *, axes: int) -> np.ndarray:
    """Read one idx file of bytes.

    Args:
        path: the file; gzipped where its name ends in ".gz".
        axes: how many axes the array must have: 3 for pictures, 1 for labels.

    Returns:
        The array, uint8.

    Raises:
        InputError: if the file is none of these or is cut off; the message names it.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "labels")
        >>> _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 5, 7]))
        >>> read_idx(path, axes=1)
        array([5, 7], dtype=uint8)
    """
    content = _read_bytes(path)
    header = 4 + 4 * axes
    if len(content) < header or content[:4] != bytes([0, 0, UINT8, axes]):
        raise InputError(f"{path} is not an idx file of bytes with {axes} {'axis' if axes == 1 else 'axes'}")
    shape = struct.unpack(f">{axes}I", content[4:header])
    expected, found = int(np.prod(shape, dtype=object)), len(content) - header
    if found != expected:
        raise InputError(f"{path} is damaged: its header promises {expected} bytes, it holds {found}")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _read_bytes(path: Path) -> bytes:
    if path.suffix != ".gz":
        return path.read_bytes()
    try:
        with gzip.open(path) as file:
            return file.read()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path} is damaged: it cannot be unpacked ({error})") from error
