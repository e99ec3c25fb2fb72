"""What tyro refuses is one sentence, with every word as the user has typed it."""

from dataclasses import dataclass
from typing import Literal

import pytest

from jaxgen.cli.parse import parse
from jaxgen.errors import InputError


@dataclass(frozen=True)
class Options:
    """Options of all kinds.

    Attributes:
        times: how often.
        colour: which.
        name: whose.
    """

    times: int = 1
    colour: Literal["red", "blue"] = "red"
    name: int | Literal["all"] | None = None

    def __post_init__(self) -> None:
        if self.times < 1:
            raise InputError(f"--times must be at least 1, got {self.times}")


LONG = "a/long-path/of,many;parts and words/" * 5  # `int` itself cuts what is longer.


@pytest.mark.parametrize("columns", [None, "40", "200"])
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--times", LONG], f"Error parsing --times: invalid literal for int() with base 10: '{LONG}'"),
        (["--colour", LONG], f"invalid choice '{LONG}' for argument '--colour'. Expected one of ('red', 'blue')."),
        ([LONG], f"Unrecognized options: {LONG}"),
        (["--times", "0"], "--times must be at least 1, got 0"),
        (["--tmes", "2"], "greet has no option '--tmes': did you mean '--times'?"),
        (
            ["--name", LONG],
            f"Error parsing --name: no type matching {{None}}|INT|{{all}} could be instantiated from ['{LONG}'].",
        ),
    ],
)
def test_words_are_whole_however_narrow_the_terminal(arguments, sentence, columns, monkeypatch):
    if columns is None:
        monkeypatch.delenv("COLUMNS", raising=False)
    else:
        monkeypatch.setenv("COLUMNS", columns)
    with pytest.raises(InputError) as error:
        parse(Options, arguments, command="greet")
    assert str(error.value) == sentence


def test_what_is_given_is_read():
    assert parse(Options, ["--times", "3", "--name", "all"], command="greet") == Options(3, "red", "all")
    assert parse(Options, ["--name=7"], command="greet", default=Options(times=2)) == Options(2, "red", 7)
