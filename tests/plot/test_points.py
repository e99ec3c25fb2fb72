"""Plots of points show the given coordinates and labels."""

import numpy as np
import pytest
import scipy.stats
from matplotlib.colors import to_rgb

from jaxgen.errors import InputError
from jaxgen.plot import render, scatter, scatter_by_label, scatter_panels


def test_two_dimensional_points_are_plotted_at_their_coordinates():
    points = np.random.default_rng(0).normal(size=(50, 2))
    data = np.random.default_rng(1).normal(size=(70, 2))
    plotted = {c.get_label(): c.get_offsets() for c in scatter(points, data=data).axes[0].collections}
    np.testing.assert_allclose(plotted["generated"], points)
    np.testing.assert_allclose(plotted["data"], data)


def test_one_dimensional_points_are_plotted_as_a_density():
    points = np.random.default_rng(0).normal(size=(500, 1))
    (outline,) = scatter(points).axes[0].patches
    x, y = outline.get_xy().T
    area = 0.5 * abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))
    np.testing.assert_allclose(area, 1, rtol=1e-6)


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_axis_limits_depend_on_the_data_alone(dimensions):
    """Figures of one training are comparable: early samples are far from the data, late samples are close to them."""
    data = np.linspace([-1, 10, 0], [3, 20, 1], 10_000)[:, :dimensions]
    limits = []
    for samples in (data[:30] + 100, 0 * data[:9], data[:50]):
        (axes,) = scatter(samples, data=data).axes
        limits.append([*axes.get_xlim(), *axes.get_ylim()])
    assert limits[0] == limits[1] == limits[2]
    # The margin is a quarter of the range of the data; the height is 2.5 times the density, which is 1/4.
    np.testing.assert_allclose(limits[0], [-2, 4, *([0, 2.5 / 4] if dimensions == 1 else [7.5, 22.5])], rtol=0.02)


@pytest.mark.parametrize(
    "draw", [lambda x: scatter(x, data=x), lambda x: scatter_panels({"a": (x, x)}), scatter_by_label]
)
@pytest.mark.parametrize(("scales", "equal"), [((1, 50), False), ((50, 1), False), ((1, 2), True)])
def test_coordinates_of_unlike_scales_fill_the_axes_and_others_are_drawn_to_one_scale(draw, scales, equal):
    points = 1000 + np.random.default_rng(0).normal(size=(300, 2)) * scales
    figure = draw(points)
    figure.draw_without_rendering()
    axes = figure.axes[0]
    size = axes.get_window_extent().size
    extent = np.array([np.ptp(axes.get_xlim()), np.ptp(axes.get_ylim())])
    pixels = size / extent  # Per unit.
    shares = np.ptp(points, axis=0) * pixels / size
    assert (abs(pixels[0] / pixels[1] - 1) < 0.01) == equal
    assert equal or shares.min() > 0.5  # Without the margin, 2/3 of the axes.
    assert equal or size.min() > 0.6 * size.max()


def test_number_of_points_outside_the_axes_is_stated():
    data = np.random.default_rng(0).uniform(size=(100, 2))
    samples = np.array([[0.5, 0.5], [0.5, 3.0], [-9.0, 0.5], [np.nan, 0.5], [1.1, 1.1]])
    (text,) = scatter(samples, data=data).axes[0].texts
    assert text.get_text() == "3 of 5 points outside the axes"
    assert not scatter(data, data=data).axes[0].texts


def test_histograms_are_normalized_by_all_points():
    """Half of the points are outside the axes, so the area inside the axes is 1/2."""
    data = np.linspace(0, 1, 1000)[:, None]
    samples = np.concatenate([data, data + 50])
    areas = {}
    for outline in scatter(samples, data=data).axes[0].patches:
        x, y = outline.get_xy().T
        areas[outline.get_label()] = 0.5 * abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))
    assert areas == {"data": pytest.approx(1.0), "generated": pytest.approx(0.5)}


@pytest.mark.parametrize(
    "values",
    [[2.0, 2.0], [np.nan, 1.0], [np.inf, -np.inf, 1.0, 3.0], [np.nan], [3e38, 3e38], [-1e30, -1e30 * (1 + 1e-7)]],
)
@pytest.mark.parametrize("dimensions", [1, 2])
def test_points_without_a_range_are_drawn(values, dimensions):
    points = np.tile(np.array(values, np.float32)[:, None], dimensions)
    for figure in (scatter(points), scatter(points, data=points), scatter_panels({"a": (points, None)})):
        (axes,) = figure.axes
        (low, high), finite = axes.get_xlim(), points[np.isfinite(points)]
        assert np.isfinite([low, high]).all()
        assert ((low < finite) & (finite < high)).all()
    assert render(figure, "png")


def test_panels_equal_single_scatter_plots():
    rng = np.random.default_rng(0)
    panels = {name: (rng.normal(size=(9, 2)), rng.normal(size=(20, 2))) for name in "abcd"}
    figure = scatter_panels(panels, columns=3)
    assert [axes.get_title() for axes in figure.axes] == list("abcd")
    for axes, (generated, data) in zip(figure.axes, panels.values(), strict=True):
        single = scatter(generated, data=data).axes[0]
        assert (axes.get_xlim(), axes.get_ylim()) == (single.get_xlim(), single.get_ylim())
        np.testing.assert_allclose(axes.collections[1].get_offsets(), generated)


POINTS = np.random.default_rng(0).normal(size=(60, 2))


def drawn_points(figure):
    """The points, their colours and the number of each in `POINTS`, in the order in which they are drawn."""
    (collection,) = figure.axes[0].collections
    drawn = np.asarray(collection.get_offsets())
    numbers = np.array([np.flatnonzero((point == POINTS).all(axis=1))[0] for point in drawn])
    np.testing.assert_array_equal(np.sort(numbers), np.arange(len(POINTS)))
    return collection, numbers


@pytest.mark.parametrize("labels", [[3], [0, 1, 2], range(10), range(5, 25)])
def test_every_label_has_its_points_and_a_distinct_colour(labels):
    label = np.resize(np.array(labels), len(POINTS))
    figure = scatter_by_label(POINTS, label=label)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [str(value) for value in labels]
    entries = zip(legend.get_texts(), legend.legend_handles, strict=True)
    colour_of = {int(text.get_text()): to_rgb(handle.get_color()) for text, handle in entries}
    assert len(set(colour_of.values())) == len(labels)
    collection, numbers = drawn_points(figure)
    colours = np.resize(collection.get_facecolor()[:, :3], (len(numbers), 3))
    np.testing.assert_allclose(colours, [colour_of[label[i]] for i in numbers])


def test_no_label_is_drawn_over_the_others():
    """Points that are drawn later cover earlier ones: the ranks of a label must not be larger than those of others."""
    label = np.repeat(np.arange(3), 20)
    _, numbers = drawn_points(scatter_by_label(POINTS, label=label))
    ranks = np.argsort(numbers)
    assert scipy.stats.kruskal(*(ranks[label == k] for k in range(3))).pvalue > 0.01
    np.testing.assert_array_equal(numbers, drawn_points(scatter_by_label(POINTS, label=label))[1])


def test_many_labels_are_shown_by_a_colour_bar():
    label = np.arange(60) % 30
    figure = scatter_by_label(POINTS, label=label)
    collection, numbers = drawn_points(figure)
    np.testing.assert_array_equal(collection.get_array(), label[numbers])
    assert len(figure.axes) == 2
    assert figure.legends == []


def test_points_without_labels_have_one_colour():
    figure = scatter_by_label(POINTS)
    collection, _ = drawn_points(figure)
    assert len(collection.get_facecolor()) == 1
    assert figure.legends == []


@pytest.mark.parametrize(("points", "label"), [((5, 3), (5,)), ((5,), (5,)), ((5, 2), (4,)), ((5, 2), (5, 1))])
def test_error_names_invalid_shapes(points, label):
    with pytest.raises(
        InputError, match=r"(points|label) must be an array of \w+ \[(n, 2\]|n\] with n 5), got (float|int)64"
    ):
        scatter_by_label(np.zeros(points), label=np.zeros(label, int))


def test_legend_has_the_names_of_the_classes_that_occur():
    figure = scatter_by_label(np.zeros((3, 2)), label=np.array([2, 0, 2]), class_names=["_cat", "dog", "$eel"])
    figure.draw_without_rendering()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [" _cat", r"\$eel"]


@pytest.mark.parametrize(
    "draw",
    [
        lambda x: scatter(x, data=x[:1]),
        lambda x: scatter_panels({"a": (x[:9], None), "b": (x[9:], x[:1])}),
        lambda x: scatter_by_label(np.concatenate([x, x[:1]])),
    ],
)
def test_more_points_than_matplotlib_can_draw_are_refused(draw):
    with pytest.raises(InputError, match="a figure has at most 1,048,576 points, got 1,048,577: draw fewer"):
        draw(np.zeros((2**20, 2), np.float32))
