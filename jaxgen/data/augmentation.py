"""Random changes of training images, computed on the device: flips, shifts and crops."""

from dataclasses import dataclass
from typing import TypeAlias

import jax
import jax.numpy as jnp

from jaxgen.errors import InputError
from jaxgen.typing import Array, Batch, KeyArray, Shaped

Images: TypeAlias = Shaped[Array, "batch height width channels"]


@dataclass(frozen=True)
class Augmentation:
    """Which random changes are made to every training image, each time that it is used.

    Attributes:
        flip: whether images are flipped horizontally with probability 1/2.
        shift: largest number of pixels by which images are shifted vertically and horizontally; 0 for none.
        crop: smallest side of a random square that is cropped and scaled to the whole image, as a share of the image's
            side; 1 for none.
    """

    flip: bool = False
    shift: int = 0
    crop: float = 1.0

    def check(self, batch: Batch) -> None:
        """Raise an InputError if an option is impossible, or one is given and the examples are not images."""
        if not 0 < self.crop <= 1:
            raise InputError(f"crop must be above 0 and at most 1, got {self.crop}")
        if self.shift < 0:
            raise InputError(f"shift must be at least 0, got {self.shift}")
        if self == Augmentation():
            return
        if "image" not in batch:
            raise InputError(f"flip, shift and crop apply to images only, got examples with {sorted(batch)}")
        side = min(batch["image"].shape[1:3])
        if self.shift >= side:
            raise InputError(f"shift must be less than the side of the images, {side} pixels, got {self.shift}")

    def __call__(self, key: KeyArray, batch: Batch) -> Batch:
        """Return the batch with changed images.

        Args:
            key: PRNG key of the changes.
            batch: batch with `image`.

        Returns:
            The batch with images of the same shape and dtype.

        Example:
            >>> batch = {"image": jnp.arange(4, dtype=jnp.uint8).reshape(1, 2, 2, 1), "label": jnp.array([7])}
            >>> changed = Augmentation(flip=True)(jax.random.key(0), batch)
            >>> changed["image"].shape, changed["label"].tolist()
            ((1, 2, 2, 1), [7])
        """
        images = batch["image"]
        crop_key, shift_key, flip_key = jax.random.split(key, 3)
        if self.crop < 1:
            images = random_crop(crop_key, images, smallest=self.crop)
        if self.shift:
            images = random_shift(shift_key, images, largest=self.shift)
        if self.flip:
            images = random_flip(flip_key, images)
        return {**batch, "image": images}


def random_flip(key: KeyArray, images: Images) -> Images:
    """Flip each image horizontally with probability 1/2.

    Args:
        key: PRNG key of the flips.
        images: images of any dtype.

    Returns:
        Images of the same shape and dtype.

    Example:
        >>> random_flip(jax.random.key(0), jnp.arange(4).reshape(2, 1, 2, 1))[..., 0].tolist()
        [[[0, 1]], [[2, 3]]]
    """
    flipped = jax.random.bernoulli(key, shape=(len(images), 1, 1, 1))
    return jnp.where(flipped, images[:, :, ::-1], images)


def random_shift(key: KeyArray, images: Images, *, largest: int) -> Images:
    """Shift each image by whole pixels, uniformly from `-largest` to `largest` in both directions.

    Pixels from beyond the border repeat the pixels at the border.

    Args:
        key: PRNG key of the shifts.
        images: images of any dtype.
        largest: largest shift in pixels.

    Returns:
        Images of the same shape and dtype.

    Example:
        >>> random_shift(jax.random.key(0), jnp.arange(5).reshape(1, 1, 5, 1), largest=1).ravel().tolist()
        [0, 0, 1, 2, 3]
    """
    corners = jax.random.randint(key, (len(images), 2), 0, 2 * largest + 1)
    wide = jnp.pad(images, ((0, 0), (largest, largest), (largest, largest), (0, 0)), mode="edge")

    def cut(image: Array, corner: Array) -> Array:
        return jax.lax.dynamic_slice(image, (corner[0], corner[1], 0), images.shape[1:])

    return jax.vmap(cut)(wide, corners)


def random_crop(key: KeyArray, images: Images, *, smallest: float) -> Images:
    """Crop a random part of each image and scale it to the size of the whole image, with bilinear interpolation.

    The side of the part is uniformly distributed from `smallest` to 1 of the image's side, and its place is uniformly
    distributed over those where it lies within the image.

    Args:
        key: PRNG key of sizes and places.
        images: images of any dtype.
        smallest: smallest side of the part, as a share of the image's side.

    Returns:
        Images of the same shape and dtype; integers are rounded.

    Example:
        >>> image = jnp.full((1, 4, 4, 1), 7, jnp.uint8)
        >>> random_crop(jax.random.key(0), image, smallest=0.5)[0, 0, :, 0].tolist()
        [7, 7, 7, 7]
    """
    size_key, place_key = jax.random.split(key)
    n, height, width, _ = images.shape
    share = jax.random.uniform(size_key, (n, 1), minval=smallest, maxval=1.0)
    corner = jax.random.uniform(place_key, (n, 2)) * (1 - share) * jnp.array([height, width])
    wide = images if jnp.issubdtype(images.dtype, jnp.floating) else images.astype(jnp.float32)

    def cut(image: Array, share: Array, corner: Array) -> Array:
        scale = jnp.broadcast_to(1 / share, (2,))
        return jax.image.scale_and_translate(
            image, image.shape, (0, 1), scale, -corner * scale, method="linear", antialias=False
        )

    cropped = jax.vmap(cut)(wide, share, corner)
    return cropped if wide is images else jnp.round(cropped).astype(images.dtype)
