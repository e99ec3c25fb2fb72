"""A sweep: runs at all points of a grid of numeric options, trained in one compiled program.

Each point has a run folder of its own below the folder of the sweep, named after its options, as if it had been trained
alone; `sweep.json` holds the results of all.
"""

import contextlib
import dataclasses
import math
import typing
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxgen.callbacks import Checkpoints, MetricsLog, Progress
from jaxgen.data.sources import Notify, print_to_stderr
from jaxgen.errors import InputError, check_known
from jaxgen.game import Model
from jaxgen.models import Family
from jaxgen.models.family import option_types
from jaxgen.models.standardization import standardized
from jaxgen.runs.config import RunConfig, write_config
from jaxgen.runs.evaluation import BETTER, evaluate_run
from jaxgen.runs.loading import Run
from jaxgen.runs.outputs import make_folder, write_json
from jaxgen.runs.preparation import Prepared, prepare_run
from jaxgen.runs.reservation import reserved
from jaxgen.runs.start import Durations
from jaxgen.runs.training import metric_callbacks, summary_content
from jaxgen.training.chunk import Chunk
from jaxgen.training.loop import Fit, fit
from jaxgen.training.seeds import summarize
from jaxgen.training.sweep import Point, grid, point_of, sweep_state, swept

PLACES = 6
"""Significant digits of a number in the name of a folder."""


class SweepResult(NamedTuple):
    """Result of a sweep.

    Attributes:
        axes: option name -> its values.
        points: the combinations, the last option varying fastest.
        tests: metrics of each point on the test split, as `evaluate_run` returns them; empty where all seeds diverged.
        folders: run folder of each point.
    """

    axes: Mapping[str, Sequence[float]]
    points: Sequence[Mapping[str, float]]
    tests: Sequence[Mapping[str, Any]]
    folders: Sequence[Path]


def parse_axes(axes: Sequence[str], family: Family) -> dict[str, tuple[float, ...]]:
    """Read the options of a sweep.

    Args:
        axes: option and values of each, as in `learning_rate=1e-4,1e-3`.
        family: family whose options they are.

    Returns:
        Option name -> its values.

    Raises:
        InputError: if an option is given twice, is no number with a fraction, or a value is not a number.

    Example:
        >>> from jaxgen.models import REGISTRY
        >>> parse_axes(["beta=1,4", "learning-rate=1e-3"], REGISTRY["vae"])
        {'beta': (1.0, 4.0), 'learning_rate': (0.001,)}
    """
    hints = option_types(family.config)
    known = [name for name, hint in hints.items() if float in (hint, *typing.get_args(hint))]
    found: dict[str, tuple[float, ...]] = {}
    for axis in axes:
        name, equals, values = axis.partition("=")
        name = name.removeprefix("--").replace("-", "_")
        if not equals or not values:
            raise InputError(f"--sweep must be NAME=VALUES, as in learning_rate=1e-4,1e-3, got '{axis}'")
        check_known("option to sweep", name, known)
        if name in found:
            raise InputError(f"--sweep {name} must be given once, with all of its values: learning_rate=1e-4,1e-3")
        try:
            numbers = tuple(float(value) for value in values.split(","))
        except ValueError:
            raise InputError(f"the values of --sweep {name} must be numbers and commas, got '{values}'") from None
        if len(set(numbers)) < len(numbers) or not all(map(math.isfinite, numbers)):
            raise InputError(f"the values of --sweep {name} must be finite and differ, got '{values}'")
        found[name] = numbers
    return found


def train_sweep(
    folder: Path,
    family: Family,
    config: RunConfig[Any],
    axes: Mapping[str, Sequence[float]],
    *,
    preset: str | None = None,
    notify: Notify = print_to_stderr,
) -> SweepResult:
    """Train a model at all points of a grid, each with the same seeds, in one compiled program.

    Args:
        folder: folder of the sweep; it must not exist.
        family: family of the model.
        config: config of all runs, but for the swept options.
        axes: option name -> its values.
        preset: name of the preset from which the model's options were taken.
        notify: called with notices for the user.

    Returns:
        The metrics of all points.

    Raises:
        InputError: if an option is wrong or cannot be swept, or a file cannot be written.
        DivergenceError: if all seeds of all points diverge.
    """
    if folder.exists():
        raise InputError(f"{folder} exists: give another --out; each of its runs can be resumed by itself")
    if config.keep_best is not None or config.init_from is not None:
        raise InputError("keep_best and init_from apply to single runs, not to a sweep: leave them out")
    points = grid(axes)
    configs = [_config_of(config, point) for point in points]  # Refuses impossible values before anything is made.
    first = prepare_run(folder, family, configs[0], model=None, resume=False, preset=preset, notify=notify)
    runs = [_of_point(first, folder / folder_name(point), point) for point in points]
    model = swept(partial(_built, first, family), axes)
    make_folder(folder)
    with contextlib.ExitStack() as stack:
        stack.callback(_remove_if_empty, folder)
        for run in runs:
            stack.enter_context(reserved(run.folder, resume=False))
            write_config(run.folder, run.description)
        durations = Durations()
        fitted = _fit(first, runs, family, model, points, durations, stack)
        tests = _write_summaries(first, runs, model, points, fitted, durations)
    result = SweepResult(axes, points, tests, [run.folder for run in runs])
    described = [
        {"options": point, "folder": path.name, "test": test}
        for point, path, test in zip(points, result.folders, tests, strict=True)
    ]
    write_json(
        folder / "sweep.json", {"axes": {name: list(values) for name, values in axes.items()}, "points": described}
    )
    return result


def folder_name(point: Mapping[str, float]) -> str:
    """Return the name of the run folder of a point.

    Example:
        >>> folder_name({"learning_rate": 1e-4, "beta": 4.0})
        'learning_rate=0.0001,beta=4'
    """
    return ",".join(f"{name}={value:.{PLACES}g}" for name, value in point.items())


def means(result: SweepResult, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a metric at all points, as an array with one axis for each option.

    Args:
        result: result of a sweep.
        metric: name of a metric.

    Returns:
        The means over seeds and their standard deviations, NaN where there are none.
    """
    found = [test.get(metric) for test in result.tests]
    pairs = [(value["mean"], value["sd"]) if isinstance(value, Mapping) else (value, None) for value in found]
    shape = tuple(len(values) for values in result.axes.values())
    array = np.array(pairs, float).reshape(*shape, 2)
    return array[..., 0], array[..., 1]


def _remove_if_empty(folder: Path) -> None:
    """Remove the folder of a sweep whose runs have been deleted because none completed a step."""
    with contextlib.suppress(OSError):
        folder.rmdir()


def _config_of(config: RunConfig[Any], point: Mapping[str, float]) -> RunConfig[Any]:
    return dataclasses.replace(config, model_config=dataclasses.replace(config.model_config, **point))


def _built(first: Prepared, family: Family, options: Mapping[str, Any]) -> Model:
    """The model of some options, for the data of all points."""
    model = family.build(_config_of(first.config, options).model_config, first.description.example)
    by = first.description.standardization
    return model if by is None else standardized(model, by)


def _of_point(first: Prepared, folder: Path, point: Mapping[str, float]) -> Prepared:
    """The run of a point, without a model of its own."""
    return first._replace(folder=folder, description=first.description._replace(config=_config_of(first.config, point)))


def _fit(
    first: Prepared,
    runs: Sequence[Prepared],
    family: Family,
    model: Model,
    points: Sequence[Mapping[str, float]],
    durations: Durations,
    stack: contextlib.ExitStack,
) -> Fit:
    """Train all points, each of which has a log and checkpoints of its own."""
    config, seeds = first.config, first.config.keys.size
    logs = [stack.enter_context(MetricsLog(run.folder, several_seeds=config.seeds is not None)) for run in runs]
    checkpoints = [_checkpoints(run, durations) for run in runs]
    progress = stack.enter_context(Progress(config.steps))

    def record(chunk: Chunk) -> None:
        durations.seconds += chunk.seconds / len(runs)
        for number, own in enumerate(zip(logs, checkpoints, strict=True)):
            point = point_of(points, number, seeds, chunk.state, chunk.diverged, chunk.metrics)
            if len(point.diverged) < seeds:
                part = Chunk(chunk.step, point.state, dict(point.history), chunk.seconds / len(runs), point.diverged)
                for callback in own:
                    callback(part)

    def on_compiled(seconds: float) -> None:
        durations.compile_seconds += seconds / len(runs)
        progress.compiled(seconds)

    return fit(
        first._replace(model=model).trained_model,
        first.data,
        key=jnp.tile(config.keys, len(points)),
        state=sweep_state(partial(_built, first, family), points, config.keys, first.description.example),
        steps=config.steps,
        batch_size=config.update_size,
        chunk=config.log_every,
        callbacks=[progress, *metric_callbacks(first, model), record],
        on_compiled=on_compiled,
    )


def _checkpoints(run: Prepared, durations: Durations) -> Checkpoints:
    return Checkpoints(
        run.folder / "checkpoints",
        every=run.config.checkpoint_every,
        last=run.config.steps,
        meta=lambda: {**dataclasses.asdict(durations), **run.inputs},
    )


def _write_summaries(
    first: Prepared,
    runs: Sequence[Prepared],
    model: Model,
    points: Sequence[Mapping[str, float]],
    fitted: Fit,
    durations: Durations,
) -> list[dict[str, Any]]:
    """Evaluate all points in one program, write the summary of each, and return the metrics."""
    config, seeds, description = first.config, first.config.keys.size, first.description
    every = Run(
        folder=first.folder,
        family=description.family,
        config=dataclasses.replace(config, seeds=seeds * len(points)),
        example=description.example,
        model=model,
        state=fitted.state,
        step=config.steps,
        diverged=fitted.diverged,
        skipped=(),
    )
    metrics = evaluate_run(every, data=first.test)
    tests: list[dict[str, Any]] = []
    for number, run in enumerate(runs):
        point = point_of(points, number, seeds, fitted.state, fitted.diverged, {})
        own = slice(number * seeds, (number + 1) * seeds)
        values = {name: value["seeds"][own] for name, value in metrics.items()}
        if config.seeds is None:
            tests.append({name: value[0] for name, value in values.items()})
        else:
            tests.append({name: _over_seeds(name, value, point) for name, value in values.items()})
        content = summary_content(run, Fit(point.state, point.diverged, 0.0, {}), None, durations, tests[-1])
        write_json(run.folder / "summary.json", content)
    return tests


def _over_seeds(name: str, values: Sequence[float | None], point: Point) -> dict[str, Any]:
    array: Any = np.array(values, float)
    return summarize(array, better=BETTER.get(name), left_out=point.diverged)
