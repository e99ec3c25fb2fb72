"""Arrays of published implementations, see README.md."""

from functools import cache
from pathlib import Path

import numpy as np


@cache
def arrays(name: str) -> dict[str, np.ndarray]:
    """The arrays of a file, gradients at their scale."""
    with np.load(Path(__file__).with_name(f"{name}.npz")) as content:
        found = dict(content)
    return {
        key: array.astype(np.float32) * found[f"scale/{key}"] if f"scale/{key}" in found else array
        for key, array in found.items()
        if not key.startswith("scale/")
    }


def group(name: str, prefix: str) -> dict[str, np.ndarray]:
    """The arrays whose names begin with a prefix, without it."""
    return {key.removeprefix(prefix): array for key, array in arrays(name).items() if key.startswith(prefix)}


def channels_last(images: np.ndarray) -> np.ndarray:
    """NCHW -> NHWC."""
    return images.transpose(0, 2, 3, 1)
