"""Arguments to dataclass, by tyro; what tyro refuses becomes one sentence."""

import contextlib
import io
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from jaxgen.errors import InputError, nearest

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
    _refuse_unknown_options(arguments, _printed(lambda: read(["--help"])), command)
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


def _refuse_unknown_options(arguments: Sequence[str], usage: str, command: str) -> None:
    known = set(re.findall(r"(?<!\S)--[a-z0-9-]+", usage))
    for argument in arguments:
        option = argument.split("=")[0].replace("_", "-")
        if option.startswith("--") and option not in known:
            raise InputError(f"{command} has no option '{option}': {nearest(option, known)}")


def _sentence(complaint: str) -> str:
    """What tyro says, without the title before the first rule, what it tried and the advice after the second one."""
    parts = re.split(r"^\s*-{3,}\s*$", complaint, flags=re.MULTILINE)
    sentence = " ".join(parts[min(1, len(parts) - 1)].split("Got errors:")[0].split())
    # A check of a dataclass says by itself what is wrong; where in the nesting of dataclasses is nothing to the user.
    return re.sub(r"^Error parsing (?!-)\S+: ", "", sentence) or "the arguments could not be read"
