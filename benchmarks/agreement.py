"""Whether both sides compute the same thing: only then is it fair to compare their times."""

import time
from typing import NamedTuple

import jax
import numpy as np
import torch
from workloads.twin import Twin
from workloads.workload import Workload

from jaxgen.game import Model, State
from jaxgen.typing import Batch

TURNS = 3
"""The first compares the losses; the others also what gradients and optimizers have made of the weights."""

TOLERANCE = 1e-4
"""Largest relative difference of two losses that counts as agreement."""


class Agreement(NamedTuple):
    """How far the two sides agree.

    Attributes:
        largest_difference: of any player's loss at any turn, relative.
        first_turn_seconds: that PyTorch took for its first turn, in which `torch.compile` compiles.
    """

    largest_difference: float
    first_turn_seconds: float


def compare(workload: Workload, model: Model, state: State, twin: Twin, data: Batch) -> Agreement:
    """Play a few turns on both sides, from the same weights, with the same data and noise.

    Args:
        workload: what is compared.
        model: the jaxgen side.
        state: its first state.
        twin: the PyTorch side, made from the parameters of that state.
        data: what jaxgen trains on.

    Returns:
        How far their losses agree.
    """
    step = jax.jit(model.step)
    size = workload.batch_size
    differences, seconds = [], []
    for turn in range(TURNS):
        key = jax.random.fold_in(jax.random.key(1), turn)
        batch = {name: array[turn * size : (turn + 1) * size] for name, array in data.items()}
        x = torch.tensor(workload.observed(batch))
        noise = {
            player.name: torch.tensor(np.asarray(workload.noise[player.name](_key_of_move(key, index), size)))
            for index, player in enumerate(model.players)
        }
        state, metrics = step(key, state, batch)
        started = time.perf_counter()
        losses = twin.turn(x, noise)
        seconds.append(time.perf_counter() - started)
        for name, theirs in losses.items():
            ours = float(metrics[f"{name}/loss"])
            differences.append(abs(ours - theirs.item()) / abs(ours))
    return Agreement(float(np.max(differences)), seconds[0])


def _key_of_move(key: jax.Array, player: int) -> jax.Array:
    """The key with which `jaxgen.game` calls the loss of a player's first move in a turn."""
    return jax.random.fold_in(jax.random.fold_in(key, player), 0)
