"""Layers with an equalized learning rate against the authors' arrays and the definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.nn.equalized import EqualizedConv, EqualizedDense, leaky_relu, resampled_convolution
from jaxgen.nn.precision import mixed_precision
from jaxgen.nn.resampling import BINOMIAL
from tests.references import channels_last, group

OPS = group("stylegan2_ada_pytorch", "ops/")
SQUARE = channels_last(OPS["x"])[:, :, :8]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("conv_k3_flipTrue", {}),
        ("conv_up2_k3_flipFalse", {"up": 2}),
        ("conv_down2_k3_flipTrue", {"down": 2}),
        ("conv_up2_k1", {"up": 2}),
        ("conv_down2_k1", {"down": 2}),
    ],
)
def test_convolutions_with_resampling_are_those_of_the_authors(name, options):
    """The window of an enlargement is flipped, and that of other convolutions is not."""
    kernel = OPS["w1" if "k1" in name else "w3"].transpose(2, 3, 1, 0)
    found = resampled_convolution(jnp.asarray(SQUARE), jnp.asarray(kernel), BINOMIAL, **options)
    np.testing.assert_allclose(found, channels_last(OPS[name]), atol=1e-5)


def test_weights_have_variance_1_and_outputs_of_normal_inputs_too():
    x = jax.random.normal(jax.random.key(1), (2000, 300))
    y, variables = EqualizedDense(40).init_with_output(jax.random.key(0), x)
    assert variables["params"]["kernel"].std() == pytest.approx(1, abs=0.02)
    assert y.std() == pytest.approx(1, abs=0.03)
    image = jax.random.normal(jax.random.key(1), (20, 16, 16, 30))
    y, variables = EqualizedConv(40, 3).init_with_output(jax.random.key(0), image)
    assert variables["params"]["kernel"].std() == pytest.approx(1, abs=0.02)
    assert y[:, 1:-1, 1:-1].std() == pytest.approx(1, abs=0.03)


def test_the_learning_rate_multiplier_changes_the_speed_and_not_the_layer_at_first():
    """Weights are stored larger by its inverse; the bias is multiplied too; outputs have the same distribution."""
    x = jax.random.normal(jax.random.key(1), (2000, 300))
    layer = EqualizedDense(40, multiplier=0.01, bias_init=2.0)
    y, variables = layer.init_with_output(jax.random.key(0), x)
    assert variables["params"]["kernel"].std() == pytest.approx(100, abs=2)
    np.testing.assert_allclose(variables["params"]["bias"], 200, rtol=1e-6)
    assert (y.mean(), y.std()) == (pytest.approx(2, abs=0.05), pytest.approx(1, abs=0.03))
    moved = jax.tree.map(lambda leaf: leaf + 1, variables)
    expected = (0.01 / np.sqrt(300)) * np.asarray(x).sum(axis=1)[:, None] + 0.01
    np.testing.assert_allclose(layer.apply(moved, x) - y, np.broadcast_to(expected, y.shape), atol=1e-4)


def test_the_scale_is_not_applied_to_the_bias():
    layer = EqualizedConv(1, 3)
    variables = layer.init(jax.random.key(0), jnp.zeros((1, 4, 4, 9)))
    shifted = jax.tree.map(lambda leaf: leaf + 3 if leaf.ndim == 1 else leaf, variables)
    np.testing.assert_allclose(layer.apply(shifted, jnp.zeros((1, 4, 4, 9))), 3)


def test_the_activation_keeps_the_mean_square_of_normal_features_near_1():
    """E[y^2] = 2 (1 + 0.2^2) / 2."""
    y = leaky_relu(jax.random.normal(jax.random.key(0), (100_000,)))
    assert jnp.square(y).mean() == pytest.approx(1.04, abs=0.01)
    np.testing.assert_allclose(leaky_relu(jnp.array([-2.0, 0.0, 3.0])), np.sqrt(2) * np.array([-0.4, 0, 3]), rtol=1e-6)


@pytest.mark.parametrize("layer", [EqualizedDense(3), EqualizedConv(3, 3, up=2)])
def test_layers_multiply_in_bfloat16_with_mixed_precision(layer):
    x = jax.random.normal(jax.random.key(1), (4, 7) if isinstance(layer, EqualizedDense) else (2, 4, 4, 7))
    variables = layer.init(jax.random.key(0), x)
    with mixed_precision():
        rounded = layer.apply(variables, x)
    exact = np.asarray(layer.apply(variables, x))
    assert rounded.dtype == jnp.float32
    difference = np.abs(rounded - exact).max() / exact.std()
    assert 1e-4 < difference < 0.05
