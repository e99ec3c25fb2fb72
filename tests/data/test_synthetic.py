import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from jaxgen.data.synthetic import (
    SYNTHETIC,
    Synthetic,
    curve,
    gaussian_1d,
    gaussian_mixture,
    grid,
    normal_ring,
    ring,
    swiss_roll,
)

FALSE_ALARM = 1e-6
"""Smallest accepted p-value. The keys are fixed, so a smaller p-value indicates a bias, not a chance event."""

CELLS = 12
"""Number of histogram cells along each axis."""

BOXES = {
    "ring": ([(-1.1, 1.1), (-1.1, 1.1)], 72),
    "grid": ([(-4.4, 4.4), (-4.4, 4.4)], 24),
    "gaussian_1d": ([(-8.0, 8.0)], 100),
    "curve": ([(-3.9, 3.9), (-1.7, 1.7)], 12),
    "normal_ring": ([(-1.65, 1.65), (-1.65, 1.65)], 60),
    "swiss_roll": ([(-1.9, 1.9), (-1.9, 1.9)], 20),
}
"""Name -> box with all but a negligible part of the probability, and number of lattice points along a cell."""


def lattice(name: str) -> tuple[np.ndarray, float]:
    """Points of a regular lattice in the box [n, dim], and the volume per point."""
    box, points = BOXES[name]
    steps = [(high - low) / (CELLS * points) for low, high in box]
    axes = [low + step * (np.arange(CELLS * points) + 0.5) for (low, _), step in zip(box, steps, strict=True)]
    filled = np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=1)
    return filled.astype(np.float32), float(np.prod(steps))


def log_density(distribution: Synthetic, points: np.ndarray) -> np.ndarray:
    return np.asarray(jax.jit(distribution.log_density)(jnp.asarray(points, jnp.float32)), np.float64)


@pytest.mark.parametrize("name", SYNTHETIC)
def test_density_integrates_to_one_and_matches_the_samples(name: str) -> None:
    distribution = SYNTHETIC[name]()
    points, volume = lattice(name)
    log_p = log_density(distribution, points)
    p = np.exp(log_p) * volume
    np.testing.assert_allclose(p.sum(), 1.0, rtol=2e-3 if name == "normal_ring" else 1e-5)

    # The mean log-density of samples is minus the entropy, which is computed on the lattice.
    drawn = np.asarray(distribution.sample(jax.random.key(0), 20_000)["point"])
    sampled = log_density(distribution, drawn)
    positive = p > 0
    entropy = -np.sum(p[positive] * log_p[positive])
    assert abs(-sampled.mean() - entropy) < 4 * sampled.std() / np.sqrt(len(sampled)) + 1e-3

    # Counts in coarse cells match the probabilities computed on the lattice.
    edges = [np.linspace(low, high, CELLS + 1) for low, high in BOXES[name][0]]
    counts, _ = np.histogramdd(drawn, edges)
    expected, _ = np.histogramdd(points, edges, weights=p)
    common = expected * len(drawn) > 5
    rest = len(drawn) - counts[common].sum(), len(drawn) * (1 - expected[common].sum())
    observed = np.append(counts[common], rest[0])
    predicted = np.append(expected[common] * len(drawn), max(rest[1], 1.0))
    assert stats.chisquare(observed, predicted * observed.sum() / predicted.sum()).pvalue > FALSE_ALARM


@pytest.mark.parametrize(
    ("distribution", "weights"),
    [(ring(), np.full(8, 1 / 8)), (grid(), np.full(25, 1 / 25)), (gaussian_1d(), (0.3, 0.5, 0.2))],
)
def test_mixtures_match_scipy_in_density_labels_and_noise(distribution: Synthetic, weights: np.ndarray) -> None:
    assert distribution.centers is not None
    assert distribution.scales is not None
    centers, scales = np.asarray(distribution.centers, np.float64), np.asarray(distribution.scales, np.float64)
    drawn = distribution.sample(jax.random.key(1), 20_000)
    points, labels = np.asarray(drawn["point"], np.float64), np.asarray(drawn["label"])

    expected = sum(
        w * stats.multivariate_normal(c, s**2 * np.eye(len(c))).pdf(points[:500])
        for w, c, s in zip(weights, centers, scales, strict=True)
    )
    np.testing.assert_allclose(log_density(distribution, points[:500]), np.log(expected), rtol=1e-4, atol=1e-4)
    assert (
        stats.chisquare(np.bincount(labels, minlength=len(centers)), np.asarray(weights) * 20_000).pvalue > FALSE_ALARM
    )
    noise = (points - centers[labels]) / scales[labels, np.newaxis]
    assert stats.kstest(noise.ravel(), "norm").pvalue > FALSE_ALARM


def test_ring_and_grid_have_the_published_parameters() -> None:
    on_ring, on_grid = np.asarray(ring().centers), np.asarray(grid().centers)
    np.testing.assert_allclose(np.linalg.norm(on_ring, axis=1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(on_ring @ on_ring[0], np.cos(np.pi / 4 * np.arange(8)), atol=1e-6)
    np.testing.assert_allclose(ring().scales, 0.01)
    assert {tuple(center) for center in on_grid} == {(x, y) for x in range(-4, 5, 2) for y in range(-4, 5, 2)}
    np.testing.assert_allclose(grid().scales, 0.05)


def test_weights_of_a_mixture_are_normalized() -> None:
    x = np.linspace(-5, 5, 11)[:, np.newaxis]
    np.testing.assert_allclose(
        log_density(gaussian_1d(weights=(3, 5, 2)), x), log_density(gaussian_1d(weights=(0.3, 0.5, 0.2)), x), rtol=1e-6
    )


def test_mixture_parameters_of_different_lengths_are_rejected() -> None:
    with pytest.raises(ValueError, match=r"centers \(2, 1\), scales \(3,\)"):
        gaussian_1d(means=(0.0, 1.0))


def test_log_density_and_gradient_are_finite_far_from_every_mode() -> None:
    far = jnp.array([[1e4, -1e4]])
    mixture = gaussian_mixture(jnp.zeros((2, 2)), jnp.ones(2), jnp.ones(2))
    value, gradient = jax.jit(jax.value_and_grad(lambda x: mixture.log_density(x)[0]))(far)
    np.testing.assert_allclose(value, -1e8, rtol=1e-5)
    np.testing.assert_allclose(gradient, -far, rtol=1e-5)


def sine(t: float) -> tuple[float, float]:
    return t, np.sin(t)


def spiral(t: float) -> tuple[float, float]:
    return t / 10 * np.cos(t), t / 10 * np.sin(t)


@pytest.mark.parametrize(
    ("distribution", "at", "start", "end", "scale"),
    [
        (curve(), sine, -np.pi, np.pi, 0.1),
        (curve(scale=0.02), sine, -np.pi, np.pi, 0.02),
        (swiss_roll(), spiral, 1.5 * np.pi, 4.5 * np.pi, 0.05),
    ],
)
def test_density_of_a_noisy_curve_matches_adaptive_quadrature(
    distribution: Synthetic, at: Callable[[float], tuple[float, float]], start: float, end: float, scale: float
) -> None:
    drawn = np.asarray(distribution.sample(jax.random.key(2), 12)["point"], np.float64)
    ends = np.array([at(start), at(end)])
    points = np.concatenate([drawn, ends, ends + 3 * scale])

    def density(x: np.ndarray) -> float:
        def integrand(t: float) -> float:
            squared = (x[0] - at(t)[0]) ** 2 + (x[1] - at(t)[1]) ** 2
            return np.exp(-squared / (2 * scale**2)) / (2 * np.pi * scale**2) / (end - start)

        pieces = np.linspace(start, end, 41)
        return sum(integrate.quad(integrand, a, b, epsrel=1e-10)[0] for a, b in itertools.pairwise(pieces))

    expected = np.log([density(x) for x in points])
    np.testing.assert_allclose(log_density(distribution, points), expected, rtol=1e-5, atol=3e-5)


def test_density_of_the_normal_ring_matches_the_change_of_variables() -> None:
    z = jax.random.normal(jax.random.key(3), (200, 2))

    def g(z: jax.Array) -> jax.Array:
        return z / jnp.linalg.norm(z) + z / 10

    points, jacobians = jax.jit(jax.vmap(lambda z: (g(z), jax.jacfwd(g)(z))))(z)
    expected = stats.norm.logpdf(z).sum(axis=1) - np.log(np.abs(np.linalg.det(jacobians)))
    # The radius 1 + |z| / 10 loses digits of small |z| in float32.
    np.testing.assert_allclose(log_density(normal_ring(), points), expected, rtol=1e-4, atol=1e-4)


def test_normal_ring_has_rayleigh_radii_and_uniform_angles() -> None:
    x, y = np.asarray(normal_ring().sample(jax.random.key(4), 20_000)["point"], np.float64).T
    assert stats.kstest(10 * (np.hypot(x, y) - 1), "rayleigh").pvalue > FALSE_ALARM
    assert stats.kstest(np.arctan2(y, x) / (2 * np.pi) + 0.5, "uniform").pvalue > FALSE_ALARM
    radii = np.linspace(1.0, 2.0, 20_001)
    density = np.exp(log_density(normal_ring(), np.stack([radii, np.zeros_like(radii)], axis=1)))
    np.testing.assert_allclose(integrate.simpson(2 * np.pi * radii * density, x=radii), 1.0, rtol=1e-5)


def test_density_and_gradient_are_zero_inside_the_normal_ring() -> None:
    inside = jnp.array([[0.0, 0.0], [0.5, 0.5]])
    value, gradient = jax.jit(jax.value_and_grad(lambda x: jnp.exp(normal_ring().log_density(x)).sum()))(inside)
    assert value == 0
    np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize("name", SYNTHETIC)
def test_samples_are_determined_by_the_key_under_jit_and_vmap(name: str) -> None:
    sample = SYNTHETIC[name]().sample
    keys = jax.random.split(jax.random.key(5), 2)
    vmapped = jax.jit(jax.vmap(lambda key: sample(key, 50)["point"]))(keys)
    np.testing.assert_allclose(vmapped[1], sample(keys[1], 50)["point"], rtol=1e-5, atol=1e-5)
    assert not np.allclose(vmapped[0], vmapped[1])
