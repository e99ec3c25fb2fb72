"""Short versions of the experiments against quadrature in float64, and their repetition with several keys."""

import functools
import json
import math
from pathlib import Path

import jax
import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats
from matplotlib.figure import Figure

from jaxgen.recipes import Recipe, Request, run_recipe, theory
from jaxgen.recipes.theory import ExperimentResult, RepeatedExperiment

PAIRS = {
    "broad_normal": ([(0.3, -4.0, 0.5), (0.5, 0.0, 1.0), (0.2, 3.0, 0.7)], [(1.0, -0.5, 3.0)]),
    "two_mixtures": ([(0.5, -2.0, 0.6), (0.5, 2.0, 0.8)], [(0.6, -3.0, 1.0), (0.4, 2.0, 1.5)]),
}


def density(x, mixture):
    return sum(weight * scipy.stats.norm.pdf(x, mean, scale) for weight, mean, scale in mixture)


def integral(function):
    return scipy.integrate.quad(function, -16, 16, limit=500, epsabs=1e-12, points=(-4, -2, 0, 2, 3))[0]


@pytest.fixture(scope="module")
def optimal():
    """The experiment with half of the width, which needs fewer steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(theory, "train_discriminator", functools.partial(theory.train_discriminator, hidden=(32, 32)))
        return theory.optimal_discriminator_experiment(jax.random.key(1), steps=500)


@pytest.mark.parametrize("name", PAIRS)
def test_trained_discriminator_is_within_two_hundredths_of_the_optimum(optimal, name):
    p, q = (lambda x, part=part: density(x, part) for part in PAIRS[name])
    values = {key.split("/")[1]: value for key, value in optimal.numbers.items() if key.startswith(name)}
    assert 0 < values["probability_error"] < 0.02
    assert 0 < values["log_ratio_error"] < 0.1

    def twice_jensen_shannon(x):
        middle = (p(x) + q(x)) / 2
        return scipy.special.rel_entr(p(x), middle) + scipy.special.rel_entr(q(x), middle)

    want = integral(twice_jensen_shannon) - 2 * np.log(2)
    assert abs(values["optimal_value"] - want) < 1e-5
    assert 0 < want - values["value"] < 0.005


@pytest.mark.parametrize("name", PAIRS)
def test_figure_shows_the_optimum_and_the_measured_error(optimal, name):
    p, q = PAIRS[name]
    best, trained = optimal.figures[name].axes[1].lines
    x, plotted = best.get_xdata(), best.get_ydata()
    np.testing.assert_allclose(plotted, density(x, p) / (density(x, p) + density(x, q)), atol=1e-4)
    weights = density(x, p) + density(x, q)
    error = np.average(np.abs(trained.get_ydata() - plotted), weights=weights)
    np.testing.assert_allclose(error, optimal.numbers[f"{name}/probability_error"], rtol=0.05)


def test_minimax_gradient_vanishes_and_non_saturating_gradient_does_not():
    numbers, figures = theory.generator_gradient_experiment(jax.random.key(0), steps=300)

    def optimum(x):  # The optimal logit is 8 - 4x.
        return scipy.special.expit(8 - 4 * x)

    fake = scipy.stats.norm(4.0, 1.0).pdf
    minimax = 4 * integral(lambda x: fake(x) * optimum(x))
    non_saturating = 4 * integral(lambda x: fake(x) * (1 - optimum(x)))
    np.testing.assert_allclose(numbers["minimax_optimal"], minimax, atol=0.03)
    np.testing.assert_allclose(numbers["non_saturating_optimal"], non_saturating, atol=0.03)
    np.testing.assert_allclose(numbers["minimax"], minimax, atol=0.05)
    np.testing.assert_allclose(numbers["confidence"], minimax / 4, atol=0.01)
    assert numbers["non_saturating"] > 15 * numbers["minimax"]
    lines = {line.get_label(): line for line in figures["generator_gradients"].axes[0].lines}
    confidence = lines["minimax"].get_xdata()
    assert confidence.min() < 0.002
    assert confidence.max() > 0.998
    np.testing.assert_allclose(lines["minimax"].get_ydata(), confidence, rtol=1e-5)
    np.testing.assert_allclose(lines["non_saturating"].get_ydata(), 1 - confidence, atol=1e-6)


def test_discriminator_saturates_and_critics_remain_linear():
    numbers, figures = theory.saturation_experiment(jax.random.key(0), steps=150)
    for critic in ("clipped_critic", "penalized_critic"):
        assert numbers[f"{critic}/gradient"] > 100 * numbers["discriminator/gradient"]
        assert numbers[f"{critic}/r_squared"] > 0.99
    assert numbers["discriminator/r_squared"] < 0.9
    # With point masses at the two means it would be 1 + 8 / 20.
    np.testing.assert_allclose(numbers["penalized_critic/gradient"], 1.4, atol=0.1)
    assert sorted(figures) == ["clipped_critic", "penalized_critic"]
    for figure in figures.values():
        probability, critic = (axes.lines[0].get_ydata() for axes in figure.axes[1:])
        assert np.all(np.diff(critic) < 0)
        np.testing.assert_allclose(probability[[0, -1]], [1.0, 0.0], atol=1e-4)


def test_experiment_is_repeated_with_different_keys(tmp_path: Path) -> None:
    keys = []

    def experiment(key: jax.Array) -> ExperimentResult:
        keys.append(int(jax.random.key_data(key)[-1]))
        return ExperimentResult({"pair/value": float(keys[-1]), "confidence": 0.5}, {"figure": Figure(figsize=(1, 1))})

    repeated = Recipe("description", "reference", "duration", RepeatedExperiment(experiment, seeds=3), "protocol")
    run_recipe(repeated, Request(tmp_path, notify=lambda line: None))
    assert keys == [0, 1, 2]
    rows = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert rows["pair"]["value"]["values"] == [0.0, 1.0, 2.0]
    assert rows["all"]["confidence"]["sd"] == 0.0
    assert (tmp_path / "figure.png").is_file()


def test_non_finite_values_are_null(tmp_path: Path) -> None:
    experiment = Recipe(
        "description",
        "reference",
        "duration",
        RepeatedExperiment(lambda key: ExperimentResult({"ratio": math.nan}, {})),
        "protocol",
    )
    run_recipe(experiment, Request(tmp_path, notify=lambda line: None))
    assert json.loads((tmp_path / "results.json").read_text())["rows"]["all"]["ratio"]["values"] == [None] * 3
