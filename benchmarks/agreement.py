"""Whether both sides compute the same thing: only then is it fair to compare their times.

On the same weights, data and noise, losses agree to the rounding errors of float32. Once the weights have moved, they
do so in some games only. In others a few of the millions of activations are so near the kink of their ReLU that
rounding decides on which side they fall; that changes the gradient by a part in a thousand, and Adam, whose first step
has the same size for every weight, makes more of it. It is rounding alone: with a smooth activation losses agree again,
and in float64 they agree to nine digits, turn after turn, to which the tests hold them. Here they are held to a rough
bound, which shows a gross mistake in a gradient or an optimizer all the same.

In bfloat16 both sides round the same numbers, the inputs and weights of all products, but sum in another order, and so
some sums fall to the other side of where they are rounded. Losses average over that.
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
from workloads.workload import BFLOAT16, FLOAT32, Data, Workload

from jaxgen.data import batch_indices
from jaxgen.game import Model, State
from jaxgen.training.loop import Chunk, fit, run_keys
from jaxgen.typing import Array, KeyArray

TURNS = 3
"""The first compares the losses, the others also what gradients and optimizers have made of the weights."""


class Tolerance(NamedTuple):
    """What counts as agreement.

    Attributes:
        difference: largest, of two losses, relative to their size.
        least_size: that a loss is taken to have. One near zero, as the mean of what a critic says of examples on both
            sides of zero, has the rounding errors of the numbers that it is the mean of.
    """

    difference: float
    least_size: float


# By 2^-8 a number is off at most when it is rounded to bfloat16.
TOLERANCES = {FLOAT32: Tolerance(1e-4, least_size=0.0), BFLOAT16: Tolerance(2**-8, least_size=0.01)}
"""By the precision of the products."""

ROUGH_TOLERANCE = 0.05
"""Largest relative difference where rounding errors grow from turn to turn."""


class Agreement(NamedTuple):
    """How far the two sides agree.

    Attributes:
        largest_difference: of any player's loss, relative, in those turns that can be compared; where there are none,
            before anybody moves.
        drift: the same in the other turns; None where there were none.
        tolerance: of the first of these.
        first_turn_seconds: that PyTorch took for its first turn, in which `torch.compile` compiles.
    """

    largest_difference: float
    drift: float | None
    tolerance: float
    first_turn_seconds: float

    @property
    def holds(self) -> bool:
        """Whether times may be compared; NaN does not."""
        drift_holds = self.drift is None or self.drift <= ROUGH_TOLERANCE
        return self.largest_difference <= self.tolerance and drift_holds


class Run(NamedTuple):
    """The beginning of a run of `fit`, which PyTorch can repeat.

    Attributes:
        workload: that is trained.
        model: the jaxgen side.
        data: on which.
        key: of the run.
        state: before the first turn.
        losses: player name -> its loss at every turn, [turns]; of at most `TURNS` turns.
    """

    workload: Workload
    model: Model
    data: Data
    key: KeyArray
    state: State
    losses: Mapping[str, np.ndarray]


def begin(workload: Workload, model: Model, data: Data, key: KeyArray, state: State) -> Run:
    """Let `fit` play the turns that are compared."""
    chunks: list[Chunk] = []
    options = {"batch_size": workload.batch_size, "chunk": TURNS, "hooks": [chunks.append]}
    fit(model, data, key=key, state=state, steps=TURNS, **options)
    return Run(workload, model, data, key, state, first_losses(model, [chunk.metrics for chunk in chunks]))


def first_losses(model: Model, history: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Those of all players in the turns that are compared, of the metrics of a run's first chunks."""
    names = [player.name for player in model.players]
    return {name: np.concatenate([metrics[f"{name}/loss"] for metrics in history])[:TURNS] for name in names}


def compare(run: Run, twin: Twin) -> Agreement:
    """Hold both sides against each other, on the same weights, with the same data and noise.

    Args:
        run: of jaxgen.
        twin: the PyTorch side, made from the parameters of the run's first state. It moves.

    Returns:
        How far their losses agree.
    """
    comparable = run.workload.comparable_turns
    at_rest = [] if comparable else [compare_at_rest(run, twin)]
    played = compare_turns(run, twin)
    return Agreement(
        largest_difference=_largest(at_rest + played[:comparable]),
        drift=_largest(played[comparable:]) if played[comparable:] else None,
        tolerance=_tolerance(run).difference,
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


def compare_at_rest(run: Run, twin: Twin) -> Compared:
    """Compare the losses of all players before anybody moves, in a game where one moves after the other."""
    key, batch, tensors, noise = _deal(run, twin, 0)

    def losses(key: KeyArray, state: State, batch: Data) -> dict[str, Array]:
        first = {name: array[:: run.model.slices] for name, array in batch.items()}
        return {
            player.name: player.loss(_move_key(key, i, 0), state.params, state, first)[0]
            for i, player in enumerate(run.model.players)
        }

    return _compared(run, jax.jit(losses)(key, run.state, batch), partial(twin.losses, tensors, noise))


def compare_turns(run: Run, twin: Twin) -> list[Compared]:
    """Compare the losses turn by turn, and so what gradients and optimizers have made of the weights."""
    compared = []
    for turn in range(len(next(iter(run.losses.values())))):
        _, _, tensors, noise = _deal(run, twin, turn)
        ours = {player: losses[turn] for player, losses in run.losses.items()}
        compared.append(_compared(run, ours, partial(twin.turn, tensors, noise)))
    return compared


def _compared(run: Run, ours: Mapping[str, Array | np.floating], play: Callable[[], Mapping[str, Tensor]]) -> Compared:
    started = time.perf_counter()
    theirs = {name: loss.item() for name, loss in play().items()}
    seconds = time.perf_counter() - started
    least_size = _tolerance(run).least_size
    differences = [abs(float(ours[name]) - theirs[name]) / max(abs(float(ours[name])), least_size) for name in ours]
    return Compared(float(np.max(differences)), seconds)


def _tolerance(run: Run) -> Tolerance:
    return TOLERANCES[run.workload.precision]


def _largest(compared: Sequence[Compared]) -> float:
    """The largest difference; NaN where there is one."""
    return float(np.max([one.difference for one in compared], initial=0.0))


def _deal(run: Run, twin: Twin, turn: int) -> tuple[KeyArray, Data, Batch, Given]:
    """The key and the batch of a turn, as `fit` deals them, and the same batch and noise as the twin takes them."""
    keys, size = run_keys(run.key), run.workload.batch_size
    key = jax.random.fold_in(keys.turns, turn)
    examples = len(next(iter(run.data.values())))
    chosen = batch_indices(keys.order, turn, examples=examples, batch_size=size * run.model.slices)
    batch = {name: array[np.asarray(chosen)] for name, array in run.data.items()}

    def noise(player: str, key: KeyArray) -> Noise:
        arrays = run.workload.noise[player](key, size) if player in run.workload.noise else ()
        return tuple(torch.tensor(np.asarray(array), device=twin.device) for array in arrays)

    given = {}
    pass_key, *_ = jax.random.split(key, 1 + len(run.model.players))
    for i, player in enumerate(run.model.players):
        move_keys = [pass_key if twin.simultaneous else _move_key(key, i, move) for move in range(player.updates)]
        given[player.name] = [noise(player.name, move_key) for move_key in move_keys]
    return key, batch, tuple(tensor.to(twin.device) for tensor in run.workload.tensors(batch)), given


def _move_key(key: KeyArray, player: int, move: int) -> KeyArray:
    """The key of one move, as `jaxgen.game` deals them out where players move one after the other."""
    return jax.random.fold_in(jax.random.fold_in(key, player), move)
