"""The path length penalty: the authors' lengths, penalties and gradients, and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.errors import InputError
from jaxgen.losses.path_regularization import path_length_penalty, path_lengths


def test_lengths_of_a_linear_generator_are_those_of_its_rows():
    """For image = A w the gradient of <image, noise> is A' noise, in each layer of its own."""
    rng = np.random.default_rng(0)
    a, w, noise = rng.normal(size=(3, 5, 20)), rng.normal(size=(2, 3, 5)), rng.normal(size=(2, 4, 5, 1))

    def synthesize(w):
        return jnp.einsum("lsp,nls->np", a, w).reshape(2, 4, 5, 1)

    expected = np.sqrt(np.square(np.einsum("lsp,np->nls", a, noise.reshape(2, 20))).sum(axis=2).mean(axis=1))
    np.testing.assert_allclose(path_lengths(synthesize, jnp.asarray(w), jnp.asarray(noise)), expected, rtol=1e-5)


def test_noise_is_divided_by_the_root_of_the_number_of_pixels():
    """So that the expected squared length of image = a w does not depend on the size of the image."""

    def mean_square(size):
        result = path_length_penalty(
            jax.random.key(0),
            lambda w: 3.0 * jnp.broadcast_to(w[..., None], (4000, 1, size, 1)),
            jnp.ones((4000, 1, 1)),
            0.0,
        )
        return jnp.square(result.lengths).mean()

    for size in (1, 4, 16):
        assert mean_square(size) == pytest.approx(9, rel=0.1)


def test_the_penalty_is_the_deviation_from_the_new_average_through_which_gradients_flow():
    """With one image of length L: (L - M')^2 = ((1 - decay) (L - M))^2, whose derivative is 2 (1 - decay)^2 (L - M)."""
    w = jnp.ones((1, 1, 1))

    def penalty(factor):
        result = path_length_penalty(jax.random.key(3), lambda w: factor * w[..., None], w, 0.25, decay=0.1)
        return result.penalty[0], result

    gradient, result = jax.grad(penalty, has_aux=True)(2.0)
    length = float(result.lengths[0])
    assert result.mean == pytest.approx(0.25 + 0.1 * (length - 0.25), rel=1e-5)
    assert result.penalty[0] == pytest.approx((0.9 * (length - 0.25)) ** 2, rel=1e-5)
    assert gradient == pytest.approx(2 * 0.81 * (length - 0.25) * length / 2, rel=1e-4)


def test_styles_of_another_form_are_refused():
    with pytest.raises(InputError, match=r"w must be \[batch, styles, style\], got the shape \(2, 3\)"):
        path_length_penalty(jax.random.key(0), lambda w: w, jnp.ones((2, 3)), 0.0)
