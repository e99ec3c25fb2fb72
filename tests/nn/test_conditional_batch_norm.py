"""Tests of BigGAN's batch normalization against PyTorch and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch.nn import functional

from jaxgen.errors import InputError
from jaxgen.models.networks import standing_statistics
from jaxgen.nn.conditional_batch_norm import BatchNorm, ConditionalBatchNorm

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(2.0, 3.0, (4, 3, 3, 2)).astype(np.float32)
LABELS = np.array([1, 0, 2, 1], np.int32)
PARAMS = {kind: {"embedding": RANDOM.normal(size=(3, 2)).astype(np.float32)} for kind in ("gain", "bias")}
STATS = {"mean": np.array([0.5, -1.0], np.float32), "var": np.array([2.0, 0.3], np.float32)}
LAYER = ConditionalBatchNorm(classes=3)


@pytest.mark.parametrize("train", [False, True])
def test_gain_is_one_plus_that_of_the_class_and_running_variance_is_unbiased(train):
    running = [torch.tensor(STATS[name]) for name in ("mean", "var")]
    y = functional.batch_norm(torch.tensor(np.moveaxis(X, -1, 1)), *running, training=train, momentum=0.1, eps=1e-5)
    gain, bias = (PARAMS[kind]["embedding"][LABELS][:, None, None] for kind in ("gain", "bias"))
    expected = np.moveaxis(y.numpy(), 1, -1) * (1 + gain) + bias
    variables = {"params": PARAMS, "batch_stats": STATS}
    found, new = LAYER.apply(variables, X, LABELS, train=train, mutable=["batch_stats"])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    for name, value in zip(("mean", "var"), running, strict=True):
        np.testing.assert_allclose(new["batch_stats"][name], value, rtol=1e-5)


def test_gain_is_one_and_bias_zero_where_their_weights_are_zero():
    variables = {"params": jax.tree.map(np.zeros_like, PARAMS), "batch_stats": STATS}
    found = LAYER.apply(variables, X, LABELS, train=False)
    np.testing.assert_allclose(found, (X - STATS["mean"]) / np.sqrt(STATS["var"] + 1e-5), rtol=1e-5, atol=1e-6)


def test_variance_keeps_its_digits_far_from_zero():
    far = (1e4 + RANDOM.normal(size=(400, 1))).astype(np.float32)
    variables = {"params": {"gain": np.ones(1), "bias": np.zeros(1)}, "batch_stats": {"mean": 0.0, "var": 1.0}}
    variables = jax.tree.map(lambda x: np.full(1, x, np.float32).reshape(1), jax.tree.map(np.sum, variables))
    y, _ = BatchNorm().apply(variables, far, train=True, mutable=["batch_stats"])
    exact = far.astype(np.float64)
    np.testing.assert_allclose(y, (exact - exact.mean()) / exact.std(), atol=2e-3)


def test_bfloat16_is_normalized_in_float32():
    x = jnp.asarray(X, jnp.bfloat16)
    variables = {"params": PARAMS, "batch_stats": STATS}
    found, _ = LAYER.apply(variables, x, LABELS, train=True, mutable=["batch_stats"])
    want, _ = LAYER.apply(variables, x.astype(jnp.float32), LABELS, train=True, mutable=["batch_stats"])
    np.testing.assert_array_equal(found, want)


def test_standing_statistics_are_means_over_batches():
    batches = RANDOM.normal(size=(5, *X.shape)).astype(np.float32)
    variables = {"params": PARAMS, "batch_stats": STATS}
    labels = np.stack([LABELS] * 5)
    found = standing_statistics(jax.random.key(0), LAYER, variables, batches, labels)["batch_stats"]
    np.testing.assert_allclose(found["mean"], batches.mean(axis=(0, 1, 2, 3)), atol=1e-6)
    np.testing.assert_allclose(found["var"], batches.var(axis=(1, 2, 3), ddof=1).mean(axis=0), rtol=1e-5)


def test_one_value_per_channel_is_refused_in_training():
    with pytest.raises(InputError, match="at least 2 values of each feature"):
        LAYER.apply(
            {"params": PARAMS, "batch_stats": STATS}, X[:1, :1, :1], LABELS[:1], train=True, mutable=["batch_stats"]
        )
