"""Exponential moving averages of networks: of their parameters, and of the running statistics that belong to them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxgen._arrays import is_known
from jaxgen.errors import InputError
from jaxgen.typing import Array, Batch, KeyArray, Params, Scalar, Stats

if TYPE_CHECKING:
    from jaxgen.game import State

Decay = Callable[[Array, int], Scalar]
Recompute = Callable[[KeyArray, Params, Batch], Stats]


NO_BATCH: Batch = {}


class Average(NamedTuple):
    """An exponential moving average of a network, updated once per step.

    `average = decay * average + (1 - decay) * value`

    The average of running statistics is not the running statistics of averaged parameters. `recompute` gives the
    latter: the Fréchet distance of samples of a small DCGAN was 3.2 with the former and 0.33 with the latter.

    Attributes:
        decay: `(step, batch_size) -> decay`, the decay at a step.
        collections: collections of statistics that belong to the average; all others are copied.
        recompute: `(key, variables, batch) -> statistics`, the statistics of a network with these averaged variables
            after a forward pass in training, from which those of `collections` are taken. Where it is None, they are
            averaged like the parameters.
        delayed: whether the network is averaged as it was before the step, as by the authors of PGGAN and StyleGAN,
            who update the average after the discriminator and before the generator, and not as it is after the step.
    """

    decay: Decay
    collections: tuple[str, ...] = ("batch_stats",)
    recompute: Recompute | None = None
    delayed: bool = False


def constant_decay(decay: float, *, start: int = 0) -> Decay:
    """Return a decay that is the same at every step.

    Args:
        decay: decay, from 0 (the average is the current value) to below 1.
        start: step at which the average begins; until then it is the current value.

    Returns:
        `(step, batch_size) -> decay`.

    Raises:
        InputError: if the decay is outside [0, 1), or start is negative.

    Example:
        >>> constant_decay(0.999)(jnp.int32(7), 64)
        0.999
        >>> float(constant_decay(0.999, start=8)(jnp.int32(7), 64))
        0.0
    """
    if is_known(decay) and not 0 <= decay < 1:
        raise InputError(f"the decay of a moving average must be from 0 to below 1, got {decay}")
    if start < 0:
        raise InputError(f"start must be at least 0, got {start}")
    return lambda step, batch_size: jnp.where(step < start, 0.0, decay) if start else decay


def half_life_decay(half_life: float, *, ramp_up: float | None = None, start: int = 0) -> Decay:
    """Return the decay by which the weight of a step is halved after a number of examples.

    `decay = 0.5 ** (batch_size / half_life)`, where with a ramp-up the half-life is at most `ramp_up * n`, n being the
    number of examples so far, `step * batch_size`: early averages do not keep the initial parameters.

    Args:
        half_life: half-life in examples (10,000 in the paper).
        ramp_up: largest half-life as a share of the examples so far (0.05 in the authors' code); None for no ramp-up.
        start: step at which the average begins; until then it is the current value.

    Returns:
        `(step, batch_size) -> decay`.

    Raises:
        InputError: if half_life or ramp_up is not positive, or start is negative.

    Reference:
        Karras et al. 2018, arXiv:1710.10196, appendix A; Karras et al. 2020, arXiv:2006.06676, appendix C (ramp-up).

    Example:
        >>> float(half_life_decay(100.0)(jnp.int32(7), 100))
        0.5
    """
    given = [value for value in (half_life, ramp_up) if value is not None and is_known(value)]
    if not all(value > 0 for value in given):
        raise InputError(f"half_life and ramp_up must be positive, got {half_life} and {ramp_up}")
    if start < 0:
        raise InputError(f"start must be at least 0, got {start}")

    def decay(step: Array, batch_size: int) -> Array:
        examples = jnp.asarray(half_life, jnp.float32)
        if ramp_up is not None:
            examples = jnp.minimum(examples, ramp_up * (step * float(batch_size)))
        value = jnp.exp2(-batch_size / jnp.maximum(examples, 1e-8))
        return jnp.where(step < start, 0.0, value)

    return decay


def with_averages(state: "State") -> "State":
    """Return the state in which averaged networks have their averaged parameters and statistics.

    Args:
        state: state of a game with moving averages, or without any.

    Returns:
        The state for sampling and evaluation; the training goes on from the other one.

    Example:
        >>> from jaxgen.game import State
        >>> ema = {"g": {"params": 3.0, "batch_stats": 4.0}}
        >>> state = State(jnp.int32(0), {"g": 1.0}, {"g": {"batch_stats": 2.0}}, {}, ema)
        >>> with_averages(state).params, with_averages(state).stats
        ({'g': 3.0}, {'g': {'batch_stats': 4.0}})
    """
    params = {name: variables["params"] for name, variables in state.ema.items()}
    stats = {
        name: {kind: x for kind, x in variables.items() if kind != "params"} for name, variables in state.ema.items()
    }
    return state.replace(
        params=state.params | params, stats=state.stats | {name: kinds for name, kinds in stats.items() if kinds}
    )


def without_averages(state: "State") -> "State":
    """Return the state without moving averages, whose samples are the discriminator's inputs in training.

    Where a moving average of the generator is kept, models sample from it. The discriminator is trained with the
    generator itself, and can be optimal only for that one.

    Args:
        state: state of one seed or of several.

    Returns:
        The same state with an empty `ema`.

    Example:
        >>> from jaxgen.models import gan
        >>> example = {"point": jnp.zeros((1, 1))}
        >>> state = gan.build(gan.Config(hidden=(8,), ema=0.9), example).init(jax.random.key(0), example)
        >>> sorted(state.ema), sorted(without_averages(state).ema)
        (['generator'], [])
    """
    return state.replace(ema={})


def updated_average(
    state: "State",
    name: str,
    average: Average,
    batch_size: int,
    *,
    key: KeyArray | None = None,
    batch: Batch = NO_BATCH,
) -> Params:
    """Return the moving average of a network after a step.

    Args:
        state: state after the updates of the step, or before them for a delayed average, with the average before the
            step and the number of the step.
        name: name of the network.
        average: decay, and what is averaged.
        batch_size: examples per update.
        key: PRNG key of the forward pass in which statistics are recomputed; needed with `average.recompute`.
        batch: examples of that pass.

    Returns:
        The average as Flax variables. Integers are copied.

    Raises:
        InputError: if statistics are to be recomputed and there is no key.

    Example:
        >>> from jaxgen.game import State
        >>> state = State(jnp.int32(0), {"g": jnp.ones(1)}, {}, {}, {"g": {"params": jnp.zeros(1)}})
        >>> updated_average(state, "g", Average(constant_decay(0.75)), 64)
        {'params': Array([0.25], dtype=float32)}
    """
    decay = average.decay(state.step, batch_size)
    current = {"params": state.params[name], **state.stats.get(name, {})}
    averaged = {"params", *average.collections}

    def blend(value: Array, mean: Array) -> Array:
        if not jnp.issubdtype(value.dtype, jnp.inexact):
            return value
        return optax.incremental_update(value, mean, 1.0 - decay).astype(value.dtype)

    variables = {
        kind: jax.tree.map(blend, value, state.ema[name][kind]) if kind in averaged else value
        for kind, value in current.items()
    }
    own = [kind for kind in average.collections if kind in current]
    if average.recompute is None or not own:
        return variables
    if key is None:
        raise InputError("key must be given to an average whose statistics are recomputed, got None")
    found = average.recompute(key, {**variables, **{kind: state.ema[name][kind] for kind in own}}, batch)
    return {**variables, **{kind: found[kind] for kind in own}}
