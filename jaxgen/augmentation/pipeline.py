"""Adaptive discriminator augmentation: the operators in a row, each applied to an image with a probability.

The discriminator is given augmented images only, real and generated ones, with the same probability p. As long as p is
below about 0.8, the generator does not learn to generate augmented images (section 2.2 of the paper).
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import jax
import jax.numpy as jnp

from jaxgen._arrays import check_key, check_number, is_known, widen
from jaxgen.augmentation.colour import COLOUR, ONLY_COLOUR, colour_map, recoloured
from jaxgen.augmentation.filtering import filtered
from jaxgen.augmentation.geometry import GEOMETRIC, inverse_map, resampled
from jaxgen.augmentation.noise_and_cutout import cut_out, noisy
from jaxgen.augmentation.random_numbers import OPERATORS, applied, draw
from jaxgen.errors import InputError, check_known, shortened
from jaxgen.typing import AnyArray, Array, Float, KeyArray, Scalar

BLIT = ("xflip", "rotate90", "xint")
GEOM = ("scale", "rotate", "aniso", "xfrac")

PIPELINES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "blit": BLIT,
        "geom": GEOM,
        "color": COLOUR,
        "filter": ("imgfilter",),
        "noise": ("noise",),
        "cutout": ("cutout",),
        "bg": BLIT + GEOM,
        "bgc": BLIT + GEOM + COLOUR,
        "bgcf": (*BLIT, *GEOM, *COLOUR, "imgfilter"),
        "bgcfn": (*BLIT, *GEOM, *COLOUR, "imgfilter", "noise"),
        "bgcfnc": (*BLIT, *GEOM, *COLOUR, "imgfilter", "noise", "cutout"),
    }
)
"""Name of a pipeline of the paper -> its operators."""


def augment(
    key: KeyArray,
    images: Float[Array, "n height width channels"],
    p: Scalar,
    *,
    operators: str | Sequence[str] | Mapping[str, float] = "bgc",
) -> Float[Array, "n height width channels"]:
    """Augment images before they are given to a discriminator, each by changes of its own.

    Every operator is applied to an image with the probability `multiplier p`, independently of the others. First comes
    the geometry, by one affine map of the composed operators; then the colours, by one affine map; the image filter;
    noise; the rectangle that is cut out. The result is a differentiable function of the images, an affine one for given
    random numbers. The numbers of an operator do not depend on the choice of others.

    Images of one channel are grey: hue and saturation do not change them. Operators of colours are for one or three
    channels, all others for any number.

    The authors' program continues images by reflection as far as the largest map of the batch requires, at most by the
    size of the image, and with zeros from there on. Here every image is continued by its size, so that an image does
    not depend on the maps of others.

    Args:
        key: PRNG key of all changes.
        images: images in [-1, 1] (generated ones may exceed it).
        p: probability of the operators; may be traced. The control of p has no upper bound: numbers above 1 count as 1.
        operators: name of a pipeline, a key of `PIPELINES`; or names of operators; or their multipliers by their names.

    Returns:
        The augmented images, of the same shape and dtype.

    Raises:
        InputError: if p is known and negative or not finite, an operator is unknown, a multiplier is
            negative, or the images are not floats with four axes.

    Reference:
        Karras et al. 2020, arXiv:2006.06676, section 2 and appendix B.

    Example:
        >>> images = jnp.linspace(-1.0, 1.0, 64).reshape(1, 8, 8, 1)
        >>> augmented = augment(jax.random.key(0), images, 0.6)
        >>> augmented.shape, bool(jnp.allclose(augment(jax.random.key(0), images, 0.0), images, atol=1e-5))
        ((1, 8, 8, 1), True)
    """
    check_key(key)
    images = checked_images(images)
    check_number("p", p, at_least=0, finite=True)
    multipliers = _multipliers(operators)
    wide = widen(images)
    numbers_key, noise_key = jax.random.split(key)
    draws = draw(numbers_key, len(wide), dtype=wide.dtype)
    numbers = applied(draws, p, multipliers)
    return changed(noise_key, wide, numbers).astype(images.dtype)


def changed(
    key: KeyArray,
    images: Float[Array, "n height width channels"],
    numbers: Mapping[str, Float[Array, "n size"]],
) -> Float[Array, "n height width channels"]:
    """Change images by operators whose random numbers are given.

    Args:
        key: PRNG key of the noise.
        images: images.
        numbers: operator -> its numbers, as `random_numbers.OPERATORS` describes them.

    Returns:
        The changed images.
    """
    if images.shape[-1] == 1:
        numbers = {name: values for name, values in numbers.items() if name not in ONLY_COLOUR}
    if any(name in numbers for name in GEOMETRIC):
        height, width = images.shape[1:3]
        images = resampled(images, inverse_map(numbers, height=height, width=width))
    if any(name in numbers for name in COLOUR):
        images = recoloured(images, *colour_map(numbers))
    if "imgfilter" in numbers:
        images = filtered(images, numbers["imgfilter"])
    if "noise" in numbers:
        images = noisy(key, images, numbers["noise"])
    if "cutout" in numbers:
        images = cut_out(images, numbers["cutout"])
    return images


def checked_images(images: Float[AnyArray, "n height width channels"]) -> Float[Array, "n height width channels"]:
    """Return images as an array of JAX; raise an InputError unless they are floats with four axes and have pixels."""
    array = jnp.asarray(images)
    if array.ndim != 4 or 0 in array.shape[1:]:
        raise InputError(f"images must have the shape [n, height, width, channels], got {array.shape}")
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise InputError(f"images must be floats in [-1, 1], got {array.dtype}; convert bytes by x / 127.5 - 1")
    return array


def _multipliers(operators: str | Sequence[str] | Mapping[str, float]) -> dict[str, float]:
    """Operator -> factor of its probability, for those that are used."""
    if isinstance(operators, str):
        check_known("pipeline", operators, PIPELINES)
        operators = PIPELINES[operators]
    if not isinstance(operators, Mapping | Sequence):
        raise InputError(f"operators must be a pipeline, or names of operators, got {shortened(operators)}")
    given = dict(operators) if isinstance(operators, Mapping) else dict.fromkeys(operators, 1.0)
    for name, multiplier in given.items():
        check_known("operator", name, OPERATORS)
        check_number(f"the multiplier of {name}", multiplier, at_least=0, finite=True)
    return {name: multiplier for name, multiplier in given.items() if not is_known(multiplier) or multiplier > 0}
