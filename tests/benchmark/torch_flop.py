"""Operations of a training step as PyTorch counts them, and those of them whose results are not needed."""

import math

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


class Counter(TorchDispatchMode):
    """Counter of operations like PyTorch's `FlopCounterMode`, which fails where gradients of gradients are computed.

    Args:
        filters: constant windows, whose convolutions are not counted: jaxgen adds shifted images instead.
    """

    def __init__(self, filters=()):
        super().__init__()
        self.flop = 0
        self.filters = {window.untyped_storage().data_ptr() for window in filters}

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        """Execute an operation and add its cost to the count."""
        result = operation(*args, **(kwargs or {}))
        arrays = [value for value in args if torch.is_tensor(value)]
        if self.filters & {array.untyped_storage().data_ptr() for array in arrays}:
            return result
        if count := flop_registry.get(operation.overloadpacket):
            self.flop += count(*args, **(kwargs or {}), out_val=result)
        return result


def filters(twin):
    """The constant windows of a twin."""
    networks = [player.network for player in twin.players]
    return [window for network in networks for name, window in network.named_buffers() if name.endswith("window")]


def unused(twin, images):
    """Operations of a period of steps whose results PyTorch computes where a gradient is differentiated, in vain.

    A gradient penalty is propagated back through the discriminator's pass, where it is zero because the second
    derivative of a leaky ReLU is. Before a layer that compares the examples of a batch it is not. Without such a layer
    it is zero in the whole network. The logits of the pass are not needed, nor are images whose path length is
    measured, nor is the gradient by their direction.
    """
    counts = 0
    for player in twin.players:
        for term in player.regularizers:
            due = math.lcm(*(each.every for each in (*twin.players[0].regularizers, *twin.players[1].regularizers)))
            of_term = of_epilogue if term.name == "penalty" else _of_colours
            counts += due // term.every * of_term(player.network, images)
    return counts


def of_epilogue(discriminator, images):
    """Those of one penalty on the gradient of a discriminator that compares the examples of a batch."""
    features = discriminator.trunk(images).detach().requires_grad_()
    hidden = discriminator.epilogue(features)
    with Counter() as wasted:
        hidden.sum().backward()
        discriminator.output(hidden.detach())
    return wasted.flop


def _of_colours(generator, images):
    examples = len(images) // 2
    pixels = [16 * 4**number for number in range(len(generator.blocks))]
    maps = [block.torgb.weight.numel() for block in generator.blocks]
    return 2 * sum(2 * examples * size * numbers for size, numbers in zip(pixels, maps, strict=True))
