"""An extractor computes images in parts, of bytes, and refuses what its network cannot read."""

import os
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.errors import InputError
from jaxgen.metrics.extractors import EXTRACTORS, PUBLISHED_WEIGHTS, Extracted, Extractor, quantize


def brightness(params, images):
    x = images * params
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


def test_one_program_computes_any_number_of_images():
    """JAX calls the function once for each program that it compiles."""
    sizes = []

    def traced(params, images):
        sizes.append(images.shape)
        return brightness(params, images)

    extractor = Extractor("brightness", "none", 3, (2, 2), jnp.float32(1.0), traced, at_once=4)
    for n in (3, 4, 9, 1):
        assert len(extractor(random_images(n)).features) == n
    assert sizes == [(4, 2, 2, 3)]


IN_A_NEW_PROCESS = """
import numpy as np
from jaxgen.metrics.extractors import load_extractor

traces, extractor = [], load_extractor("digits_v1")

def traced(params, images):
    traces.append(images.shape)
    return extractor.apply(params, images)

for _ in range(2):
    extractor._replace(apply=traced, at_once=1)(np.zeros((1, 8, 8, 1), np.uint8))
assert traces == [(1, 8, 8, 1)], traces
"""


def test_the_second_call_of_a_process_compiles_no_program():
    """JAX traces and compiles again if a module that is imported in the first trace adds to what it depends on."""
    flags = "--xla_backend_optimization_level=0"  # Compile quickly.
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", IN_A_NEW_PROCESS],
        env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize(("resizer", "expected"), [("tf1_bilinear", [0, 2, 4, 4]), ("bilinear", [0, 1, 3, 4])])
def test_images_of_another_size_are_resized_to_grey_levels_that_are_not_rounded(resizer, expected):
    """Values of the two interpolations by hand, of the documentation of the resizers."""
    extractor = Extractor("brightness", resizer, 1, (1, 4), jnp.float32(0.25), brightness, at_once=1)
    found = extractor(np.array([0, 4], np.uint8).reshape(1, 1, 2, 1)).features
    np.testing.assert_allclose(found, [np.array(expected) / 4], atol=1e-6)


def test_a_network_of_grey_images_refuses_colours(extractor):
    with pytest.raises(InputError, match="images for the extractor brightness must be grey, got 3 channels"):
        extractor._replace(channels=1)(np.zeros((1, 2, 2, 3)))


def test_floats_are_rounded_to_bytes_and_grey_images_have_three_equal_channels(extractor):
    images = random_images(3)
    np.testing.assert_array_equal(extractor(images / 255).features, extractor(images).features)
    grey = extractor(images[..., :1]).features.reshape(3, 4, 3)
    np.testing.assert_array_equal(grey, np.repeat(images[..., :1].reshape(3, 4, 1) / 2, 3, axis=-1))


def test_unrounded_features_change_by_less_than_a_grey_level(extractor):
    images = random_images(3) / 255
    nearer = np.clip(images + 1e-3, 0, 1)
    np.testing.assert_allclose(extractor.unrounded(images), extractor(images).features, rtol=1e-5)
    np.testing.assert_allclose(extractor.unrounded(nearer), 127.5 * nearer.reshape(3, -1), rtol=1e-5)
    grey = extractor.unrounded(nearer[..., :1]).reshape(3, 4, 3)
    np.testing.assert_allclose(grey, np.repeat(127.5 * nearer[..., :1].reshape(3, 4, 1), 3, axis=-1), rtol=1e-5)
    with pytest.raises(InputError, match="must be 2x2 where they are not resized"):
        extractor.unrounded(np.zeros((1, 2, 5, 3)))


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (np.zeros((0, 2, 2, 3)), "with n at least 1, got"),
        (np.zeros((2, 2, 3)), "with n at least 1, got"),
        (np.zeros((1, 2, 2, 2)), "must have 1 or 3 channels, got 2 channels"),
        (np.zeros((1, 2, 5, 3)), "must be 2x2 where they are not resized, got 2x5: choose a resizer"),
        (np.full((1, 2, 2, 3), np.nan), "must be in .0, 1., got nan to nan"),
        (np.full((1, 2, 2, 3), 255.0), "divide them by 255"),
        (np.zeros((1, 2, 2, 3), int), "must be uint8 or floats in .0, 1., got int64"),
    ],
)
def test_other_images_are_refused(extractor, images, sentence):
    with pytest.raises(InputError, match=sentence):
        extractor(images)


def test_values_that_are_no_grey_levels_are_not_quantized():
    assert quantize(jnp.array([-1.0, 0.2, 2.0])).tolist() == [0, 51, 255]
    for values, advice in (
        (np.array([3, 200]), "got int64: divide bytes by 255"),
        (np.array([3, 60000], np.uint16), "got uint16: scale values from 0 to 65535"),
        (np.array([np.nan]), "got NaN or infinity"),
        (np.array([True]), "got bool: convert values 0 and 1"),
    ):
        with pytest.raises(InputError, match=f"images must be bytes or finite floats in .0, 1., {advice}"):
            quantize(values)


def test_extractors_without_their_weights_say_what_to_fetch(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXGEN_WEIGHTS", str(tmp_path))
    for name, weights in (("inception_2015", "inception"), ("vgg16", "vgg16")):
        with pytest.raises(InputError) as error:
            EXTRACTORS[name]()
        assert f"must be installed in {tmp_path}" in str(error.value)
        assert str(error.value).endswith(PUBLISHED_WEIGHTS[weights].how)
