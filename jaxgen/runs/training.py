"""Train a model into a run folder, or go on with one."""

import contextlib
import dataclasses
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import filelock

from jaxgen.callbacks.image_grid import ImageGrid
from jaxgen.callbacks.log import MetricsLog, Progress
from jaxgen.callbacks.sample_metrics import SampleMetrics
from jaxgen.data import Stream, example, load
from jaxgen.errors import DivergenceError, InputError, check_known
from jaxgen.game import Model, State
from jaxgen.models import REGISTRY
from jaxgen.runs.config import RunConfig, RunDescription, check_unchanged, located, read_config, write_config
from jaxgen.runs.evaluation import evaluate_run, load_test_split
from jaxgen.runs.loading import Run, abstract_state, diverged_from, diverged_to, run_key
from jaxgen.runs.outputs import make_folder, write_json
from jaxgen.training.checkpoint import completed, restore, save
from jaxgen.training.loop import Chunk, Divergence, Fit, check_batch_size, fit
from jaxgen.typing import Batch


@dataclasses.dataclass
class Times:
    """What the turns of a run have taken so far, in all its sessions, without what was lost with one that was killed.

    Pictures, checkpoints and the evaluation at the end are in neither number.

    Attributes:
        seconds: of its turns.
        compile_seconds: of tracing and compiling them, or of finding in JAX's cache what was compiled before.
    """

    seconds: float = 0.0
    compile_seconds: float = 0.0

    def __call__(self, chunk: Chunk) -> None:
        """Count a chunk of turns: a hook of `fit`."""
        self.seconds += chunk.seconds


class Begin(NamedTuple):
    """Where a training goes on from.

    Attributes:
        step: turns that the state has behind it.
        state: None for a new run.
        diverged: runs that had diverged before.
        times: what that state has taken.
    """

    step: int = 0
    state: State | None = None
    diverged: Mapping[int, Divergence] = {}
    times: Times = Times()


def train(
    folder: str | Path,
    family: str,
    config: RunConfig[Any],
    *,
    resume: bool = False,
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr),
) -> dict[str, Any]:
    """Train a model and keep everything in a folder.

    Args:
        folder: where; it must not exist yet, unless a run goes on.
        family: name of the model's family in the registry.
        config: everything else that decides how the run goes.
        resume: go on from the newest whole checkpoint. The settings must be those of the run, but for more steps.
        say: is told what the user should know, e.g. of a damaged checkpoint.

    Returns:
        The content of `summary.json`.

    Raises:
        InputError: if something that was asked for is wrong, or cannot be written. A new run that has not played its
            first turns yet leaves no folder behind.
        DivergenceError: if a loss or a gradient is not finite, with the last good checkpoint.
    """
    folder, config = Path(folder), located(config)
    check_known("model", family, REGISTRY)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file, and a run is kept in a folder: give another --out")
    if not resume and folder.exists():
        raise InputError(f"{folder} exists: give another --out, or --resume to go on with the run in it")
    before = read_config(folder) if resume else None
    data = load(config.data, split="train", data_dir=config.data_dir, image_size=config.image_size)
    shown = example(data)
    asked = RunDescription(family, config, shown)
    if before is not None:
        check_unchanged(before, asked, folder)
    model = REGISTRY[family].build(config.model_config, shown)
    blank = abstract_state(model, config, shown)
    check_batch_size(model, data, config.batch_size)
    # What is wrong with the test split should be known before the training, not after it.
    test = load_test_split(config, shown) if model.evaluate is not None else None
    with _locked(folder), contextlib.nullcontext() if resume else _undone_before_the_first_turns(folder):
        begin = _begin(folder, blank, config, say) if resume else Begin()
        write_config(folder, asked)
        return _train(folder, asked, model, data, test, begin, say)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder for this process; the operating system lets go of it when the process ends, however it ends."""
    make_folder(folder)
    lock = filelock.FileLock(folder / ".lock")
    try:
        held = lock.acquire(timeout=0)
    except filelock.Timeout:
        raise InputError(f"{folder} is in use by another process: wait for it, or give another --out") from None
    with held:
        yield


@contextlib.contextmanager
def _undone_before_the_first_turns(folder: Path) -> Iterator[None]:
    """Delete the folder of a new run that is given up before it has learnt anything."""
    try:
        yield
    except DivergenceError:  # It is the turns that went wrong: config.json says of what.
        raise
    except BaseException:
        log = folder / "metrics.jsonl"
        if not log.is_file() or not log.stat().st_size:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _begin(folder: Path, blank: State, config: RunConfig[Any], say: Callable[[str], None]) -> Begin:
    if not completed(folder / "checkpoints"):
        say(f"{folder} has no checkpoint yet: starting from the beginning")
        return Begin()
    restored = restore(folder / "checkpoints", blank)
    for skipped in restored.skipped:
        say(f"passing over a checkpoint: {skipped}")
    if restored.step > config.steps:
        raise InputError(f"{folder} has been trained for {restored.step} steps already: give more than that as --steps")
    say(f"going on from step {restored.step}")
    taken = {field.name: float(restored.meta.get(field.name, 0.0)) for field in dataclasses.fields(Times)}
    return Begin(restored.step, restored.state, diverged_from(restored.meta), Times(**taken))


def _train(
    folder: Path,
    asked: RunDescription,
    model: Model,
    data: Batch | Stream,
    test: Batch | Stream | None,
    begin: Begin,
    say: Callable[[str], None],
) -> dict[str, Any]:
    config = asked.config
    times = dataclasses.replace(begin.times)
    first_seed = None if config.seeds is None else config.seed
    with (
        Progress(config.steps, begin.step, first_seed=first_seed) as progress,
        MetricsLog(folder, begin.step) as log,
    ):
        images = ImageGrid(folder / "samples", model, config, data)
        judged_log = SampleMetrics(log, model, config, data)

        def compiled(seconds: float) -> None:
            times.compile_seconds += seconds
            progress.compiled(seconds)

        def checkpoint(chunk: Chunk) -> None:
            if chunk.passes(config.checkpoint_every) or chunk.step == config.steps:
                meta = {"diverged": diverged_to(chunk.diverged), **dataclasses.asdict(times)}
                save(folder / "checkpoints", chunk.step, chunk.state, meta=meta)

        try:
            fitted = fit(
                model,
                data,
                key=run_key(config),
                steps=config.steps,
                batch_size=config.batch_size,
                state=begin.state,
                first_step=begin.step,
                diverged=begin.diverged,
                chunk=config.log_every,
                # The checkpoint last: what it has behind it is never done again.
                callbacks=(times, progress, judged_log, images, checkpoint),
                when_compiled=compiled,
            )
        except DivergenceError as error:
            raise DivergenceError(f"{error}; {_last_good_checkpoint(folder, asked, model)}") from None
    for run, where in sorted(fitted.diverged.items()):
        say(f"the run with seed {config.seed + run} was left out: {where}")
    summary = _summary(folder, asked, model, test, fitted, times)
    write_json(folder / "summary.json", summary)
    return summary


def _last_good_checkpoint(folder: Path, asked: RunDescription, model: Model) -> str:
    """Name the checkpoint that is left to a run that diverged, or say that there is none."""
    if not completed(folder / "checkpoints"):
        return "there is no checkpoint yet"
    try:
        restored = restore(folder / "checkpoints", abstract_state(model, asked.config, asked.example))
    except InputError as error:
        return str(error)
    return f"the last good checkpoint is that of step {restored.step}"


def _summary(
    folder: Path, asked: RunDescription, model: Model, test: Batch | Stream | None, fitted: Fit, times: Times
) -> dict[str, Any]:
    """What `summary.json` says."""
    config = asked.config
    run = Run(folder, *asked, model, fitted.state, config.steps, fitted.diverged, ())
    return {
        "model": asked.family,
        "data": config.data,
        "step": config.steps,
        **{name: round(seconds, 3) for name, seconds in dataclasses.asdict(times).items()},
        "diverged": diverged_to(fitted.diverged),
        "test": evaluate_run(run, data=test),
    }
