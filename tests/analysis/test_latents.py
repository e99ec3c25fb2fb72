"""Ways between codes, against SciPy's great circles; means and sums, against scikit-learn and planted attributes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from scipy.spatial import geometric_slerp
from sklearn.neighbors import NearestCentroid

from jaxgen.analysis import arithmetic, class_means, interpolate, lerp, manifold_grid, slerp, traversals
from jaxgen.errors import InputError

TIMES = np.linspace(0, 1, 7)


at = jax.jit(slerp)
jacobians = jax.jit(jax.jacobian(slerp, argnums=(0, 1, 2)))


def units(dimension, seed=0):
    pair = np.random.default_rng(seed).normal(size=(2, dimension))
    return pair / np.linalg.norm(pair, axis=1, keepdims=True)


@pytest.mark.parametrize("dimension", [2, 3, 10, 100])
def test_great_circles_are_those_of_scipy(dimension):
    start, end = units(dimension)
    want = geometric_slerp(start, end, TIMES)
    got = [at(jnp.float32(start), jnp.float32(end), t) for t in TIMES]
    np.testing.assert_allclose(got, want, atol=1e-6)


@pytest.mark.parametrize("angle", [1e-3, 1e-2, 3.1, np.pi - 1e-2])
def test_small_angles_and_nearly_opposite_codes_keep_their_digits(angle):
    start, aside = np.linalg.qr(np.random.default_rng(0).normal(size=(20, 2)))[0].T
    # The angle that the rounded codes have; rounding may turn a nearly opposite pair by 1e-7 over the rest of it.
    start, end = (np.float64(np.float32(code)) for code in (start, np.cos(angle) * start + np.sin(angle) * aside))
    want = geometric_slerp(start / np.linalg.norm(start), end / np.linalg.norm(end), TIMES)
    got = np.stack([at(jnp.float32(start), jnp.float32(end), t) for t in TIMES])
    np.testing.assert_allclose(got, want, atol=1e-6 + 1e-6 * (angle > 1) / (np.pi - angle))


def test_lengths_change_evenly_and_directions_too():
    start, end = units(10)
    want = (3 + 2 * TIMES)[:, None] * geometric_slerp(start, end, TIMES)
    got = interpolate(jnp.float32(3 * start), jnp.float32(5 * end), len(TIMES), spherical=True)
    np.testing.assert_allclose(got, want, atol=5e-6)


def test_between_codes_on_one_ray_the_way_is_straight():
    start = jnp.asarray(units(10)[0], jnp.float32)
    for end in (start, 3 * start, start.at[0].add(1e-7)):
        got = np.stack([at(start, end, t) for t in TIMES])
        np.testing.assert_allclose(got, np.stack([lerp(start, end, t) for t in TIMES]), atol=1e-6)


@pytest.mark.parametrize("length", [1.0, 2.5])
@pytest.mark.parametrize("dimension", [2, 10, 100])
def test_between_opposite_codes_the_way_is_half_a_circle(dimension, length):
    start = jnp.asarray(units(dimension)[0], jnp.float32)
    way = np.float64(np.stack([at(start, -length * start, t) for t in TIMES]))
    lengths = 1 + (length - 1) * TIMES
    np.testing.assert_allclose(np.linalg.norm(way, axis=1), lengths, rtol=1e-5)
    np.testing.assert_allclose(way @ np.float64(start) / lengths, np.cos(np.pi * TIMES), atol=1e-5)
    np.testing.assert_allclose(way[-1], -length * start, atol=1e-5)


@pytest.mark.parametrize("end", [[0.0, 0.0, 0.0], [1.0, 2.0, 2.0], [-1.0, -2.0, -2.0], [2.0, 0.0, -1.0]])
def test_values_and_gradients_are_finite_everywhere(end):
    for start in ([1.0, 2.0, 2.0], [0.0, 0.0, 0.0]):
        pair = jnp.array(start), jnp.array(end)
        np.testing.assert_allclose(at(*pair, 0.0), pair[0], atol=1e-6)
        np.testing.assert_allclose(at(*pair, 1.0), pair[1], atol=1e-6)
        assert all(np.isfinite(jacobian).all() for jacobian in jacobians(*pair, 0.3))


def test_straight_ways_leave_the_shell_of_the_prior_and_great_circles_do_not():
    start, end = jax.random.normal(jax.random.key(0), (2, 500, 200))
    straight, round_ = (interpolate(start, end, 3, spherical=spherical)[:, 1] for spherical in (False, True))
    # The mean of two draws has half of their variance.
    np.testing.assert_allclose(jnp.mean(jnp.sum(straight**2, axis=-1)), 100, rtol=0.03)
    np.testing.assert_allclose(jnp.mean(jnp.sum(round_**2, axis=-1)), 200, rtol=0.03)


def test_a_way_has_its_ends_and_equal_steps():
    start, end = np.float32(np.random.default_rng(0).normal(size=(2, 4, 6)))
    way = np.asarray(interpolate(start, end, 5))
    assert way.shape == (4, 5, 6)
    np.testing.assert_allclose(way, np.linspace(start, end, 5, axis=1), atol=1e-6)
    with pytest.raises(InputError, match="at least 2 steps, got 1"):
        interpolate(start, end, 1)
    with pytest.raises(ValueError, match=r"start \(4, 6\) and end \(6,\)"):
        interpolate(start, end[0], 5)


def test_means_of_classes_are_those_of_scikit_learn():
    generator = np.random.default_rng(0)
    codes, labels = generator.normal(size=(200, 5)).astype(np.float32), generator.integers(0, 7, 200)
    want = NearestCentroid().fit(codes, labels).centroids_
    np.testing.assert_allclose(class_means(codes, labels), want, atol=1e-6)
    images = codes[:, :4].reshape(200, 2, 2, 1)
    np.testing.assert_allclose(class_means(images, labels), want[:, :4].reshape(7, 2, 2, 1), atol=1e-6)


@pytest.mark.parametrize("labels", [[0, 2, 2], [0, -1, 1], []])
def test_classes_without_examples_are_refused(labels):
    with pytest.raises(InputError, match="must have examples"):
        class_means(jnp.zeros((len(labels), 2)), np.array(labels, int))


def test_labels_are_as_many_as_examples():
    with pytest.raises(ValueError, match=r"got \(3, 2\) and labels \(2,\)"):
        class_means(jnp.zeros((3, 2)), np.array([0, 1]))


@pytest.mark.parametrize("event", [(8,), (4, 4, 1)])
def test_a_planted_attribute_is_given(event):
    generator = np.random.default_rng(0)
    attribute, others = generator.normal(size=event), generator.normal(size=(50, *event))
    target = generator.normal(size=(3, *event))
    got = arithmetic(jnp.float32(others + attribute), jnp.float32(others), jnp.float32(target))
    np.testing.assert_allclose(got, target + attribute, atol=1e-5)


@pytest.mark.parametrize("shapes", [((2, 3), (2, 3), (3,)), ((0, 3), (2, 3), (1, 3)), ((2, 3), (2, 4), (1, 3))])
def test_sets_of_codes_that_do_not_fit_are_named(shapes):
    with pytest.raises(ValueError, match=r"got having .* and lacking .* and target"):
        arithmetic(*map(jnp.zeros, shapes))


def test_the_grid_cuts_the_plane_into_equal_probabilities():
    codes = np.asarray(manifold_grid(5)).reshape(5, 5, 2)
    quantiles = scipy.stats.norm.cdf(codes)
    np.testing.assert_allclose(quantiles[:, :, 0], np.tile([0.1, 0.3, 0.5, 0.7, 0.9], (5, 1)), atol=1e-6)
    np.testing.assert_allclose(quantiles[:, :, 1].T, np.tile([0.9, 0.7, 0.5, 0.3, 0.1], (5, 1)), atol=1e-6)
    with pytest.raises(InputError, match="at least 1 row"):
        manifold_grid(0)


def test_traversals_change_one_coordinate():
    code = jnp.array([1.0, 2.0, 3.0])
    got = traversals(code, [2, 0], np.array([-1.0, 0.0, 5.0]))
    assert got.tolist() == [[[1, 2, -1], [1, 2, 0], [1, 2, 5]], [[-1, 2, 3], [0, 2, 3], [5, 2, 3]]]
    for dim in (3, -1):
        with pytest.raises(InputError, match=f"coordinates 0 to 2, there is no {dim}"):
            traversals(code, [0, dim], np.zeros(1))
