"""The twin of the residual classifier.

`config` is a `jaxgen.models.classifier.Config` in which all numbers are given.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from jaxgen.benchmark.pytorch.tensors import labelled_images
from jaxgen.benchmark.pytorch.torch_networks import residual_network
from jaxgen.benchmark.pytorch.twin import Alternating, TorchPlayer, Twin
from jaxgen.typing import Params


def classifier(config: Any, params: Params, *, compiled: bool) -> Twin:
    """Return the PyTorch side."""
    network = residual_network(params["classifier"])

    def loss(x: Tensor, label: Tensor) -> Tensor:
        return cross_entropy(network(x), label)

    sgd = torch.optim.SGD(
        network.parameters(),
        lr=config.learning_rate,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        fused=True,
    )
    return Alternating([TorchPlayer("classifier", loss, network, sgd)], labelled_images, compiled=compiled)
