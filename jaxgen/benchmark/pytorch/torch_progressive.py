"""The twin of PGGAN in its last phase.

`config` is a `jaxgen.models.progressive.Config`.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from jaxgen.benchmark.pytorch.tensors import channels_first
from jaxgen.benchmark.pytorch.torch_average import TorchAverage
from jaxgen.benchmark.pytorch.torch_progressive_networks import Discriminator, Generator
from jaxgen.benchmark.pytorch.twin import Alternating, Noise, TorchPlayer, Twin, adam, normal, uniform
from jaxgen.game import State
from jaxgen.nn.resolutions import resolutions


def progressive(config: Any, state: State, *, compiled: bool) -> Twin:
    """Return the PyTorch side, for images of the size of the networks."""
    sizes = resolutions(config.size)
    generator = Generator(state.params["generator"], sizes)
    critic = Discriminator(state.params["discriminator"], sizes, group=config.group)

    def critic_loss(real: Tensor, z: Tensor, weight: Tensor) -> Tensor:
        # The critic compares the examples of a batch.
        fake = generator(z)
        of_real, of_fake = critic(real), critic(fake)
        between = weight * real + (1 - weight) * fake
        gradients = torch.func.grad(lambda images: critic(images).sum())(between)
        penalty = (gradients.flatten(1).norm(dim=1) - config.gradient_norm).square().mean()
        distance = of_real.mean() - of_fake.mean()
        weighted = config.penalty_weight / config.gradient_norm**2 * penalty
        return weighted + config.drift * of_real.square().mean() - distance

    def generator_loss(real: Tensor, z: Tensor) -> Tensor:
        return -critic(generator(z)).mean()

    def latents(x: Tensor) -> Noise:
        return (normal(x, config.latent_dim),)

    def latents_and_weights(x: Tensor) -> Noise:
        return normal(x, config.latent_dim), uniform(x, 1, 1, 1)

    def optimizer(network: nn.Module) -> torch.optim.Optimizer:
        rate = config.learning_rate * config.learning_rate_factors[-1]
        return adam(network, learning_rate=rate, b1=config.b1, b2=config.b2)

    players = [
        TorchPlayer("discriminator", critic_loss, critic, optimizer(critic), latents_and_weights),
        TorchPlayer("generator", generator_loss, generator, optimizer(generator), latents),
    ]
    average = TorchAverage("generator", generator, lambda step, batch_size: config.ema, delayed=True)
    return Alternating(players, partial(channels_first, signed=True), averages=[average], compiled=compiled)
