import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.spatial
import scipy.stats

from jaxgen.metrics import modes

# Jitted: running operation by operation would take most of the time of these tests.
mode_coverage = jax.jit(modes.mode_coverage)
label_coverage = jax.jit(modes.label_coverage, static_argnums=1)
ANGLES = 2 * np.pi * np.arange(8) / 8
RING = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1).astype(np.float32)


def noisy(modes, size, scale, seed=0):
    generator = np.random.default_rng(seed)
    return RING[generator.choice(modes, size)] + scale * generator.normal(size=(size, 2)).astype(np.float32)


def test_mode_coverage_matches_kd_tree():
    samples = np.float32(noisy(range(5), 500, 0.2))
    coverage = mode_coverage(samples, RING, scale=0.1, threshold=1.5)
    distances, nearest = scipy.spatial.KDTree(np.float64(RING)).query(np.float64(samples))
    counts = np.bincount(nearest, minlength=8)
    assert coverage.counts.tolist() == counts.tolist()
    assert int(coverage.covered) == len(set(nearest[distances <= 0.15]))
    np.testing.assert_allclose(coverage.high_quality, np.mean(distances <= 0.15), rtol=1e-6)
    np.testing.assert_allclose(coverage.kl, scipy.stats.entropy(counts / 500, np.full(8, 1 / 8)), rtol=1e-5)


def test_coverage_of_samples_from_true_mixture():
    # A two-dimensional Gaussian is within 3 standard deviations of its centre with probability 1 - exp(-9/2).
    size = 100_000
    coverage = mode_coverage(noisy(range(8), size, 0.01), RING, scale=0.01)
    expected = scipy.stats.chi(2).cdf(3.0)
    assert int(coverage.covered) == 8
    assert abs(float(coverage.high_quality) - expected) < 4 * np.sqrt(expected * (1 - expected) / size)
    # 2 n KL is chi-squared with 7 degrees of freedom, whose mean is 7.
    assert 0.0 < float(coverage.kl) < 30 / (2 * size)


def test_divergence_of_collapsed_generator_is_log_modes():
    coverage = mode_coverage(np.tile(RING[3], (10, 1)), RING, scale=0.01)
    assert (int(coverage.covered), float(coverage.high_quality)) == (1, 1.0)
    np.testing.assert_allclose(coverage.kl, np.log(8), rtol=1e-6)


def test_samples_outside_threshold_are_counted_but_do_not_cover():
    coverage = mode_coverage(np.float32(0.9) * RING, RING, scale=0.01)
    assert (int(coverage.covered), float(coverage.high_quality)) == (0, 0.0)
    assert coverage.counts.tolist() == [1] * 8
    np.testing.assert_allclose(coverage.kl, 0.0, atol=1e-7)


def test_mode_coverage_jits_and_vmaps():
    batches = np.stack([noisy(range(8), 100, 0.05), noisy(range(2), 100, 0.05)])
    mapped = jax.jit(jax.vmap(lambda x: mode_coverage(x, RING, scale=0.05)))(batches)
    assert mapped.covered.tolist() == [8, 2]
    single = mode_coverage(batches[1], RING, scale=0.05)
    jax.tree.map(lambda many, one: np.testing.assert_allclose(many[1], one, rtol=1e-6), mapped, single)


@pytest.mark.parametrize(("samples", "centers"), [((5, 3), (8, 2)), ((5,), (8, 2)), ((0, 2), (8, 2))])
def test_mismatched_shapes_raise(samples, centers):
    with pytest.raises(ValueError, match=r"got samples \(.*\) and centers \(8, 2\)"):
        mode_coverage(np.zeros(samples), np.zeros(centers), scale=1.0)


def test_scale_may_differ_between_modes():
    samples = np.float32([[-4.0], [-3.5], [4.0], [4.4]])
    coverage = mode_coverage(samples, np.float32([[-4.0], [4.0]]), scale=np.float32([0.1, 0.2]), threshold=3.0)
    # 0.5 is five standard deviations of the first mode, and 0.4 is two of the second.
    assert (int(coverage.covered), float(coverage.high_quality)) == (2, 0.75)


def test_label_coverage_matches_scipy():
    labels = np.random.default_rng(0).geometric(0.02, 3000) % 100
    coverage = label_coverage(labels, 100)
    counts = np.bincount(labels, minlength=100)
    assert coverage.counts.tolist() == counts.tolist()
    assert (int(coverage.covered), float(coverage.high_quality)) == (np.count_nonzero(counts), 1.0)
    np.testing.assert_allclose(coverage.kl, scipy.stats.entropy(counts, np.ones(100)), rtol=1e-5)


def test_divergence_of_uniform_labels_is_chi_squared():
    # 2 n KL of n uniform labels is nearly chi-squared with 999 degrees of freedom, so it is not near 0.
    size = 26_000
    coverage = label_coverage(np.random.default_rng(1).integers(0, 1000, size), 1000)
    assert int(coverage.covered) == 1000
    low, high = scipy.stats.chi2(999).ppf([1e-4, 1 - 1e-4]) / (2 * size)
    assert low < float(coverage.kl) < 1.02 * high


def test_only_confident_samples_cover_modes():
    labels = np.int32([5, 5, 6, 7, 7])
    confidence = np.float32([0.2, 0.9, 0.89, 1.0, np.nan])
    confident, all_samples = label_coverage(labels, 8, confidence=confidence), label_coverage(labels, 8)
    assert (int(confident.covered), int(all_samples.covered)) == (2, 3)
    np.testing.assert_allclose(confident.high_quality, 2 / 5, rtol=1e-6)
    assert confident.counts.tolist() == all_samples.counts.tolist() == [0, 0, 0, 0, 0, 2, 1, 2]
    assert int(label_coverage(labels, 8, confidence=confidence, threshold=0.5).covered) == 3


def test_divergence_of_single_label_is_log_modes():
    coverage = label_coverage(np.full(10, 999), 1000)
    assert int(coverage.covered) == 1
    np.testing.assert_allclose(coverage.kl, np.log(1000), rtol=1e-6)


def test_label_coverage_jits_and_vmaps():
    labels = np.int32([[0, 1, 2, 2], [1, 1, 1, 1]])
    mapped = jax.jit(jax.vmap(lambda row: label_coverage(row, 3)))(labels)
    assert mapped.covered.tolist() == [3, 1]
    jax.tree.map(
        lambda many, one: np.testing.assert_allclose(many[0], one, rtol=1e-6), mapped, label_coverage(labels[0], 3)
    )


@pytest.mark.parametrize(
    ("labels", "confidence", "message"),
    [
        (np.zeros((2, 2), int), None, r"labels must be integers \[batch\], got int.* \(2, 2\)"),
        (np.zeros(0, int), None, r"labels must be integers \[batch\], got int.* \(0,\)"),
        (np.zeros(2), None, r"labels must be integers \[batch\], got float.* \(2,\)"),
        (np.zeros(2, int), np.zeros(3), r"got labels \(2,\) and confidence \(3,\)"),
        (np.array([3, 8]), None, r"labels must be in \[0, 8\), got 8"),
        (np.array([-1, 8]), None, r"labels must be in \[0, 8\), got -1"),
    ],
)
def test_invalid_labels_raise(labels, confidence, message):
    with pytest.raises(ValueError, match=message):
        modes.label_coverage(jnp.asarray(labels), 8, confidence=None if confidence is None else jnp.asarray(confidence))
