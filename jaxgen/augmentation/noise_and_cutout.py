"""Operators that destroy parts of images: noise and rectangles that are cut out."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.typing import Array, Float, KeyArray

NOISE_STD = 0.1
"""Standard deviation of the half-normal distribution of the standard deviation of noise."""

CUTOUT_SIZE = 0.5
"""Sides of the rectangle that is set to 0, as a share of the sides of the image."""


def noisy(
    key: KeyArray,
    images: Float[Array, "n height width channels"],
    numbers: Float[Array, "n 1"],
) -> Float[Array, "n height width channels"]:
    """Add normal noise with the standard deviation `0.1 abs(z)`, independent in each pixel and channel.

    Args:
        key: PRNG key of the noise.
        images: images.
        numbers: z, standard normal, 0 for an image without noise.

    Returns:
        The images with noise.

    Reference:
        Karras et al. 2020, arXiv:2006.06676, appendix B.

    Example:
        >>> noisy(jax.random.key(0), jnp.ones((1, 1, 2, 1)), jnp.zeros((1, 1))).ravel()
        Array([1., 1.], dtype=float32)
    """
    deviation = NOISE_STD * jnp.abs(numbers)[:, :, None, None]
    return images + deviation * jax.random.normal(key, images.shape, images.dtype)


def cut_out(
    images: Float[Array, "n height width channels"], numbers: Float[Array, "n 2"]
) -> Float[Array, "n height width channels"]:
    """Set a rectangle to 0 whose centre is uniformly distributed over the image, and which may reach beyond it.

    Args:
        images: images.
        numbers: the centre (x, y) as a share of the sides, -inf for an image without a rectangle.

    Returns:
        The images, 0 where the centre of a pixel is nearer to that of the rectangle than a quarter of the sides in
        both directions.

    Reference:
        DeVries and Taylor 2017, arXiv:1708.04552; Karras et al. 2020, arXiv:2006.06676, appendix B.

    Example:
        >>> cut_out(jnp.ones((1, 1, 4, 1)), jnp.array([[0.5, 0.5]])).ravel()
        Array([1., 0., 0., 1.], dtype=float32)
    """
    height, width = images.shape[1:3]
    x, y = ((np.arange(side) + 0.5) / side for side in (width, height))
    half = CUTOUT_SIZE / 2
    beside = jnp.abs(x.astype(numbers.dtype) - numbers[:, :1]) >= half
    above = jnp.abs(y.astype(numbers.dtype) - numbers[:, 1:]) >= half
    return images * (beside[:, None, :, None] | above[:, :, None, None])
