"""The modulated convolution against kernels that are made for each example in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.signal import convolve, correlate

from jaxgen.nn.modulated_convolution import modulated_convolution

KEYS = jax.random.split(jax.random.key(0), 3)
X = jax.random.normal(KEYS[0], (2, 5, 5, 3))
KERNEL = jax.random.normal(KEYS[1], (3, 3, 3, 4))
STYLES = 1 + jax.random.normal(KEYS[2], (2, 3))


def expected(*, demodulate):
    """Each example by its own kernel."""
    images = []
    for x, style in zip(np.asarray(X, np.float64), np.asarray(STYLES, np.float64), strict=True):
        kernel = np.asarray(KERNEL, np.float64) * style[:, None]
        if demodulate:
            kernel = kernel / np.sqrt(np.square(kernel).sum(axis=(0, 1, 2)) + 1e-8)
        padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
        images.append(np.stack([correlate(padded, kernel[..., j], mode="valid")[..., 0] for j in range(4)], axis=-1))
    return np.stack(images)


@pytest.mark.parametrize("form", ["scaled", "grouped"])
@pytest.mark.parametrize("demodulate", [True, False])
def test_each_example_is_convolved_with_its_own_kernel(form, demodulate):
    found = modulated_convolution(X, KERNEL, STYLES, demodulate=demodulate, form=form)
    np.testing.assert_allclose(found, expected(demodulate=demodulate), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("form", ["scaled", "grouped"])
def test_each_example_is_enlarged_by_its_own_kernel(form):
    """The window of an enlargement is a convolution: zeros between the pixels, then the kernel, then the filter."""
    tap = np.array([0.25, 0.75, 0.75, 0.25])  # The filter, with the sum 2 along each axis.
    found = modulated_convolution(X, KERNEL, STYLES, up=2, form=form)
    for image, x, style in zip(found, np.asarray(X, np.float64), np.asarray(STYLES, np.float64), strict=True):
        kernel = np.asarray(KERNEL, np.float64) * style[:, None]
        kernel = kernel / np.sqrt(np.square(kernel).sum(axis=(0, 1, 2)) + 1e-8)
        spread = np.zeros((10, 10, 3))
        spread[::2, ::2] = x
        for j in range(4):
            channels = [convolve(spread[..., i], kernel[..., i, j]) for i in range(3)]
            expected = convolve(sum(channels), np.outer(tap, tap))[2:12, 2:12]
            np.testing.assert_allclose(image[..., j], expected, rtol=1e-4, atol=1e-5)


def test_both_forms_have_the_same_gradients_of_second_order_and_over_seeds():
    def loss(form, kernel, styles):
        def of_styles(styles):
            return jnp.square(modulated_convolution(X, kernel, styles, up=2, form=form)).sum()

        return jnp.square(jax.grad(of_styles)(styles)).sum()

    kernels = jnp.stack([KERNEL, 0.5 * KERNEL[::-1]])
    scaled, grouped = (
        jax.jit(jax.vmap(jax.grad(lambda kernel, form=form: loss(form, kernel, STYLES))))(kernels)
        for form in ("scaled", "grouped")
    )
    np.testing.assert_allclose(scaled, grouped, rtol=1e-3, atol=1e-4 * np.abs(grouped).max())


def test_demodulated_outputs_do_not_depend_on_the_size_of_a_style_of_equal_factors():
    for factor in (1e-2, 1e2):
        scaled = modulated_convolution(X, KERNEL, factor * jnp.ones((2, 3)))
        np.testing.assert_allclose(scaled, modulated_convolution(X, KERNEL, jnp.ones((2, 3))), rtol=1e-3, atol=1e-5)


def test_bfloat16_features_are_demodulated_in_float32():
    found = modulated_convolution(X.astype(jnp.bfloat16), KERNEL, STYLES)
    assert found.dtype == jnp.bfloat16
    exact = expected(demodulate=True)
    assert np.abs(np.asarray(found, np.float64) - exact).max() < 0.03 * exact.std() * 3
