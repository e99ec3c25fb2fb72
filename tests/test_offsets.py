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

from jaxgen import divergences, losses
from jaxgen.analysis import arithmetic
from jaxgen.metrics import frechet_distance_of_features

KEY = jax.random.key(0)
LABELS = np.arange(60) % 3


def attribute(x: jax.Array, y: jax.Array) -> jax.Array:
    """Return the direction of an attribute, whose first component cancels."""
    return arithmetic(x, y, jnp.zeros_like(x[:1]))


FUNCTIONS: dict[str, Callable[[Any, Any], jax.Array]] = {
    "mmd, rbf": partial(divergences.mmd, kernel="rbf"),
    "mmd, imq": partial(divergences.mmd, kernel="imq"),
    "energy_distance": divergences.energy_distance,
    "sliced_wasserstein": partial(divergences.sliced_wasserstein, KEY),
    "frechet_distance_of_features": frechet_distance_of_features,
    "pairwise_distance": losses.pairwise_distance,
    "triplet_batch_hard": lambda x, _: losses.triplet_batch_hard(x, LABELS)[0],
    "relativistic_average, discriminator": losses.relativistic_average.discriminator,
    "relativistic_average, generator": losses.relativistic_average.generator,
    "gaussian_nll": losses.gaussian_nll,
    "arithmetic": attribute,
}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_value_and_gradient_match_float64_far_from_the_origin(function: Callable[[Any, Any], jax.Array]) -> None:
    random = np.random.default_rng(1)
    x, y = ((random.normal(size=(60, 20)) + shift + 1e4).astype(np.float32) for shift in (0.0, 0.3))
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
