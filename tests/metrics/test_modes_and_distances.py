"""Sample metrics of points, logits and labels whose coverage is known."""

import jax
import numpy as np
import pytest
import scipy.stats

from jaxgen import metrics
from jaxgen.metrics import CONFIDENT

# Jitted: running operation by operation would take most of the time of these tests.
mixture_metrics, class_metrics = (jax.jit(function) for function in (metrics.mixture_metrics, metrics.class_metrics))
label_metrics = jax.jit(metrics.label_metrics, static_argnums=2)
CENTERS, SCALES, WEIGHTS = (np.float32(x) for x in ([[-20.0], [0.0], [30.0]], [0.5, 1.0, 2.0], [0.3, 0.5, 0.2]))


def of_mixture(samples):
    return mixture_metrics(samples, CENTERS, SCALES, WEIGHTS)


def logits_of(labels, confidence, classes):
    """Logits that give each label a probability, and all other classes the same rest."""
    rest = (1 - np.asarray(confidence)) / (classes - 1)
    probabilities = np.where(np.eye(classes)[labels] > 0, np.asarray(confidence)[:, None], rest[:, None])
    return np.log(probabilities).astype(np.float32)


class TestMixture:
    def test_samples_of_the_mixture_have_its_shares(self):
        size, rng = 20_000, np.random.default_rng(0)
        modes = rng.choice(3, size, p=np.array([0.3, 0.5, 0.2]))
        noise = SCALES[modes] * rng.standard_normal(size)
        found = of_mixture(CENTERS[modes] + np.float32(noise)[:, None])
        assert found["modes"] == 3
        expected = scipy.stats.chi(1).cdf(3.0)  # In one dimension.
        error = np.sqrt(expected * (1 - expected) / size)
        assert found["high_quality"] == pytest.approx(expected, abs=4 * error)
        # 2 n KL is chi-squared with 2 degrees of freedom.
        assert 0 <= found["mode_kl_all"] < scipy.stats.chi2(2).ppf(1 - 1e-4) / (2 * size)

    def test_the_divergence_is_that_from_the_weights_of_the_modes(self):
        """Samples in the centres, 6 to 3 to 1."""
        samples = np.repeat(CENTERS, [6, 3, 1], axis=0)
        found = of_mixture(samples)
        assert (found["modes"], found["high_quality"]) == (3, 1)
        assert found["mode_kl_all"] == pytest.approx(scipy.stats.entropy([0.6, 0.3, 0.1], [0.3, 0.5, 0.2]), rel=1e-5)

    def test_samples_of_one_mode_have_the_negative_logarithm_of_its_weight(self):
        found = of_mixture(np.tile(CENTERS[2], (10, 1)))
        assert (found["modes"], found["high_quality"]) == (1, 1)
        assert found["mode_kl_all"] == pytest.approx(-np.log(0.2), rel=1e-5)

    @pytest.mark.parametrize(("distance", "covered"), [(2.99, 2), (3.01, 0)])
    def test_only_samples_within_three_standard_deviations_of_their_mode_cover_it(self, distance, covered):
        centers, scales = np.float32([[0.0, 0.0], [100.0, 0.0]]), np.float32([1.0, 2.0])
        samples = centers + distance * scales[:, None] * np.float32([[0.6, 0.8], [-0.8, 0.6]])
        found = mixture_metrics(samples, centers, scales, np.float32([0.5, 0.5]))
        assert (found["modes"], found["high_quality"]) == (covered, covered / 2)
        assert found["mode_kl_all"] == pytest.approx(0, abs=1e-6)

    def test_samples_of_low_quality_count_in_the_divergence_and_cover_no_mode(self):
        near, far = np.tile(CENTERS[:1], (3, 1)), np.float32([[-4.0], [4.0], [5.0], [6.0], [38.0]])
        found = of_mixture(np.concatenate([near, far]))
        assert (found["modes"], found["high_quality"]) == (1, 3 / 8)
        assert found["mode_kl_all"] == pytest.approx(scipy.stats.entropy([3, 4, 1], [0.3, 0.5, 0.2]), rel=1e-5)


class TestClasses:
    def test_only_confident_samples_cover_a_class(self):
        labels = [0, 1, 1, 2]
        found = class_metrics(logits_of(labels, [0.95, 0.85, 0.2, 0.91], 4))
        assert (found["modes"], found["high_quality"]) == (2, 0.5)
        assert found["mode_kl_all"] == pytest.approx(scipy.stats.entropy([1, 2, 1, 0], [1, 1, 1, 1]), rel=1e-5)

    @pytest.mark.parametrize(("confidence", "covered"), [(0.899, 0), (0.901, 1)])
    def test_a_confidence_of_90_percent_is_needed(self, confidence, covered):
        assert CONFIDENT == 0.9
        assert class_metrics(logits_of([1], [confidence], 2))["modes"] == covered

    def test_logits_of_one_class_have_the_logarithm_of_the_number_of_classes(self):
        found = class_metrics(np.tile(np.float32([0.0, 20.0, 0.0]), (5, 1)))
        assert (found["modes"], found["high_quality"]) == (1, 1)
        assert found["mode_kl_all"] == pytest.approx(np.log(3), rel=1e-6)

    def test_large_logits_are_finite(self):
        found = class_metrics(np.float32([[1e4, -1e4], [-1e4, 1e4]]))
        assert {name: float(value) for name, value in found.items()} == {
            "modes": 2,
            "high_quality": 1,
            "mode_kl_all": 0,
        }


class TestLabels:
    def test_every_sample_covers_its_mode_whatever_its_confidence(self):
        labels, confidence = np.int32([0, 1, 1, 5]), np.float32([0.99, 0.1, 0.95, 0.2])
        found = label_metrics(labels, confidence, 8)
        assert (found["modes"], found["high_quality"]) == (3, 0.5)
        counts = np.bincount(labels, minlength=8)
        assert found["mode_kl_all"] == pytest.approx(scipy.stats.entropy(counts, np.ones(8)), rel=1e-5)

    def test_high_quality_is_the_share_of_confident_samples(self):
        confidence = np.random.default_rng(0).uniform(size=1000).astype(np.float32)
        found = label_metrics(np.zeros(1000, np.int32), confidence, 1000)
        assert found["high_quality"] == pytest.approx(np.mean(confidence >= 0.9), rel=1e-6)
        assert found["mode_kl_all"] == pytest.approx(np.log(1000), rel=1e-5)


def test_metrics_are_compiled_and_mapped_over_seeds():
    samples = np.random.default_rng(0).uniform(-5, 4, (2, 50, 1)).astype(np.float32)
    mapped = jax.jit(jax.vmap(of_mixture))(samples)
    logits = 4 * np.random.default_rng(1).standard_normal((2, 50, 3)).astype(np.float32)
    mapped_classes = jax.jit(jax.vmap(class_metrics))(logits)
    for seed in range(2):
        for found, alone in ((mapped, of_mixture(samples[seed])), (mapped_classes, class_metrics(logits[seed]))):
            for name, value in alone.items():
                np.testing.assert_allclose(found[name][seed], value, rtol=1e-5)
