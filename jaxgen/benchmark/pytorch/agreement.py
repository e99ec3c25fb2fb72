"""Whether both sides compute the same: only then are their times comparable.

With the same weights, data and noise, losses agree within the rounding errors of float32. After updates of the weights
this still holds in some games only. In others, some of the millions of activations are so close to the kink of their
ReLU that rounding decides on which side of it they lie. This changes the gradient by a part in a thousand, and Adam,
whose first update has the same size for every weight, enlarges the difference. Rounding is the only cause: with a
smooth activation the losses agree again, and in float64 they agree to nine digits at every step, which the tests check.
Here those losses must agree within a rough tolerance, which still reveals a gross error in a gradient or an optimizer.

In bfloat16 both sides round the same numbers, the inputs and weights of all products, but sum in a different order, so
that some sums are rounded to different neighbours. Losses average over these differences.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
import torch
from torch import Tensor

from jaxgen.benchmark.case import COMPARED_STEPS
from jaxgen.benchmark.pytorch.twin import Batch, GivenNoise, Noise, Twin
from jaxgen.benchmark.workloads.workload import BFLOAT16, FLOAT32, Data, Workload
from jaxgen.data import batch_indices
from jaxgen.game import LAST, Model, State
from jaxgen.training.loop import fit
from jaxgen.training.states import run_keys
from jaxgen.typing import Array, KeyArray


class Tolerance(NamedTuple):
    """The condition for agreement.

    Attributes:
        difference: largest relative difference of two losses.
        least_size: smallest divisor of a relative difference. A loss near zero, such as the mean of critic values of
            both signs, has the rounding errors of the numbers of which it is the mean.
    """

    difference: float
    least_size: float


# Rounding to bfloat16 changes a number by at most a factor of 1 + 2^-8.
TOLERANCES = {FLOAT32: Tolerance(1e-4, least_size=0.0), BFLOAT16: Tolerance(2**-8, least_size=0.01)}
"""Precision of the products -> tolerance."""

ROUGH_TOLERANCE = 0.05
"""Largest relative difference at steps where rounding errors have grown."""


class Agreement(NamedTuple):
    """Differences between the losses of the two sides.

    Attributes:
        largest_difference: largest relative difference of any player's loss, over the comparable steps; without any,
            of the losses before the first update.
        drift: the same over the other compared steps; None if there are none.
        tolerance: largest `largest_difference` that counts as agreement.
        first_step_seconds: seconds of PyTorch's first step, in which `torch.compile` compiles.
    """

    largest_difference: float
    drift: float | None
    tolerance: float
    first_step_seconds: float

    @property
    def holds(self) -> bool:
        """Whether the sides agree; False for NaN."""
        drift_holds = self.drift is None or self.drift <= ROUGH_TOLERANCE
        return self.largest_difference <= self.tolerance and drift_holds


class Run(NamedTuple):
    """The first steps of a run of `fit`, which PyTorch can repeat.

    Attributes:
        workload: workload that is trained.
        model: its jaxgen side.
        data: arrays to train on.
        key: key of the run.
        state: state before the first step.
        losses: player name -> its loss at every step, `[steps]`, at most `COMPARED_STEPS` of them.
    """

    workload: Workload
    model: Model
    data: Data
    key: KeyArray
    state: State
    losses: Mapping[str, np.ndarray]


def begin(workload: Workload, model: Model, data: Data, key: KeyArray, state: State) -> Run:
    """Run the compared steps by `fit`."""
    steps = COMPARED_STEPS
    result = fit(model, data, key=key, state=state, steps=steps, batch_size=workload.batch_size, chunk=steps)
    return Run(workload, model, data, key, state, first_losses(model, [result.history]))


def first_losses(model: Model, history: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return the losses of all players at the compared steps.

    Args:
        model: model that was trained.
        history: metrics of the first chunks of a run.

    Returns:
        Player name -> losses `[steps]`.
    """
    names = [player.name for player in model.players]
    return {name: np.concatenate([metrics[f"{name}/loss"] for metrics in history])[:COMPARED_STEPS] for name in names}


def compare(run: Run, twin: Twin) -> Agreement:
    """Compare both sides with the same weights, data and noise.

    Args:
        run: first steps of jaxgen.
        twin: PyTorch side with the parameters of the run's first state. It is trained by the compared steps.

    Returns:
        The differences between the losses.
    """
    comparable = run.workload.comparable_steps
    initial = [] if comparable else [compare_initial_losses(run, twin)]
    steps = compare_steps(run, twin)
    return Agreement(
        largest_difference=_largest(initial + steps[:comparable]),
        drift=_largest(steps[comparable:]) if steps[comparable:] else None,
        tolerance=_tolerance(run).difference,
        first_step_seconds=sum(compared.seconds for compared in [*initial, *steps[:1]]),
    )


class Compared(NamedTuple):
    """Result of one comparison of the losses of all players.

    Attributes:
        difference: largest relative difference of any player's loss.
        seconds: seconds that PyTorch took to compute its losses.
    """

    difference: float
    seconds: float


def compare_initial_losses(run: Run, twin: Twin) -> Compared:
    """Compare the losses of all players before the first update, in a game whose players update in order."""
    key, batch, tensors, noise = _step_inputs(run, twin, 0)
    losses = _initial_losses(run.model, key, run.state, batch)
    return _compared(run, losses, partial(twin.losses, tensors, noise))


@partial(jax.jit, static_argnums=0)
def _initial_losses(model: Model, key: KeyArray, state: State, batch: Data) -> dict[str, Array]:
    """The losses of all players with the first slice of the batch."""
    first = {name: array[:: model.slices] for name, array in batch.items()}
    return {
        player.name: player.loss(_update_key(key, i, 0), state.params, state, first)[0]
        for i, player in enumerate(model.players)
    }


def compare_steps(run: Run, twin: Twin) -> list[Compared]:
    """Compare the losses at every step; after the first they also depend on the gradients and the optimizers."""
    compared = []
    for step in range(len(next(iter(run.losses.values())))):
        _, _, tensors, noise = _step_inputs(run, twin, step)
        ours = {player: losses[step] for player, losses in run.losses.items()}
        compared.append(_compared(run, ours, partial(twin.step, tensors, noise)))
    return compared


def _compared(
    run: Run, ours: Mapping[str, Array | np.floating], compute: Callable[[], Mapping[str, Tensor]]
) -> Compared:
    started = time.perf_counter()
    theirs = {name: loss.item() for name, loss in compute().items()}
    seconds = time.perf_counter() - started
    least_size = _tolerance(run).least_size
    differences = [abs(float(ours[name]) - theirs[name]) / max(abs(float(ours[name])), least_size) for name in ours]
    return Compared(float(np.max(differences)), seconds)


def _tolerance(run: Run) -> Tolerance:
    return TOLERANCES[run.workload.precision]


def _largest(compared: Sequence[Compared]) -> float:
    """The largest difference; NaN if any is NaN."""
    return float(np.max([one.difference for one in compared], initial=0.0))


def _step_inputs(run: Run, twin: Twin, step: int) -> tuple[KeyArray, Data, Batch, GivenNoise]:
    """The key and the batch of a step of `fit`, and the same batch and noise as tensors for the twin."""
    keys, size = run_keys(run.key), run.workload.batch_size
    key = jax.random.fold_in(keys.steps, step)
    examples = len(next(iter(run.data.values())))
    indices = batch_indices(keys.order, step, examples=examples, batch_size=size * run.model.slices)
    batch = {name: array[np.asarray(indices)] for name, array in run.data.items()}

    def noise(name: str, key: KeyArray) -> Noise:
        arrays = run.workload.noise[name](key, size) if name in run.workload.noise else ()
        return tuple(torch.tensor(np.asarray(array), device=twin.device) for array in arrays)

    given = {}
    pass_key, *_ = jax.random.split(key, 1 + len(run.model.players))
    for i, player in enumerate(run.model.players):
        update_keys = [
            pass_key if twin.simultaneous else _update_key(key, i, update) for update in range(player.updates)
        ]
        given[player.name] = [noise(player.name, update_key) for update_key in update_keys]
        for number, regularizer in enumerate(player.regularizers):
            name = f"{player.name}/{regularizer.name}"
            given[name] = [noise(name, _update_key(key, i, player.updates + number))]
    for i, average in enumerate(twin.averages):
        name = f"average/{average.name}"
        given[name] = [noise(name, jax.random.fold_in(key, LAST - i))]
    return key, batch, tuple(tensor.to(twin.device) for tensor in twin.tensors(batch)), given


def _update_key(key: KeyArray, player: int, update: int) -> KeyArray:
    """The key of one update, as `jaxgen.game` derives it where players update in order."""
    return jax.random.fold_in(jax.random.fold_in(key, player), update)
