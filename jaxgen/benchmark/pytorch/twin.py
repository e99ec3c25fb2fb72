"""The PyTorch side of a workload: the same game, written as an experienced PyTorch user would write it.

All data are tensors in memory, an epoch is a random permutation of them, gradients are set to None instead of zero,
Adam is fused, and nothing synchronizes with the device within a repeat. A player is updated by the gradient with
respect to its own parameters alone, as in jaxgen: meanwhile those of its opponents do not require gradients.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from jaxgen.benchmark.pytorch.torch_average import TorchAverage
from jaxgen.benchmark.workloads.workload import Data

Batch = tuple[Tensor, ...]
"""Tensors on which a twin is trained, e.g. images, or images and labels."""

Tensors = Callable[[Data], Batch]
"""Function that converts the arrays on which jaxgen trains."""

Noise = tuple[Tensor, ...]
"""Random numbers of one update."""

GivenNoise = Mapping[str, Sequence[Noise]]
"""Player name -> the noise of each of its updates; likewise `player/regularizer` and `average/network`."""

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


class TorchRegularizer(NamedTuple):
    """A term that a player minimizes in an update of its own, at every k-th step (lazy regularization).

    Attributes:
        name: name of the term in jaxgen.
        loss: loss, without the factor `every`.
        every: number of steps between two updates with it.
        noise: `examples -> noise`, the random numbers of the loss.
    """

    name: str
    loss: Loss
    every: int
    noise: Callable[[Tensor], Noise] = no_noise


class TorchPlayer(NamedTuple):
    """One player.

    Attributes:
        name: name of the player in jaxgen.
        loss: loss that it minimizes.
        network: network that it trains.
        optimizer: optimizer of that network's parameters.
        noise: `examples -> noise`, the random numbers of its loss.
        updates: number of updates per step, each on a different slice of the batch.
        regularizers: terms that are minimized in updates of their own, with the same optimizer.
    """

    name: str
    loss: Loss
    network: nn.Module
    optimizer: Optimizer
    noise: Callable[[Tensor], Noise] = no_noise
    updates: int = 1
    regularizers: tuple[TorchRegularizer, ...] = ()


class Twin(ABC):
    """The players of one game.

    Attributes:
        players: the players, in order of their updates.
        tensors: function of the arrays on which jaxgen trains that returns the tensors on which the twin trains.
        parameters: player name -> the parameters that it trains.
        simultaneous: whether all players update at once, with the same noise.
        averages: moving averages of networks.
        mixed_precision: whether forward passes run within `torch.autocast` to bfloat16.
    """

    simultaneous: bool
    averages: tuple[TorchAverage, ...] = ()
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
        for network in (*(player.network for player in self.players), *(a.network for a in self.averages)):
            network.to(where)
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
        averages: moving averages of networks, which are updated once per step.
        compiled: whether their losses are compiled by `torch.compile`.

    Attributes:
        completed: number of completed steps.
    """

    simultaneous = False

    def __init__(
        self,
        players: Sequence[TorchPlayer],
        tensors: Tensors,
        *,
        averages: Sequence[TorchAverage] = (),
        compiled: bool,
    ) -> None:
        super().__init__([_compiled(player) for player in players] if compiled else players, tensors)
        self.averages = tuple(averages)
        self.completed = 0
        self.slices = max(player.updates for player in players)
        self.opponents = {
            name: [parameter for other in self.parameters if other != name for parameter in self.parameters[other]]
            for name in self.parameters
        }

    def losses(self, batch: Batch, noise: GivenNoise | None = None) -> dict[str, Tensor]:
        """Return every player's loss without updates, also of statistics."""
        found = {}
        for player in self.players:
            with _same_buffers([each.network for each in self.players]):
                found[player.name] = self._loss(player, player, 0, batch, _given(noise, player.name, 0)).detach()
        return found

    def step(self, batch: Batch, noise: GivenNoise | None = None) -> dict[str, Tensor]:
        """Make the updates of all players in order, and those of the averages."""
        self._average(batch, noise, delayed=True)
        losses = {}
        for player in self.players:
            values = [self._update(player, i, batch, _given(noise, player.name, i)) for i in range(player.updates)]
            losses[player.name] = values[0] if len(values) == 1 else torch.stack(values).mean()
            for term in player.regularizers:
                if self.completed % term.every == 0:
                    self._regularize(player, term, batch, _given(noise, f"{player.name}/{term.name}", 0))
        self._average(batch, noise, delayed=False)
        self.completed += 1
        return losses

    def _update(self, player: TorchPlayer, i: int, batch: Batch, noise: Noise | None) -> Tensor:
        player.optimizer.zero_grad(set_to_none=True)
        loss = self._loss(player, player, i, batch, noise)
        loss.backward()
        player.optimizer.step()
        return loss.detach()

    def _regularize(self, player: TorchPlayer, term: TorchRegularizer, batch: Batch, noise: Noise | None) -> None:
        """One update with a regularizer, on the examples of the player's last update."""
        player.optimizer.zero_grad(set_to_none=True)
        loss = self._loss(player, term, player.updates - 1, batch, noise)
        (term.every * loss).backward()
        # Without a gradient, a parameter on which the term does not depend would keep its moments: all of them decay.
        for parameter in self.parameters[player.name]:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        player.optimizer.step()

    def _loss(
        self, player: TorchPlayer, term: TorchPlayer | TorchRegularizer, i: int, batch: Batch, noise: Noise | None
    ) -> Tensor:
        # Neighbouring examples belong to different slices, as in jaxgen.
        examples = batch if self.slices == 1 else tuple(array[i :: self.slices] for array in batch)
        drawn = term.noise(examples[0]) if noise is None else noise
        _require_gradients(self.opponents[player.name], False)
        with self.autocast():
            loss = term.loss(*examples, *drawn)
        _require_gradients(self.opponents[player.name], True)
        return loss

    def _average(self, batch: Batch, noise: GivenNoise | None, *, delayed: bool) -> None:
        first = batch[0][:: self.slices]
        for average in self.averages:
            if average.delayed == delayed:
                given = _given(noise, f"average/{average.name}", 0)
                drawn = average.noise(first) if given is None else given
                with self.autocast():
                    average.update(self.completed, len(first), *drawn)


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


def _given(noise: GivenNoise | None, name: str, i: int) -> Noise | None:
    """The noise of one update, if noise is given."""
    return None if noise is None else noise[name][i]


def _compiled(player: TorchPlayer) -> TorchPlayer:
    """The player, whose losses are compiled by `torch.compile`."""
    regularizers = (each._replace(loss=torch.compile(each.loss)) for each in player.regularizers)
    return player._replace(loss=torch.compile(player.loss), regularizers=tuple(regularizers))


@contextmanager
def _same_buffers(networks: Sequence[nn.Module]) -> Iterator[None]:
    """Restore the buffers of networks, e.g. running statistics, after this context."""
    buffers = [buffer for network in networks for buffer in network.buffers()]
    before = [buffer.clone() for buffer in buffers]
    try:
        yield
    finally:
        for buffer, value in zip(buffers, before, strict=True):
            buffer.copy_(value)


def _require_gradients(parameters: Sequence[nn.Parameter], required: bool) -> None:
    for parameter in parameters:
        parameter.requires_grad_(required)
