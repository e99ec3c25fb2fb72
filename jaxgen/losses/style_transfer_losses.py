"""Losses of arbitrary style transfer, of features of a fixed encoder: VGG-19 in the paper.

A decoder g is trained so that the features of its image g(t) are t at one layer, and have the statistics of the style s
at several layers (Huang & Belongie 2017, arXiv:1703.06868, equation 11):

    content_loss(f(g(t)), t) + style_weight * sum over layers of style_loss(f_i(g(t)), f_i(s))

The paper writes norms and its code squares them; these are the losses of the code, for which its weight 0.01 is.
"""

import jax.numpy as jnp

from jaxgen._arrays import check_batch, check_same_shape, flat_events, float_dtype, sum_events, widen
from jaxgen._numerics import channel_statistics
from jaxgen.losses.regression import squared_error
from jaxgen.typing import Array, Float


def content_loss(
    features: Float[Array, " batch *event"], target: Float[Array, " batch *event"]
) -> Float[Array, " batch"]:
    """Compute the mean squared error of the features of an image.

        mean over pixels and channels of (features - target)^2

    Args:
        features: features of the decoded images, f(g(t)).
        target: features from which they were decoded, t, of the same shape.

    Returns:
        One value per example, [batch].

    Raises:
        ValueError: if the shapes differ, or there is no axis of examples.

    Reference:
        Huang & Belongie 2017, arXiv:1703.06868, equation 12, squared and divided by the number of features as in the
        authors' code.

    Example:
        >>> content_loss(jnp.array([[1.0, 2.0]]), jnp.array([[1.0, 4.0]]))
        Array([2.], dtype=float32)
    """
    check_same_shape(features=features, target=target)
    check_batch(features=features)
    mean = flat_events(squared_error(widen(features), widen(target))).mean(axis=1)
    return mean.astype(float_dtype(features, target))


def style_loss(
    features: Float[Array, "batch height width channels"], style: Float[Array, "batch rows columns channels"]
) -> Float[Array, " batch"]:
    """Compute the squared distance of the means and standard deviations of the channels, in one layer.

        sum over channels of (mean(x) - mean(y))^2 + (sd(x) - sd(y))^2,    sd = sqrt(variance + 1e-5)

    Args:
        features: features of the decoded images in a layer, x.
        style: features of the images with the style in that layer, y; their height and width may be others.

    Returns:
        One value per example, [batch].

    Raises:
        ValueError: if the numbers of examples or of channels differ, or an argument has not four axes.

    Reference:
        Huang & Belongie 2017, arXiv:1703.06868, equation 13, squared and summed over channels as in the authors' code.
        pytorch-AdaIN has means over channels, and the weight 10 in place of 0.01.

    Example:
        >>> constant = jnp.ones((1, 2, 2, 1))
        >>> style_loss(constant, 3 * constant)
        Array([4.], dtype=float32)
    """
    x, y = jnp.asarray(features), jnp.asarray(style)
    if not (x.ndim == y.ndim == 4 and (x.shape[0], x.shape[3]) == (y.shape[0], y.shape[3])):
        raise ValueError(
            "features and style must be [batch, height, width, channels] with as many examples and channels, got "
            f"{x.shape} and {y.shape}"
        )
    if 0 in (*x.shape[1:3], *y.shape[1:3]):
        raise ValueError(f"features and style must have at least one pixel, got {x.shape} and {y.shape}")
    distance = squared_error(channel_statistics(widen(x)), channel_statistics(widen(y)))
    return sum_events(distance).astype(float_dtype(features, style))
