"""Mean, standard deviation and standard error of a metric of a recipe over seeds."""

import math

import pytest

from jaxgen.recipes.recipe import MetricResult


def test_mean_sd_and_error_exclude_diverged_seeds() -> None:
    result = MetricResult((7.0, None, 8.0, 6.0, 7.0))
    assert (result.mean, result.sd) == (7.0, pytest.approx(math.sqrt(2 / 3)))
    assert result.error == pytest.approx(math.sqrt(2 / 3) / 2)
    assert math.isnan(MetricResult((None,)).mean)
    assert math.isnan(MetricResult((7.0,)).sd)
