"""An extractor computes images in parts, of bytes, and refuses what its network cannot read."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.errors import InputError
from jaxgen.metrics.extractors import EXTRACTORS, PUBLISHED_WEIGHTS, Extracted, Extractor, quantize


def brightness(params, images):
    x = images.astype(jnp.float32) * params
    return Extracted(x.reshape(len(x), -1), x.mean(axis=(1, 2)))


@pytest.fixture
def extractor():
    return Extractor("brightness", "none", 3, (2, 2), jnp.float32(0.5), brightness, at_once=2)


def random_images(n):
    return np.random.default_rng(n).integers(0, 256, (n, 2, 2, 3), dtype=np.uint8)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_results_do_not_depend_on_the_number_of_images_per_call(extractor, n):
    images = random_images(n)
    found = extractor(images)
    np.testing.assert_allclose(found.features, images.reshape(n, -1) / 2, rtol=1e-6)
    np.testing.assert_allclose(found.logits, images.mean(axis=(1, 2)) / 2, rtol=1e-6)
    assert found.features.dtype == found.logits.dtype == np.float32


def test_floats_are_rounded_to_bytes_and_grey_images_have_three_equal_channels(extractor):
    images = random_images(3)
    np.testing.assert_array_equal(extractor(images / 255).features, extractor(images).features)
    grey = extractor(images[..., :1]).features.reshape(3, 4, 3)
    np.testing.assert_array_equal(grey, np.repeat(images[..., :1].reshape(3, 4, 1) / 2, 3, axis=-1))


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (np.zeros((0, 2, 2, 3)), "with n at least 1, got"),
        (np.zeros((2, 2, 3)), "with n at least 1, got"),
        (np.zeros((1, 2, 2, 2)), "must have 1 or 3 channels, got 2"),
        (np.zeros((1, 2, 5, 3)), "must be 2x2 where they are not resized, got 2x5: choose a resizer"),
        (np.full((1, 2, 2, 3), np.nan), "must be in .0, 1., got nan to nan"),
        (np.full((1, 2, 2, 3), 255.0), "divide them by 255"),
        (np.zeros((1, 2, 2, 3), int), "must be uint8 or floats in .0, 1., got int64"),
    ],
)
def test_other_images_are_refused(extractor, images, sentence):
    with pytest.raises(InputError, match=sentence):
        extractor(images)


def test_colour_images_are_refused_by_a_network_of_grey_ones_with_what_to_do(extractor):
    with pytest.raises(InputError) as error:
        extractor._replace(channels=1)(random_images(3))
    assert str(error.value) == (
        "images for the extractor brightness must have 1 channel, got 3; convert them to grey levels, or choose an "
        "extractor of colour images"
    )


def test_sets_of_few_images_share_programs(extractor):
    """Compiling a network takes much longer than its features of a few images."""
    sizes = []

    def apply(params, images):
        sizes.append(len(images))  # Called once for each program.
        return brightness(params, images)

    counted = extractor._replace(apply=apply, at_once=16)
    for n in range(1, 40):
        np.testing.assert_allclose(counted(random_images(n)).features, random_images(n).reshape(n, -1) / 2, rtol=1e-6)
    assert sorted(sizes) == [1, 2, 4, 8, 16]


def test_values_that_are_no_grey_levels_are_not_quantized():
    assert quantize(jnp.array([-1.0, 0.2, 2.0])).tolist() == [0, 51, 255]
    for values in (np.array([3, 200]), np.array([np.nan]), np.array([True])):
        with pytest.raises(InputError, match="images must be bytes or finite floats in"):
            quantize(values)


def test_extractors_without_their_weights_say_what_to_fetch(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXGEN_WEIGHTS", str(tmp_path))
    for name, weights in (("inception_2015", "inception"), ("vgg16", "vgg16")):
        with pytest.raises(InputError) as error:
            EXTRACTORS[name]()
        assert f"must be installed in {tmp_path}" in str(error.value)
        assert str(error.value).endswith(PUBLISHED_WEIGHTS[weights].how)
