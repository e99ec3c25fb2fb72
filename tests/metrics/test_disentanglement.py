"""MIG, SAP and DCI against scikit-learn, SciPy, numbers of disentanglement_lib, and latents whose values are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import entropy
from sklearn.metrics import mutual_info_score
from sklearn.tree import DecisionTreeClassifier

from jaxgen.errors import InputError
from jaxgen.metrics import dci, disentanglement_completeness, mutual_information_gap, separated_attribute_predictability

BINARY = np.repeat(np.indices((2, 2, 2)).reshape(3, -1).T, 10, axis=0)
GRID = np.indices((4, 4, 4)).reshape(3, -1).T


def mixed_code(n):
    """Latents that mix three factors, from sines, so that other programs can be given the same input."""
    factors = np.stack([np.arange(n) % 3, np.arange(n) // 3 % 4, np.arange(n) // 12 % 5], axis=1)
    noise = np.sin(np.arange(4 * n).reshape(n, 4) ** 1.5)
    mixing = np.array([[1.0, 0.0, 0.5, 0.0], [0.0, 1.0, 0.5, 0.0], [0.2, 0.0, 1.0, 0.0]])
    return factors @ mixing + noise, factors


LATENTS, FACTORS = mixed_code(720)
HALVES = LATENTS[::2], FACTORS[::2], LATENTS[1::2], FACTORS[1::2]


class TestMutualInformationGap:
    def test_mutual_information_is_that_of_scikit_learn_for_twenty_bins(self):
        found = mutual_information_gap(LATENTS, FACTORS)
        lowest, highest = LATENTS.min(axis=0), LATENTS.max(axis=0)
        binned = np.minimum((LATENTS - lowest) / (highest - lowest) * 20 // 1, 19).astype(int)
        expected = np.array([[mutual_info_score(v, z) for v in FACTORS.T] for z in binned.T])
        np.testing.assert_allclose(found.mutual_information, expected, rtol=1e-12)
        np.testing.assert_allclose(found.entropies, np.log([3, 4, 5]), rtol=1e-12)
        first, second = -np.sort(-expected, axis=0)[:2]
        np.testing.assert_allclose(found.gaps, (first - second) / np.log([3, 4, 5]), rtol=1e-10)
        assert found.score == pytest.approx(found.gaps.mean())

    def test_score_is_that_of_disentanglement_lib(self):
        """Printed by its version 1.5, with 20 bins."""
        assert mutual_information_gap(LATENTS, FACTORS).score == pytest.approx(0.39353988023136915, rel=1e-12)

    def test_a_factor_in_each_latent_has_the_gap_one_in_any_order_scale_and_dtype(self):
        code = 1e-3 * GRID[:, [2, 0, 1]] - 5.0
        for latents in (code, jnp.asarray(code, jnp.float32), -code.astype(np.float32)):
            assert mutual_information_gap(latents, GRID).score == pytest.approx(1, abs=1e-12)
        # A further latent that repeats one of a factor closes its gap.
        assert mutual_information_gap(np.column_stack([code, code[:, 0] ** 3]), GRID).score == pytest.approx(2 / 3)

    def test_latents_that_differ_by_rounding_errors_or_not_at_all_are_binned(self):
        code = np.column_stack([GRID, np.full(64, 0.1), 1 + np.finfo(float).eps * (np.arange(64) == 5)])
        found = mutual_information_gap(code, GRID)
        np.testing.assert_allclose(found.mutual_information[3], 0, atol=1e-12)
        # The last latent shows whether an example is one of 64; given the value of a factor, one of 16 or of none.
        information = entropy([1 / 64, 63 / 64]) - entropy([1 / 16, 15 / 16]) / 4
        np.testing.assert_allclose(found.mutual_information[4], information, rtol=1e-12)
        assert found.score == pytest.approx(1 - information / np.log(4), rel=1e-12)

    def test_gap_falls_as_the_code_is_rotated(self):
        factors = np.indices((16, 16)).reshape(2, -1).T
        angles = np.deg2rad([0, 5, 10, 20, 30, 45])
        scores = [
            mutual_information_gap(factors @ [[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]], factors).score
            for a in angles
        ]
        assert scores[0] == pytest.approx(1)
        assert scores == sorted(scores, reverse=True)
        assert scores[-1] < 0.02
        # Sum and difference depend on both factors alike; those of integers have no rounding errors at bounds of bins.
        assert mutual_information_gap(factors @ [[1, -1], [1, 1]], factors).score == pytest.approx(0, abs=1e-12)

    def test_gap_of_an_unrelated_code_is_below_the_bias_of_its_information(self):
        factors = np.tile(GRID, (50, 1))
        found = mutual_information_gap(np.random.default_rng(0).normal(size=(3200, 5)), factors)
        # Miller-Madow: the mean for independent variables.
        assert found.mutual_information.mean() == pytest.approx(19 * 3 / 2 / 3200, rel=0.2)
        assert found.score < 19 * 3 / 2 / 3200


class TestSeparatedAttributePredictability:
    def test_scores_of_continuous_factors_are_squared_correlations(self):
        latents = np.column_stack([LATENTS, np.full(len(LATENTS), 0.1)])
        found = separated_attribute_predictability(latents, FACTORS, latents, FACTORS, continuous=[0, 1, 2])
        expected = np.corrcoef(LATENTS.T, FACTORS.T)[:4, 4:] ** 2
        np.testing.assert_allclose(found.scores, np.vstack([expected, np.zeros(3)]), rtol=1e-12)
        best = np.sort(expected, axis=0)
        assert found.score == pytest.approx((best[-1] - best[-2]).mean(), rel=1e-12)

    def test_scores_of_discrete_factors_are_accuracies_of_support_vectors(self):
        """The problem of each class against the others, minimized by SciPy. As in liblinear, the offset is penalized
        too, and the weight of a class, inverse to its frequency, is that of its own examples alone."""
        chosen = (HALVES[1][:, 0] > 0) | (np.arange(360) % 4 == 0)
        x, y, test_x, test_y = HALVES[0][chosen], HALVES[1][chosen], *HALVES[2:]
        found = separated_attribute_predictability(x, y, test_x, test_y, continuous=[1])
        frequencies = np.bincount(y[:, 0]) / len(y)
        assert frequencies[0] < 0.15

        def line(inputs, value):
            of_class = y[:, 0] == value
            sign, weights = np.where(of_class, 1, -1), np.where(of_class, 1 / 3 / frequencies[value], 1)

            def objective(line):
                slack = np.maximum(0, 1 - sign * (line[0] * inputs + line[1]))
                return line @ line / 2 + 0.01 * weights @ slack**2

            return minimize(objective, np.zeros(2), tol=1e-12).x

        for i in range(2):
            predicted = np.argmax(
                [a * test_x[:, i] + b for a, b in (line(x[:, i], value) for value in range(3))], axis=0
            )
            assert found.scores[i, 0] == np.mean(predicted == test_y[:, 0])
        assert found.scores[0, 1] == pytest.approx(np.corrcoef(x[:, 0], y[:, 1])[0, 1] ** 2, rel=1e-10)

    def test_scores_are_those_of_disentanglement_lib(self):
        """Printed by its version 1.5."""
        found = separated_attribute_predictability(*HALVES)
        assert found.score == pytest.approx(0.20092592592592592, rel=1e-12)

    def test_a_perfect_code_has_the_distance_to_chance(self):
        found = separated_attribute_predictability(BINARY * 1.0, BINARY, BINARY, BINARY)
        np.testing.assert_allclose(found.scores, 0.5 + 0.5 * np.eye(3))
        assert found.score == 0.5
        assert separated_attribute_predictability(GRID * 1.0, GRID, GRID, GRID, continuous=range(3)).score == 1

    def test_an_unrelated_code_has_about_zero(self):
        rng = np.random.default_rng(0)
        latents, test = rng.normal(size=(2, 800, 5))
        factors = np.repeat(BINARY, 10, axis=0)
        assert separated_attribute_predictability(latents, factors, test, factors).score < 0.05
        assert separated_attribute_predictability(latents, factors, test, factors, continuous=range(3)).score < 0.02


class Fixed:
    """A classifier with known importances that predicts the same value for all examples."""

    def __init__(self, importances, value):
        self.feature_importances_, self._value = importances, value

    def fit(self, latents, values):
        return self

    def predict(self, latents):
        return np.full(len(latents), self._value)


class TestDci:
    def test_disentanglement_and_completeness_of_known_importances(self):
        """Entropies in units of the logarithm of 2 factors and of 4 latents; the last latent is not used."""
        importances = np.array([[3.0, 0.0], [0.0, 1.0], [2.0, 2.0], [0.0, 0.0]])
        disentanglement, completeness = disentanglement_completeness(importances)
        assert disentanglement == pytest.approx((3 * 1 + 1 * 1 + 4 * 0) / 8)
        entropies = [-(0.6 * np.log(0.6) + 0.4 * np.log(0.4)), -(np.log(1 / 3) / 3 + 2 * np.log(2 / 3) / 3)]
        expected = (5 * (1 - entropies[0] / np.log(4)) + 3 * (1 - entropies[1] / np.log(4))) / 8
        assert completeness == pytest.approx(expected, rel=1e-12)
        assert disentanglement_completeness(np.zeros((3, 2))) == (0, 0)

    def test_disentanglement_and_completeness_are_those_of_disentanglement_lib(self):
        """Its formula adds 1e-11 to each importance."""
        importances = np.random.default_rng(0).gamma(0.3, size=(6, 4))
        of_latents = 1 - entropy(importances.T + 1e-11, base=4)
        of_factors = 1 - entropy(importances + 1e-11, base=6)
        expected = [
            of_latents @ importances.sum(axis=1) / importances.sum(),
            of_factors @ importances.sum(axis=0) / importances.sum(),
        ]
        np.testing.assert_allclose(disentanglement_completeness(importances), expected, rtol=1e-8)

    def test_importances_and_accuracies_of_the_predictors_are_used(self):
        predictors = iter([Fixed([3.0, 0.0, 2.0, 0.0], 1), Fixed([0.0, -1.0, 2.0, 0.0], 0), Fixed(np.ones(4), 7)])
        found = dci(*HALVES, predictor=lambda: next(predictors))
        np.testing.assert_array_equal(found.importances.T, [[3, 0, 2, 0], [0, 1, 2, 0], [1, 1, 1, 1]])
        assert (found.disentanglement, found.completeness) == disentanglement_completeness(found.importances)
        train, test = HALVES[1], HALVES[3]
        assert found.informativeness == pytest.approx(np.mean([(test[:, 0] == 1).mean(), (test[:, 1] == 0).mean(), 0]))
        expected = np.mean([(train[:, 0] == 1).mean(), (train[:, 1] == 0).mean(), 0])
        assert found.train_informativeness == pytest.approx(expected)

    def test_a_perfect_code_has_one_and_an_unrelated_code_about_zero(self):
        perfect = dci(BINARY * 1.0, BINARY, BINARY, BINARY)  # With the published predictor.
        assert perfect[:4] == pytest.approx((1, 1, 1, 1), abs=1e-6)
        latents, test = np.random.default_rng(0).normal(size=(2, len(BINARY) * 10, 3))
        factors = np.repeat(BINARY, 10, axis=0)
        unrelated = dci(latents, factors, test, factors, predictor=DecisionTreeClassifier)
        assert unrelated.disentanglement < 0.02
        assert unrelated.completeness < 0.02
        assert unrelated.informativeness == pytest.approx(0.5, abs=0.05)


ONES = np.ones((4, 1), int)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mutual_information_gap(LATENTS[:5], FACTORS), r"factors must be .* \[n, factors\] with n 5"),
        (lambda: mutual_information_gap(LATENTS, FACTORS * 1.0), "factors must be an array of integers"),
        (lambda: mutual_information_gap(LATENTS[:, :1], FACTORS), "latents must be at least 2 examples of at least 2"),
        (lambda: mutual_information_gap(LATENTS[:1], FACTORS[:1]), "latents must be at least 2 examples"),
        (lambda: mutual_information_gap(LATENTS[:0], FACTORS[:0]), "latents must be at least 2 examples"),
        (lambda: mutual_information_gap(np.full((4, 2), np.nan), GRID[:4]), "latents must be finite, got NaN"),
        (lambda: mutual_information_gap(np.eye(4), ONES), "each factor must have at least 2 values, got one .* 0"),
        (lambda: mutual_information_gap(np.eye(4), ONES[:, :0]), "factors must have at least one factor"),
        (lambda: mutual_information_gap(LATENTS, FACTORS, bins=1), "bins must be at least 2, got 1"),
        (lambda: mutual_information_gap(LATENTS, FACTORS, bins=2.5), "bins must be an integer"),
        (lambda: jax.jit(mutual_information_gap)(LATENTS, FACTORS), "latents must be known, got a traced array"),
        (lambda: separated_attribute_predictability(*HALVES, continuous=[3]), "continuous must have .* 0 to 2, got 3"),
        (lambda: separated_attribute_predictability(*HALVES[:2], LATENTS[:, :3], FACTORS), "test_latents must be"),
        (lambda: separated_attribute_predictability(*HALVES[:3], FACTORS), "test_factors must be .* with m 360"),
        (lambda: dci(*HALVES[:2], LATENTS[:0], FACTORS[:0]), "test_latents must be at least 1 example"),
        (lambda: separated_attribute_predictability(*HALVES, continuous=2), "continuous must be a sequence, got int 2"),
        (
            lambda: dci(*HALVES, predictor=lambda: 3),
            "predictor must return a classifier with fit and predict, got int 3",
        ),
        (lambda: dci(*HALVES, predictor=lambda: Fixed(None, 0)), r"feature_importances_ \[4\] .* got Fixed with none"),
        (lambda: dci(*HALVES, predictor=lambda: Fixed(np.ones(3), 0)), r"got Fixed with shape \(3,\)"),
        (lambda: dci(LATENTS, FACTORS[:, :1], LATENTS, FACTORS[:, :1], predictor=DecisionTreeClassifier), "2 factors"),
        (lambda: disentanglement_completeness(np.array([[1.0, -1.0], [0.0, 1.0]])), "must be finite and not negative"),
        (lambda: disentanglement_completeness(np.ones((1, 3))), r"of at least 2 latents and 2 factors, got .*\(1, 3\)"),
    ],
)
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
