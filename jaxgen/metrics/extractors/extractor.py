"""What an extractor is: a network with fixed weights whose features metrics compare, and a name that says which."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.batch_checks import check_data
from jaxgen.errors import InputError
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
        resizer: name of the function that changes the size of images; `none` where they must have that of the inputs.
        channels: number of channels of the images.
        size: height and width of the images where the resizer is `none`; None where any size is resized.
        params: weights of the network.
        apply: `(params, images) -> Extracted`, a pure function of bytes `[n, height, width, channels]`.
        at_once: number of images per call of the network, of few images the next power of two; the last call is filled
            with zeros, so that few programs are compiled. It bounds the memory, and results do not depend on it.
    """

    name: str
    resizer: str
    channels: int
    size: tuple[int, int] | None
    params: PyTree
    apply: Callable[[PyTree, UInt8[Array, "n height width channels"]], Extracted]
    at_once: int = 256

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
            size = min(self.at_once, 2 ** (len(bytes_of_images) - 1).bit_length())
            filled = np.zeros((size, *part.shape[1:]), np.uint8)
            filled[: len(part)] = part
            found = _apply(self.apply, self.params, filled)
            parts.append(Extracted(*(np.asarray(array)[: len(part)] for array in found)))
        return Extracted(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise an InputError unless images of a shape fit the network."""
        if len(shape) != 4 or 0 in shape:
            raise InputError(f"images must be [n, height, width, channels] with n at least 1, got {shape}")
        if shape[-1] not in (1, self.channels):
            grey = (
                "; convert them to grey levels, or choose an extractor of colour images" if self.channels == 1 else ""
            )
            channels = "1 channel" if self.channels == 1 else f"1 or {self.channels} channels"
            raise InputError(f"images for the extractor {self.name} must have {channels}, got {shape[-1]}{grey}")
        if self.size is not None and shape[1:3] != self.size:
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
    if not jnp.issubdtype(array.dtype, jnp.floating) or not np.isfinite(array).all():
        raise InputError(
            f"images must be bytes or finite floats in [0, 1], got {array.dtype}: divide grey levels by 255"
        )
    return np.clip(np.round(array.astype(np.float32) * 255), 0, 255).astype(np.uint8)


@partial(jax.jit, static_argnums=0)
def _apply(
    apply: Callable[[PyTree, Array], Extracted], params: PyTree, images: UInt8[Array, "n height width channels"]
) -> Extracted:
    # Otherwise GPUs and TPUs round the inputs of convolutions to fewer bits, and numbers differ by machine.
    with jax.default_matmul_precision("highest"):
        return Extracted(*(jnp.asarray(array, jnp.float32) for array in apply(params, images)))
