"""Train a model into a run folder, or resume a run: config, data, model, state, `fit` with callbacks, summary."""

import contextlib
import dataclasses
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import filelock

from jaxgen.callbacks import Checkpoints, ImageGrid, MetricsLog, Profile, Progress, SampleMetrics
from jaxgen.callbacks.best_state import Best, Found, Validation
from jaxgen.callbacks.checkpoints import diverged_from_json, diverged_to_json, unfinished_from_json
from jaxgen.data.sources import Notify, print_to_stderr
from jaxgen.errors import DivergenceError, InputError
from jaxgen.game import Model, State
from jaxgen.interruption import on_leaving
from jaxgen.models import Family
from jaxgen.runs.config import (
    RunConfig,
    RunDescription,
    check_trained_with,
    check_unchanged,
    read_config,
    write_config,
)
from jaxgen.runs.evaluation import BETTER, evaluate_run
from jaxgen.runs.initialization import initial_state_from
from jaxgen.runs.listing import LOCK
from jaxgen.runs.loading import Run, abstract_state
from jaxgen.runs.outputs import make_folder, write_json
from jaxgen.runs.preparation import Prepared, prepare_run, selected_metric
from jaxgen.training.checkpoint import completed, restore, steps
from jaxgen.training.chunk import Callback, Chunk, Divergence, Unfinished, find_non_finite_parameters
from jaxgen.training.loop import NO_STEPS, Fit, Interrupted, fit


@dataclasses.dataclass
class Durations:
    """Time that the steps of a run have taken so far, in all its sessions, without what a killed session lost.

    Image grids, checkpoints and the evaluation at the end are in neither number.

    Attributes:
        seconds: time of the steps.
        compile_seconds: time of tracing and compilation, or of loading programs from JAX's cache.
    """

    seconds: float = 0.0
    compile_seconds: float = 0.0

    @classmethod
    def stored(cls, meta: Mapping[str, Any]) -> Self:
        """Return the durations that are stored beside the state of a checkpoint.

        Args:
            meta: what is stored beside the state.

        Returns:
            The durations; 0 where there is none.

        Raises:
            InputError: if one is not a number of seconds, because the file was edited.
        """
        found = {field.name: meta.get(field.name, 0.0) for field in dataclasses.fields(cls)}
        for name, seconds in found.items():
            if type(seconds) not in (int, float) or not 0 <= seconds < math.inf:
                raise InputError(f"'{name}' of a checkpoint must be a number of seconds, got {seconds!r}")
        return cls(**found)

    def __call__(self, chunk: Chunk) -> None:
        """Add the time of a chunk."""
        self.seconds += chunk.seconds


class Start(NamedTuple):
    """Where a training starts.

    Attributes:
        step: number of completed steps.
        state: state after them; None for a new run.
        diverged: seeds that had diverged before.
        unfinished: steps since the last line of the log, where the training was interrupted between two lines.
        durations: time that these steps have taken, but for the unfinished ones.
        best: the best state until then, where one is kept.
    """

    step: int = 0
    state: State | None = None
    diverged: Mapping[int, Divergence] = {}
    unfinished: Unfinished = NO_STEPS
    durations: Durations = Durations()
    best: Found = Found()


def train(
    folder: str | Path,
    family: str | Family,
    config: RunConfig[Any],
    *,
    model: Model | None = None,
    resume: bool = False,
    preset: str | None = None,
    profile: bool = False,
    notify: Notify = print_to_stderr,
) -> dict[str, Any]:
    """Train a model and store everything in a folder.

    Args:
        folder: run folder; it must not exist unless a run is resumed.
        family: family of the model, or its name if it is part of the package.
        config: everything else that determines the run.
        model: model in place of the one that the family builds from the config, e.g. with modules of the user's own;
            the run is then loaded by `load_run(folder, model=model)`.
        resume: whether to resume from the newest complete checkpoint. The config must be that of the run, but for
            `steps`, `epochs`, `patience` and `data_dir`.
        preset: name of the preset from which the model's options were taken, for titles; a run that is resumed keeps
            its own.
        profile: whether to record what the device does during the first chunk of steps after the compilation, in the
            folder `profile`, which TensorBoard and Perfetto show.
        notify: called with notices for the user, e.g. of a damaged checkpoint or of files that were not read.

    Returns:
        The content of `summary.json`.

    Raises:
        InputError: if an option is wrong, or a file cannot be written. A new run that has not completed its first chunk
            leaves no folder behind.
        DivergenceError: if a loss or a gradient is not finite; the message names the last checkpoint before it.
        KeyboardInterrupt: if Ctrl-C is pressed. During the training, of which at least a step is complete, the message
            names the step whose state was saved: the run can be resumed from there.
    """
    folder = Path(folder)
    _check_folder(folder, resume=resume)
    prepared = prepare_run(folder, family, config, model=model, resume=resume, preset=preset, notify=notify)
    config = prepared.config
    with reserved(folder, resume=resume):
        if resume:  # Another process may have used the folder since it was looked at.
            check_unchanged(read_config(folder, family=prepared.family), prepared.description, folder)
        start = _resumed(prepared, notify) if resume else Start()
        if start.step == 0 and config.init_from is not None:
            start = start._replace(state=_initial_state(prepared, notify))
        write_config(folder, prepared.description)
        durations = dataclasses.replace(start.durations)
        fitted, best = _fit(prepared, start, durations, notify, profile=profile)
        for seed, where in sorted(fitted.diverged.items()):
            notify(f"the run with seed {config.seed + seed} was left out: {where}")
        summary = run_summary(prepared, fitted, best, durations)
        _check_present(folder)
        write_json(folder / "summary.json", summary)
    return summary


def _fit(
    prepared: Prepared, start: Start, durations: Durations, notify: Notify, *, profile: bool
) -> tuple[Fit, Found | None]:
    """Run `fit` with the callbacks of a run folder; also returns the best state, where one is kept."""
    folder, config, model = prepared.folder, prepared.config, prepared.model
    first_seed = None if config.seeds is None else config.seed

    def meta() -> dict[str, Any]:
        found = {} if best is None else {"best": best.found._asdict()}
        return {**dataclasses.asdict(durations), **prepared.inputs, **found}

    best = _best(prepared, start, meta)
    checkpoints = Checkpoints(
        folder / "checkpoints", every=config.checkpoint_every, last=config.steps, first_step=start.step, meta=meta
    )
    if best is not None and best.is_exhausted:
        notify(f"the training ended early at step {start.step}: give more --patience to continue it")
        assert start.state is not None
        return Fit(start.state, start.diverged, 0.0, {}), best.found
    with (
        Progress(config.steps, start.step - start.unfinished.steps, first_seed=first_seed) as progress,
        MetricsLog(folder, start.step, several_seeds=config.seeds is not None) as log,
        Profile(folder / "profile") if profile else contextlib.nullcontext() as trace,
    ):
        if log.recomputed:
            notify(f"lines of the log after step {start.step} are computed again: {log.recomputed}")
        if log.incomplete:
            notify(f"incomplete lines of the log were dropped: {log.incomplete}")

        def on_compiled(seconds: float) -> None:
            durations.compile_seconds += seconds
            progress.compiled(seconds)
            if trace is not None:
                trace.start()

        callbacks: list[Callback] = [durations, progress, *run_callbacks(prepared, log)]
        callbacks += [] if best is None else [best]
        callbacks += [lambda _: _check_present(folder), checkpoints]
        callbacks = callbacks if trace is None else [trace, *callbacks]
        try:
            fitted = fit(
                prepared.trained_model,
                prepared.data,
                key=config.keys,
                steps=config.steps,
                batch_size=config.update_size,
                state=start.state,
                first_step=start.step,
                diverged=start.diverged,
                unfinished=start.unfinished,
                chunk=config.log_every,
                callbacks=callbacks,
                on_compiled=on_compiled,
                stop=None if best is None else lambda _: best.is_exhausted,
            )
        except DivergenceError as error:
            raise DivergenceError(f"{error}; {_last_checkpoint(folder, prepared.description, model)}") from None
        except Interrupted as training:
            checkpoints.interrupted(training)
            if training.step == 0:
                raise
            raise KeyboardInterrupt(f"interrupted: step {training.step} is saved") from None
    step = int(fitted.state.step)
    if step < config.steps:
        notify(f"{config.keep_best} has not improved for {config.patience} evaluations: ended at step {step}")
        checkpoints.ended(step, fitted)
    return fitted, None if best is None else best.found


def _best(prepared: Prepared, start: Start, meta: Callable[[], Mapping[str, Any]]) -> Best | None:
    """The callback that keeps the best state, where one is wanted."""
    config = prepared.config
    if config.keep_best is None:
        return None
    metric = selected_metric(config)
    return Best(
        prepared.folder / "best",
        metric,
        larger_is_better=BETTER[metric.partition("/")[2]] == "larger",
        patience=config.patience,
        found=start.best,
        meta=meta,
    )


def _initial_state(prepared: Prepared, notify: Notify) -> State:
    """The state before the first step of a run that starts from the parameters of another."""
    config = prepared.config
    assert config.init_from is not None
    folder = Path(config.init_from)
    state, names = initial_state_from(folder, prepared.family, prepared.model, config, prepared.data)
    notify(f"the parameters of {', '.join(names)} are those of {folder}")
    return state


def run_callbacks(prepared: Prepared, log: MetricsLog) -> list[Callback]:
    """What happens between two chunks before the checkpoint, as far as the model can do it."""
    config, model = prepared.config, prepared.model
    loss = None if prepared.description.custom else getattr(config.model_config, "loss", None)
    grid = ImageGrid(
        prepared.folder / "samples",
        model,
        config.data,
        prepared.data,
        loss=loss,
        class_names=prepared.description.class_names,
        every=config.image_every,
        last=config.steps,
        seed=config.seed,
    )
    return [*metric_callbacks(prepared, model), log, grid]


def metric_callbacks(prepared: Prepared, model: Model) -> list[Callback]:
    """The callbacks that return metrics of samples and of validation examples."""
    config = prepared.config
    found: list[Callback] = []
    if model.sample is not None:
        due = {"every": config.image_every, "last": config.steps, "seed": config.seed}
        found += [SampleMetrics(model, config.source, prepared.data, **due)]
    if prepared.validation is not None:
        due = {"every": config.checkpoint_every, "last": config.steps, "seed": config.seed}
        found += [Validation(model, prepared.validation, **due)]
    return found


def _check_folder(folder: Path, *, resume: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file, and a run is stored in a folder: give another --out")
    if not resume and folder.exists() and not all(_is_leftover(path) for path in folder.iterdir()):
        raise InputError(f"{folder} exists: give another --out, or --resume to resume the run in it")


def _is_leftover(path: Path) -> bool:
    """Whether a file or folder may be left of a new run whose process was killed, and is nothing without the others."""
    if path.is_dir() and not path.is_symlink():
        if path.name == "tensorboard":
            return all(inside.name.startswith("events.out.tfevents.") for inside in path.iterdir())
        if path.name == "checkpoints":
            return not steps(path)
        return path.name == "samples" and not any(path.iterdir())
    return path.name in (LOCK, "metrics.jsonl", ".config.json.tmp", ".metrics.jsonl.tmp")


@contextlib.contextmanager
def reserved(folder: Path, *, resume: bool) -> Iterator[None]:
    """Lock the folder for this process; the operating system releases the lock when the process ends in any way.

    A new run that ends without anything to be resumed is deleted.
    """
    made = not folder.exists()
    make_folder(folder)
    lock = filelock.FileLock(folder / LOCK)
    try:
        held = lock.acquire(timeout=0)
    except filelock.Timeout:
        raise InputError(f"{folder} is in use by another process: wait for it, or give another --out") from None
    with held:
        # Again: another process may have trained in the folder since it was looked at.
        _check_folder(folder, resume=resume)
        locked = (folder / LOCK).stat()

        def delete_unless_resumable() -> bool:
            log = folder / "metrics.jsonl"
            if resume or completed(folder / "checkpoints") or (log.is_file() and log.stat().st_size):
                return True
            # If the folder was removed since, one of the same name is not this process's.
            with contextlib.suppress(OSError):
                if os.path.samestat(locked, (folder / LOCK).stat()):
                    _delete(folder, itself=made)
            return False

        try:
            with on_leaving(delete_unless_resumable):
                yield
        except DivergenceError:  # The training itself failed: config.json is needed to find out why.
            raise
        except BaseException:
            delete_unless_resumable()
            raise


def _delete(folder: Path, *, itself: bool) -> None:
    """Delete a folder, or only what is in it."""
    if itself:
        shutil.rmtree(folder, ignore_errors=True)
        return
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def _resumed(prepared: Prepared, notify: Notify) -> Start:
    """The newest complete checkpoint of a run."""
    folder, description, config = prepared.folder, prepared.description, prepared.config
    if not completed(folder / "checkpoints"):
        notify(f"{folder} has no checkpoint yet: starting from the beginning")
        return Start()
    restored = restore(folder / "checkpoints", abstract_state(prepared.model, config, description.example))
    for skipped in restored.skipped:
        notify(f"skipping a checkpoint: {skipped}")
    meta = restored.meta
    if restored.step > config.steps:
        raise InputError(
            f"{folder} has been trained for {restored.step} steps already: give at least that many as --steps"
        )
    check_trained_with(meta.get("run"), description, folder, restored.step, family=prepared.family)
    _check_data(meta.get("data"), prepared.fingerprint, folder, config.data)
    notify(f"resuming at step {restored.step}")
    return Start(
        restored.step,
        restored.state,
        diverged_from_json(meta),
        unfinished_from_json(meta),
        Durations.stored(meta),
        Found.stored(meta),
    )


def _check_data(before: Any, now: Any, folder: Path, name: str) -> None:
    """Check that a run is resumed with the examples with which it was trained."""
    if before is None or before == now:
        return
    counts = [found.get("examples") if isinstance(found, Mapping) else None for found in (before, now)]
    what = "other examples of the same shape" if counts[0] == counts[1] else f"{counts[1]} examples, not {counts[0]}"
    raise InputError(f"{name} has {what} since {folder} was trained on it: put back the data, or train a new run")


def _check_present(folder: Path) -> None:
    for name in ("config.json", "metrics.jsonl"):
        if not (folder / name).is_file():
            raise InputError(
                f"{folder / name} was removed while the run was training, and the run is of no use without it: leave "
                "the folder of a run to it"
            )


def _last_checkpoint(folder: Path, description: RunDescription, model: Model) -> str:
    """A clause that names the checkpoint which a diverged run has left, or states that there is none."""
    if not completed(folder / "checkpoints"):
        return "there is no checkpoint yet"
    try:
        restored = restore(folder / "checkpoints", abstract_state(model, description.config, description.example))
    except InputError as error:
        return str(error)
    return f"the last checkpoint before it is that of step {restored.step}"


def run_summary(prepared: Prepared, fitted: Fit, best: Found | None, durations: Durations) -> dict[str, Any]:
    """The content of `summary.json`: the metrics are those of the best state where one is kept, or of the last."""
    description, config, model = prepared.description, prepared.config, prepared.model
    state, diverged = fitted.state, fitted.diverged
    if best is not None and best.step:
        restored = restore(prepared.folder / "best", abstract_state(model, config, description.example))
        state, diverged = restored.state, diverged_from_json(restored.meta)
    run = Run(
        folder=prepared.folder,
        family=description.family,
        config=config,
        example=description.example,
        model=model,
        state=state,
        step=int(state.step),
        diverged={**find_non_finite_parameters(state), **diverged},
        skipped=(),
        preset=description.preset,
        class_names=description.class_names,
        standardization=description.standardization,
    )
    return summary_content(prepared, fitted, best, durations, evaluate_run(run, data=prepared.test))


def summary_content(
    prepared: Prepared, fitted: Fit, best: Found | None, durations: Durations, test: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the content of `summary.json` for metrics on the test split."""
    config, step = prepared.config, int(fitted.state.step)
    return {
        "family": prepared.description.family,
        "preset": prepared.description.preset,
        "data": config.data,
        "step": step,
        "ended_early": step < config.steps,
        **({"best": best._asdict()} if best is not None else {}),
        **{name: round(seconds, 3) for name, seconds in dataclasses.asdict(durations).items()},
        "diverged": diverged_to_json(fitted.diverged),
        "test": dict(test),
    }
