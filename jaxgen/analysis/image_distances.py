"""Distances of pairs of images: LPIPS, the squared difference of the features of an extractor, and that of pixels."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.errors import InputError, check_known
from jaxgen.metrics.extractors import (
    EXTRACTORS,
    PUBLISHED_WEIGHTS,
    Extractor,
    is_installed,
    load_extractor,
    lpips_params,
    perceptual_distance,
)
from jaxgen.metrics.extractors.vgg import SMALLEST
from jaxgen.typing import Array, Float

LPIPS_SIZE = 256
"""Size to which larger images are reduced for LPIPS, of Karras et al."""

PIXELS = "pixels"
"""Name of the distance that needs no extractor."""


class ImageDistance(NamedTuple):
    """A distance of images, which can be differentiated.

    Attributes:
        function: function of two sets of images in [0, 1], [n, height, width, channels], to the distance of each pair.
        choices: its name and what it depends on, as in a protocol.
        description: the same for a sentence.
    """

    function: Callable[[Array, Array], Float[Array, " n"]]
    choices: tuple[str, ...]
    description: str


def image_distance(name: str | None, shape: Sequence[int]) -> ImageDistance:
    """Return a distance of images by its name.

    Args:
        name: name of an extractor as of `extractor_distance`, or `pixels` for the mean squared difference of pixels;
            None for LPIPS where the weights of VGG-16 are installed and the images large enough, and else `pixels`.
        shape: height, width and channels of the images.

    Returns:
        The distance.

    Raises:
        InputError: if there is no distance of that name, its weights are not installed, or the images do not fit it.

    Example:
        >>> distance = image_distance("pixels", (8, 8, 1))
        >>> distance.function(jnp.zeros((2, 8, 8, 1)), jnp.full((2, 8, 8, 1), 0.5))
        Array([0.25, 0.25], dtype=float32)
    """
    if name is None:
        name = "vgg16" if min(shape[:2]) >= SMALLEST and is_installed(PUBLISHED_WEIGHTS["vgg16"]) else PIXELS
    check_known("distance of images", name, (*EXTRACTORS, PIXELS))
    if name != PIXELS:
        # LPIPS does without the dense layers of the extractor vgg16, most of its weights.
        return _lpips_distance(shape) if name == "vgg16" else extractor_distance(load_extractor(name), shape)
    return ImageDistance(_squared_difference, (PIXELS,), "mean squared difference of pixels")


def extractor_distance(extractor: Extractor, shape: Sequence[int]) -> ImageDistance:
    """Return the distance of images by an extractor: LPIPS for `vgg16`, or else the squared difference of features.

    Args:
        extractor: the network.
        shape: height, width and channels of the images.

    Returns:
        The distance.

    Raises:
        InputError: if the images do not fit the extractor.
    """
    if extractor.name == "vgg16":
        return _lpips_distance(shape)
    extractor.check((1, *shape))

    def squared_difference(images: Array, others: Array) -> Array:
        return jnp.square(extractor.unrounded(images) - extractor.unrounded(others)).sum(axis=1)

    choices = (extractor.name, extractor.resizer, *extractor.options, "squared features")
    return ImageDistance(squared_difference, choices, f"squared difference of the features of {extractor.name}")


def for_lpips(images: Float[Array, "n height width channels"]) -> Float[Array, "n rows columns 3"]:
    """Return RGB images, of which those of multiples of 256 pixels are reduced to 256 by the means of squares."""
    n, height, width, channels = images.shape
    rows, columns = (max(1, side // LPIPS_SIZE) for side in (height, width))
    squares = images.reshape(n, height // rows, rows, width // columns, columns, channels)
    return jnp.repeat(squares.mean(axis=(2, 4)), 3 // channels, axis=3)


def _lpips_distance(shape: Sequence[int]) -> ImageDistance:
    if min(shape[:2]) < SMALLEST:
        raise InputError(
            f"images must have at least {SMALLEST}x{SMALLEST} pixels for LPIPS, got {shape[0]}x{shape[1]}: choose "
            "another extractor than vgg16"
        )
    return ImageDistance(partial(_lpips, lpips_params()), ("lpips_vgg",), "LPIPS (VGG-16)")


@jax.jit
def _lpips(params: Any, images: Array, others: Array) -> Array:
    return perceptual_distance(params, for_lpips(images), for_lpips(others))


def _squared_difference(images: Array, others: Array) -> Array:
    return jnp.square(images - others).mean(axis=(1, 2, 3))
