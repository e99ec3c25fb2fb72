"""Where a training starts: at the beginning, from the parameters of another run, or at a checkpoint."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

from jaxgen.callbacks.best_state import Found
from jaxgen.callbacks.checkpoints import diverged_from_json, unfinished_from_json
from jaxgen.data.sources import Notify
from jaxgen.errors import InputError, shortened
from jaxgen.game import State
from jaxgen.runs.config_changes import check_trained_with
from jaxgen.runs.initialization import initial_state_from, state_text
from jaxgen.runs.loading import abstract_state
from jaxgen.runs.preparation import Prepared
from jaxgen.training.checkpoint import completed, restore
from jaxgen.training.chunk import Chunk, Divergence, Unfinished
from jaxgen.training.stage_program import NO_STEPS


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
                raise InputError(f"'{name}' of a checkpoint must be a number of seconds, got {shortened(seconds)}")
        return cls(**found)

    def share(self, runs: int) -> Self:
        """Return the share of one of several runs that are trained together.

        Args:
            runs: number of runs.

        Returns:
            Durations.
        """
        return type(self)(self.seconds / runs, self.compile_seconds / runs)

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


def start_of(prepared: Prepared, *, resume: bool, notify: Notify) -> Start:
    """Return where a training starts.

    Args:
        prepared: the training.
        resume: whether to start from the newest complete checkpoint of its folder.
        notify: called with notices for the user.

    Returns:
        The start; that of the beginning where the folder has no checkpoint.

    Raises:
        InputError: if a checkpoint is that of another config, of other data or of more steps, or the run whose
            parameters are the first ones cannot be loaded.
    """
    start = _resumed(prepared, notify) if resume else Start()
    if start.step == 0 and prepared.config.init_from is not None:
        return start._replace(state=_initial_state(prepared, notify))
    return start


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
    check_trained_with(
        meta.get("run"), description, folder / "checkpoints" / str(restored.step), family=prepared.family
    )
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


def _initial_state(prepared: Prepared, notify: Notify) -> State:
    """The state before the first step of a run that starts from the parameters of another."""
    config = prepared.config
    assert config.init_from is not None
    folder = Path(config.init_from)
    state, names, other = initial_state_from(folder, prepared.family, prepared.model, config, prepared.data)
    notify(f"the parameters of {', '.join(names)} are those of {folder} at {state_text(other)}")
    if other.standardization != prepared.description.standardization:
        notify(
            f"{folder} standardizes points by another mean and standard deviation than this run: the networks receive "
            "other numbers for the same point than those with which they were trained"
        )
    return state
