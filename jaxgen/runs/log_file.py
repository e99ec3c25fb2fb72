"""Reading of `metrics.jsonl`, the log of a run, which may be incomplete or edited."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxgen.regular_files import read_regular
from jaxgen.typing import Float

LARGEST_LOG = 2**28
"""Largest size of a log in bytes that is read whole."""

MAX_LAST_BYTES = 2**20
"""Bytes at the end of a log in which the last lines are looked for."""

NO_METRICS = ("step", "seconds", "seeds")
"""Entries of a line that are no metrics."""

LARGEST_VALUE = 1e30
"""Larger values are no values of a metric in float32, and axes that show them fail."""


def read_log(folder: Path) -> list[dict[str, Any]]:
    r"""Return the complete lines of the log of a run.

    Args:
        folder: folder of the run.

    Returns:
        The lines that are JSON objects with an integer `step`, in their order; others are left out, such as the
        incomplete last one of a run that is in progress or was killed. None if there is no regular file.

    Raises:
        InputError: if the log is larger than `LARGEST_LOG`.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = (Path(folder) / "metrics.jsonl").write_text('{"step": 100, "vae/loss": 7.0}\n{"step": 2')
        ...     read_log(Path(folder))
        [{'step': 100, 'vae/loss': 7.0}]
    """
    path = folder / "metrics.jsonl"
    if not path.is_file():  # A pipe would never end.
        return []
    return list(_entries(read_regular(path, largest=LARGEST_LOG)))


def last_entries(folder: Path) -> list[dict[str, Any]]:
    r"""Return the last complete lines of the log of a run, those of its last MiB; a longer log is not read whole.

    Args:
        folder: folder of the run.

    Returns:
        The lines in their order.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = (Path(folder) / "metrics.jsonl").write_text('{"step": 100}\n{"step": 200}\n')
        ...     last_entries(Path(folder))[-1]
        {'step': 200}
    """
    path = folder / "metrics.jsonl"
    if not path.is_file():
        return []
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - MAX_LAST_BYTES))
        return list(_entries(file.read(MAX_LAST_BYTES)))


def logged_value(entry: Mapping[str, Any], name: str, seed: int | None = None) -> float | None:
    """Return a value of a line of the log.

    Args:
        entry: line of the log.
        name: name of the metric.
        seed: number of the seed, counted from 0; None for a single run, or for the mean over the seeds.

    Returns:
        The value; None where it is not finite, was not logged, or the line was edited.

    Example:
        >>> entry = {"step": 100, "vae/loss": 7.5, "seeds": {"vae/loss": [7, 8]}}
        >>> logged_value(entry, "vae/loss"), logged_value(entry, "vae/loss", 0), logged_value(entry, "seeds")
        (7.5, 7.0, None)
    """
    try:
        value = entry[name] if seed is None else entry["seeds"][name][seed]
    except (LookupError, TypeError):
        return None
    # Comparisons with NaN are false.
    return float(value) if type(value) in (int, float) and abs(value) <= LARGEST_VALUE else None


def logged_values(log: Sequence[Mapping[str, Any]], name: str, seeds: int | None) -> Float[np.ndarray, "seeds steps"]:
    """Return the values of a metric in all lines of the log.

    Args:
        log: lines of the log.
        name: name of the metric.
        seeds: number of seeds; None for a single run.

    Returns:
        The values, NaN where it is not finite or was not logged.

    Example:
        >>> logged_values([{"step": 1, "loss": 7.5}, {"step": 2}], "loss", None)
        array([[7.5, nan]])
    """
    numbers = [None] if seeds is None else range(seeds)
    return np.array([[logged_value(line, name, number) for line in log] for number in numbers], float)


def _entries(content: bytes) -> Iterator[dict[str, Any]]:
    for line in content.decode(errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        step = entry.get("step") if isinstance(entry, dict) else None
        if type(step) is int and 0 <= step < 2**53:
            yield entry
