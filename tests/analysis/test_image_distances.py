"""Distances of images: LPIPS where its weights are installed, features of an extractor, and pixels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from jaxgen.analysis import image_distances
from jaxgen.analysis.image_distances import extractor_distance, for_lpips, image_distance
from jaxgen.errors import InputError
from jaxgen.metrics.extractors import Extracted, Extractor

RANDOM = np.random.default_rng(0)


def test_images_for_lpips_are_reduced_as_by_pooling_and_have_three_channels():
    images = RANDOM.random((2, 512, 512, 1), np.float32)
    pooled = torch.nn.functional.avg_pool2d(torch.from_numpy(images[..., 0])[:, None], 2).numpy()
    np.testing.assert_allclose(for_lpips(images), np.repeat(pooled[:, 0, ..., None], 3, axis=3), atol=1e-6)
    np.testing.assert_array_equal(for_lpips(images[:, :100, :90]), np.repeat(images[:, :100, :90], 3, axis=3))


@pytest.fixture
def weights(monkeypatch):
    """Install weights of LPIPS, whose distance is the squared difference of the channels, with weights 1, 2 and 3."""
    monkeypatch.setattr(image_distances, "is_installed", lambda weights: weights.name == "vgg16")
    monkeypatch.setattr(image_distances, "lpips_params", lambda: jnp.array([1.0, 2.0, 3.0]))

    def distance(params, images, others):
        assert images.shape[-1] == 3
        return (params * jnp.square(images - others)).sum(axis=(1, 2, 3))

    monkeypatch.setattr(image_distances, "perceptual_distance", distance)


@pytest.mark.usefixtures("weights")
@pytest.mark.parametrize("name", ["vgg16", None])
def test_it_is_lpips_of_rgb_images_where_the_weights_are_installed(name):
    images, others = RANDOM.random((2, 4, 16, 16, 1), np.float32)
    found = image_distance(name, (16, 16, 1))
    assert found.description == "LPIPS (VGG-16)"
    expected = 6 * np.square(images - others).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(found.function(images, others), expected, rtol=1e-5)


def test_it_is_that_of_pixels_where_they_are_not_or_the_images_are_too_small(monkeypatch, weights):
    images, others = RANDOM.random((2, 4, 8, 12, 1), np.float32)
    expected = [np.mean((a.astype(float) - b) ** 2) for a, b in zip(images, others, strict=True)]
    small = image_distance(None, (8, 12, 1))
    monkeypatch.setattr(image_distances, "is_installed", lambda weights: False)
    for found in (small, image_distance(None, (64, 64, 3)), image_distance("pixels", (8, 12, 1))):
        assert found.description == "mean squared difference of pixels"
        np.testing.assert_allclose(found.function(images, others), expected, rtol=1e-5)


def test_it_is_the_squared_difference_of_features_with_a_gradient():
    """Of features that are grey levels times 1, 2, ...."""
    factors = np.arange(1, 17, dtype=np.float32)

    def apply(params, images):
        return Extracted(params * images.reshape(len(images), -1), jnp.zeros((len(images), 1)))

    extractor = Extractor("levels", "none", 1, (4, 4), jnp.asarray(factors), apply)
    images, others = RANDOM.random((2, 3, 4, 4, 1), np.float32)
    found = extractor_distance(extractor, (4, 4, 1))
    assert found.choices == ("levels", "none", "squared features")
    weights = np.square(255 * factors).reshape(4, 4, 1)
    difference = images.astype(float) - others
    expected = (weights * difference**2).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(found.function(images, others), expected, rtol=1e-4)
    gradient = jax.grad(lambda x: found.function(x, others).sum())(images)
    np.testing.assert_allclose(gradient, 2 * weights * difference, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("mnist_v2", (28, 28, 1), "there is no distance of images 'mnist_v2': did you mean 'mnist_v1'"),
        ("mnist_v1", (32, 32, 1), "must be 28x28 where they are not resized, got 32x32"),
        ("vgg16", (8, 8, 1), "at least 16x16 pixels for LPIPS, got 8x8: choose another extractor than vgg16"),
    ],
)
def test_unknown_names_and_images_that_do_not_fit_are_refused(name, shape, message):
    with pytest.raises(InputError, match=message):
        image_distance(name, shape)
