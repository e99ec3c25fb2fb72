"""The axis of seeds of a chunk, which a training with a single key does not have."""

import jax

from jaxgen.training.chunk import Chunk
from jaxgen.training.seeds import add_seed_axis


def has_seed_axis(chunk: Chunk) -> bool:
    """Return whether a chunk has a leading axis of seeds, as it has unless `fit` was given a single key.

    Args:
        chunk: chunk with the metrics of at least one player.

    Returns:
        True if its state and its metrics have the axis.

    Example:
        >>> import numpy as np
        >>> has_seed_axis(Chunk(2, None, {"vae/loss": np.array([8.0, 6.0])}, 0.1, {}))
        False
    """
    return next(iter(chunk.metrics.values())).ndim > 1


def with_seed_axis(chunk: Chunk) -> Chunk:
    """Return a chunk with a leading axis of seeds, of one seed where `fit` was given a single key.

    Args:
        chunk: chunk with or without the axis.

    Returns:
        The chunk with the axis on its state and its metrics.

    Example:
        >>> import numpy as np
        >>> chunk = Chunk(2, {"x": np.zeros(3)}, {"vae/loss": np.array([8.0, 6.0])}, 0.1, {})
        >>> with_seed_axis(chunk).state["x"].shape
        (1, 3)
    """
    if has_seed_axis(chunk):
        return chunk
    metrics = {name: values[None] for name, values in chunk.metrics.items()}
    return chunk._replace(state=_with_axis(chunk.state), metrics=metrics)


# Compiled: otherwise the new axis of every leaf is a program of its own.
_with_axis = jax.jit(add_seed_axis)
