"""Negative log-likelihoods of a reconstruction, in nats per example.

They are summed over all axes but the first and include the normalizing constant, so that an ELBO computed from them is
a bound on the log-likelihood, comparable between models and with published numbers. Negative log-likelihoods of
densities have terms of both signs. Where these cancel, their rounding, 1e-7 of the largest term in float32, is a larger
share of the sum.
"""

import math

import jax
import jax.numpy as jnp

from jaxgen._arrays import (
    check_batch,
    check_number,
    check_same_shape,
    check_unit_interval,
    flat_events,
    float_dtype,
    sum_events,
    widen,
)
from jaxgen._numerics import absolute, inverse_scale
from jaxgen.typing import Array, Float, Scalar

LogScale = Scalar | Float[Array, " batch *event"]


def bernoulli_nll(
    logits: Float[Array, " batch *event"], targets: Float[Array, " batch *event"]
) -> Float[Array, " batch"]:
    """Compute the negative log-likelihood of independent Bernoulli variables.

    `-sum(t log p + (1 - t) log(1 - p))`, p = sigmoid(logits). Targets between 0 and 1 are treated as probabilities. The
    result is then the cross-entropy, which is not 0 at its minimum, p = t.

    Args:
        logits: log-odds of a 1, [batch, ...].
        targets: values in [0, 1], of the same shape; bytes are to be divided by 255.

    Returns:
        One negative log-likelihood per example, [batch], in nats.

    Raises:
        ValueError: if the shapes differ or there is no axis of examples.
        InputError: if targets are no floats, or known not to be in [0, 1].

    Reference:
        Kingma and Welling 2014, arXiv:1312.6114, appendix C.1 (Bernoulli MLP as decoder).

    Example:
        >>> bernoulli_nll(jnp.array([[0.0, 0.0], [1e4, -1e4]]), jnp.array([[1.0, 0.5], [1.0, 0.0]]))
        Array([1.3862944, 0. ], dtype=float32)
    """
    check_same_shape(logits=logits, targets=targets)
    check_batch(logits=logits)
    check_unit_interval("targets", targets)
    # Flatten before the elementwise part: over a last axis of one channel, loops on the CPU are four times slower.
    nll = _cross_entropy(widen(flat_events(logits)), widen(flat_events(targets))).sum(axis=1)
    return nll.astype(float_dtype(logits, targets))


def gaussian_nll(
    mean: Float[Array, " batch *event"],
    targets: Float[Array, " batch *event"],
    *,
    log_scale: LogScale = 0.0,
) -> Float[Array, " batch"]:
    """Compute the negative log-likelihood of independent Gaussian variables.

    `sum((t - mean)^2 / (2 scale^2) + log scale + log(2 pi) / 2)`

    Args:
        mean: means, [batch, ...].
        targets: observed values, of the same shape.
        log_scale: logarithm of the standard deviation, one number or an array of the shape of `mean`.

    Returns:
        One negative log-likelihood per example, [batch], in nats. It is that of a density and may be negative.

    Raises:
        ValueError: if the shapes differ or there is no axis of examples.

    Reference:
        Kingma and Welling 2014, arXiv:1312.6114, appendix C.2 (Gaussian MLP as decoder).

    Example:
        >>> gaussian_nll(jnp.array([[0.0]]), jnp.array([[1.0]]))
        Array([1.4189385], dtype=float32)
    """
    log_scale = _checked_log_scale(mean, targets, log_scale)
    deviation = jnp.square((widen(targets) - widen(mean)) * inverse_scale(log_scale))
    terms = 0.5 * deviation + log_scale + 0.5 * math.log(2.0 * math.pi)
    return sum_events(terms).astype(float_dtype(mean, targets))


def laplace_nll(
    mean: Float[Array, " batch *event"],
    targets: Float[Array, " batch *event"],
    *,
    log_scale: LogScale = 0.0,
) -> Float[Array, " batch"]:
    """Compute the negative log-likelihood of independent Laplace variables.

    `sum(|t - mean| / scale + log scale + log 2)`

    Args:
        mean: means, which are also the medians, [batch, ...].
        targets: observed values, of the same shape.
        log_scale: logarithm of the scale, which is the mean absolute deviation; one number or an array of the shape of
            `mean`.

    Returns:
        One negative log-likelihood per example, [batch], in nats. It is that of a density and may be negative.

    Raises:
        ValueError: if the shapes differ or there is no axis of examples.

    Example:
        >>> laplace_nll(jnp.array([[0.0]]), jnp.array([[1.0]]))
        Array([1.6931472], dtype=float32)
    """
    log_scale = _checked_log_scale(mean, targets, log_scale)
    deviation = absolute((widen(targets) - widen(mean)) * inverse_scale(log_scale))
    return sum_events(deviation + log_scale + math.log(2.0)).astype(float_dtype(mean, targets))


def discretized_logistic_nll(
    mean: Float[Array, " batch *event"],
    targets: Float[Array, " batch *event"],
    *,
    log_scale: LogScale = 0.0,
    n_levels: int = 256,
) -> Float[Array, " batch"]:
    """Compute the negative log-likelihood of quantized pixels as logistic variables rounded to the nearest level.

    With half the distance between two levels in [0, 1], `h = 1 / (2 (n_levels - 1))`:
    `-sum(log(F(t + h) - F(t - h)))`, `F(t) = sigmoid((t - mean) / scale)`. The lowest level, 0, also has the
    probability of all values below it, and the highest level, 1, that of all values above it.

    Args:
        mean: means of the logistic variables, [batch, ...].
        targets: observed values, of the same shape: multiples of 1 / (n_levels - 1) in [0, 1]. Bytes are to be divided
            by 255.
        log_scale: logarithm of the scale of the logistic distribution, which is its standard deviation times sqrt(3) /
            pi; one number or an array of the shape of `mean`.
        n_levels: number of possible values.

    Returns:
        One negative log-likelihood per example, [batch], in nats. It is that of probabilities, so it is never negative
        and is comparable with that of other models of the same pixels. Divided by `log(2) size` it is in bits per
        dimension.

    Raises:
        ValueError: if the shapes differ or there is no axis of examples.
        InputError: if targets are no floats, or known not to be in [0, 1], or n_levels is less than two or
            infinite.

    Reference:
        Kingma et al. 2016, arXiv:1606.04934; Salimans et al. 2017, arXiv:1701.05517, equation 2.

    Example:
        >>> discretized_logistic_nll(jnp.array([[0.5]]), jnp.array([[1.0]]), n_levels=2)
        Array([0.6931472], dtype=float32)
    """
    check_number("n_levels", n_levels, at_least=2, finite=True)
    check_unit_interval("targets", targets)
    log_scale = _checked_log_scale(mean, targets, log_scale)
    mean, wide, dtype = widen(mean), widen(targets), float_dtype(mean, targets)
    half_step = 0.5 / (n_levels - 1)
    upper = (wide - mean + half_step) * inverse_scale(log_scale)
    lower = (wide - mean - half_step) * inverse_scale(log_scale)
    # sigmoid(u) - sigmoid(l) = sigmoid(u) sigmoid(-l) (1 - exp(l - u)) is a product, without cancellation.
    below, above = jax.nn.softplus(-upper), jax.nn.softplus(lower)
    inside = below + above - _log1mexp(math.log(2.0 * half_step) - log_scale)
    nll = jnp.where(wide < half_step, below, jnp.where(wide > 1.0 - half_step, above, inside))
    return sum_events(nll).astype(dtype)


def _log1mexp(log_width: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Compute `log(1 - exp(-width))`, also for widths that overflow or underflow."""
    # At 10 the result is 0 already, and an infinite width would have the derivative NaN.
    width = jnp.exp(jnp.minimum(log_width, 10.0))
    narrow = width < 1e-6
    return jnp.where(narrow, log_width - 0.5 * width, jnp.log(-jnp.expm1(-jnp.where(narrow, 1.0, width))))


def _cross_entropy(logits: Float[Array, "*shape"], targets: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Compute `-t log sigmoid(l) - (1 - t) log sigmoid(-l)` without cancellation.

    It equals `|l| s + log(1 + exp(-|l|))`, where s is `1 - t` for `l >= 0` and t otherwise. With one exponential and
    one logarithm, where `optax.sigmoid_binary_cross_entropy` takes two of each, a training step of a small VAE on a CPU
    is faster by a sixth.
    """
    # Not jnp.abs: at 0 the derivative of the magnitude must belong to the same branch as its factor below.
    positive = logits >= 0
    magnitude = jnp.where(positive, logits, -logits)
    return magnitude * jnp.where(positive, 1 - targets, targets) + jnp.log1p(jnp.exp(-magnitude))


def _checked_log_scale(mean: Array, targets: Array, log_scale: LogScale) -> Array:
    check_same_shape(mean=mean, targets=targets)
    check_batch(mean=mean)
    if jnp.ndim(log_scale) > 0:
        check_same_shape(mean=mean, log_scale=jnp.asarray(log_scale))
    return widen(jnp.asarray(log_scale, float_dtype(jnp.asarray(log_scale))))
