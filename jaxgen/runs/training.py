"""Train a model into a run folder, or resume a run: config, data, model, state, `fit` with callbacks, summary."""

import contextlib
import dataclasses
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import filelock
import jax
import jax.numpy as jnp

from jaxgen.callbacks import Checkpoints, ImageGrid, MetricsLog, Progress, SampleMetrics
from jaxgen.callbacks.checkpoints import diverged_from_json, diverged_to_json, unfinished_from_json
from jaxgen.data import SYNTHETIC, Augmentation, Stream, example, fingerprint
from jaxgen.data.sources import Notify, print_to_stderr
from jaxgen.errors import DivergenceError, InputError, check_known
from jaxgen.game import Model, State
from jaxgen.interruption import on_leaving
from jaxgen.models import REGISTRY, Family, build_model, family_errors
from jaxgen.models.family import check_name
from jaxgen.models.standardization import Standardization, standardization_of, standardized
from jaxgen.runs.config import (
    RunConfig,
    RunDescription,
    check_options,
    check_trained_with,
    check_unchanged,
    read_config,
    to_json,
    with_absolute_paths,
    write_config,
)
from jaxgen.runs.evaluation import evaluate_run, load_test_split
from jaxgen.runs.loading import Run, abstract_state
from jaxgen.runs.outputs import make_folder, write_json
from jaxgen.training.augmentation import augmented
from jaxgen.training.checkpoint import completed, restore, steps
from jaxgen.training.chunk import Callback, Chunk, Divergence, Unfinished
from jaxgen.training.loop import NO_STEPS, Fit, Interrupted, check_batch_size, fit
from jaxgen.training.phases import stages
from jaxgen.typing import Batch, KeyArray

LOCK = ".lock"
"""File by which a process reserves a run folder."""


STANDARDIZED = (
    "the model is trained on points with mean 0 and standard deviation 1 in each column; samples have the unit of the "
    "data, losses and metrics of examples are those of the standardized points"
)
"""Notice for points of the user."""


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
    """

    step: int = 0
    state: State | None = None
    diverged: Mapping[int, Divergence] = {}
    unfinished: Unfinished = NO_STEPS
    durations: Durations = Durations()


def train(
    folder: str | Path,
    family: str | Family,
    config: RunConfig[Any],
    *,
    model: Model | None = None,
    resume: bool = False,
    preset: str | None = None,
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
            `steps` and `data_dir`.
        preset: name of the preset from which the model's options were taken, for titles; a run that is resumed keeps
            its own.
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
    folder, config, family = Path(folder), with_absolute_paths(config), _family(family)
    check_options(family, config, custom=model is not None)
    _check_folder(folder, resume=resume)
    before = read_config(folder, family=family) if resume else None
    data, class_names, read = config.source.open("train")
    if read:
        notify(read)
    preset = preset if before is None else before.preset
    description = RunDescription(family.name, config, example(data), model is not None, preset, class_names)
    by = before.standardization if before is not None else _standardization(config.data, data)
    preset = preset if before is None else before.preset
    description = RunDescription(family.name, config, example(data), model is not None, preset, class_names, by)
    if before is not None:
        check_unchanged(before, description, folder)
    config.augmentation.check(description.example)
    model = model or _built(family, description)
    if by is not None:
        model = standardized(model, by)
        notify(STANDARDIZED)
    check_batch_size(model, data, config.batch_size)
    # What is wrong with the test split should be known before the training, not after it.
    test = load_test_split(config, description.example) if model.evaluate is not None else None
    # Stored beside every state. Points of known densities are drawn anew, and may differ by rounding between machines.
    inputs = {"run": to_json(description), "data": None if config.data in SYNTHETIC else fingerprint(data)}
    with _reserved(folder, resume=resume):
        if resume:  # Another process may have used the folder since it was looked at.
            check_unchanged(read_config(folder, family=family), description, folder)
        start = _resumed(folder, family, model, description, inputs["data"], notify) if resume else Start()
        write_config(folder, description)
        durations = dataclasses.replace(start.durations)
        fitted = _fit(folder, description, model, data, start, durations, inputs, notify)
        for seed, where in sorted(fitted.diverged.items()):
            notify(f"the run with seed {config.seed + seed} was left out: {where}")
        summary = _summary(folder, description, model, test, fitted, durations)
        _check_present(folder)
        write_json(folder / "summary.json", summary)
    return summary


def _fit(
    folder: Path,
    description: RunDescription,
    model: Model,
    data: Batch | Stream,
    start: Start,
    durations: Durations,
    inputs: Mapping[str, Any],
    notify: Notify,
) -> Fit:
    """Run `fit` with the callbacks of a run folder."""
    config = description.config
    first_seed = None if config.seeds is None else config.seed
    checkpoints = Checkpoints(
        folder / "checkpoints",
        every=config.checkpoint_every,
        last=config.steps,
        first_step=start.step,
        meta=lambda: {**dataclasses.asdict(durations), **inputs},
    )
    with (
        Progress(config.steps, start.step - start.unfinished.steps, first_seed=first_seed) as progress,
        MetricsLog(folder, start.step, several_seeds=config.seeds is not None) as log,
    ):
        if log.recomputed:
            notify(f"lines of the log after step {start.step} are computed again: {log.recomputed}")
        if log.incomplete:
            notify(f"incomplete lines of the log were dropped: {log.incomplete}")

        def on_compiled(seconds: float) -> None:
            durations.compile_seconds += seconds
            progress.compiled(seconds)

        try:
            return fit(
                _augmented(model, config),
                data,
                key=config.keys,
                steps=config.steps,
                batch_size=config.batch_size,
                state=start.state,
                first_step=start.step,
                diverged=start.diverged,
                unfinished=start.unfinished,
                chunk=config.log_every,
                callbacks=[
                    durations,
                    progress,
                    *_callbacks(folder, description, model, data, log),
                    lambda _: _check_present(folder),
                    checkpoints,
                ],
                on_compiled=on_compiled,
            )
        except DivergenceError as error:
            raise DivergenceError(f"{error}; {_last_checkpoint(folder, description, model)}") from None
        except Interrupted as training:
            checkpoints.interrupted(training)
            if training.step == 0:
                raise
            raise KeyboardInterrupt(f"interrupted: step {training.step} is saved") from None


def _augmented(model: Model, config: RunConfig[Any]) -> Model:
    return model if config.augmentation == Augmentation() else augmented(model, config.augmentation)


def _callbacks(
    folder: Path, description: RunDescription, model: Model, data: Batch | Stream, log: MetricsLog
) -> list[Callback]:
    """What happens between two chunks before the checkpoint, as far as the model can do it."""
    config = description.config
    due = {"every": config.image_every, "last": config.steps, "seed": config.seed}
    loss = None if description.custom else getattr(config.model_config, "loss", None)
    metrics = [SampleMetrics(model, config.source, data, **due)] if model.sample is not None else []
    grid = ImageGrid(
        folder / "samples", model, config.data, data, loss=loss, class_names=description.class_names, **due
    )
    return [*metrics, log, grid]


def _family(family: str | Family) -> Family:
    if isinstance(family, Family):
        check_name(family.name)
        if REGISTRY.get(family.name, family) != family:
            raise InputError(f"the name of a family must not be that of another family of jaxgen, got '{family.name}'")
        return family
    check_known("model", family, REGISTRY)
    return REGISTRY[family]


def _standardization(name: str, data: Batch | Stream) -> Standardization | None:
    """How the points of a training split are standardized; None for images, and for densities that are known."""
    if isinstance(data, Stream) or "point" not in data or name in SYNTHETIC:
        return None
    return standardization_of(data["point"])


def _built(family: Family, description: RunDescription) -> Model:
    """The model of a family; where it is from outside the package, its errors are raised here, before the training."""
    model = build_model(family, description.config.model_config, description.example)
    if family.name not in REGISTRY:
        with family_errors(family):
            _trace(model, description.config, description.example)
    return model


def _trace(model: Model, config: RunConfig[Any], example_batch: Batch) -> None:
    """Call the functions that a training calls, for shapes alone."""

    def call(key: KeyArray, example: Batch) -> None:
        state = model.init(key, example_batch)
        for stage in stages(model, config.steps):
            phase = stage.phase
            batch = _repeated(example, phase.slices * (phase.batch_size or config.batch_size))
            # A loop, as in the training: the step must return a state of the same shapes.
            state = jax.lax.fori_loop(
                0, 1, lambda _, state, phase=phase, x=batch: phase.step(key, state, phase.preprocess(x))[0], state
            )
        batch = _repeated(example, config.batch_size)
        results = {
            name: function(state, batch)
            for name in ("encode", "reconstruct", "predict")
            if (function := getattr(model, name)) is not None
        }
        if model.evaluate is not None:
            results |= {f"metric {name}": values for name, values in model.evaluate(key, state, batch).items()}
        if model.sample is not None:
            results["sample"] = model.sample(key, state, config.batch_size)
        for name, result in results.items():
            if jnp.shape(result)[:1] != (config.batch_size,):
                raise ValueError(
                    f"{name} must have a leading axis of {config.batch_size} examples, got shape {jnp.shape(result)}"
                )

    jax.eval_shape(call, jax.random.key(0), example_batch)


def _repeated(example: Batch, size: int) -> Batch:
    """A batch of copies of the first example."""
    return {name: jnp.repeat(jnp.asarray(array)[:1], size, axis=0) for name, array in example.items()}


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
def _reserved(folder: Path, *, resume: bool) -> Iterator[None]:
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


def _resumed(
    folder: Path, family: Family, model: Model, description: RunDescription, data: Any, notify: Notify
) -> Start:
    """The newest complete checkpoint of a run."""
    if not completed(folder / "checkpoints"):
        notify(f"{folder} has no checkpoint yet: starting from the beginning")
        return Start()
    restored = restore(folder / "checkpoints", abstract_state(model, description.config, description.example))
    for skipped in restored.skipped:
        notify(f"skipping a checkpoint: {skipped}")
    meta = restored.meta
    if restored.step > description.config.steps:
        raise InputError(
            f"{folder} has been trained for {restored.step} steps already: give at least that many as --steps"
        )
    check_trained_with(meta.get("run"), description, folder, restored.step, family=family)
    _check_data(meta.get("data"), data, folder, description.config.data)
    notify(f"resuming at step {restored.step}")
    return Start(
        restored.step,
        restored.state,
        diverged_from_json(meta),
        unfinished_from_json(meta),
        Durations.stored(meta),
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


def _summary(
    folder: Path,
    description: RunDescription,
    model: Model,
    test: Batch | Stream | None,
    fitted: Fit,
    durations: Durations,
) -> dict[str, Any]:
    """The content of `summary.json`."""
    family, config, example_batch = description.family, description.config, description.example
    run = Run(
        folder=folder,
        family=family,
        config=config,
        example=example_batch,
        model=model,
        state=fitted.state,
        step=config.steps,
        diverged=fitted.diverged,
        skipped=(),
        preset=description.preset,
        class_names=description.class_names,
        standardization=description.standardization,
    )
    return {
        "family": family,
        "preset": description.preset,
        "data": config.data,
        "step": config.steps,
        **{name: round(seconds, 3) for name, seconds in dataclasses.asdict(durations).items()},
        "diverged": diverged_to_json(fitted.diverged),
        "test": evaluate_run(run, data=test),
    }
