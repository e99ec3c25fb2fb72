"""Phases of a training: which step function, batch size and optimizer states belong to which step."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax

from jaxgen.errors import InputError
from jaxgen.game import Model, Phase, Player, State
from jaxgen.training.leaves import batch_shapes, first_difference, named_leaves
from jaxgen.training.seeds import select_seed
from jaxgen.typing import Batch, Metrics


class Stage(NamedTuple):
    """A phase and its place in the training.

    Attributes:
        phase: the phase.
        steps: the steps of the training that belong to it.
        number: position among the phases, counted from 0.
    """

    phase: Phase
    steps: range
    number: int


def stages(model: Model, steps: int) -> list[Stage]:
    """Return the phases of a training with the steps of each; a model without phases has one.

    Args:
        model: model with or without phases.
        steps: number of steps of the training; a phase that it does not reach is left out.

    Returns:
        The stages in their order; together their steps are `range(steps)`.

    Raises:
        InputError: if the phases have fewer steps than the training.
        ValueError: if a phase other than the last has no end, or fewer than one step.

    Example:
        >>> step = lambda key, state, batch: (state, {})
        >>> model = Model(None, step, (), phases=(Phase("low", 10, step, ()), Phase("high", None, step, ())))
        >>> [(stage.phase.name, stage.steps) for stage in stages(model, 15)]
        [('low', range(0, 10)), ('high', range(10, 15))]
    """
    phases = model.phases or (Phase("training", None, model.step, model.players),)
    for phase in phases[:-1]:
        if phase.steps is None:
            raise ValueError(f"only the last phase may have no end, and '{phase.name}' is followed by another")
    if any(phase.steps is not None and phase.steps < 1 for phase in phases):
        raise ValueError(f"a phase must have at least 1 step, got {[phase.steps for phase in phases]}")
    found, first = [], 0
    for number, phase in enumerate(phases):
        last = steps if phase.steps is None else min(steps, first + phase.steps)
        if first < last:
            found.append(Stage(phase, range(first, last), number))
        first = max(first, last)
    if first < steps:
        raise InputError(f"the phases of this model have {first} steps in all, give at most that many, got {steps}")
    return found


def reset_optimizers(players: Sequence[Player], names: Sequence[str], state: State) -> State:
    """Return the state with the optimizer states of some players as they were before the first update.

    Args:
        players: the players of the game.
        names: names of the players whose optimizer state is initialized again.
        state: state of one seed.

    Returns:
        The state; parameters and statistics are unchanged.

    Raises:
        InputError: if an optimizer has a state of another form, which checkpoints could not hold.

    Example:
        >>> import jax, jax.numpy as jnp, optax
        >>> from jaxgen.game import game
        >>> point = Player("point", ("x",), lambda key, p, state, batch: (p["x"] ** 2, ({}, {})), optax.adam(0.25))
        >>> init, step = game(lambda key, batch: {"x": {"params": jnp.float32(8.0)}}, [point])
        >>> state, _ = step(jax.random.key(1), init(jax.random.key(0), {}), {})
        >>> [int(s.opt["point"][0].count) for s in (state, reset_optimizers([point], ["point"], state))]
        [1, 0]
    """
    opt = {
        player.name: player.tx.init({network: state.params[network] for network in player.trains})
        for player in players
        if player.name in names
    }
    for name, own in opt.items():
        if difference := first_difference(named_leaves(own), named_leaves(state.opt.get(name))):
            raise InputError(
                f"the optimizer of player '{name}' must have a state of the same form in all phases, but {difference}: "
                f"use the same optimizer, with other options or schedules of the step"
            )
    return state.replace(opt=state.opt | opt)


def check_optimizers(remaining: Sequence[Stage], state: State) -> None:
    """Check that the optimizers of all phases have states of the same form.

    Args:
        remaining: phases that are still to be trained.
        state: state of all seeds, or its shapes.

    Raises:
        InputError: if one does not.
    """
    seed = _first_seed(state)
    for stage in remaining:
        players = stage.phase.players
        jax.eval_shape(partial(reset_optimizers, players, [player.name for player in players]), seed)


def check_steps(remaining: Sequence[Stage], state: State, batch_size: int, example: Batch) -> None:
    """Check that the steps of phases fit the state and the batches, before any of them is trained.

    Args:
        remaining: phases to check.
        state: state of all seeds, or its shapes.
        batch_size: number of examples in one update of a player; phases may have their own.
        example: smallest batch that shows the shapes of the data.

    Raises:
        InputError: if one does not fit.
    """
    seed = _first_seed(state)
    for stage in remaining:
        phase = stage.phase
        examples = (phase.batch_size or batch_size) * phase.slices
        try:
            inputs = jax.eval_shape(phase.preprocess, batch_shapes(example, examples))
            checked_metrics(phase.name, seed, *jax.eval_shape(phase.step, jax.random.key(0), seed, inputs))
        except InputError:
            raise
        except Exception as error:  # Whatever a step of the user's own raises.
            reason = str(error).partition("\n")[0]
            raise InputError(
                f"the step of phase '{phase.name}' must accept the state and the batches of the training, got "
                f"{type(error).__name__}: {reason}"
            ) from error


def _first_seed(state: State) -> State:
    """The shapes of the state of one seed."""
    return jax.eval_shape(lambda state: select_seed(state, 0), state)


def checked_metrics(phase: str, before: State, after: State, metrics: Metrics) -> Metrics:
    """Check the results of a step.

    Args:
        phase: name of the phase.
        before: state before the step, or its shapes.
        after: shapes of the state after it.
        metrics: shapes of its metrics.

    Returns:
        The metrics.

    Raises:
        InputError: if the state has another form than before, or a metric is not a scalar.
    """
    if difference := first_difference(named_leaves(after), named_leaves(before)):
        raise InputError(f"the step of phase '{phase}' must return a state of the same form, but {difference}")
    for name, metric in metrics.items():
        if metric.shape:
            raise InputError(f"the metric '{name}' must be a scalar, got an array of shape {metric.shape}")
    return metrics
