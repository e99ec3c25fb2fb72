"""Mixtures of the recipes, as published."""

import numpy as np
import pytest

from jaxgen.data import SYNTHETIC


def test_mixtures_match_the_paper() -> None:
    """Section 4.1 of PacGAN: ring of radius 1, standard deviation 0.01; grid from -4 to 4, standard deviation 0.05."""
    ring, grid = SYNTHETIC["ring"](), SYNTHETIC["grid"]()
    np.testing.assert_allclose(np.linalg.norm(ring.centers, axis=1), 1, rtol=1e-6)
    assert (len(ring.centers), float(ring.scales[0])) == (8, pytest.approx(0.01))
    assert (len(grid.centers), float(np.abs(grid.centers).max())) == (25, 4.0)
    assert float(grid.scales[0]) == pytest.approx(0.05)
