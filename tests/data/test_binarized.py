"""Static binarization: pixels are black or white with the probabilities of their grey values, and always the same."""

import jax
import numpy as np
import pytest

from jaxgen.data import Stream, load
from jaxgen.data.binarized import BLOCK, binarized
from jaxgen.errors import InputError

GREY, BINARY = (load(name, split="test") for name in ("digits", "binary_digits"))


def test_pixels_are_white_with_the_probability_of_their_grey_value() -> None:
    assert BINARY["image"].dtype == np.uint8
    assert set(np.unique(BINARY["image"])) == {0, 255}
    for level in np.unique(GREY["image"]):
        drawn = BINARY["image"][GREY["image"] == level] / 255
        error = np.sqrt(level / 255 * (1 - level / 255) / drawn.size)
        assert abs(drawn.mean() - level / 255) <= 4 * error
    np.testing.assert_array_equal(BINARY["label"], GREY["label"])


def test_the_draws_are_the_same_at_each_load_and_in_a_stream() -> None:
    np.testing.assert_array_equal(load("binary_digits", split="test")["image"], BINARY["image"])
    stream = load("binary_digits", split="test", stream=True)
    assert isinstance(stream, Stream)
    np.testing.assert_array_equal(next(iter(stream.in_order(360)))["image"], BINARY["image"])


def test_pixels_beyond_one_block_are_drawn_independently() -> None:
    drawn = binarized(jax.random.key(0), {"image": np.full((2, BLOCK), 128, np.uint8)})["image"]
    assert abs(np.mean(drawn[0] == drawn[1]) - 0.5) < 0.01


def test_a_set_that_needs_its_grey_images_says_so(tmp_path) -> None:
    with pytest.raises(InputError, match=r"mnist is not in .*; run: jaxgen data prepare mnist"):
        load("binary_mnist", data_dir=tmp_path)
