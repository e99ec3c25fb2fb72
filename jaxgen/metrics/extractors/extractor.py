"""What an extractor is: a network with fixed weights whose features metrics compare, and a name that says which."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen._arrays import scaling_advice
from jaxgen.batch_checks import check_data
from jaxgen.errors import InputError
from jaxgen.metrics.extractors.resizers import resize
from jaxgen.typing import AnyArray, Array, Float, PyTree, Shaped, UInt8


class Extracted(NamedTuple):
    """What an extractor computes of images.

    Attributes:
        features: features of each image.
        logits: logits of the classes of each image.
    """

    features: Float[AnyArray, "n dim"]
    logits: Float[AnyArray, "n classes"]


class Extractor(NamedTuple):
    """A network with fixed weights, and how images become its inputs.

    Attributes:
        name: name of the network and its weights, e.g. `inception_2015`; numbers of different names do not compare.
        resizer: one of `jaxgen.metrics.extractors.RESIZERS`, by which images get the size of the inputs; `none` where
            they must have it.
        channels: number of channels of the images.
        size: height and width of the inputs; None where the network takes images of any size.
        params: weights of the network.
        apply: `(params, images) -> Extracted`, a pure function of grey levels, floats in 0..255
            `[n, height, width, channels]`.
        at_once: number of images per call of the network; every call is filled with zeros up to it, so that one program
            is compiled for images of one size. It bounds the memory, and results do not depend on it. For a few images
            alone, `extractor._replace(at_once=4)` takes less time.
        options: further choices on which the numbers depend, as a protocol prints them, e.g. `layer=768`; none where
            they are those of the publication.
    """

    name: str
    resizer: str
    channels: int
    size: tuple[int, int] | None
    params: PyTree
    apply: Callable[[PyTree, Float[Array, "n height width channels"]], Extracted]
    at_once: int = 256
    options: tuple[str, ...] = ()

    def __call__(self, images: Shaped[AnyArray, "n height width channels"]) -> Extracted:
        """Compute features and logits of any number of images.

        Args:
            images: uint8 in 0..255, or floats in [0, 1], which are rounded to bytes: published metrics read image
                files. Grey images are repeated to three channels where the network has three.

        Returns:
            Arrays of NumPy, float32, on the host.

        Raises:
            InputError: if the images do not fit the network, or there are none.
        """
        bytes_of_images = np.asarray(images)
        self.check(bytes_of_images.shape)
        check_data({"image": bytes_of_images})
        parts = []
        for first in range(0, len(bytes_of_images), self.at_once):
            part = quantize(bytes_of_images[first : first + self.at_once])
            if part.shape[-1] < self.channels:
                part = np.repeat(part, self.channels, axis=-1)
            filled = np.zeros((self.at_once, *part.shape[1:]), np.uint8)
            filled[: len(part)] = part
            found = _apply(self.apply, self.resizer, self.size, self.params, filled)
            parts.append(Extracted(*(np.asarray(array)[: len(part)] for array in found)))
        return Extracted(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))

    def unrounded(self, images: Float[AnyArray, "n height width channels"]) -> Float[Array, "n dim"]:
        """Compute features of images that are not rounded to bytes, for images that differ by less than a grey level.

        Args:
            images: images in [0, 1], as many as fit into memory at once.

        Returns:
            Features, float32, on the device.

        Raises:
            InputError: if the images do not fit the network, or there are none.
        """
        self.check(np.shape(images))
        channels = self.channels // np.shape(images)[-1]
        grey_levels = 255 * jnp.repeat(jnp.asarray(images, jnp.float32), channels, axis=-1)
        return _apply(self.apply, self.resizer, self.size, self.params, grey_levels).features

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise an InputError unless images of a shape fit the network."""
        if len(shape) != 4 or 0 in shape:
            raise InputError(f"images must be [n, height, width, channels] with n at least 1, got {shape}")
        if shape[-1] not in (1, self.channels):
            need = "be grey" if self.channels == 1 else f"have 1 or {self.channels} channels"
            raise InputError(f"images for the extractor {self.name} must {need}, got {shape[-1]} channels")
        if self.resizer == "none" and self.size is not None and shape[1:3] != self.size:
            height, width = self.size
            raise InputError(
                f"images for the extractor {self.name} must be {height}x{width} where they are not resized, got "
                f"{shape[1]}x{shape[2]}: choose a resizer"
            )


def quantize(images: Shaped[AnyArray, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    """Return images as bytes: floats in [0, 1] are multiplied by 255 and rounded.

    Args:
        images: bytes, or floats in [0, 1].

    Returns:
        Bytes in 0..255; values outside of [0, 1] are clipped.

    Raises:
        InputError: if they are neither, or not finite.

    Example:
        >>> quantize(np.array([0.0, 0.5, 1.0])).tolist()
        [0, 128, 255]
    """
    array = np.asarray(images)
    if array.dtype == np.uint8:
        return array
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise InputError(f"images must be bytes or finite floats in [0, 1], got {array.dtype}: {scaling_advice(array)}")
    if not np.isfinite(array).all():
        raise InputError("images must be bytes or finite floats in [0, 1], got NaN or infinity")
    return np.clip(np.round(array.astype(np.float32) * 255), 0, 255).astype(np.uint8)


@partial(jax.jit, static_argnames=("apply", "resizer", "size"))
def _apply(
    apply: Callable[[PyTree, Array], Extracted],
    resizer: str,
    size: tuple[int, int] | None,
    params: PyTree,
    images: Shaped[Array, "n height width channels"],
) -> Extracted:
    grey_levels = images.astype(jnp.float32)
    if resizer != "none" and size is not None:
        grey_levels = resize(grey_levels, size, resizer=resizer)
    # Otherwise GPUs and TPUs round the inputs of convolutions to fewer bits, and numbers differ by machine.
    with jax.default_matmul_precision("highest"):
        return Extracted(*(jnp.asarray(array, jnp.float32) for array in apply(params, grey_levels)))
