"""Parse the arguments of a command into a dataclass by tyro, and report each error as one sentence.

tyro converts values, prints the help and writes completion scripts. It is given a flat dataclass that is made of the
options (`jaxgen.cli.options`), and only arguments that have been checked: its own errors are of many lines.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from jaxgen.cli.early_options import DEVICE_HELP, Device
from jaxgen.cli.options import Option, Positional, Repeated, instance, options_of, summary
from jaxgen.errors import InputError, suggest
from jaxgen.paths import expand_path


def parse(
    options: Any,
    arguments: Sequence[str],
    *,
    command: str,
    default: Any = None,
    titles: Mapping[type, str] | None = None,
) -> Any:
    """Parse the arguments of a command.

    Args:
        options: dataclass of the options; the fields of nested dataclasses are options as well.
        arguments: arguments after the command.
        command: name of the command for the usage line and for errors, e.g. `jaxgen sample`.
        default: instance of `options` with the values of options that are not given; None for the defaults of the
            dataclass. It is needed if there are nested dataclasses without a default.
        titles: dataclass -> title of the group of its options in the help.

    Returns:
        An instance of `options`.

    Raises:
        InputError: if an option is unknown, a value is not of its type, or the dataclass refuses a value.

    Example:
        >>> @dataclasses.dataclass
        ... class Greeting:
        ...     times: int = 1
        >>> parse(Greeting, ["--times", "3"], command="greet")
        Greeting(times=3)
        >>> parse(Greeting, ["--tmes", "3"], command="greet")
        Traceback (most recent call last):
        jaxgen.errors.InputError: greet has no option '--tmes': did you mean '--times'?
    """
    known = options_of(options, default, titles=titles)
    if not {"-h", "--help"}.intersection(arguments):
        arguments = checked_arguments(known, arguments, command=command)
    order = list((titles or {}).values())
    description = summary(options).replace(COMMAND, command)
    parsed = tyro.cli(parser_class(known, description, order), prog=command, args=list(arguments), config=MARKERS)
    values = {option.path: _expanded(getattr(_group(parsed, option), option.path[-1])) for option in known}
    return instance(options, default, values)


def checked_arguments(known: Iterable[Option], arguments: Sequence[str], *, command: str) -> list[str]:
    """Return the arguments if each is an option of the command with values of its type, or a positional argument.

    Args:
        known: options of the command.
        arguments: arguments after the command.
        command: name of the command for errors.

    Returns:
        The arguments, without flags that are set already.

    Raises:
        InputError: for the first unknown option, invalid value, and unexpected or missing argument.

    Example:
        >>> @dataclasses.dataclass
        ... class Greeting:
        ...     quiet: bool = False
        >>> checked_arguments(options_of(Greeting), ["--no-quiet"], command="greet")
        []
    """
    places = [option for option in known if isinstance(option.mark, Positional)]
    named = {option.name: option for option in known if option not in places}
    flags = {name: option.default for name, option in named.items() if option.hint is bool}
    flags |= {f"--no-{name[2:]}": not value for name, value in flags.items()}
    words, given = _grouped(arguments)
    kept: list[str] = []
    for name, values in given:
        if name in flags:
            words += values
            kept += [] if flags[name] else [name]
            continue
        if name not in named:
            raise InputError(f"{command} has no option '{name}': {_suggested(name, [*named, *flags, DEVICE.name])}")
        option = named[name]
        expected = option.expected
        if not values and not expected.several:  # No values are an empty tuple, e.g. no hidden layers.
            value = option.metavar if isinstance(option.mark, Repeated) else expected
            raise InputError(f"{name} needs a value: {value}")
        taken = values if expected.several else values[:1]
        for value in taken:
            expected.check(name, value)
        words += values[len(taken) :]
        kept += [name, *taken]
    if len(words) > len(places) and not any(option.expected.several for option in places):
        raise InputError(
            f"{command} got the unexpected argument '{words[len(places)]}': give a value after the name of its option"
        )
    for option, word in zip(places, words, strict=False):
        option.expected.check(option.name, word)
    for option in places[len(words) :]:
        if option.default is not dataclasses.MISSING:
            break
        raise InputError(f"{command} needs {option.name}: {option.help}")
    return [*words, *kept]


COMMAND = "COMMAND"
"""Stands in the docstring of options for the command, where that names a model."""

MARKERS = (tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff)


DEVICE = Option(("device",), Device | None, None, DEVICE_HELP, group="", mark=None)
"""Option of all commands: for the help and for completion, as it is taken before a command is parsed."""


def parser_class(known: Sequence[Option], description: str, order: Sequence[str] = ()) -> Any:
    """Return a dataclass from which tyro makes the parser and the help of a command.

    Args:
        known: options of the command.
        description: text above the options in the help.
        order: titles of groups that precede all others.

    Returns:
        A dataclass with one field for each option, those of a group in a dataclass of their own, and `--device`.
    """
    groups: dict[str, list[Option]] = {title: [] for title in ("", *order)}
    for option in known:
        groups.setdefault(option.group, []).append(option)
    fields = _fields([*groups.pop(""), DEVICE])
    for title, members in groups.items():
        if not members:
            continue
        nested = dataclasses.make_dataclass(title, _fields(members))
        nested.__doc__ = ""
        fields.append((_identifier(title), nested, dataclasses.field(default_factory=nested)))
    parser = dataclasses.make_dataclass("Options", fields)
    parser.__doc__ = description
    return parser


def _fields(members: Iterable[Option]) -> list[Any]:
    return [
        (option.path[-1], _annotated(option), *([] if option.default is dataclasses.MISSING else [_field(option)]))
        for option in members
    ]


def _field(option: Option) -> Any:
    return dataclasses.field(default=option.default)


def _annotated(option: Option) -> Any:
    hint = tyro.conf.arg(
        name=option.name.removeprefix("--") if option.path[-1].endswith("_") else None,
        metavar=option.metavar if option.expected else None,
        help=option.help,
        help_behavior_hint=_default_hint(option),
    )
    markers: list[Any] = []
    if isinstance(option.mark, Positional):
        markers = [tyro.conf.Positional]
    elif isinstance(option.mark, Repeated):
        markers = [tyro.conf.UseAppendAction]
    return Annotated[(option.hint, hint, *markers)]


def _default_hint(option: Option) -> str:
    """The default in brackets, unless there is none, or the help text describes it.

    The help of a flag that is set by default has the name that unsets it.
    """
    if option.default is True:
        return "(true by default)"
    if option.default in (None, dataclasses.MISSING, ()) or option.hint is bool:
        return ""
    value = option.default
    return f"(default: {' '.join(map(str, value)) if isinstance(value, tuple) else value})"


def _identifier(title: str) -> str:
    """The field of a group, from which tyro makes the title again."""
    return title.replace(" ", "_").replace("-", "_")


def _group(parsed: Any, option: Option) -> Any:
    return getattr(parsed, _identifier(option.group)) if option.group else parsed


def _expanded(value: Any) -> Any:
    """A path, or several, with the home folder in place of `~`, which a shell does not expand after `--out=`."""
    if isinstance(value, tuple):
        return tuple(map(_expanded, value))
    return expand_path(value) if isinstance(value, Path) else value


def _grouped(arguments: Sequence[str]) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """The words before the first option, and each option with the words after it."""
    words: list[str] = []
    given: list[tuple[str, list[str]]] = []
    for argument in arguments:
        if _is_option(argument):
            name, equals, value = argument.partition("=")
            given.append((name.replace("_", "-"), [value] if equals else []))
        else:
            (given[-1][1] if given else words).append(argument)
    return words, given


def _is_option(argument: str) -> bool:
    """Whether an argument is the name of an option and not a value, which may be a negative number."""
    return argument.startswith("--") or (argument[:1] == "-" and argument[1:2].isalpha() and argument != "-inf")


def _suggested(name: str, known: Sequence[str]) -> str:
    return suggest(f"--{name.lstrip('-')}", known)
