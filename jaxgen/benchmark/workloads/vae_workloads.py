"""Variational autoencoders of images, fully connected and convolutional."""

from functools import partial
from typing import TYPE_CHECKING

import jax

from jaxgen.benchmark.workloads.noise_images import noise_images
from jaxgen.benchmark.workloads.workload import Draw, Shape, Workload
from jaxgen.game import State
from jaxgen.models.vae import Config, build
from jaxgen.typing import Array, KeyArray

if TYPE_CHECKING:
    from jaxgen.benchmark.pytorch.twin import Twin


def mlp_vae(*, width: int = 400, batch_size: int = 128) -> Workload:
    """Return the fully connected workload 784-400-20, on images of the size of MNIST's."""
    config = Config(architecture="mlp", hidden=(width,), latent_dim=20, learning_rate=1e-3)

    def twin(state: State, *, compiled: bool) -> "Twin":
        from jaxgen.benchmark.pytorch.torch_vae import mlp_vae

        return mlp_vae(config, state.params, compiled=compiled)

    return Workload(
        name="MLP VAE",
        build=partial(build, config),
        data=partial(noise_images, (28, 28, 1), examples=10_000),
        batch_size=batch_size,
        noise=_noise(config),
        twin=twin,
        scaled=mlp_vae,
        seeds=True,
        steps=250,
        compile_is_faster=True,
    )


def conv_vae(name: str, shape: Shape, *, steps: int, width: int = 32, batch_size: int = 128) -> Workload:
    """Return the workload with convolutions of stride 2 in the encoder, and their transposes in the decoder."""
    config = Config(architecture="conv", width=width, latent_dim=20, learning_rate=1e-3)

    def twin(state: State, *, compiled: bool) -> "Twin":
        from jaxgen.benchmark.pytorch.torch_vae import conv_vae

        return conv_vae(config, shape[:2], state.params, compiled=compiled)

    return Workload(
        name=name,
        build=partial(build, config),
        data=partial(noise_images, shape),
        batch_size=batch_size,
        noise=_noise(config),
        twin=twin,
        scaled=partial(conv_vae, name, shape, steps=steps),
        convolutional=True,
        steps=steps,
    )


def _noise(config: Config) -> dict[str, Draw]:
    """The noise as `jaxgen.models.vae` draws it."""

    def epsilon(key: KeyArray, n: int) -> tuple[Array, ...]:
        return (jax.random.normal(key, (n, config.latent_dim)),)

    return {"vae": epsilon}
