"""What a family of models is, and how one that is not part of the package is loaded."""

import dataclasses
import importlib
import importlib.util
import re
import sys
import types
import typing
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, NamedTuple

from jaxgen._signatures import KINDS
from jaxgen.errors import InputError, shortened, suggest
from jaxgen.game import Model
from jaxgen.paths import expand_path
from jaxgen.typing import Batch

PLURALS = {int: "integers", float: "numbers", str: "texts", bool: "truth values"}
"""Type of the values of a tuple -> how they are named in messages."""

ENTRY_POINTS = "jaxgen.families"
"""Entry-point group in which installed packages announce their families."""


class Family(NamedTuple):
    """A family of models.

    Attributes:
        name: name of the family, stored in the run folder.
        config: frozen dataclass of its options.
        build: `(config, example, **parts) -> model`; parts are modules, losses or optimizers in place of named ones.
        summary: one line for the list of families.
        complete: `(config, example) -> config` with values in place of None, as `build` takes them; None where no
            option depends on others or on the data.
    """

    name: str
    config: type
    build: Callable[..., Model]
    summary: str
    complete: Callable[[Any, Batch], Any] | None = None


def load_family(source: str) -> Family:
    """Load a family from outside the package. This executes the code that `source` names.

    Args:
        source: path of a Python file, name of a module, or name of an entry point in the group `jaxgen.families`; the
            file or module defines `FAMILY`.

    Returns:
        The family.

    Raises:
        InputError: if there is no such file, module or entry point, it cannot be imported, or defines no family.

    Example:
        >>> load_family("no_such_file.py")
        Traceback (most recent call last):
        jaxgen.errors.InputError: there is no file 'no_such_file.py' that could define a family
    """
    announced = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if source.endswith(".py"):
        found = _load_file(expand_path(source))
    elif source in announced:
        found = _imported(source, announced[source].load)
    else:
        found = _imported(source, lambda: _load_module(source, announced))
    return _checked(source, found if isinstance(found, Family) else getattr(found, "FAMILY", None))


def option_types(config: type) -> dict[str, Any]:
    """Return the types of the options of a dataclass. Class variables are not options.

    Args:
        config: dataclass.

    Returns:
        Name of an option -> its type.

    Raises:
        InputError: if a field has `init=False`: its value could not be given when a run is loaded.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Config:
        ...     width: int = 4
        >>> option_types(Config)
        {'width': <class 'int'>}
    """
    for field in dataclasses.fields(config):
        if not field.init:
            raise InputError(f"the field '{field.name}' of {config.__name__} must not have init=False: use a property")
    hints = typing.get_type_hints(config).items()
    return {name: hint for name, hint in hints if typing.ClassVar not in (hint, typing.get_origin(hint))}


def takes_number(hint: Any) -> bool:
    """Return whether an option of a type may be one number that is not necessarily an integer.

    Args:
        hint: type of the option.

    Returns:
        Whether the type is float, or a union with float.

    Example:
        >>> takes_number(float | None), takes_number(tuple[float, ...]), takes_number(int)
        (True, False, False)
    """
    return typing.get_origin(hint) is not tuple and float in (hint, *typing.get_args(hint))


def fits(value: Any, hint: Any) -> bool:
    """Return whether a value is of a type that options have, and JSON gives it back.

    Args:
        value: value of an option.
        hint: type of the option.

    Returns:
        True for a value of the type; integers up to 2^53 are numbers of type float too.

    Example:
        >>> fits((1, 2), tuple[int, ...]), fits([1, 2], tuple[int, ...]), fits(1, float | None), fits(True, int)
        (True, False, True, False)
    """
    arguments = typing.get_args(hint)
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, option) for option in arguments)
    if origin is typing.Literal:
        return value in arguments
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        items = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
        return len(items) == len(value) and all(map(fits, value, items))
    if hint is float:
        exact = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53
        return exact or type(value) is float
    return isinstance(value, hint) and (hint is bool or not isinstance(value, bool))


def describe_type(hint: Any) -> str:
    """Return what a value of an option must be in a JSON or YAML file, which have lists and null for tuples and None.

    Args:
        hint: type of the option.

    Returns:
        A phrase after "must be".

    Example:
        >>> describe_type(tuple[int, ...]), describe_type(float | None)
        ('a list of integers', 'a number or null')
    """
    arguments, origin = typing.get_args(hint), typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(describe_type, arguments))
    if origin is typing.Literal:
        return f"{'one of ' if len(arguments) > 1 else ''}{', '.join(map(str, arguments))}"
    if origin is tuple:
        exact = "" if arguments[-1] is Ellipsis else f"{len(arguments)} "
        return f"a list of {exact}{PLURALS.get(arguments[0], 'values')}"
    return {**KINDS, bool: "true or false", types.NoneType: "null"}.get(hint, str(hint))


def check_name(name: Any) -> None:
    """Check the name of a family, which is stored in run folders and is part of the name of a default folder.

    Args:
        name: name of a family.

    Raises:
        InputError: if it is not a string of letters, digits, `_` and `-`.

    Example:
        >>> check_name("../mine")
        Traceback (most recent call last):
        jaxgen.errors.InputError: the name of a family must consist of letters, digits, '_' and '-', got '../mine'
    """
    if not (isinstance(name, str) and re.fullmatch(r"[\w-]+", name)):
        raise InputError(f"the name of a family must consist of letters, digits, '_' and '-', got {shortened(name)}")


def describe_error(error: BaseException) -> str:
    """Return the type and the message of an error in one line.

    Example:
        >>> describe_error(KeyError("x"))
        "KeyError: 'x'"
    """
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _load_file(path: Path) -> Any:
    if not path.is_file():
        raise InputError(f"there is no file '{path}' that could define a family")
    name = f"jaxgen_family_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # As the name ends in .py.
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # Dataclasses look up their module there.
    loader = spec.loader
    _imported(str(path), lambda: loader.exec_module(module))
    return module


def _load_module(name: str, announced: Mapping[str, EntryPoint]) -> Any:
    unknown = InputError(
        f"there is no family '{name}': give the path of a .py file, an importable module, or an installed entry point "
        f"of {ENTRY_POINTS}; {suggest(name, announced) if announced else 'no entry point is installed'}"
    )
    if not all(part.isidentifier() for part in name.split(".")):
        raise unknown
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # Only if the module or a package around it is missing, not a module that it imports.
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise unknown from None
        raise


def _imported(source: str, load: Callable[[], Any]) -> Any:
    return _guarded(f"the family '{source}' could not be imported", load)


def _guarded(complaint: str, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # Whatever the user's own code raises.
        raise InputError(f"{complaint}: {describe_error(error)}") from error


def _checked(source: str, family: Any) -> Family:
    if not isinstance(family, Family):
        raise InputError(
            f"'{source}' must define FAMILY = jaxgen.Family(name=..., config=..., build=..., summary=...), got "
            f"{'no FAMILY' if family is None else type(family).__name__}"
        )
    check_name(family.name)
    if not (isinstance(family.config, type) and dataclasses.is_dataclass(family.config)):
        raise InputError(f"the config of the family in '{source}' must be a dataclass, got {shortened(family.config)}")
    required = [
        field.name
        for field in dataclasses.fields(family.config)
        if field.init and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    if required:
        raise InputError(f"every option of the family in '{source}' must have a default, got none for '{required[0]}'")
    defaults = _guarded(f"the default options of the family in '{source}' must be valid", family.config)
    for name, hint in _imported(source, lambda: option_types(family.config)).items():
        if not _is_storable(hint):
            raise InputError(
                f"the option '{name}' of the family in '{source}' must be an int, float, str, bool or Literal, a "
                f"tuple[..., ...] of one of these, or None, got {hint}"
            )
        if not fits(getattr(defaults, name), hint):
            raise InputError(
                f"the default of the option '{name}' of the family in '{source}' must be of the type "
                f"{getattr(hint, '__name__', hint)}, got {shortened(getattr(defaults, name))}"
            )
    return family


def _is_storable(hint: Any) -> bool:
    """Whether values of a type are stored in the `config.json` of a run and read again."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return all(map(_is_storable, arguments))
    if origin is tuple:
        return (
            arguments[1:] == (Ellipsis,) and typing.get_origin(arguments[0]) is not tuple and _is_storable(arguments[0])
        )
    if origin is typing.Literal:
        return all(isinstance(choice, str | int | None) for choice in arguments)
    return hint in (int, float, str, bool, types.NoneType)
