"""A trained run, ready for use: two lines load it and draw from it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.errors import InputError
from jaxgen.game import Model, State
from jaxgen.models import REGISTRY
from jaxgen.models.labels import check_labels
from jaxgen.runs.config import RunConfig, read_config
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
        config: what was asked for.
        example: the smallest batch that shows what its data look like.
        model: its functions.
        state: the newest one, with a leading axis of runs if there are several seeds.
        step: turns behind that state.
        diverged: number of the run -> where it diverged.
        skipped: why newer checkpoints could not be used.
    """

    folder: Path
    family: str
    config: RunConfig[Any]
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
            `[n, *event]`; `[runs, n, *event]` for a run of several seeds. Pictures have 0 for black and 1 for white.
            Where the decoder has no bounds, as in an autoencoder or with a Gaussian likelihood, values may lie a little
            outside.

        Raises:
            InputError: if there is nothing to draw, or the model does not take such a condition.
        """
        if n < 1:
            raise InputError(f"the number of samples must be at least 1, got {n}")
        self._check_conditions(n, conditions)
        # A whole number of rounds through the classes, through which a model goes where no label is given.
        size = max(1, LARGEST_BATCH // self.classes) * self.classes
        each = {name: np.asarray(value) for name, value in conditions.items() if np.ndim(value)}

        def draw(first: int) -> Array:
            count = min(size, n - first)
            told = conditions | {name: values[first : first + count] for name, values in each.items()}
            part_key = jax.random.fold_in(key, first)
            return _drawn(self.model.sample, count, self._several, self.state, part_key, told)

        return self._joined([draw(first) for first in range(0, n, size)])

    def encode(self, batch: Batch) -> Array:
        """Find the codes of examples.

        Args:
            batch: of any number of examples.

        Returns:
            `[n, latent]`, or `[runs, n, latent]` for a run of several seeds.

        Raises:
            InputError: if the model has no encoder.
        """
        if self.model.encode is None:
            raise InputError(f"the model '{self.family}' has no encoder, so it has no codes")
        self._check_labels(batch.get("label"))
        return self._in_parts(self.model.encode, batch)

    def reconstruct(self, batch: Batch, **conditions: Any) -> Array:
        """Send examples through the code and back, if asked under other conditions than their own.

        Args:
            batch: of any number of examples.
            **conditions: what the decoder is told instead of what the batch holds, e.g. another `label`, one for all
                or one for each.

        Returns:
            `[n, *event]`, or `[runs, n, *event]` for a run of several seeds.

        Raises:
            InputError: if the model has no encoder, or does not take such a condition.
        """
        encode, decode, reconstruct = self.model.encode, self.model.decode, self.model.reconstruct
        if encode is None or decode is None or reconstruct is None:
            raise InputError(f"the model '{self.family}' has no encoder, so it cannot reconstruct")
        n = _count(batch)
        self._check_labels(batch.get("label"))
        self._check_conditions(n, conditions)
        if not conditions:
            return self._in_parts(reconstruct, batch)
        told = {name: np.broadcast_to(value, (n,)) for name, value in conditions.items()}
        return self._in_parts(_under_conditions(encode, decode), (batch, told))

    def restyle(self, batch: Batch) -> Array:
        """Draw every example in its own style as a member of every class: the same code under each label.

        Args:
            batch: of any number of examples.

        Returns:
            `[n, classes, *event]`, or `[runs, n, classes, *event]` for a run of several seeds.

        Raises:
            InputError: if the model has no encoder, or is not conditioned on labels.

        Reference:
            Kingma et al. 2014, arXiv:1406.5298, figure 1b.
        """
        n, classes = _count(batch), self.classes
        repeated = {name: np.repeat(array, classes, axis=0) for name, array in batch.items()}
        styles = self.reconstruct(repeated, label=np.tile(np.arange(classes), n))
        runs = () if self.config.seeds is None else (self.config.seeds,)
        return styles.reshape(*runs, n, classes, *styles.shape[len(runs) + 1 :])

    @property
    def classes(self) -> int:
        """Number of classes in the data, 1 where they have no labels."""
        return int(self.example["label"].max()) + 1 if "label" in self.example else 1

    @property
    def first_run(self) -> int:
        """Number of the first run that has not diverged, the one to show where only one can be shown."""
        return first_finite(self.config.seeds or 1, self.diverged)

    @property
    def _several(self) -> bool:
        return self.config.seeds is not None

    def _in_parts(self, function: Callable[[State, Any], Array], examples: Any) -> Array:
        """Apply a function of one run's state and of examples, to as many of them at once as fit into memory."""
        firsts = range(0, _count(examples), LARGEST_BATCH)
        parts = [jax.tree.map(lambda x, first=first: x[first : first + LARGEST_BATCH], examples) for first in firsts]
        return self._joined([_applied(function, self._several, self.state, part) for part in parts])

    def _joined(self, parts: Sequence[Array]) -> Array:
        return jnp.concatenate(parts, axis=1 if self._several else 0)

    def _check_conditions(self, n: int, conditions: Mapping[str, Any]) -> None:
        if unknown := set(conditions) - set(self.model.conditions):
            raise InputError(f"the model '{self.family}' cannot be conditioned on {', '.join(sorted(unknown))}")
        for name, value in conditions.items():
            if np.shape(value) not in ((), (n,)):
                raise InputError(f"give one {name} or {n} for {n} examples, got {name}s of shape {np.shape(value)}")
        self._check_labels(conditions.get("label"))

    def _check_labels(self, label: Any) -> None:
        """Refuse labels outside the range, which compiled functions cannot."""
        if label is None or "label" not in self.model.conditions:
            return
        check_labels(label, self.classes)


def load_run(folder: str | Path) -> Run:
    """Load the newest whole checkpoint of a run folder; the data set is not needed.

    Args:
        folder: what `jaxgen train --out` was given.

    Returns:
        The run.

    Raises:
        InputError: if this is not a run folder, or none of its checkpoints is whole.

    Example:
        >>> import tempfile
        >>> from jaxgen.runs.config import RunDescription, write_config
        >>> from jaxgen.training.checkpoint import save
        >>> family, shown = REGISTRY["gan"], {"point": np.zeros((1, 2), np.float32)}
        >>> config = RunConfig(family.config(hidden=(4,)), data="ring")
        >>> model = family.build(config.model_config, shown)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_config(Path(folder), RunDescription("gan", config, shown))
        ...     save(Path(folder) / "checkpoints", 7, initial_state(model, run_key(config), shown))
        ...     load_run(folder).step
        7
    """
    folder = Path(folder)
    asked = read_config(folder)
    model = REGISTRY[asked.family].build(asked.config.model_config, asked.example)
    restored = restore(folder / "checkpoints", abstract_state(model, asked.config, asked.example))
    skipped = tuple(map(str, restored.skipped))
    return Run(folder, *asked, model, restored.state, restored.step, diverged_from(restored.meta), skipped)


# What is compiled here serves all runs of one model, and every part of as many examples: a function that is made anew
# at each call would be compiled at each call.


@partial(jax.jit, static_argnums=(0, 1, 2))
def _drawn(
    sample: Callable[..., Array], n: int, several: bool, state: State, key: KeyArray, conditions: Mapping[str, Any]
) -> Array:
    """New examples of every run."""
    return _of_runs(lambda run: sample(key, run, n, **conditions), several)(state)


@partial(jax.jit, static_argnums=(0, 1))
def _applied(function: Callable[[State, Any], Array], several: bool, state: State, examples: Any) -> Array:
    """A function of one run's state and of examples, for every run."""
    return _of_runs(lambda run: function(run, examples), several)(state)


def _of_runs(function: Callable[[State], Array], several: bool) -> Callable[[State], Array]:
    return over_seeds(function) if several else function


@cache
def _under_conditions(encode: Callable[[State, Batch], Array], decode: Callable[..., Array]) -> Callable[..., Array]:
    """Through the code and back under other conditions; of the same two functions it is the same one."""

    def through(state: State, part: tuple[Batch, Mapping[str, Array]]) -> Array:
        batch, told = part
        return decode(state, encode(state, batch), **told)

    return through


def _count(examples: Any) -> int:
    """How many examples there are, at least one."""
    sizes = {len(array) for array in jax.tree.leaves(examples)}
    if len(sizes) != 1 or sizes == {0}:
        raise InputError(f"a batch holds one array or more, of the same number of examples, got {sorted(sizes)}")
    return sizes.pop()


def first_finite(runs: int, diverged: Collection[int]) -> int:
    """Number of the first of several runs that has not diverged.

    Args:
        runs: how many there are.
        diverged: numbers of those that have, which are not all.

    Returns:
        The number, counted from 0.

    Example:
        >>> first_finite(3, {0})
        1
    """
    return next(run for run in range(runs) if run not in diverged)


def run_key(config: RunConfig[Any]) -> Key[Array, "..."]:
    """The key of a run, or the keys of its seeds.

    Args:
        config: of the run.

    Returns:
        One key, or `[runs]` of them.

    Example:
        >>> run_key(RunConfig(model_config=None)).shape, run_key(RunConfig(model_config=None, seeds=3)).shape
        ((), (3,))
    """
    return jax.random.key(config.seed) if config.seeds is None else seed_keys(config.seed, config.seeds)


def abstract_state(model: Model, config: RunConfig[Any], example: Batch) -> State:
    """Shapes and types of a run's state, for which nothing is computed.

    Args:
        model: of the run.
        config: of the run.
        example: the smallest batch that shows what its data look like.

    Returns:
        A state of shapes, with a leading axis of runs if there are several seeds.

    Example:
        >>> family, shown = REGISTRY["gan"], {"point": np.zeros((1, 2), np.float32)}
        >>> model = family.build(family.config(), shown)
        >>> abstract_state(model, RunConfig(model_config=None, seeds=3), shown).step
        ShapeDtypeStruct(shape=(3,), dtype=int32)
    """
    return jax.eval_shape(lambda: initial_state(model, run_key(config), example))


def diverged_to(diverged: Mapping[int, Divergence]) -> dict[str, Any]:
    """Write where runs diverged as something JSON can hold.

    Args:
        diverged: number of the run -> where it diverged.

    Returns:
        The same, for `diverged_from`.

    Example:
        >>> diverged_to({1: Divergence(7, "generator", "loss")})
        {'1': {'step': 7, 'player': 'generator', 'quantity': 'loss'}}
    """
    return {str(run): where._asdict() for run, where in diverged.items()}


def diverged_from(meta: Mapping[str, Any]) -> dict[int, Divergence]:
    """Read back what `diverged_to` has written into a checkpoint.

    Args:
        meta: of the checkpoint.

    Returns:
        Number of the run -> where it diverged.

    Example:
        >>> diverged_from({"diverged": diverged_to({1: Divergence(7, "generator", "loss")})})
        {1: Divergence(step=7, player='generator', quantity='loss')}
    """
    return {int(run): Divergence(**where) for run, where in meta.get("diverged", {}).items()}
