"""Train a model into a run folder, or resume a run: config, data, model, state, `fit` with callbacks, summary."""

import contextlib
import dataclasses
import math
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import filelock
import jax
import jax.numpy as jnp

from jaxgen.callbacks import Checkpoints, ImageGrid, MetricsLog, Progress, SampleMetrics
from jaxgen.callbacks.checkpoints import diverged_from_json, diverged_to_json
from jaxgen.data import Stream, example
from jaxgen.errors import DivergenceError, InputError, check_known, printable
from jaxgen.game import Model, State
from jaxgen.models import REGISTRY, Family, build_model, family_errors
from jaxgen.models.family import check_name
from jaxgen.runs.config import (
    RunConfig,
    RunDescription,
    check_options,
    check_unchanged,
    read_config,
    with_absolute_paths,
    write_config,
)
from jaxgen.runs.evaluation import evaluate_run, load_test_split
from jaxgen.runs.loading import Run, abstract_state
from jaxgen.runs.outputs import make_folder, write_json
from jaxgen.training.checkpoint import completed, restore
from jaxgen.training.chunk import Callback, Chunk, Divergence
from jaxgen.training.loop import Fit, check_batch_size, fit
from jaxgen.training.phases import stages
from jaxgen.typing import Batch, KeyArray

LOCK = ".lock"
"""File by which a process reserves a run folder."""

Notify = Callable[[str], None]


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
        durations: time that these steps have taken.
    """

    step: int = 0
    state: State | None = None
    diverged: Mapping[int, Divergence] = {}
    durations: Durations = Durations()


def print_to_stderr(line: str) -> None:
    """Print a line to stderr, without characters that control the terminal."""
    print(printable(line), file=sys.stderr)


def train(
    folder: str | Path,
    family: str | Family,
    config: RunConfig[Any],
    *,
    model: Model | None = None,
    resume: bool = False,
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
        notify: called with notices for the user, e.g. of a damaged checkpoint.

    Returns:
        The content of `summary.json`.

    Raises:
        InputError: if an option is wrong, or a file cannot be written. A new run that has not completed its first chunk
            leaves no folder behind.
        DivergenceError: if a loss or a gradient is not finite; the message names the last checkpoint before it.
    """
    folder, config, family = Path(folder), with_absolute_paths(config), _family(family)
    check_options(family, config, custom=model is not None)
    _check_folder(folder, resume=resume)
    before = read_config(folder, family=family) if resume else None
    data = config.source.load("train")
    description = RunDescription(family.name, config, example(data), custom=model is not None)
    if before is not None:
        check_unchanged(before, description, folder)
    model = model or _built(family, description)
    check_batch_size(model, data, config.batch_size)
    # What is wrong with the test split should be known before the training, not after it.
    test = load_test_split(config, description.example) if model.evaluate is not None else None
    with _locked(folder, new=not resume), contextlib.nullcontext() if resume else _removed_if_incomplete(folder):
        start = _resumed(folder, model, description, notify) if resume else Start()
        write_config(folder, description)
        durations = dataclasses.replace(start.durations)
        fitted = _fit(folder, description, model, data, start, durations)
        for seed, where in sorted(fitted.diverged.items()):
            notify(f"the run with seed {config.seed + seed} was left out: {where}")
        summary = _summary(folder, description, model, test, fitted, durations)
        write_json(folder / "summary.json", summary)
    return summary


def _fit(
    folder: Path, description: RunDescription, model: Model, data: Batch | Stream, start: Start, durations: Durations
) -> Fit:
    """Run `fit` with the callbacks of a run folder."""
    config = description.config
    first_seed = None if config.seeds is None else config.seed
    with (
        Progress(config.steps, start.step, first_seed=first_seed) as progress,
        MetricsLog(folder, start.step, several_seeds=config.seeds is not None) as log,
    ):

        def on_compiled(seconds: float) -> None:
            durations.compile_seconds += seconds
            progress.compiled(seconds)

        try:
            return fit(
                model,
                data,
                key=config.keys,
                steps=config.steps,
                batch_size=config.batch_size,
                state=start.state,
                first_step=start.step,
                diverged=start.diverged,
                chunk=config.log_every,
                callbacks=[durations, progress, *_callbacks(folder, description, model, data, log, durations)],
                on_compiled=on_compiled,
            )
        except DivergenceError as error:
            raise DivergenceError(f"{error}; {_last_checkpoint(folder, description, model)}") from None


def _callbacks(
    folder: Path,
    description: RunDescription,
    model: Model,
    data: Batch | Stream,
    log: MetricsLog,
    durations: Durations,
) -> list[Callback]:
    """What happens between two chunks, as far as the model can do it."""
    config = description.config
    due = {"every": config.image_every, "last": config.steps, "seed": config.seed}
    loss = None if description.custom else getattr(config.model_config, "loss", None)
    metrics = [SampleMetrics(model, config.source, data, **due)] if model.sample is not None else []
    grid = ImageGrid(folder / "samples", model, config.data, data, loss=loss, **due)
    checkpoints = Checkpoints(
        folder / "checkpoints",
        every=config.checkpoint_every,
        last=config.steps,
        meta=lambda: dataclasses.asdict(durations),
    )
    return [*metrics, log, grid, checkpoints]


def _family(family: str | Family) -> Family:
    if isinstance(family, Family):
        check_name(family.name)
        if REGISTRY.get(family.name, family) != family:
            raise InputError(f"the name of a family must not be that of another family of jaxgen, got '{family.name}'")
        return family
    check_known("model", family, REGISTRY)
    return REGISTRY[family]


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
    # A process that is killed before it writes config.json leaves a lock file alone.
    if not resume and folder.exists() and {path.name for path in folder.iterdir()} != {LOCK}:
        raise InputError(_exists(folder))


def _exists(folder: Path) -> str:
    return f"{folder} exists: give another --out, or --resume to resume the run in it"


@contextlib.contextmanager
def _locked(folder: Path, *, new: bool) -> Iterator[None]:
    """Lock the folder for this process; the operating system releases the lock when the process ends in any way."""
    make_folder(folder)
    lock = filelock.FileLock(folder / LOCK)
    try:
        held = lock.acquire(timeout=0)
    except filelock.Timeout:
        raise InputError(f"{folder} is in use by another process: wait for it, or give another --out") from None
    with held:
        if new and (folder / "config.json").exists():  # Of a process that began after the folder was looked for.
            raise InputError(_exists(folder))
        yield


@contextlib.contextmanager
def _removed_if_incomplete(folder: Path) -> Iterator[None]:
    """Delete the folder of a new run that ends before its first chunk is complete."""
    try:
        yield
    except DivergenceError:  # The training itself failed: config.json is needed to find out why.
        raise
    except BaseException:
        log = folder / "metrics.jsonl"
        if not log.is_file() or not log.stat().st_size:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _resumed(folder: Path, model: Model, description: RunDescription, notify: Notify) -> Start:
    """The newest complete checkpoint of a run."""
    if not completed(folder / "checkpoints"):
        notify(f"{folder} has no checkpoint yet: starting from the beginning")
        return Start()
    restored = restore(folder / "checkpoints", abstract_state(model, description.config, description.example))
    for skipped in restored.skipped:
        notify(f"skipping a checkpoint: {skipped}")
    if restored.step > description.config.steps:
        raise InputError(
            f"{folder} has been trained for {restored.step} steps already: give at least that many as --steps"
        )
    notify(f"resuming at step {restored.step}")
    return Start(restored.step, restored.state, diverged_from_json(restored.meta), Durations.stored(restored.meta))


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
    family, config, example_batch, _ = description
    run = Run(folder, family, config, example_batch, model, fitted.state, config.steps, fitted.diverged, ())
    return {
        "family": family,
        "data": config.data,
        "step": config.steps,
        **{name: round(seconds, 3) for name, seconds in dataclasses.asdict(durations).items()},
        "diverged": diverged_to_json(fitted.diverged),
        "test": evaluate_run(run, data=test),
    }
