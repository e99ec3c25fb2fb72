"""Training a generative model as a game of pure functions.

An autoencoder is a game with one player, a GAN has two, VAE/GAN has three; in WGAN-GP one player makes five updates per
step. A player minimizes a loss over the parameters of some networks. `game` makes two functions of a list of players::

    init: (key, batch) -> state                      networks, their statistics, every player's optimizer state
    step: (key, state, batch) -> (state, metrics)    one step: every player makes its updates, in order or at once

Both are pure, so `jax.jit`, `jax.vmap` over seeds, `jax.lax.scan` over steps and sharding over devices apply to every
model of the library, and none of them depends on which model it is.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgen.averaging import Average, updated_average
from jaxgen.game_checks import check_loss, check_names, check_players
from jaxgen.latent_functions import LatentDensities as LatentDensities
from jaxgen.latent_functions import Styles as Styles
from jaxgen.latent_functions import StyleTransfer as StyleTransfer
from jaxgen.slices import mean_over_slices, split
from jaxgen.typing import Array, Batch, KeyArray, Metrics, Params, PyTree, Stats

Init = Callable[[KeyArray, Batch], "State"]
Step = Callable[[KeyArray, "State", Batch], tuple["State", Metrics]]
Loss = Callable[[KeyArray, Params, "State", Any], tuple[Array, tuple[Stats, Metrics]]]
ForwardPass = Callable[[KeyArray, Params, "State", Batch], PyTree]
Value = TypeVar("Value")

LAST = np.uint32(2**32 - 1)
"""Largest number that is folded into a key: averages count down from it, and players up from 0."""


class State(flax.struct.PyTreeNode):
    """Everything that training changes.

    Attributes:
        step: number of completed steps, an int32 scalar; also for several seeds in one program a scalar, never batched.
        params: network name -> parameters, changed by optimizer updates.
        stats: network name -> collections changed by forward passes (running statistics, spectral vectors).
        opt: player name -> state of its optimizer.
        ema: network name -> exponential moving average, as Flax variables: `params` and the collections of statistics.
    """

    step: Array
    params: Params
    stats: Stats
    opt: dict[str, optax.OptState]
    ema: dict[str, Params]


def unchanged(value: Value) -> Value:
    """Return the argument: the default of every function that may transform something and need not."""
    return value


class Regularizer(NamedTuple):
    """A loss term that a player minimizes in an update of its own, only at every k-th step (lazy regularization).

    When `state.step % every == 0`, the player makes one more update after its main updates, with the same networks and
    the same optimizer state, by the gradient of `every * loss`. In all other steps the term is not computed.

    Attributes:
        name: name of the term; its metrics are `player/name/...`, NaN (integers: 0) at steps without it.
        loss: function as `Player.loss`; its batch is that of the last update, also where players share a forward pass.
        every: number of steps between two updates with this term, at least 1.

    Reference:
        Karras et al. 2020, arXiv:1912.04958, appendix B.
    """

    name: str
    loss: Loss
    every: int = 1


class Player(NamedTuple):
    """One player: the networks it trains, the loss it minimizes, and its optimizer.

    Attributes:
        name: name of the player, under which its optimizer state and its metrics are stored.
        trains: names of the networks whose parameters it updates; all others are constants in its gradient. A network
            may be trained by several players, each with its own optimizer state.
        loss: `(key, params, state, batch) -> (loss, (stats, metrics))`. `params` holds all networks. `loss` is a
            scalar; `stats` holds the new statistics of the networks whose statistics this update changes; `metrics` are
            scalars to report. Where players share a forward pass, its result is passed in place of the batch.
        tx: optimizer. The step is passed to it as the extra argument `step`.
        updates: number of optimizer updates per step, each on a different slice of the batch.
        regularizers: terms that are minimized in updates of their own, see `Regularizer`.
        project: function of the player's own parameters, applied after each update, e.g. weight clipping.
        accumulations: number of slices into which the batch of an update is split; loss and gradient are means over
            them, computed one after the other with the memory of one. Statistics pass from slice to slice, so that
            batch normalization is by slice.
    """

    name: str
    trains: tuple[str, ...]
    loss: Loss
    tx: optax.GradientTransformation
    updates: int = 1
    regularizers: tuple[Regularizer, ...] = ()
    project: Callable[[Params], Params] = unchanged
    accumulations: int = 1


class Phase(NamedTuple):
    """A part of a training with a step function of its own, over the same state.

    Attributes:
        name: name of the phase.
        steps: number of its steps; None for a last phase without an end.
        step: step function, `(key, state, batch) -> (state, metrics)`.
        players: the players of that step function.
        batch_size: examples per update; None for the batch size of the training.
        preprocess: function of the batch, compiled with the step, e.g. a change of the image resolution.
        reset: names of the players whose optimizer state is initialized again when the phase begins.
    """

    name: str
    steps: int | None
    step: Step
    players: tuple[Player, ...]
    batch_size: int | None = None
    preprocess: Callable[[Batch], Batch] = unchanged
    reset: tuple[str, ...] = ()

    @property
    def slices(self) -> int:
        """Number of batches that one step consumes."""
        return most_updates(self.players)


class Model(NamedTuple):
    """Pure functions of a model, key first. The first three are required; the others are None where not offered.

    Attributes:
        init: `(key, batch) -> state`.
        step: `(key, state, batch) -> (state, metrics)`. The batch holds `slices` times the batch size.
        players: the players, in order of their updates.
        sample: `(key, state, n, **conditions, **latent_options) -> x`, n new examples.
        encode: `(state, batch) -> latent`, one latent vector per example.
        decode: `(state, latent, **conditions) -> x`.
        reconstruct: `(state, batch) -> x`, decoded latents of the examples.
        predict: `(state, batch) -> logits`, one row of class logits per example.
        evaluate: `(key, state, batch) -> metrics`, one value per example, so that any batching gives the same mean.
        sample_latent: `(key, n, **latent_options) -> latent`, those that `sample` draws with that key and decodes.
        sample_posterior: `(key, state, batch) -> latent`, one draw of q(z|x) per example; the latent itself where the
            encoder is deterministic. Families of the package that encode offer it.
        latent_densities: `(key, state, batch) -> LatentDensities`; the key binarizes images where the family does so.
        styles: the two halves of a generator with styles.
        style_transfer: images in the style of other images.
        conditions: names of the keyword arguments that `sample` and `decode` take, e.g. `label`.
        latent_options: names of those that `sample` and `sample_latent` take, e.g. `truncation`.
        phases: phases of the training in their order; empty for a training with the one step function `step`.
        check: `(batch) -> None`, raises an InputError for data that do not fit the model, as far as they are known.
        pretrained: `() -> {network: parameters}`, published ones that a training begins with in place of those of
            `init`; it reads files, so it is no part of a compiled function. `jaxgen.training.states.initial_state`
            calls it.
    """

    init: Init
    step: Step
    players: tuple[Player, ...]
    sample: Callable[..., Array] | None = None
    encode: Callable[[State, Batch], Array] | None = None
    decode: Callable[..., Array] | None = None
    reconstruct: Callable[[State, Batch], Array] | None = None
    predict: Callable[[State, Batch], Array] | None = None
    evaluate: Callable[[KeyArray, State, Batch], Metrics] | None = None
    sample_latent: Callable[..., Array] | None = None
    sample_posterior: Callable[[KeyArray, State, Batch], Array] | None = None
    latent_densities: Callable[[KeyArray, State, Batch], LatentDensities] | None = None
    styles: Styles | None = None
    style_transfer: StyleTransfer | None = None
    conditions: tuple[str, ...] = ()
    latent_options: tuple[str, ...] = ()
    phases: tuple[Phase, ...] = ()
    check: Callable[[Batch], None] | None = None
    pretrained: Callable[[], Mapping[str, PyTree]] | None = None

    @property
    def slices(self) -> int:
        """Number of batches that one step consumes: the largest number of updates of any player."""
        return most_updates(self.players)


def game(
    init_networks: Callable[[KeyArray, Batch], Mapping[str, Mapping[str, PyTree]]],
    players: Sequence[Player],
    *,
    ema: Mapping[str, Average] | None = None,
    shared: ForwardPass | None = None,
) -> tuple[Init, Step]:
    """Return the initialization and the step function of a game.

    In a step the players make their updates in the given order, each with the parameters that the players before it
    have updated. Players that share a forward pass update at once: each by the gradient of its own loss through that
    one pass.

    Args:
        init_networks: `(key, batch) -> {name: variables}`, variables as Flax's `init` returns them: the collection
            `params` holds the trained parameters, all other collections are statistics.
        players: the players, in order of their updates.
        ema: network name -> moving average of its parameters and statistics.
        shared: `(key, params, state, batch) -> outputs`, a forward pass from which all losses are computed.

    Returns:
        `(init, step)`. `step` splits its batch into as many slices as the largest number of updates, example by
        example; update i of any player uses slice i. Its metrics are `player/loss`, `player/gradient_norm` and
        `player/<metric>`, each averaged over the player's updates, and those of regularizers.

    Raises:
        ValueError: if two players have the same name; if a network is named that `init_networks` does not return; or if
            players with a shared forward pass have several updates, a common network, or a loss that is not a scalar.

    Example:
        >>> point = Player("point", ("x",), lambda key, p, state, batch: (p["x"] ** 2, ({}, {})), optax.sgd(0.25))
        >>> init, step = game(lambda key, batch: {"x": {"params": jnp.float32(8.0)}}, [point])
        >>> state = init(jax.random.key(0), {})
        >>> state, metrics = step(jax.random.key(1), state, {})
        >>> float(metrics["point/loss"]), float(state.params["x"])
        (64.0, 4.0)
    """
    averages = dict(ema or {})
    slices = most_updates(players)
    check_players(players, simultaneous=shared is not None)

    def init(key: KeyArray, batch: Batch) -> State:
        networks = {name: dict(variables) for name, variables in init_networks(key, batch).items()}
        check_names(players, averages, networks)
        params = {name: variables.get("params", {}) for name, variables in networks.items()}
        stats = {name: {kind: x for kind, x in of.items() if kind != "params"} for name, of in networks.items()}
        return State(
            step=jnp.zeros((), jnp.int32),
            params=params,
            stats={name: collections for name, collections in stats.items() if collections},
            opt={player.name: player.tx.init(_only(player.trains, params)) for player in players},
            # A copy: the state is donated to the compiled step, which may not receive one buffer twice.
            ema={name: jax.tree.map(jnp.copy, {"params": params[name], **stats[name]}) for name in averages},
        )

    def step(key: KeyArray, state: State, batch: Batch) -> tuple[State, Metrics]:
        if shared is not None:
            updated, reports = _update_at_once(players, shared, key, state, batch)
        else:
            updated, reports = _update_in_order(players, key, state, split(batch, slices))
        metrics = {f"{player}/{name}": value for player, report in reports.items() for name, value in report.items()}
        batch_size = next((len(x) for x in jax.tree.leaves(batch)), 0) // slices
        first = jax.tree.map(lambda x: x[::slices], batch)  # The batch of the first updates.
        averaged = {}
        for i, (name, average) in enumerate(averages.items()):
            source, average_key = state if average.delayed else updated, jax.random.fold_in(key, LAST - i)
            averaged[name] = updated_average(source, name, average, batch_size, key=average_key, batch=first)
        return updated.replace(step=state.step + 1, ema=state.ema | averaged), metrics

    return init, step


def most_updates(players: Sequence[Player]) -> int:
    """Return the largest number of updates that any player makes per step."""
    return max((player.updates for player in players), default=1)


def _update_in_order(
    players: Sequence[Player], key: KeyArray, state: State, batches: Batch
) -> tuple[State, dict[str, Metrics]]:
    """All updates of all players, one player after the other."""
    reports = {}
    for index, player in enumerate(players):
        player_key = jax.random.fold_in(key, index)
        state, report = _updates(player, player_key, state, batches)
        last = jax.tree.map(lambda x, i=player.updates - 1: x[:, i], batches)
        state, regularized = _regularize(player, player_key, state, last)
        reports[player.name] = report | regularized
    return state, reports


def _updates(player: Player, key: KeyArray, state: State, batches: Batch) -> tuple[State, Metrics]:
    """The main updates of a player in one step, update i on slice i, as a loop: only one update is compiled."""

    def update(state: State, i: Array) -> tuple[State, Metrics]:
        batch = jax.tree.map(lambda x: jax.lax.dynamic_index_in_dim(x, i, axis=1, keepdims=False), batches)
        return _update(player, player.loss, jax.random.fold_in(key, i), state, batch)

    if player.updates == 1:  # The body of a loop is compiled separately, without fusion with what surrounds it.
        return update(state, jnp.int32(0))
    state, reports = jax.lax.scan(update, state, jnp.arange(player.updates))
    return state, jax.tree.map(lambda values: jnp.mean(values, axis=0), reports)


def _update(player: Player, loss: Loss, key: KeyArray, state: State, batch: Batch) -> tuple[State, Metrics]:
    """One update of a player by the gradient of a loss, applied to its own networks alone."""
    own = _only(player.trains, state.params)

    def differentiate(key: KeyArray, stats: Stats, batch: Batch) -> tuple[Any, Stats]:
        def of_own(own: Params) -> tuple[Array, tuple[Stats, Metrics]]:
            return loss(key, state.params | own, state.replace(stats=stats), batch)

        (value, (new, metrics)), gradients = jax.value_and_grad(of_own, has_aux=True)(own)
        return (value, metrics, gradients), stats | new

    if player.accumulations == 1:
        (value, metrics, gradients), stats = differentiate(key, state.stats, batch)
    else:
        means = mean_over_slices(differentiate, key, state.stats, batch, player.accumulations)
        (value, metrics, gradients), stats = means
    return _apply_gradients(player, state, gradients, stats), _report(value, gradients, metrics)


def _regularize(player: Player, key: KeyArray, state: State, batch: Batch) -> tuple[State, Metrics]:
    """The updates with those of a player's regularizers that are due at this step."""
    reports: Metrics = {}
    for number, regularizer in enumerate(player.regularizers):
        update_key = jax.random.fold_in(key, player.updates + number)
        state, report = _regularizer_update(player, regularizer, update_key, state, batch)
        reports |= {f"{regularizer.name}/{name}": value for name, value in report.items()}
    return state, reports


def _regularizer_update(
    player: Player, regularizer: Regularizer, key: KeyArray, state: State, batch: Batch
) -> tuple[State, Metrics]:
    def scaled(key: KeyArray, params: Params, state: State, batch: Batch) -> tuple[Array, tuple[Stats, Metrics]]:
        value, (stats, metrics) = regularizer.loss(key, params, state, batch)
        return regularizer.every * value, (stats, {**metrics, "loss": value})

    def update(key: KeyArray, state: State, batch: Batch) -> tuple[State, Metrics]:
        return _update(player, scaled, key, state, batch)

    def skip(key: KeyArray, state: State, batch: Batch) -> tuple[State, Metrics]:
        def missing(x: jax.ShapeDtypeStruct) -> Array:
            return jnp.full(x.shape, jnp.nan if jnp.issubdtype(x.dtype, jnp.inexact) else 0, x.dtype)

        return state, jax.tree.map(missing, report)

    if regularizer.every == 1:
        return update(key, state, batch)
    # `jit` traces the update once, for the shapes of its report and for the branch.
    traced = jax.jit(update, inline=True)
    report = traced.eval_shape(key, state, batch)[1]
    return jax.lax.cond(state.step % regularizer.every == 0, traced, skip, key, state, batch)


def _update_at_once(
    players: Sequence[Player], shared: ForwardPass, key: KeyArray, state: State, batch: Batch
) -> tuple[State, dict[str, Metrics]]:
    """One update of every player: the forward pass is computed once and differentiated once for each of them."""
    pass_key, *player_keys = jax.random.split(key, 1 + len(players))

    def losses(trained: Params) -> tuple[dict[str, Array], dict[str, tuple[Stats, Metrics]]]:
        params = state.params | trained
        outputs = shared(pass_key, params, state, batch)
        results = {p.name: p.loss(own, params, state, outputs) for p, own in zip(players, player_keys, strict=True)}
        return {name: loss for name, (loss, _) in results.items()}, {name: rest for name, (_, rest) in results.items()}

    trained = _only(tuple(name for player in players for name in player.trains), state.params)
    values, differential, rest = jax.linearize(losses, trained, has_aux=True)
    updated, reports = state, {}
    for player in players:
        value, (stats, metrics) = values[player.name], rest[player.name]
        check_loss(player, value)
        backward = jax.linear_transpose(lambda change, name=player.name: differential(change)[name], trained)
        gradients = _only(player.trains, backward(jnp.ones_like(value))[0])
        updated = _apply_gradients(player, updated, gradients, stats)
        reports[player.name] = _report(value, gradients, metrics)
    for index, player in enumerate(players, 1 + len(players)):
        # `split(key)[i]` is `fold_in(key, i)`: a key from the player's own could be one that its loss splits off.
        updated, regularized = _regularize(player, jax.random.fold_in(key, index), updated, batch)
        reports[player.name] |= regularized
    return updated, reports


def _apply_gradients(player: Player, state: State, gradients: Params, stats: Stats) -> State:
    own = _only(player.trains, state.params)
    # Schedules of the learning rate are functions of the step, not of the number of updates.
    tx = optax.with_extra_args_support(player.tx)
    updates, opt = tx.update(gradients, state.opt[player.name], own, step=state.step)
    updated = player.project(optax.apply_updates(own, updates))
    return state.replace(
        params=state.params | updated,
        stats=state.stats | stats,
        opt=state.opt | {player.name: opt},
    )


def _report(value: Array, gradients: Params, metrics: Metrics) -> Metrics:
    return {"loss": value, "gradient_norm": optax.tree.norm(gradients), **metrics}


def _only(names: tuple[str, ...], params: Params) -> Params:
    return {name: params[name] for name in names}
