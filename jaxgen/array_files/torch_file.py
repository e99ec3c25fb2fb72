"""Arrays of files that `torch.save` has written, without PyTorch and without unpickling.

Such a file holds a pickle, a program that may import and call anything. It is run by a machine that does neither
(`jaxgen.array_files.pickle_machine`), and a file that contains anything but tensors by their names is refused.

Both formats are read: the zip archive that PyTorch writes since 1.6, and the older one, in which most published weights
are, of five pickles in a row and the bytes of the tensors. What a file declares is compared with its size before memory
is reserved, and arrays are views of the bytes that were read, so that reading takes about the size of the file.
"""

import os
import struct
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from jaxgen.array_files.pickle_machine import PickleMachine, Refused, Tensor, kind_of
from jaxgen.errors import InputError, shortened
from jaxgen.regular_files import open_regular

MAX_PICKLE = 2**21
"""Largest size of a pickle in bytes; the names and shapes of a thousand tensors take a tenth of it."""

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
"""Number with which files of the older format begin, as a pickle."""


def read_torch_file(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of a file that `torch.save` has written from a dict of tensors, such as a state dict.

    Args:
        path: path of the file.

    Returns:
        Name -> array, read-only.

    Raises:
        InputError: if the file is no such file, is damaged, or contains anything but tensors by their names.
        OSError: if it cannot be opened.

    Example:
        >>> read_torch_file(Path("/dev/null"))
        Traceback (most recent call last):
        jaxgen.errors.InputError: /dev/null must be a regular file
    """
    with open_regular(path) as file:
        try:
            return _read(file, os.fstat(file.fileno()).st_size)
        except Refused as error:
            reason = str(error)
        except DAMAGED:
            reason = "it is damaged or incomplete"
    raise InputError(f"{path} must be a file that torch.save has written from a dict of tensors: {reason}")


DAMAGED = (
    ValueError, LookupError, TypeError, EOFError, OSError, OverflowError, NotImplementedError, RuntimeError,
    struct.error, zipfile.BadZipFile,
)  # fmt: skip
"""What zipfile, pickletools and NumPy raise for damaged content, and the stack and the memo for missing values."""


def _read(file: BinaryIO, size: int) -> dict[str, np.ndarray]:
    is_zip = file.read(4) == b"PK\x03\x04"
    file.seek(0)
    machine = PickleMachine()
    if is_zip:
        with zipfile.ZipFile(file) as archive:
            tensors, content = _read_zip(archive, size, machine)
    else:
        tensors, content = _read_legacy(file, size, machine)
    return {name: _array(tensor, content[tensor.storage.key]) for name, tensor in tensors.items()}


def _read_zip(
    archive: zipfile.ZipFile, size: int, machine: PickleMachine
) -> tuple[dict[str, Tensor], dict[str, bytes]]:
    """Return the tensors of a zip archive and the bytes of their storages."""
    members = {member.filename: member for member in archive.infolist()}
    left = size

    def read(name: str, largest: int) -> bytes:
        nonlocal left
        member = members[name]
        # PyTorch does not compress. Members that overlap would be larger together than the file.
        if member.compress_type != zipfile.ZIP_STORED or member.file_size > min(largest, left):
            raise Refused("it is compressed, or declares more bytes than it has")
        left -= member.file_size
        return archive.read(member)

    (folder,) = {name.removesuffix("data.pkl") for name in members if name.endswith("/data.pkl")}
    if f"{folder}byteorder" in members and read(f"{folder}byteorder", 10) != b"little":
        raise Refused("its numbers are big-endian")
    tensors = _tensors(machine.run(BytesIO(read(f"{folder}data.pkl", MAX_PICKLE))))
    content = {}
    for key, (dtype, count) in machine.storages.items():
        content[key] = read(f"{folder}data/{key}", count * dtype.itemsize)
        if len(content[key]) != count * dtype.itemsize:
            raise Refused(f"the storage {shortened(key)} has another size than declared")
    return tensors, content


def _read_legacy(file: BinaryIO, size: int, machine: PickleMachine) -> tuple[dict[str, Tensor], dict[str, bytes]]:
    """Return the tensors of a file of the older format and the bytes of their storages."""

    def next_pickle() -> Any:
        start = file.tell()
        window = BytesIO(file.read(MAX_PICKLE))
        value = machine.run(window)
        file.seek(start + window.tell())
        return value

    if next_pickle() != LEGACY_MAGIC:
        raise Refused("it does not begin as such files do")
    next_pickle()  # Version of the format.
    system = next_pickle()
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise Refused("its numbers are not little-endian")
    tensors = _tensors(next_pickle())
    content: dict[str, bytes] = {}
    keys = next_pickle()
    if not isinstance(keys, list):
        raise Refused("it has no list of storages")
    for key in keys:
        if not isinstance(key, str) or key in content:
            raise Refused("its list of storages is invalid")
        dtype, count = machine.storages[key]
        declared = int.from_bytes(file.read(8), "little")
        if declared != count or count * dtype.itemsize > size - file.tell():
            raise Refused(f"the storage {shortened(key)} has another size than declared")
        content[key] = file.read(count * dtype.itemsize)
    return tensors, content


def _tensors(value: Any) -> dict[str, Tensor]:
    """Return the object of a file, if it is a dict of tensors by their names."""
    if not isinstance(value, dict):
        raise Refused(f"it contains no dict but a {kind_of(value)}")
    for name, tensor in value.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise Refused(f"it contains {shortened(name)}, a {kind_of(tensor)}")
    return value


def _array(tensor: Tensor, content: bytes) -> np.ndarray:
    """Return a tensor as a view of the bytes of its storage; NumPy checks the bounds of the buffer once more."""
    storage = tensor.storage
    if 0 in tensor.shape:
        return np.zeros(tensor.shape, storage.dtype)
    count, last = 1, tensor.offset
    for length, stride in zip(tensor.shape, tensor.strides, strict=True):
        count *= length
        last += (length - 1) * stride
    if last >= storage.stop - storage.start or count > storage.stop - storage.start:
        raise Refused("a tensor is larger than its storage")
    item = storage.dtype.itemsize
    return np.ndarray(
        tensor.shape,
        storage.dtype,
        buffer=content,
        offset=(storage.start + tensor.offset) * item,
        strides=[stride * item for stride in tensor.strides],
    )
