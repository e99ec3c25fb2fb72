"""Counted bytes are those of arrays of known sizes."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch import nn

from jaxgen.benchmark.pytorch.tensors import points
from jaxgen.benchmark.pytorch.torch_memory import of_twin, peak_increase
from jaxgen.benchmark.pytorch.twin import Alternating, TorchPlayer, adam
from jaxgen.benchmark.step_memory import of_program

MEGABYTE = 10**6


def test_peak_excludes_memory_that_was_freed_before_it():
    x = torch.ones(MEGABYTE // 4)

    def work():
        y = x + 1
        z = y + 1
        del y
        return torch.cat([z, z])

    assert peak_increase(work, torch.device("cpu")) == pytest.approx(3 * MEGABYTE, rel=1e-3)


def test_memory_of_a_torch_step_is_weights_moments_and_gradients():
    network = nn.Linear(1000, 1000, bias=False)
    player = TorchPlayer("player", lambda x: network(x).sum(), network, adam(network, learning_rate=0.1))
    twin = Alternating([player], points, compiled=False)
    batches = itertools.repeat((torch.ones(1, 1000),))
    twin.run(batches, steps=1)
    assert of_twin(twin, batches) == pytest.approx(4 * 4 * MEGABYTE, rel=0.01)


def test_memory_of_a_program_is_arguments_and_results_without_the_data():
    data = {"x": np.ones((100, 1000), np.float32)}

    def program(state, data):
        return state + data["x"][0], jnp.sort(state)

    compiled = jax.jit(program, donate_argnums=0).lower(np.ones(1000, np.float32), data).compile()
    # The state, whose buffer one result reuses, the other result, and little else.
    assert of_program(compiled, data) == pytest.approx(2 * 4000, abs=4100)
