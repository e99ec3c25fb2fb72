"""Calls of an extractor: every image once, whatever the number, as bytes, and images that do not fit are refused."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.errors import InputError
from jaxgen.metrics.extractors import Extracted, Extractor, quantize
from jaxgen.metrics.extractors.extractor import EXTRACTED_AT_ONCE


def sums_by_channel(params, images):
    """The sum over pixels of each channel, and the sum of all, times a weight."""
    channels = params * images.astype(jnp.float32).sum(axis=(1, 2))
    return Extracted(channels, channels.sum(axis=-1, keepdims=True))


GREY = Extractor("sums", "none", 1, (4, 5), jnp.float32(2.0), sums_by_channel)
COLOUR = Extractor("sums", "any", 3, None, jnp.float32(1.0), sums_by_channel)


@pytest.mark.parametrize("count", [1, 3, EXTRACTED_AT_ONCE, EXTRACTED_AT_ONCE + 1, 2 * EXTRACTED_AT_ONCE + 7])
def test_every_image_has_its_features_whatever_the_number(count):
    images = np.random.default_rng(0).integers(0, 256, (count, 4, 5, 1), dtype=np.uint8)
    found = GREY(images)
    np.testing.assert_allclose(found.features, 2 * images.sum(axis=(1, 2), dtype=np.float64))
    np.testing.assert_array_equal(found.logits, found.features)


def test_grey_images_are_repeated_for_a_network_of_colours():
    images = np.random.default_rng(0).integers(0, 256, (3, 6, 7, 1), dtype=np.uint8)
    np.testing.assert_array_equal(COLOUR(images).features, COLOUR(np.repeat(images, 3, axis=-1)).features)


def test_floats_are_rounded_to_the_bytes_of_a_file():
    levels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(quantize(levels / np.float32(255)), levels)
    np.testing.assert_array_equal(quantize((levels[:-1] + 0.4) / 255), levels[:-1])
    images = levels[:20].reshape(1, 4, 5, 1)
    np.testing.assert_array_equal(GREY(images / 255.0).features, GREY(images).features)


@pytest.mark.parametrize(
    ("extractor", "shape", "named"),
    [
        (GREY, (2, 4, 5, 3), "must have 1 channels, got 3"),
        (COLOUR, (2, 4, 5, 2), "must have 3 channels, got 2"),
        (GREY, (2, 5, 4, 1), "must be 4x5 where they are not resized, got 5x4"),
        (GREY, (0, 4, 5, 1), "with n at least 1"),
        (GREY, (4, 5, 1), "must be \\[n, height, width, channels\\]"),
    ],
)
def test_images_that_do_not_fit_are_refused(extractor, shape, named):
    with pytest.raises(InputError, match=named):
        extractor(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("values", [np.nan, 2.0, -0.5])
def test_values_that_are_no_images_are_refused(values):
    with pytest.raises(InputError, match="in \\[0, 1\\]"):
        GREY(np.full((2, 4, 5, 1), values))
