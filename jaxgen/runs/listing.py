"""The runs below a folder, each in one line: what was trained on what, how far, and its last metrics."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import filelock

from jaxgen.errors import InputError
from jaxgen.regular_files import read_regular
from jaxgen.runs.config import check_unedited
from jaxgen.runs.log_file import last_entry

LOCK = ".lock"
"""File by which a process reserves a run folder."""

MAX_BYTES = 2**24
"""Largest size of a `config.json` or `summary.json` that is read; they have some thousand bytes."""


class ListedRun(NamedTuple):
    """A run of a list.

    Attributes:
        folder: folder of the run.
        model: preset, or else family, of the model.
        data: name or path of the data set.
        seeds: number of seeds.
        step: number of steps of the last line of the log.
        steps: number of steps of the whole training.
        state: "complete", "training" (a process has reserved the folder), "stopped", or why the folder cannot be read;
            the model is empty then.
        metrics: metric name -> its mean over the seeds: on the test split if the run is complete, otherwise those of
            the last line of the log.
    """

    folder: Path
    model: str = ""
    data: str = ""
    seeds: int = 1
    step: int = 0
    steps: int = 0
    state: str = ""
    metrics: Mapping[str, float] = {}


def list_runs(folder: Path) -> list[ListedRun]:
    """List the runs below a folder. Neither data nor checkpoints are read.

    Args:
        folder: folder of runs, or a run folder; links to folders are followed once.

    Returns:
        The runs in order of their paths.

    Raises:
        InputError: if there is no such folder.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from jaxgen.models import vae
        >>> from jaxgen.runs import RunConfig, RunDescription, write_config
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     (Path(folder) / "a").mkdir()
        ...     description = RunDescription("vae", RunConfig(vae.Config(), steps=10), {"point": np.zeros((1, 2))})
        ...     write_config(Path(folder) / "a", description)
        ...     (run,) = list_runs(Path(folder))
        ...     run.model, run.data, run.step, run.steps, run.state
        ('vae', 'digits', 0, 10, 'stopped')
    """
    if not folder.is_dir():
        raise InputError(f"there is no folder '{folder}': give the folder that contains the runs")
    return [_listed(run) for run in sorted(_run_folders(folder))]


def _run_folders(folder: Path) -> Iterator[Path]:
    seen = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        path = Path(place)
        resolved = path.resolve()
        if resolved in seen:
            folders.clear()
            continue
        seen.add(resolved)
        if "config.json" in files:
            yield path
            folders.clear()  # A run contains no runs.
        # Links last, so that a run is listed under its own path rather than that of a link beside it.
        folders[:] = sorted((name for name in folders if name[0] != "."), key=lambda name: (path / name).is_symlink())


def _listed(folder: Path) -> ListedRun:
    try:
        content = _read(folder / "config.json")
        config = content["config"]
        check_unedited(folder / "config.json", content)
        steps, seeds = config["steps"], config["seeds"]
        if not (isinstance(steps, int) and isinstance(seeds, int | None)):
            raise TypeError("steps or seeds is not a number")
        run = ListedRun(
            folder, str(content.get("preset") or content["family"]), str(config["data"]), seeds or 1, steps=steps
        )
        last = last_entry(folder) or {"step": 0}
        summary = _read(folder / "summary.json") if (folder / "summary.json").is_file() else {}
        complete = summary.get("step") == steps or summary.get("ended_early") is True
        return run._replace(
            step=summary.get("step", last["step"]) if complete else last["step"],
            state="training" if _is_locked(folder) else "complete" if complete else "stopped",
            metrics=_means(summary.get("test") if complete else last),
        )
    except (ValueError, KeyError, TypeError, RecursionError, OSError) as error:
        return ListedRun(folder, state=f"{type(error).__name__}: {' '.join(str(error).split())}")


def _read(path: Path) -> Any:
    return json.loads(read_regular(path, largest=MAX_BYTES))


def _means(metrics: Any) -> dict[str, float]:
    """The numbers among metrics; of those with a value for each seed, the mean."""
    found = {}
    for name, value in metrics.items() if isinstance(metrics, Mapping) else ():
        number = value.get("mean") if isinstance(value, Mapping) else value
        if isinstance(number, float | int) and name not in ("step", "seconds"):
            found[str(name)] = float(number)
    return found


def _is_locked(folder: Path) -> bool:
    """Whether a process trains in the folder."""
    if not (folder / LOCK).is_file():
        return False
    try:
        with filelock.FileLock(folder / LOCK, timeout=0):
            return False
    except filelock.Timeout:
        return True
