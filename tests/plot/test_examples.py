"""Figures of examples: every image is at its position, and points are drawn over those of the data."""

import numpy as np
import pytest

from jaxgen.plot import image_grid, image_rows, reconstructions, samples, style_grid, styles
from jaxgen.plot.grid import GAP
from jaxgen.plot.rows import draw_rows

RNG = np.random.default_rng(0)
IMAGES = RNG.random((20, 8, 8, 1))


def images_of(pixels, rows, columns, size=8):
    """The images in the lower right corner of a figure, `[rows, columns, size, size, channels]`."""
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    factor = max(k for k in range(1, 17) if GAP + rows * (k * size + GAP) <= pixels.shape[0])
    cell = factor * size + GAP
    area = pixels[-(GAP + rows * cell) :, -(GAP + columns * cell) :]
    cells = area[GAP:, GAP:].reshape(rows, cell, columns, cell, -1).swapaxes(1, 2)
    return cells[:, :, :-GAP:factor, :-GAP:factor] / 255


def points(figure):
    """Name of a collection -> its points, in the order in which they are drawn."""
    (axes,) = figure.axes
    return {collection.get_label(): np.asarray(collection.get_offsets()) for collection in axes.collections}


class TestSamples:
    @pytest.mark.parametrize(("columns", "expected"), [(None, 5), (10, 10), (4, 4)])
    def test_images_of_one_seed_are_in_a_grid(self, columns, expected):
        np.testing.assert_array_equal(samples(IMAGES, columns=columns), image_grid(IMAGES, columns=expected))

    @pytest.mark.parametrize("channels", [1, 3])
    def test_images_of_each_seed_are_in_a_panel_with_its_title(self, channels):
        images = RNG.random((2, 9, 8, 8, channels))
        pixels = samples(images, titles=["seed 3", "seed 4"])
        for half, of_seed in zip(np.split(pixels, 2, axis=1), images, strict=True):
            found = images_of(half, 3, 3).reshape(9, 8, 8, channels)
            np.testing.assert_allclose(found, of_seed, atol=0.5 / 255 + 1e-6)

    def test_points_are_drawn_over_those_of_the_data(self):
        generated, data = RNG.random((9, 2)), RNG.random((30, 2))
        drawn = points(samples(generated, data=data))
        assert list(drawn) == ["data", "generated"]
        np.testing.assert_allclose(drawn["data"], data)
        np.testing.assert_allclose(drawn["generated"], generated)
        assert list(points(samples(generated))) == ["generated"]

    def test_points_of_each_seed_are_in_a_panel_with_its_title_and_common_limits(self):
        generated = RNG.random((5, 9, 2)) * np.arange(1, 6)[:, None, None]
        figure = samples(generated, titles=[f"seed {i}" for i in range(3, 8)])
        assert [axes.get_title() for axes in figure.axes] == ["seed 3", "seed 4", "seed 5", "seed 6", "seed 7"]
        for axes, of_seed in zip(figure.axes, generated, strict=True):
            np.testing.assert_allclose(axes.collections[0].get_offsets(), of_seed)
            assert (axes.get_xlim(), axes.get_ylim()) == (figure.axes[0].get_xlim(), figure.axes[0].get_ylim())
            assert not axes.texts  # All points are within the axes.

    def test_points_of_one_seed_that_was_chosen_have_its_title(self):
        (axes,) = samples(RNG.random((1, 9, 2)), titles=["seed 3"]).axes
        assert axes.get_title() == "seed 3"


class TestReconstructions:
    def test_originals_are_above_their_reconstructions_in_rows_with_these_names(self):
        originals, decoded = RNG.random((2, 20, 8, 8, 1))
        blank = np.ones((12, 8, 8, 1))
        rows = [originals[:16], decoded[:16], [*originals[16:], *blank], [*decoded[16:], *blank]]
        names = ["original", "reconstruction"] * 2
        np.testing.assert_array_equal(reconstructions(originals, decoded), draw_rows(names, np.array(rows)))

    def test_few_images_are_in_two_rows_of_their_number(self):
        originals, decoded = RNG.random((2, 9, 8, 8, 3))
        found = images_of(reconstructions(originals, decoded), 2, 9)
        np.testing.assert_allclose(found, [originals, decoded], atol=0.5 / 255 + 1e-6)

    def test_many_images_are_not_in_a_column(self):
        height, width = reconstructions(*np.zeros((2, 2000, 8, 8, 1))).shape
        assert 0.5 < height / width < 1.5

    def test_originals_of_bytes_are_shown_as_those_of_fractions(self):
        originals = RNG.integers(0, 256, (20, 8, 8, 1), np.uint8)
        decoded = RNG.random((20, 8, 8, 1))
        expected = reconstructions(originals / 255, decoded)
        np.testing.assert_array_equal(reconstructions(originals, decoded), expected)

    def test_points_are_drawn_over_their_originals(self):
        originals, decoded = RNG.random((2, 9, 2))
        figure = reconstructions(originals, decoded, title="seed 3")
        drawn = points(figure)
        np.testing.assert_allclose(drawn["data"], originals)
        np.testing.assert_allclose(drawn["generated"], decoded)
        assert figure.axes[0].get_title() == "seed 3"


class TestStyles:
    def test_an_original_is_left_of_its_styles_below_the_names_of_the_classes(self):
        originals, restyled = RNG.random((3, 8, 8, 1)), RNG.random((3, 10, 8, 8, 1))
        rows = [[originals[i], *restyled[i]] for i in range(3)]
        names = ["original", *"0123456789"]
        np.testing.assert_array_equal(
            styles(originals, restyled, title="seed 3"),
            draw_rows([""] * 3, np.array(rows), columns=names, title="seed 3"),
        )

    def test_originals_of_bytes_are_shown_as_those_of_fractions(self):
        originals, restyled = RNG.integers(0, 256, (3, 8, 8, 3), np.uint8), RNG.random((3, 4, 8, 8, 3))
        np.testing.assert_array_equal(styles(originals, restyled), styles(originals / 255, restyled))

    def test_names_of_classes_take_the_place_of_their_numbers(self):
        originals, restyled = np.zeros((2, 8, 8, 1)), np.ones((2, 2, 8, 8, 1))
        rows = {"": np.concatenate([originals[:1], restyled[0]])}
        named = styles(originals[:1], restyled[:1], class_names=["$cat$", "_dog"])
        np.testing.assert_array_equal(named, image_rows(rows, columns=["original", "$cat$", "_dog"]))

    def test_styles_of_points_are_drawn_over_the_data(self):
        originals, restyled = RNG.random((5, 2)), RNG.random((5, 3, 2))
        drawn = points(styles(originals, restyled))
        np.testing.assert_allclose(drawn["data"], originals)
        np.testing.assert_allclose(drawn["generated"], restyled.reshape(15, 2))


class TestStyleGrid:
    def test_styles_are_above_and_contents_left_of_their_images(self):
        contents, styles, stylized = RNG.random((2, 8, 8, 3)), RNG.random((3, 8, 8, 3)), RNG.random((2, 3, 8, 8, 3))
        found = images_of(style_grid(contents, styles, stylized), 3, 4)
        np.testing.assert_array_equal(found[0, 0], 1)
        for shown, expected in ((found[0, 1:], styles), (found[1:, 0], contents), (found[1:, 1:], stylized)):
            np.testing.assert_allclose(shown, expected, atol=0.5 / 255 + 1e-6)
