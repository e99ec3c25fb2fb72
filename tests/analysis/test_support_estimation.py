"""Birthday test: known support sizes are recovered, and nearest pairs match SciPy."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform

from jaxgen.analysis import birthday_test, nearest_pairs, smallest_distance, support_size
from jaxgen.analysis.support_estimation import BLOCK, MAX_REAL
from jaxgen.errors import InputError


def finite_support(support, *, dimension=16, noise=1e-4, seed=0):
    """A generator of `support` equally probable points with a little noise."""
    points = jax.random.normal(jax.random.key(seed), (support, dimension))

    def sample(key, n):
        index_key, noise_key = jax.random.split(key)
        chosen = jax.random.randint(index_key, (n,), 0, support)
        return points[chosen] + noise * jax.random.normal(noise_key, (n, dimension))

    return sample


def normal(key, n, dimension=16):
    return jax.random.normal(key, (n, dimension))


@pytest.mark.parametrize("support", [20, 500, 3000])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_known_support_size_is_recovered(support, seed):
    real = normal(jax.random.key(100 + seed), 1000)
    result = birthday_test(jax.random.key(seed), finite_support(support), real=real, sizes=(100, 200))
    assert support / 1.25 < result.support.estimate < 1.25 * support
    assert result.support.low < result.support.estimate < result.support.high


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_heuristic_estimates_support_of_500_within_a_factor_of_two(seed):
    result = birthday_test(jax.random.key(seed), finite_support(500), threshold=0.01, sizes=(100,), trials=100)
    # Half of the batches contain a duplicate from 27 examples on, whose square is 1.4 times too large.
    assert 500 / 1.1 < result.heuristic < 2 * 500
    assert result.heuristic == result.half**2


def test_probabilities_match_the_birthday_problem():
    days, trials = lambda key, n: jax.random.randint(key, (n, 1), 0, 365), 400
    result = birthday_test(jax.random.key(0), days, threshold=0.0, sizes=(60, 10, 23, 40), trials=trials)
    assert result.sizes.tolist() == [10, 23, 40, 60]
    exact = np.array([1 - math.prod(1 - i / 365 for i in range(size)) for size in result.sizes])
    assert np.all(np.abs(result.probability - exact) < 4 * np.sqrt(exact * (1 - exact) / trials))
    assert 20 <= result.half <= 26


def test_continuous_distribution_has_only_a_lower_bound():
    result = birthday_test(jax.random.key(0), normal, threshold=1e-3, sizes=(100, 400), trials=10)
    assert result.pairs == 10 * 400 * 399 // 2
    assert (result.collisions, result.support.estimate, result.support.high) == (0, np.inf, np.inf)
    # With an expected number of 3.69 collisions, the probability of 0 collisions is 2.5 %.
    np.testing.assert_allclose(result.support.low, result.pairs / -math.log(0.025), rtol=1e-6)
    assert result.probability.tolist() == [0, 0]
    assert result.half == result.heuristic == np.inf


def test_generator_with_the_data_distribution_has_a_large_support():
    real = normal(jax.random.key(1), 2000)
    result = birthday_test(jax.random.key(0), normal, real=real, sizes=(500,), trials=16)
    assert result.support.estimate > 2e5
    assert result.support.low > 1e5


def test_support_of_unequal_probabilities_is_inverse_sum_of_squares():
    weights = 1 / np.arange(1, 301)
    weights /= weights.sum()
    draw = lambda key, n: jax.random.categorical(key, jnp.log(weights), shape=(n, 1))  # noqa: E731
    result = birthday_test(jax.random.key(0), draw, threshold=0.5, sizes=(400,), trials=40)
    np.testing.assert_allclose(result.support.estimate, 1 / np.sum(weights**2), rtol=0.1)


def test_confidence_interval_has_its_coverage():
    generator, support, size, trials = np.random.default_rng(0), 500, 60, 5
    covered = 0
    for _ in range(500):
        counts = [np.bincount(generator.integers(support, size=size)) for _ in range(trials)]
        collisions = sum(int(np.sum(count * (count - 1) // 2)) for count in counts)
        result = support_size(collisions, trials * math.comb(size, 2))
        covered += result.low <= support <= result.high
    # At least 0.95, minus three standard errors of 500 experiments.
    assert covered / 500 > 0.95 - 3 * math.sqrt(0.95 * 0.05 / 500)


def test_confidence_interval_of_ten_collisions_matches_published_limits():
    # Garwood's limits for a count of 10 at 95 %: 4.795 and 18.390.
    result = support_size(10, 10_000)
    np.testing.assert_allclose([10_000 / result.high, 10_000 / result.low], [4.795, 18.390], atol=5e-4)


def test_batch_contains_a_duplicate_from_its_second_example_on():
    # The two examples of the pair are in different blocks.
    size = BLOCK + 400
    examples = np.random.default_rng(0).normal(size=(size, 3)).astype(np.float32)
    examples[BLOCK + 300] = examples[7]
    sizes = (BLOCK + 300, BLOCK + 301, size)
    result = birthday_test(
        jax.random.key(0), lambda key, n: examples[:n], threshold=0, sizes=sizes, trials=2, nearest_pairs=3
    )
    assert result.probability.tolist() == [0, 1, 1]
    assert (result.collisions, result.half) == (2, BLOCK + 301)
    np.testing.assert_array_equal(result.nearest_pairs[:2], np.tile(examples[7], (2, 2, 1)))
    assert result.distances[2] > 0


@pytest.mark.parametrize(("size", "dimension"), [(BLOCK + 300, 3), (BLOCK, 40), (10, 40)])
def test_nearest_pairs_match_scipy(size, dimension):
    examples = np.random.default_rng(0).normal(size=(size, dimension)).astype(np.float32)
    result = nearest_pairs(examples, 30)
    exact = squareform(pdist(np.float64(examples)))
    np.testing.assert_allclose(result.distances, np.sort(pdist(np.float64(examples)))[:30], rtol=1e-5)
    np.testing.assert_allclose(exact[tuple(result.indices.T)], result.distances, rtol=1e-5)
    assert (result.indices[:, 0] < result.indices[:, 1]).all()
    assert len(np.unique(result.indices, axis=0)) == 30


def test_all_pairs_are_returned_if_there_are_fewer_than_count():
    assert nearest_pairs(np.arange(3.0)[:, None] ** 2, 9).distances.tolist() == [1, 3, 4]


def test_distances_of_near_pairs_far_from_the_origin_are_accurate():
    generator = np.random.default_rng(0)
    examples = (1e3 * generator.normal(size=(200, 64))).astype(np.float32)
    examples[150] = examples[20] + 0.01 * generator.normal(size=64)
    result = nearest_pairs(examples, 1)
    want = np.linalg.norm(np.float64(examples[150]) - np.float64(examples[20]))
    assert result.indices.tolist() == [[20, 150]]
    np.testing.assert_allclose(result.distances, [want], rtol=1e-5)


def test_images_are_compared_by_pixels_or_features_and_returned_unchanged():
    images = np.random.default_rng(0).integers(0, 256, size=(40, 4, 4, 3), dtype=np.uint8)
    sample = lambda key, n: images[jax.random.randint(key, (n,), 0, 40)]  # noqa: E731
    brightness = lambda x: np.asarray(x, np.float32).mean(axis=(1, 2, 3), keepdims=True)  # noqa: E731
    by_pixel = birthday_test(jax.random.key(0), sample, real=images, sizes=(50,), nearest_pairs=5)
    assert by_pixel.nearest_pairs.shape == (5, 2, 4, 4, 3)
    assert by_pixel.nearest_pairs.dtype == np.uint8
    assert 40 / 1.1 < by_pixel.support.estimate < 1.1 * 40
    np.testing.assert_allclose(by_pixel.threshold, pdist(np.float64(images.reshape(40, -1))).min(), rtol=1e-5)
    # The mean brightness of all images differs by less than the threshold.
    bright = birthday_test(jax.random.key(0), sample, threshold=1e3, features=brightness, sizes=(50,), trials=3)
    assert bright.collisions == bright.pairs


def test_nearest_pairs_have_the_returned_distances():
    result = birthday_test(
        jax.random.key(0), finite_support(50), threshold=0.01, sizes=(30,), trials=4, nearest_pairs=6
    )
    first, second = np.float64(result.nearest_pairs).swapaxes(0, 1)
    np.testing.assert_allclose(np.linalg.norm(first - second, axis=1), result.distances, rtol=1e-4)
    assert (np.diff(result.distances) >= 0).all()
    assert result.distances[-1] < 0.01


def test_result_is_a_function_of_the_key():
    one, same, other = (
        birthday_test(jax.random.key(seed), finite_support(50), threshold=0.01, sizes=(30,), trials=4)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one.nearest_pairs, same.nearest_pairs)
    assert one.support == same.support
    assert not np.array_equal(one.nearest_pairs, other.nearest_pairs)


def test_smallest_distance_ignores_duplicates_and_raises_for_equal_examples():
    examples = np.random.default_rng(0).normal(size=(200, 20)).astype(np.float32)
    twice = np.concatenate([examples, examples])
    np.testing.assert_allclose(smallest_distance(twice), pdist(np.float64(examples)).min(), rtol=1e-5)
    with pytest.raises(InputError, match="examples must include two that differ, got 5 equal ones"):
        smallest_distance(np.ones((5, 2)))


def test_smallest_distance_compares_at_most_max_real_examples():
    # Every second point is left out.
    line = np.arange(2.0 * MAX_REAL)[:, None]
    assert smallest_distance(line) == 2.0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({}, "threshold or real must be given, got neither"),
        ({"threshold": -1.0}, "threshold must be at least 0"),
        ({"threshold": 1.0, "sizes": (5, 1)}, r"sizes must be one or more batch sizes of at least 2, got \(5, 1\)"),
        ({"threshold": 1.0, "sizes": ()}, r"batch sizes of at least 2, got \(\)"),
        ({"threshold": 1.0, "trials": 0}, "trials and nearest_pairs must be at least 1, got 0 and 8"),
        ({"threshold": 1.0, "nearest_pairs": 0}, "trials and nearest_pairs must be at least 1, got 20 and 0"),
    ],
)
def test_arguments_out_of_range_raise(wrong, message):
    with pytest.raises(InputError, match=message):
        birthday_test(jax.random.key(0), normal, **wrong)


def test_non_finite_samples_and_single_examples_raise():
    with pytest.raises(InputError, match="features must be finite, got NaN or infinity"):
        birthday_test(jax.random.key(0), lambda key, n: jnp.full((n, 2), jnp.nan), threshold=1.0)
    with pytest.raises(InputError, match="examples must be at least 2 to form a pair, got 1"):
        nearest_pairs(np.zeros((1, 2)), 1)


@pytest.mark.parametrize(("collisions", "pairs"), [(-1, 5), (6, 5), (0, 0)])
def test_invalid_counts_raise(collisions, pairs):
    with pytest.raises(InputError, match="collisions must be from 0 to pairs"):
        support_size(collisions, pairs)
