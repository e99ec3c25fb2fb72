"""Grids contain the exact pixels of every image at its position."""

import numpy as np
import pytest
from PIL import Image

from jaxgen.plot import image_grid, save
from jaxgen.plot.grid import GAP, tile


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("count", "columns"), [(6, 3), (7, 3), (1, 1)])
def test_tile_places_images_row_by_row_on_white(count, columns, channels):
    images = np.random.default_rng(0).integers(0, 256, (count, 4, 5, channels), np.uint8)
    canvas = tile(images, columns).reshape(-1, columns * (5 + GAP) + GAP, channels)
    for i, image in enumerate(images):
        row, column = divmod(i, columns)
        top, left = row * (4 + GAP) + GAP, column * (5 + GAP) + GAP
        np.testing.assert_allclose(canvas[top : top + 4, left : left + 5], image / 255, rtol=1e-6)
    # The background is white.
    assert np.isclose(canvas, 1).sum() >= canvas.size - images.size


def test_saved_grid_has_the_pixel_values_of_its_images(tmp_path):
    images = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1) * 17
    save(image_grid(images), tmp_path / "grid.png")
    with Image.open(tmp_path / "grid.png") as image:
        pixels = np.asarray(image.convert("L"))
    factor = pixels.shape[0] // (4 + 2 * GAP)
    middles = pixels[factor // 2 :: factor, factor // 2 :: factor][GAP:-GAP, GAP:-GAP]
    np.testing.assert_allclose(middles, images[0, :, :, 0], atol=1)


def test_values_out_of_range_are_clipped():
    canvas = tile(np.array([-1.0, 2.0]).reshape(2, 1, 1, 1), columns=2)
    assert canvas[GAP, GAP] == 0
    assert canvas[GAP, 2 * GAP + 1] == 1
