"""Checks of arguments against the annotations of a function, for public functions that work on arrays of the user.

An annotation such as `Float[AnyArray, "n 2"]` states what an argument must be; `checked` makes it hold, with a message
that repeats it. A size with a name is the same in all arguments.
"""

import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, wraps
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar, Union

import jax.numpy as jnp
import numpy as np
from jaxtyping import AbstractArray

from jaxgen._arrays import check_byte_order, check_key, is_known
from jaxgen.errors import InputError, shortened
from jaxgen.typing import Array, Int, Key, UInt8

P = ParamSpec("P")
R = TypeVar("R")

KINDS = {
    bool: "True or False",
    int: "an integer",
    float: "a number",
    str: "a text",
    Path: "a path",
    types.NoneType: "None",
}
"""Type of a value that is not an array -> how it is named in messages."""

KINDS_OF_ARRAYS: dict[str, Any] = {"keys": Key[Array, ""], "bytes": UInt8[Array, ""], "integers": Int[Array, ""]}
ARRAY_KINDS = {hint.dtypes: kind for kind, hint in KINDS_OF_ARRAYS.items()}
"""Dtypes of an annotation of arrays -> how the elements are named in messages; all others are numbers."""


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Check the arguments of a function by their annotations.

    Arrays may be on the host or on a device, and lists that NumPy converts to them. Where floats are expected, integers
    are accepted; an annotation of floats is one of real numbers. Annotations of other types are not checked.

    Args:
        function: function with annotated parameters.

    Returns:
        The function; it raises an InputError with the name of the first argument that is not what is annotated.

    Example:
        >>> from jaxgen.typing import AnyArray, Float
        >>> @checked
        ... def norm(points: Float[AnyArray, "n 2"]) -> float:
        ...     return float(np.linalg.norm(points))
        >>> norm(np.zeros((3, 3)))
        Traceback (most recent call last):
        jaxgen.errors.InputError: points must be an array of numbers [n, 2], got float64 of shape (3, 3)
    """
    signature = cache(lambda: inspect.signature(function))

    @wraps(function)
    def with_checks(*args: P.args, **kwargs: P.kwargs) -> R:
        sizes: dict[str, int] = {}
        given = signature().bind(*args, **kwargs)  # A TypeError of Python for names of arguments.
        for name, value in given.arguments.items():
            parameter = signature().parameters[name]
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                _check(name, value, parameter.annotation, sizes, outer=True)
        return function(*args, **kwargs)

    return with_checks


def _check(name: str, value: Any, hint: Any, sizes: dict[str, int], *, outer: bool = False) -> None:
    """Raise an InputError unless a value is what is annotated; the sizes of outer arrays are recorded."""
    choices = _choices(hint)
    of_kind = [choice for choice in choices if _is_of_kind(value, choice)]
    if not of_kind:
        raise _error(name, value, choices, sizes)
    for choice in of_kind:  # In the order of the annotation; the last one determines the message.
        found = dict(sizes)
        try:
            _check_content(name, value, choice, found)
        except InputError:
            if choice is of_kind[-1]:
                raise
            continue
        if outer:
            sizes |= found
        return


def _check_content(name: str, value: Any, hint: Any, sizes: dict[str, int]) -> None:
    """Check a value whose kind is that of the annotation."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if _is_key(hint):
        check_key(value, name=name, several=bool(hint.dim_str.strip()))
    elif _is_array(hint):
        check_byte_order(name, _dtype(value))
        before = dict(sizes)
        if not _fits(_shape(value), hint.dim_str.split(), sizes):
            raise _error(name, value, [hint], before)
    elif isinstance(origin, type) and issubclass(origin, Mapping) and len(parts) == 2:
        for key, entry in value.items():
            _check(f"{name}[{key!r}]", entry, parts[1], sizes)
    elif origin is tuple and parts[-1:] != (...,):
        if len(value) != len(parts):
            raise InputError(f"{name} must have {len(parts)} values, got {len(value)}")
        for number, (entry, part) in enumerate(zip(value, parts, strict=True)):
            _check(f"{name}[{number}]", entry, part, sizes)
    elif isinstance(origin, type) and issubclass(origin, Sequence) and parts:
        for number, entry in enumerate(value):
            _check(f"{name}[{number}]", entry, parts[0], sizes)


def _choices(hint: Any) -> list[Any]:
    """The types of which an annotation admits one."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is Union:
        return [choice for part in typing.get_args(hint) for choice in _choices(part)]
    return [hint]


def _is_of_kind(value: Any, hint: Any) -> bool:
    """Whether the type of a value, without its content, is the annotated one."""
    origin = typing.get_origin(hint)
    if hint is Any:
        return True
    if _is_key(hint):
        return True  # Its check has a message of its own.
    if _is_array(hint):
        return _dtype_fits(_dtype(value), hint)
    if hint in (int, float, bool):
        return np.ndim(value) == 0 and _is_scalar(value, hint)
    if origin is Literal:
        return any(type(value) is type(choice) and value == choice for choice in typing.get_args(hint))
    if isinstance(hint, str | typing.ForwardRef):  # Of a class that is not imported.
        name = hint if isinstance(hint, str) else hint.__forward_arg__
        return any(kind.__name__ == name for kind in type(value).__mro__)
    if origin is tuple:
        return isinstance(value, tuple | list)
    if isinstance(origin, type) and issubclass(origin, Iterable):
        return isinstance(value, origin) and not isinstance(value, str)
    if origin is Callable or origin is typing.get_origin(Callable[[], Any]):
        return callable(value)
    kind = hint if origin is None else origin
    return not isinstance(kind, type) or kind is inspect.Parameter.empty or isinstance(value, kind)


def _is_array(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, AbstractArray)


def _is_key(hint: Any) -> bool:
    return _is_array(hint) and _array_kind(hint) == "keys"


def _array_kind(hint: Any) -> str:
    """What the elements of an annotated array are."""
    return ARRAY_KINDS.get(hint.dtypes, "numbers")


def _is_scalar(value: Any, kind: type) -> bool:
    """Whether a value is one number, or one truth value."""
    dtype = _dtype(value)
    if dtype is None or isinstance(value, str):
        return False
    of_kind = {bool: (np.bool_,), int: (jnp.integer,), float: (jnp.integer, jnp.floating)}[kind]
    return any(jnp.issubdtype(dtype, one) for one in of_kind)


def _dtype_fits(dtype: Any, hint: Any) -> bool:
    kind = _array_kind(hint)
    if dtype is None or kind == "bytes":
        return bool(dtype == np.uint8)
    whole = jnp.issubdtype(dtype, jnp.integer) or jnp.issubdtype(dtype, np.bool_)
    return bool(whole or (kind == "numbers" and jnp.issubdtype(dtype, jnp.floating)))


def _dtype(value: Any) -> Any:
    """The dtype of an array, or of a list that is one; None for what is not."""
    if hasattr(value, "dtype"):
        return value.dtype
    if value is None or isinstance(value, str | bytes | Mapping):
        return None
    try:
        return np.asarray(value).dtype
    except ValueError:  # Lists of different lengths.
        return None


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(np.shape(value))


def _fits(shape: tuple[int, ...], dims: list[str], sizes: dict[str, int]) -> bool:
    """Whether a shape is that of an annotation, and its sizes are those of the arguments before it."""
    several = [number for number, dim in enumerate(dims) if dim == "..." or dim.startswith("*")]
    if several:
        first, after = several[0], len(dims) - several[0] - 1
        if len(shape) < first + after:
            return False
        pairs = [*zip(dims[:first], shape[:first], strict=True)]
        pairs += zip(dims[first + 1 :], shape[len(shape) - after :], strict=True)
    elif len(shape) == len(dims):
        pairs = list(zip(dims, shape, strict=True))
    else:
        return False
    return all(size == (int(dim) if dim.isdigit() else sizes.setdefault(dim, size)) for dim, size in pairs)


def _error(name: str, value: Any, choices: list[Any], sizes: Mapping[str, int]) -> InputError:
    wanted = list(dict.fromkeys(_described(choice, sizes) for choice in choices))
    listed = " or ".join([", ".join(wanted[:-1]), wanted[-1]] if wanted[1:] else wanted)
    got = f"{type(value).__name__} {shortened(value)}"
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        got = f"{value.dtype} of shape {value.shape}" if is_known(value) else f"shape {value.shape}"
    return InputError(f"{name} must be {listed}, got {got}")


def _described(hint: Any, sizes: Mapping[str, int]) -> str:
    """What a value must be, for a message."""
    if _is_array(hint):
        dims = [dim.removeprefix("*") + "..." * dim.startswith("*") for dim in hint.dim_str.split()]
        known = ", ".join(f"{dim} {sizes[dim]}" for dim in dict.fromkeys(dims) if dim in sizes)
        shape = f" [{', '.join(dims)}]" if dims != ["..."] else ""
        return f"an array of {_array_kind(hint)}{shape}{f' with {known}' if known else ''}"
    if hint in KINDS:
        return KINDS[hint]
    if typing.get_origin(hint) is Literal:
        return f"one of {', '.join(map(str, typing.get_args(hint)))}"
    if isinstance(hint, str | typing.ForwardRef):
        return f"a {hint if isinstance(hint, str) else hint.__forward_arg__}"
    kind, parts = typing.get_origin(hint) or hint, typing.get_args(hint)
    if kind is Sequence and parts == (str,):
        return "a sequence of texts"
    names = {Mapping: "a mapping", Sequence: "a sequence", tuple: "a tuple"}
    return names.get(kind, "a function" if "Callable" in str(kind) else f"a {getattr(kind, '__name__', kind)}")
