"""Generative adversarial networks: fully connected on points of a ring; DCGAN and WGAN-GP on images."""

from functools import partial

import jax
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from jaxgen.data.synthetic import ring
from jaxgen.models.gan import Config, build
from jaxgen.nn.dcgan import LEAK
from jaxgen.typing import Array, KeyArray, Params
from workloads.images import Shape, channels_first, noise_images
from workloads.networks import Discriminator, generator, mlp
from workloads.twin import Alternating, Loss, Noise, TorchPlayer, Twin, adam, normal, uniform
from workloads.workload import Draw, Workload


def ring_gan(*, width: int = 64, batch_size: int = 256) -> Workload:
    """Return the workload with two hidden layers per network, on eight Gaussians around the origin of the plane."""
    # The defaults of jaxgen for points.
    config = Config(
        loss="non_saturating",
        hidden=(width, width),
        latent_dim=2,
        discriminator_updates=1,
        learning_rate=1e-3,
        b1=0.5,
        b2=0.999,
    )

    def twin(params: Params, *, compiled: bool) -> Twin:
        generate = mlp(params["generator"], nn.ReLU())
        discriminate = mlp(params["discriminator"], nn.LeakyReLU(LEAK))

        def discriminator_loss(real: Tensor, z: Tensor) -> Tensor:
            # Without batch normalization, real and generated examples can share one forward pass, which is faster.
            real_logits, fake_logits = discriminate(torch.cat([real, generate(z)])).chunk(2)
            return softplus(-real_logits).mean() + softplus(fake_logits).mean()

        def generator_loss(real: Tensor, z: Tensor) -> Tensor:
            return softplus(-discriminate(generate(z))).mean()

        return _twin(config, generate, discriminate, discriminator_loss, generator_loss, compiled=compiled)

    return Workload(
        name="ring GAN",
        build=partial(build, config),
        data=lambda: {"point": np.asarray(ring().sample(jax.random.key(0), 10_000)["point"])},
        tensors=lambda data: (torch.tensor(data["point"]),),
        batch_size=batch_size,
        noise=_noise(config),
        twin=twin,
        scaled=ring_gan,
        seeds=True,
        steps=1000,
        compile_is_faster=True,
    )


def dcgan(
    name: str, shape: Shape, *, steps: int, seeds: bool = False, width: int = 64, batch_size: int = 64
) -> Workload:
    """Return the workload with convolutions and batch normalization, on images."""
    # Radford et al. 2016, section 4.
    config = Config(
        loss="non_saturating",
        width=width,
        latent_dim=100,
        discriminator_updates=1,
        learning_rate=2e-4,
        b1=0.5,
        b2=0.999,
    )

    def twin(params: Params, *, compiled: bool) -> Twin:
        generate = generator(params["generator"], shape[:2])
        discriminate = Discriminator(params["discriminator"], shape[:2])

        def discriminator_loss(real: Tensor, z: Tensor) -> Tensor:
            # Each batch is normalized by its own statistics.
            return softplus(-discriminate(real)).mean() + softplus(discriminate(generate(z))).mean()

        def generator_loss(real: Tensor, z: Tensor) -> Tensor:
            return softplus(-discriminate(generate(z))).mean()

        return _twin(config, generate, discriminate, discriminator_loss, generator_loss, compiled=compiled)

    return Workload(
        name=name,
        build=partial(build, config),
        data=partial(noise_images, shape),
        tensors=partial(channels_first, signed=True),
        batch_size=batch_size,
        noise=_noise(config),
        twin=twin,
        scaled=partial(dcgan, name, shape, steps=steps, seeds=seeds),
        convolutional=True,
        seeds=seeds,
        steps=steps,
        comparable_steps=0,
    )


def wgan_gp(name: str, shape: Shape, *, steps: int, width: int = 64, batch_size: int = 64) -> Workload:
    """Return the workload with DCGAN's networks; the critic has no batch normalization and five updates per step."""
    # Gulrajani et al. 2017, algorithm 1.
    config = Config(
        loss="wasserstein",
        width=width,
        latent_dim=100,
        penalty="gradient",
        penalty_weight=10.0,
        discriminator_updates=5,
        learning_rate=1e-4,
        b1=0.0,
        b2=0.9,
    )

    def twin(params: Params, *, compiled: bool) -> Twin:
        generate = generator(params["generator"], shape[:2])
        critic = Discriminator(params["discriminator"], shape[:2])

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

        return _twin(config, generate, critic, critic_loss, generator_loss, compiled=compiled)

    return Workload(
        name=name,
        build=partial(build, config),
        data=partial(noise_images, shape),
        tensors=partial(channels_first, signed=True),
        batch_size=batch_size,
        noise=_noise(config),
        twin=twin,
        scaled=partial(wgan_gp, name, shape, steps=steps),
        convolutional=True,
        steps=steps,
        comparable_steps=0,
    )


def _twin(
    config: Config,
    generate: nn.Module,
    discriminate: nn.Module,
    discriminator_loss: Loss,
    generator_loss: Loss,
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
    return Alternating(players, compiled=compiled)


def _noise(config: Config) -> dict[str, Draw]:
    """The noise as `jaxgen.models.gan` draws it."""

    def latents(key: KeyArray, n: int) -> tuple[Array, ...]:
        return (jax.random.normal(key, (n, config.latent_dim)),)

    def latents_and_weights(key: KeyArray, n: int) -> tuple[Array, ...]:
        latent_key, penalty_key = jax.random.split(key)
        weights = (jax.random.uniform(penalty_key, (n, 1, 1, 1)),) if config.penalty_weight else ()
        return latents(latent_key, n) + weights

    def latents_alone(key: KeyArray, n: int) -> tuple[Array, ...]:
        return latents(jax.random.split(key)[0], n)

    return {"discriminator": latents_and_weights, "generator": latents_alone}
