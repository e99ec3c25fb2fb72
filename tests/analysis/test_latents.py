"""Interpolation against SciPy, class means against scikit-learn, arithmetic against a known attribute."""

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
def test_slerp_matches_scipy(dimension):
    start, end = units(dimension)
    want = geometric_slerp(start, end, TIMES)
    got = [at(jnp.float32(start), jnp.float32(end), t) for t in TIMES]
    np.testing.assert_allclose(got, want, atol=1e-6)


@pytest.mark.parametrize("angle", [1e-3, 1e-2, 3.1, np.pi - 1e-2])
def test_slerp_is_accurate_for_small_and_nearly_opposite_angles(angle):
    start, aside = np.linalg.qr(np.random.default_rng(0).normal(size=(20, 2)))[0].T
    # Of the rounded latents; rounding may rotate the path of a nearly opposite pair by 1e-7 / (pi - angle).
    start, end = (np.float64(np.float32(latent)) for latent in (start, np.cos(angle) * start + np.sin(angle) * aside))
    want = geometric_slerp(start / np.linalg.norm(start), end / np.linalg.norm(end), TIMES)
    got = np.stack([at(jnp.float32(start), jnp.float32(end), t) for t in TIMES])
    np.testing.assert_allclose(got, want, atol=1e-6 + 1e-6 * (angle > 1) / (np.pi - angle))


def test_slerp_interpolates_norms_linearly_and_directions_uniformly():
    start, end = units(10)
    want = (3 + 2 * TIMES)[:, None] * geometric_slerp(start, end, TIMES)
    got = interpolate(jnp.float32(3 * start), jnp.float32(5 * end), len(TIMES), spherical=True)
    np.testing.assert_allclose(got, want, atol=5e-6)


def test_slerp_equals_lerp_for_parallel_latents():
    start = jnp.asarray(units(10)[0], jnp.float32)
    for end in (start, 3 * start, start.at[0].add(1e-7)):
        got = np.stack([at(start, end, t) for t in TIMES])
        np.testing.assert_allclose(got, np.stack([lerp(start, end, t) for t in TIMES]), atol=1e-6)


@pytest.mark.parametrize("norm", [1.0, 2.5])
@pytest.mark.parametrize("dimension", [2, 10, 100])
def test_slerp_of_opposite_latents_is_half_a_circle(dimension, norm):
    start = jnp.asarray(units(dimension)[0], jnp.float32)
    path = np.float64(np.stack([at(start, -norm * start, t) for t in TIMES]))
    norms = 1 + (norm - 1) * TIMES
    np.testing.assert_allclose(np.linalg.norm(path, axis=1), norms, rtol=1e-5)
    np.testing.assert_allclose(path @ np.float64(start) / norms, np.cos(np.pi * TIMES), atol=1e-5)
    np.testing.assert_allclose(path[-1], -norm * start, atol=1e-5)


@pytest.mark.parametrize("end", [[0.0, 0.0, 0.0], [1.0, 2.0, 2.0], [-1.0, -2.0, -2.0], [2.0, 0.0, -1.0]])
def test_slerp_has_finite_values_and_gradients_at_zero_parallel_and_opposite_latents(end):
    for start in ([1.0, 2.0, 2.0], [0.0, 0.0, 0.0]):
        pair = jnp.array(start), jnp.array(end)
        np.testing.assert_allclose(at(*pair, 0.0), pair[0], atol=1e-6)
        np.testing.assert_allclose(at(*pair, 1.0), pair[1], atol=1e-6)
        assert all(np.isfinite(jacobian).all() for jacobian in jacobians(*pair, 0.3))


def test_lerp_halves_the_variance_of_prior_samples_and_slerp_keeps_it():
    start, end = jax.random.normal(jax.random.key(0), (2, 500, 200))
    linear, spherical = (interpolate(start, end, 3, spherical=choice)[:, 1] for choice in (False, True))
    # The mean of two samples has half of their variance.
    np.testing.assert_allclose(jnp.mean(jnp.sum(linear**2, axis=-1)), 100, rtol=0.03)
    np.testing.assert_allclose(jnp.mean(jnp.sum(spherical**2, axis=-1)), 200, rtol=0.03)


def test_interpolation_includes_both_ends_and_is_uniform():
    start, end = np.float32(np.random.default_rng(0).normal(size=(2, 4, 6)))
    path = np.asarray(interpolate(start, end, 5))
    assert path.shape == (4, 5, 6)
    np.testing.assert_allclose(path, np.linspace(start, end, 5, axis=1), atol=1e-6)
    with pytest.raises(InputError, match="steps must be at least 2, got 1"):
        interpolate(start, end, 1)
    with pytest.raises(ValueError, match=r"start \(4, 6\) and end \(6,\)"):
        interpolate(start, end[0], 5)


def test_class_means_match_scikit_learn():
    generator = np.random.default_rng(0)
    latents, labels = generator.normal(size=(200, 5)).astype(np.float32), generator.integers(0, 7, 200)
    want = NearestCentroid().fit(latents, labels).centroids_
    np.testing.assert_allclose(class_means(latents, labels), want, atol=1e-6)
    images = latents[:, :4].reshape(200, 2, 2, 1)
    np.testing.assert_allclose(class_means(images, labels), want[:, :4].reshape(7, 2, 2, 1), atol=1e-6)


@pytest.mark.parametrize("labels", [[0, 2, 2], [0, -1, 1], []])
def test_class_means_raise_for_classes_without_examples_and_negative_labels(labels):
    with pytest.raises(InputError, match="labels must include every class from 0 to the largest label"):
        class_means(jnp.zeros((len(labels), 2)), np.array(labels, int))


def test_class_means_raise_if_the_number_of_labels_differs():
    with pytest.raises(InputError, match=r"labels must be an array of integers \[n\] with n 3, got int64 of"):
        class_means(jnp.zeros((3, 2)), np.array([0, 1]))


@pytest.mark.parametrize("event", [(8,), (4, 4, 1)])
def test_arithmetic_adds_a_known_attribute(event):
    generator = np.random.default_rng(0)
    attribute, others = generator.normal(size=event), generator.normal(size=(50, *event))
    target = generator.normal(size=(3, *event))
    got = arithmetic(jnp.float32(others + attribute), jnp.float32(others), jnp.float32(target))
    np.testing.assert_allclose(got, target + attribute, atol=1e-5)


@pytest.mark.parametrize("shapes", [((2, 3), (2, 3), (3,)), ((0, 3), (2, 3), (1, 3)), ((2, 3), (2, 4), (1, 3))])
def test_arithmetic_raises_with_shapes_that_differ(shapes):
    with pytest.raises(ValueError, match=r"got with_attribute .* and without_attribute .* and target"):
        arithmetic(*map(jnp.zeros, shapes))


def test_manifold_grid_has_equidistant_normal_quantiles():
    latents = np.asarray(manifold_grid(5)).reshape(5, 5, 2)
    quantiles = scipy.stats.norm.cdf(latents)
    np.testing.assert_allclose(quantiles[:, :, 0], np.tile([0.1, 0.3, 0.5, 0.7, 0.9], (5, 1)), atol=1e-6)
    np.testing.assert_allclose(quantiles[:, :, 1].T, np.tile([0.9, 0.7, 0.5, 0.3, 0.1], (5, 1)), atol=1e-6)
    with pytest.raises(InputError, match="side must be at least 1, got 0"):
        manifold_grid(0)


def test_traversals_vary_one_coordinate():
    latent = jnp.array([1.0, 2.0, 3.0])
    got = traversals(latent, [2, 0], np.array([-1.0, 0.0, 5.0]))
    assert got.tolist() == [[[1, 2, -1], [1, 2, 0], [1, 2, 5]], [[-1, 2, 3], [0, 2, 3], [5, 2, 3]]]
    for dim in (3, -1):
        with pytest.raises(InputError, match=f"dims must be from 0 to 2, got {dim}"):
            traversals(latent, [0, dim], np.zeros(1))
