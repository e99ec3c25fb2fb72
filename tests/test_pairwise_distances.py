"""Accuracy of pairwise distances to 1e-5 for points at any distance, their derivatives, and their memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads
from scipy.spatial.distance import cdist

from jaxgen._pairwise_distances import squared_distances

DIMENSIONS = [1, 3, 16, 17, 64, 300]  # up to 16 differences are used, from 17 on products


def clusters(generator, n, dimension, size, radius):
    """Return points around few centres, with many near pairs."""
    centres = generator.normal(size=(max(n // size, 1), dimension))
    points = centres[generator.integers(len(centres), size=n)]
    return np.float32(points + radius * generator.normal(size=points.shape))


def largest_relative_error(x, y):
    want = cdist(np.float64(x), np.float64(y), "sqeuclidean")
    got = np.asarray(squared_distances(x, y))
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got == 0, want == 0)
    return np.max(np.abs(got - want) / np.maximum(want, 1e-30))


@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    dimension=st.sampled_from(DIMENSIONS),
    radius=st.sampled_from([0.0, 1e-6, 1e-3, 0.1, 1.0]),
    far=st.sampled_from([0.0, 1.0, 1e4]),
)
def test_distances_are_accurate_to_1e_5(seed, dimension, radius, far):
    generator = np.random.default_rng(seed)
    # Neither size is a multiple of a tile, and the last tiles of both contain near pairs.
    x, y = np.split(np.float32(far) + clusters(generator, 200, dimension, 10, radius), [70])
    y[-3:] = x[-3:]
    assert largest_relative_error(x, y) < 1e-5


@pytest.mark.parametrize("dimension", [17, 1000])
def test_distances_are_accurate_with_extreme_outlier(dimension):
    x = clusters(np.random.default_rng(0), 100, dimension, 100, 1.0)
    x[0] = 1e6
    assert largest_relative_error(x, x) < 1e-5


def test_products_in_many_dimensions_are_as_accurate_as_threshold_assumes():
    # Points in a plane within many dimensions have distances of every size, from 0 to the spread.
    generator = np.random.default_rng(0)
    x = np.float32(generator.normal(size=(500, 2)) @ generator.normal(size=(2, 5000)))
    assert largest_relative_error(x, x) < 1e-5


def test_distances_below_floor_are_accurate_relative_to_floor():
    x = clusters(np.random.default_rng(0), 200, 40, 10, 1e-3)
    want = cdist(np.float64(x), np.float64(x), "sqeuclidean")
    error = np.abs(squared_distances(x, x, floor=20.0) - want)
    assert np.max(error) < 1e-5 * 20.0
    assert np.max(error[want > 0] / want[want > 0]) > 1e-3  # smaller distances are not recomputed


@pytest.mark.parametrize("dimension", [3, 20])
@pytest.mark.parametrize("radius", [1e-3, 1.0], ids=["touching", "apart"])
def test_derivatives_match_finite_differences(dimension, radius):
    generator = np.random.default_rng(0)
    x, y = np.split(clusters(generator, 11, dimension, 4, radius).astype(np.float64), [5])
    with jax.enable_x64(True):
        check_grads(jax.jit(squared_distances), (x, y), order=1, modes=["fwd", "rev"])
        # Distances of a set to itself include those of coinciding points.
        check_grads(jax.jit(lambda x: squared_distances(x, x)), (x,), order=1, modes=["fwd", "rev"])


def test_second_derivatives_match_finite_differences():
    x, y = np.split(np.random.default_rng(0).normal(size=(5, 20)), [2])
    with jax.enable_x64(True):
        check_grads(jax.jit(squared_distances), (x, y), order=2, modes=["fwd", "rev"])


@pytest.mark.parametrize("dimension", [3, 20])
def test_gradient_of_distance_is_direction_for_near_points(dimension):
    generator = np.random.default_rng(0)
    x = np.float32(generator.normal(size=(30, dimension)))
    y = np.float32(x[:10] + 1e-5 * generator.normal(size=(10, dimension)))
    gradient = jax.jit(jax.grad(lambda x: jnp.sqrt(jnp.diagonal(squared_distances(x, y))).sum()))(x)
    gradient = np.asarray(gradient)
    difference = np.float64(x[:10]) - y
    want = difference / np.linalg.norm(difference, axis=1, keepdims=True)
    np.testing.assert_allclose(gradient[:10], want, rtol=0, atol=1e-5)
    assert not np.any(gradient[10:])


@pytest.mark.parametrize("dimension", [3, 20])
def test_derivative_of_coinciding_points_is_zero(dimension):
    x = np.float32(np.random.default_rng(0).normal(size=(6, dimension)))
    _, tangent = jax.jit(lambda *y_and_change: jax.jvp(lambda y: squared_distances(x, y), *y_and_change))(
        (x,), (np.ones_like(x),)
    )
    tangent = np.asarray(tangent)
    np.testing.assert_array_equal(np.diagonal(tangent), 0.0)
    assert np.all(tangent[~np.eye(6, dtype=bool)] != 0.0)


def test_vmap_matches_loop():
    generator = np.random.default_rng(0)
    x, y = (np.stack([clusters(generator, 80, 30, size, 1e-3) for size in (80, 2)]) for _ in range(2))
    y[1, :5] = x[1, :5]
    mapped = np.asarray(jax.jit(jax.vmap(squared_distances))(x, y))
    for i in range(2):
        np.testing.assert_allclose(mapped[i], squared_distances(x[i], y[i]), rtol=1e-5)


@pytest.mark.parametrize("dimension", [3, 20])
def test_vmapped_derivatives_match_loop(dimension):
    generator = np.random.default_rng(0)
    x, y = np.float32(generator.normal(size=(2, 3, 7, dimension)))
    y[1, :4] = x[1, :4] + 1e-5  # some points of one set of the batch nearly touch

    def total(x, y):
        return jnp.sqrt(1e-12 + squared_distances(x, y)).sum()

    batched = jax.jit(jax.grad(lambda x: jax.vmap(total)(x, y).sum()))(x)
    of_one = jax.jit(jax.grad(total))
    np.testing.assert_allclose(batched, [of_one(*pair) for pair in zip(x, y, strict=True)], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dimension", [3, 300])
@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_non_finite_point_affects_only_its_own_distances(dimension, broken):
    x, y = np.float32(np.random.default_rng(0).normal(size=(2, 30, dimension)))
    x[0] = broken
    distances = np.asarray(squared_distances(x, y))
    assert not np.isfinite(distances[0]).any()
    np.testing.assert_allclose(distances[1:], cdist(np.float64(x[1:]), np.float64(y), "sqeuclidean"), rtol=1e-5)


@pytest.mark.parametrize("outlier", [1e2, 1e3, 1e4])
@pytest.mark.parametrize("n", [100, 2000])
def test_distances_are_accurate_with_outlier_of_any_size(outlier, n):
    x = np.float32(np.random.default_rng(0).normal(size=(n, 40)))
    x[0] = outlier
    assert largest_relative_error(x, x[:50]) < 1e-5


def test_memory_grows_with_pairs_and_not_with_coordinates():
    points = jax.ShapeDtypeStruct((512, 1024), np.float32)
    pairs = 512 * 512 * 4

    def total(x, y):
        return jnp.sin(squared_distances(x, y)).sum()

    def temporary(function, *arguments):
        return jax.jit(function).lower(*arguments).compile().memory_analysis().temp_size_in_bytes

    forward = temporary(lambda x, y, dx, dy: jax.jvp(total, (x, y), (dx, dy)), points, points, points, points)
    reverse = temporary(jax.grad(total, (0, 1)), points, points)
    assert max(forward, reverse) < 30 * pairs  # there are 1024 coordinates
