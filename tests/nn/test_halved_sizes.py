import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxgen.errors import InputError
from jaxgen.nn.halved_sizes import SMALLEST_IMAGE, SMALLEST_MAP, halved_sizes

SIDES = st.integers(SMALLEST_IMAGE, 2000)


@given(height=SIDES, width=SIDES)
def test_each_size_is_half_of_the_one_before_rounded_up(height: int, width: int) -> None:
    sizes = halved_sizes(height, width)
    assert sizes[0] == (height, width)
    for before, after in itertools.pairwise(sizes):
        assert after == tuple(math.ceil(side / 2) for side in before)


@given(height=SIDES, width=SIDES)
def test_halving_stops_at_first_map_with_both_sides_at_most_smallest_map(height: int, width: int) -> None:
    *larger, last = halved_sizes(height, width)
    assert max(last) <= SMALLEST_MAP < min(max(size) for size in larger)


@pytest.mark.parametrize(
    ("image", "last_map"), [((8, 8), (4, 4)), ((32, 32), (4, 4)), ((20, 12), (3, 2)), ((9, 64), (1, 4))]
)
def test_last_map(image: tuple[int, int], last_map: tuple[int, int]) -> None:
    assert halved_sizes(*image)[-1] == last_map


@pytest.mark.parametrize("image", [(7, 64), (64, 7), (1, 1)])
def test_images_smaller_than_8x8_are_rejected(image: tuple[int, int]) -> None:
    with pytest.raises(InputError, match=f"at least 8x8 pixels .* got {image[0]}x{image[1]}"):
        halved_sizes(*image)
