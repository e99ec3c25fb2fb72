"""Filtering of images: the amplification of frequency bands."""

import jax.numpy as jnp
import numpy as np

from jaxgen.augmentation.wavelets import SYM2
from jaxgen.typing import Array, Float

POWER = np.array([10.0, 1.0, 1.0, 1.0]) / 13
"""Expected power of the four bands, as of natural images."""


IMGFILTER_STD = 1.0
"""Standard deviation of the binary logarithm of the amplification."""


def filter_bank() -> Float[np.ndarray, "4 43"]:
    """Return the band-pass filters, from the lowest to the highest frequencies.

    With the low-pass filter `L(z) = H(z) H(1 / z) / 2` of the wavelet H and the high-pass filter `U(z) = L(-z)`::

        L(z) L(z^2) L(z^4)     L(z) L(z^2) U(z^4)     L(z) U(z^2)     U(z)

    As `L(z) + U(z) = 1`, their sum changes nothing.

    Returns:
        Symmetric filters, padded with zeros to the same length.

    Reference:
        Karras et al. 2020, arXiv:2006.06676, appendix B.

    Example:
        >>> filter_bank().shape, bool(filter_bank().sum(axis=0).round(6)[21] == 1)
        ((4, 43), True)
    """
    low = np.convolve(SYM2, SYM2[::-1]) / 2
    high = low * (-1.0) ** (np.arange(len(low)) - len(low) // 2)
    below = [np.ones(1)]  # The products of low-pass filters.
    bands = []
    for level in range(3):
        bands.append(np.convolve(below[-1], _stretched(high, 2**level)))
        below.append(np.convolve(below[-1], _stretched(low, 2**level)))
    bands.append(below[-1])
    widest = max(map(len, bands))
    return np.stack([np.pad(band, (widest - len(band)) // 2) for band in reversed(bands)])


def filtered(
    images: Float[Array, "n height width channels"], numbers: Float[Array, "n 4"]
) -> Float[Array, "n height width channels"]:
    """Amplify frequency bands, each once, and keep the expected power of the image.

        g_j = t_j / prod_i sqrt(1 + power_i (t_i^2 - 1)),    t_i = 2^z_i

    The filter is `sum_j g_j band_j` along height and width; the images are continued by reflection at their borders.

    Args:
        images: images.
        numbers: z, standard normal, 0 for a band that is not amplified.

    Returns:
        The filtered images.

    Reference:
        Karras et al. 2020, arXiv:2006.06676, appendix B.

    Example:
        >>> image = jnp.arange(4.0).reshape(1, 2, 2, 1)
        >>> filtered(image, jnp.zeros((1, 4))).ravel().round(5)
        Array([0., 1., 2., 3.], dtype=float32)
    """
    amplification = jnp.exp2(IMGFILTER_STD * numbers)
    norms = jnp.sqrt(1 + POWER.astype(numbers.dtype) * (jnp.square(amplification) - 1))
    gains = amplification / norms.prod(axis=1, keepdims=True)
    taps = jnp.matmul(gains, filter_bank().astype(numbers.dtype), precision="highest")
    return _correlated(_correlated(images, taps, axis=1), taps, axis=2)


def _stretched(taps: Float[np.ndarray, " taps"], factor: int) -> Float[np.ndarray, " wide"]:
    """Zeros between the taps: F(z) becomes F(z^factor)."""
    wide = np.zeros((len(taps) - 1) * factor + 1)
    wide[::factor] = taps
    return wide


def _correlated(
    images: Float[Array, "n height width channels"], taps: Float[Array, "n taps"], *, axis: int
) -> Float[Array, "n height width channels"]:
    """Correlate each image with its filter along one axis.

    As a product with a matrix, whose entry (i, j) is the sum of the taps by which pixel j is weighted in pixel i.
    """
    size, reach = images.shape[axis], taps.shape[1] // 2
    columns = np.pad(np.arange(size), reach, mode="reflect" if size > 1 else "edge")
    windows = columns[np.arange(size)[:, None] + np.arange(2 * reach + 1)]
    matrix = jnp.zeros((len(images), size, size), images.dtype)
    matrix = matrix.at[:, np.arange(size)[:, None], windows].add(taps[:, None])
    product = "nij,njwc->niwc" if axis == 1 else "nij,nhjc->nhic"
    return jnp.einsum(product, matrix, images, precision="highest")
