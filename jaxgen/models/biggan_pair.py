"""The two networks of BigGAN for options and data, and how they are applied."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.errors import InputError
from jaxgen.models.biggan_config import SIZES, Config
from jaxgen.models.full_size import full_size, surrounded
from jaxgen.models.labels import count_classes, labels_of
from jaxgen.models.networks import apply_network, init_network
from jaxgen.nn.biggan_deep_networks import DeepDiscriminator, DeepGenerator
from jaxgen.nn.biggan_networks import GENERATOR_WIDTHS, Discriminator, Generator
from jaxgen.nn.spectral_layers import Weights
from jaxgen.typing import Array, Batch, Float, Int, KeyArray, Params, Scalar, Stats

PART = 20
"""Dimension of each part of a hierarchical latent in the published networks: 120 at 128 pixels, 140 at 256."""


class Pair(NamedTuple):
    """Both networks, and the dimension of the latent."""

    generator: Generator | DeepGenerator
    discriminator: Discriminator | DeepDiscriminator
    latent_dim: int


class Networks(NamedTuple):
    """Generator and discriminator, and how they are applied.

    Attributes:
        pair: both networks, and the dimension of the latent.
        shape: height, width and channels of the data.
        size: height and width of the networks' images.
        classes: number of classes; 1 if the networks are not conditioned.
        conditional: whether they are.
    """

    pair: Pair
    shape: tuple[int, int, int]
    size: int
    classes: int
    conditional: bool

    @property
    def latent_dim(self) -> int:
        """Dimension of the latent z."""
        return self.pair.latent_dim

    def init(self, key: KeyArray, batch: Batch) -> dict[str, Params]:
        """Initialize both networks."""
        generator_key, discriminator_key = jax.random.split(key)
        label = jnp.zeros(1, jnp.int32)
        z, image = jnp.zeros((1, self.latent_dim)), jnp.zeros((1, self.size, self.size, self.shape[2]))
        return {
            "generator": init_network(self.pair.generator, generator_key, z, label),
            "discriminator": init_network(self.pair.discriminator, discriminator_key, image, label),
        }

    def real(self, batch: Batch) -> Float[Array, "batch size size channels"]:
        """Return the real images, surrounded by black to the size of the networks."""
        return surrounded(batch, self.size)

    def label(self, batch: Batch) -> Int[Array, " batch"]:
        """Return the classes of the real images."""
        return labels_of(batch) if self.conditional else jnp.zeros(len(batch["image"]), jnp.int32)

    def sample_latent(self, key: KeyArray, n: int, *, truncation: Scalar | None = None) -> Float[Array, "n latent"]:
        """Draw n latents; with truncation, coordinates whose absolute value is larger are drawn again."""
        shape = (n, self.latent_dim)
        if truncation is not None:
            return jax.random.truncated_normal(key, -jnp.asarray(truncation), truncation, shape)
        return jax.random.normal(key, shape)

    def sample_inputs(self, key: KeyArray, n: int) -> tuple[Float[Array, "n latent"], Int[Array, " n"]]:
        """Draw n latents and as many classes."""
        latent_key, label_key = jax.random.split(key)
        return self.sample_latent(latent_key, n), jax.random.randint(label_key, (n,), 0, self.classes)

    def generate(
        self, z: Float[Array, "n latent"], label: Int[Array, " n"], params: Params, stats: Stats, *, train: bool
    ) -> tuple[Float[Array, "n size size channels"], Stats]:
        """Return the images of latents and classes, and the new statistics of the generator."""
        return apply_network(self.pair.generator, "generator", params, stats, z, label, train=train)

    def discriminate(
        self,
        images: Float[Array, "n size size channels"],
        label: Int[Array, " n"],
        params: Params,
        stats: Stats,
        *,
        train: bool,
    ) -> tuple[Float[Array, " n"], Stats]:
        """Return the logits of images, and the new statistics of the discriminator."""
        return apply_network(self.pair.discriminator, "discriminator", params, stats, images, label, train=train)


def networks_for(config: Config, example: Batch) -> Networks:
    """Return both networks for data.

    Args:
        config: options.
        example: batch that shows the shape of the images and the number of classes.

    Returns:
        The networks.

    Raises:
        InputError: if the data are no images of a size that the networks can have, or have no labels and the networks
            are conditioned on them.

    Example:
        >>> import numpy as np
        >>> networks_for(Config(), {"image": np.zeros((3, 28, 28, 1), np.uint8), "label": np.arange(3)}).latent_dim
        60
    """
    if config.conditional and "label" not in example:
        raise InputError(
            "biggan is conditioned on the class, and the data have no labels: choose data with labels, or "
            "conditional=False (--no-conditional)"
        )
    rule = f"{', '.join(map(str, SIZES[:-1]))} or {SIZES[-1]} pixels"
    size, shape = full_size("biggan", example, config.size, sizes=SIZES, rule=rule)
    classes = count_classes(example) if config.conditional else 1
    pair = make_networks(config, (size, size, shape[2]), classes)
    return Networks(pair, shape, size, classes, config.conditional)


def make_networks(config: Config, shape: Sequence[int], classes: int) -> Pair:
    """Return the networks for images of a shape.

    Args:
        config: options.
        shape: height, width and channels of the networks' images.
        classes: number of classes.

    Returns:
        Generator, discriminator and dimension of the latent.

    Raises:
        InputError: if the dimension of the latent is no multiple of the number of its parts.

    Example:
        >>> make_networks(Config(), (32, 32, 3), 10).latent_dim
        80
    """
    both: dict[str, Any] = {
        "width": config.width,
        "classes": classes,
        "attention": config.attention,
        "weights": _weights(config),
    }
    if config.deep:
        deep = {**both, "depth": config.depth}
        deep_generator = DeepGenerator(shape, embedding_dim=config.shared_dim, **deep)
        return Pair(deep_generator, DeepDiscriminator(**deep), config.latent_dim or 128)
    parts = len(GENERATOR_WIDTHS[shape[0]])
    latent_dim = config.latent_dim or (PART * parts if config.hierarchical else 128)
    if config.hierarchical and latent_dim % parts:
        raise InputError(
            f"latent_dim must be a multiple of {parts} for hierarchical latents at {shape[0]} pixels, one part for the "
            f"first layer and one for each of {parts - 1} blocks, got {latent_dim}: give {PART * parts}"
        )
    generator = Generator(shape, embedding_dim=config.shared_dim or None, hierarchical=config.hierarchical, **both)
    return Pair(generator, Discriminator(**both), latent_dim)


def _weights(config: Config) -> Weights:
    """How weights are initialized and normalized."""
    if config.initialization == "uniform":
        return Weights(_uniform, config.spectral_eps, embedding=jax.nn.initializers.normal(1.0))
    normal = config.initialization == "normal"
    init = jax.nn.initializers.normal(0.02) if normal else jax.nn.initializers.orthogonal()
    return Weights(init, config.spectral_eps)


def _uniform(key: KeyArray, shape: Sequence[int], dtype: Any = jnp.float32) -> Array:
    """Draw kernels as PyTorch does: uniform, up to the inverse root of the number of inputs of an output."""
    bound = math.prod(shape[:-1]) ** -0.5
    return jax.random.uniform(key, tuple(shape), dtype, -bound, bound)
