"""Plots of metrics show the given numbers."""

import math

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from jaxgen.plot import (
    Comparison,
    collisions,
    generator_gradients,
    loss_against_metric,
    published_against_ours,
    training_curves,
)


def test_generator_gradients_are_plotted_as_absolute_values():
    confidence = np.linspace(0.1, 0.9, 9)
    (axes,) = generator_gradients(confidence, {"minimax": -confidence, "hinge": -np.ones(9)}).axes
    np.testing.assert_allclose([line.get_ydata() for line in axes.lines], [confidence, np.ones(9)])
    assert [line.get_label() for line in axes.lines] == ["minimax", "hinge"]


def test_bands_are_one_standard_deviation_around_the_mean():
    step, values = np.arange(4), np.array([[1.0, 2.0, 3.0, 4.0], [3.0, 2.0, 5.0, 8.0]])
    figure = training_curves(step, {"modes": {"gan": values, "one": values[:1]}, "kl": {"gan": 2 * values}})
    modes, kl = figure.axes
    np.testing.assert_allclose(modes.lines[0].get_ydata(), [2, 2, 4, 6])
    np.testing.assert_allclose(modes.lines[1].get_ydata(), values[0])
    np.testing.assert_allclose(kl.lines[0].get_ydata(), [4, 4, 8, 12])
    (band,) = modes.collections  # A single seed has no band.
    corners = {tuple(corner) for corner in np.round(band.get_paths()[0].vertices, 6)}
    spread = np.sqrt(2) * np.array([1, 0, 1, 2])
    expected = [(t, m + sign * s) for sign in (-1, 1) for t, m, s in zip(step, [2, 2, 4, 6], spread, strict=True)]
    assert corners == {tuple(corner) for corner in np.round(expected, 6)}
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["gan", "one"]


def test_curves_of_runs_with_other_steps_keep_their_steps_and_leave_gaps_out():
    steps = {"a": np.array([1, 2, 3]), "b": np.array([10, 20])}
    metrics = {
        "loss": {"a": np.array([[4.0, np.nan, 2.0]]), "b": np.array([[1.0, 3.0], [3.0, np.nan]])},
        **{f"metric {i}": {"b": np.ones((1, 2))} for i in range(4)},
    }
    figure = training_curves(steps, metrics)
    a, b = figure.axes[0].lines
    np.testing.assert_array_equal(a.get_xydata(), [[1, 4], [3, 2]])
    np.testing.assert_array_equal(b.get_xydata(), [[10, 2], [20, 3]])
    assert figure.axes[1].lines[0].get_color() == b.get_color()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b"]
    assert figure.axes[4].get_position().y1 < figure.axes[0].get_position().y0  # The fifth begins a second row.


@pytest.mark.parametrize(
    ("metrics", "names"),
    [
        (1, ["classifier_accuracy", "precision", "recall", "coverage"]),
        (1, ["runs/a-name-that-is-longer-than-the-axes-are-wide/" + "W" * 30, "b"]),
        (4, [f"not growing, as many images {i}" for i in range(7)]),
    ],
)
def test_the_legend_is_within_the_figure(metrics, names):
    curves = {f"metric {i}": {name: np.ones((1, 3)) for name in names} for i in range(metrics)}
    figure = training_curves(np.arange(3), curves)
    FigureCanvasAgg(figure).draw()
    legend, whole = figure.legends[0].get_window_extent(), figure.bbox
    assert whole.x0 <= legend.x0
    assert legend.x1 <= whole.x1


def test_loss_against_metric_has_one_point_per_step_coloured_by_step():
    loss, metric = np.random.default_rng(0).normal(size=(2, 20))
    step = np.random.default_rng(1).permutation(20)
    (points,) = loss_against_metric(loss, metric, step=step, title="0.9").axes[0].collections
    np.testing.assert_allclose(points.get_offsets(), np.stack([loss, metric], axis=1))
    np.testing.assert_allclose(points.get_array(), step)


def test_collision_line_approximates_the_birthday_problem():
    _, found, line = collisions(np.array([10, 23, 60]), np.array([0.1, 0.5, 1.0]), support=365).axes[0].lines
    np.testing.assert_allclose(found.get_xydata(), [[10, 0.1], [23, 0.5], [60, 1.0]])
    for size in (10, 23, 60):
        exact = 1 - math.prod(1 - i / 365 for i in range(size))
        assert abs(np.interp(size, *line.get_data()) - exact) < 0.01


def test_unknown_or_infinite_support_has_no_line():
    for support in (None, math.inf):
        assert len(collisions(np.array([10]), np.array([0.0]), support=support).axes[0].lines) == 2


def test_error_bars_are_two_standard_errors():
    rows = {"GAN": Comparison(17.3, 18.0, 0.8, 0.5), "WGAN-GP": Comparison(24.9, 25.0)}
    (axes,) = published_against_ours(rows, unit="modes").axes
    published, ours = axes.containers
    assert published.lines[0].get_xdata().tolist() == [17.3, 24.9]
    assert ours.lines[0].get_xdata().tolist() == [18.0, 25.0]
    ends = [[segment[:, 0].tolist() for segment in bars.lines[2][0].get_segments()] for bars in (published, ours)]
    np.testing.assert_allclose(ends, [[[15.7, 18.9], [24.9, 24.9]], [[17.0, 19.0], [25.0, 25.0]]])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["GAN", "WGAN-GP"]
    assert axes.yaxis_inverted()
