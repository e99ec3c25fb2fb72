"""Train a model into a run folder, or resume a run: config, data, model, state, `fit` with callbacks, summary."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from jaxgen._signatures import checked
from jaxgen.callbacks import Checkpoints, FeatureMetrics, ImageGrid, MetricsLog, Profile, Progress, SampleMetrics
from jaxgen.callbacks.augmentation_warning import AugmentationWarning
from jaxgen.callbacks.best_state import Best, Found, Validation
from jaxgen.callbacks.checkpoints import diverged_from_json, diverged_to_json
from jaxgen.data.sources import Notify, print_to_stderr
from jaxgen.errors import DivergenceError, InputError
from jaxgen.game import Model, State
from jaxgen.models import Family
from jaxgen.paths import expand_path
from jaxgen.runs.config import RunConfig
from jaxgen.runs.config_changes import check_unchanged
from jaxgen.runs.config_json import read_config, write_config
from jaxgen.runs.evaluation import evaluate_run
from jaxgen.runs.loading import Run, abstract_state
from jaxgen.runs.outputs import write_json
from jaxgen.runs.preparation import Prepared, prepare_run, selection
from jaxgen.runs.reservation import check_folder, check_present, reserved
from jaxgen.runs.sample_evaluation import reference_of
from jaxgen.runs.start import Durations, Start, start_of
from jaxgen.training.checkpoint import completed, restore
from jaxgen.training.chunk import Callback, Divergence, find_non_finite_parameters
from jaxgen.training.loop import Fit, Interrupted, fit

PROFILE = "profile"
"""Name of the folder of the trace of a training, in that of the run."""


@checked
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
    folder = expand_path(folder)
    check_folder(folder, resume=resume)
    prepared = prepare_run(folder, family, config, model=model, resume=resume, preset=preset, notify=notify)
    config = prepared.config
    with reserved(folder, resume=resume):
        if resume:  # Another process may have used the folder since it was looked at.
            check_unchanged(read_config(folder, family=prepared.family), prepared.description, folder)
        start = start_of(prepared, resume=resume, notify=notify)
        write_config(folder, prepared.description)
        durations = dataclasses.replace(start.durations)
        fitted, best = _fit(prepared, start, durations, notify, profile=profile)
        for seed, where in sorted(fitted.diverged.items()):
            notify(f"the run with seed {config.seed + seed} was left out: {where}")
        summary = run_summary(prepared, fitted, best, durations)
        check_present(folder)
        write_json(folder / "summary.json", summary)
    return summary


def _fit(
    prepared: Prepared, start: Start, durations: Durations, notify: Notify, *, profile: bool
) -> tuple[Fit, Found | None]:
    """Run `fit` with the callbacks of a run folder; also returns the best state, where one is kept."""
    folder, config = prepared.folder, prepared.config
    names = [] if config.seeds is None else [f"seed {config.seed + number}" for number in range(config.seeds)]

    def meta() -> dict[str, Any]:
        found = {} if best is None else {"best": best.found._asdict()}
        return {**dataclasses.asdict(durations), **prepared.inputs, **found}

    best = _best(prepared, start, meta)
    checkpoints = checkpoints_of(prepared, start, meta)
    if best is not None and best.is_exhausted:
        notify(f"the training ended early at step {start.step}: give more --patience to continue it")
        assert start.state is not None
        return Fit(start.state, start.diverged, 0.0, {}), best.found
    with (
        Progress(config.steps, start.step - start.unfinished.steps, names=names) as progress,
        MetricsLog(folder, start.step, several_seeds=config.seeds is not None) as log,
        Profile(folder / PROFILE) if profile else contextlib.nullcontext() as trace,
    ):
        _report_log(log, start.step, notify)

        def on_compiled(seconds: float) -> None:
            durations.compile_seconds += seconds
            progress.compiled(seconds)
            if trace is not None:
                trace.start()

        callbacks: list[Callback] = [durations, progress, *run_callbacks(prepared, log, notify)]
        callbacks += [] if best is None else [best]
        callbacks += [lambda _: check_present(folder), checkpoints]
        callbacks = callbacks if trace is None else [trace, *callbacks]
        with saved_or_explained(prepared, checkpoints):
            stop = None if best is None else lambda _: best.is_exhausted
            fitted = fit_from(start, prepared, key=config.keys, callbacks=callbacks, on_compiled=on_compiled, stop=stop)
    step = int(fitted.state.step)
    if step < config.steps:
        notify(f"{config.keep_best} has not improved for {config.patience} evaluations: ended at step {step}")
        checkpoints.ended(step, fitted)
    return fitted, None if best is None else best.found


def fit_from(start: Start, prepared: Prepared, **options: Any) -> Fit:
    """Run `fit` from a start with what the config of a run determines.

    Args:
        start: where the training starts.
        prepared: the training.
        **options: the other arguments of `fit`: the keys and the callbacks.

    Returns:
        The result of `fit`.
    """
    config = prepared.config
    return fit(
        prepared.trained_model,
        prepared.data,
        steps=config.steps,
        batch_size=config.update_size,
        state=start.state,
        first_step=start.step,
        diverged=start.diverged,
        unfinished=start.unfinished,
        chunk=config.chunk,
        **options,
    )


def checkpoints_of(prepared: Prepared, start: Start, meta: Callable[[], Mapping[str, Any]]) -> Checkpoints:
    """Return the callback that saves the states of a run.

    Args:
        prepared: the training.
        start: where it starts.
        meta: function called at every checkpoint for what is stored beside the state.

    Returns:
        The callback.
    """
    config = prepared.config
    return Checkpoints(
        prepared.folder / "checkpoints",
        every=config.checkpoint_every,
        last=config.steps,
        first_step=start.step,
        meta=meta,
    )


def _report_log(log: MetricsLog, first_step: int, notify: Notify) -> None:
    """Report the lines that a resumed run does not continue."""
    if log.recomputed:
        notify(f"lines of the log after step {first_step} are computed again: {log.recomputed}")
    if log.incomplete:
        notify(f"incomplete lines of the log were dropped: {log.incomplete}")


@contextlib.contextmanager
def saved_or_explained(
    prepared: Prepared, checkpoints: Checkpoints, save_parts: Callable[[Interrupted], None] = lambda _: None
) -> Iterator[None]:
    """Save the state of a training that is interrupted, and name the last checkpoint of one that diverges.

    Args:
        prepared: the training.
        checkpoints: callback that saves its states.
        save_parts: function called for what else is saved when it is interrupted, before the state.

    Raises:
        DivergenceError: if every seed diverges; with the last checkpoint before it.
        KeyboardInterrupt: if the training is interrupted; with the step whose state was saved.
    """
    try:
        yield
    except DivergenceError as error:
        raise DivergenceError(f"{error}; {_last_checkpoint(prepared)}") from None
    except Interrupted as training:
        save_parts(training)
        checkpoints.interrupted(training)
        if training.step == 0:
            raise
        raise KeyboardInterrupt(f"interrupted: step {training.step} is saved") from None


def _best(prepared: Prepared, start: Start, meta: Callable[[], Mapping[str, Any]]) -> Best | None:
    """The callback that keeps the best state, where one is wanted."""
    config = prepared.config
    if config.keep_best is None:
        return None
    metric, better = selection(config.keep_best)
    return Best(
        prepared.folder / "best",
        metric,
        larger_is_better=better == "larger",
        patience=config.patience,
        found=start.best,
        meta=meta,
    )


def run_callbacks(prepared: Prepared, log: MetricsLog, notify: Notify) -> list[Callback]:
    """What happens between two chunks before the checkpoint, as far as the model can do it."""
    grid = image_grid(prepared, prepared.model, every=prepared.config.image_every)
    return [*metric_callbacks(prepared, prepared.model, notify), AugmentationWarning(notify), log, grid]


def image_grid(prepared: Prepared, model: Model, *, every: int) -> ImageGrid:
    """Return the callback that draws the figures of a run.

    Args:
        prepared: the training.
        model: model of the states that the callback receives.
        every: number of steps between two figures.

    Returns:
        The callback.
    """
    config = prepared.config
    return ImageGrid(
        prepared.folder / "samples",
        model,
        config.data,
        prepared.data,
        loss=None if prepared.description.custom else getattr(config.model_config, "loss", None),
        class_names=prepared.description.class_names,
        every=every,
        last=config.steps,
        seed=config.seed,
    )


def metric_callbacks(prepared: Prepared, model: Model, notify: Notify) -> list[Callback]:
    """The callbacks that return metrics of samples and of validation examples."""
    config = prepared.config
    found: list[Callback] = []
    if model.sample is not None:
        due = {"every": config.image_every, "last": config.steps, "seed": config.seed}
        found += [SampleMetrics(model, config.source, prepared.data, **due)]
    if prepared.extractor is not None:
        found += [
            FeatureMetrics(
                model,
                prepared.population,
                config.metrics,
                prepared.extractor,
                reference=reference_of(config, "train", prepared.population),
                count=config.metric_samples,
                every=config.metric_every or config.image_every,
                last=config.steps,
                seed=config.seed,
                notify=notify,
            )
        ]
    if prepared.validation is not None:
        due = {"every": config.evaluate_every or config.steps, "last": config.steps, "seed": config.seed}
        found += [Validation(model, prepared.validation, **due)]
    return found


def _last_checkpoint(prepared: Prepared) -> str:
    """A clause that names the checkpoint which a diverged run has left, or states that there is none."""
    folder, description, model = prepared.folder, prepared.description, prepared.model
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
    metrics = evaluate_run(trained_run(prepared, state, diverged), data=prepared.test)
    return summary_content(prepared, fitted, best, durations, metrics)


def trained_run(prepared: Prepared, state: State, diverged: Mapping[int, Divergence]) -> Run:
    """Return a run with a state of its training, as `load_run` would.

    Args:
        prepared: the training.
        state: state of all seeds.
        diverged: seeds that have diverged; those whose parameters are not finite are left out as well.

    Returns:
        The run.
    """
    description = prepared.description
    return Run(
        folder=prepared.folder,
        family=description.family,
        config=prepared.config,
        example=description.example,
        model=prepared.model,
        state=state,
        step=int(state.step),
        diverged={**find_non_finite_parameters(state), **diverged},
        skipped=(),
        preset=description.preset,
        class_names=description.class_names,
        standardization=description.standardization,
        custom=description.custom,
    )


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
