import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import ot
import pytest
import scipy.stats
from jax.test_util import check_grads

from jaxgen.divergences import js, kl, sliced_wasserstein, wasserstein_1d
from jaxgen.errors import InputError


@pytest.fixture
def small_blocks(monkeypatch):
    """Project in blocks of four directions: blocks are unrolled, and smaller ones compile faster."""
    monkeypatch.setattr("jaxgen.divergences.sliced.BLOCK", 4)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("theta", [5, 4, 0])
def test_distance_of_point_masses_is_distance_of_points(theta):
    cells = np.arange(6)
    at_0, at_theta = (jnp.asarray(cells == cell, jnp.float32) for cell in (0, theta))
    assert wasserstein_1d(jnp.array([0.0]), jnp.array([float(theta)])) == theta
    assert wasserstein_1d(jnp.arange(6.0), jnp.arange(6.0), x_weights=at_0, y_weights=at_theta) == theta
    assert kl(at_0, at_theta) == (np.inf if theta else 0.0)
    np.testing.assert_allclose(js(at_0, at_theta), 0.693147 if theta else 0.0, atol=5e-7)


def test_integer_transport_problem_has_exact_cost():
    boxes, places = jnp.array([1.0, 1, 1, 2, 3, 3]), jnp.array([7.0, 8, 9, 9, 10, 10])
    assert wasserstein_1d(boxes, places) == 7
    assert len(boxes) * wasserstein_1d(boxes, places) == 42
    stacks = {"x_weights": jnp.array([3.0, 1, 2]), "y_weights": jnp.array([1.0, 1, 2, 2])}
    assert wasserstein_1d(jnp.array([1.0, 2, 3]), jnp.array([7.0, 8, 9, 10]), **stacks) == 7


@pytest.mark.parametrize("order", [1, 1.5, 2, 4])
def test_distance_of_shifted_points_is_shift(order):
    x = normal(1000)
    np.testing.assert_allclose(wasserstein_1d(x, x - 3.0, order=order), 3.0, rtol=1e-6)


def test_distance_is_minimal_over_all_matchings():
    x, y = normal(6), normal(6, seed=1)
    for order in (1, 2, 3):
        costs = np.abs(np.float64(x)[:, None] - np.float64(y)) ** order
        best = min(costs[range(6), list(matching)].mean() for matching in itertools.permutations(range(6)))
        np.testing.assert_allclose(wasserstein_1d(x, y, order=order), best ** (1 / order), rtol=1e-6)


@pytest.mark.parametrize("sizes", [(100_000, 100_000), (100_000, 70_001)])
def test_float32_is_accurate_for_many_points(sizes):
    x, y = normal(sizes[0]), 1.01 * normal(sizes[1], seed=1)
    want = scipy.stats.wasserstein_distance(np.float64(x), np.float64(y))
    np.testing.assert_allclose(wasserstein_1d(x, y), want, rtol=1e-5)


def test_integer_weights_equal_repeated_points():
    x, y = normal(50), normal(40, seed=1)
    counts = np.random.default_rng(2).integers(0, 9, size=50)
    counted = wasserstein_1d(x, y, order=2, x_weights=jnp.asarray(counts, jnp.float32))
    np.testing.assert_allclose(counted, wasserstein_1d(np.repeat(x, counts), y, order=2), rtol=1e-6)


def test_equal_distributions_with_different_points_have_zero_distance():
    thirds, sixths = jnp.array([1.0, 1.0, 1.0]), jnp.array([2.0, 2.0, 1.0, 1.0])
    x, y = jnp.array([0.0, 5.0, 9.0]), jnp.array([9.0, 0.0, 5.0, 5.0])
    assert wasserstein_1d(x, y, order=2, x_weights=thirds, y_weights=sixths) == 0


def test_weights_are_normalized_and_points_without_mass_ignored():
    x, y, weights = normal(5), normal(5, seed=1), jnp.array([1.0, 3.0, 0.0, 2.0, 2.0])
    one = wasserstein_1d(x, y, order=2, x_weights=weights)
    np.testing.assert_allclose(wasserstein_1d(x, y, order=2, x_weights=1e-6 * weights), one, rtol=1e-5)
    np.testing.assert_allclose(
        wasserstein_1d(jnp.asarray(x).at[2].set(1e6), y, order=2, x_weights=weights), one, rtol=1e-5
    )
    assert np.isnan(wasserstein_1d(x, y, x_weights=jnp.zeros(5)))


@pytest.mark.parametrize("scale", [1e-37, 1e-30, 1e-16, 1e16, 1e20, 1e30])
def test_weights_are_normalized_at_any_scale(scale):
    x, y, weights = normal(5), normal(5, seed=1), jnp.array([1.0, 3.0, 0.0, 2.0, 2.0])
    unscaled = functools.partial(wasserstein_1d, x, y, order=2)
    value, gradient = jax.value_and_grad(lambda w: unscaled(x_weights=w, y_weights=w[::-1]))(weights)
    scaled, of_scaled = jax.value_and_grad(lambda w: unscaled(x_weights=w, y_weights=w[::-1]))(scale * weights)
    np.testing.assert_allclose(scaled, value, rtol=1e-5)
    np.testing.assert_allclose(scale * of_scaled, gradient, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(unscaled(x_weights=scale * weights), unscaled(x_weights=weights), rtol=1e-5)


@pytest.mark.parametrize(("order", "tolerance"), [(1, 3e-5), (2, 1e-4)])
def test_many_non_integer_weights_have_documented_accuracy(order, tolerance):
    x, y = normal(100_000), normal(100_000, seed=1)
    u, v = (np.random.default_rng(seed).exponential(size=100_000).astype(np.float32) for seed in (2, 3))
    want = ot.wasserstein_1d(
        np.float64(x), np.float64(y), *(np.float64(w) / np.float64(w).sum() for w in (u, v)), order
    )
    got = wasserstein_1d(x, y, order=order, x_weights=jnp.asarray(u), y_weights=jnp.asarray(v))
    np.testing.assert_allclose(got, want ** (1 / order), rtol=tolerance)


def test_high_orders_neither_overflow_nor_underflow():
    x, y = normal(100), normal(100, seed=1)
    gaps = np.abs(np.sort(np.float64(x)) - np.sort(np.float64(y)))
    for scale in (1e-10, 1.0, 1e10):
        want = (gaps**40).mean() ** (1 / 40) * scale
        np.testing.assert_allclose(wasserstein_1d(scale * x, scale * y, order=40), want, rtol=1e-5)


def test_infinite_order_is_largest_difference_of_quantiles():
    x, y = jnp.array([0.0, 1.0, 4.0, 9.0]), jnp.array([1.0, 1.0, 7.0, 8.0])
    assert wasserstein_1d(x, y, order=np.inf) == 3
    masses = jnp.array([1.0, 1.0, 0.0, 1.0])
    assert wasserstein_1d(x, y, order=np.inf, x_weights=masses, y_weights=masses) == 1
    assert sliced_wasserstein(jax.random.key(0), x[:, None], y[:, None], order=np.inf) == 3
    assert jax.grad(wasserstein_1d)(x, y, order=np.inf).tolist() == [0, 0, -1, 0]


def test_signed_zeros_infinities_and_nan():
    assert wasserstein_1d(jnp.array([0.0, -0.0, -1.0]), jnp.array([-0.0, -1.0, 0.0])) == 0
    assert wasserstein_1d(jnp.array([-np.inf, 1.0]), jnp.array([0.0, 1.0]), order=2) == np.inf
    assert np.isnan(wasserstein_1d(jnp.array([np.nan, 1.0]), jnp.array([0.0, 1.0]), order=2))


@pytest.mark.parametrize("order", [1, 2, 3.5])
def test_tied_points_share_derivative_of_common_shift(order):
    tied, y = jnp.zeros(4), jnp.array([1.0, 2.0, -7.0, 6.0])
    with jax.enable_x64(True):
        distance = lambda shift: wasserstein_1d(tied.astype(float) + shift, y.astype(float), order=order)  # noqa: E731
        together = float(distance(1e-6) - distance(-1e-6)) / 2e-6
    gradient = jax.grad(wasserstein_1d)(tied, y, order=order)
    np.testing.assert_allclose(gradient, np.full(4, together / 4), rtol=1e-5)


def test_gradient_points_from_matched_point():
    x, y = jnp.array([5.0, 0.0, 2.0]), jnp.array([1.0, 9.0, 1.5])
    # Matched in sorted order: 0 - 1, 2 - 1.5, 5 - 9.
    np.testing.assert_allclose(jax.grad(wasserstein_1d)(x, y), np.array([-1.0, -1.0, 1.0]) / 3, rtol=1e-6)
    squared = jax.grad(lambda x: wasserstein_1d(x, y, order=2) ** 2)(x)
    np.testing.assert_allclose(squared, 2 * np.array([-4.0, -1.0, 0.5]) / 3, rtol=1e-5)


def test_second_derivatives_match_finite_differences():
    with jax.enable_x64(True):
        x, y = (jnp.asarray(np.random.default_rng(seed).normal(size=6)) for seed in (0, 1))
        check_grads(lambda x, y: wasserstein_1d(x, y, order=3), (x, y), order=2)


@pytest.mark.parametrize("dim", [2, 16])
def test_mean_over_keys_matches_mean_over_sphere(dim):
    shift = jnp.asarray(np.random.default_rng(0).normal(size=dim), jnp.float32)
    keys = jax.random.split(jax.random.key(3), 500)
    x = normal(3, dim)
    squares = jax.vmap(lambda key: sliced_wasserstein(key, x, x + shift, n_projections=20) ** 2)(keys)
    error = np.std(squares) / np.sqrt(len(keys))
    assert abs(np.mean(squares) - np.sum(np.square(shift)) / dim) < 4 * error


def test_directions_are_isotropic():
    """For a point at distance 1 along an axis, the projections are the coordinates of the directions."""
    axes, origin = jnp.eye(5)[:, None], jnp.zeros((1, 5))
    far = jax.vmap(lambda point: sliced_wasserstein(jax.random.key(0), point, origin, n_projections=20_000))(axes)
    # The square of a coordinate has mean 1 / 5 and variance 8 / 175.
    np.testing.assert_allclose(np.square(far), 0.2, atol=4 * np.sqrt(8 / 175 / 20_000))
    np.testing.assert_allclose(np.square(far).sum(), 1.0, rtol=1e-5)


def test_sliced_distance_of_gaussians_matches_closed_form():
    """SW_2^2 = |mean|^2 / dim + (1 - scale)^2 for N(0, 1) and N(mean, scale^2)."""
    mean, scale = np.float32([1.0, -2.0, 0.5]), 2.5
    x, y = normal(20_000, 3), mean + scale * normal(20_000, 3, seed=1)
    want = np.sqrt(np.sum(np.square(mean)) / 3 + (1 - scale) ** 2)
    np.testing.assert_allclose(sliced_wasserstein(jax.random.key(0), x, y, n_projections=500), want, rtol=0.02)


@pytest.mark.usefixtures("small_blocks")
def test_sliced_distance_in_one_dimension_is_wasserstein_1d():
    x, y = normal(30), normal(20, seed=1)
    sliced = sliced_wasserstein(jax.random.key(0), x[:, None], y[:, None], n_projections=3)
    np.testing.assert_allclose(sliced, wasserstein_1d(x, y, order=2), rtol=1e-6)


@pytest.mark.usefixtures("small_blocks")
def test_events_are_flattened():
    x, y = normal(9, 2, 3, 1), normal(7, 2, 3, 1, seed=1)
    flat = sliced_wasserstein(jax.random.key(0), x.reshape(9, 6), y.reshape(7, 6))
    assert sliced_wasserstein(jax.random.key(0), x, y) == flat


@pytest.mark.usefixtures("small_blocks")
def test_key_gives_same_directions_in_every_precision():
    x, y = normal(9, 3), normal(7, 3, seed=1)
    single = sliced_wasserstein(jax.random.key(0), x, y)
    with jax.enable_x64(True):
        double = sliced_wasserstein(jax.random.key(0), x.astype(jnp.float64), y.astype(jnp.float64))
    np.testing.assert_allclose(single, double, rtol=1e-6)


@pytest.mark.usefixtures("small_blocks")
def test_gradient_descent_matches_samples():
    x, y = normal(64, 2), 3.0 + 0.5 * normal(64, 2, seed=1)

    def step(x, key):
        return x - 64 * jax.grad(lambda x: sliced_wasserstein(key, x, y, n_projections=16) ** 2)(x), None

    @jax.jit
    def distances():
        updated, _ = jax.lax.scan(step, x, jax.random.split(jax.random.key(0), 50))
        return jax.lax.map(lambda points: sliced_wasserstein(jax.random.key(1), points, y), jnp.stack([x, updated]))

    before, after = distances()
    assert after < 0.01 * before


@pytest.mark.parametrize(
    ("x", "y", "options", "message"),
    [
        ((3, 1), (3, 1), {}, r"one-dimensional, got x \(3, 1\) and y \(3, 1\)"),
        ((3,), (3, 1), {}, r"got x \(3,\) and y \(3, 1\)"),
        ((3,), (0,), {}, r"at least 1, got x \(3,\) and y \(0,\)"),
        ((3,), (4,), {"x_weights": jnp.ones(4)}, r"got x \(3,\) and x_weights \(4,\)"),
        ((3,), (4,), {"y_weights": jnp.ones((4, 1))}, r"got y \(4,\) and y_weights \(4, 1\)"),
        ((3,), (4,), {"x_weights": jnp.array([2.0, -1.0, 1.0])}, "x_weights must not be negative, got a minimum of -1"),
        ((3,), (4,), {"y_weights": np.array([-0.5, 0, 1, 1])}, "y_weights must not be negative, got a minimum of -0.5"),
        ((3,), (4,), {"order": 0.5}, "order must be at least 1, got 0.5"),
        ((3,), (4,), {"order": np.nan}, "order must be at least 1, got nan"),
    ],
)
def test_invalid_arguments_of_wasserstein_1d_raise(x, y, options, message):
    with pytest.raises(ValueError, match=message):
        wasserstein_1d(jnp.zeros(x), jnp.zeros(y), **options)


@pytest.mark.parametrize(
    ("x", "y", "options", "message"),
    [
        ((3, 2), (3, 4), {}, r"x and y must have events of the same shape, got x \(3, 2\) and y \(3, 4\)"),
        ((), (3,), {}, "x must have a leading axis of examples"),
        ((0, 2), (3, 2), {}, r"at least 1, got x \(0, 2\)"),
        ((3, 2), (3, 2), {"order": 0}, "order must be at least 1, got 0"),
        ((3, 2), (3, 2), {"n_projections": 0}, "n_projections must be at least 1, got 0"),
        ((3, 2), (3, 2), {"n_projections": 3.5}, "n_projections must be an integer, got 3.5"),
        ((3, 2), (3, 2), {"n_projections": np.inf}, "n_projections must be an integer, got inf"),
    ],
)
def test_invalid_arguments_of_sliced_wasserstein_raise(x, y, options, message):
    with pytest.raises(ValueError, match=message):
        sliced_wasserstein(jax.random.key(0), jnp.zeros(x), jnp.zeros(y), **options)


@pytest.mark.parametrize("order", [2, np.int64(2), np.float32(2), np.array(2.0), jnp.float32(2), jnp.array(2)])
def test_hyperparameters_may_be_scalar_arrays(order):
    x, y = normal(6, 2), normal(6, 2, seed=1)
    assert wasserstein_1d(x[:, 0], y[:, 0], order=order) == wasserstein_1d(x[:, 0], y[:, 0], order=2)
    sliced = sliced_wasserstein(jax.random.key(0), x, y, order=order, n_projections=jnp.int32(8))
    assert sliced == sliced_wasserstein(jax.random.key(0), x, y, order=2, n_projections=8)


def test_concrete_arguments_are_accepted_inside_jit():
    x, y, weights, order = normal(6), normal(6, seed=1), jnp.arange(6.0), jnp.float32(2.0)
    compiled = jax.jit(lambda x: wasserstein_1d(x, y, order=order, x_weights=weights))
    np.testing.assert_allclose(compiled(x), wasserstein_1d(x, y, order=2, x_weights=weights), rtol=1e-6)


def test_empty_events_have_zero_distance():
    assert sliced_wasserstein(jax.random.key(0), jnp.zeros((3, 0)), jnp.zeros((2, 0)), n_projections=20) == 0


@pytest.mark.parametrize("transform", [jax.jit, jax.grad, jax.vmap])
def test_traced_order_raises(transform):
    x, y = normal(6), normal(6, seed=1)
    order = jnp.full(3, 2.0) if transform is jax.vmap else 2.0
    with pytest.raises(InputError, match=r"^order must be known while tracing, .* static argument"):
        transform(lambda order: wasserstein_1d(x, y, order=order))(order)
    with pytest.raises(InputError, match=r"^order must be known while tracing, .* static argument"):
        transform(lambda order: sliced_wasserstein(jax.random.key(0), x[:, None], y[:, None], order=order))(order)


@pytest.mark.parametrize("order", [1, 2, 1e9, np.inf])
@pytest.mark.parametrize("size", [8192, 5000])
def test_one_nan_among_many_points_gives_nan(order, size):
    x, y = (np.random.default_rng(seed).normal(size=n).astype(np.float32) for seed, n in enumerate((8192, size)))
    x[70] = np.nan
    assert np.isnan(wasserstein_1d(jnp.asarray(x), jnp.asarray(y), order=order))
