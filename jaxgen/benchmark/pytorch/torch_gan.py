"""The PyTorch side of the generative adversarial networks.

`config` is a `jaxgen.models.gan.Config` in which all numbers are given.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from jaxgen.benchmark.pytorch.tensors import channels_first, points
from jaxgen.benchmark.pytorch.torch_networks import Discriminator, Size, generator, mlp
from jaxgen.benchmark.pytorch.twin import Alternating, Loss, Noise, Tensors, TorchPlayer, Twin, adam, normal, uniform
from jaxgen.nn.dcgan import LEAK
from jaxgen.typing import Params


def ring_gan(config: Any, params: Params, *, compiled: bool) -> Twin:
    """Return the PyTorch side of the fully connected workload."""
    generate = mlp(params["generator"], nn.ReLU())
    discriminate = mlp(params["discriminator"], nn.LeakyReLU(LEAK))

    def discriminator_loss(real: Tensor, z: Tensor) -> Tensor:
        # Without batch normalization, real and generated examples can share one forward pass, which is faster.
        real_logits, fake_logits = discriminate(torch.cat([real, generate(z)])).chunk(2)
        return softplus(-real_logits).mean() + softplus(fake_logits).mean()

    def generator_loss(real: Tensor, z: Tensor) -> Tensor:
        return softplus(-discriminate(generate(z))).mean()

    return _twin(config, generate, discriminate, discriminator_loss, generator_loss, points, compiled=compiled)


def dcgan(config: Any, size: Size, params: Params, *, compiled: bool) -> Twin:
    """Return the PyTorch side of DCGAN, for images of this height and width."""
    generate = generator(params["generator"], size)
    discriminate = Discriminator(params["discriminator"], size)

    def discriminator_loss(real: Tensor, z: Tensor) -> Tensor:
        # Each batch is normalized by its own statistics.
        return softplus(-discriminate(real)).mean() + softplus(discriminate(generate(z))).mean()

    def generator_loss(real: Tensor, z: Tensor) -> Tensor:
        return softplus(-discriminate(generate(z))).mean()

    return _twin(config, generate, discriminate, discriminator_loss, generator_loss, SIGNED, compiled=compiled)


def wgan_gp(config: Any, size: Size, params: Params, *, compiled: bool) -> Twin:
    """Return the PyTorch side of WGAN-GP, for images of this height and width."""
    generate = generator(params["generator"], size)
    critic = Discriminator(params["discriminator"], size)

    def gradient_penalty(real: Tensor, fake: Tensor, weight: Tensor) -> Tensor:
        between = weight * real + (1 - weight) * fake
        gradients = torch.func.grad(lambda x: critic(x).sum())(between)
        return (gradients.flatten(1).norm(dim=1) - 1).square().mean()

    def critic_loss(real: Tensor, z: Tensor, weight: Tensor) -> Tensor:
        fake = generate(z)
        real_values, fake_values = critic(torch.cat([real, fake])).chunk(2)
        distance = real_values.mean() - fake_values.mean()
        return config.penalty_weight * gradient_penalty(real, fake, weight) - distance

    def generator_loss(real: Tensor, z: Tensor) -> Tensor:
        return -critic(generate(z)).mean()

    return _twin(config, generate, critic, critic_loss, generator_loss, SIGNED, compiled=compiled)


SIGNED = partial(channels_first, signed=True)


def _twin(
    config: Any,
    generate: nn.Module,
    discriminate: nn.Module,
    discriminator_loss: Loss,
    generator_loss: Loss,
    tensors: Tensors,
    *,
    compiled: bool,
) -> Twin:
    """The two players; the noise of a loss with a penalty includes one interpolation weight per image."""

    def latents(x: Tensor) -> Noise:
        return (normal(x, config.latent_dim),)

    def latents_and_weights(x: Tensor) -> Noise:
        return normal(x, config.latent_dim), uniform(x, 1, 1, 1)

    def optimizer(network: nn.Module) -> torch.optim.Optimizer:
        return adam(network, learning_rate=config.learning_rate, b1=config.b1, b2=config.b2)

    noise = latents_and_weights if config.penalty_weight else latents
    players = [
        TorchPlayer(
            "discriminator",
            discriminator_loss,
            discriminate,
            optimizer(discriminate),
            noise,
            updates=config.discriminator_updates,
        ),
        TorchPlayer("generator", generator_loss, generate, optimizer(generate), latents),
    ]
    return Alternating(players, tensors, compiled=compiled)
