"""Arguments to dataclass, by tyro; what tyro refuses becomes one sentence."""

import contextlib
import io
import re
from collections.abc import Sequence
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
    complaint = io.StringIO()
    chosen: dict[str, Any] = {} if default is None else {"default": default}
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(options, prog=command, args=list(arguments), config=MARKERS, **chosen)
    except SystemExit as stop:
        if not stop.code:
            raise
    _refuse_unknown_options(options, arguments, command)
    raise InputError(_sentence(complaint.getvalue()))


def _refuse_unknown_options(options: Any, arguments: Sequence[str], command: str) -> None:
    usage = io.StringIO()
    with contextlib.redirect_stdout(usage), contextlib.suppress(SystemExit):
        tyro.cli(options, prog=command, args=["--help"], config=MARKERS)
    known = set(re.findall(r"(?<!\S)--[a-z0-9-]+", usage.getvalue()))
    for argument in arguments:
        option = argument.split("=")[0].replace("_", "-")
        if option.startswith("--") and option not in known:
            raise InputError(f"{command} has no option '{option}': {nearest(option, known)}")


def _sentence(complaint: str) -> str:
    """What tyro says in its box, up to the first rule, as one line."""
    lines = [re.sub(r"^[│|]\s?|\s*[│|]$", "", line).strip() for line in complaint.splitlines()]
    body = [line for line in lines if line and not line.startswith(("╭", "╰"))]
    rule = next((i for i, line in enumerate(body) if set(line) == {"─"}), len(body))
    sentence = " ".join(body[:rule]) or "the arguments could not be read"
    # A check of a dataclass says by itself what is wrong; where in the nesting of dataclasses is nothing to the user.
    return re.sub(r"^Error parsing [a-z._]+: ", "", sentence)
