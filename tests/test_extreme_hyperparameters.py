"""Thresholds, scales and orders at the ends of the float range: value and gradient are right, or they are refused.

`losses.huber` and `losses.smooth_l1` are tested so in `losses/test_regression.py`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np
import pytest

from jaxgen import divergences, losses
from jaxgen.errors import InputError

KEY, INF = jax.random.key(0), float("inf")
X, Y = np.random.default_rng(0).normal(size=(2, 12, 3))
P, Q = (np.exp(z) / np.exp(z).sum(axis=1, keepdims=True) for z in (X, Y))
ORDERS = partial(divergences.sliced_wasserstein, KEY)


@pytest.mark.parametrize(
    ("function", "x", "y", "extreme", "limit"),
    [
        pytest.param(lambda x, y, v: divergences.renyi(x, y, alpha=v), P, Q, 1e38, INF, id="renyi"),
        pytest.param(lambda x, y, v: ORDERS(x, y, order=v), X, Y, 1e38, INF, id="sliced_wasserstein"),
        pytest.param(lambda x, y, v: divergences.mmd(x, y, bandwidth=v), X, Y, 1e-37, 1e-4, id="mmd"),
        pytest.param(lambda x, y, v: divergences.mmd(x, y, bandwidth=v), 1e9 * X, Y, 1e-37, 1e-4, id="mmd, far"),
    ],
)
def test_value_and_gradient_reach_their_limit(
    function: Callable[..., jax.Array], x: np.ndarray, y: np.ndarray, extreme: float, limit: float
) -> None:
    x, y = np.float32(x), np.float32(y)
    value, gradient = jax.value_and_grad(lambda x: function(x, y, extreme).sum())(x)
    expected, expected_gradient = jax.value_and_grad(lambda x: function(x, y, limit).sum())(x)
    np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-30)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-5, atol=1e-30)


def critic(x: jax.Array) -> jax.Array:
    return x[:, 0]


@pytest.mark.parametrize("value", [INF, -INF, float("nan"), -1.0])
@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("margin", partial(losses.triplet, X, X, X)),
        ("margin", partial(losses.triplet_kind, X, X, X)),
        ("margin", partial(losses.triplet_batch_all, X, np.arange(12))),
        ("margin", partial(losses.triplet_batch_hard, X, np.arange(12))),
        ("margin", partial(losses.triplet_semi_hard, KEY, X, np.arange(12))),
        ("target", partial(losses.gradient_penalty, KEY, critic, X, X)),
        ("target", partial(losses.dragan_penalty, KEY, critic, X)),
        ("scale", partial(losses.dragan_penalty, KEY, critic, X)),
        ("box_weight", partial(losses.detection_loss, X, X, np.zeros(12, int), X)),
        ("n_levels", partial(losses.discretized_logistic_nll, X, X)),
    ],
)
def test_infinite_and_negative_hyperparameters_are_refused_before_anything_is_computed(
    name: str, loss: Callable[..., Any], value: float
) -> None:
    with pytest.raises(InputError, match=f"^{name} must be finite and at least [02], got"):
        jax.eval_shape(lambda: loss(**{name: value}))
