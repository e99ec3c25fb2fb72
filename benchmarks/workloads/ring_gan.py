"""The generative adversarial network of fully connected layers that learns a ring of eight Gaussians in the plane."""

from collections.abc import Mapping

import jax
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from jaxgen.data.synthetic import ring
from jaxgen.models.gan import Config
from jaxgen.nn.dcgan import LEAK
from jaxgen.typing import Params
from workloads.twin import TorchPlayer, Twin, mlp
from workloads.workload import Workload

# jaxgen's defaults for points, spelled out.
CONFIG = Config(loss="non_saturating", hidden=(64, 64), latent=2, critic_moves=1, learning_rate=1e-3, b1=0.5, b2=0.999)


def twin(params: Params, *, compiled: bool) -> Twin:
    """The same in PyTorch, starting from the same weights."""
    generator = mlp(params["generator"], nn.ReLU())
    discriminator = mlp(params["discriminator"], nn.LeakyReLU(LEAK))

    def discriminator_loss(x: Tensor, z: Tensor) -> Tensor:
        # Without batch normalization, real and generated examples may share one pass, which is faster.
        real_logits, fake_logits = discriminator(torch.cat([x, generator(z)])).chunk(2)
        return softplus(-real_logits).mean() + softplus(fake_logits).mean()

    def generator_loss(x: Tensor, z: Tensor) -> Tensor:
        return softplus(-discriminator(generator(z))).mean()

    def adam(network: nn.Module) -> torch.optim.Optimizer:
        betas = (CONFIG.b1, CONFIG.b2)
        return torch.optim.Adam(network.parameters(), lr=CONFIG.learning_rate, betas=betas, fused=True)

    players = [
        TorchPlayer("discriminator", discriminator_loss, discriminator, adam(discriminator), noise=CONFIG.latent),
        TorchPlayer("generator", generator_loss, generator, adam(generator), noise=CONFIG.latent),
    ]
    return Twin(players, compiled=compiled)


def points() -> dict[str, np.ndarray]:
    """Points of the ring."""
    return {"point": np.asarray(ring().sample(jax.random.key(0), 10_000)["point"])}


def observed(data: Mapping[str, np.ndarray]) -> np.ndarray:
    """Points as they are."""
    return data["point"]


WORKLOAD = Workload(
    name="ring GAN",
    family="gan",
    config=CONFIG,
    data=points,
    observed=observed,
    batch_size=256,
    noise={
        # The discriminator's key is split once more: its other half is for the gradient penalty, if there is one.
        "discriminator": lambda key, n: jax.random.normal(jax.random.split(key)[0], (n, CONFIG.latent)),
        "generator": lambda key, n: jax.random.normal(key, (n, CONFIG.latent)),
    },
    twin=twin,
    turns=500,
    bar=3.0,
)
