"""The named architectures of a GAN's networks."""

from functools import partial
from typing import Any

import jax

from jaxgen.models.gan_config import Config
from jaxgen.nn import dcgan, sngan
from jaxgen.nn.autoencoding import Network
from jaxgen.nn.mlp import MLP, Maxout


def make_generator(config: Config, shape: tuple[int, ...]) -> Network:
    """Return the generator of a named architecture.

    Args:
        config: options, completed for the data.
        shape: shape of one example.

    Returns:
        A module `[batch, latent_dim + classes] -> [batch, *shape]`.

    Example:
        >>> make_generator(Config(architecture="mlp", hidden=(8,), generator_normalization="none"), (2,)).hidden
        (8,)
    """
    normalization, width = _required(config.generator_normalization), config.width
    if config.architecture == "dcgan":
        return dcgan.Generator(shape, _required(width), normalization, config.weight_scale or dcgan.WEIGHT_SCALE)
    if config.architecture == "resnet":
        sngan.smallest_map(*shape[:2])
        return sngan.ResidualGenerator(shape, 2 * _required(width), normalization)
    return MLP(_required(config.hidden), shape, normalization=normalization, **_initializer(config))


def make_discriminator(config: Config, outputs: tuple[int, ...]) -> Network:
    """Return the discriminator of a named architecture.

    Args:
        config: options, completed for the data.
        outputs: shape of its output for one example: `()` for one logit, else `(number,)`.

    Returns:
        A module `[batch, *event] -> [batch, *outputs]`.

    Example:
        >>> make_discriminator(Config(architecture="mlp", hidden=(8,), discriminator_normalization="none"), ()).hidden
        (8,)
    """
    normalization, width = _required(config.discriminator_normalization), config.width
    if config.architecture == "dcgan":
        scale = config.weight_scale or dcgan.WEIGHT_SCALE
        return dcgan.Discriminator(_required(width), outputs, normalization, scale)
    if config.architecture == "resnet":
        return sngan.ResidualDiscriminator(_required(width), outputs, normalization)
    leaky_relu = partial(jax.nn.leaky_relu, negative_slope=dcgan.LEAK)
    activation = leaky_relu if config.maxout == 1 else Maxout(config.maxout)
    hidden = _required(config.hidden) if config.discriminator_hidden is None else config.discriminator_hidden
    return MLP(hidden, outputs, activation, normalization=normalization, **_initializer(config))


def _initializer(config: Config) -> dict[str, Any]:
    return {} if config.weight_scale is None else {"kernel_init": dcgan.normal(config.weight_scale)}


def _required(value: Any) -> Any:
    assert value is not None, "the config must be completed for the data"
    return value
