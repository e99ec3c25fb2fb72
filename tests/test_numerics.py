"""Elementary functions whose derivatives must survive rounding errors; the others are tested by what uses them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen import _numerics
from jaxgen._numerics import largest

NUMBERS = jnp.array([[1.0, 2.0, 3.0], [2.0, 2.0, 1.0]])


def gradient(x: jax.Array) -> jax.Array:
    return jax.grad(lambda x: largest(x, 1).sum())(x)


def test_gradient_of_the_maximum_is_shared_by_ties() -> None:
    np.testing.assert_array_equal(largest(NUMBERS, 1), [3.0, 2.0])
    np.testing.assert_array_equal(gradient(NUMBERS), [[0, 0, 1], [0.5, 0.5, 0]])


def test_gradient_of_the_maximum_is_finite_where_no_number_equals_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a program that computes the numbers a second time, with other rounding errors."""
    maximum = largest
    monkeypatch.setattr(_numerics, "largest", lambda x, axis: jnp.nextafter(maximum(x, axis), jnp.inf))
    np.testing.assert_array_equal(gradient(NUMBERS), [[0, 0, 1], [1, 0, 0]])


def test_derivative_of_the_maximum_of_no_numbers_is_zero() -> None:
    value, derivative = jax.jvp(lambda x: largest(x, 1), [jnp.zeros((2, 0))], [jnp.zeros((2, 0))])
    np.testing.assert_array_equal(value, [-np.inf] * 2)
    np.testing.assert_array_equal(derivative, [0.0] * 2)


@pytest.mark.parametrize("shape", [(1, 8192), (300, 64)])
@pytest.mark.parametrize("compiled", [False, True])
def test_maximum_of_numbers_with_nan_is_nan(shape: tuple[int, int], compiled: bool) -> None:
    """On a CPU, `jnp.max` of many numbers ignores NaN."""
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    x[-1, 5] = np.nan
    found = (jax.jit(largest, static_argnums=1) if compiled else largest)(jnp.asarray(x), 1)
    np.testing.assert_array_equal(found, x.max(axis=1))
