"""The birthday test recovers supports that are known, and pairs are those that SciPy finds."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform

from jaxgen.analysis import birthday_test, nearest_pairs, smallest_distance, support_size
from jaxgen.analysis.birthday import BLOCK, MOST_REAL
from jaxgen.errors import InputError


def memory(support, *, dimension=16, noise=1e-4, seed=0):
    """A generator that has learned so many examples by heart, and repeats them with a little noise."""
    points = jax.random.normal(jax.random.key(seed), (support, dimension))

    def sample(key, n):
        which, around = jax.random.split(key)
        chosen = jax.random.randint(which, (n,), 0, support)
        return points[chosen] + noise * jax.random.normal(around, (n, dimension))

    return sample


def normal(key, n, dimension=16):
    return jax.random.normal(key, (n, dimension))


@pytest.mark.parametrize("support", [20, 500, 3000])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_known_support_is_recovered(support, seed):
    real = normal(jax.random.key(100 + seed), 1000)
    found = birthday_test(jax.random.key(seed), memory(support), real=real, sizes=(100, 200))
    assert support / 1.25 < found.support.estimate < 1.25 * support
    assert found.support.low < found.support.estimate < found.support.high


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_rule_of_thumb_finds_500_within_a_factor_of_two(seed):
    found = birthday_test(jax.random.key(seed), memory(500), threshold=0.01, sizes=(100,), trials=100)
    # Half of the batches hold a duplicate from 27 examples on, of which the square is 1.4 times too large.
    assert 500 / 1.1 < found.heuristic < 2 * 500
    assert found.heuristic == found.half**2


def test_probabilities_are_those_of_the_birthday_problem():
    days, trials = lambda key, n: jax.random.randint(key, (n, 1), 0, 365), 400
    found = birthday_test(jax.random.key(0), days, threshold=0.0, sizes=(60, 10, 23, 40), trials=trials)
    assert found.sizes.tolist() == [10, 23, 40, 60]
    exact = np.array([1 - math.prod(1 - i / 365 for i in range(size)) for size in found.sizes])
    assert np.all(np.abs(found.probability - exact) < 4 * np.sqrt(exact * (1 - exact) / trials))
    assert 20 <= found.half <= 26


def test_a_continuous_distribution_has_a_lower_bound_alone():
    found = birthday_test(jax.random.key(0), normal, threshold=1e-3, sizes=(100, 400), trials=10)
    assert found.pairs == 10 * 400 * 399 // 2
    assert (found.collisions, found.support.estimate, found.support.high) == (0, np.inf, np.inf)
    # Of an expected 3.69 collisions, none is seen in 2.5 of 100 cases.
    np.testing.assert_allclose(found.support.low, found.pairs / -math.log(0.025), rtol=1e-6)
    assert found.probability.tolist() == [0, 0]
    assert found.half == found.heuristic == np.inf


def test_a_generator_as_diverse_as_the_data_is_told_from_none_that_has_fewer_pairs():
    real = normal(jax.random.key(1), 2000)
    found = birthday_test(jax.random.key(0), normal, real=real, sizes=(500,), trials=16)
    assert found.support.estimate > 2e5
    assert found.support.low > 1e5


def test_of_unequal_probabilities_it_is_the_number_of_equal_ones_that_repeat_as_often():
    weights = 1 / np.arange(1, 301)
    weights /= weights.sum()
    draw = lambda key, n: jax.random.categorical(key, jnp.log(weights), shape=(n, 1))  # noqa: E731
    found = birthday_test(jax.random.key(0), draw, threshold=0.5, sizes=(400,), trials=40)
    np.testing.assert_allclose(found.support.estimate, 1 / np.sum(weights**2), rtol=0.1)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    generator, support, size, trials = np.random.default_rng(0), 500, 60, 5
    held = 0
    for _ in range(500):
        counts = [np.bincount(generator.integers(support, size=size)) for _ in range(trials)]
        collisions = sum(int(np.sum(count * (count - 1) // 2)) for count in counts)
        found = support_size(collisions, trials * math.comb(size, 2))
        held += found.low <= support <= found.high
    # At least 0.95, less what 500 experiments leave open.
    assert held / 500 > 0.95 - 3 * math.sqrt(0.95 * 0.05 / 500)


def test_the_interval_of_ten_is_that_of_the_tables():
    # Garwood's limits for a count of 10 at 95 %: 4.795 and 18.390.
    found = support_size(10, 10_000)
    np.testing.assert_allclose([10_000 / found.high, 10_000 / found.low], [4.795, 18.390], atol=5e-4)


def test_a_duplicate_counts_once_the_second_of_the_pair_is_there():
    # Its two examples lie in different blocks.
    size = BLOCK + 400
    examples = np.random.default_rng(0).normal(size=(size, 3)).astype(np.float32)
    examples[BLOCK + 300] = examples[7]
    sizes = (BLOCK + 300, BLOCK + 301, size)
    found = birthday_test(jax.random.key(0), lambda key, n: examples[:n], threshold=0, sizes=sizes, trials=2, twins=3)
    assert found.probability.tolist() == [0, 1, 1]
    assert (found.collisions, found.half) == (2, BLOCK + 301)
    np.testing.assert_array_equal(found.twins[:2], np.tile(examples[7], (2, 2, 1)))
    assert found.distances[2] > 0


@pytest.mark.parametrize(("size", "dimension"), [(BLOCK + 300, 3), (BLOCK, 40), (10, 40)])
def test_nearest_pairs_are_those_of_scipy(size, dimension):
    examples = np.random.default_rng(0).normal(size=(size, dimension)).astype(np.float32)
    found = nearest_pairs(examples, 30)
    exact = squareform(pdist(np.float64(examples)))
    np.testing.assert_allclose(found.distances, np.sort(pdist(np.float64(examples)))[:30], rtol=1e-5)
    np.testing.assert_allclose(exact[tuple(found.indices.T)], found.distances, rtol=1e-5)
    assert (found.indices[:, 0] < found.indices[:, 1]).all()
    assert len(np.unique(found.indices, axis=0)) == 30


def test_of_few_examples_all_pairs_are_found():
    assert nearest_pairs(np.arange(3.0)[:, None] ** 2, 9).distances.tolist() == [1, 3, 4]


def test_near_pairs_far_from_the_origin_keep_their_digits():
    generator = np.random.default_rng(0)
    examples = (1e3 * generator.normal(size=(200, 64))).astype(np.float32)
    examples[150] = examples[20] + 0.01 * generator.normal(size=64)
    found = nearest_pairs(examples, 1)
    want = np.linalg.norm(np.float64(examples[150]) - np.float64(examples[20]))
    assert found.indices.tolist() == [[20, 150]]
    np.testing.assert_allclose(found.distances, [want], rtol=1e-5)


def test_pictures_are_compared_by_pixels_or_features_and_kept_as_they_are():
    images = np.random.default_rng(0).integers(0, 256, size=(40, 4, 4, 3), dtype=np.uint8)
    sample = lambda key, n: images[jax.random.randint(key, (n,), 0, 40)]  # noqa: E731
    brightness = lambda x: np.asarray(x, np.float32).mean(axis=(1, 2, 3), keepdims=True)  # noqa: E731
    by_pixel = birthday_test(jax.random.key(0), sample, real=images, sizes=(50,), twins=5)
    assert by_pixel.twins.shape == (5, 2, 4, 4, 3)
    assert by_pixel.twins.dtype == np.uint8
    assert 40 / 1.1 < by_pixel.support.estimate < 1.1 * 40
    np.testing.assert_allclose(by_pixel.threshold, pdist(np.float64(images.reshape(40, -1))).min(), rtol=1e-5)
    # All pictures are about as bright as each other.
    bright = birthday_test(jax.random.key(0), sample, threshold=1e3, features=brightness, sizes=(50,), trials=3)
    assert bright.collisions == bright.pairs


def test_twins_lie_as_far_apart_as_it_says():
    found = birthday_test(jax.random.key(0), memory(50), threshold=0.01, sizes=(30,), trials=4, twins=6)
    first, second = np.float64(found.twins).swapaxes(0, 1)
    np.testing.assert_allclose(np.linalg.norm(first - second, axis=1), found.distances, rtol=1e-4)
    assert (np.diff(found.distances) >= 0).all()
    assert found.distances[-1] < 0.01


def test_one_key_is_one_result():
    one, same, other = (
        birthday_test(jax.random.key(seed), memory(50), threshold=0.01, sizes=(30,), trials=4) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one.twins, same.twins)
    assert one.support == same.support
    assert not np.array_equal(one.twins, other.twins)


def test_real_examples_that_coincide_tell_no_distance():
    examples = np.random.default_rng(0).normal(size=(200, 20)).astype(np.float32)
    twice = np.concatenate([examples, examples])
    np.testing.assert_allclose(smallest_distance(twice), pdist(np.float64(examples)).min(), rtol=1e-5)
    with pytest.raises(InputError, match="no two of the examples differ"):
        smallest_distance(np.ones((5, 2)))


def test_of_many_real_examples_some_are_enough():
    # Every second one of the line is left out.
    line = np.arange(2.0 * MOST_REAL)[:, None]
    assert smallest_distance(line) == 2.0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({}, "needs a threshold, or real examples"),
        ({"threshold": -1.0}, "threshold must be at least 0"),
        ({"threshold": 1.0, "sizes": (5, 1)}, r"must be at least 2, got \(5, 1\)"),
        ({"threshold": 1.0, "sizes": ()}, "must be at least 2"),
        ({"threshold": 1.0, "trials": 0}, "must be at least 1, got 0 and 8"),
        ({"threshold": 1.0, "twins": 0}, "must be at least 1, got 20 and 0"),
    ],
)
def test_plans_that_cannot_be_are_refused(wrong, message):
    with pytest.raises(InputError, match=message):
        birthday_test(jax.random.key(0), normal, **wrong)


def test_samples_of_a_run_that_diverged_are_refused():
    with pytest.raises(InputError, match="did the run diverge"):
        birthday_test(jax.random.key(0), lambda key, n: jnp.full((n, 2), jnp.nan), threshold=1.0)
    with pytest.raises(InputError, match="at least two examples, got 1"):
        nearest_pairs(np.zeros((1, 2)), 1)


@pytest.mark.parametrize(("collisions", "pairs"), [(-1, 5), (6, 5), (0, 0)])
def test_counts_that_cannot_be_are_refused(collisions, pairs):
    with pytest.raises(InputError, match="among at least one pair"):
        support_size(collisions, pairs)
