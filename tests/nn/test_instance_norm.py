"""Adaptive instance normalization against PyTorch, and its identities."""

import jax
import jax.numpy as jnp
import numpy as np
import torch

from jaxgen.nn.instance_norm import adain, channel_statistics, instance_norm

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(2.0, 3.0, (3, 4, 5, 2))
Y = RANDOM.normal(-1.0, 0.5, (3, 7, 2, 2))


def test_instance_norm_equals_pytorch():
    with jax.enable_x64(True):
        found = instance_norm(jnp.asarray(X), epsilon=1e-5)
    expected = torch.nn.functional.instance_norm(torch.tensor(X).permute(0, 3, 1, 2), eps=1e-5).permute(0, 2, 3, 1)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_standard_deviation_is_that_of_the_pixels_with_epsilon_in_the_root():
    """Divided by the number of pixels, as in the authors' code; pytorch-AdaIN's is unbiased."""
    with jax.enable_x64(True):
        found = channel_statistics(jnp.asarray(X))
    pixels = torch.tensor(X).flatten(1, 2)
    np.testing.assert_allclose(found[:, 0], pixels.mean(1), rtol=1e-12)
    np.testing.assert_allclose(found[:, 1], (pixels.var(1, unbiased=False) + 1e-5).sqrt(), rtol=1e-12)
    unbiased = (pixels.var(1) + 1e-5).sqrt().numpy()
    np.testing.assert_allclose(unbiased / np.asarray(found[:, 1]), np.sqrt(20 / 19), rtol=1e-5)


def test_result_has_the_statistics_of_the_style():
    with jax.enable_x64(True):
        style = channel_statistics(jnp.asarray(Y))
        found = channel_statistics(adain(jnp.asarray(X), style))
    np.testing.assert_allclose(found, style, rtol=1e-4)  # Up to 1e-5 beside the variance.


def test_own_statistics_change_nothing():
    with jax.enable_x64(True):
        x = jnp.asarray(X)
        found = adain(x, channel_statistics(x))
    np.testing.assert_allclose(found, X, rtol=1e-12)


def test_mean_of_the_statistics_is_the_mean_of_the_results():
    """Equation 15 interpolates the results; with the sum 1 of the weights the statistics can be interpolated."""
    weights = (0.3, 0.7)
    with jax.enable_x64(True):
        x, styles = jnp.asarray(X), [channel_statistics(jnp.asarray(y)) for y in (Y, Y[::-1] ** 2)]
        mixed = adain(x, sum(w * s for w, s in zip(weights, styles, strict=True)))
        expected = sum(w * adain(x, s) for w, s in zip(weights, styles, strict=True))
    np.testing.assert_allclose(mixed, expected, rtol=1e-12)


def test_values_and_gradients_are_finite_for_equal_pixels():
    """Where the standard deviation is 0, as for channels that no pixel activates."""
    zeros = jnp.zeros((1, 2, 2, 1))

    def total(x):
        return (adain(x, channel_statistics(x)) ** 2).sum() + channel_statistics(x).sum()

    value, gradient = jax.value_and_grad(total)(zeros)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
