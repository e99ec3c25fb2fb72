"""`jaxgen runs [FOLDER]`."""

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from jaxgen.cli.options import Positional
from jaxgen.cli.output import print_line
from jaxgen.cli.parse import parse
from jaxgen.errors import InputError, printable
from jaxgen.runs.listing import ListedRun, list_runs

METRICS = 3
"""Metrics in a line of the table; --json has all of them."""

COLUMNS = ("run", "model", "data", "seeds", "steps", "state", "metrics")


@dataclass(frozen=True)
class Options:
    """List the runs below a folder: model, data, steps, state and last metrics.

    Example: jaxgen runs runs

    Attributes:
        folder: folder that contains run folders, at any depth.
        json: print the list as JSON, with all metrics.
    """

    folder: Annotated[Path, Positional("FOLDER")] = Path("runs")
    json: bool = False


def run(arguments: list[str]) -> None:
    """Print the list."""
    options = parse(Options, arguments, command="jaxgen runs")
    found = list_runs(options.folder)
    if options.json:
        print(json.dumps([entry._asdict() | {"folder": str(entry.folder)} for entry in found], indent=2))
        return
    if not found:
        raise InputError(f"there are no runs below '{options.folder}': give the folder that contains the run folders")
    # Not a table of rich, which shortens all columns of a line that is too long: here only the last is cut.
    rows = [COLUMNS, *(tuple(map(printable, _cells(entry, options.folder))) for entry in found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for row in rows:
        line = "  ".join(f"{cell:<{size}}" for cell, size in zip(row, widths, strict=True))
        print_line(line.rstrip()[:width])


def _cells(run: ListedRun, folder: Path) -> tuple[str, ...]:
    name = str(run.folder.relative_to(folder))
    if not run.model:
        return name, "", "", "", "", "damaged", run.state
    steps = f"{run.step}" if run.state in ("complete", "imported") else f"{run.step}/{run.steps}"
    metrics = ", ".join(f"{name} {value:.4g}" for name, value in list(run.metrics.items())[:METRICS])
    metrics = metrics if run.best is None else f"{metrics} (best, step {run.best})"
    data = Path(run.data).name if Path(run.data).is_absolute() else run.data
    return name, run.model, data, str(run.seeds), steps, run.state, metrics
