"""The idx file format, in which MNIST, Fashion-MNIST and Kuzushiji-MNIST were published.

A file consists of two zero bytes, a dtype code (8 = uint8), the number of axes, the length of each axis as a big-endian
32-bit integer, and the values. It is usually gzipped.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from jaxgen.errors import InputError

UINT8 = 8

LARGEST_SIZE = 2**28
"""Largest number of bytes of values: 342,000 images of 28x28 pixels."""


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
    header = 4 + 4 * axes
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            head = file.read(header)
            if len(head) < header or head[:4] != bytes([0, 0, UINT8, axes]):
                raise InputError(
                    f"{path} must be an idx file of uint8 values with {axes} {'axis' if axes == 1 else 'axes'}"
                )
            shape = struct.unpack(f">{axes}I", head[4:])
            required = math.prod(shape)
            if required > LARGEST_SIZE:
                raise InputError(f"{path} must have at most {LARGEST_SIZE} values, got {required} in its header")
            values = file.read(required + 1)  # and no more: a gzipped file of megabytes can expand to gigabytes
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path} is damaged, it cannot be decompressed ({error}); download it again") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})") from error
    if len(values) != required:
        found = f"{len(values)} or more" if len(values) > required else str(len(values))
        raise InputError(f"{path} is damaged: its header requires {required} bytes of values, got {found}")
    return np.frombuffer(values, np.uint8).reshape(shape)
