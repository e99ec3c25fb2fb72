"""Resizers equal the functions of TensorFlow 1, PyTorch and Pillow that they are named after."""

import numpy as np
import pytest
import torch
from PIL import Image

from jaxgen.errors import InputError
from jaxgen.metrics.extractors.resizers import RESIZERS, resize, tf1_bilinear

SIZES = [((32, 28), (75, 99)), ((7, 120), (31, 40)), ((90, 13), (20, 31)), ((1, 1), (4, 3)), ((2, 3), (1, 1))]
"""Sizes of images and of the result; enlarging, shrinking, both."""


def random_image(height, width):
    return np.random.default_rng(height * width).integers(0, 256, (1, height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", ["tf1_bilinear", "antialiased_bicubic"])
def test_equals_published_programs_for_metrics(references, name):
    """torch-fidelity and clean-fid: every 14th row and column of the image of 32x32 enlarged to 299x299."""
    found = resize(references["images_32"], (299, 299), resizer=name)[:, ::14, ::14]
    np.testing.assert_allclose(found, references[name], atol=1e-3)


@pytest.mark.parametrize(("old", "new"), SIZES)
def test_bilinear_equals_interpolation_of_pytorch(old, new):
    image = random_image(*old)
    channels_first = torch.from_numpy(image.astype(np.float32)).permute(0, 3, 1, 2)
    expected = torch.nn.functional.interpolate(channels_first, size=new, mode="bilinear", align_corners=False)
    found = resize(image, new, resizer="bilinear")
    np.testing.assert_allclose(found, expected.permute(0, 2, 3, 1).numpy(), atol=1e-2)


@pytest.mark.parametrize(("old", "new"), SIZES)
def test_antialiased_bicubic_equals_pillow_on_float_images(old, new):
    image = random_image(*old)
    channels = [Image.fromarray(image[0, :, :, i].astype(np.float32)) for i in range(3)]
    expected = [np.asarray(channel.resize(new[::-1], Image.Resampling.BICUBIC)).clip(0, 255) for channel in channels]
    found = resize(image, new, resizer="antialiased_bicubic")
    np.testing.assert_allclose(found[0], np.stack(expected, axis=-1), atol=1e-2)


@pytest.mark.parametrize(("old", "new"), [(32, 299), (400, 299), (5, 4), (1, 3)])
def test_tf1_bilinear_interpolates_from_the_first_pixel_on(old, new):
    values = np.random.default_rng(0).uniform(0, 255, old)
    expected = np.interp(np.arange(new) * old / new, np.arange(old), values)
    np.testing.assert_allclose(tf1_bilinear(old, new) @ values, expected, atol=1e-2)


def test_tf1_bilinear_takes_every_second_pixel_when_images_are_halved():
    image = random_image(10, 8)
    np.testing.assert_array_equal(resize(image, (5, 4), resizer="tf1_bilinear"), image[:, ::2, ::2])


@pytest.mark.parametrize("name", RESIZERS)
def test_images_of_that_size_are_unchanged_and_equal_pixels_stay_equal(name):
    image = random_image(5, 7)
    np.testing.assert_array_equal(resize(image, (5, 7), resizer=name), image)
    np.testing.assert_allclose(resize(np.full((1, 9, 4, 1), 17), (5, 6), resizer=name), 17, rtol=1e-6)


def test_unknown_resizer_is_refused():
    with pytest.raises(InputError, match="there is no resizer 'lanczos'"):
        resize(random_image(2, 2), (3, 3), resizer="lanczos")


def test_sizes_without_pixels_are_refused():
    image = random_image(2, 2)
    for images, size in ((image, (0, 3)), (image, (3, -1)), (image[:, :0], (3, 3))):
        with pytest.raises(InputError, match="sizes of images must be at least 1, got"):
            resize(images, size, resizer="bilinear")
    for matrix in RESIZERS.values():
        with pytest.raises(InputError, match="new must be at least 1, got 0"):
            matrix(3, 0)
        with pytest.raises(InputError, match="old must be an integer, got float"):
            matrix(1.5, 2)
