"""The twin of the variational autoencoders.

`config` is a `jaxgen.models.vae.Config` in which all numbers are given.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from jaxgen.benchmark.pytorch.tensors import channels_first, rows
from jaxgen.benchmark.pytorch.torch_networks import Size, conv_decoder, conv_encoder, mlp
from jaxgen.benchmark.pytorch.twin import Alternating, Noise, Tensors, TorchPlayer, Twin, adam, normal
from jaxgen.typing import Params


def mlp_vae(config: Any, params: Params, *, compiled: bool) -> Twin:
    """Return the PyTorch side of the fully connected workload."""
    vae = TorchVAE(mlp(params["encoder"], nn.ReLU()), mlp(params["decoder"], nn.ReLU()))
    return _twin(config, vae, rows, compiled=compiled)


def conv_vae(config: Any, size: Size, params: Params, *, compiled: bool) -> Twin:
    """Return the PyTorch side of the convolutional workloads, for images of this height and width."""
    vae = TorchVAE(conv_encoder(params["encoder"], size), conv_decoder(params["decoder"], size))
    return _twin(config, vae, channels_first, compiled=compiled)


class TorchVAE(nn.Module):
    """Network of the twin."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def forward(self, x: Tensor, epsilon: Tensor) -> Tensor:
        """Return the negative evidence lower bound in nats per example."""
        mean, log_var = self.encoder(x).chunk(2, dim=1)
        z = mean + torch.exp(log_var / 2) * epsilon
        reconstruction = binary_cross_entropy_with_logits(self.decoder(z), x, reduction="sum")
        kl = 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum()
        return (reconstruction + kl) / len(x)


def _twin(config: Any, vae: TorchVAE, tensors: Tensors, *, compiled: bool) -> Twin:
    def noise(x: Tensor) -> Noise:
        return (normal(x, config.latent_dim),)

    optimizer = adam(vae, learning_rate=config.learning_rate)
    return Alternating([TorchPlayer("vae", vae, vae, optimizer, noise)], tensors, compiled=compiled)
