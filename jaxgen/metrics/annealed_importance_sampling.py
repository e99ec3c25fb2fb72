"""Annealed importance sampling of log p(x) by Hamiltonian Monte Carlo, with bounds from both sides.

A path of densities leads from the prior p(z) = N(0, I) to the posterior,

    f_t(z) = p(z) p(x|z)^b_t,    0 = b_0 < b_1 < ... < b_T = 1

A chain starts at z ~ p(z) and collects the weight `log w = sum_t (b_t - b_(t-1)) log p(x|z)`, moving by Hamiltonian
Monte Carlo for f_t after each term. The mean of w over chains is an unbiased estimate of p(x), and its logarithm a
lower bound of log p(x) in expectation. A chain in the reverse direction, from an exact draw of the posterior, gives an
unbiased estimate of 1 / p(x), and so an upper bound. Exact draws exist for simulated data: z ~ p(z), then x ~ p(x|z).
(The adaptation of the step size makes both approximate; no bias was found with 5,000 chains.)

The updates are written here: those of blackjax 1.7.1 compute the gradient again when the temperature changes, where
here the gradients of prior and likelihood are kept apart, and take the log density of one example, where models give
that of a batch. On two cores they were not faster.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen._arrays import check_key, check_number, float_dtype
from jaxgen.metrics.likelihood_bounds import LogLikelihood, check_counts, check_log_likelihood
from jaxgen.typing import Array, Float, KeyArray

TARGET_ACCEPTANCE = 0.65
"""Mean acceptance above which the step size grows, and below which it shrinks."""

GROWTH, SHRINKAGE = 1.02, 0.98
"""Factors of the step size after each update."""

SMALLEST_STEP, LARGEST_STEP = 1e-4, 0.5
"""Bounds of the step size."""

MEMORY = 0.9
"""Decay of the running mean of the acceptance."""


class AnnealedImportance(NamedTuple):
    """Result of annealed importance sampling.

    Attributes:
        log_likelihood: estimate of log p(x) of each example from all of its chains, in nats, [batch]: in expectation a
            lower bound forward, and an upper bound in reverse.
        log_weights: estimate from each chain alone, [chains, batch].
        latents: latents at the end of the chains, [chains, batch, latent]: forward, draws near the posterior.
        acceptance: running mean of the acceptance at the end, [chains, batch].
        step_size: step size at the end, [chains, batch].
    """

    log_likelihood: Float[Array, " batch"]
    log_weights: Float[Array, "chains batch"]
    latents: Float[Array, "chains batch latent"]
    acceptance: Float[Array, "chains batch"]
    step_size: Float[Array, "chains batch"]


class BidirectionalBounds(NamedTuple):
    """Bounds of log p(x) from both sides.

    Attributes:
        lower: lower bound in expectation, in nats, [batch].
        upper: upper bound in expectation, in nats, [batch].
    """

    lower: Float[Array, " batch"]
    upper: Float[Array, " batch"]


class _Chains(NamedTuple):
    """All chains of all examples; every array begins with [chains, batch].

    Attributes:
        z: latents.
        value: log p(x|z).
        gradient: gradient of log p(x|z).
        log_weight: sum of the terms so far.
        acceptance: running mean of the acceptance.
        step_size: step size of the next update.
    """

    z: Float[Array, "chains batch latent"]
    value: Float[Array, "chains batch"]
    gradient: Float[Array, "chains batch latent"]
    log_weight: Float[Array, "chains batch"]
    acceptance: Float[Array, "chains batch"]
    step_size: Float[Array, "chains batch"]


def annealed_importance_sampling(
    key: KeyArray,
    log_likelihood: LogLikelihood,
    *,
    batch: int,
    latent_dim: int,
    chains: int = 16,
    temperatures: int = 2000,
    leapfrog_steps: int = 10,
    step_size: float = 0.01,
) -> AnnealedImportance:
    """Estimate log p(x) from below by chains from the prior to the posterior.

    `log 1/C sum_c w_c`, `log w = sum_t (b_t - b_(t-1)) log p(x|z_(t-1))`, with a sigmoid schedule of b

    Each chain adapts its step size: after an update it is multiplied by 1.02 if the running mean of its acceptance
    (decay 0.9) is above 0.65, else by 0.98, within [0.0001, 0.5]. All chains of all examples are one compiled scan over
    the temperatures.

    Args:
        key: PRNG key of the chains.
        log_likelihood: function from one latent per example to log p(x|z), [batch, latent] -> [batch].
        batch: number of examples.
        latent_dim: dimension of the latent.
        chains: number of chains per example.
        temperatures: number T of densities after the prior, each with one update of every chain.
        leapfrog_steps: number of leapfrog steps of an update.
        step_size: step size of the first update.

    Returns:
        The estimates and the ends of the chains.

    Raises:
        ValueError: if log_likelihood does not return one number per example.
        InputError: if a number is no positive integer, or step_size is not in [0.0001, 0.5].

    Reference:
        Neal 2001, arXiv:physics/9803008, equation 9; Wu et al. 2017, arXiv:1611.04273, section 3 and appendix (HMC,
        schedule).

    Example:
        >>> def log_likelihood(z):  # x = 1 with p(x|z) = N(z, 1), so that p(x) = N(1; 0, 2)
        ...     return -0.5 * jnp.square(z[:, 0] - 1.0) - 0.5 * math.log(2 * math.pi)
        >>> found = annealed_importance_sampling(
        ...     jax.random.key(0), log_likelihood, batch=1, latent_dim=1, chains=100, temperatures=100, step_size=0.2)
        >>> abs(float(found.log_likelihood[0]) - (-0.5 * math.log(4 * math.pi) - 0.25)) < 0.05
        True
    """
    check_key(key)
    check_counts(
        batch=batch, latent_dim=latent_dim, chains=chains, temperatures=temperatures, leapfrog_steps=leapfrog_steps
    )
    prior_key, chain_key = jax.random.split(key)
    z = jax.random.normal(prior_key, (chains, batch, latent_dim))
    return _annealed(chain_key, log_likelihood, z, sigmoid_schedule(temperatures), leapfrog_steps, step_size)


def reverse_annealed_importance_sampling(
    key: KeyArray,
    log_likelihood: LogLikelihood,
    posterior: Float[Array, "batch latent"],
    *,
    chains: int = 16,
    temperatures: int = 2000,
    leapfrog_steps: int = 10,
    step_size: float = 0.01,
) -> AnnealedImportance:
    """Estimate log p(x) from above by chains from exact draws of the posterior to the prior.

    `- log 1/C sum_c 1 / w_c`; `annealed_importance_sampling` in reverse

    Args:
        key: PRNG key of the chains.
        log_likelihood: function from one latent per example to log p(x|z), [batch, latent] -> [batch].
        posterior: exact draw from p(z|x) of each example, such as the latent from which x was simulated, [batch,
            latent]; all chains of the example start there.
        chains: number of chains per example.
        temperatures: number of updates of every chain.
        leapfrog_steps: number of leapfrog steps of an update.
        step_size: step size of the first update.

    Returns:
        The estimates and the ends of the chains.

    Raises:
        ValueError: if posterior is no matrix with at least one row, or log_likelihood does not return one number per
            example.
        InputError: if a number is no positive integer, or step_size is not in [0.0001, 0.5].

    Reference:
        Grosse, Ghahramani & Adams 2015, arXiv:1511.02543, section 3; Wu et al. 2017, arXiv:1611.04273, section 4.2.

    Example:
        >>> def log_likelihood(z):  # x = 1 with p(x|z) = N(z, 1), so that p(z|x) = N(1/2, 1/2)
        ...     return -0.5 * jnp.square(z[:, 0] - 1.0) - 0.5 * math.log(2 * math.pi)
        >>> draw = 0.5 + math.sqrt(0.5) * jax.random.normal(jax.random.key(1), (1, 1))
        >>> found = reverse_annealed_importance_sampling(
        ...     jax.random.key(0), log_likelihood, draw, chains=100, temperatures=100, step_size=0.2)
        >>> abs(float(found.log_likelihood[0]) - (-0.5 * math.log(4 * math.pi) - 0.25)) < 0.05
        True
    """
    check_key(key)
    check_counts(chains=chains, temperatures=temperatures, leapfrog_steps=leapfrog_steps)
    draws = _checked_posterior(posterior)
    z = jnp.broadcast_to(draws, (chains, *draws.shape))
    return _annealed(key, log_likelihood, z, sigmoid_schedule(temperatures)[::-1], leapfrog_steps, step_size)


def bidirectional_bounds(
    key: KeyArray,
    log_likelihood: LogLikelihood,
    posterior: Float[Array, "batch latent"],
    *,
    chains: int = 16,
    temperatures: int = 2000,
    leapfrog_steps: int = 10,
    step_size: float = 0.01,
) -> BidirectionalBounds:
    """Bound log p(x) of simulated examples from both sides: bidirectional Monte Carlo.

    The gap between the bounds is the accuracy of annealed importance sampling for this model and number of
    temperatures.

    Args:
        key: PRNG key of the chains.
        log_likelihood: function from one latent per example to log p(x|z), [batch, latent] -> [batch].
        posterior: latent from which each example was simulated, [batch, latent].
        chains: number of chains per example and direction.
        temperatures: number of updates of every chain.
        leapfrog_steps: number of leapfrog steps of an update.
        step_size: step size of the first update.

    Returns:
        The bounds of each example, in nats.

    Raises:
        ValueError: if posterior is no matrix with at least one row, or log_likelihood does not return one number per
            example.
        InputError: if a number is no positive integer, or step_size is not in [0.0001, 0.5].

    Reference:
        Grosse, Ghahramani & Adams 2015, arXiv:1511.02543; Wu et al. 2017, arXiv:1611.04273, section 4.2.

    Example:
        >>> z, noise = jax.random.normal(jax.random.key(1), (2, 5, 1))
        >>> def log_likelihood(latent):  # x = z + noise
        ...     return -0.5 * jnp.square(latent[:, 0] - (z + noise)[:, 0]) - 0.5 * math.log(2 * math.pi)
        >>> options = {"chains": 100, "temperatures": 100, "step_size": 0.2}
        >>> bounds = bidirectional_bounds(jax.random.key(0), log_likelihood, z, **options)
        >>> bool(jnp.all(jnp.abs(bounds.upper - bounds.lower) < 0.1))
        True
    """
    check_key(key)
    forward_key, reverse_key = jax.random.split(key)
    batch, latent_dim = _checked_posterior(posterior).shape
    forward = annealed_importance_sampling(
        forward_key,
        log_likelihood,
        batch=batch,
        latent_dim=latent_dim,
        chains=chains,
        temperatures=temperatures,
        leapfrog_steps=leapfrog_steps,
        step_size=step_size,
    )
    reverse = reverse_annealed_importance_sampling(
        reverse_key,
        log_likelihood,
        posterior,
        chains=chains,
        temperatures=temperatures,
        leapfrog_steps=leapfrog_steps,
        step_size=step_size,
    )
    return BidirectionalBounds(forward.log_likelihood, reverse.log_likelihood)


def sigmoid_schedule(temperatures: int, *, radius: float = 4.0) -> Float[np.ndarray, " temperatures+1"]:
    """Return the exponents of the likelihood along the path, which change slowly at both ends.

    `b_t = (s(r (2 t / T - 1)) - s(-r)) / (s(r) - s(-r))`, s(x) = 1 / (1 + exp(-x))

    Args:
        temperatures: number T of densities after the prior.
        radius: largest argument r of the sigmoid.

    Returns:
        The exponents from 0 to 1, [temperatures + 1], float64.

    Raises:
        InputError: if temperatures is no positive integer, or radius is not positive.

    Reference:
        Wu et al. 2017, arXiv:1611.04273, section 3.

    Example:
        >>> sigmoid_schedule(4).round(3).tolist()
        [0.0, 0.105, 0.5, 0.895, 1.0]
    """
    check_counts(temperatures=temperatures)
    check_number("radius", radius, above=0.0, finite=True)
    # In terms of tanh(x / 2) = 2 s(x) - 1, which does not overflow.
    return 0.5 * (1 + np.tanh(0.5 * radius * np.linspace(-1, 1, temperatures + 1)) / np.tanh(0.5 * radius))


def _annealed(
    key: KeyArray,
    log_likelihood: LogLikelihood,
    z: Float[Array, "chains batch latent"],
    exponents: Float[np.ndarray, " temperatures+1"],
    leapfrog_steps: int,
    step_size: float,
) -> AnnealedImportance:
    """Advance chains along a path of exponents, forward from 0 to 1 or in reverse from 1 to 0."""
    check_log_likelihood(log_likelihood, z[0])
    check_number("step_size", step_size, at_least=SMALLEST_STEP, below=math.nextafter(LARGEST_STEP, 1))
    sign = np.sign(exponents[-1] - exponents[0])

    @jax.vmap
    def value_and_gradient(
        z: Float[Array, "batch latent"],
    ) -> tuple[Float[Array, " batch"], Float[Array, "batch latent"]]:
        # Of examples that do not depend on each other, all gradients are that of the sum.
        value, pull_back = jax.vjp(lambda z: log_likelihood(z).astype(z.dtype), z)
        return value, pull_back(jnp.ones_like(value))[0]

    def advance(chains: _Chains, step: tuple[Array, Array, Array]) -> tuple[_Chains, None]:
        number, exponent, difference = step
        weighted = chains._replace(log_weight=chains.log_weight + difference * chains.value)
        return _updated(jax.random.fold_in(key, number), value_and_gradient, weighted, exponent, leapfrog_steps), None

    zeros = jnp.zeros(z.shape[:2], z.dtype)
    start = _Chains(z, *value_and_gradient(z), zeros, zeros + TARGET_ACCEPTANCE, zeros + step_size)
    # Differences of the exponents in float64 have all digits.
    after, differences = jnp.asarray(exponents[1:], z.dtype), jnp.asarray(np.diff(exponents), z.dtype)
    end, _ = jax.lax.scan(advance, start, (jnp.arange(len(after)), after, differences))
    estimate = sign * (jax.nn.logsumexp(end.log_weight, axis=0) - math.log(len(z)))
    return AnnealedImportance(estimate, sign * end.log_weight, end.z, end.acceptance, end.step_size)


def _updated(
    key: KeyArray,
    value_and_gradient: Callable[[Array], tuple[Array, Array]],
    chains: _Chains,
    exponent: Array,
    leapfrog_steps: int,
) -> _Chains:
    """One update of all chains by Hamiltonian Monte Carlo (Neal 2011, arXiv:1206.1901, figure 2)."""
    momentum_key, acceptance_key = jax.random.split(key)
    size = chains.step_size[..., None]

    def derivative(z: Array, gradient: Array) -> Array:
        return exponent * gradient - z  # Of the log density, up to a constant.

    def leapfrog(_: int, point: tuple[Array, Array]) -> tuple[Array, Array]:
        z, momentum = point
        z = z + size * momentum
        return z, momentum + size * derivative(z, value_and_gradient(z)[1])

    first = jax.random.normal(momentum_key, chains.z.shape, chains.z.dtype)
    halfway = first + 0.5 * size * derivative(chains.z, chains.gradient)
    # The last step is outside of the loop: only there the value itself is needed.
    z, momentum = jax.lax.fori_loop(0, leapfrog_steps - 1, leapfrog, (chains.z, halfway))
    z = z + size * momentum
    value, gradient = value_and_gradient(z)
    momentum = momentum + 0.5 * size * derivative(z, gradient)

    gain = exponent * (value - chains.value) + 0.5 * jnp.sum(
        jnp.square(chains.z) - jnp.square(z) + jnp.square(first) - jnp.square(momentum), axis=-1
    )
    probability = jnp.where(jnp.isnan(gain), 0.0, jnp.exp(jnp.minimum(gain, 0.0)))
    accepted = jax.random.uniform(acceptance_key, probability.shape, probability.dtype) < probability
    acceptance = MEMORY * chains.acceptance + (1 - MEMORY) * accepted
    factor = jnp.where(acceptance > TARGET_ACCEPTANCE, GROWTH, SHRINKAGE)
    return chains._replace(
        z=jnp.where(accepted[..., None], z, chains.z),
        value=jnp.where(accepted, value, chains.value),
        gradient=jnp.where(accepted[..., None], gradient, chains.gradient),
        acceptance=acceptance,
        step_size=jnp.clip(factor * chains.step_size, SMALLEST_STEP, LARGEST_STEP),
    )


def _checked_posterior(posterior: Array) -> Float[Array, "batch latent"]:
    if np.ndim(posterior) != 2 or not np.size(posterior):
        raise ValueError(f"posterior must be [batch, latent] of at least 1 example, got shape {np.shape(posterior)}")
    return jnp.asarray(posterior, jnp.promote_types(float_dtype(posterior), jnp.float32))
