"""The bundled data sets, which need no download: the digits of Alpaydin and Kaynak, and the first digits of MNIST."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np

TEST_EVERY = 5
"""Every fifth digit, in order of the labels, is in the test split: 360 of 1797, stratified by class."""

DIGITS = Path(__file__).with_name("digits.npz")
"""The images of `sklearn.datasets.load_digits`, without its import, of a second; `digits.md` states the licence."""

MNIST_SMALL = Path(__file__).with_name("mnist_small.npz")
"""The first 6,000 training and 1,000 test images of MNIST; `mnist_small.md` beside it states the licence."""


def load_digits(split: str) -> dict[str, np.ndarray]:
    """Load one split of the digits of Alpaydin and Kaynak, which scikit-learn distributes as well.

    Args:
        split: "train" (1437 digits) or "test" (360 digits). The split is fixed and does not depend on a random key.

    Returns:
        `image`, uint8 [n, 8, 8, 1] with the 17 grey levels 0..16 scaled to 0..255, and `label`, int32 [n].

    Reference:
        Alpaydin and Kaynak 1998, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository.

    Example:
        >>> load_digits("test")["image"].shape
        (360, 8, 8, 1)
    """
    levels, labels = _all_digits()
    rank = np.empty(len(labels), np.int64)
    rank[np.argsort(labels, kind="stable")] = np.arange(len(labels))
    chosen = (rank % TEST_EVERY == 0) == (split == "test")
    images = np.rint(levels[chosen] * (255 / 16)).astype(np.uint8)
    return {"image": images[..., np.newaxis], "label": labels[chosen].astype(np.int32)}


def load_mnist_small(split: str) -> dict[str, np.ndarray]:
    """Load one split of the first digits of MNIST.

    Args:
        split: "train" (the first 6,000 training images of MNIST) or "test" (its first 1,000 test images).

    Returns:
        `image`, uint8 [n, 28, 28, 1], and `label`, int32 [n], in the published order.

    Reference:
        LeCun et al. 1998, "Gradient-based learning applied to document recognition", Proceedings of the IEEE 86(11).

    Example:
        >>> load_mnist_small("test")["label"][:5]
        array([7, 2, 1, 0, 4], dtype=int32)
    """
    with np.load(MNIST_SMALL, allow_pickle=False) as arrays:
        return {"image": arrays[f"{split}_image"], "label": arrays[f"{split}_label"].astype(np.int32)}


BUNDLED: dict[str, Callable[[str], dict[str, np.ndarray]]] = {"digits": load_digits, "mnist_small": load_mnist_small}
"""Name of a bundled data set -> function that loads one of its splits."""


@lru_cache(maxsize=1)
def _all_digits() -> tuple[np.ndarray, np.ndarray]:
    with np.load(DIGITS, allow_pickle=False) as arrays:
        return arrays["level"], arrays["label"].astype(np.int64)
