"""Checkpoints of a run at regular steps."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jaxgen.errors import InputError
from jaxgen.training.checkpoint import save
from jaxgen.training.chunk import Chunk, Divergence


class Checkpoints:
    """A callback that saves the state at every k-th step and at the last one.

    Args:
        folder: folder of the checkpoints.
        every: number of steps between two checkpoints.
        last: last step of the run, at which a checkpoint is saved in any case.
        meta: function called at every checkpoint for what is stored beside the state, e.g. the time so far.

    Example:
        >>> import tempfile
        >>> import jax, jax.numpy as jnp, numpy as np
        >>> from jaxgen.game import State
        >>> from jaxgen.training.checkpoint import steps
        >>> state = State(jnp.int32(10), {"w": jnp.ones((1, 3))}, {}, {}, {})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Checkpoints(folder, every=5, last=20)(Chunk(10, state, {"p/loss": np.zeros((1, 10))}, 0.1, {}))
        ...     steps(folder)
        [10]
    """

    def __init__(
        self, folder: str | Path, *, every: int, last: int, meta: Callable[[], Mapping[str, Any]] = dict
    ) -> None:
        self._folder = Path(folder)
        self._every, self._last = every, last
        self._meta = meta

    def __call__(self, chunk: Chunk) -> None:
        """Save the state if a checkpoint is due."""
        if chunk.reaches(self._every) or chunk.step == self._last:
            meta = {"diverged": diverged_to_json(chunk.diverged), **self._meta()}
            save(self._folder, chunk.step, chunk.state, meta=meta)


def diverged_to_json(diverged: Mapping[int, Divergence]) -> dict[str, Any]:
    """Return where seeds diverged as something that JSON can hold.

    Args:
        diverged: number of the seed -> where it diverged.

    Returns:
        The same for `diverged_from_json`.

    Example:
        >>> diverged_to_json({1: Divergence(7, "generator", "loss")})
        {'1': {'step': 7, 'player': 'generator', 'quantity': 'loss'}}
    """
    return {str(seed): where._asdict() for seed, where in diverged.items()}


def diverged_from_json(meta: Mapping[str, Any]) -> dict[int, Divergence]:
    """Return where seeds diverged, from what is stored beside the state of a checkpoint.

    Args:
        meta: what is stored beside the state.

    Returns:
        Number of the seed -> where it diverged.

    Raises:
        InputError: if it has another form, because the file was edited.

    Example:
        >>> diverged_from_json({"diverged": diverged_to_json({1: Divergence(7, "generator", "loss")})})
        {1: Divergence(step=7, player='generator', quantity='loss')}
    """
    stored = meta.get("diverged", {})
    try:
        return {int(seed): Divergence(**where) for seed, where in stored.items()}
    except (AttributeError, TypeError, ValueError):
        raise InputError(
            f"'diverged' of a checkpoint must map numbers of seeds to step, player and quantity, got {stored!r}"
        ) from None
