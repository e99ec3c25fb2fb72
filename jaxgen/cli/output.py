"""What the commands have in common: loading a run, checking where results go, and printing lines."""

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jaxgen import plot
from jaxgen.errors import InputError, check_known, printable
from jaxgen.models import load_family
from jaxgen.runs import Run, load_run, outputs
from jaxgen.runs.loading import single
from jaxgen.typing import AnyArray

if TYPE_CHECKING:
    from rich.table import Table

WIDEST = 10_000
"""Characters in a line of a table that goes into a file or another program."""

FIGURE_SUFFIXES = tuple(f".{kind}" for kind in plot.FORMATS)


def notice(line: str) -> None:
    """Print something that is not the result to stderr."""
    print(f"jaxgen: {printable(line)}", file=sys.stderr)


def print_line(line: object) -> None:
    """Print a line of the result to stdout, without characters that control the terminal."""
    print(printable(line))


def print_table(table: "Table") -> None:
    """Print a table of texts without characters that control the terminal.

    Cells are broken into lines only where a terminal is too narrow for them.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # Text, as rich reads a string with brackets as markup.
    clean = Table()
    for column in table.columns:
        clean.add_column(Text(printable(column.header)))
    for row in zip(*(column.cells for column in table.columns), strict=True):
        clean.add_row(*(Text(printable(cell)) for cell in row))
    Console(width=None if sys.stdout.isatty() else WIDEST).print(clean)


def load_with_notice(folder: Path, family: str | None = None, *, best: bool = False) -> Run:
    """Load a run, and print notices of skipped checkpoints and of seeds that diverged.

    Args:
        folder: run folder.
        family: file, module or entry point that defines the family of the run, where it is not part of the package.
        best: whether to load the best state in place of the newest one.

    Returns:
        The run.

    Raises:
        InputError: if the run cannot be loaded.
    """
    trained = load_run(folder, family=None if family is None else load_family(family), best=best)
    for skipped in trained.skipped:
        notice(f"skipping a checkpoint: {skipped}")
    for seed, where in sorted(trained.diverged.items()):
        notice(f"the run with seed {trained.config.seed + seed} is left out: {where}")
    return trained


def check_run_index(run: Run, index: int | None) -> int | None:
    """Return the number of the seed that was given.

    Args:
        run: run of one seed or of several.
        index: value of --run-index, None if it is not given.

    Returns:
        The same.

    Raises:
        InputError: if the run has no such seed, or this seed has diverged.
    """
    seeds = run.config.seeds or 1
    if index is None:
        return None
    if not 0 <= index < seeds:
        has = "one seed" if seeds == 1 else f"{seeds} seeds"
        raise InputError(
            f"--run-index must be {'0' if seeds == 1 else f'from 0 to {seeds - 1}'}, got {index}: the run has {has}"
        )
    if index in run.diverged:
        finite = ", ".join(map(str, run.finite))
        raise InputError(f"--run-index must be a seed that has not diverged, one of {finite}, got {index}")
    return index


def label_of(run: Run, text: str) -> int:
    """Return the label of a class that was given as --label.

    Args:
        run: run of a model.
        text: name of a class, or its number, counted from 0; the name where it is both.

    Returns:
        The label; whether the model has labels, and a class of that number, is checked where it is used.

    Raises:
        InputError: if the text is neither.
    """
    if text in run.class_names:
        return run.class_names.index(text)
    if re.fullmatch(r"-?[0-9]{1,9}", text):
        return int(text)
    if "label" not in run.model.conditions:
        raise InputError(f"the model '{run.family}' cannot be conditioned on label")
    if run.class_names:
        check_known("class", text, run.class_names)
    raise InputError(
        f"--label must be a number from 0 to {run.classes - 1}, as the classes have no names, got '{text}'"
    )


def select_shown(run: Run, index: int | None) -> tuple[Run, str]:
    """Return the seed that a figure of one seed shows.

    Args:
        run: run of one seed or of several.
        index: value of --run-index; None for the first seed that has not diverged.

    Returns:
        The run of that seed alone, and the title of the figure.

    Raises:
        InputError: if the run has no such seed, or this seed has diverged.
    """
    number = check_run_index(run, index)
    number = run.first_finite if number is None else number
    return single(run, number), run.seed_title(number)


def notice_of_seed(run: Run, index: int | None) -> None:
    """Print which seed a figure shows, if it was not chosen by --run-index and the run has several."""
    if index is None and run.config.seeds is not None:
        notice(f"{run.seed_title(run.first_finite)} of {run.config.seeds} is shown: --run-index chooses another")


def check_output(path: Path, suffixes: Sequence[str] = (*FIGURE_SUFFIXES, ".npz"), *, further: str = "") -> None:
    """Raise an InputError if a file cannot be written, before any work is done.

    Args:
        path: path of the file.
        suffixes: endings that its name may have.
        further: what else is possible, as the end of the message.
    """
    if path.suffix not in suffixes:
        endings = " or ".join([", ".join(suffixes[:-1]), suffixes[-1]] if suffixes[1:] else suffixes)
        raise InputError(f"cannot write '{path}': give a name that ends in {endings}{further}")
    if not path.parent.is_dir():
        raise InputError(f"cannot write '{path}': there is no folder '{path.parent}'")
    if path.is_dir():
        raise InputError(f"cannot write '{path}': it is a folder")
    outputs.check_writable(path.parent)


def check_seed(seed: int) -> int:
    """Return the seed; raise an InputError if a key cannot be made of it."""
    if not 0 <= seed < 2**31:
        raise InputError(f"--seed must be between 0 and {2**31 - 1}, got {seed}")
    return seed


def check_count(count: int | None, default: int) -> int:
    """Return the number of examples that was given, or the default; raise an InputError if it is not positive."""
    if count is not None and count < 1:
        raise InputError(f"--n must be at least 1, got {count}")
    return default if count is None else count


def notice_of_few(given: int | None, used: int, available: int) -> None:
    """Print a notice if there are fewer examples than were given as --n, or more than are used without it."""
    if given is not None and given > available:
        examples = "1 example" if available == 1 else f"{available} examples"
        used_ones = "it is" if available == 1 else "all of them are"
        notice(f"the test split has {examples}, fewer than --n {given}: {used_ones} used")
    elif given is None and available > used:
        notice(f"the first {used} of {available} test examples are used: --n chooses another number")


def write_figure(path: Path, figure: plot.Drawing) -> None:
    """Write a figure and print its path."""
    plot.save(figure, path)
    print_line(path)


def write_arrays(path: Path, arrays: Mapping[str, AnyArray]) -> None:
    """Write arrays and print their path."""
    outputs.write_arrays(path, arrays)
    print_line(path)
