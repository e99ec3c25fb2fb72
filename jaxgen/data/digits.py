"""The handwritten digits bundled with scikit-learn: real images that need no download."""

from functools import lru_cache

import numpy as np

TEST_EVERY = 5
"""Every fifth digit, in order of the labels, is in the test split: 360 of 1797, stratified by class."""


def load_digits(split: str) -> dict[str, np.ndarray]:
    """Load one split of the digits.

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


@lru_cache(maxsize=1)
def _all_digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn import datasets

    bunch = datasets.load_digits()
    return bunch.images, bunch.target
