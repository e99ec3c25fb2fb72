"""Functions that depend on differences alone keep their digits where all their arguments are far from the origin.

Each is compared in float32 with itself in float64 at the same, rounded arguments. Rounding errors of the size of the
arguments' own are allowed; a mean of squares minus the square of a mean, or projections of the points as they are, lose
more, and have no digits left in gradients.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jaxgen import divergences, losses
from jaxgen._pairwise_distances import FEW_DIMENSIONS
from jaxgen.analysis import arithmetic
from jaxgen.metrics import frechet_distance_of_features, mixture_metrics

KEY = jax.random.key(0)
LABELS = np.arange(60) % 3


def attribute(x: jax.Array, y: jax.Array) -> jax.Array:
    """Return the direction of an attribute, whose first component cancels."""
    return arithmetic(x, y, jnp.zeros_like(x[:1]))


FUNCTIONS: dict[str, Callable[[Any, Any], jax.Array]] = {
    "mmd, rbf": partial(divergences.mmd, kernel="rbf"),
    "mmd, imq": partial(divergences.mmd, kernel="imq"),
    "energy_distance": divergences.energy_distance,
    "sliced_wasserstein": partial(divergences.sliced_wasserstein, KEY, n_projections=4),
    "frechet_distance_of_features": frechet_distance_of_features,
    "pairwise_distance": losses.pairwise_distance,
    "triplet_batch_hard": lambda x, _: losses.triplet_batch_hard(x, LABELS)[0],
    "relativistic_average, discriminator": losses.relativistic_average.discriminator,
    "relativistic_average, generator": losses.relativistic_average.generator,
    "gaussian_nll": losses.gaussian_nll,
    "arithmetic": attribute,
}


OF_PAIRS = [name for name in FUNCTIONS if name.startswith(("mmd", "energy", "pairwise", "triplet"))]
"""Functions of the distances of pairs, which are computed in another way in few dimensions."""


@pytest.mark.parametrize(
    ("name", "dimensions"), [*((name, 20) for name in FUNCTIONS), *((name, 3) for name in OF_PAIRS)]
)
def test_value_and_gradient_match_float64_far_from_the_origin(name: str, dimensions: int) -> None:
    assert 3 <= FEW_DIMENSIONS < 20
    function = FUNCTIONS[name]
    random = np.random.default_rng(1)
    x, y = ((random.normal(size=(60, dimensions)) + shift + 1e4).astype(np.float32) for shift in (0.0, 0.3))
    mix = random.normal(size=jax.eval_shape(function, x, y).shape)

    @jax.jit
    @partial(jax.value_and_grad, argnums=(0, 1), has_aux=True)
    def mixed(x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
        value = function(x, y)
        return jnp.sum(value * jnp.asarray(mix, x.dtype)), value

    (_, value), gradients = jax.device_get(mixed(x, y))
    with jax.enable_x64(True):
        (_, expected), expected_gradients = jax.device_get(mixed(np.float64(x), np.float64(y)))
    for got, want in zip((value, *gradients), (expected, *expected_gradients), strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=2e-5 * np.abs(want).max())


@pytest.mark.parametrize("dimensions", [3, 20])
def test_sinkhorn_divergence_does_not_depend_on_a_translation(dimensions: int) -> None:
    """Its iterations end where single precision does, so that those of float64 have other results."""
    random = np.random.default_rng(3)
    x, y = ((random.normal(size=(60, dimensions)) + shift + 1e4).astype(np.float32) for shift in (0.0, 0.3))
    value_and_gradients = jax.jit(jax.value_and_grad(partial(divergences.sinkhorn_divergence, epsilon=1.0), (0, 1)))
    far, near = value_and_gradients(x, y), value_and_gradients(x - np.float32(1e4), y - np.float32(1e4))
    for got, want in zip(jax.tree.leaves(far), jax.tree.leaves(near), strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=2e-5 * np.abs(want).max())


@pytest.mark.parametrize("dimensions", [1, 2, 20])
def test_modes_far_from_the_origin_are_counted_as_in_float64(dimensions: int) -> None:
    random = np.random.default_rng(2)
    centers = (3.0 * random.normal(size=(8, dimensions)) + 1e4).astype(np.float32)
    samples = (centers[random.integers(0, 6, 500)] + random.normal(size=(500, dimensions))).astype(np.float32)
    distances = np.linalg.norm(samples[:, None].astype(np.float64) - centers, axis=-1)
    near = distances.min(axis=1) <= 3.0
    found = mixture_metrics(samples, centers, np.ones(8, np.float32), np.full(8, 1 / 8, np.float32))
    assert float(found["high_quality"]) == pytest.approx(near.mean(), abs=1e-6)
    assert int(found["modes"]) == len(set(distances.argmin(axis=1)[near]))
    shares = np.bincount(distances.argmin(axis=1), minlength=8) / 500
    assert float(found["mode_kl_all"]) == pytest.approx(scipy.stats.entropy(shares, np.full(8, 1 / 8)), rel=1e-5)
