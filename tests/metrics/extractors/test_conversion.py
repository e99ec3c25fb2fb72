"""Arrays of published files: missing and invalid ones are refused, and kernels have the axes of Flax."""

import numpy as np
import pytest

from jaxgen.errors import InputError
from jaxgen.metrics.extractors.conversion import convolution, published_array


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (None, "must have an array weight of the shape (2, 3), got none"),
        (np.zeros((3, 2)), "must have an array weight of the shape (2, 3), got (3, 2)"),
        (np.zeros((2, 3), int), "must have an array weight of the shape (2, 3), got int64"),
        (np.full((2, 3), np.nan), "must be finite, got NaN or infinity in the array weight"),
    ],
)
def test_missing_or_invalid_array_is_refused(array, found):
    with pytest.raises(InputError) as error:
        published_array({} if array is None else {"weight": array}, "weight", (2, 3))
    assert str(error.value).startswith(f"the weights {found}")


def test_kernels_have_the_axes_of_flax():
    """A kernel whose entry is 1 at one place reads one channel at one position of the window."""
    weight = np.zeros((5, 2, 3, 4))
    weight[4, 1, 2, 0] = 1
    assert np.argwhere(convolution({"a": weight}, "a", (3, 4, 2, 5))).tolist() == [[2, 0, 1, 4]]
