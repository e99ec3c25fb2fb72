"""What tyro refuses is one sentence, with every word as the user has typed it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from jaxgen.cli.parse import RunFolder, parse
from jaxgen.errors import InputError


@dataclass(frozen=True)
class Options:
    """Options of all kinds.

    Attributes:
        times: how often.
        colour: which.
        name: whose.
        weight: how heavy.
        widths: how wide.
        heights: how high.
        quiet: whether not to say it.
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


LONG = "a/long-path/of,many;parts and words/" * 5  # `int` itself cuts what is longer.


@pytest.mark.parametrize("columns", [None, "40", "200"])
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--times", LONG], f"--times takes a whole number, got '{LONG}'"),
        (["--times", "2", "3"], "greet has no use for '3': a value stands after the name of its option"),
        (["--times"], "--times needs a value: a whole number"),
        (["--colour", LONG], f"--colour cannot be '{LONG}': choices are blue, red"),
        (["--colour=bleu"], "--colour cannot be 'bleu': did you mean 'blue'?"),
        (["--weight", "-1", "--weight", "heavy"], "--weight takes a number, got 'heavy'"),
        (["--widths", "3", "4,5"], "--widths takes whole numbers with spaces between them, got '4,5'"),
        (["--heights", "3", "high"], "--heights takes whole numbers with spaces between them, got 'high'"),
        (["--quiet", "yes"], "greet has no use for 'yes': a value stands after the name of its option"),
        ([LONG], f"greet has no use for '{LONG}': a value stands after the name of its option"),
        (["--times", "0"], "--times must be at least 1, got 0"),
        (["--heights", "3", "4", "--weight", "None", "--times", "0"], "--times must be at least 1, got 0"),
        (["--tmes", "2"], "greet has no option '--tmes': did you mean '--times'?"),
        (["--name", LONG], f"--name takes a whole number or all, got '{LONG}'"),
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


def test_what_has_no_name_is_named_when_it_is_missing():
    @dataclass(frozen=True)
    class OfARun:
        """Of a run.

        Attributes:
            run: the run folder.
            times: how often.
        """

        run: RunFolder
        times: int = 1

    assert parse(OfARun, ["runs/x", "--times", "2"], command="show") == OfARun(Path("runs/x"), 2)
    with pytest.raises(InputError, match=r"^show needs RUN: the run folder$"):
        parse(OfARun, ["--times", "2"], command="show")
    with pytest.raises(InputError, match=r"^show has no use for 'runs/y'"):
        parse(OfARun, ["runs/x", "runs/y"], command="show")
