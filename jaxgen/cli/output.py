"""What the commands have in common: loading a run, writing what came of it."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxgen import plot
from jaxgen.errors import InputError
from jaxgen.run import Run, load_run
from jaxgen.typing import AnyArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURE_SUFFIXES = (".png", ".pdf", ".svg")


def notice(line: str) -> None:
    """Tell the user something that is not the result."""
    print(f"jaxgen: {line}", file=sys.stderr)


def load_with_notice(folder: Path) -> Run:
    """Load a run, and say so if its newest checkpoint was damaged."""
    trained = load_run(folder)
    for skipped in trained.skipped:
        notice(f"passing over a damaged checkpoint: {skipped}")
    for run, where in sorted(trained.diverged.items()):
        notice(f"the run with seed {trained.settings.seed + run} means nothing: {where}")
    return trained


def check_output(path: Path) -> None:
    """Refuse a file that cannot be written, before any work is done."""
    if path.suffix not in (*PICTURE_SUFFIXES, ".npz"):
        raise InputError(f"cannot write '{path}': give a name that ends in .png, .pdf, .svg or .npz")
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


def write_picture(figure: "Figure", path: Path) -> None:
    """Write a figure and say where it is."""
    plot.save(figure, path)
    print(path)


def write_arrays(arrays: Mapping[str, AnyArray], path: Path) -> None:
    """Write arrays and say where they are."""
    contents: dict[str, Any] = {name: np.asarray(array) for name, array in arrays.items()}
    np.savez_compressed(path, **contents)
    print(path)
