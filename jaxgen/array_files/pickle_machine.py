"""The pickle of a dict of tensors, run by a machine of the few instructions that it needs, without unpickling.

A pickle is a program that may import and call anything. The machine builds dicts, lists, tuples, strings, numbers and
descriptions of tensors, and imports and calls nothing; it refuses a pickle that contains anything else, and one that
would take long.
"""

import pickletools
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from jaxgen.errors import shortened

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


class Refused(Exception):  # noqa: N818
    """What in a file is not accepted."""


class Global(NamedTuple):
    """A function or a class, by its name in a pickle."""

    name: str


class Storage(NamedTuple):
    """The part of a storage that a tensor may use, in elements."""

    key: str
    dtype: np.dtype
    start: int
    stop: int


class Tensor(NamedTuple):
    """A tensor as a pickle describes it; offset and strides are in elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class PickleMachine:
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
                raise Refused(f"its pickles have more than {MAX_INSTRUCTIONS} instructions")
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
                self.stack.append(_result(_expected(function, Global).name, _expected(arguments, tuple)))
            case "BUILD":  # Attributes of a dict, such as the versions of the modules of a state dict.
                self.pop()
                _expected(self.stack[-1], dict)
            case _:
                raise Refused(f"its pickle contains the instruction {opcode}")

    def pop(self) -> Any:
        """Remove and return the value on top of the stack, which is above the last mark."""
        if self.marks and len(self.stack) <= self.marks[-1]:
            raise Refused("it is damaged or incomplete")
        return self.stack.pop()

    def pop_marked(self) -> list[Any]:
        """Remove and return the values above the last mark."""
        mark = self.marks.pop()
        values = self.stack[mark:]
        del self.stack[mark:]
        return values

    def storage(self, identifier: Any) -> Storage:
        """Return the storage of a persistent identifier ("storage", type, key, device, number of elements[, view])."""
        word, kind, key, _, count, *rest = _expected(identifier, tuple)
        dtype = DTYPES[_expected(kind, Global).name]
        start, stop = 0, _natural(count)
        if word != "storage" or not isinstance(key, str):
            raise Refused("one of its storages is invalid")
        if self.storages.setdefault(key, (dtype, count)) != (dtype, count):
            raise Refused("one of its storages is declared in two ways")
        if rest and rest[0] is not None:  # A part of the storage: its key, first element and length.
            _, first, length = _expected(rest[0], tuple)
            start, stop = _natural(first), _natural(first) + _natural(length)
            if stop > count:
                raise Refused("a tensor is larger than its storage")
        return Storage(key, dtype, start, stop)


def _text(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise Refused(f"it contains {shortened(text)}, a string of more than {MAX_TEXT} characters")
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


def _global(name: str) -> Global:
    if name not in DTYPES and name not in FUNCTIONS:
        raise Refused(f"its pickle mentions {shortened(name)}")
    return Global(name)


def _result(function: str, arguments: tuple[Any, ...]) -> Any:
    """Return what one of `FUNCTIONS` would return."""
    if function not in FUNCTIONS or len(arguments) < FUNCTIONS[function]:
        raise Refused(f"its pickle calls {function} with {len(arguments)} arguments")
    if function == "collections.OrderedDict":
        pairs = _expected(arguments[0], list) if arguments else []
        if not all(type(pair) is list and len(pair) == 2 for pair in pairs):
            raise Refused("one of its dicts is made of no pairs")
        values = [part for pair in pairs for part in pair]
        pairs.clear()  # A pickle could make many dicts of one list, and so take any time and memory.
        return _dict(values)
    if function == "torch._utils._rebuild_parameter":
        return _expected(arguments[0], Tensor)
    storage, offset, shape, strides = arguments[:4]
    if not len(_expected(shape, tuple)) == len(_expected(strides, tuple)) <= MAX_AXES:
        raise Refused("a tensor has too many axes, or another number of strides")
    return Tensor(_expected(storage, Storage), _natural(offset), _naturals(shape), _naturals(strides))


def _dict(values: Sequence[Any]) -> dict[str, Any]:
    """Return the dict of alternating keys and values.

    Keys are strings alone: many numbers can have the same hash, so that a dict of them takes any time, and the hash of
    one number can take as long as it has digits.
    """
    if len(values) % 2 or not all(type(key) is str for key in values[::2]):
        raise Refused("one of its dicts has keys that are no strings")
    return dict(zip(values[::2], values[1::2], strict=True))


def _expected(value: Any, kind: type) -> Any:
    """Return a value if it is of a type: exactly, as tensors are tuples."""
    if type(value) is not kind:
        raise Refused(f"its pickle has a {kind_of(value)} in the place of a {kind.__name__.strip('_').lower()}")
    return value


def _natural(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**62:
        raise Refused("a size of a tensor is no whole number from 0 on")
    return value


def _naturals(values: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(_natural(value) for value in values)


def kind_of(value: Any) -> str:
    """Return what messages call a value of a pickle."""
    return {Tensor: "tensor", Global: "function", Storage: "storage"}.get(type(value), type(value).__name__)
