"""Bytes are those of arrays whose sizes are known."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from memory import added, of_program, of_twin
from torch import nn
from workloads.twin import Alternating, TorchPlayer, adam

MEGABYTE = 10**6


def test_memory_that_is_given_back_before_the_peak_is_not_in_it():
    x = torch.ones(MEGABYTE // 4)

    def work():
        y = x + 1
        z = y + 1
        del y
        return torch.cat([z, z])

    assert added(work, torch.device("cpu")) == pytest.approx(3 * MEGABYTE, rel=1e-3)


def test_a_turn_needs_weights_moments_and_gradients():
    network = nn.Linear(1000, 1000, bias=False)
    twin = Alternating(
        [TorchPlayer("player", lambda x: network(x).sum(), network, adam(network, learning_rate=0.1))], compiled=False
    )
    batches = itertools.repeat((torch.ones(1, 1000),))
    twin.play(batches, turns=1)
    assert of_twin(twin, batches) == pytest.approx(4 * 4 * MEGABYTE, rel=0.01)


def test_a_program_needs_what_it_takes_and_gives_without_the_data():
    data = {"x": np.ones((100, 1000), np.float32)}

    def program(state, data):
        return state + data["x"][0], jnp.sort(state)

    compiled = jax.jit(program, donate_argnums=0).lower(np.ones(1000, np.float32), data).compile()
    # The state, in whose place one result is put, the other one, and next to nothing for the rest.
    assert of_program(compiled, data) == pytest.approx(2 * 4000, abs=4100)
