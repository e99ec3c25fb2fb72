"""The twin of StyleGAN2.

`config` is a `jaxgen.models.stylegan2_config.Config`.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from jaxgen.benchmark.pytorch.tensors import channels_first
from jaxgen.benchmark.pytorch.torch_average import TorchAverage
from jaxgen.benchmark.pytorch.torch_stylegan2_networks import Discriminator, Generator
from jaxgen.benchmark.pytorch.twin import Alternating, Noise, TorchPlayer, TorchRegularizer, Twin, adam, normal
from jaxgen.benchmark.workloads.workload import Data
from jaxgen.game import State

STYLE_DECAY, LENGTH_DECAY = 0.995, 0.01
"""Decay of the average of styles, and share of a batch in that of path lengths."""


def stylegan2(config: Any, state: State, *, compiled: bool) -> Twin:
    """Return the PyTorch side, for images of the size of the networks."""
    generator = Generator(state.params["generator"], state.stats["generator"], decay=STYLE_DECAY)
    discriminator = Discriminator(state.params["discriminator"], group=config.group)

    def generate(first: Tensor, second: Tensor, crossover: Tensor, *images: Tensor) -> Tensor:
        return generator(generator.mixed_styles(first, second, crossover), images)

    def generator_loss(real: Tensor, *noise: Tensor) -> Tensor:
        return softplus(-discriminator(generate(*noise))).mean()

    def discriminator_loss(real: Tensor, *noise: Tensor) -> Tensor:
        # The discriminator compares the examples of a batch.
        of_fake = discriminator(generate(*noise))
        return softplus(of_fake).mean() + softplus(-discriminator(real)).mean()

    def gradient_penalty(real: Tensor) -> Tensor:
        gradients = torch.func.grad(lambda images: discriminator(images).sum())(real)
        gamma = 0.0002 * real.shape[-1] ** 2 / len(real) if config.gamma is None else config.gamma
        return gamma / 2 * gradients.square().sum(dim=(1, 2, 3)).mean()

    def path_length(
        real: Tensor, first: Tensor, second: Tensor, crossover: Tensor, projection: Tensor, *images: Tensor
    ) -> Tensor:
        w = generator.mixed_styles(first, second, crossover)
        directions = projection / math.sqrt(projection.shape[2] * projection.shape[3])
        gradients = torch.func.grad(lambda styles: (generator(styles, images) * directions).sum())(w)
        lengths = gradients.square().sum(dim=2).mean(dim=1).sqrt()
        mean = generator.path_length + LENGTH_DECAY * (lengths.mean() - generator.path_length)
        generator.path_length.copy_(mean.detach())
        return config.path_length * (lengths - mean).square().mean()

    def styles_and_images(x: Tensor) -> Noise:
        sizes = [2 ** (2 + (number + 1) // 2) for number in range(generator.styles - 1)]
        # Drawn on the CPU, which does not wait for the device then.
        mixed = bool(torch.rand(()) < config.mixing)
        crossover = torch.randint(1, generator.styles, ()) if mixed else torch.tensor(generator.styles)
        latents = normal(x, config.latent_dim), normal(x, config.latent_dim)
        return *latents, crossover.to(x.device), *(normal(x, 1, size, size) for size in sizes)

    def path_noise(x: Tensor) -> Noise:
        few = x[: max(1, len(x) // config.path_length_reduction)]
        first, second, crossover, *images = styles_and_images(few)
        projection = normal(few, generator.channels, *images[-1].shape[2:])
        return first, second, crossover, projection, *images

    def optimizer(network: nn.Module, every: int) -> torch.optim.Optimizer:
        # The regularizer makes further updates by the same optimizer.
        correction = every / (every + 1)
        rates = {"b1": config.b1**correction, "b2": config.b2**correction}
        return adam(network, learning_rate=correction * config.learning_rate, **rates)

    def ema_decay(step: int, batch_size: int) -> float:
        half_life = batch_size * 10_000 / 32 if config.ema_half_life is None else config.ema_half_life
        images = half_life if config.ema_ramp_up is None else min(half_life, config.ema_ramp_up * step * batch_size)
        return float(0.5 ** (batch_size / max(images, 1e-8)))

    lengths = TorchRegularizer("path_length", path_length, config.path_length_every, path_noise)
    penalty = TorchRegularizer("penalty", gradient_penalty, config.penalty_every)
    of_generator = optimizer(generator, lengths.every)
    of_discriminator = optimizer(discriminator, penalty.every)
    players = [
        TorchPlayer("generator", generator_loss, generator, of_generator, styles_and_images, regularizers=(lengths,)),
        TorchPlayer(
            "discriminator", discriminator_loss, discriminator, of_discriminator, styles_and_images,
            regularizers=(penalty,),
        ),
    ]  # fmt: skip
    averages = [TorchAverage("generator", generator, ema_decay)]
    return Alternating(players, signed_images, averages=averages, compiled=compiled)


def signed_images(data: Data) -> tuple[Tensor, ...]:
    """Return images with values in [-1, 1]."""
    return channels_first(data, signed=True)
