"""Random changes of images, beside NumPy and PyTorch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from jaxgen.data import Augmentation, load
from jaxgen.data.augmentation import random_crop, random_flip, random_shift
from jaxgen.errors import InputError

IMAGES = np.random.default_rng(0).integers(0, 256, (400, 6, 8, 3), np.uint8)
KEY = jax.random.key(0)


def test_each_image_is_flipped_or_not_with_probability_one_half():
    flipped = np.asarray(jax.jit(random_flip)(KEY, IMAGES))
    changed = np.array([not np.array_equal(a, b) for a, b in zip(flipped, IMAGES, strict=True)])
    np.testing.assert_array_equal(flipped[changed], IMAGES[changed, :, ::-1])
    assert abs(changed.mean() - 0.5) < 4 * 0.5 / np.sqrt(len(IMAGES))


def test_images_are_shifted_uniformly_and_borders_are_repeated():
    largest = 2
    shifted = np.asarray(jax.jit(random_shift, static_argnames="largest")(KEY, IMAGES, largest=largest))
    wide = np.pad(IMAGES, ((0, 0), (largest, largest), (largest, largest), (0, 0)), mode="edge")
    counts = np.zeros((5, 5), int)
    for image, source in zip(shifted, wide, strict=True):
        found = [(i, j) for i in range(5) for j in range(5) if np.array_equal(image, source[i : i + 6, j : j + 8])]
        assert len(found) == 1
        counts[found[0]] += 1
    expected = len(IMAGES) / counts.size
    assert ((counts - expected) ** 2 / expected).sum() < 52  # 0.1 % of chi^2 with 24 degrees of freedom.


def test_crops_are_those_of_bilinear_sampling_in_pytorch():
    images = IMAGES[:32].astype(np.float32) / 255
    cropped = np.asarray(jax.jit(random_crop, static_argnames="smallest")(KEY, images, smallest=0.5))
    # The places are unknown to the reference: they are found by fitting linear images, whose crops are linear.
    height, width = images.shape[1:3]
    rows, columns = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    ramps = np.broadcast_to(np.stack([rows, columns], -1), (32, height, width, 2)).astype(np.float32)
    found = np.asarray(jax.jit(random_crop, static_argnames="smallest")(KEY, ramps, smallest=0.5))
    middle = height // 2
    share = found[:, middle, 4, 1] - found[:, middle, 3, 1]
    assert share.min() >= 0.5
    assert share.max() <= 1
    assert share.std() > 0.1  # Uniform on [0.5, 1]: 0.144.
    corner = np.stack([found[:, 3, 4, 0] - 3.5 * share + 0.5, found[:, 3, 4, 1] - 4.5 * share + 0.5], -1)
    scale = share[:, None]
    size = np.array([height, width])
    assert (corner >= -1e-5).all()
    assert (corner + scale * size <= size + 1e-4).all()
    theta = np.zeros((32, 2, 3), np.float32)
    theta[:, 0, 0] = theta[:, 1, 1] = share
    theta[:, :, 2] = (2 * (corner + scale * size / 2) / size - 1)[:, ::-1]
    grid = torch.nn.functional.affine_grid(torch.tensor(theta), (32, 3, height, width), align_corners=False)
    expected = torch.nn.functional.grid_sample(
        torch.tensor(images.transpose(0, 3, 1, 2)), grid, padding_mode="border", align_corners=False
    )
    np.testing.assert_allclose(cropped, expected.numpy().transpose(0, 2, 3, 1), atol=2e-5)


def test_crops_of_bytes_are_rounded_crops_of_numbers():
    of_bytes = np.asarray(random_crop(KEY, IMAGES[:8], smallest=0.3))
    of_numbers = np.asarray(random_crop(KEY, IMAGES[:8].astype(np.float32), smallest=0.3))
    assert of_bytes.dtype == np.uint8
    np.testing.assert_array_equal(of_bytes, np.round(of_numbers))


def test_whole_image_is_cropped_to_itself():
    np.testing.assert_array_equal(random_crop(KEY, IMAGES[:4], smallest=1.0), IMAGES[:4])


def test_changes_depend_on_the_key_and_leave_labels_alone():
    batch = {"image": jnp.asarray(IMAGES[:16]), "label": jnp.arange(16)}
    change = jax.jit(Augmentation(flip=True, shift=1, crop=0.7).__call__)
    first, again, other = change(KEY, batch), change(KEY, batch), change(jax.random.key(1), batch)
    np.testing.assert_array_equal(first["image"], again["image"])
    assert (first["image"] != other["image"]).any()
    np.testing.assert_array_equal(first["label"], batch["label"])


@pytest.mark.parametrize(
    ("augmentation", "data", "sentence"),
    [
        (Augmentation(crop=0.0), "digits", "crop must be above 0 and at most 1, got 0.0"),
        (Augmentation(crop=1.5), "digits", "crop must be above 0 and at most 1, got 1.5"),
        (Augmentation(shift=-1), "digits", "shift must be at least 0, got -1"),
        (Augmentation(shift=8), "digits", "shift must be less than the side of the images, 8 pixels, got 8"),
        (Augmentation(flip=True), "ring", "flip, shift and crop apply to images only"),
    ],
)
def test_impossible_augmentations_are_refused(augmentation, data, sentence):
    with pytest.raises(InputError, match=sentence):
        augmentation.check(load(data, **({"examples": 4} if data == "ring" else {})))
    Augmentation().check(load("ring", examples=4))
