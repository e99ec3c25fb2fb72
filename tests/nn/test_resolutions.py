"""The resolutions of PGGAN and its successors, and the channels of the published networks at each."""

import pytest

from jaxgen.errors import InputError
from jaxgen.nn.resolutions import channels_at, resolutions


@pytest.mark.parametrize("size", [4, 12, 28, 33])
def test_sizes_that_are_no_power_of_two_are_refused(size):
    with pytest.raises(InputError, match=f"^size must be a power of 2 from 8 on, got {size}"):
        resolutions(size)


@pytest.mark.parametrize(
    ("product", "published"),
    [
        (16384, [512, 512, 512, 512, 256, 128, 64, 32, 16]),  # Karras et al. 2018, arXiv:1710.10196, table 2.
        (32768, [512, 512, 512, 512, 512, 256, 128, 64, 32]),  # Karras et al. 2020, arXiv:1912.04958, configuration F.
    ],
)
def test_channels_up_to_1024_pixels_are_the_published_ones(product, published):
    assert [channels_at(size, product=product, largest=512) for size in resolutions(1024)] == published
