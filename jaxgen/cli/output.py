"""What the commands have in common: loading a run, writing what came of it."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from jaxgen import plot
from jaxgen.errors import InputError
from jaxgen.runs import Run, load_run
from jaxgen.typing import AnyArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURE_SUFFIXES = tuple(f".{kind}" for kind in plot.FORMATS)


def notice(line: str) -> None:
    """Tell the user something that is not the result."""
    print(f"jaxgen: {line}", file=sys.stderr)


def load_with_notice(folder: Path) -> Run:
    """Load a run, and say so if its newest checkpoint was damaged."""
    trained = load_run(folder)
    for skipped in trained.skipped:
        notice(f"passing over a damaged checkpoint: {skipped}")
    for run, where in sorted(trained.diverged.items()):
        notice(f"the run with seed {trained.config.seed + run} means nothing: {where}")
    return trained


def check_output(path: Path) -> None:
    """Refuse a file that cannot be written, before any work is done."""
    if path.suffix not in (*FIGURE_SUFFIXES, ".npz"):
        raise InputError(f"cannot write '{path}': give a name that ends in {', '.join(FIGURE_SUFFIXES)} or .npz")
    if not path.parent.is_dir():
        raise InputError(f"cannot write '{path}': there is no folder '{path.parent}'")


def check_seed(seed: int) -> int:
    """Refuse a seed that a key cannot be made of."""
    if not 0 <= seed < 2**31:
        raise InputError(f"--seed must be between 0 and {2**31 - 1}, got {seed}")
    return seed


def check_count(count: int | None, usual: int) -> int:
    """How many were asked for, the usual number where nothing was."""
    if count is not None and count < 1:
        raise InputError(f"--n must be at least 1, got {count}")
    return usual if count is None else count


def write_figure(path: Path, figure: "Figure") -> None:
    """Write a figure and say where it is."""
    files.write_figure(path, figure)
    print(path)


def write_arrays(path: Path, arrays: Mapping[str, AnyArray]) -> None:
    """Write arrays and say where they are."""
    files.write_arrays(path, arrays)
    print(path)
