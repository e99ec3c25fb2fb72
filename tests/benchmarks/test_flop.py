"""Operations are counted as they can be counted by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from flop import of_algorithm, of_compiled_turn
from torch import nn
from workloads.twin import Alternating, TorchPlayer, adam

from jaxgen.game import Model, Player, game

N, INPUTS, OUTPUTS = 32, 48, 64
PRODUCT = 2 * N * INPUTS * OUTPUTS


@pytest.mark.parametrize("updates", [1, 5])
def test_the_moves_of_a_loop_are_all_counted(updates):
    """A move is a product, and one more for its gradient; what is elementwise is less than a tenth of them."""

    def loss(key, params, state, batch):
        return jnp.mean((batch["x"] @ params["w"]) ** 2), ({}, {})

    player = Player("player", ("w",), loss, optax.sgd(0.1), updates=updates)
    init, step = game(lambda key, batch: {"w": {"params": jnp.ones((INPUTS, OUTPUTS))}}, [player])
    model = Model(init, step, sample=None, players=(player,))
    turn = {"x": np.ones((N * updates, INPUTS), np.float32)}
    move = {"x": np.ones((N, INPUTS), np.float32)}
    key, state = jax.random.key(0), model.init(jax.random.key(0), move)
    compiled = jax.jit(model.step).lower(key, state, turn).compile()
    assert of_compiled_turn(compiled, model, state, move) == pytest.approx(2 * PRODUCT * updates, rel=0.1)


def turn_of(network, loss, x, updates=1):
    player = TorchPlayer("player", loss, network, adam(network, learning_rate=0.1), updates=updates)
    return of_algorithm(Alternating([player], compiled=False), (x,))


def test_products_are_counted_forward_and_backward():
    network = nn.Linear(INPUTS, OUTPUTS)
    assert turn_of(network, lambda x: network(x).sum(), torch.ones(3 * N, INPUTS), updates=3) == 3 * 2 * PRODUCT


def test_convolutions_are_counted_forward_and_backward():
    """2 x 3 channels, windows of 4 x 4, 5 x 5 places; the first layer's input needs no gradient."""
    network = nn.Sequential(nn.Conv2d(3, 2, 4, stride=2, padding=1), nn.Conv2d(2, 3, 1))
    first, second = 2 * N * 25 * 2 * 3 * 16, 2 * N * 25 * 3 * 2
    assert turn_of(network, lambda x: network(x).sum(), torch.ones(N, 3, 10, 10)) == 2 * first + 3 * second


def test_gradients_of_gradients_are_counted():
    """f = x w: its gradient by x costs one product, and the gradient of that by w one more."""
    network = nn.Linear(INPUTS, OUTPUTS, bias=False)

    def penalty(x):
        return torch.func.grad(lambda x: network(x).square().sum())(x).square().sum()

    # Forward: x w and (2 x w) w^T. Backward: both factors of the second product, then w in the first.
    assert turn_of(network, penalty, torch.ones(N, INPUTS)) == 5 * PRODUCT
