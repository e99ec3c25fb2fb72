"""A warning when a discriminator's augmentations are applied so often that the generator may reproduce them."""

from collections.abc import Callable

import numpy as np

from jaxgen.training.chunk import Chunk

METRIC = "discriminator/augmentation_probability"
LIMIT = 0.8
"""Probability above which augmentations may appear in generated images (Karras et al. 2020, arXiv:2006.06676)."""


class AugmentationWarning:
    """A callback that says once that the probability of adaptive augmentations is above the limit.

    Args:
        notify: function that is called with the sentence.

    Example:
        >>> import numpy as np
        >>> warning = AugmentationWarning(print)
        >>> warning(Chunk(100, None, {METRIC: np.array([0.79, 0.81])}, seconds=1.0, diverged={}))
        the augmentations have a probability of 0.81 at step 100: above 0.8 they may appear in generated images; give \
more examples
    """

    def __init__(self, notify: Callable[[str], None]) -> None:
        self._notify = notify
        self._has_warned = False

    def __call__(self, chunk: Chunk) -> None:
        """Compare the largest probability of the last step with the limit."""
        if METRIC not in chunk.metrics or self._has_warned:
            return
        values = chunk.metrics[METRIC][..., -1]
        largest = np.max(values, initial=0, where=~np.isnan(values))  # NaN: of a seed that diverged.
        if largest > LIMIT:
            self._has_warned = True
            self._notify(
                f"the augmentations have a probability of {largest:.2f} at step {chunk.step}: above {LIMIT} they may "
                f"appear in generated images; give more examples"
            )
