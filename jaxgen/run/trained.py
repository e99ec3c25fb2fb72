"""A trained run, ready for use: two lines load it and draw from it."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.errors import InputError
from jaxgen.game import Model, State
from jaxgen.models import REGISTRY
from jaxgen.run.settings import Settings, read_config
from jaxgen.training.checkpoint import restore
from jaxgen.training.loop import Divergence, initial_state
from jaxgen.training.seeds import over_seeds, seed_keys
from jaxgen.typing import Array, Batch, Key, KeyArray

LARGEST_BATCH = 1000
"""Examples that are drawn or reconstructed at once."""


class Run(NamedTuple):
    """A trained model.

    Attributes:
        folder: where it is kept.
        family: name of the model's family in the registry.
        settings: what was asked for.
        example: the smallest batch that shows what its data look like.
        model: its functions.
        state: the newest one, with a leading axis of runs if there are several seeds.
        step: turns behind that state.
        diverged: number of the run -> where it diverged.
        skipped: why newer checkpoints could not be used.
    """

    folder: Path
    family: str
    settings: Settings[Any]
    example: Batch
    model: Model
    state: State
    step: int
    diverged: Mapping[int, Divergence]
    skipped: tuple[str, ...]

    def sample(self, key: KeyArray, n: int, **conditions: Any) -> Array:
        """Draw new examples.

        Args:
            key: of the draw.
            n: how many.
            **conditions: what the model can be conditioned on, e.g. `label`, one for all or `n` of them.

        Returns:
            `[n, *event]`, pictures with values in [0, 1]; `[runs, n, *event]` for a run of several seeds.

        Raises:
            InputError: if there is nothing to draw, or the model does not take such a condition.
        """
        if n < 1:
            raise InputError(f"the number of samples must be at least 1, got {n}")
        if unknown := set(conditions) - set(self.model.conditions):
            raise InputError(f"the model '{self.family}' cannot be conditioned on {', '.join(sorted(unknown))}")
        # A whole number of rounds through the classes, through which a model goes where no label is given.
        classes = int(self.example["label"].max()) + 1 if "label" in self.example else 1
        size = max(1, LARGEST_BATCH // classes) * classes
        for name, value in conditions.items():
            if np.shape(value) not in ((), (n,)):
                raise InputError(f"give one {name} or {n} for {n} samples, got {name}s of shape {np.shape(value)}")
        each = {name: np.asarray(value) for name, value in conditions.items() if np.ndim(value)}

        def draw(first: int) -> Array:
            count = min(size, n - first)
            told = conditions | {name: values[first : first + count] for name, values in each.items()}
            part_key = jax.random.fold_in(key, first)
            return self.of_runs(lambda state: self.model.sample(part_key, state, count, **told))(self.state)

        parts = [draw(first) for first in range(0, n, size)]
        return jnp.concatenate(parts, axis=0 if self.settings.seeds is None else 1)

    def reconstruct(self, batch: Batch) -> Array:
        """Send examples through the code and back.

        Args:
            batch: of at most a few thousand examples.

        Returns:
            `[n, *event]`, or `[runs, n, *event]` for a run of several seeds.

        Raises:
            InputError: if the model has no code.
        """
        if (reconstruct := self.model.reconstruct) is None:
            raise InputError(f"the model '{self.family}' has no encoder, so it cannot reconstruct")
        return jax.jit(self.of_runs(lambda state: reconstruct(state, batch)))(self.state)

    @property
    def first_run(self) -> int:
        """Number of the first run that has not diverged, the one to show where only one can be shown."""
        return first_sound(self.settings.seeds or 1, self.diverged)

    def of_runs(self, function: Callable[[State], Any]) -> Callable[[State], Any]:
        """The function of one run's state as a function of this run's state, which may be that of several seeds."""
        return function if self.settings.seeds is None else over_seeds(function)


def load_run(folder: str | Path) -> Run:
    """Load the newest whole checkpoint of a run folder; the data set is not needed.

    Args:
        folder: what `jaxgen train --out` was given.

    Returns:
        The run.

    Raises:
        InputError: if this is not a run folder, or none of its checkpoints is whole.
    """
    folder = Path(folder)
    asked = read_config(folder)
    model = REGISTRY[asked.family].build(asked.settings.config, asked.example)
    restored = restore(folder / "checkpoints", abstract_state(model, asked.settings, asked.example))
    skipped = tuple(map(str, restored.skipped))
    return Run(folder, *asked, model, restored.state, restored.step, diverged_from(restored.meta), skipped)


def first_sound(runs: int, diverged: Collection[int]) -> int:
    """Number of the first of several runs that has not diverged.

    Example:
        >>> first_sound(3, {0})
        1
    """
    return next(run for run in range(runs) if run not in diverged)


def run_key(settings: Settings[Any]) -> Key[Array, "..."]:
    """The key of a run, or the keys of its seeds."""
    return jax.random.key(settings.seed) if settings.seeds is None else seed_keys(settings.seed, settings.seeds)


def abstract_state(model: Model, settings: Settings[Any], example: Batch) -> State:
    """Shapes and types of a run's state, for which nothing is computed."""
    return jax.eval_shape(lambda: initial_state(model, run_key(settings), example))


def diverged_to(diverged: Mapping[int, Divergence]) -> dict[str, Any]:
    """Write where runs diverged as something JSON can hold."""
    return {str(run): where._asdict() for run, where in diverged.items()}


def diverged_from(meta: Mapping[str, Any]) -> dict[int, Divergence]:
    """Read back what `diverged_to` has written into a checkpoint."""
    return {int(run): Divergence(**where) for run, where in meta.get("diverged", {}).items()}
