"""Training a generative model is a game of pure functions.

An autoencoder is a game with one player, a GAN has two, VAE/GAN has three; in WGAN-GP one player moves five times a
turn. A player owns some networks and minimizes a loss over them. `game` turns a list of players into two functions:

    init: (key, batch) -> state           the networks, their statistics and every player's optimizer
    step: (key, state, batch) -> (state, metrics)           one turn: every player moves, in order or at once

Both are pure, so `jax.jit`, `jax.vmap` over seeds, `jax.lax.scan` over steps and sharding over devices apply to every
model in the library, and none of them knows which model it is.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import optax

from jaxgen.typing import AnyArray, Array, Batch, KeyArray, Metrics, Params, PyTree, Stats

Init = Callable[[KeyArray, Batch], "State"]
Step = Callable[[KeyArray, "State", Batch], tuple["State", Metrics]]
Loss = Callable[[KeyArray, Params, "State", Any], tuple[Array, tuple[Stats, Metrics]]]
ForwardPass = Callable[[KeyArray, Params, "State", Batch], PyTree]


class State(flax.struct.PyTreeNode):
    """Everything that training changes.

    Attributes:
        step: turns played, an int32 scalar.
        params: network name -> what gradients move.
        stats: network name -> what forward passes move (running averages of batch norm, spectral vectors).
        opt: player name -> state of its optimizer.
        ema: network name -> exponential moving average of its parameters, for those networks that ask for it.
    """

    step: Array
    params: Params
    stats: Stats
    opt: dict[str, optax.OptState]
    ema: Params


def unchanged(params: Params) -> Params:
    """Leave the parameters as they are: the projection of a player that has none."""
    return params


class Player(NamedTuple):
    """One player: the networks it owns, what it minimizes, and how it moves.

    Attributes:
        name: under which its optimizer state and its metrics are kept.
        trains: names of the networks that it moves; all others are constants to it.
        loss: `(key, params, state, batch) -> (loss, (stats, metrics))`. `params` holds all networks, the player's own
            being differentiated. `loss` is a scalar; `stats` holds the new statistics of those networks whose
            statistics this move changes; `metrics` are scalars to report. Where players share a forward pass, what it
            gave stands in the place of the batch.
        tx: the optimizer.
        updates: moves a turn, each on a fresh slice of the batch.
        project: applied to the player's own parameters after each move, e.g. clipping of weights.
    """

    name: str
    trains: tuple[str, ...]
    loss: Loss
    tx: optax.GradientTransformation
    updates: int = 1
    project: Callable[[Params], Params] = unchanged


class Model(NamedTuple):
    """What every family builds: pure functions, key first. Those that a family cannot offer are None.

    Attributes:
        init: `(key, batch) -> state`.
        step: `(key, state, batch) -> (state, metrics)`. The batch holds `slices` times the batch size.
        sample: `(key, state, n, **conditions) -> x`, n new examples.
        encode: `(state, batch) -> code`, one code vector per example.
        decode: `(state, code, **conditions) -> x`.
        reconstruct: `(state, batch) -> x`, each example through the code and back.
        evaluate: `(key, state, batch) -> metrics`, one number per example, so that any batching gives the same mean.
        players: who plays, in order of moving.
        conditions: names of the keyword arguments that `sample` and `decode` take, e.g. `label`.
        prior: `(key, n) -> code`, the codes that `sample` draws with that key and decodes.
        posterior: `(key, state, batch) -> code`, one draw per example from the distribution q(code|x) that the encoder
            gives; the code itself where it gives no distribution. Offered wherever there is `encode`.
    """

    init: Init
    step: Step
    sample: Callable[..., Array]
    encode: Callable[[State, Batch], Array] | None = None
    decode: Callable[..., Array] | None = None
    reconstruct: Callable[[State, Batch], Array] | None = None
    evaluate: Callable[[KeyArray, State, Batch], Metrics] | None = None
    players: tuple[Player, ...] = ()
    conditions: tuple[str, ...] = ()
    prior: Callable[[KeyArray, int], Array] | None = None
    posterior: Callable[[KeyArray, State, Batch], Array] | None = None

    @property
    def slices(self) -> int:
        """How many batches one turn consumes: the most moves that any player makes."""
        return most_updates(self.players)


def game(
    init_networks: Callable[[KeyArray, Batch], Mapping[str, Mapping[str, PyTree]]],
    players: Sequence[Player],
    *,
    ema: Mapping[str, float] | None = None,
    shared: ForwardPass | None = None,
) -> tuple[Init, Step]:
    """Make a game: how it starts, and how one turn is played.

    In a turn every player makes its moves, in the order given, and sees what the players before it have done. Players
    that share a forward pass move at once: each follows the gradient of its own loss through that one pass.

    Args:
        init_networks: `(key, batch) -> {name: variables}`, variables as Flax's `init` returns them: what is under
            "params" is moved by gradients, the other collections are statistics.
        players: who plays, in order of moving.
        ema: network name -> decay of the moving average of its parameters, taken once a turn:
            `ema = decay * ema + (1 - decay) * params`.
        shared: `(key, params, state, batch) -> outcome`, a forward pass that all losses are read from.

    Returns:
        `(init, step)`. `step` deals its batch into as many slices as the most active player has moves, example by
        example; move i of any player is made on slice i. Its metrics are `player/loss`, `player/gradient_norm` and
        `player/<metric>`, each averaged over the player's moves.

    Raises:
        ValueError: if two players share a name or a network, a network is named that nobody made, or players that share
            a forward pass have several moves or a loss that is not a real scalar.

    Example:
        >>> point = Player("point", ("x",), lambda key, p, state, batch: (p["x"] ** 2, ({}, {})), optax.sgd(0.25))
        >>> init, step = game(lambda key, batch: {"x": {"params": jnp.float32(8.0)}}, [point])
        >>> state = init(jax.random.key(0), {})
        >>> state, metrics = step(jax.random.key(1), state, {})
        >>> float(metrics["point/loss"]), float(state.params["x"])
        (64.0, 4.0)
    """
    decays = dict(ema or {})
    slices = most_updates(players)
    _check_players(players, moving_at_once=shared is not None)

    def init(key: KeyArray, batch: Batch) -> State:
        networks = {name: dict(variables) for name, variables in init_networks(key, batch).items()}
        params = {name: variables.pop("params", {}) for name, variables in networks.items()}
        _check_names(players, decays, params)
        return State(
            step=jnp.zeros((), jnp.int32),
            params=params,
            stats={name: collections for name, collections in networks.items() if collections},
            opt={player.name: player.tx.init(_only(player.trains, params)) for player in players},
            # A copy: the state is donated to the compiled step, which may not receive one buffer twice.
            ema={name: jax.tree.map(jnp.copy, params[name]) for name in decays},
        )

    def step(key: KeyArray, state: State, batch: Batch) -> tuple[State, Metrics]:
        if shared is not None:
            state, reports = _move_at_once(players, shared, key, state, batch)
        else:
            batches, reports = _split(batch, slices), {}
            for index, player in enumerate(players):
                state, reports[player.name] = _moves(player, jax.random.fold_in(key, index), state, batches)
        metrics = {f"{player}/{name}": value for player, report in reports.items() for name, value in report.items()}
        averages = {
            name: optax.incremental_update(state.params[name], state.ema[name], 1.0 - decay)
            for name, decay in decays.items()
        }
        return state.replace(step=state.step + 1, ema=averages), metrics

    return init, step


def most_updates(players: Sequence[Player]) -> int:
    """The most moves that any player makes a turn."""
    return max((player.updates for player in players), default=1)


def _moves(player: Player, key: KeyArray, state: State, batches: Batch) -> tuple[State, Metrics]:
    """All moves of a player in one turn, move i on slice i, as a loop: one move is compiled however many there are."""

    def move(state: State, i: Array) -> tuple[State, Metrics]:
        batch = jax.tree.map(lambda x: jax.lax.dynamic_index_in_dim(x, i, axis=1, keepdims=False), batches)
        return _move(player, jax.random.fold_in(key, i), state, batch)

    if player.updates == 1:  # What a loop holds is compiled on its own.
        return move(state, jnp.int32(0))
    state, reports = jax.lax.scan(move, state, jnp.arange(player.updates))
    return state, jax.tree.map(lambda values: jnp.mean(values, axis=0), reports)


def _move(player: Player, key: KeyArray, state: State, batch: Batch) -> tuple[State, Metrics]:
    """One move of a player: the gradient of its loss, applied to its own networks alone."""

    def loss(own: Params) -> tuple[Array, tuple[Stats, Metrics]]:
        return player.loss(key, state.params | own, state, batch)

    own = _only(player.trains, state.params)
    (value, (stats, metrics)), gradients = jax.value_and_grad(loss, has_aux=True)(own)
    state = _descend(player, state, gradients, stats)
    return state, _report(value, gradients, metrics)


def _move_at_once(
    players: Sequence[Player], shared: ForwardPass, key: KeyArray, state: State, batch: Batch
) -> tuple[State, dict[str, Metrics]]:
    """One move of every player: the forward pass is made once, and goes back once for each of them."""
    pass_key, *player_keys = jax.random.split(key, 1 + len(players))

    def losses(trained: Params) -> tuple[dict[str, Array], dict[str, tuple[Stats, Metrics]]]:
        params = state.params | trained
        outcome = shared(pass_key, params, state, batch)
        keyed = zip(players, player_keys, strict=True)
        answers = {player.name: player.loss(own_key, params, state, outcome) for player, own_key in keyed}
        return {name: loss for name, (loss, _) in answers.items()}, {name: rest for name, (_, rest) in answers.items()}

    trained = _only(tuple(name for player in players for name in player.trains), state.params)
    values, differential, rest = jax.linearize(losses, trained, has_aux=True)
    moved, reports = state, {}
    for player in players:
        value, (stats, metrics) = values[player.name], rest[player.name]
        _check_loss(player, value)
        backward = jax.linear_transpose(lambda change, name=player.name: differential(change)[name], trained)
        gradients = _only(player.trains, backward(jnp.ones_like(value))[0])
        moved = _descend(player, moved, gradients, stats)
        reports[player.name] = _report(value, gradients, metrics)
    return moved, reports


def _descend(player: Player, state: State, gradients: Params, stats: Stats) -> State:
    """The state after a player's networks have followed the gradients."""
    own = _only(player.trains, state.params)
    updates, opt = player.tx.update(gradients, state.opt[player.name], own)
    moved = player.project(optax.apply_updates(own, updates))
    return state.replace(
        params=state.params | moved,
        stats=state.stats | stats,
        opt=state.opt | {player.name: opt},
    )


def _report(value: Array, gradients: Params, metrics: Metrics) -> Metrics:
    return {"loss": value, "gradient_norm": optax.tree.norm(gradients), **metrics}


def _only(names: tuple[str, ...], params: Params) -> Params:
    return {name: params[name] for name in names}


def _split(batch: Batch, slices: int) -> Batch:
    """Deal the examples into slices: `[n * slices, ...] -> [n, slices, ...]`.

    One by one, not block by block, so that each device of a mesh, which holds a block, has its share of every slice.
    """

    def cut(x: AnyArray) -> AnyArray:
        if len(x) % slices:
            raise ValueError(
                f"a turn with {slices} moves needs a batch that divides by {slices}, got {len(x)} examples"
            )
        return jnp.reshape(x, (len(x) // slices, slices, *x.shape[1:]))

    return jax.tree.map(cut, batch)


def _check_players(players: Sequence[Player], *, moving_at_once: bool) -> None:
    names = [player.name for player in players]
    trained = [name for player in players for name in player.trains]
    for kind, listed in (("players", names), ("trained networks", trained)):
        if len(set(listed)) < len(listed):
            raise ValueError(f"the names of {kind} must differ, got {listed}")
    if moving_at_once and any(player.updates != 1 for player in players):
        raise ValueError("players that share a forward pass make one move each")


def _check_loss(player: Player, value: Array) -> None:
    if value.shape or not jnp.issubdtype(value.dtype, jnp.floating):
        raise ValueError(f"the loss of player '{player.name}' must be a real scalar, got {value.dtype}{[*value.shape]}")


def _check_names(players: Sequence[Player], decays: Mapping[str, float], params: Params) -> None:
    named = {name for player in players for name in player.trains} | set(decays)
    if missing := named - set(params):
        raise ValueError(f"no network is named {sorted(missing)}, the networks are {sorted(params)}")
