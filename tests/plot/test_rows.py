"""Rows of images have the exact pixels of every image at its row and column, and names beside them."""

import numpy as np
import pytest

from jaxgen.plot import GAP, image_grid, image_rows, nearest_pairs, to_bytes
from jaxgen.plot.rows import draw_rows

RNG = np.random.default_rng(0)


def split(pixels, images):
    """The names above and beside the images, after a check that the images are a grid in the lower right corner."""
    count = len(images)
    grid = pixels[-1 - GAP :: -1, -1 - GAP :: -1]
    factor = next(k for k in range(16, 0, -1) if (grid[:k, :k] == grid[0, 0]).all())
    cell = np.array(images.shape[2:4]) * factor + GAP
    height, width = count * cell[0] + GAP, images.shape[1] * cell[1] + GAP
    area = pixels[-height:, -width:]
    for i in range(count):
        for j in range(images.shape[1]):
            top, left = GAP + i * cell[0], GAP + j * cell[1]
            found = area[top : top + cell[0] - GAP, left : left + cell[1] - GAP]
            expected = np.kron(to_bytes(images[i, j]), np.ones((factor, factor, 1))).reshape(found.shape)
            np.testing.assert_array_equal(found, expected)
    above = pixels[: -height or None, -width:]
    beside = pixels[-height:, : pixels.shape[1] - width]
    return above, [beside[GAP + i * cell[0] : GAP + (i + 1) * cell[0]] for i in range(count)], cell


@pytest.mark.parametrize("channels", [1, 3])
def test_every_image_is_at_its_row_and_column_and_every_name_beside_its_row(channels):
    images = RNG.uniform(0, 0.9, size=(3, 4, 6, 5, channels)).astype(np.float32)
    pixels = image_rows({"latents": images[0], "pixels": images[1], "": images[2]}, columns=["a", "b", "", "d"])
    above, beside, cell = split(pixels, images)
    names = [(band < 128).any() for band in beside]
    assert names == [True, True, False]
    assert not np.array_equal(beside[0], beside[1])
    middles = [above[:, GAP + j * cell[1] : GAP + (j + 1) * cell[1]] for j in range(4)]
    assert [(band < 128).any() for band in middles] == [True, True, False, True]
    # A name is in the middle of its column.
    dark = np.flatnonzero((middles[0].reshape(len(middles[0]), cell[1], -1) < 128).any(axis=(0, 2)))
    assert abs(dark.mean() - cell[1] / 2) < 3


def test_names_may_repeat_and_are_drawn_alike():
    images = RNG.uniform(size=(3, 4, 8, 8, 1))
    _, beside, _ = split(draw_rows(["original", "reconstruction", "original"], list(images)), images)
    np.testing.assert_array_equal(beside[0], beside[2])
    assert not np.array_equal(beside[0], beside[1])


def test_a_title_is_above_the_names_of_the_columns():
    images = RNG.uniform(size=(1, 4, 8, 8, 1))
    plain, titled = (image_rows({"x": images[0]}, columns=list("abcd"), title=title) for title in ("", "seed 3"))
    added = len(titled) - len(plain)
    assert added > 0
    assert (titled[:added] < 128).any()
    np.testing.assert_array_equal(titled[added:], plain)


def test_without_names_there_are_no_margins():
    images = RNG.uniform(size=(2, 9, 8, 8, 1))
    np.testing.assert_array_equal(
        draw_rows(["", ""], list(images)).shape[1], image_grid(images[:, :9].reshape(18, 8, 8, 1), columns=9).shape[1]
    )


def test_names_that_are_too_long_are_cut():
    images = np.zeros((1, 4, 8, 8, 1))
    long, longer = (image_rows({"x": images[0]}, columns=[name, "", "", ""]) for name in ("i" * 90, "i" * 99))
    np.testing.assert_array_equal(long, longer)
    assert image_rows({"name " * 999: images[0]}).shape[1] < 2000


def test_nearest_pairs_are_columns_named_by_their_distances():
    pairs = RNG.integers(0, 200, size=(4, 2, 5, 5, 1), dtype=np.uint8)
    above, _, cell = split(nearest_pairs(pairs, np.array([0.0, 0.5, 0.5, 1e-6])), pairs.swapaxes(0, 1))
    texts = [above[:, j * cell[1] : (j + 1) * cell[1]] for j in range(4)]
    np.testing.assert_array_equal(texts[1], texts[2])
    assert not np.array_equal(texts[0], texts[1])


def test_rows_of_different_shapes_and_missing_names_are_rejected():
    images = np.zeros((3, 4, 4, 1))
    with pytest.raises(ValueError, match=r"must all have the same shape, got .*'b': \(2, 4, 4, 1\)"):
        image_rows({"a": images, "b": images[:2]})
    with pytest.raises(ValueError, match="rows must not be empty"):
        image_rows({})
    with pytest.raises(ValueError, match="a name for each of 3 columns, got 2 names"):
        image_rows({"a": images}, columns=["x", "y"])
