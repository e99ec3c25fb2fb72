"""Optimal discriminators and values against quadrature in float64 and published formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats

from jaxgen import losses
from jaxgen.analysis import (
    generator_gradient,
    optimal_discriminator,
    optimal_logits,
    value_at_optimum,
    value_from_logits,
)
from jaxgen.data.synthetic import gaussian_1d
from jaxgen.divergences import js
from jaxgen.errors import InputError

DATA = {"weights": (0.3, 0.5, 0.2), "means": (-4.0, 0.0, 3.0), "scales": (0.5, 1.0, 0.7)}
PAIRS = [
    (DATA, {"weights": (1.0,), "means": (0.5,), "scales": (2.0,)}),
    (DATA, {"weights": (0.6, 0.4), "means": (-3.0, 2.0), "scales": (1.0, 1.5)}),
    ({"weights": (1.0,), "means": (-3.0,), "scales": (0.5,)}, {"weights": (1.0,), "means": (3.0,), "scales": (0.5,)}),
    (DATA, DATA),
]


def density(x, mixture):
    parts = zip(mixture["weights"], mixture["means"], mixture["scales"], strict=True)
    return sum(weight * scipy.stats.norm.pdf(x, mean, scale) for weight, mean, scale in parts)


def jensen_shannon(first, second):
    """Jensen-Shannon divergence by adaptive quadrature in float64."""

    def integrand(x):
        p, q = density(x, first), density(x, second)
        return 0.5 * (scipy.special.rel_entr(p, (p + q) / 2) + scipy.special.rel_entr(q, (p + q) / 2))

    return scipy.integrate.quad(integrand, -15, 15, limit=500, epsabs=1e-12, points=(-4, -3, 0, 3))[0]


def log_densities(pair, x):
    return tuple(gaussian_1d(**mixture).log_density(x[:, None]) for mixture in pair)


def test_optimal_discriminator_matches_float64():
    log_p, log_q = np.float32(np.random.default_rng(0).uniform(-60, 10, size=(2, 1000)))
    want = scipy.special.expit(np.float64(log_p) - np.float64(log_q))
    np.testing.assert_allclose(optimal_discriminator(log_p, log_q), want, rtol=1e-5)


def test_zero_densities_give_infinite_logits_and_finite_gradients():
    log_p = jnp.array([-jnp.inf, 0.0, -jnp.inf, -1e4, -1e4])
    log_q = jnp.array([0.0, -jnp.inf, -jnp.inf, -1e4, 1e4])
    assert optimal_discriminator(log_p, log_q).tolist() == [0.0, 1.0, 0.5, 0.5, 0.0]
    assert optimal_logits(log_p, log_q).tolist() == [-np.inf, np.inf, 0.0, 0.0, -2e4]
    gradient = jax.grad(lambda p, q: jnp.sum(optimal_discriminator(p, q)), argnums=(0, 1))(log_p, log_q)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("pair", PAIRS)
def test_value_at_optimum_is_twice_jensen_shannon_minus_log_four(pair):
    x = np.linspace(-15, 15, 3001)
    want = 2 * jensen_shannon(*pair) - 2 * np.log(2)
    with jax.enable_x64(True):
        logs = [np.log(density(x, mixture)) for mixture in pair]
        exact = float(value_at_optimum(*map(jnp.asarray, logs), volumes=x[1] - x[0]))
    assert abs(exact - want) < 1e-9
    single = value_at_optimum(*log_densities(pair, np.float32(x)), volumes=x[1] - x[0])
    assert abs(single - want) < 1e-5


def test_value_at_optimum_of_discrete_distributions_matches_js():
    p, q = np.float32(np.random.default_rng(0).dirichlet(np.full(20, 0.3), size=2))
    p[:3], q[2:5] = 0, 0
    p, q = p / p.sum(), q / q.sum()
    want = 2 * js(jnp.asarray(p), jnp.asarray(q)) - 2 * np.log(2)
    assert abs(value_at_optimum(jnp.log(p), jnp.log(q)) - want) < 1e-6


@pytest.mark.parametrize("pair", PAIRS[:2])
def test_value_from_logits_estimates_value_at_optimum(pair):
    size = 50_000
    keys = jax.random.split(jax.random.key(0))
    samples = [gaussian_1d(**mixture).sample(key, size)["point"][:, 0] for mixture, key in zip(pair, keys, strict=True)]
    real, fake = (optimal_logits(*log_densities(pair, x)) for x in samples)
    spread = np.std(jax.nn.log_sigmoid(real)) ** 2 + np.std(jax.nn.log_sigmoid(-fake)) ** 2
    want = 2 * jensen_shannon(*pair) - 2 * np.log(2)
    assert abs(value_from_logits(real, fake) - want) < 4 * np.sqrt(spread / size)
    # Other discriminators have smaller values on the same samples.
    assert value_from_logits(real + 0.5, fake + 0.5) < value_from_logits(real, fake) - 0.01
    assert value_from_logits(0.5 * real, 0.5 * fake) < value_from_logits(real, fake) - 0.01


def test_value_from_logits_averages_real_and_fake_separately():
    want = np.log(0.9) + (np.log(0.8) + np.log(0.5)) / 2
    logits = [scipy.special.logit(probabilities) for probabilities in ([0.9], [0.2, 0.5])]
    np.testing.assert_allclose(value_from_logits(*map(jnp.asarray, logits)), want, rtol=1e-6)


FORMULAS = {
    "minimax": lambda d: -d,
    "non_saturating": lambda d: -(1 - d),
    "least_squares": lambda d: scipy.special.logit(d) - 1,
    "hinge": lambda d: -np.ones_like(d),
    "wasserstein": lambda d: -np.ones_like(d),
    "relativistic_average": lambda d: -2 * (1 - d),  # One real example of logit 0, which contributes a second term.
}


def test_formulas_cover_all_adversarial_losses():
    pairs = {name for name in losses.__all__ if isinstance(getattr(losses, name), losses.AdversarialLoss)}
    assert pairs == set(FORMULAS)


@pytest.mark.parametrize("name", FORMULAS)
def test_generator_gradient_matches_formula(name):
    confidence = np.float32([[1e-30, 1e-6, 0.01, 0.3], [0.5, 0.7, 0.99, 0.9999]])
    got = generator_gradient(getattr(losses, name), jnp.asarray(confidence))
    np.testing.assert_allclose(got, FORMULAS[name](np.float64(confidence)), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("confidence", [0.0, 1.0, -0.1, np.nan])
def test_generator_gradient_raises_outside_of_the_open_interval(confidence):
    with pytest.raises(InputError, match="strictly between 0 and 1"):
        generator_gradient(losses.minimax, jnp.array([0.5, confidence]))


@pytest.mark.parametrize("function", [optimal_discriminator, optimal_logits, value_at_optimum])
def test_shapes_that_differ_raise(function):
    with pytest.raises(ValueError, match=r"log_p \(3,\) and log_q \(3, 1\)"):
        function(jnp.zeros(3), jnp.zeros((3, 1)))
