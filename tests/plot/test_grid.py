"""Grids contain the exact pixels of every image at its position, enlarged by a whole factor."""

import math
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from jaxgen.batch_checks import LARGEST_PIXELS
from jaxgen.errors import InputError
from jaxgen.plot import GAP, Grid, image_grid, save, to_bytes
from jaxgen.plot.grid import TITLE_SIZE, near_square

RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 255, (23, 4, 5, 3), np.uint8)  # None is white, as the background is.


def cells(pixels, rows, columns, height, width):
    """The enlarged images of a grid without titles, `[rows, columns, height * factor, width * factor, channels]`."""
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    factor = (pixels.shape[1] - GAP - columns * GAP) // (columns * width)
    across, down = factor * width + GAP, factor * height + GAP
    assert pixels.shape[:2] == (rows * down + GAP, columns * across + GAP)
    parts = pixels[GAP:, GAP:].reshape(rows, down, columns, across, -1).swapaxes(1, 2)
    assert (parts[:, :, -GAP:] == 255).all()
    assert (parts[:, :, :, -GAP:] == 255).all()
    return parts[:, :, :-GAP, :-GAP], factor


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("count", "columns"), [(6, 3), (7, 3), (1, 1)])
def test_every_pixel_of_an_image_is_a_square_at_its_row_and_column(channels, count, columns):
    images, rows = BYTES[:count, ..., :channels], math.ceil(count / columns)
    found, factor = cells(image_grid(images, columns=columns), rows, columns, 4, 5)
    assert factor > 1
    for i in range(rows * columns):
        expected = np.kron(images[i], np.ones((factor, factor, 1))) if i < count else 255
        np.testing.assert_array_equal(found[divmod(i, columns)], np.broadcast_to(expected, found.shape[2:]))


def test_saved_grid_has_the_pixel_values_of_its_images(tmp_path):
    for name, pixels in (("grey", image_grid(BYTES[..., :1])), ("colour", image_grid(BYTES))):
        save(pixels, tmp_path / f"{name}.png")
        with Image.open(tmp_path / f"{name}.png") as image:
            assert image.mode == ("L" if name == "grey" else "RGB")
            np.testing.assert_array_equal(np.asarray(image), pixels)


@pytest.mark.parametrize("count", [1, 2, 10, 64, 100, 1000, 12_345])
def test_grid_is_nearly_square(count):
    """Its sides differ by less than two images."""
    grid = Grid(count, (8, 8, 1)).pixels
    side = grid.shape[1] / near_square(count, height=8, width=8)
    assert abs(grid.shape[0] - grid.shape[1]) < 2 * side


@pytest.mark.parametrize("count", [20, 500, 40_000])
def test_columns_of_a_cycle_of_classes_are_a_multiple_of_their_number(count):
    columns = near_square(count, height=8, width=8, multiple=10)
    assert columns % 10 == 0
    assert columns == 10 or 1 / 2 < columns / math.sqrt(count) < 2


def test_parts_give_the_grid_of_all():
    grid = Grid(23, (4, 5, 3))
    for part in np.split(BYTES, [1, 9, 20]):
        grid.add(part)
    np.testing.assert_array_equal(grid.pixels, image_grid(BYTES))


def test_each_panel_has_its_images_below_its_title():
    grid = Grid(4, (8, 8, 1), columns=2, titles=["seed 3", "seed 12"])
    images = RNG.integers(0, 200, (2, 4, 8, 8, 1), np.uint8)
    grid.add(images[:, :3])
    grid.add(images[:, 3:])
    top = TITLE_SIZE + 2 * GAP
    panels = np.split(grid.pixels, 2, axis=1)
    for panel, of_panel in zip(panels, images, strict=True):
        found, factor = cells(panel[top:], 2, 2, 8, 8)
        np.testing.assert_array_equal(found[:, :, ::factor, ::factor].reshape(4, 8, 8, 1), of_panel)
        assert (panel[:top] < 128).any()
    assert not np.array_equal(panels[0][:top], panels[1][:top])


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint16, np.float32, np.float64])
def test_bytes_of_another_type_are_refused_and_not_clipped(dtype):
    images = np.full((2, 8, 8, 1), 128, dtype)
    for draw in (to_bytes, image_grid):
        with pytest.raises(InputError, match=r"must be uint8 or floats in \[0, 1\], got .* 128.* x.astype\('uint8'\)"):
            draw(images)


def test_values_are_rounded_and_clipped_to_bytes():
    assert to_bytes(np.array([-1.0, 0.0, 0.5019, 1.0, 2.0, np.inf, -np.inf, np.nan])).tolist() == [
        0,
        0,
        128,
        255,
        255,
        255,
        0,
        0,
    ]
    every = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_bytes(every / 255), every)
    np.testing.assert_array_equal(to_bytes(every), every)


def test_too_many_images_are_refused_before_they_need_memory_with_the_largest_number():
    tracemalloc.start()
    with pytest.raises(InputError, match=r"at most 67,108,864 pixels, and 2000000 images need .*\.npz") as refusal:
        Grid(2_000_000, (8, 8, 1))
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()
    largest = int(str(refusal.value).partition("at most ")[2].partition("at most ")[2].split()[0])
    assert Grid(largest, (8, 8, 1)).pixels.size <= LARGEST_PIXELS
    # 10 x 10 pixels with the gap: the largest square has 819 x 819 of these images.
    assert largest >= 819**2
    with pytest.raises(InputError, match="draw none of these images"):
        Grid(1, (8192, 8193, 1))


def test_memory_of_a_grid_is_that_of_its_pixels():
    first, part = Grid(10_000, (8, 8, 1)), np.zeros((100, 8, 8, 1), np.float32)
    first.add(part)
    grid_bytes = first.pixels.nbytes
    tracemalloc.start()
    grid = Grid(10_000, (8, 8, 1))
    for _ in range(100):
        grid.add(part)
    assert tracemalloc.get_traced_memory()[1] < 1.2 * grid_bytes
    tracemalloc.stop()
