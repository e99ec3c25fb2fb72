"""Arguments to dataclass, by tyro; what tyro refuses becomes one sentence."""

import contextlib
import io
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import tyro

from jaxgen.errors import InputError, suggest

RunFolder = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
"""The folder of a run, which is given without an option's name."""

MARKERS = (tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff)


def parse(options: Any, arguments: Sequence[str], *, command: str, default: Any = None) -> Any:
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
        >>> import dataclasses
        >>> @dataclasses.dataclass
        ... class Greeting:
        ...     times: int = 1
        >>> parse(Greeting, ["--times", "3"], command="greet")
        Greeting(times=3)
        >>> parse(Greeting, ["--tmes", "3"], command="greet")
        Traceback (most recent call last):
        jaxgen.errors.InputError: greet has no option '--tmes': did you mean '--times'?
    """

    def read(arguments: Sequence[str]) -> Any:
        chosen: dict[str, Any] = {} if default is None else {"default": default}
        return tyro.cli(options, prog=command, args=list(arguments), config=MARKERS, **chosen)

    try:
        with contextlib.redirect_stderr(io.StringIO()):
            return read(arguments)
    except SystemExit as stop:
        if not stop.code:
            raise
    _refuse_what_does_not_fit(arguments, _printed(lambda: read(["--help"])), command)
    raise InputError(_sentence(_printed(lambda: read(arguments))))


def _printed(call: Callable[[], Any]) -> str:
    """What tyro prints before it exits, in plain letters, and in lines so long that it breaks no word."""
    printed = io.StringIO()
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(10**6)
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            call()
    except SystemExit:
        pass
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before
    return printed.getvalue()


def _refuse_what_does_not_fit(arguments: Sequence[str], usage: str, command: str) -> None:
    """Name the first thing that is wrong with the words themselves, if tyro's refusal was because of one."""
    options: dict[str, str] = dict(re.findall(r"^\W*(--[a-z0-9-]+)(?: ([A-Z{[]\S*))?", usage, flags=re.MULTILINE))
    places = re.findall(r"^\W*([A-Z]+) +(.+) \(required\)", usage, flags=re.MULTILINE)
    words, given = _grouped(arguments)
    for option, values in given:
        if option not in options:
            raise InputError(f"{command} has no option '{option}': {suggest(option, options)}")
        expected = Expected.of(options[option])
        if expected and not values:
            raise InputError(f"{option} needs a value: {expected}")
        taken = values if expected.several else values[:1] if expected else []
        for value in taken:
            expected.check(option, value)
        words += values[len(taken) :]
    if len(words) > len(places):
        raise InputError(
            f"{command} has no use for '{words[len(places)]}': a value stands after the name of its option"
        )
    for name, description in places[len(words) :]:
        raise InputError(f"{command} needs {name}: {description.rstrip('.')}")


def _grouped(arguments: Sequence[str]) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """The words before any option, and every option with the words after it."""
    words: list[str] = []
    given: list[tuple[str, list[str]]] = []
    for argument in arguments:
        if argument.startswith("--"):
            name, equals, value = argument.partition("=")
            given.append((name.replace("_", "-"), [value] if equals else []))
        else:
            (given[-1][1] if given else words).append(argument)
    return words, given


KINDS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "INT": ("whole number", int),
    "FLOAT": ("number", float),
    "PATH": ("path", str),
    "STR": ("name", str),
}
"""What tyro calls a type -> what a user calls it, and how it is read."""


class Expected(NamedTuple):
    """What may stand after an option; nothing after one that is on or off.

    Attributes:
        kinds: of values, keys of `KINDS`.
        choices: words that are values.
        several: whether there may be more than one value.
        optional: whether it may be left open, which is written as None.
    """

    kinds: tuple[str, ...]
    choices: tuple[str, ...]
    several: bool
    optional: bool

    @classmethod
    def of(cls, shown: str) -> "Expected":
        """Read what tyro shows after an option: `{mlp,conv}`, `[INT` of `[INT [INT ...]]`, or with `{None}|` before."""
        words = [word for group in re.findall(r"{(.*?)}", shown) for word in group.split(",")]
        choices = tuple(word for word in words if word != "None")
        return cls(tuple(re.findall(r"[A-Z]{2,}", shown)), choices, "[" in shown, "None" in words)

    def __bool__(self) -> bool:
        """Whether anything is expected."""
        return bool(self.kinds or self.choices)

    def __str__(self) -> str:
        """Say it after "takes"."""
        if self.several:
            return " or ".join(f"{KINDS[kind][0]}s with spaces between them" for kind in self.kinds)
        return " or ".join([*(f"a {KINDS[kind][0]}" for kind in self.kinds), *self.choices])

    def check(self, option: str, value: str) -> None:
        """Refuse a value that is none of these."""
        if value in self.choices or (self.optional and value == "None"):
            return
        for kind in self.kinds:
            with contextlib.suppress(ValueError):
                KINDS[kind][1](value)
                return
        if not self.kinds:
            raise InputError(f"{option} cannot be '{value}': {suggest(value, self.choices)}")
        raise InputError(f"{option} takes {self}, got '{value}'")


def _sentence(complaint: str) -> str:
    """What tyro says, without the title before the first rule, what it tried and the advice after the second one."""
    parts = re.split(r"^\s*-{3,}\s*$", complaint, flags=re.MULTILINE)
    sentence = " ".join(parts[min(1, len(parts) - 1)].split("Got errors:")[0].split())
    # A check of a dataclass says by itself what is wrong; where in the nesting of dataclasses is nothing to the user.
    return re.sub(r"^Error parsing (?!-)\S+: ", "", sentence) or "the arguments could not be read"
