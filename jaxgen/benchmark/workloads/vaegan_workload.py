"""VAE/GAN (Larsen et al. 2016, arXiv:1512.09300): three players that update at once, from one forward pass."""

from functools import partial
from typing import TYPE_CHECKING

import jax

from jaxgen.benchmark.workloads.noise_images import noise_images
from jaxgen.benchmark.workloads.workload import Shape, Workload
from jaxgen.game import State
from jaxgen.models.vaegan import Config, build
from jaxgen.typing import Array, KeyArray

if TYPE_CHECKING:
    from jaxgen.benchmark.pytorch.twin import Twin


def vaegan(name: str, shape: Shape, *, steps: int, width: int = 64, batch_size: int = 64) -> Workload:
    """Return the workload with DCGAN's networks; the encoder is a discriminator with more outputs."""
    config = Config(width=width, latent_dim=20, gamma=1e-3, learning_rate=3e-4)

    def epsilons(key: KeyArray, n: int) -> tuple[Array, ...]:
        return tuple(jax.random.normal(half, (n, config.latent_dim)) for half in jax.random.split(key))

    def twin(state: State, *, compiled: bool) -> "Twin":
        from jaxgen.benchmark.pytorch.torch_vaegan import vaegan

        return vaegan(config, shape[:2], state.params, compiled=compiled)

    return Workload(
        name=name,
        build=partial(build, config),
        data=partial(noise_images, shape),
        batch_size=batch_size,
        noise=dict.fromkeys(("encoder", "decoder", "discriminator"), epsilons),
        twin=twin,
        scaled=partial(vaegan, name, shape, steps=steps),
        convolutional=True,
        steps=steps,
        comparable_steps=1,
    )
