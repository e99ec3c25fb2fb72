"""Weights of large networks from a rule, so that tests need no file: a normal sample per array, seeded by its name."""

import zlib
from collections.abc import Mapping

import numpy as np


def weights_by_rule(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Arrays with PyTorch's names and shapes.

    The programs whose outputs are in `references.npz` and `references_vgg.npz` had the same weights.
    """
    return {name: _array(name, shape) for name, shape in shapes.items()}


def _array(name: str, shape: tuple[int, ...]) -> np.ndarray:
    sample = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    if len(shape) > 1:
        sample *= np.sqrt(2 / np.prod(shape[1:]))
    elif name.endswith("running_var"):
        sample = 1 + 0.5 * np.abs(sample)
    else:
        sample = 0.1 * sample + name.endswith("weight")
    return sample.astype(np.float32)
