import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from sklearn.metrics import mean_absolute_error, mean_squared_error
from torch.nn import functional

from jaxgen.losses import absolute_error, huber, smooth_l1, squared_error


@pytest.mark.parametrize(
    ("error", "mean_error"), [(absolute_error, mean_absolute_error), (squared_error, mean_squared_error)]
)
def test_mean_errors_match_scikit_learn(error, mean_error):
    predictions, targets = np.random.default_rng(0).normal(size=(2, 20, 6)).astype(np.float32)
    columns = error(jnp.asarray(predictions), jnp.asarray(targets)).mean(axis=0)
    np.testing.assert_allclose(columns, mean_error(targets, predictions, multioutput="raw_values"), rtol=1e-5)


def test_squared_error_matches_optax():
    predictions, targets = jax.random.normal(jax.random.key(0), (2, 7, 3))
    np.testing.assert_array_equal(squared_error(predictions, targets), optax.squared_error(predictions, targets))


@pytest.mark.parametrize(
    ("error", "gradient"),
    [
        (absolute_error, [-1, 0, 1]),
        (squared_error, [-4, 0, 6]),
        (functools.partial(huber, delta=2.5), [-2, 0, 2.5]),
        (functools.partial(smooth_l1, beta=2.5), [-0.8, 0, 1]),
        (functools.partial(smooth_l1, beta=0.0), [-1, 0, 1]),
    ],
)
def test_gradients_match_closed_form(error, gradient):
    predictions, targets = jnp.array([1.0, 2.0, 6.0]), jnp.array([3.0, 2.0, 3.0])
    np.testing.assert_allclose(jax.grad(lambda p: error(p, targets).sum())(predictions), gradient, rtol=1e-6)


def test_unsigned_integers_do_not_wrap_around():
    black, white = jnp.array([0], jnp.uint8), jnp.array([255], jnp.uint8)
    assert absolute_error(black, white).tolist() == [255.0]
    assert squared_error(black, white).tolist() == [65025.0]
    assert huber(black, white).tolist() == [254.5]


@pytest.mark.parametrize("threshold", [0.25, 1.0, 3.0])
def test_value_and_derivative_are_continuous_at_threshold(threshold):
    # Smooth L1 with x^2 / beta below the threshold and |x| - 1/2 above, as some texts print it, is discontinuous here.
    around = threshold * jnp.array([1 - 1e-6, 1.0, 1 + 1e-6])
    for loss, height, derivative in (
        (functools.partial(smooth_l1, beta=threshold), threshold / 2, 1.0),
        (functools.partial(huber, delta=threshold), threshold**2 / 2, threshold),
    ):
        np.testing.assert_allclose(loss(around, jnp.zeros(3)), height, rtol=1e-5)
        np.testing.assert_allclose(jax.grad(lambda x, f=loss: f(x, jnp.zeros(3)).sum())(around), derivative, rtol=1e-5)


THRESHOLDS = [1e-30, 1e-4, 1.0, 1e4, 1e6, 1e18, float("inf")]


@pytest.mark.parametrize("threshold", THRESHOLDS)
@pytest.mark.parametrize("known", [True, False], ids=["known", "traced"])
def test_values_and_gradients_match_pytorch_in_float64_for_tiny_to_infinite_thresholds(threshold, known):
    """At an infinite threshold, where PyTorch gives NaN, they are those of half the squared error, and 0."""
    errors = np.float32([0.0, 1e-6, -1e-2, 0.5, -3.0, 1e5])
    targets = torch.zeros(6, dtype=torch.float64)
    torch_losses = (
        (huber, "delta", lambda e: functional.huber_loss(e, targets, delta=threshold, reduction="none")),
        (smooth_l1, "beta", lambda e: functional.smooth_l1_loss(e, targets, beta=threshold, reduction="none")),
    )
    for loss, name, reference in torch_losses:
        wide = torch.tensor(np.float64(errors), requires_grad=True)
        limit = 0.5 * wide**2 if loss is huber else 0 * wide
        expected = limit if np.isinf(threshold) else reference(wide)
        expected.sum().backward()

        def value(x, threshold, loss=loss, name=name):
            values = loss(x, jnp.zeros(6), **{name: threshold})
            return values.sum(), values

        function = jax.grad(value, has_aux=True)
        gradient, values = function(errors, threshold) if known else jax.jit(function)(errors, threshold)
        np.testing.assert_allclose(values, expected.detach(), rtol=1e-6, atol=1e-37)
        np.testing.assert_allclose(gradient, wide.grad, rtol=1e-6, atol=1e-37)


@pytest.mark.parametrize("threshold", [1e-20, 1e-3, 2.0, 1e20, float("inf")])
def test_gradients_with_respect_to_thresholds_match_closed_form(threshold):
    errors, zeros = np.float32([0.0, 1e-6, 0.5, -3.0]), jnp.zeros(4)
    size = np.abs(np.float64(errors))
    of_huber = jax.jacobian(lambda delta: huber(errors, zeros, delta=delta))(threshold)
    np.testing.assert_allclose(of_huber, np.where(size > threshold, size - threshold, 0), rtol=1e-6)
    of_smooth = jax.jacobian(lambda beta: smooth_l1(errors, zeros, beta=beta))(threshold)
    expected = np.where(size > threshold, -0.5, -0.5 * (size / threshold) ** 2)
    np.testing.assert_allclose(of_smooth, expected, rtol=1e-6, atol=1e-37)


def test_smooth_l1_is_huber_divided_by_threshold():
    errors = jnp.linspace(-3, 3, 25)
    np.testing.assert_allclose(
        smooth_l1(errors, jnp.zeros(25), beta=0.7), huber(errors, jnp.zeros(25), delta=0.7) / 0.7, rtol=1e-6
    )


def test_smooth_l1_vmaps_over_threshold():
    errors, thresholds = jnp.linspace(-3, 3, 25), jnp.array([0.0, 0.5, 2.0])
    swept = jax.vmap(lambda beta: smooth_l1(errors, jnp.zeros(25), beta=beta))(thresholds)
    for row, beta in zip(swept, thresholds, strict=True):
        np.testing.assert_allclose(row, smooth_l1(errors, jnp.zeros(25), beta=float(beta)), rtol=1e-6)


def test_huber_bounds_influence_of_outlier():
    # The minimizer of the squared error is the mean, which follows the outlier; that of Huber's loss stays with the
    # rest.
    data = jnp.array([0.0, 0.1, -0.1, 0.2, 100.0])
    derivative_at_one = jax.grad(lambda centre: huber(jnp.full(5, centre), data, delta=0.5).sum())(1.0)
    assert derivative_at_one > 0
    assert jax.grad(lambda centre: squared_error(jnp.full(5, centre), data).sum())(1.0) < 0


@pytest.mark.parametrize(
    ("loss", "sentence"),
    [
        (functools.partial(huber, delta=0.0), "delta must be above 0, got 0.0"),
        (functools.partial(huber, delta=float("nan")), "delta must be above 0, got nan"),
        (functools.partial(huber, delta=jnp.ones(3)), r"delta must be one number, got shape \(3,\)"),
        (functools.partial(smooth_l1, beta=-1.0), "beta must be at least 0, got -1.0"),
    ],
)
def test_invalid_thresholds_raise(loss, sentence):
    with pytest.raises(ValueError, match=sentence):
        loss(jnp.zeros(1), jnp.zeros(1))
