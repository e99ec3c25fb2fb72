"""Parse arguments into a dataclass by tyro, and report each of its errors as one sentence."""

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
"""Type of the path of a run folder, a positional argument."""

MARKERS = (tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff)


def parse(options: Any, arguments: Sequence[str], *, command: str, default: Any = None) -> Any:
    """Parse the arguments of a command.

    Args:
        options: dataclass of the options; the fields of nested dataclasses are options as well.
        arguments: arguments after the command.
        command: name of the command for the usage line and for errors, e.g. `jaxgen sample`.
        default: instance of `options` with the values of options that are not given; None for the defaults of the
            dataclass.

    Returns:
        An instance of `options`.

    Raises:
        InputError: if an option is unknown, a value is not of its type, or the dataclass refuses a value.

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
    _check_arguments(arguments, _printed(lambda: read(["--help"])), command)
    raise InputError(_sentence(_printed(lambda: read(arguments))))


def _printed(call: Callable[[], Any]) -> str:
    """The text that tyro prints before it exits, with lines so long that none is wrapped."""
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


def _check_arguments(arguments: Sequence[str], usage: str, command: str) -> None:
    """Raise an InputError for the first unknown option, invalid value, and unexpected or missing argument, if any."""
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
            f"{command} got the unexpected argument '{words[len(places)]}': give a value after the name of its option"
        )
    for name, description in places[len(words) :]:
        raise InputError(f"{command} needs {name}: {description.rstrip('.')}")


def _grouped(arguments: Sequence[str]) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """The words before the first option, and each option with the words after it."""
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
"""Name of a type in tyro's help -> its name in messages, and the function that reads a value."""


class Expected(NamedTuple):
    """The values that may follow an option; none follow a flag.

    Attributes:
        kinds: types of the values, keys of `KINDS`.
        choices: words that are values.
        several: whether more than one value may follow.
        optional: whether the word None is a value.
    """

    kinds: tuple[str, ...]
    choices: tuple[str, ...]
    several: bool
    optional: bool

    @classmethod
    def of(cls, shown: str) -> "Expected":
        """Parse the text after an option in tyro's help: `{mlp,conv}`, `[INT` of `[INT [INT ...]]`, `{None}|FLOAT`."""
        words = [word for group in re.findall(r"{(.*?)}", shown) for word in group.split(",")]
        choices = tuple(word for word in words if word != "None")
        return cls(tuple(re.findall(r"[A-Z]{2,}", shown)), choices, "[" in shown, "None" in words)

    def __bool__(self) -> bool:
        """Whether any value is expected."""
        return bool(self.kinds or self.choices)

    def __str__(self) -> str:
        """The values as they are named after "must be"."""
        if self.several:
            return " or ".join(f"{KINDS[kind][0]}s with spaces between them" for kind in self.kinds)
        return " or ".join([*(f"a {KINDS[kind][0]}" for kind in self.kinds), *self.choices])

    def check(self, option: str, value: str) -> None:
        """Raise an InputError if a value is not one of these."""
        if value in self.choices or (self.optional and value == "None"):
            return
        for kind in self.kinds:
            with contextlib.suppress(ValueError):
                KINDS[kind][1](value)
                return
        if not self.kinds:
            raise InputError(f"{option} cannot be '{value}': {suggest(value, self.choices)}")
        raise InputError(f"{option} must be {self}, got '{value}'")


def _sentence(complaint: str) -> str:
    """The error of tyro without its title, which precedes the first rule, its attempts, and the advice after them."""
    parts = re.split(r"^\s*-{3,}\s*$", complaint, flags=re.MULTILINE)
    sentence = " ".join(parts[min(1, len(parts) - 1)].split("Got errors:")[0].split())
    # The message of a dataclass's own check is complete; the path to the nested dataclass is not part of the interface.
    return re.sub(r"^Error parsing (?!-)\S+: ", "", sentence) or "the arguments could not be read"
