"""Normalization of each feature vector to the mean square 1."""

import jax
import jax.numpy as jnp

from jaxgen._numerics import ROOT_EPSILON
from jaxgen.typing import Array, Float


def pixel_norm(x: Float[Array, "*batch channels"]) -> Float[Array, "*batch channels"]:
    """Divide each vector along the last axis by the root of its mean square.

        y = x / sqrt(mean(x^2) + 1e-8)

    The vector of a latent then has the length sqrt(channels), not 1.

    Args:
        x: latents, or features at each pixel.

    Returns:
        The normalized vectors.

    Reference:
        Karras et al. 2018, arXiv:1710.10196, section 4.2.

    Example:
        >>> bool(jnp.allclose(pixel_norm(jnp.array([3.0, 4.0])), jnp.array([0.6, 0.8]) * jnp.sqrt(2.0)))
        True
    """
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    return (wide * jax.lax.rsqrt(jnp.mean(jnp.square(wide), axis=-1, keepdims=True) + ROOT_EPSILON)).astype(x.dtype)
