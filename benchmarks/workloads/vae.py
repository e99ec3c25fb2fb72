"""The MLP variational autoencoder, 784-400-20, on pictures of the size of MNIST's."""

from collections.abc import Mapping

import jax
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from jaxgen.models.vae import Config
from jaxgen.typing import Params
from workloads.twin import TorchPlayer, Twin, mlp
from workloads.workload import Workload

CONFIG = Config(architecture="mlp", hidden=(400,), latent=20, learning_rate=1e-3)


class TorchVAE(nn.Module):
    """The twin's network."""

    def __init__(self, params: Params) -> None:
        super().__init__()
        self.encoder = mlp(params["encoder"], nn.ReLU())
        self.decoder = mlp(params["decoder"], nn.ReLU())

    def forward(self, x: Tensor, epsilon: Tensor) -> Tensor:
        """The negative evidence lower bound, nats per example."""
        mean, log_var = self.encoder(x).chunk(2, dim=1)
        z = mean + torch.exp(log_var / 2) * epsilon
        reconstruction = binary_cross_entropy_with_logits(self.decoder(z), x, reduction="sum")
        kl = 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum()
        return (reconstruction + kl) / len(x)


def twin(params: Params, *, compiled: bool) -> Twin:
    """The same in PyTorch, starting from the same weights."""
    vae = TorchVAE(params)
    adam = torch.optim.Adam(vae.parameters(), lr=CONFIG.learning_rate, fused=True)
    return Twin([TorchPlayer("vae", vae, vae, adam, noise=CONFIG.latent)], compiled=compiled)


def pictures() -> dict[str, np.ndarray]:
    """Noise pictures: the time of a step does not depend on what they show."""
    return {"image": np.random.default_rng(0).integers(0, 256, (10_000, 28, 28, 1), dtype=np.uint8)}


def observed(data: Mapping[str, np.ndarray]) -> np.ndarray:
    """Pictures as rows of values in [0, 1]."""
    return data["image"].reshape(len(data["image"]), -1).astype(np.float32) / 255


WORKLOAD = Workload(
    name="MLP VAE 784-400-20",
    family="vae",
    config=CONFIG,
    data=pictures,
    observed=observed,
    batch_size=128,
    noise={"vae": lambda key, n: jax.random.normal(key, (n, CONFIG.latent))},
    twin=twin,
    turns=200,
    bar=1.5,
)
