"""Path length regularization of a generator with styles (Karras et al. 2020)."""

import math
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from jaxgen._arrays import check_key
from jaxgen._numerics import safe_sqrt
from jaxgen.errors import InputError
from jaxgen.typing import Array, Float, KeyArray, Scalar

Synthesize: TypeAlias = Callable[[Float[Array, "batch styles style"]], Float[Array, "batch height width channels"]]
"""Function from styles, one for each layer, to images."""


class PathLength(NamedTuple):
    """Result of `path_length_penalty`.

    Attributes:
        penalty: unweighted penalty of each image, [batch].
        lengths: length of the gradient of each image, [batch].
        mean: moving average of the lengths after this batch.
    """

    penalty: Float[Array, " batch"]
    lengths: Float[Array, " batch"]
    mean: Float[Array, ""]


def path_length_penalty(
    key: KeyArray,
    synthesize: Synthesize,
    w: Float[Array, "batch styles style"],
    mean: Scalar,
    *,
    decay: Scalar = 0.01,
) -> PathLength:
    """Compute the deviation of the lengths of Jacobian-vector products of a generator from their moving average.

        length = sqrt(mean over layers of |d <image, noise> / d w|^2),    noise ~ N(0, I) / sqrt(height width)
        mean' = mean + decay (mean over the batch of length - mean),      penalty = (length - mean')^2

    A step of fixed size in w then changes the image by a fixed amount. The gradient of the penalty includes that of the
    new average; only its stored value is a constant for the next batch.

    Args:
        key: PRNG key of the noise.
        synthesize: function from styles to images.
        w: styles, one for each layer of each image.
        mean: moving average of the lengths; 0 at first.
        decay: share of a batch in the moving average.

    Returns:
        Penalty and length of each image, and the new average.

    Raises:
        InputError: if the styles are not [batch, styles, style].

    Reference:
        Karras et al. 2020, arXiv:1912.04958, section 3.2, equation 4.

    Example:
        >>> result = path_length_penalty(jax.random.key(0), lambda w: w[..., None], jnp.ones((2, 3, 3)), 0.0)
        >>> bool(jnp.allclose(result.mean, 0.01 * result.lengths.mean()))
        True
    """
    check_key(key)
    if jnp.ndim(w) != 3:
        raise InputError(f"w must be [batch, styles, style], got the shape {jnp.shape(w)}")

    images, pullback = jax.vjp(synthesize, w)
    noise = jax.random.normal(key, images.shape, images.dtype) / math.sqrt(images.shape[1] * images.shape[2])
    lengths = _lengths(*pullback(noise))
    new = mean + decay * (lengths.mean() - mean)
    return PathLength(jnp.square(lengths - new), lengths, new)


def path_lengths(
    synthesize: Synthesize, w: Float[Array, "batch styles style"], noise: Float[Array, "batch height width channels"]
) -> Float[Array, " batch"]:
    """Compute the lengths of the gradients of `<image, noise>` with respect to the styles.

        length = sqrt(mean over layers of |d <image, noise> / d w|^2)

    Args:
        synthesize: function from styles to images.
        w: styles, one for each layer of each image.
        noise: one noise image for each image.

    Returns:
        One length for each image.

    Example:
        >>> path_lengths(lambda w: 3.0 * w[..., None], jnp.ones((2, 1, 4)), jnp.ones((2, 1, 4, 1)))
        Array([6., 6.], dtype=float32)
    """
    _, pullback = jax.vjp(synthesize, w)
    return _lengths(*pullback(noise))


def _lengths(gradients: Float[Array, "batch styles style"]) -> Float[Array, " batch"]:
    return safe_sqrt(jnp.square(gradients).sum(axis=2).mean(axis=1))
