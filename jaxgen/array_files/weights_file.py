"""Weights of a published program, from a file in any of the formats in which they are at hand."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np

from jaxgen.array_files.npz_file import Header, read_npz_file
from jaxgen.array_files.safetensors_file import read_safetensors
from jaxgen.array_files.torch_file import read_torch_file
from jaxgen.errors import InputError
from jaxgen.memory import check_host_memory

Check: TypeAlias = Callable[[Mapping[str, Header]], None]
"""Function of name -> header, which raises an InputError where arrays are not to be read."""

MOST_ARRAYS = 10_000
"""Largest number of arrays of an `.npz` file; three networks of a published program have at most some thousand."""


def read_weights(path: Path, check: Check = lambda headers: None) -> dict[str, np.ndarray]:
    """Read the arrays of a file of weights.

    Args:
        path: path of a `.safetensors` or an `.npz` file, or of one that `torch.save` has written from a dict of tensors
            (`.pt`, `.pth`).
        check: function of the headers of all arrays that raises an InputError where they are not those of the wanted
            weights; of `.safetensors` and `.npz` files no array is read before.

    Returns:
        Name -> array.

    Raises:
        InputError: if it has another ending, is damaged, holds anything else, or does not fit into memory.
        OSError: if it cannot be opened.

    Example:
        >>> read_weights(Path("network.pkl"))
        Traceback (most recent call last):
        jaxgen.errors.InputError: the file of weights must end in .safetensors, .npz, .pt, .pth, got 'network.pkl': a
        pickle of networks is a program, which is not run; convert it as the guide describes (Weights of others)
    """
    read = FORMATS.get(path.suffix.lower())
    if read is None:
        advice = (
            ": a pickle of networks is a program, which is not run; convert it as the guide describes (Weights of "
            "others)"
            if path.suffix.lower() == ".pkl"
            else ""
        )
        raise InputError(f"the file of weights must end in {', '.join(FORMATS)}, got '{path}'{advice}")
    return read(path, check)


def _read_npz(path: Path, check: Check) -> dict[str, np.ndarray]:
    path.stat()  # As the others, raises an OSError where there is no such file.

    def wanted(headers: Mapping[str, Header]) -> list[str]:
        size = sum(header.bytes for header in headers.values())
        check_host_memory(f"the arrays of {path}", 2 * size, "use a machine with more memory")
        check(headers)
        return list(headers)

    return read_npz_file(path, wanted, most=MOST_ARRAYS)[0]


def _read_torch(path: Path, check: Check) -> dict[str, np.ndarray]:
    arrays = read_torch_file(path)
    check({name: Header(array.shape, array.dtype, array.nbytes) for name, array in arrays.items()})
    return arrays


FORMATS: dict[str, Callable[[Path, Check], dict[str, np.ndarray]]] = {
    ".safetensors": lambda path, check: read_safetensors(path, check).arrays,
    ".npz": _read_npz,
    ".pt": _read_torch,
    ".pth": _read_torch,
}
"""Ending of a file -> function that reads it."""
