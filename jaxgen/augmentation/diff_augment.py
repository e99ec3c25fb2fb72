"""DiffAugment: few strong augmentations, of colours, translation and cutout."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen._arrays import check_key, widen
from jaxgen.augmentation.pipeline import checked_images
from jaxgen.errors import InputError, check_known, shortened
from jaxgen.typing import Array, Float, KeyArray

NUMBERS = {"color": 3, "translation": 2, "cutout": 2}
"""Operator -> how many uniform numbers it draws for every image."""

LARGEST_SHIFT = 0.125
"""Largest translation, as a share of the side."""

CUT = 0.5
"""Sides of the rectangle that is cut out, as a share of those of the image."""

Images = Float[Array, "n height width channels"]


def diff_augment(
    key: KeyArray,
    images: Images,
    *,
    operators: Sequence[str] = ("color", "translation", "cutout"),
) -> Images:
    """Augment images before they are given to a discriminator, by the operators of DiffAugment in the given order.

    Every operator is applied to every image. With u uniform on [0, 1), drawn anew for each::

        color          brightness, x + u - 1/2; saturation, m + 2 u (x - m), m the mean of the channels of a pixel;
                       contrast, m + (u + 1/2) (x - m), m the mean of the image
        translation    by whole pixels, uniformly up to an eighth of the sides, with zeros from outside
        cutout         a rectangle of half the sides around a uniformly distributed pixel is set to 0

    Args:
        key: PRNG key of all changes.
        images: images in [-1, 1].
        operators: names of operators, in their order: the policy of the paper. The authors use all three for StyleGAN2
            with few images; on all of CIFAR color and cutout for StyleGAN2, and translation and cutout for BigGAN.

    Returns:
        The augmented images, of the same shape and dtype; a differentiable function of the images.

    Raises:
        InputError: if an operator is unknown, or the images are not floats with four axes.

    Reference:
        Zhao et al. 2020, arXiv:2006.10738, section 3.2.

    Example:
        >>> images = jnp.ones((2, 4, 4, 3))
        >>> diff_augment(jax.random.key(0), images, operators=["cutout"]).sum(axis=(1, 2, 3)) < images.size / 2
        Array([ True,  True], dtype=bool)
    """
    check_key(key)
    images = checked_images(images)
    if isinstance(operators, str) or not isinstance(operators, Sequence):
        raise InputError(f"operators must be a list of {', '.join(NUMBERS)}, got {shortened(operators)}")
    for name in operators:
        check_known("operator", name, NUMBERS)
    result = widen(images)
    number_key = jax.random.split(key)[1]  # The second of two keys, so that trainings keep their bits.
    numbers = jax.random.uniform(number_key, (len(images), sum(NUMBERS.values())), result.dtype)
    drawn = dict(zip(NUMBERS, jnp.split(numbers, np.cumsum(list(NUMBERS.values()))[:-1], axis=1), strict=True))
    for name in operators:
        result = OPERATORS[name](result, drawn[name])
    return result.astype(images.dtype)


def changed_colours(images: Images, numbers: Float[Array, "n 3"]) -> Images:
    """Change brightness, saturation and contrast, by one uniform number each."""
    brightness, saturation, contrast = jnp.moveaxis(numbers[:, None, None, None], -1, 0)
    images = images + (brightness - 0.5)
    grey = images.mean(axis=3, keepdims=True)
    images = (images - grey) * (2 * saturation) + grey
    mean = images.mean(axis=(1, 2, 3), keepdims=True)
    return (images - mean) * (contrast + 0.5) + mean


def translated(images: Images, numbers: Float[Array, "n 2"]) -> Images:
    """Translate vertically and horizontally, by one uniform number each, to the lower right for small numbers."""
    most = np.array([_share(side, LARGEST_SHIFT) for side in images.shape[1:3]])
    corners = _whole(numbers, 2 * most + 1)
    wide = jnp.pad(images, ((0, 0), *((shift, shift) for shift in most), (0, 0)))

    def cut(image: Array, corner: Array) -> Array:
        return jax.lax.dynamic_slice(image, (corner[0], corner[1], 0), images.shape[1:])

    return jax.vmap(cut)(wide, corners)


def cut_out(images: Images, numbers: Float[Array, "n 2"]) -> Images:
    """Set a rectangle to 0 whose centre is determined by one uniform number for the row and one for the column."""
    inside = []
    for axis, side in enumerate(images.shape[1:3]):
        size = _share(side, CUT)
        first = _whole(numbers[:, axis, None], side + 1 - size % 2) - size // 2
        inside.append((np.arange(side) >= first) & (np.arange(side) < first + size))
    rows, columns = inside
    return images * ~(rows[:, :, None, None] & columns[:, None, :, None])


OPERATORS = {"color": changed_colours, "translation": translated, "cutout": cut_out}
"""Operator -> function of images and uniform numbers."""


def _share(side: int, share: float) -> int:
    """A share of a side, rounded to whole pixels."""
    return int(side * share + 0.5)


def _whole(numbers: Float[Array, "*shape"], count: int | np.ndarray) -> Array:
    """Integers that are uniform on 0 ... count - 1, from numbers that are uniform on [0, 1)."""
    return jnp.minimum(jnp.floor(numbers * count), count - 1).astype(int)
