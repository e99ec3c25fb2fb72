"""The options of a command, derived from a dataclass: names, types, defaults and help texts.

Fields of nested dataclasses are options as well, in a group of their own. The help text of a field is its entry under
"Attributes" in the docstring of the dataclass, or of the base class that defines it.
"""

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import docstring_parser

from jaxgen.errors import InputError, suggest


class Positional(NamedTuple):
    """Mark of a field that is a positional argument, as in `Annotated[Path, Positional("RUN")]`.

    Attributes:
        name: name of the argument in help texts and errors.
    """

    name: str


class Repeated(NamedTuple):
    """Mark of an option that may be given several times, as in `Annotated[tuple[str, ...], Repeated("NAME=VALUES")]`.

    Attributes:
        value: what follows the option, in help texts and errors.
    """

    value: str


class Metavar(NamedTuple):
    """Mark of an option whose value has a name of its own in help texts, as in `Annotated[str, Metavar("PATH")]`.

    Attributes:
        name: name of the value.
    """

    name: str


RunFolder = Annotated[Path, Positional("RUN")]
"""Type of the path of a run folder, a positional argument."""


class Expected(NamedTuple):
    """The values that may follow an option; none follow a flag.

    Attributes:
        kinds: types of the values, keys of `KINDS`.
        choices: words that are values.
        several: whether more than one value may follow.
        optional: whether the word None is a value.
    """

    kinds: tuple[type, ...] = ()
    choices: tuple[str, ...] = ()
    several: bool = False
    optional: bool = False

    @classmethod
    def of(cls, hint: Any) -> "Expected":
        """Return the values of a type, as of `int`, `Literal["mlp", "conv"]`, `tuple[int, ...]` or `float | None`.

        Example:
            >>> str(Expected.of(int | typing.Literal["all"] | None))
            'a whole number or all'
        """
        arguments = typing.get_args(hint)
        match typing.get_origin(hint):
            case typing.Union | types.UnionType:
                parts = [cls.of(option) for option in arguments]
                return cls(
                    tuple(kind for part in parts for kind in part.kinds),
                    tuple(choice for part in parts for choice in part.choices),
                    any(part.several for part in parts),
                    any(part.optional for part in parts),
                )
            case typing.Literal:
                return cls(choices=tuple(map(str, arguments)))
            case origin if origin is tuple:
                return cls.of(arguments[0])._replace(several=True)
        if hint is bool:
            return cls()
        return cls(optional=True) if hint is types.NoneType else cls(kinds=(hint,))

    def __bool__(self) -> bool:
        """Whether any value is expected."""
        return bool(self.kinds or self.choices)

    def __str__(self) -> str:
        """The values as they are named after "must be"."""
        if self.several:
            words = [f"{KINDS[kind].name}s with spaces between them" for kind in self.kinds]
            return " or ".join([*words, *(f"any of {', '.join(self.choices)}" for _ in self.choices[:1])])
        return " or ".join([*(f"a {KINDS[kind].name}" for kind in self.kinds), *self.choices])

    @property
    def metavar(self) -> str:
        """The values as they are shown in the help."""
        if not self:
            return ""
        symbols = [KINDS[kind].symbol for kind in self.kinds]
        choices = self.choices if symbols else [f"{{{','.join(self.choices)}}}"]
        return "|".join([*symbols, *choices]) + (" ..." if self.several else "")

    def check(self, option: str, value: str) -> None:
        """Raise an InputError if a value is not one of these."""
        if value in self.choices or (self.optional and value == "None"):
            return
        for kind in self.kinds:
            try:
                KINDS[kind].read(value)
            except ValueError:
                continue
            return
        if not self.kinds:
            raise InputError(f"{option} cannot be '{value}': {suggest(value, self.choices)}")
        raise InputError(f"{option} must be {self}, got '{value}'")


class Kind(NamedTuple):
    """A type of values.

    Attributes:
        name: its name in messages.
        symbol: its name in the help.
        read: function that reads a value, and raises a ValueError if it is not of the type.
    """

    name: str
    symbol: str
    read: Callable[[str], Any]


KINDS: dict[type, Kind] = {
    int: Kind("whole number", "N", int),
    float: Kind("number", "X", float),
    Path: Kind("path", "PATH", str),
    str: Kind("name", "NAME", str),
}


class Option(NamedTuple):
    """One option, or one positional argument.

    Attributes:
        path: names of the fields that lead to its value.
        hint: type of its value.
        default: its value if it is not given; `dataclasses.MISSING` if it must be given.
        help: its help text.
        group: title of the group in which the help lists it; empty for the first.
        mark: what the annotation of the field says beside its type.
    """

    path: tuple[str, ...]
    hint: Any
    default: Any
    help: str
    group: str
    mark: Positional | Repeated | Metavar | None

    @property
    def name(self) -> str:
        """The option as it is typed, e.g. `--batch-size`, or the name of a positional argument."""
        # A field may end with an underscore where the option is a word of Python, as `--from`.
        field = self.path[-1].rstrip("_").replace("_", "-")
        return self.mark.name if isinstance(self.mark, Positional) else f"--{field}"

    @property
    def expected(self) -> Expected:
        """The values that may follow it."""
        expected = Expected.of(self.hint)
        return expected._replace(several=False) if isinstance(self.mark, Repeated) else expected

    @property
    def metavar(self) -> str:
        """What the help shows in place of its value."""
        if isinstance(self.mark, Positional):
            return f"{self.mark.name} ..." if self.expected.several else self.mark.name
        if isinstance(self.mark, Metavar):
            return self.mark.name
        return self.mark.value if isinstance(self.mark, Repeated) else self.expected.metavar


def options_of(options: type, default: Any = None, *, titles: Mapping[type, str] | None = None) -> list[Option]:
    """Return the options that a dataclass defines.

    Args:
        options: dataclass.
        default: instance with the values of options that are not given; None for the defaults of the dataclass.
        titles: dataclass -> title of the group of the options that it defines, in the order of the help; by default
            the name of the field that holds it.

    Returns:
        The options, in the order of the fields.

    Example:
        >>> @dataclasses.dataclass
        ... class Greeting:
        ...     '''Greet.
        ...
        ...     Attributes:
        ...         times: number of greetings.
        ...     '''
        ...     times: int = 1
        >>> [(option.name, option.default, option.help) for option in options_of(Greeting)]
        [('--times', 1, 'number of greetings')]
    """
    return list(_options(options, default, titles or {}, path=(), group=""))


def instance(options: type, default: Any, values: Mapping[tuple[str, ...], Any], path: tuple[str, ...] = ()) -> Any:
    """Return an instance of a dataclass from the values of its options.

    Args:
        options: dataclass.
        default: instance from which nested dataclasses are taken; None where there are none.
        values: path of an option -> its value.
        path: path of the dataclass within the outermost one.

    Returns:
        An instance of `options`.

    Raises:
        InputError: if the dataclass refuses a value.

    Example:
        >>> @dataclasses.dataclass
        ... class Greeting:
        ...     times: int = 1
        >>> instance(Greeting, None, {("times",): 3})
        Greeting(times=3)
    """
    arguments = {}
    for field in dataclasses.fields(options):
        place = (*path, field.name)
        nested = _default(field, default)
        arguments[field.name] = values[place] if place in values else instance(type(nested), nested, values, place)
    return options(**arguments)


def summary(options: type) -> str:
    """Return what the docstring of a dataclass says beside its attributes.

    Example:
        >>> summary(Positional)
        'Mark of a field that is a positional argument, as in `Annotated[Path, Positional("RUN")]`.'
    """
    return (docstring_parser.parse(options.__doc__ or "").description or "").strip()


def _options(
    options: type, default: Any, titles: Mapping[type, str], *, path: tuple[str, ...], group: str
) -> Iterator[Option]:
    hints = typing.get_type_hints(options, include_extras=True)
    for field in dataclasses.fields(options):
        value, place = _default(field, default), (*path, field.name)
        if dataclasses.is_dataclass(value):
            kind = type(value)
            title = titles.get(kind, field.name.replace("_", " "))
            yield from _options(kind, value, titles, path=place, group=title)
            continue
        hint = hints[field.name]
        hint, *marks = typing.get_args(hint) if typing.get_origin(hint) is Annotated else (hint,)
        yield Option(
            path=place,
            hint=hint,
            default=value,
            help=_described(options, field.name).rstrip("."),
            group=titles.get(_definer(options, field.name), group),
            mark=next((mark for mark in marks if isinstance(mark, Positional | Repeated | Metavar)), None),
        )


def _default(field: "dataclasses.Field[Any]", default: Any) -> Any:
    if default is not None:
        return getattr(default, field.name)
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _definer(options: type, name: str) -> type:
    """The base class that defines a field first."""
    return next(kind for kind in reversed(options.__mro__) if name in inspect.get_annotations(kind))


def _described(options: type, name: str) -> str:
    """The help text of a field; a class describes again what it changes."""
    for kind in options.__mro__:
        for parameter in docstring_parser.parse(kind.__dict__.get("__doc__") or "").params:
            if parameter.arg_name == name:
                return " ".join((parameter.description or "").split())
    return ""
