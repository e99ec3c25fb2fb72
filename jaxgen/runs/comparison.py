"""Comparison of runs: their metrics on the test split, their logged metrics over training, and their options."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxgen._signatures import checked
from jaxgen.errors import InputError, shortened
from jaxgen.metrics.protocol import Protocol, check_comparable
from jaxgen.models import Family
from jaxgen.runs.config import format_value
from jaxgen.runs.config_json import family_for
from jaxgen.runs.evaluation import evaluate_run
from jaxgen.runs.loading import load_run
from jaxgen.runs.log_file import NO_METRICS, logged_value, logged_values, read_log
from jaxgen.runs.measured_file import metrics_at
from jaxgen.runs.summary_file import read_summary
from jaxgen.typing import Float, Int


class ComparedRun(NamedTuple):
    """A run of a comparison.

    Attributes:
        name: shortest end of its path by which it differs from the other runs.
        state: the step at which the metrics were computed, and whether it is that of the best state.
        metrics: metric name -> its mean and its standard deviation over seeds, None for a single one.
        options: name of an option -> its value, of the model and of the training.
        steps: steps of the log.
        curves: metric name -> its logged values; NaN where it was not logged.
    """

    name: str
    state: str
    metrics: Mapping[str, tuple[float | None, float | None]]
    options: Mapping[str, Any]
    steps: Int[np.ndarray, " steps"]
    curves: Mapping[str, Float[np.ndarray, "seeds steps"]]


@checked
def compare_runs(folders: Sequence[Path], *, family: Family | None = None) -> list[ComparedRun]:
    """Read the metrics, the log and the options of runs.

    Args:
        folders: run folders. The metrics are those of its summary, of the best state where one is kept, and those that
            were measured of that state; a run that was not completed is evaluated at its newest checkpoint.
        family: family of those runs that are not of the package.

    Returns:
        The runs in the same order.

    Raises:
        InputError: if a folder is given twice, or a run cannot be loaded or evaluated.
    """
    places = [folder.resolve() for folder in folders]
    for place in places:
        if places.count(place) > 1:
            raise InputError(f"each run must be given once, got '{place}' twice")
    names = distinct_ends(places)
    return [_compared(name, folder, family) for name, folder in zip(names, folders, strict=True)]


def differing_options(runs: Sequence[ComparedRun]) -> dict[str, list[str]]:
    """Return the options in which runs differ.

    Args:
        runs: runs to compare.

    Returns:
        Name of an option that several runs have -> its value in each as on the command line, "-" where it is not set.

    Example:
        >>> options = [{"beta": 1.0, "steps": 10}, {"beta": 4.0, "steps": 10}]
        >>> runs = [ComparedRun(f"run {i}", "10", {}, each, [], {}) for i, each in enumerate(options)]
        >>> differing_options(runs)
        {'beta': ['1.0', '4.0']}
    """
    differing = {}
    for name in dict.fromkeys(name for run in runs for name in run.options):
        if len({format_value(run.options[name]) for run in runs if name in run.options}) > 1:
            values = [run.options.get(name) for run in runs]
            differing[name] = ["-" if value is None else format_value(value) for value in values]
    return differing


def common_curves(runs: Sequence[ComparedRun]) -> dict[str, dict[str, Float[np.ndarray, "seeds steps"]]]:
    """Return the curves to plot side by side: losses and metrics that several runs have, or all of a single run.

    Args:
        runs: runs to compare.

    Returns:
        Metric name -> name of a run -> its values. Norms of gradients are left out.
    """
    names = dict.fromkeys(name for run in runs for name in run.curves if not name.endswith("gradient_norm"))
    found = {name: {run.name: run.curves[name] for run in runs if name in run.curves} for name in names}
    shared = {name: curves for name, curves in found.items() if len(curves) > 1}
    return shared or found


def check_protocols(runs: Sequence[ComparedRun], metric: str) -> None:
    """Check that the values of a metric of runs may stand in one row: that all have one protocol.

    Args:
        runs: runs to compare.
        metric: name of the metric, without its protocol, in the metrics or the log of the runs.

    Raises:
        InputError: if a run does not have the metric, or all have it, but by no common protocol; the message names what
            differs.
    """
    found = [_texts(run) for run in runs]
    for run, texts in zip(runs, found, strict=True):
        if metric not in texts:
            raise InputError(
                f"every run must have the metric {shortened(metric)} to be compared by it, {run.name} has not"
            )
    _check_common([texts[metric] for texts in found])


def differing_protocols(runs: Sequence[ComparedRun]) -> list[str]:
    """Return a sentence for each metric that runs have by different protocols, and by none in common.

    Args:
        runs: runs to compare.

    Returns:
        Sentences that name the metric and what differs.
    """
    sentences = []
    found = [_texts(run) for run in runs]
    for metric in sorted({metric for texts in found for metric in texts}):
        measured = [[text for text in texts.get(metric, ()) if "[" in text] for texts in found]
        try:
            _check_common([texts for texts in measured if texts])
        except InputError as error:
            sentences.append(str(error))
    return sentences


def _check_common(of_runs: Sequence[Sequence[str]]) -> None:
    """Raise an InputError unless the texts of a metric of all runs have one in common, or there are no runs."""
    if of_runs and not set.intersection(*map(set, of_runs)):
        first = [texts[0] for texts in of_runs]
        check_comparable([Protocol.parse(text) if "[" in text else Protocol(text, ("as logged",)) for text in first])


def _texts(run: ComparedRun) -> dict[str, list[str]]:
    """The metrics of a run -> texts of their protocols, first of the test, then of the log.

    They are without what stands before the name of a metric, as in `samples/fid[...]`; a metric that has no protocol is
    its name alone.
    """
    found: dict[str, list[str]] = {}
    for name in (*run.metrics, *run.curves):
        metric, bracket, choices = name.partition("[")
        metric = metric.rpartition("/")[2]
        found.setdefault(metric, []).append(metric + bracket + choices)
    return found


def distinct_ends(paths: Sequence[Path]) -> list[str]:
    """Return the shortest ends of paths that differ from each other.

    Args:
        paths: different absolute paths.

    Returns:
        The last parts of each path, as many for all.

    Example:
        >>> distinct_ends([Path("/runs/a/vae"), Path("/runs/b/vae")])
        ['a/vae', 'b/vae']
    """
    longest = max(len(path.parts) for path in paths)
    for count in range(1, longest + 1):
        ends = [str(Path(*path.parts[-count:])) for path in paths]
        if len(set(ends)) == len(ends):
            break
    return ends


def _compared(name: str, folder: Path, family: Family | None) -> ComparedRun:
    run = load_run(folder, family=family_for(folder, family))
    options = {**vars(run.config), **vars(run.config.model_config)} if run.config.model_config else vars(run.config)
    log = read_log(folder)
    logged = dict.fromkeys(
        metric for line in log for metric in line if metric not in NO_METRICS and logged_value(line, metric) is not None
    )
    summary = read_summary(folder, run.config.seeds)
    if summary is not None and summary.step == run.step:
        best, test = summary.best, summary.test
    else:  # Stopped before its end, or the summary is damaged.
        best, test = None, evaluate_run(run)
    measured = metrics_at(folder, run.config.seeds, run.step if best is None else best.step)
    return ComparedRun(
        name=name,
        state=f"{run.step}" if best is None else f"{best.step} (best)",
        metrics={metric: _mean_and_sd(value) for metric, value in {**test, **measured}.items()},
        options={"model": run.name, **{key: value for key, value in options.items() if key != "model_config"}},
        steps=np.array([line["step"] for line in log], int),
        curves={metric: logged_values(log, metric, run.config.seeds) for metric in logged},
    )


def _mean_and_sd(value: Any) -> tuple[float | None, float | None]:
    return (value["mean"], value["sd"]) if isinstance(value, Mapping) else (value, None)
