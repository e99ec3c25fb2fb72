"""Parsing of arguments: each error is one sentence that quotes the arguments as they were given."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from jaxgen.cli.parse import RunFolder, parse
from jaxgen.errors import InputError


@dataclass(frozen=True)
class Options:
    """Options of all types.

    Attributes:
        times: number of greetings.
        colour: colour of the text.
        name: number of the addressee, or all.
        weight: weight of the text.
        widths: widths of the columns.
        heights: heights of the rows.
        quiet: print nothing.
    """

    times: int = 1
    colour: Literal["red", "blue"] = "red"
    name: int | Literal["all"] | None = None
    weight: float | None = None
    widths: tuple[int, ...] = (1,)
    heights: tuple[int, ...] | None = None
    quiet: bool = False

    def __post_init__(self) -> None:
        if self.times < 1:
            raise InputError(f"--times must be at least 1, got {self.times}")


LONG = "a/long-path/of,many;parts and words/" * 5  # `int` itself truncates longer strings in its message.


@pytest.mark.parametrize("columns", [None, "40", "200"])
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--times", LONG], f"--times must be a whole number, got '{LONG}'"),
        (["--times", "2", "3"], "greet got the unexpected argument '3': give a value after the name of its option"),
        (["--times"], "--times needs a value: a whole number"),
        (["--colour", LONG], f"--colour cannot be '{LONG}': choices are blue, red"),
        (["--colour=bleu"], "--colour cannot be 'bleu': did you mean 'blue'?"),
        (["--weight", "-1", "--weight", "heavy"], "--weight must be a number, got 'heavy'"),
        (["--widths", "3", "4,5"], "--widths must be whole numbers with spaces between them, got '4,5'"),
        (["--heights", "3", "high"], "--heights must be whole numbers with spaces between them, got 'high'"),
        (["--quiet", "yes"], "greet got the unexpected argument 'yes': give a value after the name of its option"),
        ([LONG], f"greet got the unexpected argument '{LONG}': give a value after the name of its option"),
        (["--times", "0"], "--times must be at least 1, got 0"),
        (["--heights", "3", "4", "--weight", "None", "--times", "0"], "--times must be at least 1, got 0"),
        (["--tmes", "2"], "greet has no option '--tmes': did you mean '--times'?"),
        (["--name", LONG], f"--name must be a whole number or all, got '{LONG}'"),
    ],
)
def test_messages_quote_complete_arguments_at_any_terminal_width(arguments, sentence, columns, monkeypatch):
    if columns is None:
        monkeypatch.delenv("COLUMNS", raising=False)
    else:
        monkeypatch.setenv("COLUMNS", columns)
    with pytest.raises(InputError) as error:
        parse(Options, arguments, command="greet")
    assert str(error.value) == sentence


def test_given_values_replace_defaults():
    assert parse(Options, ["--times", "3", "--name", "all"], command="greet") == Options(3, "red", "all")
    assert parse(Options, ["--name=7"], command="greet", default=Options(times=2)) == Options(2, "red", 7)


def test_missing_and_surplus_positional_arguments_are_named():
    @dataclass(frozen=True)
    class OfARun:
        """Options of a command for a run.

        Attributes:
            run: run folder.
            times: number of greetings.
        """

        run: RunFolder
        times: int = 1

    assert parse(OfARun, ["runs/x", "--times", "2"], command="show") == OfARun(Path("runs/x"), 2)
    with pytest.raises(InputError, match=r"^show needs RUN: run folder$"):
        parse(OfARun, ["--times", "2"], command="show")
    with pytest.raises(InputError, match=r"^show got the unexpected argument 'runs/y'"):
        parse(OfARun, ["runs/x", "runs/y"], command="show")
