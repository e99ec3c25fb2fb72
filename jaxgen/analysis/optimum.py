"""Optimum of the two-player game in closed form: best discriminator, value of the game, gradient of the generator.

With p the density of the data and q the density of generated examples, the optimal discriminator is `D* = p / (p + q)`,
and the value of the game at it is `2 JS(p, q) - 2 log 2`. Densities are given as logarithms in nats, discriminators as
logits.
"""

import jax
import jax.numpy as jnp

from jaxgen._arrays import check_same_shape, float_dtype, is_known, widen
from jaxgen._signatures import checked
from jaxgen.errors import InputError
from jaxgen.losses import AdversarialLoss
from jaxgen.typing import Array, Float


def optimal_discriminator(log_p: Float[Array, "*batch"], log_q: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """Compute the probability that an example is real from both densities.

    `D*(x) = p(x) / (p(x) + q(x)) = sigmoid(log p(x) - log q(x))`

    Args:
        log_p: log density of the data at each example, in nats, `[*batch]`; -inf where the density is 0.
        log_q: log density of generated examples at the same points, in nats, `[*batch]`.

    Returns:
        Probabilities, `[*batch]`; 1/2 where p = q, and where both are 0, where the optimum is not defined.

    Raises:
        ValueError: if the shapes differ.

    Reference:
        Goodfellow et al. 2014, arXiv:1406.2661, proposition 1.

    Example:
        >>> print(optimal_discriminator(jnp.log(jnp.array([0.2, 0.3])), jnp.log(jnp.array([0.2, 0.1]))).round(4))
        [0.5  0.75]
    """
    return jax.nn.sigmoid(optimal_logits(log_p, log_q))


def optimal_logits(log_p: Float[Array, "*batch"], log_q: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """Compute the logits of the optimal discriminator: the logarithm of the density ratio.

    `log D*(x) / (1 - D*(x)) = log p(x) - log q(x)`

    A classifier of real and generated examples that is trained to its optimum therefore estimates a density ratio.

    Args:
        log_p: log density of the data at each example, in nats, `[*batch]`; -inf where the density is 0.
        log_q: log density of generated examples at the same points, in nats, `[*batch]`.

    Returns:
        Logits, `[*batch]`; infinite where one density is 0, and 0 where both are.

    Raises:
        ValueError: if the shapes differ.

    Reference:
        Goodfellow et al. 2014, arXiv:1406.2661, proposition 1; Mohamed and Lakshminarayanan 2016, arXiv:1610.03483,
        equation 4.

    Example:
        >>> optimal_logits(jnp.array([-1.0, -jnp.inf]), jnp.array([-3.0, -jnp.inf]))
        Array([2., 0.], dtype=float32)
    """
    check_same_shape(log_p=log_p, log_q=log_q)
    p, q = widen(log_p), widen(log_q)
    nowhere = jnp.isneginf(p) & jnp.isneginf(q)
    logits = jnp.where(nowhere, 0.0, jnp.where(nowhere, 0.0, p) - jnp.where(nowhere, 0.0, q))
    return logits.astype(float_dtype(log_p, log_q))


@checked
def value_from_logits(real_logits: Float[Array, " n"], fake_logits: Float[Array, " m"]) -> Float[Array, ""]:
    """Estimate the value of the game for a discriminator from its logits of real and generated samples.

    `V = mean log D(x) + mean log(1 - D(y))`, x real and y generated

    With the logits of `optimal_logits`, this estimates the value at the optimum from samples alone.

    Args:
        real_logits: logits of real examples, [n].
        fake_logits: logits of generated examples, [m].

    Returns:
        The value in nats, at most 0; -2 log 2 if every probability is 1/2.

    Reference:
        Goodfellow et al. 2014, arXiv:1406.2661, equation 1.

    Example:
        >>> print(f"{value_from_logits(jnp.zeros(3), jnp.zeros(5)):.4f}")
        -1.3863
    """
    value = jnp.mean(jax.nn.log_sigmoid(widen(real_logits))) + jnp.mean(jax.nn.log_sigmoid(-widen(fake_logits)))
    return value.astype(float_dtype(real_logits, fake_logits))


def value_at_optimum(
    log_p: Float[Array, " n"], log_q: Float[Array, " n"], *, volumes: float | Float[Array, " n"] = 1.0
) -> Float[Array, ""]:
    """Compute the value of the game for the optimal discriminator, by quadrature.

    `V = sum(volume (p log D* + q log(1 - D*)))`, which is `2 JS(p, q) - 2 log 2`

    Args:
        log_p: log density of the data at each node of a quadrature, in nats, [n]; -inf where the density is 0.
        log_q: log density of generated examples at the same nodes, in nats, [n].
        volumes: quadrature weight of each node: the step of a uniform grid, the weights of any other rule, or 1 for the
            outcomes of a discrete distribution.

    Returns:
        The value in nats, from -2 log 2 (p = q) to 0 (disjoint), up to the error of the quadrature.

    Raises:
        ValueError: if the shapes differ.

    Reference:
        Goodfellow et al. 2014, arXiv:1406.2661, theorem 1.

    Example:
        >>> p, q = jnp.array([0.5, 0.5, 0.0]), jnp.array([0.0, 0.5, 0.5])
        >>> print(f"{value_at_optimum(jnp.log(p), jnp.log(q)):.4f}")  # -log 2: half of the mass of each is disjoint.
        -0.6931
    """
    logits = widen(optimal_logits(log_p, log_q))
    terms = _expected(widen(log_p), jax.nn.log_sigmoid(logits)) + _expected(widen(log_q), jax.nn.log_sigmoid(-logits))
    return jnp.sum(volumes * terms).astype(float_dtype(log_p, log_q))


def generator_gradient(loss: AdversarialLoss, confidence: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """Compute the derivative of the generator's loss with respect to the logit of a generated example.

    As a function of the probability D that the discriminator assigns to "real", it is `-D` for the minimax loss, which
    vanishes where D is near 0, and `-(1 - D)` for the non-saturating loss.

    Args:
        loss: pair of losses of `jaxgen.losses`.
        confidence: D = sigmoid(logit), strictly between 0 and 1, `[*batch]`. For losses without a sigmoid it
            parametrizes the critic value logit(D); relativistic losses compare with one real example of logit 0.

    Returns:
        The derivatives, `[*batch]`; negative where a larger logit decreases the generator's loss.

    Raises:
        InputError: if a probability is not strictly between 0 and 1.

    Reference:
        Goodfellow et al. 2014, arXiv:1406.2661, section 3; Arjovsky and Bottou 2017, arXiv:1701.04862, theorem 2.4.

    Example:
        >>> from jaxgen.losses import minimax, non_saturating
        >>> print(generator_gradient(minimax, jnp.array([0.25, 0.5])))
        [-0.25 -0.5 ]
        >>> print(generator_gradient(non_saturating, jnp.array([0.25, 0.5])))
        [-0.75 -0.5 ]
    """
    probability = widen(confidence)
    if is_known(probability) and not bool(jnp.all((probability > 0) & (probability < 1))):
        raise InputError(
            "confidence must be strictly between 0 and 1, where the logit is finite, got values from "
            f"{probability.min()} to {probability.max()}"
        )

    def of_one(logit: Float[Array, ""]) -> Float[Array, ""]:
        return loss.generator(logit[None], jnp.zeros_like(logit[None]))[0]

    gradients = jax.vmap(jax.grad(of_one))(jax.scipy.special.logit(probability).ravel())
    return gradients.reshape(probability.shape).astype(float_dtype(confidence))


def _expected(log_density: Float[Array, " n"], values: Float[Array, " n"]) -> Float[Array, " n"]:
    """Return density times value; 0 where the density is 0, even if the value is infinite."""
    return jnp.where(jnp.isneginf(log_density), 0.0, jnp.exp(log_density) * values)
