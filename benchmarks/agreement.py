"""Whether both sides compute the same thing: only then is it fair to compare their times."""

import jax
import numpy as np
import torch

from jaxgen.game import Model, State
from jaxgen.typing import Batch
from workloads.twin import Twin
from workloads.workload import Workload

TURNS = 3
"""The first compares the losses; the others also what gradients and optimizers have made of the weights."""

TOLERANCE = 1e-4
"""Largest relative difference of two losses that counts as agreement."""


def largest_difference(workload: Workload, model: Model, state: State, twin: Twin, data: Batch) -> float:
    """Play a few turns on both sides, from the same weights, with the same data and noise.

    Args:
        workload: what is compared.
        model: the jaxgen side.
        state: its first state.
        twin: the PyTorch side, made from the parameters of that state.
        data: what jaxgen trains on.

    Returns:
        The largest relative difference of any player's loss at any turn.
    """
    step = jax.jit(model.step)
    size = workload.batch_size
    worst = 0.0
    for turn in range(TURNS):
        key = jax.random.fold_in(jax.random.key(1), turn)
        batch = {name: array[turn * size : (turn + 1) * size] for name, array in data.items()}
        state, metrics = step(key, state, batch)
        noise = {
            player.name: torch.tensor(np.asarray(workload.noise[player.name](_key_of_move(key, index), size)))
            for index, player in enumerate(model.players)
        }
        losses = twin.turn(torch.tensor(workload.observed(batch)), noise)
        for name, loss in losses.items():
            ours, theirs = float(metrics[f"{name}/loss"]), loss.item()
            worst = max(worst, abs(ours - theirs) / abs(ours))
    return worst


def _key_of_move(key: jax.Array, player: int) -> jax.Array:
    """The key with which `jaxgen.game` calls the loss of a player's first move in a turn."""
    return jax.random.fold_in(jax.random.fold_in(key, player), 0)
