"""The twin of the autoencoder.

`config` is a `jaxgen.models.autoencoder.Config` in which all numbers are given.
"""

from typing import Any

from torch import Tensor, nn

from jaxgen.benchmark.pytorch.tensors import rows
from jaxgen.benchmark.pytorch.torch_networks import mlp
from jaxgen.benchmark.pytorch.twin import Alternating, TorchPlayer, Twin, adam
from jaxgen.typing import Params


def mlp_autoencoder(config: Any, params: Params, *, compiled: bool) -> Twin:
    """Return the PyTorch side of the fully connected workload."""
    autoencoder = nn.Sequential(mlp(params["encoder"], nn.ReLU()), mlp(params["decoder"], nn.ReLU()))

    def loss(x: Tensor) -> Tensor:
        return nn.functional.mse_loss(autoencoder(x), x, reduction="sum") / len(x)

    optimizer = adam(autoencoder, learning_rate=config.learning_rate)
    return Alternating([TorchPlayer("autoencoder", loss, autoencoder, optimizer)], rows, compiled=compiled)
