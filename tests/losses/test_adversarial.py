import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from jaxgen.divergences import js
from jaxgen.losses import hinge, least_squares, minimax, non_saturating, relativistic_average, wasserstein

REAL, FAKE = (5.0 * np.random.default_rng(0).normal(size=(2, 50))).astype(np.float32)
PAIRS_OF_DISTRIBUTIONS = {
    "binomial and uniform": ([0.36, 0.48, 0.16], [1 / 3, 1 / 3, 1 / 3]),
    "equal": ([0.2, 0.3, 0.5], [0.2, 0.3, 0.5]),
    "nearly disjoint": ([1 - 2e-6, 1e-6, 1e-6], [1e-6, 1e-6, 1 - 2e-6]),
    "peaked and flat": ([0.97, 0.01, 0.01, 0.01], [0.25, 0.25, 0.25, 0.25]),
    "two normals": tuple(scipy.stats.norm(mean, 1).pdf(np.linspace(-8, 8, 200)) * 16 / 199 for mean in (-1, 1)),
}


def gradient(loss, logits):
    return jax.grad(lambda x: loss(x).sum())(jnp.asarray(logits))


@pytest.mark.parametrize(("p", "q"), PAIRS_OF_DISTRIBUTIONS.values(), ids=PAIRS_OF_DISTRIBUTIONS)
def test_minimax_value_at_optimal_discriminator_is_jensen_shannon_divergence(p, q):
    # Goodfellow et al. 2014, theorem 1: D = p / (p + q) maximizes E_p log D + E_q log(1 - D), to 2 JS - 2 log 2.
    p, q = np.array(p), np.array(q)
    optimal = jnp.asarray(np.log(p / q), jnp.float32)

    def value(logits):
        real = minimax.discriminator(logits, jnp.full_like(logits, -jnp.inf))
        fake = minimax.discriminator(jnp.full_like(logits, jnp.inf), logits)
        return -jnp.sum(p * real + q * fake)

    np.testing.assert_allclose(value(optimal), 2 * js(p, q) - 2 * np.log(2), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(jax.grad(value)(optimal), 0.0, atol=1e-6)
    assert value(optimal + 0.1) < value(optimal) > value(optimal - 0.1)


def test_generator_gradients_follow_discriminator_confidence():
    # d/dl log(1 - sigmoid(l)) = -D vanishes for confident D; d/dl -log sigmoid(l) = D - 1 does not.
    logits = np.linspace(-30, 30, 13)
    confidence = scipy.special.expit(logits)
    np.testing.assert_allclose(gradient(minimax.generator, logits), -confidence, rtol=1e-5)
    np.testing.assert_allclose(gradient(non_saturating.generator, logits), -scipy.special.expit(-logits), rtol=1e-5)
    assert gradient(minimax.generator, [-1e4]).tolist() == [0.0]
    assert gradient(non_saturating.generator, [-1e4]).tolist() == [-1.0]


def test_minimax_and_non_saturating_share_discriminator_loss_and_fixed_point():
    arguments = jnp.asarray(REAL), jnp.asarray(FAKE)
    assert (minimax.discriminator(*arguments) == non_saturating.discriminator(*arguments)).all()
    # At D = 1/2 both generators have the same gradient.
    assert gradient(minimax.generator, [0.0]).tolist() == gradient(non_saturating.generator, [0.0]).tolist() == [-0.5]


def test_gradients_of_misclassified_examples_do_not_vanish():
    gradients = jax.grad(lambda r, f: non_saturating.discriminator(r, f).sum(), (0, 1))(
        jnp.array([-1e4]), jnp.array([1e4])
    )
    np.testing.assert_allclose(gradients, [[-1.0], [1.0]])
    assert non_saturating.generator(jnp.array([-1e4])).tolist() == [1e4]


def test_optimal_least_squares_discriminator_is_density_ratio():
    # Mao et al. 2017, equation 5 with a = 0 and b = 1: p / (p + q) minimizes the expected loss.
    p, q = np.array([0.1, 0.2, 0.7]), np.array([0.5, 0.25, 0.25])

    def expected(values):
        real = least_squares.discriminator(values, jnp.zeros(3))
        fake = least_squares.discriminator(jnp.ones(3), values)
        return jnp.sum(p * real + q * fake)

    np.testing.assert_allclose(jax.grad(expected)(jnp.asarray(p / (p + q))), 0.0, atol=1e-6)


def test_hinge_loss_and_gradient_are_zero_beyond_margin():
    assert hinge.discriminator(jnp.array([1.0, 7.0]), jnp.array([-1.0, -2.0])).tolist() == [0.0, 0.0]
    assert hinge.discriminator(jnp.array([0.25]), jnp.array([0.5])).tolist() == [2.25]
    assert gradient(lambda x: hinge.discriminator(x, -2 * jnp.ones(2)), [2.0, 0.0]).tolist() == [0.0, -1.0]


def test_wasserstein_loss_of_optimal_critic_matches_scipy_distance():
    # In one dimension, if all fakes are below all reals, the identity is the optimal 1-Lipschitz critic.
    real, fake = np.abs(REAL), -np.abs(FAKE)
    distance = -wasserstein.discriminator(jnp.asarray(real), jnp.asarray(fake)).mean()
    np.testing.assert_allclose(distance, scipy.stats.wasserstein_distance(real, fake), rtol=1e-6)


def test_wasserstein_generator_loss_is_negative_critic_value():
    assert wasserstein.generator(jnp.array([3.0, -1e4]), jnp.zeros(2)).tolist() == [-3.0, 1e4]
    assert wasserstein.generator(jnp.ones(2, jnp.bfloat16)).dtype == jnp.bfloat16


def test_relativistic_loss_is_invariant_to_shift_of_all_logits():
    real, fake = jnp.asarray(REAL), jnp.asarray(FAKE)
    shifted = relativistic_average.discriminator(real + 8, fake + 8)
    np.testing.assert_allclose(shifted, relativistic_average.discriminator(real, fake), rtol=1e-4)
    equal = relativistic_average.discriminator(jnp.zeros(3), jnp.zeros(3))
    np.testing.assert_allclose(equal, 2 * np.log(2), rtol=1e-6)


def test_relativistic_generator_requires_real_logits():
    with pytest.raises(ValueError, match="real_logits must be given"):
        relativistic_average.generator(jnp.zeros(2))
