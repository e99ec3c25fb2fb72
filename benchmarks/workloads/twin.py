"""The PyTorch side of a workload: the same game, written as a good PyTorch user would write it.

All data are tensors in memory, an epoch is a random permutation of them, gradients are set to None instead of zero,
Adam is the fused one, and nothing waits for a number that nobody reads. A player is moved by the gradient of its own
parameters alone, as in jaxgen: while it moves, those of its opponents require none.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

Batch = tuple[Tensor, ...]
"""What a twin learns from, e.g. pictures, or pictures and labels."""

Noise = tuple[Tensor, ...]
"""What one move needs of random numbers."""

Given = Mapping[str, Sequence[Noise]]
"""Player name -> the noise of each of its moves."""

Loss = Callable[..., Tensor]
"""`(*batch, *noise) -> loss`, a scalar; in a simultaneous game `(*terms) -> loss`."""


def normal(x: Tensor, *shape: int) -> Tensor:
    """Draw from N(0, 1), for each example of x."""
    return torch.randn(len(x), *shape, dtype=x.dtype, device=x.device)


def uniform(x: Tensor, *shape: int) -> Tensor:
    """Draw from the interval [0, 1], for each example of x."""
    return torch.rand(len(x), *shape, dtype=x.dtype, device=x.device)


def nothing(x: Tensor) -> Noise:
    """The noise of a player that needs none."""
    return ()


class TorchPlayer(NamedTuple):
    """One player.

    Attributes:
        name: of the player in jaxgen.
        loss: what it minimizes.
        network: that it moves.
        optimizer: of that network's parameters.
        noise: draws what its loss needs, `examples -> noise`.
        updates: moves a turn, each on a fresh slice of the batch.
    """

    name: str
    loss: Loss
    network: nn.Module
    optimizer: Optimizer
    noise: Callable[[Tensor], Noise] = nothing
    updates: int = 1


class Twin(ABC):
    """The players of one game.

    Attributes:
        players: in order of moving.
        parameters: player name -> what it moves.
        simultaneous: whether all of them answer to the same parameters, with the same noise.
        mixed_precision: whether forward passes go through `torch.autocast`, to bfloat16.
    """

    simultaneous: bool
    mixed_precision = False

    def __init__(self, players: Sequence[TorchPlayer]) -> None:
        self.players = tuple(players)
        self.parameters = {player.name: list(player.network.parameters()) for player in players}

    @abstractmethod
    def losses(self, batch: Batch, noise: Given | None = None) -> dict[str, Tensor]:
        """What every player's loss is before anybody moves, with the examples and the noise of its first move."""

    @abstractmethod
    def turn(self, batch: Batch, noise: Given | None = None) -> dict[str, Tensor]:
        """Let every player make its moves.

        Args:
            batch: the examples of all moves of the most active player.
            noise: drawn where nothing is given.

        Returns:
            Player name -> its loss before the move, averaged over its moves.
        """

    def play(self, batches: Iterator[Batch], turns: int) -> None:
        """Play many turns, and return when they are over."""
        for _ in range(turns):
            self.turn(next(batches))
        if torch.cuda.is_available():
            torch.cuda.synchronize()

    def to(self, where: Any) -> "Twin":
        """Move the networks to a device, or change their precision; before the first turn."""
        for player in self.players:
            player.network.to(where)
        return self

    def in_mixed_precision(self) -> "Twin":
        """Let products be in bfloat16 from now on; parameters and optimizers stay as they are."""
        self.mixed_precision = True
        return self

    def autocast(self) -> AbstractContextManager[Any]:
        """The context of a forward pass. As PyTorch advises, the backward pass is outside."""
        return torch.autocast(self.device.type, torch.bfloat16) if self.mixed_precision else nullcontext()

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return next(self.players[0].network.parameters()).device


class Alternating(Twin):
    """Players that move one after the other, each seeing what those before it have done.

    Args:
        players: in order of moving.
        compiled: whether their losses go through `torch.compile`.
    """

    simultaneous = False

    def __init__(self, players: Sequence[TorchPlayer], *, compiled: bool) -> None:
        super().__init__(
            [player._replace(loss=torch.compile(player.loss)) if compiled else player for player in players]
        )
        self.slices = max(player.updates for player in players)
        self.opponents = {
            name: [parameter for other in self.parameters if other != name for parameter in self.parameters[other]]
            for name in self.parameters
        }

    def losses(self, batch: Batch, noise: Given | None = None) -> dict[str, Tensor]:
        """What every player's loss is before anybody moves."""
        return {player.name: self._loss(player, 0, batch, noise).detach() for player in self.players}

    def turn(self, batch: Batch, noise: Given | None = None) -> dict[str, Tensor]:
        """Let every player make its moves."""
        losses = {}
        for player in self.players:
            moves = [self._move(player, i, batch, noise) for i in range(player.updates)]
            losses[player.name] = moves[0] if len(moves) == 1 else torch.stack(moves).mean()
        return losses

    def _move(self, player: TorchPlayer, i: int, batch: Batch, noise: Given | None) -> Tensor:
        player.optimizer.zero_grad(set_to_none=True)
        loss = self._loss(player, i, batch, noise)
        loss.backward()
        player.optimizer.step()
        return loss.detach()

    def _loss(self, player: TorchPlayer, i: int, batch: Batch, noise: Given | None) -> Tensor:
        # Examples are dealt to the moves one by one, as in jaxgen.
        seen = batch if self.slices == 1 else tuple(array[i :: self.slices] for array in batch)
        drawn = player.noise(seen[0]) if noise is None else noise[player.name][i]
        _require_gradients(self.opponents[player.name], False)
        with self.autocast():
            loss = player.loss(*seen, *drawn)
        _require_gradients(self.opponents[player.name], True)
        return loss


class Simultaneous(Twin):
    """Players that move at once, by gradients of one forward pass.

    Args:
        forward: the pass, `(*batch, *noise) -> terms`, of which the players' losses are made.
        noise: draws what it needs, `examples -> noise`.
        players: who plays.
        compiled: whether the pass goes through `torch.compile`.
    """

    simultaneous = True

    def __init__(
        self,
        forward: Callable[..., tuple[Tensor, ...]],
        noise: Callable[[Tensor], Noise],
        players: Sequence[TorchPlayer],
        *,
        compiled: bool,
    ) -> None:
        super().__init__(players)
        self.forward = torch.compile(forward) if compiled else forward
        self.noise = noise

    def losses(self, batch: Batch, noise: Given | None = None) -> dict[str, Tensor]:
        """What every player's loss is before anybody moves."""
        return {name: loss.detach() for name, loss in self._losses(batch, noise).items()}

    def turn(self, batch: Batch, noise: Given | None = None) -> dict[str, Tensor]:
        """Let every player move once."""
        losses = self._losses(batch, noise)
        for player in self.players:
            own, last = self.parameters[player.name], player is self.players[-1]
            gradients = torch.autograd.grad(losses[player.name], own, retain_graph=not last)
            for parameter, gradient in zip(own, gradients, strict=True):
                parameter.grad = gradient
        for player in self.players:
            player.optimizer.step()
        return {name: loss.detach() for name, loss in losses.items()}

    def _losses(self, batch: Batch, noise: Given | None) -> dict[str, Tensor]:
        drawn = self.noise(batch[0]) if noise is None else noise[self.players[0].name][0]
        with self.autocast():
            terms = self.forward(*batch, *drawn)
            return {player.name: player.loss(*terms) for player in self.players}


def adam(network: nn.Module, *, learning_rate: float, b1: float = 0.9, b2: float = 0.999) -> Optimizer:
    """Adam, each step one kernel for all parameters."""
    return torch.optim.Adam(network.parameters(), lr=learning_rate, betas=(b1, b2), fused=True)


def endless_batches(arrays: Batch, batch_size: int) -> Iterator[Batch]:
    """Go through the data in a new random order each epoch, leaving out the incomplete last batch.

    Args:
        arrays: all data, as the twin takes them.
        batch_size: examples a turn: those of one move, times the moves of the most active player.

    Yields:
        One batch a turn.

    Raises:
        ValueError: if there are fewer examples than that.
    """
    examples = len(arrays[0])
    if examples < batch_size:
        raise ValueError(f"a batch of {batch_size} cannot be taken of {examples} examples")
    while True:
        order = torch.randperm(examples, device=arrays[0].device)
        for first in range(0, examples - batch_size + 1, batch_size):
            chosen = order[first : first + batch_size]
            yield tuple(array[chosen] for array in arrays)


def _require_gradients(parameters: Sequence[nn.Parameter], required: bool) -> None:
    for parameter in parameters:
        parameter.requires_grad_(required)
