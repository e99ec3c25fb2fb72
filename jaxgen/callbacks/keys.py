"""Keys of callbacks, independent of those of the training and of each other."""

import zlib

import jax
import numpy as np

from jaxgen.typing import KeyArray


def callback_key(seed: int, name: str) -> KeyArray:
    """Return the key of a callback.

    Args:
        seed: seed of the run.
        name: name of the callback.

    Returns:
        A key that depends on both.

    Example:
        >>> bool(callback_key(0, "image_grid") == callback_key(0, "sample_metrics"))
        False
    """
    return _key(seed, np.uint32(zlib.crc32(name.encode())))


@jax.jit  # Otherwise each of four operations would be compiled by itself.
def _key(seed: int, number: np.uint32) -> KeyArray:
    return jax.random.fold_in(jax.random.key(seed), number)
