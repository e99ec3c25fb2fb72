"""Parsing of arguments: each error is one sentence that quotes the arguments as they were given."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pytest

from jaxgen.cli.options import Repeated, RunFolder
from jaxgen.cli.parse import parse
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
        (["--Times=2"], "greet has no option '--Times': did you mean '--times'?"),
        (["-times", "2"], "greet has no option '-times': did you mean '--times'?"),
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


def test_a_flag_may_be_given_whatever_its_default():
    assert parse(Options, ["--quiet"], command="greet").quiet
    assert parse(Options, ["--quiet"], command="greet", default=Options(quiet=True)).quiet
    assert not parse(Options, ["--no-quiet"], command="greet", default=Options(quiet=True)).quiet
    assert not parse(Options, ["--no-quiet"], command="greet").quiet


def test_repeated_options_are_collected_and_the_last_of_others_counts():
    @dataclass(frozen=True)
    class Grid:
        """Options of a grid.

        Attributes:
            axis: values of an option.
            seed: seed of the grid.
        """

        axis: Annotated[tuple[str, ...], Repeated("NAME=VALUES")] = ()
        seed: int = 0

    given = ["--axis", "b=1,2", "--seed", "1", "--axis=a=3", "--seed", "-4"]
    assert parse(Grid, given, command="grid") == Grid(("b=1,2", "a=3"), -4)
    with pytest.raises(InputError, match=r"^--axis needs a value: NAME=VALUES$"):
        parse(Grid, ["--axis"], command="grid")


def test_options_of_other_programs_are_translated():
    @dataclass(frozen=True)
    class Optimizer:
        """Options of an optimizer.

        Attributes:
            learning_rate: learning rate.
        """

        learning_rate: float = 0.1

    with pytest.raises(InputError, match=r"no option '--lr': did you mean '--learning-rate'\?$"):
        parse(Optimizer, ["--lr", "1"], command="fit")


def test_help_lists_nested_options_in_groups_with_their_defaults(capsys):
    @dataclass(frozen=True)
    class Outer:
        """Greet.

        Attributes:
            inner: all options.
            out: file of the greeting; by default there is none.
        """

        inner: Options
        out: Path | None = None

    with pytest.raises(SystemExit) as stop:
        parse(Outer, ["--help"], command="greet", default=Outer(Options(widths=(3, 4))), titles={Options: "greeting"})
    assert stop.value.code == 0
    printed = " ".join(word for word in capsys.readouterr().out.split() if word not in ("│", "|"))
    assert "greeting options" in printed
    assert "--widths N ... widths of the columns (default: 3 4)" in printed
    assert "--colour {red,blue} colour of the text (default: red)" in printed
    assert re.search(r"--out PATH file of the greeting; by default there is none [^(]", printed)
    assert re.search(r"--quiet print nothing\b(?! \()", printed)
    assert "None" not in printed


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
