"""Generative adversarial networks: fully connected on points of a ring; DCGAN and WGAN-GP on images."""

from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from jaxgen.benchmark.workloads.noise_images import noise_images
from jaxgen.benchmark.workloads.workload import Draw, Shape, Workload
from jaxgen.data.synthetic import ring
from jaxgen.game import State
from jaxgen.models.gan import Config, build
from jaxgen.typing import Array, KeyArray

if TYPE_CHECKING:
    from jaxgen.benchmark.pytorch.twin import Twin


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

    def twin(state: State, *, compiled: bool) -> "Twin":
        from jaxgen.benchmark.pytorch.torch_gan import ring_gan

        return ring_gan(config, state.params, compiled=compiled)

    return Workload(
        name="ring GAN",
        build=partial(build, config),
        data=lambda: {"point": np.asarray(ring().sample(jax.random.key(0), 10_000)["point"])},
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

    def twin(state: State, *, compiled: bool) -> "Twin":
        from jaxgen.benchmark.pytorch.torch_gan import dcgan

        return dcgan(config, shape[:2], state.params, compiled=compiled)

    return Workload(
        name=name,
        build=partial(build, config),
        data=partial(noise_images, shape),
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

    def twin(state: State, *, compiled: bool) -> "Twin":
        from jaxgen.benchmark.pytorch.torch_gan import wgan_gp

        return wgan_gp(config, shape[:2], state.params, compiled=compiled)

    return Workload(
        name=name,
        build=partial(build, config),
        data=partial(noise_images, shape),
        batch_size=batch_size,
        noise=_noise(config),
        twin=twin,
        scaled=partial(wgan_gp, name, shape, steps=steps),
        convolutional=True,
        steps=steps,
        comparable_steps=0,
    )


def _noise(config: Any) -> dict[str, Draw]:
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
