"""The PyTorch side of a workload: the same game, written as a good PyTorch user would write it.

All data are one float tensor in memory, an epoch is a random permutation of it, gradients are set to None instead of
zero, Adam is the fused one, and nothing waits for a number that nobody reads. A player is moved by the gradient of
its own parameters alone, as in jaxgen.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

Loss = Callable[[Tensor, Tensor], Tensor]


class TorchPlayer(NamedTuple):
    """One player.

    Attributes:
        name: of the player in jaxgen.
        loss: `(examples, noise) -> loss`, a scalar.
        trains: the network that it moves.
        optimizer: of that network's parameters.
        noise: length of the noise vector that its loss needs for an example.
    """

    name: str
    loss: Loss
    trains: nn.Module
    optimizer: torch.optim.Optimizer
    noise: int


class Twin:
    """The players of one game, moving in order.

    Args:
        players: in order of moving.
        compiled: whether their losses go through `torch.compile`.
    """

    def __init__(self, players: Sequence[TorchPlayer], *, compiled: bool) -> None:
        if compiled:
            players = [player._replace(loss=torch.compile(player.loss)) for player in players]
        self.players = players
        self.opponents = {
            player.name: [p for other in players if other is not player for p in other.trains.parameters()]
            for player in players
        }

    def turn(self, x: Tensor, noise: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Let every player move once.

        Args:
            x: the examples.
            noise: player name -> its noise; drawn where nothing is given.

        Returns:
            Player name -> its loss before the move.
        """
        losses = {}
        for player in self.players:
            z = torch.randn(len(x), player.noise) if noise is None else noise[player.name]
            player.optimizer.zero_grad(set_to_none=True)
            _require_gradients(self.opponents[player.name], False)
            loss = player.loss(x, z)
            loss.backward()
            _require_gradients(self.opponents[player.name], True)
            player.optimizer.step()
            losses[player.name] = loss.detach()
        return losses

    def play(self, batches: Iterator[Tensor], turns: int) -> None:
        """Play many turns."""
        for _ in range(turns):
            self.turn(next(batches))


def endless_batches(x: Tensor, batch_size: int) -> Iterator[Tensor]:
    """Go through the data in a new random order each epoch, leaving out the incomplete last batch."""
    while True:
        order = torch.randperm(len(x))
        for first in range(0, len(x) - batch_size + 1, batch_size):
            yield x[order[first : first + batch_size]]


def mlp(params: Mapping[str, Any], activation: nn.Module) -> nn.Sequential:
    """A copy of a `jaxgen.nn.mlp.MLP`: its layers, with its weights."""
    layers: list[nn.Module] = []
    for i in range(len(params)):
        kernel, bias = (np.asarray(params[f"Dense_{i}"][name]) for name in ("kernel", "bias"))
        linear = nn.Linear(*kernel.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.tensor(kernel.T))
            linear.bias.copy_(torch.tensor(bias))
        layers += [linear, activation]
    return nn.Sequential(*layers[:-1])


def _require_gradients(parameters: Sequence[nn.Parameter], required: bool) -> None:
    for parameter in parameters:
        parameter.requires_grad_(required)
