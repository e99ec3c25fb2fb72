"""The PyTorch side of a workload: the same game, written as an experienced PyTorch user would write it.

All data are tensors in memory, an epoch is a random permutation of them, gradients are set to None instead of zero,
Adam is fused, and nothing synchronizes with the device within a repeat. A player is updated by the gradient with
respect to its own parameters alone, as in jaxgen: meanwhile those of its opponents do not require gradients.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from jaxgen.benchmark.workloads.workload import Data

Batch = tuple[Tensor, ...]
"""Tensors on which a twin is trained, e.g. images, or images and labels."""

Tensors = Callable[[Data], Batch]
"""Function that converts the arrays on which jaxgen trains."""

Noise = tuple[Tensor, ...]
"""Random numbers of one update."""

GivenNoise = Mapping[str, Sequence[Noise]]
"""Player name -> the noise of each of its updates."""

Loss = Callable[..., Tensor]
"""`(*batch, *noise) -> loss`, a scalar; in a simultaneous game `(*terms) -> loss`."""


def normal(x: Tensor, *shape: int) -> Tensor:
    """Draw from N(0, 1), an array of this shape for each example of x."""
    return torch.randn(len(x), *shape, dtype=x.dtype, device=x.device)


def uniform(x: Tensor, *shape: int) -> Tensor:
    """Draw from the uniform distribution on [0, 1], an array of this shape for each example of x."""
    return torch.rand(len(x), *shape, dtype=x.dtype, device=x.device)


def no_noise(x: Tensor) -> Noise:
    """Return the noise of a deterministic loss, an empty tuple."""
    return ()


class TorchPlayer(NamedTuple):
    """One player.

    Attributes:
        name: name of the player in jaxgen.
        loss: loss that it minimizes.
        network: network that it trains.
        optimizer: optimizer of that network's parameters.
        noise: `examples -> noise`, the random numbers of its loss.
        updates: number of updates per step, each on a different slice of the batch.
    """

    name: str
    loss: Loss
    network: nn.Module
    optimizer: Optimizer
    noise: Callable[[Tensor], Noise] = no_noise
    updates: int = 1


class Twin(ABC):
    """The players of one game.

    Attributes:
        players: the players, in order of their updates.
        tensors: function of the arrays on which jaxgen trains that returns the tensors on which the twin trains.
        parameters: player name -> the parameters that it trains.
        simultaneous: whether all players update at once, with the same noise.
        mixed_precision: whether forward passes run within `torch.autocast` to bfloat16.
    """

    simultaneous: bool
    mixed_precision = False

    def __init__(self, players: Sequence[TorchPlayer], tensors: Tensors) -> None:
        self.players = tuple(players)
        self.tensors = tensors
        self.parameters = {player.name: list(player.network.parameters()) for player in players}

    @abstractmethod
    def losses(self, batch: Batch, noise: GivenNoise | None = None) -> dict[str, Tensor]:
        """Return every player's loss without updates, with the examples and the noise of its first update."""

    @abstractmethod
    def step(self, batch: Batch, noise: GivenNoise | None = None) -> dict[str, Tensor]:
        """Make the updates of all players.

        Args:
            batch: examples of one step: those of one update, times the largest number of updates of any player.
            noise: noise of all updates; None to draw it.

        Returns:
            Player name -> its loss before the update, averaged over its updates.
        """

    def run(self, batches: Iterator[Batch], steps: int) -> None:
        """Run many steps and return when they are complete."""
        for _ in range(steps):
            self.step(next(batches))
        if torch.cuda.is_available():
            torch.cuda.synchronize()

    def to(self, where: Any) -> "Twin":
        """Convert the networks to a device or a dtype; call it before the first step."""
        for player in self.players:
            player.network.to(where)
        return self

    def in_mixed_precision(self) -> "Twin":
        """Compute products in bfloat16 from now on; parameters and optimizers remain unchanged."""
        self.mixed_precision = True
        return self

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the context of a forward pass. As PyTorch advises, the backward pass is outside."""
        return torch.autocast(self.device.type, torch.bfloat16) if self.mixed_precision else nullcontext()

    @property
    def device(self) -> torch.device:
        """Device of the networks."""
        return next(self.players[0].network.parameters()).device


class Alternating(Twin):
    """Players that update in order, each with the parameters that those before it have updated.

    Args:
        players: the players, in order of their updates.
        tensors: function of the arrays on which jaxgen trains that returns tensors.
        compiled: whether their losses are compiled by `torch.compile`.
    """

    simultaneous = False

    def __init__(self, players: Sequence[TorchPlayer], tensors: Tensors, *, compiled: bool) -> None:
        super().__init__(
            [player._replace(loss=torch.compile(player.loss)) if compiled else player for player in players], tensors
        )
        self.slices = max(player.updates for player in players)
        self.opponents = {
            name: [parameter for other in self.parameters if other != name for parameter in self.parameters[other]]
            for name in self.parameters
        }

    def losses(self, batch: Batch, noise: GivenNoise | None = None) -> dict[str, Tensor]:
        """Return every player's loss without updates."""
        return {player.name: self._loss(player, 0, batch, noise).detach() for player in self.players}

    def step(self, batch: Batch, noise: GivenNoise | None = None) -> dict[str, Tensor]:
        """Make the updates of all players in order."""
        losses = {}
        for player in self.players:
            values = [self._update(player, i, batch, noise) for i in range(player.updates)]
            losses[player.name] = values[0] if len(values) == 1 else torch.stack(values).mean()
        return losses

    def _update(self, player: TorchPlayer, i: int, batch: Batch, noise: GivenNoise | None) -> Tensor:
        player.optimizer.zero_grad(set_to_none=True)
        loss = self._loss(player, i, batch, noise)
        loss.backward()
        player.optimizer.step()
        return loss.detach()

    def _loss(self, player: TorchPlayer, i: int, batch: Batch, noise: GivenNoise | None) -> Tensor:
        # Neighbouring examples belong to different slices, as in jaxgen.
        examples = batch if self.slices == 1 else tuple(array[i :: self.slices] for array in batch)
        drawn = player.noise(examples[0]) if noise is None else noise[player.name][i]
        _require_gradients(self.opponents[player.name], False)
        with self.autocast():
            loss = player.loss(*examples, *drawn)
        _require_gradients(self.opponents[player.name], True)
        return loss


class Simultaneous(Twin):
    """Players that update at once, by gradients through one forward pass.

    Args:
        forward: forward pass, `(*batch, *noise) -> terms`, from which the players' losses are computed.
        noise: `examples -> noise`, the random numbers of the forward pass.
        players: the players.
        tensors: function of the arrays on which jaxgen trains that returns tensors.
        compiled: whether the forward pass is compiled by `torch.compile`.
    """

    simultaneous = True

    def __init__(
        self,
        forward: Callable[..., tuple[Tensor, ...]],
        noise: Callable[[Tensor], Noise],
        players: Sequence[TorchPlayer],
        tensors: Tensors,
        *,
        compiled: bool,
    ) -> None:
        super().__init__(players, tensors)
        self.forward = torch.compile(forward) if compiled else forward
        self.noise = noise

    def losses(self, batch: Batch, noise: GivenNoise | None = None) -> dict[str, Tensor]:
        """Return every player's loss without updates."""
        return {name: loss.detach() for name, loss in self._losses(batch, noise).items()}

    def step(self, batch: Batch, noise: GivenNoise | None = None) -> dict[str, Tensor]:
        """Make one update of every player."""
        losses = self._losses(batch, noise)
        for player in self.players:
            own, last = self.parameters[player.name], player is self.players[-1]
            gradients = torch.autograd.grad(losses[player.name], own, retain_graph=not last)
            for parameter, gradient in zip(own, gradients, strict=True):
                parameter.grad = gradient
        for player in self.players:
            player.optimizer.step()
        return {name: loss.detach() for name, loss in losses.items()}

    def _losses(self, batch: Batch, noise: GivenNoise | None) -> dict[str, Tensor]:
        drawn = self.noise(batch[0]) if noise is None else noise[self.players[0].name][0]
        with self.autocast():
            terms = self.forward(*batch, *drawn)
            return {player.name: player.loss(*terms) for player in self.players}


def adam(network: nn.Module, *, learning_rate: float, b1: float = 0.9, b2: float = 0.999) -> Optimizer:
    """Return Adam with one kernel per update for all parameters."""
    return torch.optim.Adam(network.parameters(), lr=learning_rate, betas=(b1, b2), fused=True)


def endless_batches(arrays: Batch, batch_size: int) -> Iterator[Batch]:
    """Iterate over the data in a new random order in each epoch, without the incomplete last batch.

    Args:
        arrays: all data, as tensors for the twin.
        batch_size: number of examples per step: those of one update, times the largest number of updates of any player.

    Yields:
        The batch of one step.

    Raises:
        ValueError: if the data have fewer examples.
    """
    examples = len(arrays[0])
    if examples < batch_size:
        raise ValueError(f"batch_size must be at most the {examples} examples of the data, got {batch_size}")
    while True:
        order = torch.randperm(examples, device=arrays[0].device)
        for first in range(0, examples - batch_size + 1, batch_size):
            indices = order[first : first + batch_size]
            yield tuple(array[indices] for array in arrays)


def _require_gradients(parameters: Sequence[nn.Parameter], required: bool) -> None:
    for parameter in parameters:
        parameter.requires_grad_(required)
