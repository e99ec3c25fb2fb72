"""Counts of operations equal those that follow from the shapes."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from flop import of_algorithm, of_compiled_step
from torch import nn
from workloads.twin import Alternating, TorchPlayer, adam

from jaxgen.game import Model, Player, game

N, INPUTS, OUTPUTS = 32, 48, 64
PRODUCT = 2 * N * INPUTS * OUTPUTS


@pytest.mark.parametrize("updates", [1, 5])
def test_compiled_flop_include_all_updates_of_a_loop(updates):
    """An update has one product and one more for its gradient; elementwise operations are less than a tenth of them."""

    def loss(key, params, state, batch):
        return jnp.mean((batch["x"] @ params["w"]) ** 2), ({}, {})

    player = Player("player", ("w",), loss, optax.sgd(0.1), updates=updates)
    init, step = game(lambda key, batch: {"w": {"params": jnp.ones((INPUTS, OUTPUTS))}}, [player])
    model = Model(init, step, players=(player,))
    of_step = {"x": np.ones((N * updates, INPUTS), np.float32)}
    of_update = {"x": np.ones((N, INPUTS), np.float32)}
    key, state = jax.random.key(0), model.init(jax.random.key(0), of_update)
    compiled = jax.jit(model.step).lower(key, state, of_step).compile()
    assert of_compiled_step(compiled, model, state, of_update) == pytest.approx(2 * PRODUCT * updates, rel=0.1)


def flop_of_step(network, loss, x, updates=1):
    player = TorchPlayer("player", loss, network, adam(network, learning_rate=0.1), updates=updates)
    return of_algorithm(Alternating([player], compiled=False), (x,))


def test_products_are_counted_forward_and_backward():
    network = nn.Linear(INPUTS, OUTPUTS)
    assert flop_of_step(network, lambda x: network(x).sum(), torch.ones(3 * N, INPUTS), updates=3) == 3 * 2 * PRODUCT


def test_convolutions_are_counted_forward_and_backward():
    """2 x 3 channels, windows of 4 x 4, 5 x 5 positions; no gradient with respect to the input is computed."""
    network = nn.Sequential(nn.Conv2d(3, 2, 4, stride=2, padding=1), nn.Conv2d(2, 3, 1))
    first, second = 2 * N * 25 * 2 * 3 * 16, 2 * N * 25 * 3 * 2
    assert flop_of_step(network, lambda x: network(x).sum(), torch.ones(N, 3, 10, 10)) == 2 * first + 3 * second


def test_gradients_of_gradients_are_counted():
    """f = x w: the gradient by x costs one product, and the gradient of that by w one more."""
    network = nn.Linear(INPUTS, OUTPUTS, bias=False)

    def penalty(x):
        return torch.func.grad(lambda x: network(x).square().sum())(x).square().sum()

    # Forward: x w and (2 x w) w^T. Backward: both factors of the second product, then w in the first.
    assert flop_of_step(network, penalty, torch.ones(N, INPUTS)) == 5 * PRODUCT
