"""The exponential moving average of a network, as a part of a training step."""

from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor, nn

Decay = Callable[[int, int], float]
"""`(completed steps, examples of an update) -> decay`."""


class TorchAverage:
    """Exponential moving average of a network, updated once per step.

    Args:
        name: name of the network in jaxgen.
        source: the network.
        decay: decay at a step.
        delayed: whether the network is averaged as it was before the step.
        recompute: `(average, *noise) -> None`, updates the statistics of the average by a forward pass in training;
            None where it has those of the network.
        noise: `examples -> noise`, the inputs of that pass.

    Attributes:
        network: the average.
    """

    def __init__(
        self,
        name: str,
        source: nn.Module,
        decay: Decay,
        *,
        delayed: bool = False,
        recompute: Callable[..., None] | None = None,
        noise: Callable[[Tensor], tuple[Tensor, ...]] = lambda x: (),
    ) -> None:
        self.name, self.delayed, self.noise = name, delayed, noise
        self.network = deepcopy(source).requires_grad_(False)
        self._source, self._decay, self._recompute = source, decay, recompute

    @torch.no_grad()
    def update(self, step: int, batch_size: int, *noise: Tensor) -> None:
        """Follow the network by one step."""
        weight = 1 - self._decay(step, batch_size)
        torch._foreach_lerp_(list(self.network.parameters()), list(self._source.parameters()), weight)
        if self._recompute is not None:
            self._recompute(self.network, *noise)
        elif buffers := list(self.network.buffers()):
            torch._foreach_copy_(buffers, list(self._source.buffers()))
