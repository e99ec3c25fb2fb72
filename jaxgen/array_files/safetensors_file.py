"""Arrays and texts of `.safetensors` files that may come from elsewhere."""

import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ml_dtypes import bfloat16
from safetensors import SafetensorError, deserialize

from jaxgen.array_files.npz_file import Header
from jaxgen.errors import InputError, shortened
from jaxgen.memory import check_host_memory
from jaxgen.regular_files import open_regular

DTYPES = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": bfloat16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U64": np.uint64,
    "U32": np.uint32,
    "U16": np.uint16,
    "U8": np.uint8,
    "BOOL": np.bool_,
}
"""Types of arrays that are read; `safetensors.numpy` refuses bfloat16."""

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


def read_safetensors(path: Path, check: Callable[[Mapping[str, Header]], None] | None = None) -> SafetensorsFile:
    """Read a `.safetensors` file.

    Args:
        path: path of the file.
        check: function of the headers of all arrays, called before any array is read; it raises an InputError where
            they are not to be read.

    Returns:
        Its arrays and texts.

    Raises:
        InputError: if it is no such file, is damaged or incomplete, has arrays of another type than `DTYPES`, or does
            not fit into memory.
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
        content = start + file.read(header)
        if check is not None:
            check(_headers(path, content[8:], size - 8 - header))
        content += file.read(size - 8 - header)
    try:
        arrays = {
            name: np.frombuffer(found["data"], DTYPES[found["dtype"]]).reshape(found["shape"])
            for name, found in deserialize(content)  # type: ignore[no-untyped-call]
        }
    except KeyError as error:
        raise _other_types(path, error.args[0]) from error
    except (SafetensorError, ValueError) as error:
        raise _incomplete(path, error) from error
    # The library has checked that the header is a mapping, and that its texts are texts.
    return SafetensorsFile(arrays, json.loads(content[8 : 8 + header]).get("__metadata__") or {})


def _headers(path: Path, text: bytes, size: int) -> dict[str, Header]:
    """The headers of the arrays, which the library reads again: what they say must fit into the bytes after them."""
    headers = {}
    try:
        for name, entry in json.loads(text).items():
            if name == "__metadata__":
                continue
            if entry["dtype"] not in DTYPES:
                raise _other_types(path, entry["dtype"])
            shape, dtype, (first, end) = tuple(entry["shape"]), np.dtype(DTYPES[entry["dtype"]]), entry["data_offsets"]
            if not all(type(n) is int and n >= 0 for n in (*shape, first, end)) or end > size:
                raise ValueError(f"an impossible size of {name}")
            if math.prod(shape) * dtype.itemsize != end - first:
                raise ValueError(f"{end - first} bytes for the shape {shape} of {name}")
            headers[name] = Header(shape, dtype, end - first)
    except InputError:
        raise
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise _incomplete(path, error) from error
    return headers


def _other_types(path: Path, name: Any) -> InputError:
    return InputError(f"{path} must have arrays of the types {', '.join(DTYPES)}, got {shortened(name)}")


def _incomplete(path: Path, error: Exception) -> InputError:
    return InputError(f"{path} must be a complete .safetensors file, got {shortened(str(error))}")
