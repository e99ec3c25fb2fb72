"""Arguments to dataclass, by tyro; what tyro refuses becomes one sentence."""

import contextlib
import dataclasses
import io
import re
import typing
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import tyro

from jaxgen.errors import InputError, nearest

Options = TypeVar("Options")

MARKERS = (tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff)


def parse(options: Any, arguments: Sequence[str], *, command: str, default: Options | None = None) -> Any:
    """Read the arguments of a command.

    Args:
        options: the dataclass of what can be given; nested dataclasses add their fields to it.
        arguments: as typed after the command.
        command: for the usage line, e.g. `jaxgen sample`.
        default: what holds where nothing is given.

    Returns:
        An instance of `options`.

    Raises:
        InputError: if an option is unknown, or a value is not of its type.

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
    _check_options(options, arguments, command)
    complaint = io.StringIO()
    chosen = {} if default is None else {"default": default}
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(options, prog=command, args=list(arguments), config=MARKERS, **chosen)
    except SystemExit as stop:
        if not stop.code:
            raise
        raise InputError(_sentence(complaint.getvalue())) from None


def _check_options(options: Any, arguments: Sequence[str], command: str) -> None:
    known = {f"--{name.replace('_', '-')}" for name in _field_names(options)} | {"--help"}
    for argument in arguments:
        option = argument.split("=")[0].replace("_", "-")
        if option.startswith("--") and option not in known:
            raise InputError(f"{command} has no option '{option}': {nearest(option, known)}")


def _field_names(options: Any) -> Iterator[str]:
    """Names of all options: the fields of a dataclass, those of a nested one in its place."""
    origin = typing.get_origin(options) or options
    chosen = dict(zip(getattr(origin, "__parameters__", ()), typing.get_args(options), strict=False))
    for field in dataclasses.fields(origin):
        kind: Any = chosen.get(field.type, field.type)
        if (inner := typing.get_origin(kind) or kind) and dataclasses.is_dataclass(inner):
            yield from _field_names(inner[tuple(chosen.values())] if typing.get_args(kind) else kind)
        else:
            yield field.name


def _sentence(complaint: str) -> str:
    """What tyro says in its box, up to the first rule, as one line."""
    lines = [re.sub(r"^[│|]\s?|\s*[│|]$", "", line).strip() for line in complaint.splitlines()]
    body = [line for line in lines if line and not line.startswith(("╭", "╰"))]
    rule = next((i for i, line in enumerate(body) if set(line) == {"─"}), len(body))
    return " ".join(body[:rule]) or "the arguments could not be read"
