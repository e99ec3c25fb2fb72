"""Each workload of the benchmark computes the same in PyTorch as in jaxgen: only then are their times comparable."""

import itertools

import jax
import numpy as np
import pytest
import torch
from agreement import TURNS, begin, compare_turns
from workloads import WORKLOADS
from workloads.twin import TorchPlayer, Twin, endless_batches
from workloads.workload import Data, Workload

from jaxgen.game import State
from jaxgen.typing import PyTree

TOLERANCE = 1e-9
"""In float64 rounding errors start at 1e-16, and no activation is so near its kink that they push it across."""

every_workload = pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)


@every_workload
def test_losses_agree_for_several_turns(workload: Workload) -> None:
    workload = small(workload)
    data = workload.data()
    state = random_state(workload, data)
    twin = workload.twin(state.params, compiled=False).to(torch.float64)
    with jax.enable_x64(True):
        data, state = in_float64(data), in_float64(state)
        compared = compare_turns(begin(workload, workload.build(data), data, jax.random.key(1), state), twin)
    assert len(compared) == TURNS
    assert max(turn.difference for turn in compared) <= TOLERANCE


@every_workload
def test_bytes_are_shown_as_the_values_they_stand_for(workload: Workload) -> None:
    """What the test above gives in float64, the benchmark gives as jaxgen's data come."""
    data = {name: array[:6] for name, array in workload.data().items()}
    for shown, exact in zip(workload.tensors(data), workload.tensors(in_float64(data)), strict=True):
        assert shown.dtype in (torch.float32, torch.int64)
        np.testing.assert_allclose(shown, exact, rtol=0, atol=1e-6)
        assert shown.stride() == exact.stride()


@every_workload
def test_the_twin_draws_noise_as_jaxgen_does(workload: Workload) -> None:
    """Of the same shapes, and of the same mean and standard deviation as far as 4,000 draws tell."""
    twin = small_twin(workload)
    n = 4_000
    for player in twin.players:
        theirs = (twin.noise if twin.simultaneous else player.noise)(torch.zeros(n))
        ours = workload.noise[player.name](jax.random.key(0), n) if player.name in workload.noise else ()
        for their_array, our_array in zip(theirs, ours, strict=True):
            assert tuple(their_array.shape) == our_array.shape
            assert float(their_array.mean()) == pytest.approx(float(our_array.mean()), abs=0.1)
            assert float(their_array.std()) == pytest.approx(float(our_array.std()), abs=0.1)


@every_workload
def test_playing_moves_every_player(workload: Workload) -> None:
    twin = small_twin(workload)
    before = [weights(player) for player in twin.players]
    # Enough examples for five moves of a critic.
    twin.play(endless_batches(workload.tensors(workload.data()), 40), turns=2)
    for player, old in zip(twin.players, before, strict=True):
        assert torch.isfinite(weights(player)).all()
        assert not torch.equal(weights(player), old)


@every_workload
def test_a_workload_is_scaled_to_other_networks_and_batches(workload: Workload) -> None:
    for other, width, batch_size in (
        (workload.scaled(), sizes(workload), workload.batch_size),
        (workload.scaled(batch_size=8), sizes(workload), 8),
    ):
        assert (other.name, sizes(other), other.batch_size) == (workload.name, width, batch_size)
    assert sum(sizes(workload.scaled(width=4))) < sum(sizes(workload)) < sum(sizes(workload.scaled(width=512)))


def test_batches_visit_every_example_at_most_once_an_epoch() -> None:
    numbers = torch.arange(10)
    pictures = torch.rand(10, 5, 4, 3).permute(0, 3, 1, 2)
    batches = list(itertools.islice(endless_batches((pictures, numbers), 3), 6))
    for epoch in (batches[:3], batches[3:]):
        assert len(set(torch.cat([chosen for _, chosen in epoch]).tolist())) == 9
    for shown, chosen in batches:
        assert shown.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(shown, pictures[chosen])
    with pytest.raises(ValueError, match="a batch of 11 cannot be taken of 10 examples"):
        next(endless_batches((numbers,), 11))


def small(workload: Workload) -> Workload:
    return workload.scaled(width=4, batch_size=8)


def small_twin(workload: Workload) -> Twin:
    return small(workload).twin(random_state(small(workload), workload.data()).params, compiled=False)


def first_state(workload: Workload, data: Data) -> State:
    """Its shapes alone."""
    batch = {name: array[:1] for name, array in data.items()}
    return jax.eval_shape(workload.build(data).init, jax.random.key(0), batch)


def weights(player: TorchPlayer) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in player.network.parameters()])


def sizes(workload: Workload) -> list[int]:
    return [leaf.size for leaf in jax.tree.leaves(first_state(workload, workload.data()).params)]


def random_state(workload: Workload, data: Data) -> State:
    """A first state with weights of ordinary size everywhere: zeros and ones at the start would hide mistakes."""
    random = np.random.default_rng(0)
    shapes = first_state(workload, data)
    state = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    weights = jax.tree.map(lambda leaf: random.normal(0.0, 0.1, leaf.shape).astype(leaf.dtype), shapes.params)
    return state.replace(params=weights)


def in_float64(arrays: PyTree) -> PyTree:
    """Numbers of float32 in float64, bytes as the values in [0, 1] that they stand for, other integers as they are."""

    def convert(array: np.ndarray) -> np.ndarray:
        if array.dtype == np.uint8:
            return array / 255
        return array.astype(np.float64) if array.dtype == np.float32 else array

    return jax.tree.map(convert, arrays)
