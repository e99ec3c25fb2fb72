"""The twin of BigGAN.

`config` is a `jaxgen.models.biggan_config.Config`.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from jaxgen.benchmark.pytorch.tensors import labelled_images
from jaxgen.benchmark.pytorch.torch_average import TorchAverage
from jaxgen.benchmark.pytorch.torch_biggan_networks import Discriminator, Generator
from jaxgen.benchmark.pytorch.twin import Alternating, Noise, TorchPlayer, Twin, normal
from jaxgen.game import State


def biggan(config: Any, latent_dim: int, classes: int, state: State, *, compiled: bool) -> Twin:
    """Return the PyTorch side, for images of the size of the networks."""
    variables = {name: {"params": state.params[name], **state.stats[name]} for name in state.params}
    generator = Generator(variables["generator"], config.spectral_eps)
    discriminator = Discriminator(variables["discriminator"], config.size, config.spectral_eps)

    def discriminator_loss(real: Tensor, label: Tensor, z: Tensor, drawn: Tensor) -> Tensor:
        # One batch, and one step of the power iteration.
        both, labels = torch.cat([generator(z, drawn), real]), torch.cat([drawn, label])
        of_fake, of_real = discriminator(both, labels).chunk(2)
        return relu(1 - of_real).mean() + relu(1 + of_fake).mean()

    def generator_loss(real: Tensor, label: Tensor, z: Tensor, drawn: Tensor) -> Tensor:
        return -discriminator(generator(z, drawn), drawn).mean()

    def noise(x: Tensor) -> Noise:
        return normal(x, latent_dim), torch.randint(classes, (len(x),), device=x.device)

    def optimizer(network: nn.Module, learning_rate: float) -> torch.optim.Optimizer:
        betas = (config.b1, config.b2)
        return torch.optim.Adam(network.parameters(), learning_rate, betas, config.eps, fused=True)

    rate = config.learning_rate
    of_discriminator = optimizer(discriminator, config.discriminator_learning_rate or rate)
    players = [
        TorchPlayer(
            "discriminator", discriminator_loss, discriminator, of_discriminator, noise,
            updates=config.discriminator_updates,
        ),
        TorchPlayer("generator", generator_loss, generator, optimizer(generator, rate), noise),
    ]  # fmt: skip
    average = TorchAverage(
        "generator",
        generator,
        lambda step, batch_size: 0.0 if step < config.ema_start - 1 else config.ema,
        recompute=Generator.update_statistics if config.statistics == "recomputed" else None,
        noise=noise,
    )
    return Alternating(players, labelled_images, averages=[average], compiled=compiled)
