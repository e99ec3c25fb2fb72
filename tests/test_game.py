import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen.game import Model, Player, State, game
from jaxgen.typing import Array, Batch, KeyArray, Params

MEMORY = 8
"""How many moves the watching player below can remember."""


def two_numbers(key: KeyArray, batch: Batch) -> dict[str, Any]:
    return {"x": {"params": jnp.float32(1.0)}, "y": {"params": jnp.float32(2.0)}}


def tug(own: str, sign: float, **choices: Any) -> Player:
    """A player of the game x * y, which one player wants small and the other wants large."""

    def loss(key: KeyArray, params: Params, state: State, batch: Batch) -> tuple[Array, Any]:
        return sign * params["x"] * params["y"], ({}, {})

    return Player(own, (own,), loss, optax.sgd(0.1), **choices)


def watcher(**choices: Any) -> Player:
    """A player that writes what it is shown at every move into its statistics, and descends by 1 a move."""

    def loss(key: KeyArray, params: Params, state: State, batch: Batch) -> tuple[Array, Any]:
        shown = jnp.array([batch["point"].mean(), params["x"], jax.random.uniform(key)])
        stats = state.stats["x"]
        diary = stats["diary"].at[stats["moves"]].set(shown)
        return params["x"], ({"x": {"diary": diary, "moves": stats["moves"] + 1}}, {"shown": shown[0]})

    return Player("watcher", ("x",), loss, optax.sgd(1.0), **choices)


def watched(key: KeyArray, batch: Batch) -> dict[str, Any]:
    return {"x": {"params": jnp.float32(10.0), "diary": jnp.zeros((MEMORY, 3)), "moves": jnp.int32(0)}}


def linear_networks(key: KeyArray, batch: Batch) -> dict[str, Any]:
    first, second = jax.random.split(key)
    return {
        "first": {"params": {"w": jax.random.normal(first, (3, 4))}, "average": jnp.zeros(4)},
        "second": {"params": {"w": jax.random.normal(second, (4, 2))}},
    }


def noisy_regression(trains: tuple[str, ...], **choices: Any) -> Player:
    """Fits both layers of a network to a target, with noise on the hidden layer and a running average of it."""

    def loss(key: KeyArray, params: Params, state: State, batch: Batch) -> tuple[Array, Any]:
        hidden = jnp.tanh(batch["point"] @ params["first"]["w"])
        average = 0.9 * state.stats["first"]["average"] + 0.1 * hidden.mean(axis=0)
        noise = 0.1 * jax.random.normal(key, hidden.shape)
        error = jnp.mean((((hidden - average) + noise) @ params["second"]["w"] - batch["target"]) ** 2)
        return error, ({"first": {"average": average}}, {"error": error})

    return Player("_".join(trains), trains, loss, optax.adam(1e-2), **choices)


def regression_game() -> tuple[Callable[..., Any], Callable[..., Any]]:
    players = [noisy_regression(("first",), updates=2), noisy_regression(("second",))]
    return game(linear_networks, players, ema={"second": 0.9})


def regression_data(examples: int = 12) -> Batch:
    rng = np.random.default_rng(0)
    return {
        "point": rng.normal(size=(examples, 3)).astype(np.float32),
        "target": rng.normal(size=(examples, 2)).astype(np.float32),
    }


def points(*means: float) -> Batch:
    return {"point": jnp.tile(jnp.array(means), 2)[:, None]}


def assert_same_bits(left: Any, right: Any) -> None:
    jax.tree.map(np.testing.assert_array_equal, left, right)


def assert_close(left: Any, right: Any) -> None:
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6), left, right)


@pytest.mark.parametrize(("mover", "idle"), [("first", "second"), ("second", "first")])
def test_only_the_networks_that_a_player_trains_move(mover: str, idle: str) -> None:
    init, step = game(linear_networks, [noisy_regression((mover,))])
    before = init(jax.random.key(0), {})
    after, _ = jax.jit(step)(jax.random.key(1), before, regression_data())
    assert_same_bits(before.params[idle], after.params[idle])
    assert np.all(before.params[mover]["w"] != after.params[mover]["w"])


def test_players_move_in_order_and_see_what_the_others_have_done() -> None:
    init, step = game(two_numbers, [tug("x", +1.0), tug("y", -1.0)])
    state, metrics = step(jax.random.key(0), init(jax.random.key(0), {}), {})
    # x = 1 - 0.1 * 2, and y climbs along the new x.
    assert float(state.params["x"]) == pytest.approx(0.8)
    assert float(state.params["y"]) == pytest.approx(2.0 + 0.1 * 0.8)
    assert float(metrics["y/loss"]) == pytest.approx(-0.8 * 2.0)
    assert int(state.step) == 1


def product_of_both(key: KeyArray, params: Params, state: State, batch: Batch) -> Array:
    return params["x"] * params["y"]


def tug_at(own: str, sign: float, **choices: Any) -> Player:
    """A player of the same game that is given the product by a forward pass."""

    def loss(key: KeyArray, params: Params, state: State, product: Array) -> tuple[Array, Any]:
        return sign * product, ({}, {})

    return Player(own, (own,), loss, optax.sgd(0.1), **choices)


def test_players_that_share_a_forward_pass_answer_to_the_same_parameters() -> None:
    init, step = game(two_numbers, [tug_at("x", +1.0), tug_at("y", -1.0)], shared=product_of_both)
    state, metrics = step(jax.random.key(0), init(jax.random.key(0), {}), {})
    assert float(state.params["x"]) == pytest.approx(0.8)
    assert float(state.params["y"]) == pytest.approx(2.0 + 0.1 * 1.0)
    assert float(metrics["y/loss"]) == pytest.approx(-1.0 * 2.0)
    assert float(metrics["x/gradient_norm"]) == pytest.approx(2.0)
    assert float(metrics["y/gradient_norm"]) == pytest.approx(1.0)


def test_a_shared_forward_pass_sees_the_batch_and_the_statistics_before_anybody_moves() -> None:
    drawn: dict[str, float] = {}

    def look(key: KeyArray, params: Params, state: State, batch: Batch) -> tuple[Array, ...]:
        drawn["pass"] = float(jax.random.uniform(key))
        return batch["point"], state.stats["x"]["count"], state.stats["y"]["count"]

    def curious(own: str) -> Player:
        def loss(key: KeyArray, params: Params, state: State, seen: tuple[Array, ...]) -> tuple[Array, Any]:
            drawn[own] = float(jax.random.uniform(key))
            assert_same_bits(seen, (points(1.0)["point"], jnp.int32(0), jnp.int32(0)))
            return params[own] ** 2, ({own: {"count": state.stats[own]["count"] + 1}}, {})

        return Player(own, (own,), loss, optax.sgd(0.1))

    def counted(key: KeyArray, batch: Batch) -> dict[str, Any]:
        return {name: {"params": jnp.float32(1.0), "count": jnp.int32(0)} for name in "xy"}

    init, step = game(counted, [curious("x"), curious("y")], shared=look)
    with jax.disable_jit():
        state, _ = step(jax.random.key(0), init(jax.random.key(0), {}), points(1.0))
    assert len(set(drawn.values())) == 3, "the pass and each player draw from keys of their own"
    assert {name: int(collections["count"]) for name, collections in state.stats.items()} == {"x": 1, "y": 1}


def test_a_network_that_nobody_trains_is_a_constant_to_a_shared_forward_pass() -> None:
    """So it may hold whole numbers, and be put through what has no gradient."""

    def networks(key: KeyArray, batch: Batch) -> dict[str, Any]:
        return two_numbers(key, batch) | {"frozen": {"params": jnp.int32(3)}}

    def power(key: KeyArray, params: Params, state: State, batch: Batch) -> Array:
        doubled = jax.lax.while_loop(lambda n: n < 5, lambda n: 2 * n, params["frozen"])
        return params["x"] * params["y"] * doubled

    init, step = game(networks, [tug_at("x", +1.0), tug_at("y", -1.0)], shared=power)
    state, _ = step(jax.random.key(0), init(jax.random.key(0), {}), {})
    assert float(state.params["x"]) == pytest.approx(1.0 - 0.1 * 2.0 * 6)
    assert int(state.params["frozen"]) == 3


@pytest.mark.parametrize("loss", [jnp.ones(3), jnp.complex64(1.0), jnp.int32(1)], ids=["three", "complex", "whole"])
def test_a_loss_that_is_no_real_scalar_is_refused_where_a_forward_pass_is_shared(loss: Array) -> None:
    init, step = game(two_numbers, [tug_at("x", loss)], shared=lambda key, params, state, batch: jnp.int32(1))
    with pytest.raises(ValueError, match="loss of player 'x' must be a real scalar, got "):
        step(jax.random.key(0), init(jax.random.key(0), {}), {})


def test_a_shared_forward_pass_is_made_once() -> None:
    """The compiler does not merge equal passes whose gradients differ; so a turn must not hold more than one."""

    def forward(key: KeyArray, params: Params, state: State, batch: Batch) -> Array:
        return jnp.tanh(jnp.tanh(batch["point"] @ params["first"]["w"]) @ params["second"]["w"])

    def player(own: str, power: int) -> Player:
        def loss(key: KeyArray, params: Params, state: State, output: Array) -> tuple[Array, Any]:
            return jnp.mean(output**power), ({}, {})

        return Player(own, (own,), loss, optax.sgd(0.1))

    init, step = game(linear_networks, [player("first", 2), player("second", 4)], shared=forward)
    data = regression_data()
    program = jax.jit(step).lower(jax.random.key(0), init(jax.random.key(0), data), data)
    # Two of the forward pass, back through the second layer to the first's weights, and to the second's.
    assert program.as_text().count("stablehlo.dot_general") == 2 + 2 + 1


def test_five_moves_see_five_slices_of_the_batch_and_five_keys() -> None:
    init, step = game(watched, [watcher(updates=5)])
    batch = points(1.0, 2.0, 3.0, 4.0, 5.0)
    state, metrics = step(jax.random.key(0), init(jax.random.key(0), batch), batch)
    slices, parameters, randomness = state.stats["x"]["diary"][:5].T
    np.testing.assert_array_equal(slices, [1.0, 2.0, 3.0, 4.0, 5.0])
    np.testing.assert_array_equal(parameters, [10.0, 9.0, 8.0, 7.0, 6.0])
    assert len(set(randomness.tolist())) == 5
    assert float(metrics["watcher/shown"]) == 3.0  # the average over the moves
    assert float(metrics["watcher/loss"]) == 8.0


def test_a_player_with_fewer_moves_is_shown_the_first_slices() -> None:
    players = [tug("y", 1.0, updates=4), watcher(updates=2)]
    init, step = game(lambda key, batch: {**two_numbers(key, batch), **watched(key, batch)}, players)
    batch = points(1.0, 2.0, 3.0, 4.0)
    state, _ = step(jax.random.key(0), init(jax.random.key(0), batch), batch)
    np.testing.assert_array_equal(state.stats["x"]["diary"][:3, 0], [1.0, 2.0, 0.0])


def test_players_and_moves_draw_from_keys_of_their_own() -> None:
    drawn: list[float] = []

    def gambler(name: str) -> Player:
        def loss(key: KeyArray, params: Params, state: State, batch: Batch) -> tuple[Array, Any]:
            return params[name] ** 2, ({}, {"drawn": jax.random.uniform(key)})

        return Player(name, (name,), loss, optax.sgd(0.1))

    init, step = game(two_numbers, [gambler("x"), gambler("y")])
    state = init(jax.random.key(0), {})
    for seed, player in itertools.product((0, 1), "xy"):
        drawn.append(float(step(jax.random.key(seed), state, {})[1][f"{player}/drawn"]))
    assert len(set(drawn)) == 4


def test_statistics_are_carried_from_move_to_move_player_to_player_and_turn_to_turn() -> None:
    def averager(key: KeyArray, params: Params, state: State, batch: Batch) -> tuple[Array, Any]:
        average = 0.9 * state.stats["x"]["average"] + 0.1 * batch["point"].mean()
        return params["x"], ({"x": {"average": average}}, {})

    def classifier(key: KeyArray, params: Params, state: State, batch: Batch) -> tuple[Array, Any]:
        return params["y"], ({}, {"average": state.stats["x"]["average"]})

    def averaged(key: KeyArray, batch: Batch) -> dict[str, Any]:
        return {"x": {"params": jnp.float32(0.0), "average": jnp.float32(0.0)}, "y": {"params": jnp.float32(0.0)}}

    players = [
        Player("x", ("x",), averager, optax.sgd(0.1), updates=2),
        Player("y", ("y",), classifier, optax.sgd(0.1)),
    ]
    init, step = game(averaged, players)
    state, average = init(jax.random.key(0), {}), 0.0
    for turn in range(4):
        state, metrics = step(jax.random.key(turn), state, points(turn, 10.0 + turn))
        for shown in (turn, 10.0 + turn):
            average = 0.9 * average + 0.1 * shown
        assert float(state.stats["x"]["average"]) == pytest.approx(average, rel=1e-6)
        assert float(metrics["y/average"]) == pytest.approx(average, rel=1e-6)


def test_every_optimizer_remembers_the_moves_of_its_own_player() -> None:
    def slope(key: KeyArray, params: Params, state: State, batch: Batch) -> tuple[Array, Any]:
        return params["x"] + params["y"], ({}, {})

    heavy = optax.sgd(1.0, momentum=0.5)
    init, step = game(two_numbers, [Player("x", ("x",), slope, heavy, updates=2), Player("y", ("y",), slope, heavy)])
    state = init(jax.random.key(0), {})
    for turn in range(2):
        state, _ = step(jax.random.key(turn), state, points(1.0, 2.0))
    # A constant slope of 1 moves by 1, 1.5, 1.75, 1.875.
    assert float(state.params["x"]) == 1.0 - (1.0 + 1.5 + 1.75 + 1.875)
    assert float(state.params["y"]) == 2.0 - (1.0 + 1.5)


def test_the_projection_follows_every_move() -> None:
    init, step = game(watched, [watcher(updates=3, project=lambda own: {"x": jnp.maximum(own["x"], 8.5)})])
    batch = points(1.0, 2.0, 3.0)
    state, _ = step(jax.random.key(0), init(jax.random.key(0), batch), batch)
    np.testing.assert_array_equal(state.stats["x"]["diary"][:3, 1], [10.0, 9.0, 8.5])
    assert float(state.params["x"]) == 8.5


def test_the_projection_is_given_the_players_own_networks_alone() -> None:
    given: list[set[str]] = []

    def project(own: Params) -> Params:
        given.append(set(own))
        return own

    init, step = game(two_numbers, [tug("x", 1.0, project=project), tug("y", -1.0)])
    step(jax.random.key(0), init(jax.random.key(0), {}), {})
    assert given == [{"x"}]


def test_the_moving_average_agrees_with_a_loop_in_numpy() -> None:
    init, step = regression_game()
    data = regression_data()
    state = init(jax.random.key(0), data)
    jitted = jax.jit(step)
    average = np.asarray(state.params["second"]["w"], np.float64)
    assert set(state.ema) == {"second"}
    np.testing.assert_array_equal(state.ema["second"]["w"], state.params["second"]["w"])
    for turn in range(20):
        state, _ = jitted(jax.random.key(turn), state, data)
        average = 0.9 * average + 0.1 * np.asarray(state.params["second"]["w"], np.float64)
    np.testing.assert_allclose(state.ema["second"]["w"], average, rtol=1e-5)
    assert np.abs(average - state.params["second"]["w"]).max() > 1e-3


def test_metrics_carry_the_loss_and_the_norm_of_the_gradient_under_the_players_name() -> None:
    init, step = game(two_numbers, [tug("x", 3.0)])
    _, metrics = step(jax.random.key(0), init(jax.random.key(0), {}), {})
    assert {name: float(value) for name, value in metrics.items()} == {"x/loss": 6.0, "x/gradient_norm": 6.0}


def play(key: KeyArray, turns: int = 5) -> tuple[State, Any]:
    """A whole run as one pure function of its key."""
    init, step = regression_game()
    data = regression_data()
    state = init(jax.random.fold_in(key, 0), data)

    def turn(state: State, t: Array) -> tuple[State, Any]:
        return step(jax.random.fold_in(key, t), state, data)

    return jax.lax.scan(turn, state, jnp.arange(1, turns + 1))


def test_scanned_turns_agree_with_single_ones_with_and_without_jit() -> None:
    init, step = regression_game()
    data, key = regression_data(), jax.random.key(3)
    for one_turn in (step, jax.jit(step)):
        state = init(jax.random.fold_in(key, 0), data)
        losses = []
        for t in range(1, 6):
            state, metrics = one_turn(jax.random.fold_in(key, t), state, data)
            losses.append(metrics["first/loss"])
        scanned, history = jax.jit(play)(key)
        assert_close(scanned, state)
        np.testing.assert_allclose(history["first/loss"], losses, rtol=2e-5)
        assert int(scanned.step) == 5


def test_a_vmapped_seed_ends_where_the_lone_one_does() -> None:
    keys = jax.random.split(jax.random.key(0), 4)
    together, _ = jax.jit(jax.vmap(play))(keys)
    for i, key in enumerate(keys):
        alone, _ = jax.jit(play)(key)
        assert_close(jax.tree.map(lambda leaf, i=i: leaf[i], together), alone)
    first, second = (together.params["first"]["w"][i] for i in (0, 1))
    assert np.abs(first - second).max() > 0.1


def test_the_same_key_gives_the_same_bits() -> None:
    assert_same_bits(jax.jit(play)(jax.random.key(5)), jax.jit(play)(jax.random.key(5)))


def test_a_second_turn_compiles_nothing() -> None:
    traced: list[int] = []

    def loss(key: KeyArray, params: Params, state: State, batch: Batch) -> tuple[Array, Any]:
        traced.append(1)
        return params["x"] * batch["point"].mean(), ({}, {})

    init, step = game(two_numbers, [Player("x", ("x",), loss, optax.adam(0.1))], ema={"x": 0.5})
    jitted, state = jax.jit(step), init(jax.random.key(0), {})
    for turn in range(3):
        state, _ = jitted(jax.random.key(turn), state, points(float(turn)))
    assert sum(traced) == jitted._cache_size() == 1


def test_the_buffers_of_a_state_can_be_given_away() -> None:
    init, step = regression_game()
    data = regression_data()
    donating = jax.jit(step, donate_argnums=1)
    kept, given = init(jax.random.key(0), data), init(jax.random.key(0), data)
    for turn in range(2):
        kept, _ = jax.jit(step)(jax.random.key(turn), kept, data)
        given, _ = donating(jax.random.key(turn), given, data)
    assert_close(kept, given)


def test_a_model_consumes_as_many_batches_as_its_most_active_player_makes_moves() -> None:
    players = (tug("x", 1.0, updates=5), tug("y", 1.0))
    init, step = game(two_numbers, players)
    assert Model(init, step, lambda key, state, n: jnp.zeros(n), players=players).slices == 5
    assert Model(init, step, lambda key, state, n: jnp.zeros(n)).slices == 1


def test_names_that_clash_or_are_unknown_are_refused() -> None:
    with pytest.raises(ValueError, match=r"names of players must differ, got \['x', 'x'\]"):
        game(two_numbers, [tug("x", 1.0), tug("x", -1.0)])
    with pytest.raises(ValueError, match=r"names of trained networks must differ, got \['x', 'x'\]"):
        game(two_numbers, [tug("x", 1.0), tug("x", -1.0)._replace(name="other")])
    with pytest.raises(ValueError, match=r"no network is named \['z'\], the networks are \['x', 'y'\]"):
        game(two_numbers, [tug("z", 1.0)])[0](jax.random.key(0), {})
    with pytest.raises(ValueError, match=r"no network is named \['z'\]"):
        game(two_numbers, [tug("x", 1.0)], ema={"z": 0.9})[0](jax.random.key(0), {})


def test_a_batch_that_cannot_be_sliced_is_refused() -> None:
    init, step = game(watched, [watcher(updates=3)])
    with pytest.raises(ValueError, match="divides by 3, got 4 examples"):
        step(jax.random.key(0), init(jax.random.key(0), {}), points(1.0, 2.0))


def test_players_that_share_a_forward_pass_make_one_move_each() -> None:
    with pytest.raises(ValueError, match="share a forward pass make one move each"):
        game(two_numbers, [tug_at("x", 1.0, updates=2), tug_at("y", 1.0)], shared=product_of_both)
