"""PGGAN (Karras et al. 2018, arXiv:1710.10196) in its last phase: WGAN-GP with drift, and the average."""

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import jax

from jaxgen.benchmark.workloads.noise_images import noise_images
from jaxgen.benchmark.workloads.workload import Data, Draw, Shape, Workload
from jaxgen.game import Model, State
from jaxgen.models import progressive as family
from jaxgen.models.presets import PRESETS
from jaxgen.typing import Array, KeyArray

if TYPE_CHECKING:
    from jaxgen.benchmark.pytorch.twin import Twin


def progressive(
    name: str, *, steps: int, shape: Shape = (32, 32, 1), width: int = 64, batch_size: int = 32
) -> Workload:
    """Return the workload of the preset `progressive-32`, for other images and widths too."""
    preset: Any = PRESETS["progressive-32"].config
    config = replace(preset, size=shape[0], base=preset.base * width // preset.largest, largest=width)

    def build(data: Data) -> Model:
        """The step of a model is that of its last phase."""
        return family.build(config, data)._replace(phases=())

    def twin(state: State, *, compiled: bool) -> "Twin":
        from jaxgen.benchmark.pytorch.torch_progressive import progressive

        return progressive(config, state, compiled=compiled)

    return Workload(
        name=name,
        build=build,
        data=partial(noise_images, shape),
        batch_size=batch_size,
        noise=_noise(config),
        twin=twin,
        scaled=partial(progressive, name, steps=steps, shape=shape),
        convolutional=True,
        steps=steps,
        comparable_steps=0,
    )


def _noise(config: Any) -> dict[str, Draw]:
    """The noise as `jaxgen.models.progressive` draws it."""

    def latents(key: KeyArray, n: int) -> tuple[Array, ...]:
        return (jax.random.normal(key, (n, config.latent_dim)),)

    def latents_and_weights(key: KeyArray, n: int) -> tuple[Array, ...]:
        latent_key, penalty_key = jax.random.split(key)
        return *latents(latent_key, n), jax.random.uniform(penalty_key, (n, 1, 1, 1))

    return {"discriminator": latents_and_weights, "generator": latents}
