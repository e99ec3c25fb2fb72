import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxgen.errors import InputError
from jaxgen.nn.resolution import SMALLEST_IMAGE, SMALLEST_MAP, resolutions

SIDES = st.integers(SMALLEST_IMAGE, 2000)


@given(height=SIDES, width=SIDES)
def test_each_size_is_what_a_stride_2_convolution_makes_of_the_one_before(height: int, width: int) -> None:
    sizes = resolutions(height, width)
    assert sizes[0] == (height, width)
    for before, after in itertools.pairwise(sizes):
        assert after == tuple(math.ceil(side / 2) for side in before)


@given(height=SIDES, width=SIDES)
def test_halving_stops_at_the_first_map_that_is_small_enough(height: int, width: int) -> None:
    *larger, last = resolutions(height, width)
    assert max(last) <= SMALLEST_MAP < min(max(size) for size in larger)


@pytest.mark.parametrize(
    ("picture", "code_map"), [((8, 8), (4, 4)), ((32, 32), (4, 4)), ((20, 12), (3, 2)), ((9, 64), (1, 4))]
)
def test_the_last_map(image: tuple[int, int], code_map: tuple[int, int]) -> None:
    assert resolutions(*image)[-1] == code_map


@pytest.mark.parametrize("image", [(7, 64), (64, 7), (1, 1)])
def test_pictures_with_nothing_to_halve_are_refused(image: tuple[int, int]) -> None:
    with pytest.raises(InputError, match=f"{image[0]}x{image[1]} pixels are too small .* at least 8x8"):
        resolutions(*image)
