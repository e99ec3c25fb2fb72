"""Rows of images have the exact pixels of every image at its row and column."""

import numpy as np
import pytest

from jaxgen.plot import image_rows, nearest_pairs
from jaxgen.plot.grid import GAP


@pytest.mark.parametrize("channels", [1, 3])
def test_every_image_is_at_its_row_and_column(channels):
    images = np.random.default_rng(0).uniform(size=(2, 3, 6, 4, channels)).astype(np.float32)
    figure = image_rows({"latents": images[0], "pixels": images[1]}, columns=["a", "b", "c"])
    (axes,) = figure.axes
    canvas = axes.images[0].get_array()
    canvas = canvas[..., None] if channels == 1 else canvas
    assert [label.get_text() for label in axes.get_yticklabels()] == ["latents", "pixels"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b", "c"]
    for i, middle in enumerate(axes.get_yticks()):
        for j, centre in enumerate(axes.get_xticks()):
            top, left = round(middle - 3), round(centre - 2)
            assert (top, left) == (GAP + i * (6 + GAP), GAP + j * (4 + GAP))
            np.testing.assert_allclose(canvas[top : top + 6, left : left + 4], images[i, j], atol=1e-6)


def test_nearest_pairs_are_columns_named_by_their_distances():
    pairs = np.random.default_rng(0).integers(0, 256, size=(4, 2, 5, 5, 1), dtype=np.uint8)
    (axes,) = nearest_pairs(pairs, np.array([0.0, 0.5, 12.3456, 1e-6])).axes
    canvas = axes.images[0].get_array()
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "0.5", "12.3", "1e-06"]
    for i in range(2):
        top, left = GAP + i * (5 + GAP), GAP + 2 * (5 + GAP)
        np.testing.assert_allclose(canvas[top : top + 5, left : left + 5], pairs[2, i, :, :, 0] / 255, atol=1e-6)


def test_rows_of_different_shapes_and_missing_names_are_rejected():
    images = np.zeros((3, 4, 4, 1))
    with pytest.raises(ValueError, match=r"must all have the same shape, got .*'b': \(2, 4, 4, 1\)"):
        image_rows({"a": images, "b": images[:2]})
    with pytest.raises(ValueError, match="rows must not be empty"):
        image_rows({})
    with pytest.raises(ValueError, match="a name for each of 3 columns, got 2 names"):
        image_rows({"a": images}, columns=["x", "y"])
