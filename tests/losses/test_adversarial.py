import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
import scipy.stats

from jaxgen.losses import non_saturating, wasserstein

REAL, FAKE = (5.0 * np.random.default_rng(0).normal(size=(2, 50))).astype(np.float32)


def test_non_saturating_is_goodfellows_formula_in_float64():
    real, fake = scipy.special.log_expit(np.float64(REAL)), scipy.special.log_expit(-np.float64(FAKE))
    np.testing.assert_allclose(
        non_saturating.discriminator(jnp.asarray(REAL), jnp.asarray(FAKE)), -real - fake, rtol=1e-5
    )
    np.testing.assert_allclose(
        non_saturating.generator(jnp.asarray(FAKE)), -scipy.special.log_expit(np.float64(FAKE)), rtol=1e-5
    )


def test_the_best_discriminator_pays_the_jensen_shannon_divergence():
    # Goodfellow et al. 2014, theorem 1: at D = p / (p + q), the loss is 2 log 2 - 2 JS(p, q).
    p, q = np.array([0.1, 0.2, 0.7]), np.array([0.5, 0.25, 0.25])
    logits = jnp.log(p / q)
    losses = non_saturating.discriminator(logits, jnp.zeros(3)) - np.log(2.0)
    fakes = non_saturating.discriminator(jnp.zeros(3), logits) - np.log(2.0)
    middle = (p + q) / 2
    divergence = (scipy.stats.entropy(p, middle) + scipy.stats.entropy(q, middle)) / 2
    np.testing.assert_allclose((p * losses + q * fakes).sum(), 2 * np.log(2) - 2 * divergence, rtol=1e-6)


def test_a_generator_that_is_found_out_still_learns():
    slope = jax.grad(lambda x: non_saturating.generator(x).sum())(jnp.array([-1e4, 0.0, 1e4]))
    np.testing.assert_allclose(slope, [-1.0, -0.5, 0.0])
    assert non_saturating.generator(jnp.array([-1e4])).tolist() == [1e4]
    slopes = jax.grad(lambda r, f: non_saturating.discriminator(r, f).sum(), (0, 1))(
        jnp.array([-1e4]), jnp.array([1e4])
    )
    np.testing.assert_allclose(slopes, [[-1.0], [1.0]])


def test_wasserstein_with_the_best_critic_is_scipys_distance():
    # In one dimension, if all fakes are below all reals, the identity is the best 1-Lipschitz critic.
    real, fake = np.abs(REAL), -np.abs(FAKE)
    distance = -wasserstein.discriminator(jnp.asarray(real), jnp.asarray(fake)).mean()
    np.testing.assert_allclose(distance, scipy.stats.wasserstein_distance(real, fake), rtol=1e-6)


def test_wasserstein_generator_climbs_the_critic():
    assert wasserstein.generator(jnp.array([3.0, -1e4]), jnp.zeros(2)).tolist() == [-3.0, 1e4]
    assert wasserstein.generator(jnp.ones(2, jnp.bfloat16)).dtype == jnp.bfloat16
