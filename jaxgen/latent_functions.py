"""What some models offer beyond sampling: densities of latents, halves of a generator with styles, style transfer."""

from collections.abc import Callable
from typing import NamedTuple

from jaxgen.typing import Array, PyTree


class LatentDensities(NamedTuple):
    """The densities of a model with the prior p(z) = N(0, I) and the posterior q(z|x) = N(mean, exp(log_var)).

    Attributes:
        mean: mean of q(z|x) of each example, [batch, latent].
        log_var: logarithm of its variance, [batch, latent].
        log_likelihood: `latent -> log p(x|z)` in nats, of one latent for each example, [batch, latent] -> [batch].
    """

    mean: Array
    log_var: Array
    log_likelihood: Callable[[Array], Array]


class Styles(NamedTuple):
    """The two halves of a generator with styles: a latent is mapped to a style w, and styles of layers to an image.

    Attributes:
        layers: number of layers that have a style; the first ones are those of the smallest feature maps.
        map: `(state, latent, **conditions) -> w`, one style for each latent, [n, style].
        synthesize: `(state, w, noise) -> x`, images of the styles of their layers, [n, layers, style]. `noise` is what
            the function `noise` returns, or other arrays in its form; with a leading axis each image has its own.
        noise: `state -> noise images`, those that the generator stores, a tree of arrays [height, width].
        average: `state -> w`, the average of the styles of latents, [style].
        modulations: `state -> matrices`, for every layer with a style the matrix [style, channels] that changes the
            style to the factors of the channels.
    """

    layers: int
    map: Callable[..., Array]
    synthesize: Callable[..., Array]
    noise: Callable[..., PyTree]
    average: Callable[..., Array]
    modulations: Callable[..., list[Array]]


class StyleTransfer(NamedTuple):
    """The two functions of arbitrary style transfer: the style of an image, and images in given styles.

    Attributes:
        style: `(state, images) -> statistics`, mean and standard deviation of the features of each image, [n, 2,
            channels]. Weighted means of them, whose weights have the sum 1, interpolate between styles.
        stylize: `(state, images, statistics, alpha=1.0) -> images`, each image in the style of its statistics. `alpha`
            is the share of the style: with 0 the images are reconstructed.
        smallest: smallest height and width of images. They may have any larger size, and need not have that of the
            training.
    """

    style: Callable[..., Array]
    stylize: Callable[..., Array]
    smallest: int
