"""Corruptions of the input of denoising autoencoders, as pure functions of a key (Vincent et al. 2010)."""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp

from jaxgen.typing import Array, Float, KeyArray

CorruptionName = Literal["none", "gaussian", "masking", "salt_and_pepper"]


def gaussian_noise(key: KeyArray, x: Float[Array, "*shape"], *, scale: float) -> Float[Array, "*shape"]:
    """Add isotropic Gaussian noise: `x + scale * epsilon`, epsilon ~ N(0, I).

    Args:
        key: PRNG key of the noise.
        x: values, of any shape and in any unit.
        scale: standard deviation of the noise, in units of x.

    Returns:
        The values with noise, not clipped.

    Reference:
        Vincent et al. 2010, "Stacked Denoising Autoencoders", JMLR 11, section 3.3.

    Example:
        >>> gaussian_noise(jax.random.key(0), jnp.zeros(1000), scale=0.5).std().round(1)
        Array(0.5, dtype=float32)
    """
    return x + scale * jax.random.normal(key, x.shape, x.dtype)


def masking_noise(key: KeyArray, x: Float[Array, "*shape"], *, probability: float) -> Float[Array, "*shape"]:
    """Set each value to 0 with the given probability, independently of the others.

    Args:
        key: PRNG key of the noise.
        x: values, of any shape and in any unit.
        probability: probability that a value is set to 0, in [0, 1].

    Returns:
        The values, not rescaled, some of them set to 0.

    Reference:
        Vincent et al. 2010, "Stacked Denoising Autoencoders", JMLR 11, section 3.3.

    Example:
        >>> masking_noise(jax.random.key(0), jnp.ones(1000), probability=0.3).mean().round(1)
        Array(0.7, dtype=float32)
    """
    return jnp.where(jax.random.bernoulli(key, probability, x.shape), 0, x)


def salt_and_pepper(
    key: KeyArray, x: Float[Array, "*shape"], *, probability: float, low: float = 0.0, high: float = 1.0
) -> Float[Array, "*shape"]:
    """Replace each value, with the given probability, by the lowest or the highest value, both equally likely.

    Args:
        key: PRNG key of the noise.
        x: values in [low, high], of any shape.
        probability: probability that a value is replaced, in [0, 1].
        low: value of pepper.
        high: value of salt.

    Returns:
        The values, some of them replaced.

    Reference:
        Vincent et al. 2010, "Stacked Denoising Autoencoders", JMLR 11, section 3.3.

    Example:
        >>> sorted(set(salt_and_pepper(jax.random.key(0), jnp.full(100, 0.5), probability=0.5).tolist()))
        [0.0, 0.5, 1.0]
    """
    replaced_key, coin_key = jax.random.split(key)
    replaced = jax.random.bernoulli(replaced_key, probability, x.shape)
    extreme = jnp.where(jax.random.bernoulli(coin_key, 0.5, x.shape), high, low).astype(x.dtype)
    return jnp.where(replaced, extreme, x)


Corruption = Callable[[KeyArray, Array, float], Array]
"""`(key, x, level) -> corrupted x`; the level is the standard deviation or the probability."""

CORRUPTIONS: dict[str, Corruption] = {
    "none": lambda key, x, level: x,
    "gaussian": lambda key, x, level: gaussian_noise(key, x, scale=level),
    "masking": lambda key, x, level: masking_noise(key, x, probability=level),
    "salt_and_pepper": lambda key, x, level: salt_and_pepper(key, x, probability=level),
}
"""Name -> corruption."""
