"""The minibatch standard deviation against NumPy, of strided groups."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.errors import InputError
from jaxgen.nn.minibatch_stddev import append_minibatch_stddev

X = np.random.default_rng(0).normal(size=(6, 2, 3, 4)).astype(np.float32)


def test_groups_are_strided_and_the_deviation_is_that_of_all_values():
    """Examples 0, 2, 4 and 1, 3, 5; the mean of squares, without Bessel's correction."""
    y = np.asarray(append_minibatch_stddev(jnp.asarray(X), group=3))
    np.testing.assert_array_equal(y[..., :4], X)
    for start in (0, 1):
        expected = np.sqrt(X[start::2].astype(np.float64).var(axis=0) + 1e-8).mean()
        np.testing.assert_allclose(y[start::2, ..., 4], expected, rtol=1e-6)


def test_a_smaller_batch_is_one_group():
    of_six, of_more = (append_minibatch_stddev(jnp.asarray(X), group=group) for group in (6, 99))
    np.testing.assert_array_equal(of_six, of_more)


def test_equal_examples_have_a_small_deviation_and_finite_gradients():
    x = jnp.ones((4, 2, 2, 3))
    assert append_minibatch_stddev(x)[0, 0, 0, 3] == pytest.approx(1e-4)
    assert jnp.isfinite(jax.grad(lambda x: append_minibatch_stddev(x).sum())(x)).all()


def test_a_batch_that_does_not_divide_into_groups_is_refused():
    with pytest.raises(InputError, match="multiple of the group of the minibatch standard deviation, 4, got 6"):
        append_minibatch_stddev(jnp.asarray(X), group=4)
