"""First states of models with random numbers everywhere, so that no bias is 0 and no scale 1."""

from typing import Any

import jax
import numpy as np

from jaxgen.game import Model, State


def random_state(model: Model, batch: dict[str, Any], *, scale: float = 0.5, seed: int = 3) -> State:
    """Return a first state with random parameters and statistics: `init` takes as long to compile as a step.

    Args:
        model: model of any family.
        batch: batch that shows the shapes of the data.
        scale: standard deviation of the parameters.
        seed: seed of the numbers.

    Returns:
        The state; averages are those of its parameters and statistics, and the states of optimizers are 0.
    """
    random, shapes = np.random.default_rng(seed), jax.eval_shape(model.init, jax.random.key(0), batch)
    params = jax.tree.map(lambda leaf: np.asarray(random.normal(0.0, scale, leaf.shape), leaf.dtype), shapes.params)
    stats = jax.tree.map(lambda leaf: np.asarray(random.uniform(0.5, 1.5, leaf.shape), leaf.dtype), shapes.stats)
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    averages = {name: {"params": params[name], **stats.get(name, {})} for name in shapes.ema}
    return zeros.replace(params=params, stats=stats, ema=averages)
