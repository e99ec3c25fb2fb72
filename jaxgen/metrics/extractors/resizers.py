"""Resizers: how images of any size become the inputs of a network, as published programs do it.

Values of a Fréchet distance differ by points between these functions (Parmar et al. 2022, arXiv:2104.11222), so a
number names its resizer:

- `tf1_bilinear`: TensorFlow 1 with `align_corners=False`, as the first implementation of the Fréchet Inception
  distance and torch-fidelity: output pixel i is read at i * scale, without averaging when images shrink.
- `bilinear`: PyTorch with `align_corners=False`, as pytorch-fid: output pixel i is read at (i + 1/2) * scale - 1/2,
  without averaging when images shrink.
- `antialiased_bicubic`: Pillow on float images, as clean-fid: a cubic window that is widened when images shrink.

All are linear and separable, so each is one matrix per axis: `rows @ image @ columns.T`. The result is not rounded to
bytes, as it is not in those programs.
"""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxgen._arrays import check_number
from jaxgen._signatures import checked
from jaxgen.errors import InputError, check_known
from jaxgen.typing import AnyArray, Array, Float, Shaped


@checked
def resize(
    images: Shaped[AnyArray, "n height width channels"], size: tuple[int, int], *, resizer: str
) -> Float[Array, "n rows columns channels"]:
    """Return images of another size.

    Args:
        images: grey levels in 0..255, bytes or floats.
        size: number of rows and columns of the result.
        resizer: `tf1_bilinear`, `bilinear` or `antialiased_bicubic`.

    Returns:
        Grey levels, float32. The cubic window is negative in places; what leaves 0..255 is clipped, as by clean-fid.

    Raises:
        InputError: if the resizer is unknown, or a size is below 1.

    Example:
        >>> resize(np.array([0.0, 4.0]).reshape(1, 1, 2, 1), (1, 4), resizer="bilinear")[0, 0, :, 0].tolist()
        [0.0, 1.0, 3.0, 4.0]
        >>> resize(np.array([0.0, 4.0]).reshape(1, 1, 2, 1), (1, 4), resizer="tf1_bilinear")[0, 0, :, 0].tolist()
        [0.0, 2.0, 4.0, 4.0]
    """
    check_known("resizer", resizer, RESIZERS)
    if min(*size, *images.shape[1:]) < 1:
        raise InputError(f"sizes of images must be at least 1, got {images.shape} and {size}")
    x = jnp.asarray(images, jnp.float32)
    for axis, number in ((2, size[1]), (1, size[0])):  # Rows of pixels first, as Pillow.
        if number != x.shape[axis]:
            weights = RESIZERS[resizer](x.shape[axis], number).astype(np.float32)
            x = jnp.moveaxis(jnp.tensordot(x, weights, axes=(axis, 1), precision=lax.Precision.HIGHEST), -1, axis)
    return jnp.clip(x, 0, 255)


@checked
def tf1_bilinear(old: int, new: int) -> Float[np.ndarray, "new old"]:
    """Return the weights of each old pixel of one axis in each new one, as TensorFlow 1 with `align_corners=False`.

        y[i] = x at i * old / new, linear between pixels; behind the last pixel its value

    Args:
        old: number of pixels.
        new: number of pixels of the result.

    Returns:
        Matrix of weights, float64.

    Raises:
        InputError: if a number of pixels is below 1.

    Reference:
        TensorFlow 1.15, `tf.image.resize_bilinear`.

    Example:
        >>> tf1_bilinear(2, 4).tolist()
        [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0], [0.0, 1.0]]
    """
    _check_sizes(old, new)
    return _linear(np.arange(new, dtype=np.float32) * np.float32(old / new), old)


@checked
def bilinear(old: int, new: int) -> Float[np.ndarray, "new old"]:
    """Return the weights of each old pixel of one axis in each new one, as PyTorch with `align_corners=False`.

        y[i] = x at (i + 1/2) * old / new - 1/2, linear between pixels; outside of their centres the nearest value

    Args:
        old: number of pixels.
        new: number of pixels of the result.

    Returns:
        Matrix of weights, float64.

    Raises:
        InputError: if a number of pixels is below 1.

    Reference:
        PyTorch, `torch.nn.functional.interpolate(mode="bilinear", antialias=False)`.

    Example:
        >>> bilinear(2, 4).tolist()
        [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]
    """
    _check_sizes(old, new)
    position = (np.arange(new, dtype=np.float32) + np.float32(0.5)) * np.float32(old / new) - np.float32(0.5)
    return _linear(np.maximum(position, 0), old)


@checked
def antialiased_bicubic(old: int, new: int) -> Float[np.ndarray, "new old"]:
    """Return the weights of each old pixel of one axis in each new one, as Pillow's bicubic filter.

        y[i] = sum_j w((j + 1/2 - centre) / width) x[j] / sum_j w(...),    centre = (i + 1/2) * old / new

    where w is the cubic window of Keys with a = -1/2 and width = max(old / new, 1): a window is widened when images
    shrink, which averages over all pixels. Pixels outside of the image do not count.

    Args:
        old: number of pixels.
        new: number of pixels of the result.

    Returns:
        Matrix of weights, float64.

    Raises:
        InputError: if a number of pixels is below 1.

    Reference:
        Pillow, `Image.resize(resample=BICUBIC)`; Keys 1981, equation 4, doi:10.1109/TASSP.1981.1163711.

    Example:
        >>> antialiased_bicubic(4, 2).round(3).tolist()
        [[0.459, 0.459, 0.12, -0.037], [-0.037, 0.12, 0.459, 0.459]]
    """
    _check_sizes(old, new)
    scale = old / new
    width = max(scale, 1.0)
    centre = (np.arange(new)[:, None] + 0.5) * scale
    # Pillow reads the pixels within the window, whose bounds it rounds.
    first = np.maximum(np.floor(centre - 2 * width + 0.5), 0)
    last = np.minimum(np.floor(centre + 2 * width + 0.5), old)
    pixel = np.arange(old)[None]
    weights = np.where((first <= pixel) & (pixel < last), _cubic(np.abs(pixel + 0.5 - centre) / width), 0.0)
    return weights / weights.sum(axis=1, keepdims=True)


RESIZERS: dict[str, Callable[[int, int], np.ndarray]] = {
    "tf1_bilinear": tf1_bilinear,
    "bilinear": bilinear,
    "antialiased_bicubic": antialiased_bicubic,
}
"""Name of a resizer -> function that returns its matrix for one axis."""


def _check_sizes(old: int, new: int) -> None:
    check_number("old", old, at_least=1)
    check_number("new", new, at_least=1)


def _linear(position: Float[np.ndarray, " new"], old: int) -> Float[np.ndarray, "new old"]:
    """Return the weights of linear interpolation at positions from 0, in pixels.

    Positions are float32, because the published programs round them: by up to 1e-4 pixels in large images.
    """
    low = np.minimum(np.floor(position).astype(int), old - 1)
    high = np.minimum(low + 1, old - 1)
    fraction = np.where(high > low, position.astype(np.float64) - low, 0.0)
    weights = np.zeros((len(position), old))
    np.add.at(weights, (np.arange(len(position)), low), 1 - fraction)
    np.add.at(weights, (np.arange(len(position)), high), fraction)
    return weights


def _cubic(distance: Float[np.ndarray, "new old"]) -> Float[np.ndarray, "new old"]:
    """Return the cubic window of Keys with a = -1/2 at distances in pixels."""
    a = -0.5
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = ((distance - 5) * distance + 8) * distance * a - 4 * a
    return np.where(distance < 1, near, np.where(distance < 2, far, 0.0))
