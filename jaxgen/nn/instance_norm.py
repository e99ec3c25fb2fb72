"""Instance normalization, and adaptive instance normalization (AdaIN) by the statistics of another feature map."""

import jax
import jax.numpy as jnp

from jaxgen._numerics import CHANNEL_EPSILON, ROOT_EPSILON
from jaxgen._numerics import channel_statistics as channel_statistics
from jaxgen.typing import Array, Float


def instance_norm(
    x: Float[Array, "batch height width channels"], *, epsilon: float = ROOT_EPSILON
) -> Float[Array, "batch height width channels"]:
    """Normalize every channel of every image by its mean and variance over the pixels.

        y = (x - mean) / sqrt(variance + epsilon)

    Args:
        x: features.
        epsilon: number added to the variance, by default 1e-8.

    Returns:
        The normalized features.

    Reference:
        Ulyanov et al. 2016, arXiv:1607.08022.

    Example:
        >>> instance_norm(jnp.array([1.0, 3.0]).reshape(1, 1, 2, 1))[0, 0, :, 0]
        Array([-1.,  1.], dtype=float32)
    """
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    centred = wide - wide.mean(axis=(1, 2), keepdims=True)
    variance = jnp.square(centred).mean(axis=(1, 2), keepdims=True)
    return (centred * jax.lax.rsqrt(variance + epsilon)).astype(x.dtype)


def adain(
    x: Float[Array, "batch height width channels"], statistics: Float[Array, "batch 2 channels"]
) -> Float[Array, "batch height width channels"]:
    """Give every channel of every image the mean and the standard deviation of a style (AdaIN).

        AdaIN(x, y) = sd(y) (x - mean(x)) / sd(x) + mean(y)

    With the statistics of x itself it is the identity.

    Args:
        x: features of the content.
        statistics: mean and standard deviation of the features of the style, as by `channel_statistics`.

    Returns:
        Features.

    Reference:
        Huang & Belongie 2017, arXiv:1703.06868, equation 8.

    Example:
        >>> x, y = jnp.arange(4.0).reshape(1, 2, 2, 1), jnp.array([5.0, 9.0]).reshape(1, 1, 2, 1)
        >>> styled = channel_statistics(adain(x, channel_statistics(y)))
        >>> bool(jnp.allclose(styled, channel_statistics(y), rtol=1e-4))
        True
    """
    mean, deviation = statistics[:, 0, None, None], statistics[:, 1, None, None]
    return instance_norm(x, epsilon=CHANNEL_EPSILON) * deviation + mean
