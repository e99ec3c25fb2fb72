"""Small random images with labels, and what is the same of them in any order."""

from collections import Counter
from collections.abc import Mapping

import numpy as np


def random_data(examples: int, shape: tuple[int, ...] = (28, 28, 1), seed: int = 0) -> dict[str, np.ndarray]:
    """Random bytes as images, and random labels from 0 to 9."""
    rng = np.random.default_rng(seed)
    return {
        "image": rng.integers(0, 256, (examples, *shape), np.uint8),
        "label": rng.integers(0, 10, examples).astype(np.int32),
    }


def multiset(data: Mapping[str, np.ndarray]) -> Counter[tuple[bytes, int]]:
    """The labelled images without their order, as tensorflow-datasets shuffles them."""
    return Counter((image.tobytes(), int(label)) for image, label in zip(data["image"], data["label"], strict=True))
