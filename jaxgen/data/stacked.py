"""Stacked digits: images with 1,000 known modes, each of three digits as the colour channels.

A generator that has learned a mixture covers all its modes. The number of modes of natural images is unknown. In these
images it is known by construction: three digits are drawn independently, a for the red channel, b for the green and c
for the blue, and the image belongs to mode `100 a + 10 b + c`. `jaxgen.analysis.stacked_digits` predicts the mode of
any such image.
"""

from collections.abc import Mapping, Sequence

import jax
import numpy as np

from jaxgen.data.streaming import Source
from jaxgen.memory import check_memory
from jaxgen.typing import KeyArray

STACKED = {"stacked_digits": "digits", "stacked_mnist": "mnist"}
"""Name of a stacked data set -> name of the data set of its digits."""

STACKED_EXAMPLES = {"train": 128_000, "test": 10_000}
"""Default number of images of each split; 128,000 is the published number."""

CHANNELS = 3
"""Number of digits per image."""

CLASSES = 10
"""Number of classes of a digit."""

PLACE_VALUES = CLASSES ** np.arange(CHANNELS, dtype=np.int32)[::-1]
"""Place value of each channel's digit in the label: 100, 10 and 1."""


class StackedDigits(Source):
    """Triples of digits, drawn with replacement; an image is assembled when it is read.

    In memory, 128,000 images of 28x28 pixels take 300 MB; a stream takes only the memory of the single digits.

    Args:
        key: PRNG key that draws the triples.
        digits: `image`, uint8 [n, h, w, 1], and `label`, integers [n] in 0..9.
        examples: number of triples.

    Reference:
        Metz et al. 2017, "Unrolled generative adversarial networks", arXiv:1611.02163; with the 1000 modes and the
        number of training images of Srivastava et al. 2017, "VEEGAN", arXiv:1705.07761.

    Example:
        >>> digits = {"image": np.zeros((5, 8, 8, 1), np.uint8), "label": np.full(5, 7)}
        >>> stacked = StackedDigits(jax.random.key(0), digits, 100).read([3, 42])
        >>> stacked["image"].shape, stacked["label"].tolist()
        ((2, 8, 8, 3), [777, 777])
    """

    def __init__(self, key: KeyArray, digits: Mapping[str, np.ndarray], examples: int) -> None:
        # The numbers of the digits, and their copy on the host.
        check_memory(f"{examples} triples of digits", 2 * CHANNELS * 4 * examples, "give fewer examples")
        self._images, self._labels = digits["image"][..., 0], np.asarray(digits["label"], np.int32)
        self._triples = np.asarray(jax.random.randint(key, (examples, CHANNELS), 0, len(self._labels)))
        self.shape = (*self._images.shape[1:], CHANNELS)
        self.classes = CLASSES**CHANNELS

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._triples)

    def read(self, indices: Sequence[int]) -> dict[str, np.ndarray]:
        """Assemble images from their digits."""
        triples = self._triples[np.asarray(indices)]
        return {
            "image": np.stack([self._images[digit] for digit in triples.T], axis=-1),
            "label": self._labels[triples] @ PLACE_VALUES,
        }
