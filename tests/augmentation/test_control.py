"""The control of the probability of augmentations: its closed form and its effect in a closed loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.augmentation import adjusted_probability
from jaxgen.errors import InputError


def test_p_changes_by_the_published_step():
    """64 images in each of 4 steps: 256 / 500,000, up above the target 0.6 and down below it, not at it."""
    step = jax.jit(lambda p, sign: adjusted_probability(p, sign, batch_size=64))
    results = [step(0.3, sign) for sign in (0.61, 0.59, 0.6)]
    np.testing.assert_allclose(results, [0.3 + 0.000512, 0.3 - 0.000512, 0.3], rtol=1e-6)


def test_p_rises_by_one_within_the_adjustment_images():
    p = 0.0
    for _ in range(1000 // (10 * 4)):
        p = adjusted_probability(p, 1.0, batch_size=10, adjustment_images=1000)
    np.testing.assert_allclose(p, 1.0, rtol=1e-5)


def test_p_is_bounded_by_zero_only():
    assert adjusted_probability(0.0001, 0.0, batch_size=64) == 0
    assert adjusted_probability(1.0, 1.0, batch_size=64) > 1


def test_signs_of_a_discriminator_that_p_weakens_reach_their_target():
    """r = 1 - p / 2, a model of a discriminator that overfits less as p grows, is 0.6 at p = 0.8."""

    def interval(p, _):
        p = adjusted_probability(p, 1 - p / 2, batch_size=50, adjustment_images=20_000)
        return p, 1 - p / 2

    _, signs = jax.jit(lambda: jax.lax.scan(interval, jnp.zeros(()), length=200))()
    assert signs[0] > 0.99
    np.testing.assert_allclose(signs[-20:], 0.6, atol=0.006)


def test_p_of_a_diverged_discriminator_is_not_a_number():
    assert np.isnan(jax.jit(lambda r: adjusted_probability(0.5, r, batch_size=64))(np.nan))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"p": -1.0}, "p must be finite and at least 0, got -1.0"),
        ({"mean_sign": 1.5}, "mean_sign must be between -1 and 1, got 1.5"),
        ({"target": -2.0}, "target must be at least -1, got -2.0"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"interval": 2.5}, "interval must be an integer, got float 2.5"),
    ],
)
def test_wrong_arguments_are_refused_in_one_sentence(arguments, message):
    with pytest.raises(InputError, match=message):
        adjusted_probability(**({"p": 0.5, "mean_sign": 0.5, "batch_size": 8} | arguments))
