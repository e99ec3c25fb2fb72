"""What the compiled program of `jit` computes, by its text."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.training import jit


def test_a_value_that_two_loops_share_behind_a_barrier_is_computed_once():
    def shared(x, y):
        larger = jax.lax.optimization_barrier(jnp.maximum(x, y))
        return larger[1:] + larger[:-1], larger[2:] - larger[:-2]

    x, y = np.random.default_rng(0).normal(size=(2, 100, 16)).astype(np.float32)
    compiled = jit(shared).lower(x, y).compile()
    assert compiled.as_text().count(" maximum(") == 1
    for ours, by_jax in zip(compiled(x, y), shared(x, y), strict=True):
        np.testing.assert_array_equal(ours, by_jax)
