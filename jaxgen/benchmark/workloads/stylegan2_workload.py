"""StyleGAN2 (Karras et al. 2020, arXiv:1912.04958), with its lazy regularizers and the average of the generator."""

from dataclasses import replace
from functools import partial
from math import lcm
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from flax.core import Scope

from jaxgen.benchmark.workloads.noise_images import noise_images
from jaxgen.benchmark.workloads.workload import Draw, Shape, Workload
from jaxgen.game import State
from jaxgen.models.presets import PRESETS
from jaxgen.models.stylegan2 import build
from jaxgen.nn.resolutions import resolutions
from jaxgen.typing import Array, KeyArray

if TYPE_CHECKING:
    from jaxgen.benchmark.pytorch.twin import Twin


def stylegan2(name: str, *, steps: int, shape: Shape = (32, 32, 1), width: int = 64, batch_size: int = 32) -> Workload:
    """Return the workload of the preset, for other images and widths too."""
    preset: Any = PRESETS["stylegan2-32"].config
    widths = {"base": preset.base * width // preset.largest, "largest": width}
    config = replace(preset, size=shape[0], path_length=2.0, **widths)  # The preset has no path length regularization.

    def twin(state: State, *, compiled: bool) -> "Twin":
        from jaxgen.benchmark.pytorch.torch_stylegan2 import stylegan2

        return stylegan2(config, state, compiled=compiled)

    return Workload(
        name=name,
        build=partial(build, config),
        data=partial(noise_images, shape),
        batch_size=batch_size,
        noise=_noise(config, shape),
        twin=twin,
        scaled=partial(stylegan2, name, steps=steps, shape=shape),
        convolutional=True,
        steps=steps,
        comparable_steps=0,
        mixed_precision=False,  # The mapping network multiplies in float32.
        period=lcm(config.path_length_every, config.penalty_every),
    )


def _noise(config: Any, shape: Shape) -> dict[str, Draw]:
    """The noise as `jaxgen.models.stylegan2` draws it, with the channels of images first."""
    sizes = resolutions(config.size)

    def styles(key: KeyArray, n: int) -> tuple[Array, ...]:
        first_key, second_key, layer_key, choice_key = jax.random.split(key, 4)
        crossover = jax.random.randint(layer_key, (), 1, 2 * len(sizes))
        mixed = jax.random.bernoulli(choice_key, config.mixing)
        latents = (jax.random.normal(each, (n, config.latent_dim)) for each in (first_key, second_key))
        return *latents, jnp.where(mixed, crossover, 2 * len(sizes))

    def images(key: KeyArray, n: int) -> tuple[Array, ...]:
        layers = [(size, layer) for size in sizes for layer in ("conv0", "conv1")][1:]
        keys = [_key_of_layer(key, "synthesis", f"b{size}", layer) for size, layer in layers]
        drawn = (jax.random.normal(key, (n, size, size, 1)) for key, (size, _) in zip(keys, layers, strict=True))
        return tuple(jnp.moveaxis(image, -1, 1) for image in drawn)

    def generated(key: KeyArray, n: int) -> tuple[Array, ...]:
        style_key, image_key = jax.random.split(key)
        return styles(style_key, n) + images(image_key, n)

    def path_length(key: KeyArray, n: int) -> tuple[Array, ...]:
        style_key, image_key, projection_key = jax.random.split(key, 3)
        count = max(1, n // config.path_length_reduction)
        projection = jax.random.normal(projection_key, (count, config.size, config.size, shape[2]))
        return *styles(style_key, count), jnp.moveaxis(projection, -1, 1), *images(image_key, count)

    return {
        "generator": lambda key, n: generated(jax.random.split(key)[0], n),
        "discriminator": lambda key, n: generated(jax.random.split(key, 3)[0], n),
        "generator/path_length": path_length,
    }


def _key_of_layer(key: KeyArray, *names: str) -> KeyArray:
    """The key from which a Flax module within others draws its first noise."""
    scope = Scope({}, {"noise": key})
    for name in names:
        scope = scope.push(name)
    drawn: KeyArray = scope.make_rng("noise")
    return drawn
