"""Arrays of files that `torch.save` has written, without PyTorch and without unpickling.

Such a file holds a pickle, a program that may import and call anything. The program is run here by a machine of the few
instructions that a dict of tensors needs: it builds dicts, lists, tuples, strings, numbers and descriptions of tensors,
and imports and calls nothing. A file that contains anything else is refused.

Both formats are read: the zip archive that PyTorch writes since 1.6, and the older one, in which most published weights
are, of five pickles in a row and the bytes of the tensors. What a file declares is compared with its size before memory
is reserved, and arrays are views of the bytes that were read, so that reading takes about the size of the file.
"""

import os
import pickletools
import struct
import zipfile
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import ml_dtypes
import numpy as np

from jaxgen.errors import InputError, shortened
from jaxgen.regular_files import open_regular

MAX_PICKLE = 2**21
"""Largest size of a pickle in bytes; the names and shapes of a thousand tensors take a tenth of it."""

MAX_INSTRUCTIONS = 2**19
"""Largest number of instructions of a file, of which a tensor has about forty."""

MAX_TEXT = 2**16
"""Largest number of characters of a string; longer ones, of which a dict has many equal ones, take time to compare."""

MAX_AXES = 64
"""Largest number of axes of an array of NumPy."""

DTYPES = {
    "torch.DoubleStorage": np.dtype(np.float64),
    "torch.FloatStorage": np.dtype(np.float32),
    "torch.HalfStorage": np.dtype(np.float16),
    "torch.BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "torch.LongStorage": np.dtype(np.int64),
    "torch.IntStorage": np.dtype(np.int32),
    "torch.ShortStorage": np.dtype(np.int16),
    "torch.CharStorage": np.dtype(np.int8),
    "torch.ByteStorage": np.dtype(np.uint8),
    "torch.BoolStorage": np.dtype(np.bool_),
}
"""Names in a pickle of the storages of tensors -> dtype of the elements."""

FUNCTIONS = {
    "torch._utils._rebuild_tensor": 4,
    "torch._utils._rebuild_tensor_v2": 6,
    "torch._utils._rebuild_parameter": 3,
    "collections.OrderedDict": 0,
}
"""Names in a pickle of what it may call -> smallest number of arguments."""

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
        except _Refused as error:
            reason = str(error)
        except DAMAGED:
            reason = "it is damaged or incomplete"
    raise InputError(f"{path} must be a file that torch.save has written from a dict of tensors: {reason}")


DAMAGED = (
    ValueError, LookupError, TypeError, EOFError, OSError, OverflowError, NotImplementedError, RuntimeError,
    struct.error, zipfile.BadZipFile,
)  # fmt: skip
"""What zipfile, pickletools and NumPy raise for damaged content, and the stack and the memo for missing values."""


class _Refused(Exception):  # noqa: N818
    """What in a file is not accepted."""


class _Global(NamedTuple):
    """A function or a class, by its name in a pickle."""

    name: str


class _Storage(NamedTuple):
    """The part of a storage that a tensor may use, in elements."""

    key: str
    dtype: np.dtype
    start: int
    stop: int


class _Tensor(NamedTuple):
    """A tensor as a pickle describes it; offset and strides are in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _read(file: BinaryIO, size: int) -> dict[str, np.ndarray]:
    is_zip = file.read(4) == b"PK\x03\x04"
    file.seek(0)
    machine = _Machine()
    if is_zip:
        with zipfile.ZipFile(file) as archive:
            tensors, content = _read_zip(archive, size, machine)
    else:
        tensors, content = _read_legacy(file, size, machine)
    return {name: _array(tensor, content[tensor.storage.key]) for name, tensor in tensors.items()}


def _read_zip(archive: zipfile.ZipFile, size: int, machine: "_Machine") -> tuple[dict[str, _Tensor], dict[str, bytes]]:
    """Return the tensors of a zip archive and the bytes of their storages."""
    members = {member.filename: member for member in archive.infolist()}
    left = size

    def read(name: str, largest: int) -> bytes:
        nonlocal left
        member = members[name]
        # PyTorch does not compress. Members that overlap would be larger together than the file.
        if member.compress_type != zipfile.ZIP_STORED or member.file_size > min(largest, left):
            raise _Refused("it is compressed, or declares more bytes than it has")
        left -= member.file_size
        return archive.read(member)

    (folder,) = {name.removesuffix("data.pkl") for name in members if name.endswith("/data.pkl")}
    if f"{folder}byteorder" in members and read(f"{folder}byteorder", 10) != b"little":
        raise _Refused("its numbers are big-endian")
    tensors = _tensors(machine.run(BytesIO(read(f"{folder}data.pkl", MAX_PICKLE))))
    content = {}
    for key, (dtype, count) in machine.storages.items():
        content[key] = read(f"{folder}data/{key}", count * dtype.itemsize)
        if len(content[key]) != count * dtype.itemsize:
            raise _Refused(f"the storage {shortened(key)} has another size than declared")
    return tensors, content


def _read_legacy(file: BinaryIO, size: int, machine: "_Machine") -> tuple[dict[str, _Tensor], dict[str, bytes]]:
    """Return the tensors of a file of the older format and the bytes of their storages."""

    def next_pickle() -> Any:
        start = file.tell()
        window = BytesIO(file.read(MAX_PICKLE))
        value = machine.run(window)
        file.seek(start + window.tell())
        return value

    if next_pickle() != LEGACY_MAGIC:
        raise _Refused("it does not begin as such files do")
    next_pickle()  # Version of the format.
    system = next_pickle()
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise _Refused("its numbers are not little-endian")
    tensors = _tensors(next_pickle())
    content: dict[str, bytes] = {}
    keys = next_pickle()
    if not isinstance(keys, list):
        raise _Refused("it has no list of storages")
    for key in keys:
        if not isinstance(key, str) or key in content:
            raise _Refused("its list of storages is invalid")
        dtype, count = machine.storages[key]
        declared = int.from_bytes(file.read(8), "little")
        if declared != count or count * dtype.itemsize > size - file.tell():
            raise _Refused(f"the storage {shortened(key)} has another size than declared")
        content[key] = file.read(count * dtype.itemsize)
    return tensors, content


def _tensors(value: Any) -> dict[str, _Tensor]:
    """Return the object of a file, if it is a dict of tensors by their names."""
    if not isinstance(value, dict):
        raise _Refused(f"it contains no dict but a {_kind(value)}")
    for name, tensor in value.items():
        if not isinstance(name, str) or not isinstance(tensor, _Tensor):
            raise _Refused(f"it contains {shortened(name)}, a {_kind(tensor)}")
    return value


def _kind(value: Any) -> str:
    return {_Tensor: "tensor", _Global: "function", _Storage: "storage"}.get(type(value), type(value).__name__)


def _array(tensor: _Tensor, content: bytes) -> np.ndarray:
    """Return a tensor as a view of the bytes of its storage; NumPy checks the bounds of the buffer once more."""
    storage = tensor.storage
    if 0 in tensor.shape:
        return np.zeros(tensor.shape, storage.dtype)
    count, last = 1, tensor.offset
    for length, stride in zip(tensor.shape, tensor.strides, strict=True):
        count *= length
        last += (length - 1) * stride
    if last >= storage.stop - storage.start or count > storage.stop - storage.start:
        raise _Refused("a tensor is larger than its storage")
    item = storage.dtype.itemsize
    return np.ndarray(
        tensor.shape,
        storage.dtype,
        buffer=content,
        offset=(storage.start + tensor.offset) * item,
        strides=[stride * item for stride in tensor.strides],
    )


class _Machine:
    """The stack, the marks and the memo of a pickle, and the instructions that are accepted.

    Attributes:
        storages: key of a storage that a pickle of the file has mentioned -> its dtype and number of elements.
        left: number of instructions that the pickles of the file may still have.
    """

    def __init__(self) -> None:
        self.storages: dict[str, tuple[np.dtype, int]] = {}
        self.left = MAX_INSTRUCTIONS

    def run(self, program: BytesIO) -> Any:
        """Run a pickle up to its end and return its value."""
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        for opcode, argument, _ in pickletools.genops(program):
            self.left -= 1
            if self.left < 0:
                raise _Refused(f"its pickles have more than {MAX_INSTRUCTIONS} instructions")
            self.execute(opcode.name, argument)
        return self.pop()

    def execute(self, opcode: str, argument: Any) -> None:
        """Execute one instruction."""
        if opcode in CONSTANTS:
            self.stack.append(CONSTANTS[opcode](argument))
        elif opcode in PUTS:
            self.memo[len(self.memo) if opcode == "MEMOIZE" else argument] = self.stack[-1]
        elif opcode in GETS:
            self.stack.append(self.memo[argument])
        elif opcode in TUPLES:
            self.stack.append(tuple(reversed([self.pop() for _ in range(TUPLES[opcode])])))
        else:
            self._execute_other(opcode, argument)

    def _execute_other(self, opcode: str, argument: Any) -> None:
        match opcode:
            case "PROTO" | "FRAME" | "STOP":
                pass
            case "MARK":
                self.marks.append(len(self.stack))
            case "TUPLE":
                self.stack.append(tuple(self.pop_marked()))
            case "LIST":
                self.stack.append(self.pop_marked())
            case "DICT":
                self.stack.append(_dict(self.pop_marked()))
            case "APPEND" | "APPENDS":
                values = [self.pop()] if opcode == "APPEND" else self.pop_marked()
                _expected(self.stack[-1], list).extend(values)
            case "SETITEM" | "SETITEMS":
                values = [self.pop(), self.pop()][::-1] if opcode == "SETITEM" else self.pop_marked()
                _expected(self.stack[-1], dict).update(_dict(values))
            case "GLOBAL":
                self.stack.append(_global(argument.replace(" ", ".", 1)))
            case "STACK_GLOBAL":
                name, module = self.pop(), self.pop()
                self.stack.append(_global(f"{_expected(module, str)}.{_expected(name, str)}"))
            case "BINPERSID":
                self.stack.append(self.storage(self.pop()))
            case "REDUCE":
                arguments, function = self.pop(), self.pop()
                self.stack.append(_result(_expected(function, _Global).name, _expected(arguments, tuple)))
            case "BUILD":  # Attributes of a dict, such as the versions of the modules of a state dict.
                self.pop()
                _expected(self.stack[-1], dict)
            case _:
                raise _Refused(f"its pickle contains the instruction {opcode}")

    def pop(self) -> Any:
        """Remove and return the value on top of the stack, which is above the last mark."""
        if self.marks and len(self.stack) <= self.marks[-1]:
            raise _Refused("it is damaged or incomplete")
        return self.stack.pop()

    def pop_marked(self) -> list[Any]:
        """Remove and return the values above the last mark."""
        mark = self.marks.pop()
        values = self.stack[mark:]
        del self.stack[mark:]
        return values

    def storage(self, identifier: Any) -> _Storage:
        """Return the storage of a persistent identifier ("storage", type, key, device, number of elements[, view])."""
        word, kind, key, _, count, *rest = _expected(identifier, tuple)
        dtype = DTYPES[_expected(kind, _Global).name]
        start, stop = 0, _natural(count)
        if word != "storage" or not isinstance(key, str):
            raise _Refused("one of its storages is invalid")
        if self.storages.setdefault(key, (dtype, count)) != (dtype, count):
            raise _Refused("one of its storages is declared in two ways")
        if rest and rest[0] is not None:  # A part of the storage: its key, first element and length.
            _, first, length = _expected(rest[0], tuple)
            start, stop = _natural(first), _natural(first) + _natural(length)
            if stop > count:
                raise _Refused("a tensor is larger than its storage")
        return _Storage(key, dtype, start, stop)


def _text(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise _Refused(f"it contains {shortened(text)}, a string of more than {MAX_TEXT} characters")
    return text


CONSTANTS: dict[str, Callable[[Any], Any]] = {
    "NONE": lambda _: None,
    "NEWTRUE": lambda _: True,
    "NEWFALSE": lambda _: False,
    "EMPTY_TUPLE": lambda _: (),
    "EMPTY_LIST": lambda _: [],
    "EMPTY_DICT": lambda _: {},
    **dict.fromkeys(["INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"], lambda number: number),
    **dict.fromkeys(["FLOAT", "BINFLOAT"], lambda number: number),
    **dict.fromkeys(["BINSTRING", "SHORT_BINSTRING"], _text),
    **dict.fromkeys(["BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"], _text),
}
"""Instructions that put a constant on the stack -> function of their argument that returns it."""

# Without PUT and GET of protocol 0, whose numbers may be of any size.
PUTS = {"BINPUT", "LONG_BINPUT", "MEMOIZE"}
GETS = {"BINGET", "LONG_BINGET"}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def _global(name: str) -> _Global:
    if name not in DTYPES and name not in FUNCTIONS:
        raise _Refused(f"its pickle mentions {shortened(name)}")
    return _Global(name)


def _result(function: str, arguments: tuple[Any, ...]) -> Any:
    """Return what one of `FUNCTIONS` would return."""
    if function not in FUNCTIONS or len(arguments) < FUNCTIONS[function]:
        raise _Refused(f"its pickle calls {function} with {len(arguments)} arguments")
    if function == "collections.OrderedDict":
        pairs = _expected(arguments[0], list) if arguments else []
        if not all(type(pair) is list and len(pair) == 2 for pair in pairs):
            raise _Refused("one of its dicts is made of no pairs")
        values = [part for pair in pairs for part in pair]
        pairs.clear()  # A pickle could make many dicts of one list, and so take any time and memory.
        return _dict(values)
    if function == "torch._utils._rebuild_parameter":
        return _expected(arguments[0], _Tensor)
    storage, offset, shape, strides = arguments[:4]
    if not len(_expected(shape, tuple)) == len(_expected(strides, tuple)) <= MAX_AXES:
        raise _Refused("a tensor has too many axes, or another number of strides")
    return _Tensor(_expected(storage, _Storage), _natural(offset), _naturals(shape), _naturals(strides))


def _dict(values: Sequence[Any]) -> dict[str, Any]:
    """Return the dict of alternating keys and values.

    Keys are strings alone: many numbers can have the same hash, so that a dict of them takes any time, and the hash of
    one number can take as long as it has digits.
    """
    if len(values) % 2 or not all(type(key) is str for key in values[::2]):
        raise _Refused("one of its dicts has keys that are no strings")
    return dict(zip(values[::2], values[1::2], strict=True))


def _expected(value: Any, kind: type) -> Any:
    """Return a value if it is of a type: exactly, as tensors are tuples."""
    if type(value) is not kind:
        raise _Refused(f"its pickle has a {_kind(value)} in the place of a {kind.__name__.strip('_').lower()}")
    return value


def _natural(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**62:
        raise _Refused("a size of a tensor is no whole number from 0 on")
    return value


def _naturals(values: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(_natural(value) for value in values)
