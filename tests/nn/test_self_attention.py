"""Tests of self-attention against NumPy in float64; `test_biggan.py` compares it with PyTorch within the networks."""

import jax
import numpy as np
import pytest

from jaxgen.errors import InputError
from jaxgen.nn.self_attention import SelfAttention

LAYER = SelfAttention()
X = np.random.default_rng(0).normal(size=(2, 4, 6, 16)).astype(np.float32)


def normalized(layer, spectral):
    """Return the kernel that a 1x1 convolution applies, after one step of the power iteration."""
    rows = np.asarray(layer["kernel"], np.float64)[0, 0].T
    v = np.asarray(spectral["u"], np.float64) @ rows
    v /= np.linalg.norm(v)
    return (rows / np.linalg.norm(rows @ v)).T


def test_output_is_input_plus_weighted_means_of_values_at_pooled_pixels():
    variables = LAYER.init(jax.random.key(0), X, train=False)
    variables["params"]["gamma"] = np.float32(0.7)
    query, key, value, out = (
        normalized(variables["params"][name], variables["spectral"][name]) for name in ("query", "key", "value", "out")
    )
    x = X.astype(np.float64)
    keys, values = (
        np.stack([(x @ kernel)[:, i : i + 2, j : j + 2].max((1, 2)) for i in (0, 2) for j in (0, 2, 4)], axis=1)
        for kernel in (key, value)
    )
    products = np.exp((x @ query).reshape(2, 24, 2) @ keys.transpose(0, 2, 1))  # no root of the channels
    weighted = (products / products.sum(axis=-1, keepdims=True)) @ values
    expected = x + 0.7 * (weighted @ out).reshape(x.shape)
    np.testing.assert_allclose(LAYER.apply(variables, X, train=False), expected, rtol=1e-5, atol=1e-5)


def test_gamma_is_zero_at_the_start():
    assert LAYER.init(jax.random.key(0), X, train=False)["params"]["gamma"] == 0


@pytest.mark.parametrize("shape", [(1, 4, 4, 7), (1, 3, 4, 8), (1, 4, 5, 8)])
def test_few_channels_and_odd_sides_are_refused(shape):
    with pytest.raises(InputError, match="even height and width and at least 8 channels"):
        LAYER.init(jax.random.key(0), np.zeros(shape, np.float32), train=False)
