"""Figures of sweeps show the given numbers."""

import numpy as np

from jaxgen.plot import heat_map, option_curve


def test_curve_has_the_points_in_order_with_bars_of_one_standard_deviation():
    values, means, deviations = np.array([1e-2, 1e-4, 1e-3]), np.array([3.0, 1.0, 2.0]), np.array([0.5, 0.1, np.nan])
    (axes,) = option_curve(values, means, deviations, option="learning_rate", metric="elbo").axes
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_xscale()) == ("learning_rate", "elbo", "log")
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), [[1e-4, 1], [1e-3, 2], [1e-2, 3]])
    segments = axes.collections[0].get_segments()
    np.testing.assert_allclose([segment[:, 1] for segment in segments], [[0.9, 1.1], [2, 2], [2.5, 3.5]])


def test_values_of_similar_size_have_a_linear_axis():
    values = np.array([1.0, 2.0, 4.0])
    assert option_curve(values, values, values, option="beta", metric="elbo").axes[0].get_xscale() == "linear"


def test_cells_have_the_numbers_of_their_options():
    means = np.array([[1.0, 2.0], [np.nan, 4.0], [5.0, 6.0]])
    deviations = np.array([[0.1, np.nan], [np.nan, 0.4], [0.5, 0.6]])
    rows, columns = ("beta", np.array([1.0, 2.0, 4.0])), ("b1", np.array([0.0, 0.9]))
    axes = heat_map(means, deviations, rows=rows, columns=columns, metric="elbo").axes[0]
    texts = {text.get_position(): text.get_text() for text in axes.texts}
    assert texts[0, 0] == "1 ± 0.1"
    assert texts[1, 0] == "2"
    assert texts[0, 1] == "-"
    assert texts[1, 2] == "6 ± 0.6"
    np.testing.assert_array_equal(axes.images[0].get_array(), means)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["1", "2", "4"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "0.9"]
