"""Reading and writing of `measured.jsonl`: the metrics that were measured of a run after its training.

A line is `{"step": step of the state, "command": what measured them, "seed": seed of the samples, "metrics": {...}}`.
Lines are only appended, so that several processes may measure one run at once.
"""

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jaxgen.errors import InputError
from jaxgen.regular_files import read_regular
from jaxgen.runs.summary_file import is_metric

FILE = "measured.jsonl"
"""Name of the file in the folder of a run."""

MAX_BYTES = 2**26
"""Largest size in bytes of a file that is read; a line has some thousand."""


class Measured(NamedTuple):
    """Metrics that were measured together.

    Attributes:
        step: number of steps of the training that the state had completed.
        command: command by which they were measured, with the options that choose the metrics.
        seed: seed of the noise and of the samples.
        metrics: name of the metric, with its protocol -> its value, None where it is not finite; for several seeds what
            `summarize` returns.
    """

    step: int
    command: str
    seed: int
    metrics: Mapping[str, Any]


def add_measured(folder: Path, measured: Measured) -> None:
    """Append metrics to the file of a run.

    Args:
        folder: folder of the run.
        measured: what was measured.

    Raises:
        InputError: if the file cannot be written, or is no regular file.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     add_measured(Path(folder), Measured(60, "evaluate --metrics fid", 0, {"fid": 8.5}))
        ...     read_measured(Path(folder), seeds=None)[0].metrics
        {'fid': 8.5}
    """
    path = folder / FILE
    line = json.dumps(measured._asdict(), allow_nan=False) + "\n"
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        with os.fdopen(os.open(path, flags, 0o666), "r+b", buffering=0) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise InputError(f"{path} must be a regular file: remove it")
            # The line of a process that was killed while it wrote may be incomplete.
            complete = file.seek(0, os.SEEK_END) == 0 or (file.seek(-1, os.SEEK_END), file.read(1))[1] == b"\n"
            file.write((line if complete else "\n" + line).encode())
    except OSError as error:
        raise InputError(f"{path} could not be written: {error.strerror or error}") from error


def read_measured(folder: Path, seeds: int | None) -> list[Measured]:
    """Read the file of a run.

    Args:
        folder: folder of the run.
        seeds: number of seeds of the run; None for a single run.

    Returns:
        The lines that have the form in which `add_measured` writes them, in their order; none where there is no file.
    """
    try:
        content = read_regular(folder / FILE, largest=MAX_BYTES).decode(errors="replace")
    except (OSError, InputError):
        return []
    return [line for line in map(_parsed, content.splitlines()) if line is not None and _is_of(line, seeds)]


def metrics_at(folder: Path, seeds: int | None, step: int) -> dict[str, Any]:
    """Return the metrics of one state of a run.

    Args:
        folder: folder of the run.
        seeds: number of seeds of the run; None for a single run.
        step: number of steps that the state has completed.

    Returns:
        Name of the metric, with its protocol -> the value that was measured last.
    """
    found: dict[str, Any] = {}
    for line in read_measured(folder, seeds):
        if line.step == step:
            found |= line.metrics
    return found


def _parsed(line: str) -> Measured | None:
    try:
        measured = Measured(**json.loads(line))
    except (ValueError, TypeError, RecursionError):
        return None
    kinds = (int, str, int, dict)
    return measured if all(type(part) is kind for part, kind in zip(measured, kinds, strict=True)) else None


def _is_of(line: Measured, seeds: int | None) -> bool:
    return all(is_metric(value, seeds) for value in line.metrics.values())
