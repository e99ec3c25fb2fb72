"""What validation examples are for: metrics during the training, the best checkpoint, and early stopping."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxgen.callbacks.checkpoints import diverged_to_json
from jaxgen.callbacks.keys import callback_key
from jaxgen.callbacks.seed_axis import has_seed_axis, with_seed_axis
from jaxgen.data import Stream
from jaxgen.errors import InputError, shortened
from jaxgen.game import Model
from jaxgen.training.checkpoint import save
from jaxgen.training.chunk import Chunk, mean_over_seeds
from jaxgen.training.mean_metrics import evaluate
from jaxgen.typing import Batch

PREFIX = "validation/"
"""Prefix of the names of these metrics in the log."""


class Validation:
    """A callback that returns a model's metrics on validation examples at every k-th step and at the last one.

    Args:
        model: model with an `evaluate`.
        data: validation examples.
        every: number of steps between two evaluations.
        last: last step of the run, at which the model is evaluated in any case.
        seed: seed of the run; the noise in the metrics is the same each time.

    Example:
        >>> import jax
        >>> from jaxgen.data import load
        >>> from jaxgen.models import vae
        >>> from jaxgen.training.states import initial_state
        >>> from jaxgen.training.seeds import seed_keys
        >>> digits = load("digits", split="test")
        >>> model = vae.build(vae.Config(hidden=(8,)), digits)
        >>> validation = Validation(model, digits, every=10, last=10, seed=0)
        >>> state = initial_state(model, seed_keys(0, 1), digits)
        >>> print(*validation(Chunk(10, state, {"vae/loss": np.zeros((1, 10))}, 0.1, {})))
        validation/elbo validation/kl validation/mse validation/reconstruction
    """

    def __init__(self, model: Model, data: Batch | Stream, *, every: int, last: int, seed: int) -> None:
        self.model, self.data, self.every, self.last = model, data, every, last
        self.key = callback_key(seed, "validation")

    def __call__(self, chunk: Chunk) -> Mapping[str, np.ndarray] | None:
        """Evaluate the state if it is due."""
        if not chunk.reaches(self.every) and chunk.step != self.last:
            return None
        state = with_seed_axis(chunk).state
        metrics = evaluate(self.model, state, self.data, key=self.key, several_seeds=True)
        values = {PREFIX + name: value[:, None] for name, value in metrics.items()}
        return values if has_seed_axis(chunk) else {name: value[0] for name, value in values.items()}


class Found(NamedTuple):
    """The best state so far.

    Attributes:
        step: number of its steps; 0 if there is none.
        value: its metric, the mean over the seeds that had not diverged; None if there is none.
        evaluations: number of evaluations since then.
    """

    step: int = 0
    value: float | None = None
    evaluations: int = 0

    @classmethod
    def stored(cls, meta: Mapping[str, Any]) -> "Found":
        """Return what is stored beside the state of a checkpoint.

        Args:
            meta: what is stored beside the state.

        Returns:
            The best state so far, that of no state where none is stored.

        Raises:
            InputError: if it has another form, because the file was edited.
        """
        stored = meta.get("best", {})
        try:
            step, value, evaluations = cls(**stored)
        except TypeError:
            step, value, evaluations = -1, None, 0
        if type(step) is not int or step < 0 or type(evaluations) is not int or not isinstance(value, float | None):
            raise InputError(f"'best' of a checkpoint must have step, value and evaluations, got {shortened(stored)}")
        return cls(step, value, evaluations)


class Best:
    """A callback that keeps the state with the best value of a metric, and knows when it has not improved for long.

    Args:
        folder: folder of the one checkpoint that is kept.
        metric: name of the metric in the log, without its protocol, which other callbacks have computed before.
        larger_is_better: whether the best value is the largest one.
        patience: number of evaluations without improvement after which the training may end; None for no limit.
        found: the best state before the first step of this training; None for none.
        meta: function called at every checkpoint for what is stored beside the state.

    Example:
        >>> import tempfile
        >>> import jax.numpy as jnp
        >>> from jaxgen.game import State
        >>> state = State(jnp.int32(10), {"w": jnp.ones((1, 3))}, {}, {}, {})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     best = Best(Path(folder), "validation/elbo", larger_is_better=True, patience=1)
        ...     for step, elbo in ((10, -9.0), (20, -8.0), (30, -8.5)):
        ...         best(Chunk(step, state, {"validation/elbo": np.array([[elbo]])}, 0.1, {}))
        >>> best.found, best.is_exhausted
        (Found(step=20, value=-8.0, evaluations=1), True)
    """

    def __init__(
        self,
        folder: Path,
        metric: str,
        *,
        larger_is_better: bool,
        patience: int | None = None,
        found: Found | None = None,
        meta: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        self.folder, self.metric, self.larger_is_better, self.patience = folder, metric, larger_is_better, patience
        self.found, self.meta = found or Found(), meta

    @property
    def is_exhausted(self) -> bool:
        """Whether the metric has not improved for as many evaluations as the patience."""
        return self.patience is not None and self.found.evaluations >= self.patience

    def __call__(self, chunk: Chunk) -> None:
        """Save the state if it is the best one."""
        # The name of a metric of features ends in its protocol, which is the same throughout a training.
        named = [name for name in chunk.metrics if name == self.metric or name.startswith(f"{self.metric}[")]
        if not named:
            return
        chunk = with_seed_axis(chunk)
        value = mean_over_seeds(chunk.metrics[named[0]], chunk.diverged)
        if value is None or not self._improves(value):
            self.found = self.found._replace(evaluations=self.found.evaluations + 1)
            return
        self.found = Found(chunk.step, value)
        meta = {"diverged": diverged_to_json(chunk.diverged), **self.meta(), "best": self.found._asdict()}
        save(self.folder, chunk.step, chunk.state, meta=meta, keep=1)

    def _improves(self, value: float) -> bool:
        before = self.found.value
        return before is None or (value > before if self.larger_is_better else value < before)
