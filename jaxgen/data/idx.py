"""The idx file format, in which MNIST, Fashion-MNIST and Kuzushiji-MNIST were published.

A file consists of two zero bytes, a dtype code (8 = uint8), the number of axes, the length of each axis as a big-endian
32-bit integer, and the values. It is usually gzipped.
"""

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np

from jaxgen.errors import InputError

UINT8 = 8


def read_idx(path: Path, *, axes: int) -> np.ndarray:
    """Read one idx file with uint8 values.

    Args:
        path: path of the file; a file whose name ends in ".gz" is decompressed.
        axes: required number of axes: 3 for images, 1 for labels.

    Returns:
        Array of the file's shape, uint8.

    Raises:
        InputError: if the file is not an idx file of this kind, or is damaged; the message names the file.

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
        raise InputError(f"{path} must be an idx file of uint8 values with {axes} {'axis' if axes == 1 else 'axes'}")
    shape = struct.unpack(f">{axes}I", content[4:header])
    expected, found = int(np.prod(shape, dtype=object)), len(content) - header
    if found != expected:
        raise InputError(f"{path} is damaged: its header requires {expected} bytes of values, got {found}")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _read_bytes(path: Path) -> bytes:
    if path.suffix != ".gz":
        return path.read_bytes()
    try:
        with gzip.open(path) as file:
            return file.read()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path} is damaged, it cannot be decompressed ({error}); download it again") from error
