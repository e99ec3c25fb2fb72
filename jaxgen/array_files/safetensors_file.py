"""Arrays and texts of `.safetensors` files that may come from elsewhere."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from jaxgen.errors import InputError, shortened
from jaxgen.memory import check_host_memory
from jaxgen.regular_files import open_regular

LARGEST_HEADER = 2**24
"""Largest size in bytes of the names, shapes and texts of a file; those of a thousand arrays take a hundredth."""


class SafetensorsFile(NamedTuple):
    """The content of a file.

    Attributes:
        arrays: name -> array, read-only.
        texts: name -> text, the metadata of the file.
    """

    arrays: dict[str, np.ndarray]
    texts: Mapping[str, str]


def read_safetensors(path: Path) -> SafetensorsFile:
    """Read a `.safetensors` file.

    Args:
        path: path of the file.

    Returns:
        Its arrays and texts.

    Raises:
        InputError: if it is no such file, is damaged or incomplete, has arrays of a type that NumPy does not have, or
            does not fit into memory.
        OSError: if it cannot be opened.

    Example:
        >>> import tempfile
        >>> from safetensors.numpy import save_file
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_file({"a": np.ones(2)}, Path(folder) / "a.safetensors", {"by": "hand"})
        ...     read_safetensors(Path(folder) / "a.safetensors")
        SafetensorsFile(arrays={'a': array([1., 1.])}, texts={'by': 'hand'})
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(8)
        header = int.from_bytes(start, "little")
        if len(start) < 8 or header > size - 8:
            raise InputError(f"{path} must be a complete .safetensors file, got {size} bytes that are none")
        if header > LARGEST_HEADER:
            raise InputError(f"the header of {path} must have at most {LARGEST_HEADER} bytes, got {header}")
        check_host_memory(f"the arrays of {path}", 2 * size, "use a machine with more memory")
        content = start + file.read(size - 8)
    try:
        arrays = load(content)
    except (SafetensorError, KeyError, ValueError) as error:  # KeyError: a type that NumPy does not have.
        reason = f"arrays of the type {error}" if isinstance(error, KeyError) else shortened(str(error))
        raise InputError(f"{path} must be a complete .safetensors file of types of NumPy, got {reason}") from error
    # The library has checked that the header is a mapping, and that its texts are texts.
    return SafetensorsFile(arrays, json.loads(content[8 : 8 + header]).get("__metadata__") or {})
