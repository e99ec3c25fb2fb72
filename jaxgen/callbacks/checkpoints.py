"""Checkpoints of a run at regular steps, and when it is interrupted."""

import base64
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxgen.errors import InputError, shortened
from jaxgen.paths import expand_path
from jaxgen.training.checkpoint import save
from jaxgen.training.chunk import Chunk, Divergence, Unfinished
from jaxgen.training.loop import Fit, Interrupted


class Checkpoints:
    """A callback that saves the state at every k-th step and at the last one.

    Args:
        folder: folder of the checkpoints.
        every: number of steps between two checkpoints.
        last: last step of the run, at which a checkpoint is saved in any case.
        first_step: number of steps that the run had completed, of which there is a checkpoint.
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
        self,
        folder: str | Path,
        *,
        every: int,
        last: int,
        first_step: int = 0,
        meta: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        self._folder = expand_path(folder)
        self._every, self._last = every, last
        self._saved = first_step
        self._meta = meta

    def __call__(self, chunk: Chunk) -> None:
        """Save the state if a checkpoint is due."""
        if chunk.reaches(self._every) or chunk.step == self._last:
            self._save(chunk.step, chunk.state, {"diverged": diverged_to_json(chunk.diverged)})

    def interrupted(self, training: Interrupted) -> None:
        """Save the state of an interrupted training, from which it continues as without the interruption."""
        if training.step != self._saved:
            meta = {
                "diverged": diverged_to_json(training.result.diverged),
                "unfinished": unfinished_to_json(training.unfinished),
            }
            self._save(training.step, training.result.state, meta)

    def ended(self, step: int, result: Fit) -> None:
        """Save the last state of a training that ended before its last step."""
        if step != self._saved:
            self._save(step, result.state, {"diverged": diverged_to_json(result.diverged)})

    def _save(self, step: int, state: Any, meta: Mapping[str, Any]) -> None:
        save(self._folder, step, state, meta={**meta, **self._meta()})
        self._saved = step


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
        diverged = {int(seed): Divergence(**where) for seed, where in stored.items()}
    except (AttributeError, TypeError, ValueError):
        diverged = {-1: Divergence(0, "", "")}
    for seed, (step, player, quantity) in diverged.items():
        if seed < 0 or type(step) is not int or not isinstance(player, str) or not isinstance(quantity, str):
            raise InputError(
                f"'diverged' of a checkpoint must map numbers of seeds to step, player and quantity, got "
                f"{shortened(stored)}"
            )
    return diverged


def unfinished_to_json(unfinished: Unfinished) -> dict[str, Any]:
    """Return the steps of an interrupted chunk as something that JSON can hold, without a change of any bit.

    Args:
        unfinished: the steps since the callbacks were called last.

    Returns:
        The same for `unfinished_from_json`.

    Example:
        >>> unfinished_to_json(Unfinished({"vae/loss": np.ones((1, 2), np.float32)}, 0.5))["metrics"]
        {'vae/loss': {'dtype': 'float32', 'shape': [1, 2], 'base64': 'AACAPwAAgD8='}}
    """
    metrics = {
        name: {
            "dtype": str(values.dtype),
            "shape": list(values.shape),
            "base64": base64.b64encode(np.ascontiguousarray(values).tobytes()).decode(),
        }
        for name, values in unfinished.metrics.items()
    }
    return {"seconds": unfinished.seconds, "metrics": metrics}


def unfinished_from_json(meta: Mapping[str, Any]) -> Unfinished:
    """Return the steps of an interrupted chunk, from what is stored beside the state of a checkpoint.

    Args:
        meta: what is stored beside the state.

    Returns:
        The steps; none where none are stored.

    Raises:
        InputError: if they have another form, because the file was edited.

    Example:
        >>> stored = unfinished_to_json(Unfinished({"vae/loss": np.array([[1.0, np.nan]])}, 0.5))
        >>> unfinished_from_json({"unfinished": stored})
        Unfinished(metrics={'vae/loss': array([[ 1., nan]])}, seconds=0.5)
    """
    stored = meta.get("unfinished", {"seconds": 0.0, "metrics": {}})
    try:
        metrics = {name: _array_from(entry) for name, entry in stored["metrics"].items()}
        seconds = stored["seconds"]
        if type(seconds) not in (int, float) or not 0 <= seconds < math.inf:
            raise ValueError("seconds")
        if len({values.shape for values in metrics.values()}) > 1:
            raise ValueError("shape")
    except (AttributeError, KeyError, TypeError, ValueError):
        raise InputError(
            "'unfinished' of a checkpoint must hold the seconds and the metrics of the steps since the last line of "
            "the log, and was edited: delete this checkpoint, and resume from the one before it"
        ) from None
    return Unfinished(metrics, float(seconds))


def _array_from(entry: Mapping[str, Any]) -> np.ndarray:
    dtype, (seeds, steps) = jnp.dtype(entry["dtype"]), entry["shape"]
    if not jnp.issubdtype(dtype, jnp.number):
        raise TypeError("dtype")
    return np.frombuffer(base64.b64decode(entry["base64"], validate=True), dtype).reshape(seeds, steps)
