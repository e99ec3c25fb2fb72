"""The runs below a folder, each in one line: what was trained on what, how far, and its last metrics."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxgen._signatures import checked
from jaxgen.callbacks.best_state import PREFIX as VALIDATION
from jaxgen.callbacks.sample_metrics import PREFIX as SAMPLES
from jaxgen.errors import InputError
from jaxgen.regular_files import open_regular
from jaxgen.runs.config_json import check_unedited, read_content
from jaxgen.runs.log_file import NO_METRICS, last_entries, logged_value
from jaxgen.runs.summary_file import Summary, read_summary
from jaxgen.training.checkpoint import completed

if sys.platform != "win32":
    import fcntl

LOCK = ".lock"
"""File by which a process reserves a run folder."""


class ListedRun(NamedTuple):
    """A run of a list.

    Attributes:
        folder: folder of the run.
        model: preset, or else family, of the model.
        data: name or path of the data set.
        seeds: number of seeds.
        step: number of steps of the last line of the log, or of the newest checkpoint where that has more.
        steps: number of steps of the whole training.
        state: "complete", "training" (a process has reserved the folder), "stopped", "imported" (its weights), or why
            the folder cannot be read; the model is empty then.
        metrics: metric name -> its mean over the seeds: on the test split if the run is complete, otherwise the newest
            logged ones, without norms of gradients.
        best: step of the best state, if the metrics are those of it.
    """

    folder: Path
    model: str = ""
    data: str = ""
    seeds: int = 1
    step: int = 0
    steps: int = 0
    state: str = ""
    metrics: Mapping[str, float] = {}
    best: int | None = None


@checked
def list_runs(folder: Path) -> list[ListedRun]:
    """List the runs below a folder. Neither data nor states are read.

    Args:
        folder: folder of runs, or a run folder. Of links to folders only those to runs are followed: another may lead
            to the whole disk.

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
    seen, links = set(), []
    for place, folders, files in os.walk(folder):
        path = Path(place)
        if "config.json" in files:
            seen.add(path.resolve())
            yield path
            folders.clear()  # A run contains no runs.
        folders[:] = sorted(name for name in folders if name[0] != ".")
        links += [path / name for name in folders if (path / name).is_symlink()]
    # Last, so that a run is listed under its own path rather than that of a link beside it.
    for link in links:
        if (link / "config.json").exists() and (resolved := link.resolve()) not in seen:
            seen.add(resolved)
            yield link


def _listed(folder: Path) -> ListedRun:
    try:
        content = read_content(folder)
        check_unedited(folder / "config.json", content)
        config = content["config"]
        steps, seeds, patience = config["steps"], config["seeds"], config["patience"]
        if not (isinstance(steps, int) and isinstance(seeds, int | None) and isinstance(patience, int | None)):
            raise TypeError("steps, seeds or patience is not a number")
        model, data = str(content.get("preset") or content["family"]), str(config["data"])
        log = last_entries(folder)
        step = max([log[-1]["step"] if log else 0, *completed(folder / "checkpoints")])
        summary = read_summary(folder, seeds)
    except (ValueError, KeyError, TypeError, OSError) as error:
        kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
        return ListedRun(folder, state=kind + " ".join(str(error).split()))
    run = ListedRun(folder, model, data, seeds or 1, step, steps)
    if content.get("imported"):
        return run._replace(state="imported")
    if _is_locked(folder):
        return run._replace(state="training", metrics=_newest(log))
    if summary is None or not _is_complete(summary, step, steps, patience):
        return run._replace(state="stopped", metrics=_newest(log))
    best = None if summary.best is None else summary.best.step
    return run._replace(step=summary.step, state="complete", metrics=_means(summary.test), best=best)


def _is_complete(summary: Summary, step: int, steps: int, patience: int | None) -> bool:
    """Whether a run ended as its summary says, which may be older than a training that continued the run."""
    if summary.ended_early:
        best = summary.best
        exhausted = best is not None and patience is not None and best.evaluations >= patience
        return exhausted and step <= summary.step
    return summary.step == steps and step <= steps


def _means(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The finite metrics of a summary; of those with a value for each seed, the mean."""
    means = {name: value["mean"] if isinstance(value, Mapping) else value for name, value in metrics.items()}
    return {name: float(mean) for name, mean in means.items() if mean is not None}


def _newest(log: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The newest value of each metric of a log: those of validation examples and of samples, then those of players.

    Norms of gradients say little about a model and are left out.
    """
    newest: dict[str, float | None] = {}
    for entry in reversed(log):
        for name in entry:
            if name not in NO_METRICS and not name.endswith("gradient_norm"):
                newest.setdefault(name, logged_value(entry, name))
    first = sorted(newest, key=lambda name: (not name.startswith(VALIDATION), not name.startswith(SAMPLES)))
    return {name: value for name in first if (value := newest[name]) is not None}


def _is_locked(folder: Path) -> bool:
    """Whether a process trains in the folder, which may be of another user or on a disk that cannot be written."""
    if sys.platform == "win32":  # There, a lock cannot be looked at without taking it.
        return False
    try:
        with open_regular(folder / LOCK, follow_links=False) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (InputError, OSError):
        return False
    return False
