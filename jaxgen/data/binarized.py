"""Images of which every pixel is drawn once to be black or white: static binarization."""

from collections.abc import Mapping

import jax
import numpy as np

from jaxgen.typing import KeyArray, UInt8

BINARY = {"binary_digits": "digits", "binary_mnist": "mnist"}
"""Name of a binarized data set -> name of the data set of its grey images."""

BLOCK = 2**23
"""Pixels that are drawn at once, with a key of their own."""


def binarized(key: KeyArray, data: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Draw each pixel once to be white, with its grey value as the probability, or else black.

    Args:
        key: PRNG key of the draws.
        data: `image`, uint8 [n, h, w, c], and what else there is.

    Returns:
        The data with images of the values 0 and 255.

    Reference:
        Salakhutdinov & Murray 2008, "On the quantitative analysis of deep belief networks", section 6. The file of
        their draws that others share is not used: likelihoods of other draws are comparable, but not equal.

    Example:
        >>> images = np.full((1, 2, 2, 1), 255, np.uint8)
        >>> binarized(jax.random.key(0), {"image": images})["image"].ravel().tolist()
        [255, 255, 255, 255]
    """
    grey = data["image"].ravel()
    drawn = np.empty_like(grey)
    for number, first in enumerate(range(0, len(grey), BLOCK)):
        block = slice(first, first + BLOCK)
        drawn[block] = _white(jax.random.fold_in(key, number), grey[block])
    return {**data, "image": drawn.reshape(data["image"].shape)}


def _white(key: KeyArray, grey: UInt8[np.ndarray, " pixels"]) -> UInt8[np.ndarray, " pixels"]:
    white = np.asarray(jax.random.uniform(key, (BLOCK,)))[: len(grey)] < grey.astype(np.float32) / 255
    return np.where(white, np.uint8(255), np.uint8(0))
