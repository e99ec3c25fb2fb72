"""Normalization of vectors to the mean square 1."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.nn.pixel_norm import pixel_norm


def test_vectors_have_the_length_of_the_root_of_their_dimension():
    z = np.random.default_rng(0).normal(size=(5, 512)).astype(np.float32) * 10
    lengths = np.linalg.norm(np.asarray(pixel_norm(jnp.asarray(z)), np.float64), axis=-1)
    np.testing.assert_allclose(lengths, np.sqrt(512), rtol=1e-6)


def test_zeros_stay_zeros_with_finite_gradients():
    assert (pixel_norm(jnp.zeros(4)) == 0).all()
    assert jnp.isfinite(jax.grad(lambda x: pixel_norm(x).sum())(jnp.zeros(4))).all()


def test_bfloat16_is_normalized_in_float32():
    x = jnp.full((3,), 1e-3, jnp.bfloat16)
    y = pixel_norm(x)
    assert y.dtype == jnp.bfloat16
    exact = np.asarray(x, np.float64) / np.sqrt(np.square(np.asarray(x, np.float64)).mean() + 1e-8)
    np.testing.assert_allclose(np.asarray(y, np.float64), exact, rtol=2**-8)
