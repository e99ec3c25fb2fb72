"""Images in the styles of other images, by a trained model of style transfer."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.errors import InputError
from jaxgen.game import State, StyleTransfer
from jaxgen.typing import AnyArray, Array, Float

FLOOR = 1e-6
"""Smallest variance of colours by which colours are divided."""


def stylized_pairs(
    transfer: StyleTransfer,
    state: State,
    contents: Float[AnyArray, "n height width channels"],
    styles: Float[AnyArray, "k rows columns channels"],
    *,
    alpha: float = 1.0,
) -> Float[Array, "n k height width channels"]:
    """Return every image in the style of every other one.

    Args:
        transfer: the functions of the model.
        state: state of one seed.
        contents: images.
        styles: images with the styles.
        alpha: share of the style, from 0 to 1.

    Returns:
        For each content its images in all styles.

    Raises:
        InputError: if the images do not fit the model, or alpha is not from 0 to 1.

    Example:
        >>> from jaxgen.models import style_transfer
        >>> images = {"image": np.zeros((4, 8, 8, 3))}
        >>> config = style_transfer.Config(encoder_weights="random", width=2, stages=2)
        >>> model = style_transfer.build(config, images)
        >>> state = model.init(jax.random.key(0), images)
        >>> stylized_pairs(model.style_transfer, state, images["image"], images["image"][:3]).shape
        (4, 3, 8, 8, 3)
    """

    def in_style(statistics: Float[Array, "2 features"]) -> Float[Array, "n height width channels"]:
        repeated = jnp.broadcast_to(statistics, (len(contents), *statistics.shape))
        images: Array = transfer.stylize(state, contents, repeated, alpha)
        return images

    return jax.lax.map(in_style, transfer.style(state, styles)).swapaxes(0, 1)


def mixed_style(
    statistics: Sequence[Float[AnyArray, "2 features"]], weights: Sequence[float] | None = None
) -> Float[Array, "2 features"]:
    """Return a style between several: the weighted mean of their statistics, as weights with the sum 1.

    The features of an image in that style are the weighted means of those in each of them.

    Args:
        statistics: style of each image.
        weights: weight of each, of any sum; None for equal ones.

    Returns:
        Statistics.

    Raises:
        InputError: if there is not one weight for each style, or one is negative or not finite, or all are 0.

    Reference:
        Huang & Belongie 2017, arXiv:1703.06868, equation 15.

    Example:
        >>> mixed_style([jnp.zeros((2, 1)), jnp.ones((2, 1))], [1, 3])[:, 0]
        Array([0.75, 0.75], dtype=float32)
        >>> mixed_style([jnp.zeros((2, 1))], [1, 3])
        Traceback (most recent call last):
        jaxgen.errors.InputError: weights must be one for each of 1 styles, not negative and not all 0, got [1, 3]
    """
    given = np.ones(len(statistics)) if weights is None else np.asarray(weights, float)
    if given.shape != (len(statistics),) or not (np.isfinite(given).all() and given.min() >= 0 < given.max()):
        raise InputError(
            f"weights must be one for each of {len(statistics)} styles, not negative and not all 0, got "
            f"{list(weights or ())}"
        )
    stacked = jnp.stack([jnp.asarray(x) for x in statistics])
    return jnp.tensordot(jnp.asarray(given / given.sum(), stacked.dtype), stacked, axes=1)


def match_colours(
    images: Float[AnyArray, "height width channels"], like: Float[AnyArray, "rows columns channels"]
) -> Float[np.ndarray, "height width channels"]:
    """Return an image with the mean and the covariance of the colours of another one.

        A (x - mean of x) + mean of y,    A = cov(y)^(1/2) cov(x)^(-1/2)

    A style image whose colours are those of the content transfers its style without its colours.

    Args:
        images: the image x, with values in [0, 1].
        like: the image y, with values in [0, 1] and as many channels.

    Returns:
        The image, with values clipped to [0, 1].

    Reference:
        Gatys et al. 2016, arXiv:1606.05897, section 5.1.

    Example:
        >>> match_colours(np.array([[[0.0], [1.0]]]), np.array([[[0.4], [0.6]]]))[0, :, 0].round(3)
        array([0.4, 0.6])
    """
    x, y = (np.asarray(image, np.float64).reshape(-1, np.shape(image)[-1]) for image in (images, like))
    means, covariances = [z.mean(axis=0) for z in (x, y)], [np.cov(z, rowvar=False, bias=True) for z in (x, y)]
    change = _power(covariances[1], 0.5) @ _power(covariances[0], -0.5)
    return np.clip((x - means[0]) @ change.T + means[1], 0, 1).reshape(np.shape(images))


def _power(covariance: Float[np.ndarray, "..."], exponent: float) -> Float[np.ndarray, "channels channels"]:
    """A power of a covariance, whose variances are at least `FLOOR`."""
    values, vectors = np.linalg.eigh(np.atleast_2d(covariance))
    return (vectors * np.maximum(values, FLOOR) ** exponent) @ vectors.T
