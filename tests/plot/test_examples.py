"""Figures of examples: every image is at its position, and points are drawn over those of the data."""

import numpy as np
import pytest

from jaxgen.plot import reconstructions, samples, styles
from jaxgen.plot.grid import tile

RNG = np.random.default_rng(0)
IMAGES = RNG.random((20, 8, 8, 1))


def pixels(figure):
    """The array of a figure's only image, in [0, 1]."""
    (image,) = figure.images
    return np.asarray(image.get_array())


def assert_shows(figure, images, columns):
    """Check that a figure is the grid of these images, enlarged by an integer factor."""
    grid = tile(np.asarray(images), columns=columns)
    shown = pixels(figure)
    factor = len(shown) // len(grid)
    assert shown.shape[:2] == (factor * grid.shape[0], factor * grid.shape[1])
    np.testing.assert_allclose(shown[::factor, ::factor], grid, rtol=1e-6)


def points(figure):
    """Name of a collection -> its points, in the order in which they are drawn."""
    (axes,) = figure.axes
    return {collection.get_label(): np.asarray(collection.get_offsets()) for collection in axes.collections}


class TestSamples:
    @pytest.mark.parametrize(("columns", "expected"), [(None, 5), (10, 10), (4, 4)])
    def test_images_of_one_seed_are_in_a_grid(self, columns, expected):
        assert_shows(samples(IMAGES, columns=columns), IMAGES, expected)

    @pytest.mark.parametrize("channels", [1, 3])
    def test_images_of_each_seed_are_in_a_row(self, channels):
        images = RNG.random((3, 7, 8, 8, channels))
        assert_shows(samples(images, several_seeds=True, columns=2), images.reshape(21, 8, 8, channels), 7)

    def test_points_are_drawn_over_those_of_the_data(self):
        generated, data = RNG.random((9, 2)), RNG.random((30, 2))
        drawn = points(samples(generated, data=data))
        assert list(drawn) == ["data", "generated"]
        np.testing.assert_allclose(drawn["data"], data)
        np.testing.assert_allclose(drawn["generated"], generated)
        assert list(points(samples(generated))) == ["generated"]

    def test_points_of_several_seeds_are_drawn_together(self):
        generated = RNG.random((3, 9, 2))
        drawn = points(samples(generated, several_seeds=True))
        np.testing.assert_allclose(drawn["generated"], generated.reshape(27, 2))


class TestReconstructions:
    def test_originals_are_above_their_reconstructions(self):
        originals, decoded = RNG.random((2, 20, 8, 8, 1))
        blank = np.ones((12, 8, 8, 1))
        rows = [originals[:16], decoded[:16], originals[16:], blank, decoded[16:], blank]
        assert_shows(reconstructions(originals, decoded), np.concatenate(rows), 16)

    def test_few_images_are_in_two_rows_of_their_number(self):
        originals, decoded = RNG.random((2, 5, 8, 8, 3))
        assert_shows(reconstructions(originals, decoded), np.concatenate([originals, decoded]), 5)

    def test_originals_of_bytes_are_shown_as_those_of_fractions(self):
        originals = RNG.integers(0, 256, (20, 8, 8, 1), np.uint8)
        decoded = RNG.random((20, 8, 8, 1))
        expected = pixels(reconstructions(originals / 255, decoded))
        np.testing.assert_allclose(pixels(reconstructions(originals, decoded)), expected, rtol=1e-6)

    def test_points_are_drawn_over_their_originals(self):
        originals, decoded = RNG.random((2, 9, 2))
        drawn = points(reconstructions(originals, decoded))
        np.testing.assert_allclose(drawn["data"], originals)
        np.testing.assert_allclose(drawn["generated"], decoded)


class TestStyles:
    def test_an_original_is_left_of_its_styles(self):
        originals, restyled = RNG.random((3, 8, 8, 1)), RNG.random((3, 10, 8, 8, 1))
        rows = [image for i in range(3) for image in (originals[i], *restyled[i])]
        assert_shows(styles(originals, restyled), rows, 11)

    def test_originals_of_bytes_are_shown_as_those_of_fractions(self):
        originals, restyled = RNG.integers(0, 256, (3, 8, 8, 3), np.uint8), RNG.random((3, 4, 8, 8, 3))
        expected = pixels(styles(originals / 255, restyled))
        np.testing.assert_allclose(pixels(styles(originals, restyled)), expected, rtol=1e-6)

    def test_styles_of_points_are_drawn_over_the_data(self):
        originals, restyled = RNG.random((5, 2)), RNG.random((5, 3, 2))
        drawn = points(styles(originals, restyled))
        np.testing.assert_allclose(drawn["data"], originals)
        np.testing.assert_allclose(drawn["generated"], restyled.reshape(15, 2))
