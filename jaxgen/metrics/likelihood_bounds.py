"""Likelihoods of models with an encoder, in nats: functions of q(z|x) = N(mean, exp(log_var)) and of log p(x|z).

The prior p(z) is N(0, I). A log-likelihood is a function `latent [batch, latent] -> log p(x|z) [batch]`, of one latent
for each example of a batch; `jaxgen.game.Model.latent_densities` returns one with the mean and the log variance.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen._arrays import check_integers, check_key, check_number, check_same_shape, float_dtype, widen
from jaxgen._numerics import inverse_scale
from jaxgen.divergences.gaussian import draw_normal, kl_standard_normal
from jaxgen.errors import InputError
from jaxgen.typing import Array, Float, Int, KeyArray, Scalar

LogLikelihood = Callable[[Float[Array, "batch latent"]], Float[Array, " batch"]]
"""`latent -> log p(x|z)` in nats, of one latent for each example."""

ROWS = 1000
"""Latents that are decoded at once: on two cores, batches of 300 or 10,000 took 10 to 25 % more time per latent."""

DIFFERENCES = 2**22
"""Differences of a latent and a mean, one per pair and dimension, that are computed at once: 16 MB in float32."""


class RateDistortion(NamedTuple):
    """The two terms of the negative evidence lower bound, per example.

    Attributes:
        rate: KL[q(z|x) || N(0, I)], in nats, [batch].
        distortion: E_q[-log p(x|z)], in nats, [batch].
    """

    rate: Float[Array, " batch"]
    distortion: Float[Array, " batch"]


def importance_weighted_bound(
    key: KeyArray,
    mean: Float[Array, "batch latent"],
    log_var: Float[Array, "batch latent"],
    log_likelihood: LogLikelihood,
    *,
    k: int = 5000,
    chunk: int | None = None,
) -> Float[Array, " batch"]:
    """Compute the importance-weighted lower bound of log p(x) from k draws of q(z|x).

    `log 1/k sum_i p(x, z_i) / q(z_i|x)`, z_i ~ q(z|x)

    For k = 1 its expectation is the evidence lower bound; it grows with k and tends to log p(x). The sum is computed in
    chunks, so that the memory does not grow with k. Each draw has a key of its own, and the draws do not depend on the
    size of the chunks.

    Args:
        key: PRNG key of the draws.
        mean: mean of q(z|x), [batch, latent].
        log_var: logarithm of the variance of q(z|x), [batch, latent].
        log_likelihood: function from one latent per example to log p(x|z), [batch, latent] -> [batch].
        k: number of draws per example.
        chunk: number of draws of each example that are decoded at once; by default as many as make 1,000 latents.

    Returns:
        One bound per example, [batch], in nats.

    Raises:
        ValueError: if mean and log_var are not matrices of the same shape with at least one row, or log_likelihood does
            not return one number per example.
        InputError: if k or chunk is no positive integer.

    Reference:
        Burda, Grosse & Salakhutdinov 2016, arXiv:1509.00519, equation 8.

    Example:
        >>> log_likelihood = lambda z: -0.5 * jnp.square(z[:, 0] - 1.0) - 0.5 * math.log(2 * math.pi)  # x = 1
        >>> mean, log_var = jnp.full((1, 1), 0.5), jnp.full((1, 1), math.log(0.5))  # The true posterior.
        >>> importance_weighted_bound(jax.random.key(0), mean, log_var, log_likelihood, k=3).round(5)  # log N(1; 0, 2)
        Array([-1.51551], dtype=float32)
    """
    check_key(key)
    mean, log_var, dtype = _checked(mean, log_var)
    check_counts(k=k, chunk=1 if chunk is None else chunk)
    check_log_likelihood(log_likelihood, mean)
    scans = math.ceil(k / (max(1, ROWS // len(mean)) if chunk is None else chunk))
    size = math.ceil(k / scans)

    def log_weight(number: Array) -> Float[Array, " batch"]:
        z, log_ratio = draw_normal(jax.random.fold_in(key, number), mean, log_var)
        return widen(log_likelihood(z)) + log_ratio

    def add(total: Array, number: Array) -> tuple[Array, None]:
        numbers = number * size + jnp.arange(size)
        log_weights = jnp.where(numbers[:, None] < k, jax.vmap(log_weight)(numbers), -jnp.inf)
        return jnp.logaddexp(total, jax.nn.logsumexp(log_weights, axis=0)), None

    start = jnp.full(len(mean), -jnp.inf, mean.dtype)
    total, _ = jax.lax.scan(add, start, jnp.arange(scans))
    return (total - math.log(k)).astype(dtype)


def rate_distortion(
    key: KeyArray,
    mean: Float[Array, "batch latent"],
    log_var: Float[Array, "batch latent"],
    log_likelihood: LogLikelihood,
    *,
    k: int = 1,
) -> RateDistortion:
    """Compute the rate and the distortion of examples, whose sum is the negative evidence lower bound.

    `KL[q(z|x) || N(0, I)]` and `E_q[-log p(x|z)]`, the latter as the mean of k draws

    Args:
        key: PRNG key of the draws.
        mean: mean of q(z|x), [batch, latent].
        log_var: logarithm of the variance of q(z|x), [batch, latent].
        log_likelihood: function from one latent per example to log p(x|z), [batch, latent] -> [batch].
        k: number of draws per example.

    Returns:
        Rate and distortion of each example, in nats.

    Raises:
        ValueError: if mean and log_var are not matrices of the same shape with at least one row, or log_likelihood does
            not return one number per example.
        InputError: if k is no positive integer.

    Reference:
        Alemi et al. 2018, arXiv:1711.00464, equations 4 and 5.

    Example:
        >>> rate_distortion(jax.random.key(0), jnp.ones((1, 2)), jnp.zeros((1, 2)), lambda z: -jnp.ones(1))
        RateDistortion(rate=Array([1.], dtype=float32), distortion=Array([1.], dtype=float32))
    """
    check_key(key)
    mean, log_var, dtype = _checked(mean, log_var)
    check_counts(k=k)
    check_log_likelihood(log_likelihood, mean)

    def add(total: Array, number: Array) -> tuple[Array, None]:
        z, _ = draw_normal(jax.random.fold_in(key, number), mean, log_var)
        return total - widen(log_likelihood(z)), None

    total, _ = jax.lax.scan(add, jnp.zeros(len(mean), mean.dtype), jnp.arange(k))
    return RateDistortion(kl_standard_normal(mean, log_var).astype(dtype), (total / k).astype(dtype))


def active_units(means: Float[Array, "batch latent"], *, threshold: Scalar = 0.01) -> Int[Array, ""]:
    """Count the units of the latent whose posterior mean differs between the examples.

    `sum_u [Var_x(E_q(z|x)[z_u]) > threshold]`

    Args:
        means: mean of q(z|x) of each example of a data set, [batch, latent].
        threshold: variance over the data set above which a unit is active.

    Returns:
        Number of active units, [].

    Raises:
        ValueError: if means is not a matrix with at least two rows.
        InputError: if threshold is negative.

    Reference:
        Burda, Grosse & Salakhutdinov 2016, arXiv:1509.00519, section 5.2.

    Example:
        >>> int(active_units(jnp.array([[1.0, 0.01, 5.0], [-1.0, 0.02, 5.0]])))
        1
    """
    check_number("threshold", threshold, at_least=0.0, finite=True)
    if np.ndim(means) != 2 or len(means) < 2:
        raise ValueError(f"means must be [batch, latent] of at least 2 examples, got shape {np.shape(means)}")
    return jnp.sum(jnp.var(widen(means), axis=0) > threshold)


def mutual_information(
    key: KeyArray, mean: Float[Array, "batch latent"], log_var: Float[Array, "batch latent"]
) -> Float[Array, ""]:
    """Estimate the mutual information of example and latent under q(z|x), by one draw per example.

    `I_q = E_x KL[q(z|x) || p(z)] - KL[q(z) || p(z)] = E_x E_q(z|x)[log q(z|x) - log q(z)]`, with the aggregate
    posterior `q(z) = 1/n sum_j q(z|x_j)` over all n examples

    The prior cancels. The examples are the whole data set: of a part of it, n in log n, which the result does not
    exceed in expectation, is smaller. Densities are computed from differences, in chunks of pairs.

    Args:
        key: PRNG key of the draws.
        mean: mean of q(z|x) of each example of a data set, [batch, latent].
        log_var: logarithm of the variance of q(z|x), [batch, latent].

    Returns:
        The estimate, [], in nats. An estimate may be below 0 by chance; log n where no two examples share latents.

    Raises:
        ValueError: if mean and log_var are not matrices of the same shape with at least one row.

    Reference:
        Hoffman & Johnson 2016, "ELBO surgery: yet another way to carve up the variational evidence lower bound",
        equation 8, there as the index-code mutual information.

    Example:
        >>> mean = jnp.array([[-100.0], [100.0]])
        >>> mutual_information(jax.random.key(0), mean, jnp.zeros((2, 1)))  # log 2
        Array(0.6931472, dtype=float32)
    """
    check_key(key)
    mean, log_var, dtype = _checked(mean, log_var)
    n, size = len(mean), max(1, DIFFERENCES // mean.size)
    z, _ = draw_normal(key, mean, log_var)
    inverse_deviation, log_determinant = inverse_scale(0.5 * log_var), log_var.sum(axis=1)

    def excess(row: tuple[Array, Array]) -> Float[Array, ""]:
        """The logarithm of q(z|x) / q(z), in which the normalizing constants of the Gaussians cancel."""
        z, number = row
        log_densities = -0.5 * (jnp.sum(jnp.square((z - mean) * inverse_deviation), axis=1) + log_determinant)
        # That of z's own example has the same rounding errors in the sum.
        return log_densities[number] - jax.nn.logsumexp(log_densities) + math.log(n)

    return jnp.mean(jax.lax.map(excess, (z, jnp.arange(n)), batch_size=size)).astype(dtype)


def _checked(mean: Array, log_var: Array) -> tuple[Array, Array, jnp.dtype]:
    """Return both in one dtype, float32 or wider, and the dtype of the result."""
    check_same_shape(mean=mean, log_var=log_var)
    if np.ndim(mean) != 2 or not np.size(mean):
        raise ValueError(f"mean and log_var must be [batch, latent] of at least 1 example, got shape {np.shape(mean)}")
    dtype = float_dtype(mean, log_var)
    wide = jnp.promote_types(dtype, jnp.float32)
    return jnp.asarray(mean, wide), jnp.asarray(log_var, wide), dtype


def check_counts(**counts: int) -> None:
    """Raise an InputError with the name of the first number that is no positive integer, or too large to count to."""
    check_integers(**counts)
    for name, count in counts.items():
        if not 1 <= count < 2**31:
            raise InputError(f"{name} must be {'at least 1' if count < 1 else 'below 2^31'}, got {count}")


def check_log_likelihood(log_likelihood: LogLikelihood, latent: Float[Array, "batch latent"]) -> None:
    """Raise a ValueError unless a log-likelihood returns one number for each latent."""
    result = jax.eval_shape(log_likelihood, latent)
    if getattr(result, "shape", None) != latent.shape[:1]:
        got = getattr(result, "shape", type(result).__name__)
        raise ValueError(f"log_likelihood must return one number for each of {len(latent)} latents, got {got}")
