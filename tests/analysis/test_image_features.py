"""Features of data sets: the cache serves the same images, extractor and weights, and nothing else."""

import os

import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.analysis import image_features
from jaxgen.analysis.image_features import features_of_data, features_of_parts
from jaxgen.data import Stream
from jaxgen.data.streaming import ArraySource
from jaxgen.errors import InputError
from jaxgen.metrics.extractors import Extracted, Extractor

IMAGES = np.random.default_rng(0).integers(0, 256, (30, 4, 4, 1), dtype=np.uint8)


def sums(params, images):
    total = params * images.astype(jnp.float32).sum(axis=(1, 2))
    return Extracted(total, total)


EXTRACTOR = Extractor("sums", "none", 1, (4, 4), np.float32(2.0), sums)


def computed(extractor, data, folder):
    """The number of images whose features are computed, and the features."""
    seen = [0]

    def progress(done, count):
        seen[0] = done

    found = features_of_data(extractor, data, folder=folder, progress=progress)
    return seen[0], found


def test_the_cache_has_the_same_features_without_a_computation(tmp_path):
    first, found = computed(EXTRACTOR, {"image": IMAGES}, tmp_path)
    second, again = computed(EXTRACTOR, {"image": IMAGES.copy()}, tmp_path)
    assert (first, second) == (30, 0)
    np.testing.assert_array_equal(found.features, 2.0 * IMAGES.sum(axis=(1, 2), dtype=np.float32))
    for before, after in zip(found, again, strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(
    "extractor",
    [
        EXTRACTOR._replace(name="others"),
        EXTRACTOR._replace(options=("layer=768",)),
        EXTRACTOR._replace(resizer="bilinear"),
        EXTRACTOR._replace(params=np.float32(3.0)),
    ],
)
def test_another_extractor_or_other_weights_do_not_use_it(tmp_path, extractor):
    computed(EXTRACTOR, {"image": IMAGES}, tmp_path)
    assert computed(extractor, {"image": IMAGES}, tmp_path)[0] == 30


def test_images_that_differ_in_one_pixel_do_not_use_it(tmp_path):
    computed(EXTRACTOR, {"image": IMAGES}, tmp_path)
    changed = IMAGES.copy()
    changed[17, 2, 1, 0] ^= 1
    count, found = computed(EXTRACTOR, {"image": changed}, tmp_path)
    assert count == 30
    np.testing.assert_array_equal(found.features, 2.0 * changed.sum(axis=(1, 2), dtype=np.float32))


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-5],
        lambda content: b"",
        lambda content: b"x" * 99,
        lambda content: content[:-6] + bytes([content[-6] ^ 1]) + content[-5:],
        lambda content: content[:-200] + bytes(200),  # As after a power failure.
    ],
)
def test_a_damaged_file_is_computed_again(tmp_path, damage):
    computed(EXTRACTOR, {"image": IMAGES}, tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    count, found = computed(EXTRACTOR, {"image": IMAGES}, tmp_path)
    assert count == 30
    np.testing.assert_array_equal(found.features, 2.0 * IMAGES.sum(axis=(1, 2), dtype=np.float32))
    assert computed(EXTRACTOR, {"image": IMAGES}, tmp_path)[0] == 0


def test_a_pipe_or_a_folder_in_the_place_of_a_file_costs_nothing_but_the_computation(tmp_path):
    """A pipe without a writer would be read forever."""
    for make in (os.mkfifo, os.mkdir):
        computed(EXTRACTOR, {"image": IMAGES}, tmp_path)
        (path,) = tmp_path.iterdir()
        path.unlink()
        make(path)
        assert computed(EXTRACTOR, {"image": IMAGES}, tmp_path)[0] == 30


def test_images_and_weights_of_any_float_are_cached(tmp_path):
    """Python's buffers have no bfloat16."""
    images = IMAGES // 255.0
    for dtype in (jnp.bfloat16, np.float16, np.float64):
        for _ in range(2):
            count, found = computed(EXTRACTOR, {"image": images.astype(dtype)}, tmp_path)
            np.testing.assert_array_equal(found.features, 2 * 255 * images.sum(axis=(1, 2), dtype=np.float32))
        assert count == 0
    computed(EXTRACTOR._replace(params=jnp.bfloat16(2)), {"image": IMAGES}, tmp_path)


def test_grey_levels_as_floats_are_refused_in_data(tmp_path):
    """Clipped as samples are, all images would be white."""
    with pytest.raises(InputError, match="divide them by 255"):
        features_of_data(EXTRACTOR, {"image": IMAGES.astype(np.float32)}, folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_costs_nothing_but_the_computation(tmp_path):
    (tmp_path / "file").touch()
    for _ in range(2):
        assert computed(EXTRACTOR, {"image": IMAGES}, tmp_path / "file" / "features")[0] == 30


def test_a_stream_has_the_features_of_its_images_in_order(tmp_path):
    pytest.importorskip("grain")
    stream = Stream(ArraySource({"image": IMAGES}))
    count, found = computed(EXTRACTOR, stream, tmp_path)
    assert count == 30
    np.testing.assert_array_equal(found.features, 2.0 * IMAGES.sum(axis=(1, 2), dtype=np.float32))
    assert computed(EXTRACTOR, stream, tmp_path)[0] == 0


def test_the_oldest_files_are_deleted_from_a_full_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(image_features, "LARGEST_CACHE", 1000)
    for value in range(4):
        computed(EXTRACTOR, {"image": np.full((30, 4, 4, 1), value, np.uint8)}, tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 1000
    assert computed(EXTRACTOR, {"image": np.full((30, 4, 4, 1), 3, np.uint8)}, tmp_path)[0] == 0


def test_what_a_killed_process_left_counts_as_a_file_of_the_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(image_features, "LARGEST_CACHE", 1000)
    left = tmp_path / ".abc.safetensors.tmp"
    left.write_bytes(bytes(2000))
    os.utime(left, (0, 0))
    computed(EXTRACTOR, {"image": IMAGES}, tmp_path)
    assert not left.exists()
    assert computed(EXTRACTOR, {"image": IMAGES}, tmp_path)[0] == 0


def test_samples_outside_of_the_unit_interval_are_clipped_as_in_a_file():
    parts = [np.full((2, 4, 4, 1), -0.5), np.full((1, 4, 4, 1), 1.5)]
    found = features_of_parts(EXTRACTOR, parts, count=3)
    np.testing.assert_array_equal(found.features[:, 0], [0.0, 0.0, 2 * 16 * 255])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_not_finite_are_refused(value):
    """Infinity is not clipped to white."""
    with pytest.raises(InputError, match="samples must be finite, got NaN or infinite values: the model has diverged"):
        features_of_parts(EXTRACTOR, [np.full((2, 4, 4, 1), value)], count=2)


def test_points_are_refused(tmp_path):
    with pytest.raises(InputError, match="metrics of features are of images"):
        features_of_data(EXTRACTOR, {"point": np.zeros((3, 2), np.float32)}, folder=tmp_path)
