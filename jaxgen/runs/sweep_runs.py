"""A sweep: runs at all points of a grid of numeric options, trained in one compiled program.

Each point has a run folder of its own below the folder of the sweep, named after its options, as if it had been trained
alone. The folder of the sweep has checkpoints of all points together, from which it is resumed, and `sweep.json` with
the results.
"""

import contextlib
import dataclasses
import json
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxgen.callbacks import Checkpoints, MetricsLog, Progress
from jaxgen.data.sources import Notify, print_to_stderr
from jaxgen.errors import InputError, check_known
from jaxgen.game import Model, State
from jaxgen.interruption import on_leaving
from jaxgen.models import Family
from jaxgen.models.family import option_types, takes_number
from jaxgen.models.standardization import standardized
from jaxgen.regular_files import read_regular
from jaxgen.runs.config import RunConfig
from jaxgen.runs.config_changes import check_unchanged
from jaxgen.runs.config_json import read_config, write_config
from jaxgen.runs.evaluation import better_of, evaluate_run
from jaxgen.runs.outputs import check_writable, make_folder, write_json
from jaxgen.runs.preparation import Prepared, prepare_run
from jaxgen.runs.reservation import is_new, reserved
from jaxgen.runs.start import Durations, Start, start_of
from jaxgen.runs.training import (
    checkpoints_of,
    fit_from,
    image_grid,
    metric_callbacks,
    saved_or_explained,
    summary_content,
    trained_run,
)
from jaxgen.training.chunk import Chunk, Unfinished
from jaxgen.training.loop import Fit, Interrupted
from jaxgen.training.seeds import extract_seeds, summarize
from jaxgen.training.sweep import Point, check_axes, grid, not_traceable, point_of, sweep_state, swept

FILES, OTHER_FILES = 3, 100
"""Open files of each point: its lock, its log and its events; and those of the process, its libraries and its data."""


class SweepResult(NamedTuple):
    """Result of a sweep.

    Attributes:
        axes: option name -> its values.
        points: the combinations, the last option varying fastest.
        tests: metrics of each point on the test split, as `evaluate_run` returns them; None where all seeds diverged.
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
        InputError: if an option is given twice or decides what is compiled, or a value is not a number.

    Example:
        >>> from jaxgen.models import REGISTRY
        >>> parse_axes(["beta=1,4", "learning-rate=1e-3"], REGISTRY["vae"])
        {'beta': (1.0, 4.0), 'learning_rate': (0.001,)}
    """
    hints = option_types(family.config)
    known = [name for name, hint in hints.items() if takes_number(hint)]
    found: dict[str, tuple[float, ...]] = {}
    for axis in axes:
        name, equals, values = axis.partition("=")
        name = name.removeprefix("--").replace("-", "_")
        if not equals or not values:
            raise InputError(f"--sweep must be NAME=VALUES, as in learning_rate=1e-4,1e-3, got '{axis}'")
        if name in hints and name not in known:
            raise not_traceable(name)
        check_known("option to sweep", name, known)
        if name in found:
            raise InputError(f"--sweep {name} must be given once, with all of its values: learning_rate=1e-4,1e-3")
        try:
            found[name] = tuple(float(value) for value in values.split(","))
        except ValueError:
            raise InputError(f"the values of --sweep {name} must be numbers and commas, got '{values}'") from None
    check_axes(found)
    return found


def train_sweep(
    folder: Path,
    family: Family,
    config: RunConfig[Any],
    axes: Mapping[str, Sequence[float]],
    *,
    resume: bool = False,
    preset: str | None = None,
    notify: Notify = print_to_stderr,
) -> SweepResult:
    """Train a model at all points of a grid, each with the same seeds, in one compiled program.

    Args:
        folder: folder of the sweep; it must not exist unless a sweep is resumed.
        family: family of the model.
        config: config of all runs, but for the swept options.
        axes: option name -> its values.
        resume: whether to resume from the newest complete checkpoint. The values must be those of the sweep, and the
            config that of its runs, but for what may differ when a run is resumed.
        preset: name of the preset from which the model's options were taken.
        notify: called with notices for the user.

    Returns:
        The metrics of all points.

    Raises:
        InputError: if an option is wrong or cannot be swept, or a file cannot be written.
        DivergenceError: if all seeds of all points diverge.
        KeyboardInterrupt: if Ctrl-C is pressed. The sweep can be resumed, and each of its runs by itself.
    """
    _check_folder(folder, axes, resume=resume)
    if config.keep_best is not None or config.init_from is not None:
        raise InputError("keep_best and init_from apply to single runs, not to a sweep: leave them out")
    points = grid(axes)
    _check_open_files(len(points))
    configs = [_config_of(config, point) for point in points]  # Refuses impossible values before anything is made.
    folders = [folder / folder_name(point) for point in points]
    known = [resume and (path / "config.json").is_file() for path in folders]
    how: dict[str, Any] = {"resume": known[0], "preset": preset, "variants": configs, "notify": notify}
    first = prepare_run(folders[0], family, configs[0], **how)
    runs = [_of_point(first, path, point) for path, point in zip(folders, points, strict=True)]
    whole = _whole(folder, first, swept(partial(_built, first, family), axes), len(points))
    make_folder(folder)
    with contextlib.ExitStack() as stack:
        stack.callback(_remove_if_empty, folder)
        stack.enter_context(on_leaving(lambda: _remove_if_empty(folder)))
        for run, is_known in zip(runs, known, strict=True):
            stack.enter_context(reserved(run.folder, resume=is_known))
            if is_known:
                check_unchanged(read_config(run.folder, family=family), run.description, run.folder)
        start = start_of(whole, resume=resume, notify=notify)
        _write_results(folder, axes, [])
        for run in runs:
            write_config(run.folder, run.description)
        state = start.state or _first_state(first, family, points)
        durations = dataclasses.replace(start.durations)
        fitted = _fit(whole, runs, points, start._replace(state=state), durations, notify, stack)
        names = _names(runs, points)
        for seed, where in sorted(fitted.diverged.items()):
            notify(f"the run with {names[seed]} was left out: {where}")
        tests = _write_summaries(whole, runs, points, fitted, durations)
    result = SweepResult(axes, points, tests, [run.folder for run in runs])
    _write_results(
        folder,
        axes,
        [
            {"options": point, "folder": path.name, "test": test}
            for point, path, test in zip(points, result.folders, tests, strict=True)
        ],
    )
    return result


def read_sweep_config(folder: Path, family: Family, axes: Mapping[str, Sequence[float]]) -> RunConfig[Any] | None:
    """Return the config of the runs of a sweep, but for the swept options.

    Args:
        folder: folder of the sweep.
        family: family of the model.
        axes: option name -> its values.

    Returns:
        The config of one of its runs; None if it has none yet.

    Raises:
        InputError: if the config cannot be read.
    """
    first = folder / folder_name(grid(axes)[0])
    return read_config(first, family=family).config if (first / "config.json").is_file() else None


def folder_name(point: Mapping[str, float]) -> str:
    """Return the name of the run folder of a point.

    Example:
        >>> folder_name({"learning_rate": 1e-4, "beta": 4.0})
        'learning_rate=0.0001,beta=4'
    """
    return ",".join(f"{name}={_shortest(value)}" for name, value in point.items())


def _shortest(value: float) -> str:
    """A number with as few digits as it has."""
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


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


def _check_folder(folder: Path, axes: Mapping[str, Sequence[float]], *, resume: bool) -> None:
    """Check that a sweep can be stored in a folder, or that one of the same values can be resumed there."""
    check_writable(folder)
    if (folder / "config.json").is_file():
        raise InputError(f"{folder} is the folder of a single run: give another --out")
    if not resume:
        if folder.exists() and not all(path.is_dir() and is_new(path) for path in folder.iterdir()):
            raise InputError(f"{folder} exists: give another --out, or --resume to resume the sweep in it")
        return
    path = folder / "sweep.json"
    if not path.exists():
        raise InputError(f"there is no sweep in {folder}: leave out --resume to start one")
    try:
        before = json.loads(read_regular(path))["axes"]
        same = list(before.items()) == [(name, list(values)) for name, values in axes.items()]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError(f"{path} is damaged: resume the runs of the sweep one by one") from None
    if not same:
        options = " ".join(f"--sweep {name}={','.join(map(str, values))}" for name, values in before.items())
        raise InputError(f"{folder} must be resumed with the values of its beginning: {options}")


def _write_results(folder: Path, axes: Mapping[str, Sequence[float]], points: Sequence[Mapping[str, Any]]) -> None:
    """Write `sweep.json`: the values of the options, and the metrics of the points, of which there are none before."""
    write_json(folder / "sweep.json", {"axes": {name: list(values) for name, values in axes.items()}, "points": points})


def _remove_if_empty(folder: Path) -> bool:
    """Remove the folder of a sweep whose runs have been deleted because none completed a step; whether it remains."""
    if {path.name for path in folder.iterdir()} <= {"sweep.json"}:
        shutil.rmtree(folder, ignore_errors=True)
        return False
    return True


def _check_open_files(points: int) -> None:
    """Check that the system allows as many open files as the logs and locks of all points need."""
    try:
        import resource
    except ModuleNotFoundError:  # Of systems other than Unix, which allow thousands.
        return
    needed, (allowed, _) = FILES * points + OTHER_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed != resource.RLIM_INFINITY and allowed < needed:
        raise InputError(
            f"a sweep of {points} combinations needs {needed} open files, and the system allows {allowed}: give fewer "
            f"values, or raise the limit, as by 'ulimit -n {needed}'"
        )


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


def _whole(folder: Path, first: Prepared, model: Model, points: int) -> Prepared:
    """The sweep as one training, in which each seed of each point is a seed."""
    config = dataclasses.replace(first.config, seeds=points * first.config.keys.size)
    return first._replace(folder=folder, model=model, description=first.description._replace(config=config))


def _first_state(first: Prepared, family: Family, points: Sequence[Mapping[str, float]]) -> State:
    return sweep_state(partial(_built, first, family), points, first.config.keys, first.description.example)


def _names(runs: Sequence[Prepared], points: Sequence[Mapping[str, float]]) -> list[str]:
    """What each seed of each point is called in messages."""
    config = runs[0].config
    if config.seeds is None:
        return [folder_name(point) for point in points]
    return [f"{folder_name(point)}, seed {config.seed + seed}" for point in points for seed in range(config.seeds)]


def _fit(
    whole: Prepared,
    runs: Sequence[Prepared],
    points: Sequence[Mapping[str, float]],
    start: Start,
    durations: Durations,
    notify: Notify,
    stack: contextlib.ExitStack,
) -> Fit:
    """Train all points, each of which has a log and checkpoints of its own."""
    config, seeds = whole.config, runs[0].config.keys.size
    several = runs[0].config.seeds is not None
    logs = [stack.enter_context(MetricsLog(run.folder, start.step, several_seeds=several)) for run in runs]
    checkpoints = [_checkpoints(run, start, durations, len(runs)) for run in runs]
    done = start.step - start.unfinished.steps
    progress = stack.enter_context(Progress(config.steps, done, names=_names(runs, points)))

    def record(chunk: Chunk) -> None:
        for number, own in enumerate(zip(logs, checkpoints, strict=True)):
            point = point_of(points, number, seeds, chunk.state, chunk.diverged, chunk.metrics)
            if len(point.diverged) < seeds:
                part = Chunk(chunk.step, point.state, dict(point.history), chunk.seconds / len(runs), point.diverged)
                for callback in own:
                    callback(part)
                # Of the last state alone: figures of all points at every thousandth step would take longer than steps.
                if chunk.step == config.steps:
                    image_grid(runs[number], whole.model, every=config.steps)(
                        part._replace(state=extract_seeds(chunk.state, number * seeds, seeds))
                    )

    def on_compiled(seconds: float) -> None:
        durations.compile_seconds += seconds
        progress.compiled(seconds)

    together = _checkpoints(whole, start, durations)
    with saved_or_explained(whole, together, partial(_save_points, points, seeds, checkpoints)):
        return fit_from(
            start,
            whole,
            key=jnp.tile(runs[0].config.keys, len(points)),
            callbacks=[durations, progress, *metric_callbacks(runs[0], whole.model, notify), record, together],
            on_compiled=on_compiled,
        )


def _save_points(
    points: Sequence[Mapping[str, float]], seeds: int, checkpoints: Sequence[Checkpoints], training: Interrupted
) -> None:
    """Save the state of each point of a sweep that is interrupted, from which its run can be resumed by itself."""
    fitted, unfinished = training.result, training.unfinished
    for number, own in enumerate(checkpoints):
        point = point_of(points, number, seeds, fitted.state, fitted.diverged, unfinished.metrics)
        if len(point.diverged) < seeds:
            result = Fit(point.state, point.diverged, 0.0, {})
            rest = Unfinished(dict(point.history), unfinished.seconds / len(points))
            own.interrupted(Interrupted(training.step, result, rest))


def _checkpoints(run: Prepared, start: Start, durations: Durations, runs: int = 1) -> Checkpoints:
    """The callback that saves the state of a run, whose durations are its share of those of several runs."""
    return checkpoints_of(run, start, lambda: {**dataclasses.asdict(durations.share(runs)), **run.inputs})


def _write_summaries(
    whole: Prepared,
    runs: Sequence[Prepared],
    points: Sequence[Mapping[str, float]],
    fitted: Fit,
    durations: Durations,
) -> list[dict[str, Any]]:
    """Evaluate all points in one program, write the summary of each, and return the metrics."""
    seeds = runs[0].config.keys.size
    metrics = evaluate_run(trained_run(whole, fitted.state, fitted.diverged), data=whole.test)
    tests: list[dict[str, Any]] = []
    for number, run in enumerate(runs):
        point = point_of(points, number, seeds, fitted.state, fitted.diverged, {})
        own = slice(number * seeds, (number + 1) * seeds)
        values = {name: value["seeds"][own] for name, value in metrics.items()}
        if run.config.seeds is None:
            tests.append({name: value[0] for name, value in values.items()})
        else:
            tests.append({name: _over_seeds(name, value, point) for name, value in values.items()})
        result = Fit(point.state, point.diverged, 0.0, {})
        write_json(
            run.folder / "summary.json", summary_content(run, result, None, durations.share(len(runs)), tests[-1])
        )
    return tests


def _over_seeds(name: str, values: Sequence[float | None], point: Point) -> dict[str, Any]:
    array: Any = np.array(values, float)
    return summarize(array, better=better_of(name), left_out=point.diverged)
