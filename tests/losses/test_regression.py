import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.metrics import mean_absolute_error, mean_squared_error

from jaxgen.losses import absolute_error, squared_error


@pytest.mark.parametrize(
    ("error", "mean_error"), [(absolute_error, mean_absolute_error), (squared_error, mean_squared_error)]
)
def test_means_are_those_of_scikit_learn(error, mean_error):
    predictions, targets = np.random.default_rng(0).normal(size=(2, 20, 6)).astype(np.float32)
    columns = error(jnp.asarray(predictions), jnp.asarray(targets)).mean(axis=0)
    np.testing.assert_allclose(columns, mean_error(targets, predictions, multioutput="raw_values"), rtol=1e-5)


def test_squared_error_is_that_of_optax():
    predictions, targets = jax.random.normal(jax.random.key(0), (2, 7, 3))
    np.testing.assert_array_equal(squared_error(predictions, targets), optax.squared_error(predictions, targets))


@pytest.mark.parametrize(("error", "slopes"), [(absolute_error, [-1, 0, 1]), (squared_error, [-4, 0, 6])])
def test_slopes(error, slopes):
    predictions, targets = jnp.array([1.0, 2.0, 6.0]), jnp.array([3.0, 2.0, 3.0])
    assert jax.grad(lambda p: error(p, targets).sum())(predictions).tolist() == slopes


def test_unsigned_pictures_do_not_wrap_around():
    black, white = jnp.array([0], jnp.uint8), jnp.array([255], jnp.uint8)
    assert absolute_error(black, white).tolist() == [255.0]
    assert squared_error(black, white).tolist() == [65025.0]
