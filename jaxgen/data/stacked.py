"""Stacked digits: three digits as the colour channels of one picture, real pictures with a thousand modes to count.

A generator that has learned a mixture reaches all its modes. Of real pictures nobody knows how many modes there are,
save where they are made so: three digits drawn independently, a in the red channel, b in the green and c in the blue
one, make a picture of the mode `100 a + 10 b + c`. `jaxgen.analysis.digit_classifier` reads that number back from any picture.
"""

from collections.abc import Mapping, Sequence

import jax
import numpy as np

from jaxgen.data.streaming import Source
from jaxgen.typing import KeyArray

STACKED = {"stacked_digits": "digits", "stacked_mnist": "mnist"}
"""Name of a stacked data set -> the single digits that it is made of."""

STACKED_EXAMPLES = {"train": 128_000, "test": 10_000}
"""Pictures drawn where the user does not say how many; 128,000 are the published number."""

CHANNELS = 3
"""Digits in one picture."""

CLASSES = 10
"""Kinds of digits."""

PLACES = CLASSES ** np.arange(CHANNELS, dtype=np.int32)[::-1]
"""What the digit in each channel counts in the label: 100, 10 and 1."""


class StackedDigits(Source):
    """Triples of digits, drawn with replacement; a picture is put together when it is read.

    Held in memory, 128,000 pictures of 28x28 pixels take 300 MB; streamed, no more than the single digits do.

    Args:
        key: draws the triples.
        digits: `image`, uint8 [n, h, w, 1], and `label`, integers [n] in 0..9.
        examples: number of triples.

    Reference:
        Metz et al. 2017, "Unrolled generative adversarial networks", arXiv:1611.02163; with the 1000 modes and the
        number of training pictures of Srivastava et al. 2017, "VEEGAN", arXiv:1705.07761.

    Example:
        >>> digits = {"image": np.zeros((5, 8, 8, 1), np.uint8), "label": np.full(5, 7)}
        >>> stacked = StackedDigits(jax.random.key(0), digits, 100).read([3, 42])
        >>> stacked["image"].shape, stacked["label"].tolist()
        ((2, 8, 8, 3), [777, 777])
    """

    def __init__(self, key: KeyArray, digits: Mapping[str, np.ndarray], examples: int) -> None:
        self._images, self._labels = digits["image"][..., 0], np.asarray(digits["label"], np.int32)
        self._triples = np.asarray(jax.random.randint(key, (examples, CHANNELS), 0, len(self._labels)))
        self.shape = (*self._images.shape[1:], CHANNELS)
        self.classes = CLASSES**CHANNELS

    def __len__(self) -> int:
        """Count the pictures."""
        return len(self._triples)

    def read(self, indices: Sequence[int]) -> dict[str, np.ndarray]:
        """Put pictures together."""
        triples = self._triples[np.asarray(indices)]
        return {
            "image": np.stack([self._images[digit] for digit in triples.T], axis=-1),
            "label": self._labels[triples] @ PLACES,
        }
