"""What the commands have in common: loading a run, and checking where results go."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jaxgen import plot
from jaxgen.errors import InputError
from jaxgen.models import load_family
from jaxgen.runs import Run, load_run, outputs
from jaxgen.typing import AnyArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURE_SUFFIXES = tuple(f".{kind}" for kind in plot.FORMATS)


def notice(line: str) -> None:
    """Print something that is not the result to stderr."""
    print(f"jaxgen: {line}", file=sys.stderr)


def load_with_notice(folder: Path, family: str | None = None) -> Run:
    """Load a run, and print notices of skipped checkpoints and of seeds that diverged.

    Args:
        folder: run folder.
        family: file, module or entry point that defines the family of the run, where it is not part of the package.

    Returns:
        The run.

    Raises:
        InputError: if the run cannot be loaded.
    """
    trained = load_run(folder, family=None if family is None else load_family(family))
    for skipped in trained.skipped:
        notice(f"skipping a checkpoint: {skipped}")
    for seed, where in sorted(trained.diverged.items()):
        notice(f"the run with seed {trained.config.seed + seed} is left out: {where}")
    return trained


def check_output(path: Path, suffixes: Sequence[str] = (*FIGURE_SUFFIXES, ".npz")) -> None:
    """Raise an InputError if a file cannot be written, before any work is done."""
    if path.suffix not in suffixes:
        endings = " or ".join([", ".join(suffixes[:-1]), suffixes[-1]] if suffixes[1:] else suffixes)
        raise InputError(f"cannot write '{path}': give a name that ends in {endings}")
    if not path.parent.is_dir():
        raise InputError(f"cannot write '{path}': there is no folder '{path.parent}'")


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


def write_figure(path: Path, figure: "Figure") -> None:
    """Write a figure and print its path."""
    plot.save(figure, path)
    print(path)


def write_arrays(path: Path, arrays: Mapping[str, AnyArray]) -> None:
    """Write arrays and print their path."""
    outputs.write_arrays(path, arrays)
    print(path)
