import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats
from jax.test_util import check_grads

from jaxgen.losses import bernoulli_nll, discretized_logistic_nll, gaussian_nll, laplace_nll

GENERATOR = np.random.default_rng(0)
MEAN = GENERATOR.normal(size=(5, 4, 3)).astype(np.float32)
TARGETS = GENERATOR.normal(size=(5, 4, 3)).astype(np.float32)
LOG_SCALE = GENERATOR.normal(size=(5, 4, 3)).astype(np.float32)


def test_bernoulli_nll_matches_scipy_probability_mass():
    logits = 10.0 * MEAN
    targets = (TARGETS > 0).astype(np.float32)
    want = -scipy.stats.bernoulli.logpmf(targets, scipy.special.expit(np.float64(logits))).sum(axis=(1, 2))
    np.testing.assert_allclose(bernoulli_nll(jnp.asarray(logits), jnp.asarray(targets)), want, rtol=1e-5)


def test_bernoulli_nll_of_grey_targets_is_entropy_plus_kl_divergence():
    probabilities, targets = scipy.special.expit(np.float64(MEAN)), scipy.special.expit(np.float64(TARGETS))
    entropy = scipy.stats.bernoulli.entropy(targets)
    divergence = scipy.special.rel_entr(targets, probabilities) + scipy.special.rel_entr(1 - targets, 1 - probabilities)
    got = bernoulli_nll(jnp.asarray(MEAN), jnp.asarray(targets, jnp.float32))
    np.testing.assert_allclose(got, (entropy + divergence).sum(axis=(1, 2)), rtol=1e-5)


@pytest.mark.parametrize(
    ("logit", "target", "want"),
    [
        (1e4, 1.0, 0.0),
        (-1e4, 0.0, 0.0),
        (1e4, 0.0, 1e4),
        (-1e4, 1.0, 1e4),
        (1e4, 0.25, 7500.0),
        (20.0, 1.0, 2.0611536e-9),
        (0.0, 0.25, 0.6931472),
        (-0.0, 0.25, 0.6931472),
    ],
)
def test_bernoulli_nll_is_accurate_at_extreme_logits(logit, target, want):
    value, gradient = jax.value_and_grad(lambda x: bernoulli_nll(x, jnp.array([[target]])).sum())(jnp.array([[logit]]))
    np.testing.assert_allclose(value, want, rtol=1e-6)
    np.testing.assert_allclose(gradient[0, 0], scipy.special.expit(logit) - target, rtol=1e-5, atol=1e-8)


def test_bernoulli_nll_accepts_integer_targets():
    targets = jnp.array([[0, 1, 1]], jnp.uint8)
    logits = jnp.array([[0.5, -1.0, 2.0]])
    assert bernoulli_nll(logits, targets) == bernoulli_nll(logits, targets.astype(jnp.float32))


@pytest.mark.parametrize("log_scale", [0.0, -1.5, LOG_SCALE], ids=["unit", "narrow", "per pixel"])
@pytest.mark.parametrize(
    ("nll", "distribution"),
    [(gaussian_nll, scipy.stats.norm), (laplace_nll, scipy.stats.laplace)],
    ids=["normal", "laplace"],
)
def test_densities_match_scipy(nll, distribution, log_scale):
    scale = np.exp(np.float64(log_scale))
    want = -distribution.logpdf(np.float64(TARGETS), np.float64(MEAN), scale).sum(axis=(1, 2))
    got = nll(jnp.asarray(MEAN), jnp.asarray(TARGETS), log_scale=jnp.asarray(log_scale))
    np.testing.assert_allclose(got, want, rtol=1e-5)


@pytest.mark.parametrize("nll", [gaussian_nll, laplace_nll])
def test_gradient_vanishes_at_maximum_likelihood_scale(nll):
    deviation = np.float64(TARGETS - MEAN)
    best = np.sqrt(np.mean(deviation**2)) if nll is gaussian_nll else np.mean(np.abs(deviation))
    gradient = jax.grad(lambda s: nll(jnp.asarray(MEAN), jnp.asarray(TARGETS), log_scale=s).mean())(jnp.log(best))
    np.testing.assert_allclose(gradient, 0.0, atol=1e-4)


@pytest.mark.parametrize("nll", [gaussian_nll, laplace_nll, discretized_logistic_nll])
def test_log_scale_of_another_shape_raises(nll):
    with pytest.raises(ValueError, match=r"mean \(5, 4, 3\) and log_scale \(3,\)"):
        nll(jnp.asarray(MEAN), jnp.asarray(TARGETS), log_scale=jnp.zeros(3))


@pytest.mark.parametrize("nll", [bernoulli_nll, gaussian_nll, laplace_nll])
def test_gradients_match_finite_differences(nll):
    with jax.enable_x64(True):
        arguments = (jnp.asarray(MEAN, jnp.float64), jax.nn.sigmoid(jnp.asarray(TARGETS, jnp.float64)))
        check_grads(jax.jit(nll), arguments, order=2, modes=["fwd", "rev"])


@pytest.mark.parametrize(("mean", "log_scale"), [(0.5, -3.0), (0.0, -6.0), (1.3, 0.0), (-40.0, 1.0)])
@pytest.mark.parametrize("n_levels", [2, 16, 256])
def test_discretized_logistic_probabilities_sum_to_one(mean, log_scale, n_levels):
    levels = jnp.arange(n_levels)[:, None] / (n_levels - 1)
    nll = discretized_logistic_nll(
        jnp.full_like(levels, mean), levels, log_scale=jnp.float32(log_scale), n_levels=n_levels
    )
    np.testing.assert_allclose(jnp.exp(-nll).sum(), 1.0, rtol=1e-5)


def test_discretized_logistic_limits_of_wide_and_narrow_levels():
    certain = discretized_logistic_nll(jnp.array([[0.502]]), jnp.array([[128 / 255]]), log_scale=-12.0)
    np.testing.assert_allclose(certain, 0.0, atol=1e-6)
    density = discretized_logistic_nll(jnp.array([[0.3]]), jnp.array([[0.5]]), log_scale=0.0, n_levels=65_536)
    want = -scipy.stats.logistic.logpdf(0.5, 0.3) + np.log(65_535)
    np.testing.assert_allclose(density, want, rtol=1e-6)


def test_discretized_logistic_is_accurate_in_tails():
    # At 1,000 scales from the mean the difference of two sigmoids is 0 in any precision.
    mean, target, log_scale = jnp.array([[-10.0]]), jnp.array([[100 / 255]]), np.log(0.01)
    value, gradient = jax.value_and_grad(lambda m: discretized_logistic_nll(m, target, log_scale=log_scale).sum())(mean)
    step = 1 / 255 / 0.01
    want = (100 / 255 + 10) / 0.01 - step / 2 - np.log(-np.expm1(-step))
    np.testing.assert_allclose(value, want, rtol=1e-5)
    np.testing.assert_allclose(gradient, [[-100.0]], rtol=1e-5)


@pytest.mark.parametrize("nll", [gaussian_nll, laplace_nll])
@pytest.mark.parametrize("log_scale", [-100.0, -45.0, 45.0, 100.0])
def test_exact_predictions_are_finite_at_any_scale(nll, log_scale):
    # A learned scale becomes extreme for a pixel that is constant over examples: log scale + log(2 pi) / 2, or log 2.
    pixel = jnp.array([[0.25]])
    value, gradients = jax.value_and_grad(lambda m, s: nll(m, pixel, log_scale=s).sum(), (0, 1))(
        pixel, jnp.float32(log_scale)
    )
    constant = 0.5 * np.log(2 * np.pi) if nll is gaussian_nll else np.log(2)
    np.testing.assert_allclose(value, log_scale + constant, rtol=1e-6)
    assert gradients[0] == 0.0
    assert gradients[1] == 1.0


@pytest.mark.parametrize("size", [1e-20, 1e25])
@pytest.mark.parametrize("nll", [gaussian_nll, laplace_nll])
def test_densities_do_not_depend_on_unit(nll, size):
    # The target is one scale from the mean, in any unit.
    value = nll(jnp.zeros((1, 1)), jnp.array([[size]]), log_scale=jnp.log(size))
    constant = 0.5 + 0.5 * np.log(2 * np.pi) if nll is gaussian_nll else 1 + np.log(2)
    np.testing.assert_allclose(value, np.log(size) + constant, rtol=1e-6)


@pytest.mark.parametrize(("log_scale", "want"), [(95.0, 95.0 + np.log(4 * 255)), (-100.0, 0.0)])
def test_discretized_logistic_gradient_is_finite_at_any_scale(log_scale, want):
    # For a scale far wider than a level, the probability is level / scale / 4; for a far narrower one it is 1.
    level = jnp.array([[128 / 255]])
    value, gradient = jax.value_and_grad(lambda s: discretized_logistic_nll(level, level, log_scale=s).sum())(
        jnp.float32(log_scale)
    )
    np.testing.assert_allclose(value, want, rtol=1e-6)
    np.testing.assert_allclose(gradient, float(log_scale > 0), atol=1e-6)


def test_discretized_logistic_rejects_integer_targets():
    with pytest.raises(ValueError, match=r"floating-point values in \[0, 1\], got uint8; divide bytes by 255"):
        discretized_logistic_nll(jnp.zeros((1, 1)), jnp.array([[100]], jnp.uint8))


def test_less_than_two_levels_raise():
    with pytest.raises(ValueError, match="n_levels must be at least 2, got 1"):
        discretized_logistic_nll(jnp.zeros((1, 1)), jnp.zeros((1, 1)), n_levels=1)
