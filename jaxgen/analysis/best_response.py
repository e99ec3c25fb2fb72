"""Best responses to a fixed generator, approximated by training a discriminator or a critic.

`jaxgen.analysis.optimum` gives the best response in closed form where both densities are known. Here a network is
trained towards it, between any two distributions that can be sampled. Every batch is sampled anew, so there is no
finite training set to overfit.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgen._arrays import check_number, check_same_shape, widen
from jaxgen.analysis.optimum import optimal_logits, value_at_optimum
from jaxgen.errors import DivergenceError, InputError
from jaxgen.game import Player, State, game, unchanged
from jaxgen.losses import AdversarialLoss, clip_weights, non_saturating, wasserstein
from jaxgen.losses.penalties import Critic
from jaxgen.nn.mlp import MLP
from jaxgen.typing import Array, Batch, Float, KeyArray, Metrics, Params, Stats

Sampler: TypeAlias = Callable[[KeyArray, int], Float[Array, "n dim"]]
"""`(key, n) -> points`, n independent samples."""

Penalty: TypeAlias = Callable[
    [KeyArray, Critic, Float[Array, "batch dim"], Float[Array, "batch dim"]], Float[Array, " batch"]
]
"""`(key, critic, real, fake) -> penalty`, one per example, like `jaxgen.losses.gradient_penalty`."""


UNIT_SAMPLE = 1024
"""Number of samples of each distribution from which their place and scale are estimated."""

UNIT_KEY = np.uint32(2**32 - 1)
"""Number that is folded into the key for these samples."""

FAR = 8
"""Distance from the origin, in standard deviations, and standard deviation from which columns are standardized."""


def train_discriminator(
    key: KeyArray,
    real: Sampler,
    fake: Sampler,
    *,
    loss: AdversarialLoss = non_saturating,
    penalty: Penalty | None = None,
    penalty_weight: float = 10.0,
    clip: float | None = None,
    hidden: Sequence[int] = (64, 64),
    activation: Callable[[Array], Array] = jax.nn.silu,
    optimizer: Callable[[optax.Schedule], optax.GradientTransformation] = optax.adam,
    learning_rate: float = 0.01,
    steps: int = 2000,
    batch_size: int = 512,
) -> Critic:
    """Train a fully connected discriminator or critic between two fixed distributions.

    It minimizes `mean loss.discriminator(f(x), f(y)) + penalty_weight * mean penalty`, x real and y generated, with a
    learning rate that decays to 0 along a cosine. Columns of the points that are far from the origin are centred within
    f, and columns of a very large or small scale are divided by it, unless a constraint on the gradient of f or on its
    weights makes the scale part of the question.

    Args:
        key: PRNG key of the initial weights and of all samples.
        real: sampler of real points.
        fake: sampler of generated points, of the same dimension.
        loss: `non_saturating` or `minimax` for a discriminator, `wasserstein` for a critic.
        penalty: penalty on the gradient of the network with respect to its input.
        penalty_weight: weight of the penalty (10 in the paper of WGAN-GP).
        clip: bound to which all weights are clipped after every step (0.01 in the paper of WGAN).
        hidden: widths of the hidden layers.
        activation: activation after each hidden layer. The default is smooth, as densities are, and does not saturate:
            the logits of a network of tanh would be constant where examples are rare, whatever the loss.
        optimizer: function from a learning-rate schedule to an optimizer, e.g. `optax.rmsprop`.
        learning_rate: initial learning rate.
        steps: number of optimizer updates.
        batch_size: number of real points per step, and of generated points.

    Returns:
        The trained network f: from points [n, dim] to logits or critic values [n].

    Raises:
        InputError: if a number is out of its range, or a Wasserstein critic has neither a penalty nor clipped weights.
        ValueError: if real and generated points differ in dimension.
        DivergenceError: if the trained weights are NaN or infinite.

    Reference:
        Goodfellow et al. 2014, arXiv:1406.2661, proposition 1; Arjovsky, Chintala and Bottou 2017, arXiv:1701.07875,
        figure 2.

    Example:
        >>> left, right = (lambda key, n, at=at: at + jax.random.normal(key, (n, 1)) for at in (-1.0, 1.0))
        >>> discriminator = train_discriminator(jax.random.key(0), left, right, hidden=(8,), steps=200)
        >>> print(jax.nn.sigmoid(discriminator(jnp.array([[-2.0], [0.0], [2.0]]))).round(1))
        [1.  0.5 0. ]
    """
    check_number("penalty_weight", penalty_weight, above=0.0)
    check_number("learning_rate", learning_rate, above=0.0)
    check_number("steps", steps, at_least=1)
    check_number("batch_size", batch_size, at_least=1)
    if loss is wasserstein and penalty is None and clip is None:
        raise InputError(
            "penalty or clip must be given with loss=wasserstein, got neither: "
            "a critic whose gradient norm is not bounded has no optimum"
        )
    shapes = [jax.eval_shape(lambda key, draw=draw: draw(key, batch_size), key) for draw in (real, fake)]
    check_same_shape(real=shapes[0], fake=shapes[1])
    network: Any = MLP(tuple(hidden), (), activation)
    shift, scale = _unit_of(jax.random.fold_in(key, UNIT_KEY), real, fake)
    if penalty is not None or clip is not None:
        scale = np.ones_like(scale)

    def init_networks(key: KeyArray, batch: Batch) -> dict[str, Params]:
        return {"discriminator": network.init(key, jnp.zeros(shapes[0].shape), train=False)}

    def objective(key: KeyArray, params: Params, state: State, batch: Batch) -> tuple[Array, tuple[Stats, Metrics]]:
        real_key, fake_key, penalty_key = jax.random.split(key, 3)
        x, y = real(real_key, batch_size), fake(fake_key, batch_size)

        def critic(points: Array) -> Array:
            return network.apply({"params": params["discriminator"]}, (points - shift) / scale, train=True)

        value = loss.discriminator(critic(x), critic(y)).mean()
        if penalty is not None:
            value += penalty_weight * penalty(penalty_key, critic, x, y).mean()
        return value, ({}, {})

    tx = optimizer(optax.cosine_decay_schedule(learning_rate, steps))
    project = unchanged if clip is None else partial(clip_weights, bound=clip)
    player = Player("discriminator", ("discriminator",), objective, tx, project=project)
    params = _train_single_player(key, init_networks, player, steps).params["discriminator"]
    if not all(np.isfinite(weights).all() for weights in jax.tree.leaves(params)):
        raise DivergenceError(f"the discriminator is not finite after {steps} steps: give a smaller learning_rate")
    return partial(_output, network, params, shift, scale)


class AgainstOptimum(NamedTuple):
    """Errors of a discriminator relative to the optimal one.

    Attributes:
        probability_error: mean of `|D - D*|`, weighted with (p + q) / 2, the distribution of the discriminator's
            inputs.
        log_ratio_error: mean of `|logit - log(p / q)|` in nats, weighted with min(p, q), which is positive where both
            densities are; NaN for disjoint distributions, whose density ratio is nowhere finite and positive.
        value: value of the game with this discriminator, in nats.
        optimal_value: value with the optimal one, `2 JS(p, q) - 2 log 2`, the maximum over all discriminators.
    """

    probability_error: Float[Array, ""]
    log_ratio_error: Float[Array, ""]
    value: Float[Array, ""]
    optimal_value: Float[Array, ""]


def compare_with_optimum(
    logits: Float[Array, " n"],
    log_p: Float[Array, " n"],
    log_q: Float[Array, " n"],
    *,
    volumes: float | Float[Array, " n"] = 1.0,
) -> AgainstOptimum:
    """Compare a discriminator with the optimal one, by quadrature over known densities.

    The second error is that of density-ratio estimation by supervised learning: the logit of a classifier of real and
    generated examples is an estimate of `log(p / q)`.

    Args:
        logits: finite logits of the discriminator at each node of a quadrature, [n].
        log_p: log density of the data at the nodes, in nats, [n]; -inf where the density is 0.
        log_q: log density of generated examples at the nodes, in nats, [n].
        volumes: quadrature weight of each node, as in `jaxgen.analysis.value_at_optimum`.

    Returns:
        The two errors and the two values.

    Raises:
        ValueError: if the shapes differ.

    Reference:
        Goodfellow et al. 2014, arXiv:1406.2661, proposition 1 and theorem 1; Mohamed and Lakshminarayanan 2016,
        arXiv:1610.03483, equation 4.

    Example:
        >>> p, q = jnp.array([0.5, 0.5]), jnp.array([0.1, 0.9])
        >>> undecided = compare_with_optimum(jnp.zeros(2), jnp.log(p), jnp.log(q))
        >>> [f"{number:.3f}" for number in undecided]
        ['0.200', '0.758', '-1.386', '-1.183']
    """
    check_same_shape(logits=logits, log_p=log_p, log_q=log_q)
    logits, best = widen(logits), widen(optimal_logits(log_p, log_q))
    p, q = volumes * jnp.exp(widen(log_p)), volumes * jnp.exp(widen(log_q))
    probability_error = jnp.average(jnp.abs(jax.nn.sigmoid(logits) - jax.nn.sigmoid(best)), weights=p + q)
    overlap = jnp.minimum(p, q)
    # Outside of the overlap the ratio may be infinite, and infinity times a weight of 0 would be NaN.
    log_ratio_error = jnp.average(jnp.where(overlap > 0, jnp.abs(logits - best), 0.0), weights=overlap)
    value = jnp.sum(p * jax.nn.log_sigmoid(logits) + q * jax.nn.log_sigmoid(-logits))
    return AgainstOptimum(probability_error, log_ratio_error, value, value_at_optimum(log_p, log_q, volumes=volumes))


def sample_gradients(
    loss: AdversarialLoss, discriminator: Critic, fake: Float[Array, " n *event"]
) -> Float[Array, " n *event"]:
    """Compute the gradient of the generator's loss with respect to each generated example.

    `d loss.generator(f(y)) / dy`, which is `jaxgen.analysis.generator_gradient` times the gradient of the logit with
    respect to the example. The gradient of the generator's parameters follows from it by the chain rule.

    Args:
        loss: pair of losses of `jaxgen.losses`, not a relativistic one.
        discriminator: f, from examples to logits or critic values, each of which depends on its own example alone.
        fake: generated examples, `[n, *event]`.

    Returns:
        The gradients, `[n, *event]`; gradient descent on the loss changes an example in the opposite direction.

    Raises:
        ValueError: if the loss is relativistic.

    Reference:
        Arjovsky and Bottou 2017, arXiv:1701.04862, theorem 2.4.

    Example:
        >>> from jaxgen.losses import minimax, non_saturating
        >>> discriminator = lambda y: -8.0 * y[:, 0]  # D = 0.0003 at y = 1.
        >>> print(sample_gradients(non_saturating, discriminator, jnp.ones((1, 1))).round(3))
        [[7.997]]
        >>> print(sample_gradients(minimax, discriminator, jnp.ones((1, 1))).round(3))
        [[0.003]]
    """

    def total(examples: Float[Array, " n *event"]) -> Float[Array, ""]:
        return jnp.sum(loss.generator(discriminator(examples)))

    return jax.grad(total)(fake)


@partial(jax.jit, static_argnums=0)  # One program for all networks of the same widths.
def _output(
    network: Any, params: Params, shift: Array, scale: Array, points: Float[Array, "n dim"]
) -> Float[Array, " n"]:
    return network.apply({"params": params}, (points - shift) / scale, train=False)


def _unit_of(key: KeyArray, real: Sampler, fake: Sampler) -> tuple[np.ndarray, np.ndarray]:
    """Origin and unit of each column for a network: 0 and 1 unless its points are far away, or much larger or smaller.

    The inputs of a network that is trained by gradients must be of the order of 1.
    """
    keys = jax.random.split(key)
    points = np.concatenate([np.asarray(draw(key, UNIT_SAMPLE)) for key, draw in zip(keys, (real, fake), strict=True)])
    mean, deviation = points.mean(axis=0, dtype=np.float64), points.std(axis=0, dtype=np.float64)
    shift = np.where(np.abs(mean) > FAR * deviation, mean, 0)
    unlike = (deviation > 0) & ((deviation > FAR) | (deviation < 1 / FAR))
    return shift.astype(points.dtype), np.where(unlike, deviation, 1).astype(points.dtype)


def _train_single_player(
    key: KeyArray, init_networks: Callable[[KeyArray, Batch], dict[str, Params]], player: Player, steps: int
) -> State:
    """Train a game of one player, whose loss samples its own examples, in one compiled program."""
    init, step = game(init_networks, [player])

    @jax.jit
    def train(key: KeyArray) -> State:
        init_key, steps_key = jax.random.split(key)

        def body(t: Array, state: State) -> State:
            return step(jax.random.fold_in(steps_key, t), state, {})[0]

        return jax.lax.fori_loop(0, steps, body, init(init_key, {}))

    return train(key)
