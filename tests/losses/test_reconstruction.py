import jax
import numpy as np
import pytest
import scipy.special
import scipy.stats
from jax.test_util import check_grads

from jaxgen import losses
from jaxgen.errors import InputError

# Jitted: running operation by operation would take most of the time of these tests.
bernoulli_nll, gaussian_nll, laplace_nll = map(jax.jit, (losses.bernoulli_nll, losses.gaussian_nll, losses.laplace_nll))
discretized_logistic_nll = jax.jit(losses.discretized_logistic_nll, static_argnames="n_levels")
GENERATOR = np.random.default_rng(0)
MEAN = GENERATOR.normal(size=(5, 4, 3)).astype(np.float32)
TARGETS = GENERATOR.normal(size=(5, 4, 3)).astype(np.float32)
LOG_SCALE = GENERATOR.normal(size=(5, 4, 3)).astype(np.float32)


def test_bernoulli_nll_matches_scipy_probability_mass():
    logits = 10.0 * MEAN
    targets = (TARGETS > 0).astype(np.float32)
    want = -scipy.stats.bernoulli.logpmf(targets, scipy.special.expit(np.float64(logits))).sum(axis=(1, 2))
    np.testing.assert_allclose(bernoulli_nll(logits, targets), want, rtol=1e-5)


def test_bernoulli_nll_of_grey_targets_is_entropy_plus_kl_divergence():
    probabilities, targets = scipy.special.expit(np.float64(MEAN)), scipy.special.expit(np.float64(TARGETS))
    entropy = scipy.stats.bernoulli.entropy(targets)
    divergence = scipy.special.rel_entr(targets, probabilities) + scipy.special.rel_entr(1 - targets, 1 - probabilities)
    got = bernoulli_nll(MEAN, np.float32(targets))
    np.testing.assert_allclose(got, (entropy + divergence).sum(axis=(1, 2)), rtol=1e-5)


@jax.jit
@jax.value_and_grad
def bernoulli_value_and_gradient(logits, targets):
    return bernoulli_nll(logits, targets).sum()


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
    value, gradient = bernoulli_value_and_gradient(np.float32([[logit]]), np.float32([[target]]))
    np.testing.assert_allclose(value, want, rtol=1e-6)
    np.testing.assert_allclose(gradient[0, 0], scipy.special.expit(logit) - target, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("nll", [losses.bernoulli_nll, losses.discretized_logistic_nll])
@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (np.uint8([[255]]), r"floating-point values in \[0, 1\], got uint8; divide bytes by 255"),
        (np.int32([[1]]), r"floating-point values in \[0, 1\], got int32; convert values 0 and 1 by x.astype"),
        (np.uint16([[65535]]), r"in \[0, 1\], got uint16; scale values from 0 to 65535 to \[0, 1\]"),
        (np.float32([[255]]), r"targets must be in \[0, 1\], got 255.0 to 255.0; divide them by 255"),
        (np.float32([[-1]]), r"targets must be in \[0, 1\], got -1.0 to -1.0; if they are in \[-1, 1\]"),
        (np.float32([[np.nan]]), r"targets must be in \[0, 1\], got nan to nan"),
    ],
)
def test_targets_outside_the_unit_interval_are_refused(nll, targets, message):
    logits = np.zeros((1, 1), np.float32)
    with pytest.raises(InputError, match=message):
        nll(logits, targets)
    if targets.dtype != np.float32:  # Of traced targets, the dtype is known.
        with pytest.raises(InputError, match=message.partition("; ")[0]):
            jax.jit(nll)(logits, targets)


@pytest.mark.parametrize("log_scale", [0.0, -1.5, LOG_SCALE], ids=["unit", "narrow", "per pixel"])
@pytest.mark.parametrize(
    ("nll", "distribution"),
    [(gaussian_nll, scipy.stats.norm), (laplace_nll, scipy.stats.laplace)],
    ids=["normal", "laplace"],
)
def test_densities_match_scipy(nll, distribution, log_scale):
    scale = np.exp(np.float64(log_scale))
    want = -distribution.logpdf(np.float64(TARGETS), np.float64(MEAN), scale).sum(axis=(1, 2))
    got = nll(MEAN, TARGETS, log_scale=np.float32(log_scale))
    np.testing.assert_allclose(got, want, rtol=1e-5)


@pytest.mark.parametrize("nll", [gaussian_nll, laplace_nll])
def test_gradient_vanishes_at_maximum_likelihood_scale(nll):
    deviation = np.float64(TARGETS - MEAN)
    best = np.sqrt(np.mean(deviation**2)) if nll is gaussian_nll else np.mean(np.abs(deviation))
    gradient = jax.jit(jax.grad(lambda s: nll(MEAN, TARGETS, log_scale=s).mean()))(np.log(best))
    np.testing.assert_allclose(gradient, 0.0, atol=1e-4)


@pytest.mark.parametrize("nll", [gaussian_nll, laplace_nll, discretized_logistic_nll])
def test_log_scale_of_another_shape_raises(nll):
    with pytest.raises(ValueError, match=r"mean \(5, 4, 3\) and log_scale \(3,\)"):
        nll(MEAN, TARGETS, log_scale=np.zeros(3))


@pytest.mark.parametrize("nll", [bernoulli_nll, gaussian_nll, laplace_nll])
def test_gradients_match_finite_differences(nll):
    with jax.enable_x64(True):
        arguments = (np.float64(MEAN), scipy.special.expit(np.float64(TARGETS)))
        check_grads(nll, arguments, order=2, modes=["fwd", "rev"])


@pytest.mark.parametrize(("mean", "log_scale"), [(0.5, -3.0), (0.0, -6.0), (1.3, 0.0), (-40.0, 1.0)])
@pytest.mark.parametrize("n_levels", [2, 16, 256])
def test_discretized_logistic_probabilities_sum_to_one(mean, log_scale, n_levels):
    levels = np.float32(np.arange(n_levels)[:, None] / (n_levels - 1))
    means = np.full_like(levels, mean)
    nll = discretized_logistic_nll(means, levels, log_scale=np.float32(log_scale), n_levels=n_levels)
    np.testing.assert_allclose(np.exp(-np.asarray(nll)).sum(), 1.0, rtol=1e-5)


def test_discretized_logistic_limits_of_wide_and_narrow_levels():
    certain = discretized_logistic_nll(np.float32([[0.502]]), np.float32([[128 / 255]]), log_scale=-12.0)
    np.testing.assert_allclose(certain, 0.0, atol=1e-6)
    density = discretized_logistic_nll(np.float32([[0.3]]), np.float32([[0.5]]), log_scale=0.0, n_levels=65_536)
    want = -scipy.stats.logistic.logpdf(0.5, 0.3) + np.log(65_535)
    np.testing.assert_allclose(density, want, rtol=1e-6)


def value_and_gradients(nll):
    """Return the compiled sum of a loss with its gradients by mean and scale."""
    return jax.jit(
        jax.value_and_grad(lambda mean, targets, log_scale: nll(mean, targets, log_scale=log_scale).sum(), (0, 2))
    )


discretized_value_and_gradients = value_and_gradients(discretized_logistic_nll)
density_value_and_gradients = {nll: value_and_gradients(nll) for nll in (gaussian_nll, laplace_nll)}


def test_discretized_logistic_is_accurate_in_tails():
    # At 1,000 scales from the mean the difference of two sigmoids is 0 in any precision.
    mean, target, log_scale = np.float32([[-10.0]]), np.float32([[100 / 255]]), np.log(0.01)
    value, gradient = discretized_value_and_gradients(mean, target, log_scale)
    step = 1 / 255 / 0.01
    want = (100 / 255 + 10) / 0.01 - step / 2 - np.log(-np.expm1(-step))
    np.testing.assert_allclose(value, want, rtol=1e-5)
    np.testing.assert_allclose(gradient[0], [[-100.0]], rtol=1e-5)


@pytest.mark.parametrize("nll", [gaussian_nll, laplace_nll])
@pytest.mark.parametrize("log_scale", [-100.0, -45.0, 45.0, 100.0])
def test_exact_predictions_are_finite_at_any_scale(nll, log_scale):
    # A learned scale becomes extreme for a pixel that is constant over examples: log scale + log(2 pi) / 2, or log 2.
    pixel = np.float32([[0.25]])
    value, gradients = density_value_and_gradients[nll](pixel, pixel, np.float32(log_scale))
    constant = 0.5 * np.log(2 * np.pi) if nll is gaussian_nll else np.log(2)
    np.testing.assert_allclose(value, log_scale + constant, rtol=1e-6)
    assert gradients[0] == 0.0
    assert gradients[1] == 1.0


@pytest.mark.parametrize("size", [1e-20, 1e25])
@pytest.mark.parametrize("nll", [gaussian_nll, laplace_nll])
def test_densities_do_not_depend_on_unit(nll, size):
    # The target is one scale from the mean, in any unit.
    value = nll(np.zeros((1, 1), np.float32), np.float32([[size]]), log_scale=np.float32(np.log(size)))
    constant = 0.5 + 0.5 * np.log(2 * np.pi) if nll is gaussian_nll else 1 + np.log(2)
    np.testing.assert_allclose(value, np.log(size) + constant, rtol=1e-6)


@pytest.mark.parametrize(("log_scale", "want"), [(95.0, 95.0 + np.log(4 * 255)), (-100.0, 0.0)])
def test_discretized_logistic_gradient_is_finite_at_any_scale(log_scale, want):
    # For a scale far wider than a level, the probability is level / scale / 4; for a far narrower one it is 1.
    level = np.float32([[128 / 255]])
    value, (_, gradient) = discretized_value_and_gradients(level, level, np.float32(log_scale))
    np.testing.assert_allclose(value, want, rtol=1e-6)
    np.testing.assert_allclose(gradient, float(log_scale > 0), atol=1e-6)


def test_discretized_logistic_rejects_integer_targets():
    with pytest.raises(ValueError, match=r"floating-point values in \[0, 1\], got uint8; divide bytes by 255"):
        discretized_logistic_nll(np.zeros((1, 1), np.float32), np.uint8([[100]]))


def test_less_than_two_levels_raise():
    with pytest.raises(ValueError, match="n_levels must be finite and at least 2, got 1"):
        discretized_logistic_nll(np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32), n_levels=1)
