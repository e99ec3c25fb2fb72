"""The optimizer options that all families share, as one dataclass that their `Config` extends.

From Python any `optax.GradientTransformation` can be passed to `build` instead.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any, Literal, TypeAlias, get_args

import jax
import jax.numpy as jnp
import optax

from jaxgen._arrays import is_known
from jaxgen.errors import InputError, check_known
from jaxgen.game import Player, Regularizer
from jaxgen.models.dependences import Dependence, of_optimizers
from jaxgen.models.validation import check_not_negative, check_positive
from jaxgen.typing import Array, Batch, Float, Params

OptimizerName: TypeAlias = Literal["adam", "adamw", "sgd", "rmsprop"]
ScheduleName: TypeAlias = Literal["constant", "cosine", "linear", "inverse", "step", "piecewise"]


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """Options of an optimizer.

    Attributes:
        optimizer: Adam, AdamW (decoupled weight decay), SGD with momentum, or RMSProp.
        learning_rate: learning rate, after the warm-up and before the decay of a schedule.
        b1: decay of the mean of gradients (adam, adamw).
        b2: decay of the mean of squared gradients (adam, adamw, rmsprop).
        eps: number added to the root of the mean of squared gradients (adam, adamw, rmsprop).
        momentum: decay of the accumulated gradient (sgd); 0 for SGD without momentum.
        weight_decay: weight of the decay of parameters, decoupled from the gradient for adamw, added to it otherwise.
        clip_norm: largest norm of a player's gradient; a larger gradient is scaled down to it. By default none is.
        schedule: learning rate over the steps: constant; cosine or linear decay to `final_factor` times the learning
            rate; inverse, a division by 1 + step / `decay_steps`; step, a multiplication by `final_factor` after every
            `decay_steps` steps; or piecewise, `factors` of the learning rate from `milestones` on.
        decay_steps: number of steps of the decay, counted after the warm-up (cosine, linear), after which the learning
            rate is a half (inverse), or between two drops (step); required by these schedules.
        final_factor: factor of the learning rate at the end of a decay, by default 0 (cosine, linear), or at each drop,
            by default 0.1 (step).
        milestones: steps from which on the learning rate has the next of `factors`, counted after the warm-up
            (piecewise).
        factors: factors of the learning rate, one for each of `milestones` (piecewise).
        warmup_steps: number of steps in which the learning rate grows linearly; with w of them, step i (from 0) has
            (i + 1) / (w + 1) of it.
        freeze: names of networks whose parameters are not trained, e.g. encoder; by default all are trained. Running
            statistics of batch normalization are updated all the same.
    """

    optimizer: OptimizerName = "adam"
    learning_rate: float | None = 1e-3
    b1: float | None = 0.9
    b2: float = 0.999
    eps: float = 1e-8
    momentum: float = 0.9
    weight_decay: float = 0.0
    clip_norm: float | None = None
    schedule: ScheduleName = "constant"
    decay_steps: int | None = None
    final_factor: float | None = None
    milestones: tuple[int, ...] = ()
    factors: tuple[float, ...] = ()
    warmup_steps: int = 0
    freeze: tuple[str, ...] = ()

    def check_optimizer(self) -> None:
        """Raise an InputError if an option has an impossible value or does not apply."""
        _check_options(self)

    def dependences(self, example: Batch) -> tuple[Dependence, ...]:
        """Return which options have an effect for data; each family adds its own.

        Args:
            example: batch of any size that shows the shape of the data.

        Returns:
            Options that have an effect only in some cases, and whether this is one.
        """
        del example
        return of_optimizers("", self.optimizer)


@dataclass(frozen=True, kw_only=True)
class AdversarialOptimizerConfig(OptimizerConfig):
    """Options of the optimizer of all players, and those in which that of the discriminator differs.

    Attributes:
        discriminator_optimizer: optimizer of the discriminator; by default that of all players.
        discriminator_learning_rate: learning rate of the discriminator; by default that of all players.
        discriminator_b1: b1 of the discriminator's optimizer; by default that of all players.
        discriminator_b2: b2 of the discriminator's optimizer; by default that of all players.
        discriminator_eps: eps of the discriminator's optimizer; by default that of all players.
        discriminator_momentum: momentum of the discriminator's optimizer; by default that of all players.
        discriminator_weight_decay: weight decay of the discriminator; by default that of all players.
        discriminator_clip_norm: largest norm of the discriminator's gradient; by default that of all players.
        discriminator_schedule: schedule of the discriminator's learning rate; by default that of all players.
        discriminator_decay_steps: number of steps of that schedule's decay, or between two drops; by default that of
            all players.
        discriminator_final_factor: factor of the discriminator's learning rate at the end of a decay, or at each drop;
            by default that of all players.
        discriminator_milestones: steps at which the discriminator's learning rate changes; by default those of all
            players.
        discriminator_factors: factors of the discriminator's learning rate from these steps on; by default those of
            all players.
        discriminator_warmup_steps: number of steps in which the discriminator's learning rate grows linearly; by
            default that of all players.
    """

    discriminator_optimizer: OptimizerName | None = None
    discriminator_learning_rate: float | None = None
    discriminator_b1: float | None = None
    discriminator_b2: float | None = None
    discriminator_eps: float | None = None
    discriminator_momentum: float | None = None
    discriminator_weight_decay: float | None = None
    discriminator_clip_norm: float | None = None
    discriminator_schedule: ScheduleName | None = None
    discriminator_decay_steps: int | None = None
    discriminator_final_factor: float | None = None
    discriminator_milestones: tuple[int, ...] | None = None
    discriminator_factors: tuple[float, ...] | None = None
    discriminator_warmup_steps: int | None = None

    def check_optimizer(self) -> None:
        """Raise an InputError if an option of any player has an impossible value or does not apply."""
        _check_options(self)
        _check_options(optimizer_of_discriminator(self), prefix="discriminator_")

    def dependences(self, example: Batch) -> tuple[Dependence, ...]:
        """Return which options have an effect for data; those of all players have one for any player."""
        del example
        own = self.discriminator_optimizer or self.optimizer
        return (*of_optimizers("", self.optimizer, own), *of_optimizers("discriminator_", own))


def optimizer_of_discriminator(config: AdversarialOptimizerConfig) -> OptimizerConfig:
    """Return the options of the discriminator's optimizer: its own where they are given, else those of all players.

    Where only the discriminator has the schedule 'constant', the decay of the other players does not apply to it.

    Args:
        config: options.

    Returns:
        Options of the optimizer alone.

    Example:
        >>> config = AdversarialOptimizerConfig(learning_rate=1e-4, discriminator_learning_rate=4e-4)
        >>> optimizer_of_discriminator(config).learning_rate
        0.0004
    """
    names = [field.name for field in fields(OptimizerConfig) if field.name != "freeze"]  # Of all players.
    shared = {name: getattr(config, name) for name in names}
    own = {name: getattr(config, f"discriminator_{name}") for name in names}
    if own["schedule"] == "constant":
        shared |= {"decay_steps": None, "final_factor": None, "milestones": (), "factors": ()}
    return OptimizerConfig(**shared | {name: value for name, value in own.items() if value is not None})


def _check_options(config: OptimizerConfig, prefix: str = "") -> None:
    """Check the options of an optimizer, whose names in messages begin with the prefix."""
    check_known(f"{prefix}optimizer", config.optimizer, get_args(OptimizerName))
    check_known(f"{prefix}schedule", config.schedule, get_args(ScheduleName))
    for name in ("learning_rate", "eps", "clip_norm", "decay_steps"):
        if (value := getattr(config, name)) is not None:
            check_positive(**{prefix + name: value})
    for name in ("weight_decay", "warmup_steps", "final_factor"):
        if (value := getattr(config, name)) is not None:
            check_not_negative(**{prefix + name: value})
    for name in ("b1", "b2", "momentum"):
        check_decay(prefix + name, getattr(config, name))
    _check_milestones(config, prefix)
    decays = config.schedule not in ("constant", "piecewise")
    if decays and config.decay_steps is None:
        raise InputError(
            f"{prefix}decay_steps must be given for the schedule '{config.schedule}', e.g. the steps of the run"
        )
    if config.schedule == "inverse" and config.final_factor is not None:
        raise InputError(f"{prefix}final_factor has no effect on the schedule 'inverse': choose cosine, linear or step")
    if not decays and (config.decay_steps is not None or config.final_factor is not None):
        raise InputError(
            f"{prefix}decay_steps and {prefix}final_factor have no effect on the schedule '{config.schedule}': choose "
            f"cosine, linear or step"
        )


def _check_milestones(config: OptimizerConfig, prefix: str) -> None:
    milestones, factors = config.milestones, config.factors
    if config.schedule != "piecewise":
        if milestones or factors:
            raise InputError(
                f"{prefix}milestones and {prefix}factors have no effect on the schedule '{config.schedule}': choose "
                f"piecewise"
            )
        return
    if not milestones or len(milestones) != len(factors):
        raise InputError(
            f"{prefix}milestones and {prefix}factors must be equally many, at least one, for the schedule 'piecewise', "
            f"got {len(milestones)} and {len(factors)}"
        )
    check_positive(**{f"{prefix}milestones": milestones[0]})
    check_not_negative(**{f"{prefix}factors": min(factors)})
    if any(after <= before for before, after in pairwise(milestones)):
        raise InputError(f"{prefix}milestones must increase, got {', '.join(map(str, milestones))}")


def check_decay(name: str, value: float | None) -> None:
    """Raise an InputError unless a decay is None or in [0, 1).

    Args:
        name: name of the option.
        value: value of the option.

    Raises:
        InputError: if the value is outside.

    Example:
        >>> check_decay("b2", 1.0)
        Traceback (most recent call last):
        jaxgen.errors.InputError: b2 must be a decay from 0 to below 1, got 1.0
    """
    if value is not None and is_known(value) and not 0 <= value < 1:
        raise InputError(f"{name} must be a decay from 0 to below 1, got {value}")


def check_optimizers(**optimizers: Any) -> None:
    """Check the optimizers that a user passes in place of those of the options.

    Args:
        **optimizers: name of the argument -> optimizer; None where the options determine it.

    Raises:
        InputError: if an argument is no optimizer.

    Example:
        >>> check_optimizers(optimizer="adam")
        Traceback (most recent call last):
        jaxgen.errors.InputError: optimizer must be an optax optimizer such as optax.adam(1e-3), got 'adam'
    """
    for name, tx in optimizers.items():
        if tx is not None and (isinstance(tx, type) or not (hasattr(tx, "init") and hasattr(tx, "update"))):
            raise InputError(f"{name} must be an optax optimizer such as optax.adam(1e-3), got {tx!r}")


def make_optimizer(
    config: OptimizerConfig,
    *,
    regularizers: Sequence[Regularizer] = (),
    differentiable: bool = False,
    eps_in_root: bool = False,
) -> optax.GradientTransformation:
    """Return the optimizer of a player.

    A player with regularizers makes `1 + sum of 1/every` updates per step on average. As published, its learning rate
    is multiplied by `c = 1 / (1 + sum of 1/every)`, and its decays (b1, b2, momentum) are raised to the power c; with
    one regularizer `c = every / (every + 1)`.

    Args:
        config: options; the learning rate and b1 must not be None.
        regularizers: regularizers of the player.
        differentiable: whether the updates are differentiated, as by an unrolled GAN: the root, which has no derivative
            at 0, then has a small number added under it, 1e-16 for adam and eps^2 in place of eps for rmsprop.
        eps_in_root: whether rmsprop adds eps under the root and not to it.

    Returns:
        The optimizer. Its learning rate is a function of the step of the training, not of the number of updates: its
        `update` needs the argument `step`, which the game passes.

    Raises:
        InputError: if an option that the optimizer needs is None.

    Reference:
        Karras et al. 2020, arXiv:1912.04958, appendix B (the correction).

    Example:
        >>> tx = make_optimizer(OptimizerConfig(optimizer="sgd", momentum=0.0, learning_rate=0.5))
        >>> updates, _ = tx.update(jnp.ones(2), tx.init(jnp.ones(2)), jnp.ones(2), step=jnp.int32(0))
        >>> updates
        Array([-0.5, -0.5], dtype=float32)
    """
    if config.learning_rate is None:
        raise InputError("learning_rate must be positive and finite, got None")
    if config.b1 is None and config.optimizer in ("adam", "adamw"):
        raise InputError(f"b1 must be a decay from 0 to below 1 for {config.optimizer}, got None")
    correction = 1 / (1 + sum(1 / regularizer.every for regularizer in regularizers))
    parts = [] if config.clip_norm is None else [optax.clip_by_global_norm(config.clip_norm)]
    decays = not is_known(config.weight_decay) or config.weight_decay != 0
    decay = [optax.add_decayed_weights(config.weight_decay)] if decays else []
    direction = _direction(config, correction, differentiable, eps_in_root)
    parts += [direction, *decay] if config.optimizer == "adamw" else [*decay, direction]
    return optax.chain(*parts, _scale_by_schedule(_schedule(config, correction * config.learning_rate)))


def freeze_networks(players: Sequence[Player], networks: Sequence[str]) -> tuple[Player, ...]:
    """Return the players with optimizers that do not change some networks.

    Args:
        players: players with any optimizers.
        networks: names of the networks that are not trained.

    Returns:
        The players.

    Raises:
        InputError: if no player trains a network of that name, or none is left to train.

    Example:
        >>> player = Player("p", ("encoder", "decoder"), None, optax.sgd(1.0))
        >>> (frozen,) = freeze_networks([player], ["encoder"])
        >>> params = {"encoder": jnp.ones(1), "decoder": jnp.ones(1)}
        >>> updates, _ = frozen.tx.update(params, frozen.tx.init(params), params)
        >>> float(updates["encoder"][0]), float(updates["decoder"][0])
        (0.0, -1.0)
    """
    known = [network for player in players for network in player.trains]
    for network in networks:
        check_known("network to freeze", network, known)
    if set(known) <= set(networks):
        raise InputError(
            f"freeze must leave a network to train, got {', '.join(networks)} of {', '.join(dict.fromkeys(known))}"
        )

    def frozen(player: Player) -> Player:
        def project(params: Params) -> Params:
            return {**player.project(params), **{name: x for name, x in params.items() if name in networks}}

        # At both ends: their gradients are not part of a norm that is clipped, and their weights do not decay.
        tx = optax.chain(_zero(networks), player.tx, _zero(networks))
        return player._replace(tx=tx, project=project)

    return tuple(frozen(player) if set(player.trains) & set(networks) else player for player in players)


def _zero(networks: Sequence[str]) -> optax.GradientTransformation:
    """The transformation that replaces the gradients of some networks by 0."""

    def update(updates: Any, state: optax.OptState, params: Any = None) -> tuple[Any, optax.OptState]:
        del params
        kept = {name: jax.tree.map(jnp.zeros_like, x) if name in networks else x for name, x in updates.items()}
        return kept, state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def _direction(
    config: OptimizerConfig, correction: float, differentiable: bool, eps_in_root: bool
) -> optax.GradientTransformation:
    """The transformation of gradients before the learning rate."""
    root = 1e-16 if differentiable else 0.0
    b2 = config.b2**correction
    if config.optimizer in ("adam", "adamw"):
        assert config.b1 is not None
        return optax.scale_by_adam(config.b1**correction, b2, config.eps, eps_root=root)
    if config.optimizer == "rmsprop":
        eps = config.eps**2 if differentiable and not eps_in_root else config.eps
        return optax.scale_by_rms(b2, eps, eps_in_sqrt=differentiable or eps_in_root)
    momentum = config.momentum**correction
    return optax.trace(momentum) if not is_known(momentum) or momentum != 0 else optax.identity()


def _schedule(config: OptimizerConfig, learning_rate: float) -> Callable[[Array], Float[Array, ""]]:
    """`step -> learning rate`."""
    length, warmup = config.decay_steps or 1, config.warmup_steps

    def schedule(step: Array) -> Float[Array, ""]:
        progress = jnp.maximum(step - warmup, 0) / length
        if config.schedule == "step":
            factor = (0.1 if config.final_factor is None else config.final_factor) ** jnp.floor(progress)
        elif config.schedule == "constant":
            factor = jnp.ones(())
        elif config.schedule == "inverse":
            factor = 1 / (1 + progress)
        elif config.schedule == "piecewise":
            passed = jnp.searchsorted(jnp.array(config.milestones), step - warmup, side="right")
            factor = jnp.array((1.0, *config.factors))[passed]
        else:
            final = 0.0 if config.final_factor is None else config.final_factor
            share = jnp.minimum(progress, 1.0)
            falling = 0.5 * (1 + jnp.cos(math.pi * share)) if config.schedule == "cosine" else 1 - share
            factor = final + (1 - final) * falling
        growing = jnp.minimum((step + 1) / (warmup + 1), 1.0) if warmup else 1.0
        return learning_rate * growing * factor

    return schedule


def _scale_by_schedule(schedule: Callable[[Array], Float[Array, ""]]) -> optax.GradientTransformationExtraArgs:
    """Multiply by minus the learning rate of the step, which the game passes to every optimizer."""

    def init(params: optax.Params) -> optax.OptState:
        del params
        return optax.EmptyState()

    def update(
        updates: optax.Updates, state: optax.OptState, params: optax.Params | None = None, *, step: Array, **extra: Any
    ) -> tuple[optax.Updates, optax.OptState]:
        del params, extra
        rate = schedule(step)
        return optax.tree.scale(-rate, updates), state

    return optax.GradientTransformationExtraArgs(init, update)
