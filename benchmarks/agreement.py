"""Whether both sides compute the same thing: only then is it fair to compare their times.

On the same weights, data and noise, losses agree to the rounding errors of float32. Once the weights have moved, they
do so in some games only. In others a few of the millions of activations are so near the kink of their ReLU that
rounding decides on which side they fall; that changes the gradient by a part in a thousand, and Adam, whose first step
has the same size for every weight, makes more of it. It is rounding alone: with a smooth activation losses agree again,
and in float64 they agree to nine digits, turn after turn, to which the tests hold them. Here they are held to a rough
bound, which shows a gross mistake in a gradient or an optimizer all the same.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
import torch
from torch import Tensor
from workloads.twin import Batch, Given, Noise, Twin
from workloads.workload import Data, Workload

from jaxgen.game import Model, State
from jaxgen.typing import Array, KeyArray

TURNS = 3
"""The first compares the losses, the others also what gradients and optimizers have made of the weights."""

TOLERANCE = 1e-4
"""Largest relative difference of two losses that counts as agreement in float32."""

ROUGH_TOLERANCE = 0.05
"""The same where rounding errors grow from turn to turn."""


class Agreement(NamedTuple):
    """How far the two sides agree.

    Attributes:
        largest_difference: of any player's loss, relative, in those turns that can be compared; where there are none,
            before anybody moves.
        drift: the same in the other turns; None where there were none.
        first_turn_seconds: that PyTorch took for its first losses, and its first turn if one was played, in which
            `torch.compile` compiles.
    """

    largest_difference: float
    drift: float | None
    first_turn_seconds: float

    @property
    def holds(self) -> bool:
        """Whether times may be compared; NaN does not."""
        return self.largest_difference <= TOLERANCE and (self.drift is None or self.drift <= ROUGH_TOLERANCE)


def compare(workload: Workload, model: Model, state: State, twin: Twin, data: Data, *, thorough: bool) -> Agreement:
    """Hold both sides against each other, on the same weights, with the same data and noise.

    Args:
        workload: what is compared.
        model: the jaxgen side.
        state: its first state.
        twin: the PyTorch side, made from the parameters of that state.
        data: what jaxgen trains on.
        thorough: whether to play several turns; else one at most, and none where turns cannot be compared.

    Returns:
        How far their losses agree.
    """
    comparable = workload.comparable_turns
    at_rest = [] if comparable else [compare_at_rest(workload, model, state, twin, data)]
    turns = TURNS if thorough else min(1, comparable)
    played = compare_turns(workload, model, state, twin, data, turns=turns)
    return Agreement(
        largest_difference=_largest(at_rest + played[:comparable]),
        drift=_largest(played[comparable:]) if played[comparable:] else None,
        first_turn_seconds=sum(compared.seconds for compared in [*at_rest, *played[:1]]),
    )


class Compared(NamedTuple):
    """What was found out about all players' losses.

    Attributes:
        difference: of any of them, relative, the largest.
        seconds: that PyTorch took for them.
    """

    difference: float
    seconds: float


def compare_at_rest(workload: Workload, model: Model, state: State, twin: Twin, data: Data) -> Compared:
    """Compare the losses of all players before anybody moves."""
    key, batch, tensors, noise = _deal(workload, model, twin, data, 0)

    def losses(key: KeyArray, state: State, batch: Data) -> dict[str, Array]:
        first = {name: array[:: model.slices] for name, array in batch.items()}
        return {
            player.name: player.loss(_key(key, i, 0, twin), state.params, state, first)[0]
            for i, player in enumerate(model.players)
        }

    return _compared(jax.jit(losses)(key, state, batch), partial(twin.losses, tensors, noise))


def compare_turns(
    workload: Workload, model: Model, state: State, twin: Twin, data: Data, *, turns: int
) -> list[Compared]:
    """Compare the losses turn by turn, and so what gradients and optimizers have made of the weights."""
    step = jax.jit(model.step)
    compared = []
    for turn in range(turns):
        key, batch, tensors, noise = _deal(workload, model, twin, data, turn)
        state, metrics = step(key, state, batch)
        ours = {player.name: metrics[f"{player.name}/loss"] for player in model.players}
        compared.append(_compared(ours, partial(twin.turn, tensors, noise)))
    return compared


def _compared(ours: Mapping[str, Array], play: Callable[[], Mapping[str, Tensor]]) -> Compared:
    started = time.perf_counter()
    theirs = {name: loss.item() for name, loss in play().items()}
    seconds = time.perf_counter() - started
    differences = [abs(float(ours[name]) - theirs[name]) / abs(float(ours[name])) for name in ours]
    return Compared(float(np.max(differences)), seconds)


def _largest(compared: Sequence[Compared]) -> float:
    """The largest difference; NaN where there is one."""
    return float(np.max([one.difference for one in compared], initial=0.0))


def _deal(workload: Workload, model: Model, twin: Twin, data: Data, turn: int) -> tuple[KeyArray, Data, Batch, Given]:
    """The key and the batch of a turn, and the same batch and noise as the twin takes them."""
    key = jax.random.fold_in(jax.random.key(1), turn)
    size = workload.batch_size * model.slices
    chosen = np.arange(turn * size, (turn + 1) * size)
    batch = {name: np.take(array, chosen, axis=0, mode="wrap") for name, array in data.items()}
    noise = {
        player.name: [
            _noise(workload, player.name, _key(key, i, move, twin), twin.device) for move in range(player.updates)
        ]
        for i, player in enumerate(model.players)
    }
    return key, batch, tuple(tensor.to(twin.device) for tensor in workload.tensors(batch)), noise


def _noise(workload: Workload, player: str, key: KeyArray, device: torch.device) -> Noise:
    """What jaxgen draws for one move."""
    if player not in workload.noise:
        return ()
    arrays = workload.noise[player](key, workload.batch_size)
    return tuple(torch.tensor(np.asarray(array), device=device) for array in arrays)


def _key(key: KeyArray, player: int, move: int, twin: Twin) -> KeyArray:
    """The key of one move, as `jaxgen.game` deals them out: players that move at once all get that of the turn."""
    return jax.random.fold_in(key if twin.simultaneous else jax.random.fold_in(key, player), move)
