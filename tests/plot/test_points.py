"""Points are drawn where they are."""

import numpy as np

from jaxgen.plot import scatter


def test_points_of_the_plane_are_shown_at_their_coordinates():
    points = np.random.default_rng(0).normal(size=(50, 2))
    data = np.random.default_rng(1).normal(size=(70, 2))
    shown = {c.get_label(): c.get_offsets() for c in scatter(points, data=data).axes[0].collections}
    np.testing.assert_allclose(shown["generated"], points)
    np.testing.assert_allclose(shown["data"], data)


def test_points_of_the_line_become_a_density():
    points = np.random.default_rng(0).normal(size=(500, 1))
    (outline,) = scatter(points).axes[0].patches
    x, y = outline.get_xy().T
    area = 0.5 * abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))
    np.testing.assert_allclose(area, 1, rtol=1e-6)
