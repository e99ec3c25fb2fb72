"""What the commands have in common: loading a run, writing what came of it."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxgen import plot
from jaxgen.errors import InputError
from jaxgen.run import Run, load_run
from jaxgen.typing import Array

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


def write_picture(figure: "Figure", path: Path) -> None:
    """Write a figure and say where it is."""
    plot.save(figure, path)
    print(path)


def write_arrays(arrays: Mapping[str, Array], path: Path) -> None:
    """Write arrays and say where they are."""
    np.savez_compressed(path, **{name: np.asarray(array) for name, array in arrays.items()})
    print(path)
