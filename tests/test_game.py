"""The game against loops that are written by hand, and the properties that training relies on."""

import functools
import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen.averaging import Average, constant_decay
from jaxgen.game import Model, Phase, Player, Regularizer, State, game
from jaxgen.training.seeds import over_seeds, select_seed
from jaxgen.typing import Array, Batch, KeyArray, Params
from tests.numpy_adam import NumpyAdam

RECORDS = 8
"""Number of updates that the recording player below can store."""


def two_scalars(key: KeyArray, batch: Batch) -> dict[str, Any]:
    return {"x": {"params": jnp.float32(1.0)}, "y": {"params": jnp.float32(2.0)}}


def product_player(own: str, sign: float, **choices: Any) -> Player:
    """A player of the game x * y, which one player minimizes and the other maximizes."""

    def loss(key: KeyArray, params: Params, state: State, batch: Batch) -> tuple[Array, Any]:
        return sign * params["x"] * params["y"], ({}, {})

    return Player(own, (own,), loss, optax.sgd(0.1), **choices)


def recording_player(**choices: Any) -> Player:
    """A player that writes the inputs of every update into its statistics, and reduces x by 1 per update."""

    def loss(key: KeyArray, params: Params, state: State, batch: Batch) -> tuple[Array, Any]:
        inputs = jnp.array([batch["point"].mean(), params["x"], jax.random.uniform(key)])
        stats = state.stats["x"]
        records = stats["records"].at[stats["updates"]].set(inputs)
        return params["x"], ({"x": {"records": records, "updates": stats["updates"] + 1}}, {"point": inputs[0]})

    return Player("recorder", ("x",), loss, optax.sgd(1.0), **choices)


def recorded(key: KeyArray, batch: Batch) -> dict[str, Any]:
    return {"x": {"params": jnp.float32(10.0), "records": jnp.zeros((RECORDS, 3)), "updates": jnp.int32(0)}}


def linear_networks(key: KeyArray, batch: Batch) -> dict[str, Any]:
    first, second = jax.random.split(key)
    return {
        "first": {"params": {"w": jax.random.normal(first, (3, 4))}, "average": jnp.zeros(4)},
        "second": {"params": {"w": jax.random.normal(second, (4, 2))}},
    }


def noisy_regression(trains: tuple[str, ...], **choices: Any) -> Player:
    """A regression by two layers, with noise on the hidden layer and a running average of it."""

    def loss(key: KeyArray, params: Params, state: State, batch: Batch) -> tuple[Array, Any]:
        hidden = jnp.tanh(batch["point"] @ params["first"]["w"])
        average = 0.9 * state.stats["first"]["average"] + 0.1 * hidden.mean(axis=0)
        noise = 0.1 * jax.random.normal(key, hidden.shape)
        error = jnp.mean((((hidden - average) + noise) @ params["second"]["w"] - batch["target"]) ** 2)
        return error, ({"first": {"average": average}}, {"error": error})

    return Player("_".join(trains), trains, loss, optax.adam(1e-2), **choices)


@functools.cache
def regression_game() -> tuple[Callable[..., Any], Callable[..., Any]]:
    players = [noisy_regression(("first",), updates=2), noisy_regression(("second",))]
    return game(linear_networks, players, ema={"second": Average(constant_decay(0.9))})


def regression_data(examples: int = 12) -> Batch:
    rng = np.random.default_rng(0)
    return {
        "point": rng.normal(size=(examples, 3)).astype(np.float32),
        "target": rng.normal(size=(examples, 2)).astype(np.float32),
    }


def points(*means: float) -> Batch:
    return {"point": np.tile(np.float32(means), 2)[:, None]}


def assert_same_bits(left: Any, right: Any) -> None:
    jax.tree.map(np.testing.assert_array_equal, left, right)


def assert_close(left: Any, right: Any) -> None:
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6), left, right)


@pytest.mark.parametrize(("trained", "constant"), [("first", "second"), ("second", "first")])
def test_only_the_networks_that_a_player_trains_change(trained: str, constant: str) -> None:
    init, step = game(linear_networks, [noisy_regression((trained,))])
    before = init(jax.random.key(0), {})
    after, _ = jax.jit(step)(jax.random.key(1), before, regression_data())
    assert_same_bits(before.params[constant], after.params[constant])
    assert np.all(before.params[trained]["w"] != after.params[trained]["w"])


def test_players_update_in_order_each_with_the_parameters_updated_before() -> None:
    init, step = game(two_scalars, [product_player("x", +1.0), product_player("y", -1.0)])
    state, metrics = step(jax.random.key(0), init(jax.random.key(0), {}), {})
    # x = 1 - 0.1 * 2, and y ascends by the new x.
    assert float(state.params["x"]) == pytest.approx(0.8)
    assert float(state.params["y"]) == pytest.approx(2.0 + 0.1 * 0.8)
    assert float(metrics["y/loss"]) == pytest.approx(-0.8 * 2.0)
    assert int(state.step) == 1


def product_of_both(key: KeyArray, params: Params, state: State, batch: Batch) -> Array:
    return params["x"] * params["y"]


def shared_product_player(own: str, sign: float, **choices: Any) -> Player:
    """A player of the same game whose loss receives the product from a shared forward pass."""

    def loss(key: KeyArray, params: Params, state: State, product: Array) -> tuple[Array, Any]:
        return sign * product, ({}, {})

    return Player(own, (own,), loss, optax.sgd(0.1), **choices)


def test_players_that_share_a_forward_pass_update_from_the_same_parameters() -> None:
    players = [shared_product_player("x", +1.0), shared_product_player("y", -1.0)]
    init, step = game(two_scalars, players, shared=product_of_both)
    state, metrics = step(jax.random.key(0), init(jax.random.key(0), {}), {})
    assert float(state.params["x"]) == pytest.approx(0.8)
    assert float(state.params["y"]) == pytest.approx(2.0 + 0.1 * 1.0)
    assert float(metrics["y/loss"]) == pytest.approx(-1.0 * 2.0)
    assert float(metrics["x/gradient_norm"]) == pytest.approx(2.0)
    assert float(metrics["y/gradient_norm"]) == pytest.approx(1.0)


def test_a_shared_forward_pass_receives_the_batch_and_the_statistics_before_all_updates() -> None:
    def forward(key: KeyArray, params: Params, state: State, batch: Batch) -> dict[str, Array]:
        counts = {f"{name} count": state.stats[name]["count"] for name in "xy"}
        return {"random number": jax.random.uniform(key), "point": batch["point"], **counts}

    def player(own: str) -> Player:
        def loss(key: KeyArray, params: Params, state: State, outputs: dict[str, Array]) -> tuple[Array, Any]:
            metrics = {"own random number": jax.random.uniform(key), **outputs}
            return params[own] ** 2, ({own: {"count": state.stats[own]["count"] + 1}}, metrics)

        return Player(own, (own,), loss, optax.sgd(0.1))

    def counted(key: KeyArray, batch: Batch) -> dict[str, Any]:
        return {name: {"params": jnp.float32(1.0), "count": jnp.int32(0)} for name in "xy"}

    init, step = game(counted, [player("x"), player("y")], shared=forward)
    state, metrics = jax.jit(step)(jax.random.key(0), init(jax.random.key(0), {}), points(1.0))
    for own in "xy":
        np.testing.assert_array_equal(metrics[f"{own}/point"], points(1.0)["point"])
        assert [int(metrics[f"{own}/{name} count"]) for name in "xy"] == [0, 0]
    of_pass, *of_players = (
        float(metrics[name]) for name in ("x/random number", "x/own random number", "y/own random number")
    )
    assert len({of_pass, *of_players}) == 3, "the pass and each player have different keys"
    assert float(metrics["y/random number"]) == of_pass
    assert {name: int(collections["count"]) for name, collections in state.stats.items()} == {"x": 1, "y": 1}


def test_an_untrained_network_is_a_constant_to_a_shared_forward_pass() -> None:
    """It may therefore hold integers, and be used in functions that have no gradient."""

    def networks(key: KeyArray, batch: Batch) -> dict[str, Any]:
        return two_scalars(key, batch) | {"frozen": {"params": jnp.int32(3)}}

    def power(key: KeyArray, params: Params, state: State, batch: Batch) -> Array:
        doubled = jax.lax.while_loop(lambda n: n < 5, lambda n: 2 * n, params["frozen"])
        return params["x"] * params["y"] * doubled

    players = [shared_product_player("x", +1.0), shared_product_player("y", -1.0)]
    init, step = game(networks, players, shared=power)
    state, _ = step(jax.random.key(0), init(jax.random.key(0), {}), {})
    assert float(state.params["x"]) == pytest.approx(1.0 - 0.1 * 2.0 * 6)
    assert int(state.params["frozen"]) == 3


@pytest.mark.parametrize("loss", [jnp.ones(3), jnp.complex64(1.0), jnp.int32(1)], ids=["vector", "complex", "integer"])
def test_a_loss_that_is_not_a_real_scalar_is_refused_with_a_shared_forward_pass(loss: Array) -> None:
    players = [shared_product_player("x", loss)]
    init, step = game(two_scalars, players, shared=lambda key, params, state, batch: jnp.int32(1))
    with pytest.raises(ValueError, match="loss of player 'x' must be a real scalar, got "):
        step(jax.random.key(0), init(jax.random.key(0), {}), {})


def test_a_shared_forward_pass_is_computed_once() -> None:
    """The compiler does not merge equal passes whose gradients differ, so a step must not hold more than one."""

    def forward(key: KeyArray, params: Params, state: State, batch: Batch) -> Array:
        return jnp.tanh(jnp.tanh(batch["point"] @ params["first"]["w"]) @ params["second"]["w"])

    def player(own: str, power: int) -> Player:
        def loss(key: KeyArray, params: Params, state: State, output: Array) -> tuple[Array, Any]:
            return jnp.mean(output**power), ({}, {})

        return Player(own, (own,), loss, optax.sgd(0.1))

    init, step = game(linear_networks, [player("first", 2), player("second", 4)], shared=forward)
    data = regression_data()
    program = jax.jit(step).lower(jax.random.key(0), init(jax.random.key(0), data), data)
    # Two of the forward pass, two back through the second layer to the first's weights, one to the second's weights.
    assert program.as_text().count("stablehlo.dot_general") == 2 + 2 + 1


def test_five_updates_use_five_slices_of_the_batch_and_five_keys() -> None:
    init, step = game(recorded, [recording_player(updates=5)])
    batch = points(1.0, 2.0, 3.0, 4.0, 5.0)
    state, metrics = jax.jit(step)(jax.random.key(0), init(jax.random.key(0), batch), batch)
    slices, parameters, random_numbers = np.asarray(state.stats["x"]["records"])[:5].T
    np.testing.assert_array_equal(slices, [1.0, 2.0, 3.0, 4.0, 5.0])
    np.testing.assert_array_equal(parameters, [10.0, 9.0, 8.0, 7.0, 6.0])
    assert len(set(random_numbers.tolist())) == 5
    assert float(metrics["recorder/point"]) == 3.0  # the mean over the updates
    assert float(metrics["recorder/loss"]) == 8.0


def test_a_player_with_fewer_updates_uses_the_first_slices() -> None:
    players = [product_player("y", 1.0, updates=4), recording_player(updates=2)]
    init, step = game(lambda key, batch: {**two_scalars(key, batch), **recorded(key, batch)}, players)
    batch = points(1.0, 2.0, 3.0, 4.0)
    state, _ = jax.jit(step)(jax.random.key(0), init(jax.random.key(0), batch), batch)
    np.testing.assert_array_equal(np.asarray(state.stats["x"]["records"])[:3, 0], [1.0, 2.0, 0.0])


def test_players_and_steps_have_different_keys() -> None:
    random_numbers: list[float] = []

    def player(name: str) -> Player:
        def loss(key: KeyArray, params: Params, state: State, batch: Batch) -> tuple[Array, Any]:
            return params[name] ** 2, ({}, {"random": jax.random.uniform(key)})

        return Player(name, (name,), loss, optax.sgd(0.1))

    init, step = game(two_scalars, [player("x"), player("y")])
    state = init(jax.random.key(0), {})
    for seed, name in itertools.product((0, 1), "xy"):
        random_numbers.append(float(step(jax.random.key(seed), state, {})[1][f"{name}/random"]))
    assert len(set(random_numbers)) == 4


def test_statistics_pass_from_update_to_update_player_to_player_and_step_to_step() -> None:
    def averager(key: KeyArray, params: Params, state: State, batch: Batch) -> tuple[Array, Any]:
        average = 0.9 * state.stats["x"]["average"] + 0.1 * batch["point"].mean()
        return params["x"], ({"x": {"average": average}}, {})

    def user(key: KeyArray, params: Params, state: State, batch: Batch) -> tuple[Array, Any]:
        return params["y"], ({}, {"average": state.stats["x"]["average"]})

    def averaged(key: KeyArray, batch: Batch) -> dict[str, Any]:
        return {"x": {"params": jnp.float32(0.0), "average": jnp.float32(0.0)}, "y": {"params": jnp.float32(0.0)}}

    players = [
        Player("x", ("x",), averager, optax.sgd(0.1), updates=2),
        Player("y", ("y",), user, optax.sgd(0.1)),
    ]
    init, step = game(averaged, players)
    state, average, jitted = init(jax.random.key(0), {}), 0.0, jax.jit(step)
    for t in range(4):
        state, metrics = jitted(jax.random.key(t), state, points(t, 10.0 + t))
        for value in (t, 10.0 + t):
            average = 0.9 * average + 0.1 * value
        assert float(state.stats["x"]["average"]) == pytest.approx(average, rel=1e-6)
        assert float(metrics["y/average"]) == pytest.approx(average, rel=1e-6)


def test_every_player_has_an_optimizer_state_of_its_own() -> None:
    def total(key: KeyArray, params: Params, state: State, batch: Batch) -> tuple[Array, Any]:
        return params["x"] + params["y"], ({}, {})

    momentum = optax.sgd(1.0, momentum=0.5)
    players = [Player("x", ("x",), total, momentum, updates=2), Player("y", ("y",), total, momentum)]
    init, step = game(two_scalars, players)
    state, jitted = init(jax.random.key(0), {}), jax.jit(step)
    for t in range(2):
        state, _ = jitted(jax.random.key(t), state, points(1.0, 2.0))
    # A constant gradient of 1 changes the parameter by 1, 1.5, 1.75, 1.875.
    assert float(state.params["x"]) == 1.0 - (1.0 + 1.5 + 1.75 + 1.875)
    assert float(state.params["y"]) == 2.0 - (1.0 + 1.5)


def test_the_projection_is_applied_after_every_update() -> None:
    init, step = game(recorded, [recording_player(updates=3, project=lambda own: {"x": jnp.maximum(own["x"], 8.5)})])
    batch = points(1.0, 2.0, 3.0)
    state, _ = jax.jit(step)(jax.random.key(0), init(jax.random.key(0), batch), batch)
    np.testing.assert_array_equal(np.asarray(state.stats["x"]["records"])[:3, 1], [10.0, 9.0, 8.5])
    assert float(state.params["x"]) == 8.5


def test_the_projection_receives_only_the_networks_of_its_player() -> None:
    received: list[set[str]] = []

    def project(own: Params) -> Params:
        received.append(set(own))
        return own

    init, step = game(two_scalars, [product_player("x", 1.0, project=project), product_player("y", -1.0)])
    step(jax.random.key(0), init(jax.random.key(0), {}), {})
    assert received == [{"x"}]


def test_the_moving_average_agrees_with_a_loop_in_numpy() -> None:
    init, step = regression_game()
    data = regression_data()
    state = init(jax.random.key(0), data)
    jitted = jax.jit(step)
    average = np.asarray(state.params["second"]["w"], np.float64)
    assert set(state.ema) == {"second"}
    np.testing.assert_array_equal(state.ema["second"]["params"]["w"], state.params["second"]["w"])
    for t in range(20):
        state, _ = jitted(jax.random.key(t), state, data)
        average = 0.9 * average + 0.1 * np.asarray(state.params["second"]["w"], np.float64)
    np.testing.assert_allclose(state.ema["second"]["params"]["w"], average, rtol=1e-5)
    assert np.abs(average - state.params["second"]["w"]).max() > 1e-3


def test_metrics_are_the_loss_and_the_gradient_norm_under_the_name_of_the_player() -> None:
    init, step = game(two_scalars, [product_player("x", 3.0)])
    _, metrics = step(jax.random.key(0), init(jax.random.key(0), {}), {})
    assert {name: float(value) for name, value in metrics.items()} == {"x/loss": 6.0, "x/gradient_norm": 6.0}


def train_regression(key: KeyArray, steps: int = 5) -> tuple[State, Any]:
    """A complete training as one pure function of its key."""
    init, step = regression_game()
    data = regression_data()
    state = init(jax.random.fold_in(key, 0), data)

    def one_step(state: State, t: Array) -> tuple[State, Any]:
        return step(jax.random.fold_in(key, t), state, data)

    return jax.lax.scan(one_step, state, jnp.arange(1, steps + 1))


def test_scanned_steps_agree_with_single_ones_with_and_without_jit() -> None:
    init, step = regression_game()
    data, key = regression_data(), jax.random.key(3)
    for one_step in (step, jax.jit(step)):
        state = init(jax.random.fold_in(key, 0), data)
        losses = []
        for t in range(1, 6):
            state, metrics = one_step(jax.random.fold_in(key, t), state, data)
            losses.append(metrics["first/loss"])
        scanned, history = jax.jit(train_regression)(key)
        assert_close(scanned, state)
        np.testing.assert_allclose(history["first/loss"], losses, rtol=2e-5)
        assert int(scanned.step) == 5


def test_a_vmapped_seed_agrees_with_the_same_seed_alone() -> None:
    keys = jax.random.split(jax.random.key(0), 4)
    together, _ = jax.device_get(jax.jit(jax.vmap(train_regression))(keys))
    for i, key in enumerate(keys):
        alone, _ = jax.jit(train_regression)(key)
        assert_close(jax.tree.map(lambda leaf, i=i: leaf[i], together), alone)
    first, second = (together.params["first"]["w"][i] for i in (0, 1))
    assert np.abs(first - second).max() > 0.1


def test_the_same_key_gives_the_same_bits() -> None:
    assert_same_bits(jax.jit(train_regression)(jax.random.key(5)), jax.jit(train_regression)(jax.random.key(5)))


def test_a_second_step_compiles_nothing() -> None:
    traced: list[int] = []

    def loss(key: KeyArray, params: Params, state: State, batch: Batch) -> tuple[Array, Any]:
        traced.append(1)
        return params["x"] * batch["point"].mean(), ({}, {})

    average = Average(constant_decay(0.5))
    init, step = game(two_scalars, [Player("x", ("x",), loss, optax.adam(0.1))], ema={"x": average})
    jitted, state = jax.jit(step), init(jax.random.key(0), {})
    for t in range(3):
        state, _ = jitted(jax.random.key(t), state, points(float(t)))
    assert sum(traced) == jitted._cache_size() == 1


def test_the_buffers_of_a_state_can_be_donated() -> None:
    init, step = regression_game()
    data = regression_data()
    donating = jax.jit(step, donate_argnums=1)
    kept, donated = init(jax.random.key(0), data), init(jax.random.key(0), data)
    for t in range(2):
        kept, _ = jax.jit(step)(jax.random.key(t), kept, data)
        donated, _ = donating(jax.random.key(t), donated, data)
    assert_close(kept, donated)


def test_a_step_consumes_as_many_batches_as_the_largest_number_of_updates() -> None:
    players = (product_player("x", 1.0, updates=5), product_player("y", 1.0))
    init, step = game(two_scalars, players)
    assert Model(init, step, players).slices == 5
    assert Model(init, step, ()).slices == 1
    assert Phase("all", None, step, players).slices == 5
    assert Phase("first", 10, step, players[1:]).slices == 1


def test_a_model_offers_only_what_it_is_given() -> None:
    init, step = game(two_scalars, [product_player("x", 1.0)])
    model = Model(init, step, ())
    lists = ("conditions", "latent_options", "phases")
    assert {getattr(model, name) for name in lists} == {()}
    assert {model._asdict()[name] for name in Model._fields[3:] if name not in lists} == {None}


def test_equal_names_and_unknown_networks_are_refused() -> None:
    with pytest.raises(ValueError, match=r"names of players must differ, got \['x', 'x'\]"):
        game(two_scalars, [product_player("x", 1.0), product_player("x", -1.0)])
    players = [shared_product_player("x", 1.0), shared_product_player("x", -1.0)._replace(name="other")]
    with pytest.raises(ValueError, match=r"share a forward pass must train different networks, got \['x', 'x'\]"):
        game(two_scalars, players, shared=product_of_both)
    with pytest.raises(ValueError, match=r"no network is named \['z'\], the networks are \['x', 'y'\]"):
        game(two_scalars, [product_player("z", 1.0)])[0](jax.random.key(0), {})
    with pytest.raises(ValueError, match=r"no network is named \['z'\]"):
        game(two_scalars, [product_player("x", 1.0)], ema={"z": Average(constant_decay(0.9))})[0](jax.random.key(0), {})


def test_a_batch_that_does_not_divide_into_slices_is_refused() -> None:
    init, step = game(recorded, [recording_player(updates=3)])
    with pytest.raises(ValueError, match="must divide by 3, got 4 examples"):
        step(jax.random.key(0), init(jax.random.key(0), {}), points(1.0, 2.0))


def test_accumulated_gradients_are_those_of_the_whole_batch() -> None:
    """Where the loss is a mean over examples; Adam, averages and metrics then agree as well."""

    def loss(key: KeyArray, params: Params, state: State, batch: Batch) -> tuple[Array, Any]:
        hidden = jnp.tanh(batch["point"] @ params["first"]["w"])
        error = jnp.mean((hidden @ params["second"]["w"] - batch["target"]) ** 2)
        return error, ({}, {"error": error})

    def trained(accumulations: int) -> Any:
        player = Player("both", ("first", "second"), loss, optax.adam(1e-2), updates=2, accumulations=accumulations)
        init, step = game(linear_networks, [player], ema={"second": Average(constant_decay(0.9))})
        return jax.jit(step)(jax.random.key(1), init(jax.random.key(0), {}), regression_data())

    (whole, metrics), (parts, of_parts) = trained(1), trained(3)
    assert_close(whole, parts)
    assert_close(metrics, of_parts)


def test_slices_of_an_update_have_their_examples_keys_and_the_statistics_of_the_slice_before() -> None:
    init, step = game(recorded, [recording_player(updates=2, accumulations=2)])
    before = init(jax.random.key(0), {})
    state, metrics = step(jax.random.key(0), before, points(1.0, 2.0, 3.0, 4.0))
    records = np.asarray(state.stats["x"]["records"])[:4]
    # Updates take examples 1, 3 and 2, 4 of each four; the slices of an update alternate.
    np.testing.assert_allclose(records[:, 0], [1, 3, 2, 4])
    np.testing.assert_allclose(records[:, 1], [10, 10, 9, 9])  # Both slices have the parameters before the update.
    assert len(set(records[:, 2])) == 4
    assert int(state.stats["x"]["updates"]) == 4
    assert float(metrics["recorder/point"]) == 2.5
    with pytest.raises(ValueError, match="must divide by 2, got 3 examples"):
        step(jax.random.key(0), before, points(1.0, 2.0, 3.0))
    with pytest.raises(ValueError, match="accumulations of player 'recorder' must be at least 1, got 0"):
        game(recorded, [recording_player(accumulations=0)])


def test_accumulation_has_the_memory_of_one_slice() -> None:
    """A hidden layer of 1,024 features, whose values the gradient needs, is far larger than everything else."""

    def loss(key: KeyArray, params: Params, state: State, batch: Batch) -> tuple[Array, Any]:
        hidden = jnp.tanh(batch["point"] @ params["first"]["w"])
        return jnp.mean(jnp.tanh(hidden @ params["second"]["w"])), ({}, {})

    def networks(key: KeyArray, batch: Batch) -> dict[str, Any]:
        return {"first": {"params": {"w": jnp.ones((3, 1024))}}, "second": {"params": {"w": jnp.ones((1024, 2))}}}

    def temporary_bytes(accumulations: int) -> int:
        player = Player("p", ("first", "second"), loss, optax.sgd(0.1), accumulations=accumulations)
        init, step = game(networks, [player])
        batch = {"point": np.zeros((4096, 3), np.float32)}
        program = jax.jit(step).lower(jax.random.key(0), init(jax.random.key(0), batch), batch).compile()
        return int(program.memory_analysis().temp_size_in_bytes)

    hidden = 4096 * 1024 * 4
    assert temporary_bytes(1) > hidden
    assert temporary_bytes(8) < hidden / 2


def test_players_that_share_a_forward_pass_make_one_update_each() -> None:
    players = [shared_product_player("x", 1.0, updates=2), shared_product_player("y", 1.0)]
    with pytest.raises(ValueError, match="share a forward pass must make one update per step each"):
        game(two_scalars, players, shared=product_of_both)
    players = [shared_product_player("x", 1.0, accumulations=2), shared_product_player("y", 1.0)]
    with pytest.raises(ValueError, match="share a forward pass must have 1 as accumulations"):
        game(two_scalars, players, shared=product_of_both)


class TestSeveralPlayersPerNetwork:
    """As in the adversarial autoencoder, whose encoder has a reconstruction loss and an adversarial loss."""

    def test_two_players_with_two_optimizers_agree_with_a_loop_in_numpy(self) -> None:
        def reconstruction(key: KeyArray, params: Params, state: State, batch: Batch) -> tuple[Array, Any]:
            decoded = params["decoder"] * (batch["point"] @ params["encoder"])
            return jnp.mean((decoded - batch["target"]) ** 2) / 2, ({}, {})

        def adversarial(key: KeyArray, params: Params, state: State, batch: Batch) -> tuple[Array, Any]:
            return jnp.mean((batch["point"] @ params["encoder"]) ** 2) / 2, ({}, {})

        players = [
            Player("autoencoder", ("encoder", "decoder"), reconstruction, optax.adam(0.05)),
            Player("regularizer", ("encoder",), adversarial, optax.sgd(0.02, momentum=0.9)),
        ]
        rng = np.random.default_rng(0)
        encoder, decoder = rng.normal(size=3), 1.5
        networks = {"encoder": {"params": jnp.float32(encoder)}, "decoder": {"params": jnp.float32(decoder)}}
        init, step = game(lambda key, batch: networks, players)
        state, jitted = init(jax.random.key(0), {}), jax.jit(step)
        adam, decoder_adam, velocity = NumpyAdam(0.05), NumpyAdam(0.05), np.zeros(3)
        for t in range(25):
            x, target = rng.normal(size=(4, 3)), rng.normal(size=4)
            state, metrics = jitted(jax.random.key(t), state, {"point": jnp.float32(x), "target": jnp.float32(target)})
            latent = x @ encoder
            error = (decoder * latent - target) / 4
            gradients = decoder * x.T @ error, latent @ error
            encoder, decoder = encoder + adam.update(gradients[0]), decoder + decoder_adam.update(gradients[1])
            gradient = x.T @ (x @ encoder) / 4
            velocity = gradient + 0.9 * velocity
            norms = np.sqrt(np.sum(gradients[0] ** 2) + gradients[1] ** 2), np.linalg.norm(gradient)
            encoder = encoder - 0.02 * velocity
            np.testing.assert_allclose(metrics["autoencoder/gradient_norm"], norms[0], rtol=2e-5, atol=1e-5)
            np.testing.assert_allclose(metrics["regularizer/gradient_norm"], norms[1], rtol=2e-5, atol=1e-5)
        np.testing.assert_allclose(state.params["encoder"], encoder, rtol=2e-5, atol=1e-6)
        np.testing.assert_allclose(state.params["decoder"], decoder, rtol=2e-5)
        np.testing.assert_allclose(state.opt["regularizer"][0].trace["encoder"], velocity, rtol=2e-4, atol=1e-6)
        assert [int(state.opt["autoencoder"][0].count), int(state.step)] == [25, 25]


def critic_player(regularizers: tuple[Regularizer, ...], tx: optax.GradientTransformation, updates: int = 1) -> Player:
    """A linear critic `f(x) = x @ w + b` that is fitted to 1."""

    def loss(key: KeyArray, params: Params, state: State, batch: Batch) -> tuple[Array, Any]:
        values = batch["point"] @ params["critic"]["w"] + params["critic"]["b"]
        return jnp.mean((values - 1) ** 2) / 2, ({}, {"values": values.mean()})

    return Player("critic", ("critic",), loss, tx, updates=updates, regularizers=regularizers)


def gradient_norm_loss(key: KeyArray, params: Params, state: State, batch: Batch) -> tuple[Array, Any]:
    """R1 of the linear critic, |w|^2 / 2, as the gradient with respect to its inputs."""

    def value(x: Array) -> Array:
        return x @ params["critic"]["w"] + params["critic"]["b"]

    gradients = jax.vmap(jax.grad(value))(batch["point"])
    return jnp.mean(jnp.sum(gradients**2, axis=-1)) / 2, ({}, {"norm": jnp.sqrt(jnp.sum(gradients[0] ** 2))})


def value_loss(key: KeyArray, params: Params, state: State, batch: Batch) -> tuple[Array, Any]:
    """A penalty on the squared critic values of the batch."""
    values = batch["point"] @ params["critic"]["w"] + params["critic"]["b"]
    return jnp.mean(values**2) / 2, ({}, {})


class NumpyCritic:
    """The linear critic with both of its regularizers in float64, with gradients derived by hand."""

    def __init__(self, w: np.ndarray, b: float, adam: Callable[[], NumpyAdam]) -> None:
        self.w, self.b = w, b
        self.adams = adam(), adam()

    def update(self, gradient_w: np.ndarray, gradient_b: float) -> None:
        self.w = self.w + self.adams[0].update(gradient_w)
        self.b = self.b + self.adams[1].update(gradient_b)

    def fit(self, x: np.ndarray) -> None:
        error = (x @ self.w + self.b - 1) / len(x)
        self.update(x.T @ error, error.sum())

    def regularize_gradient(self, every: int) -> None:
        self.update(every * self.w, 0.0)

    def regularize_values(self, x: np.ndarray, every: int) -> None:
        values = (x @ self.w + self.b) / len(x)
        self.update(every * (x.T @ values), every * values.sum())


def critic_networks(key: KeyArray, batch: Batch) -> dict[str, Any]:
    return {"critic": {"params": {"w": jnp.array([0.5, -1.5, 2.0]), "b": jnp.float32(0.25)}}}


class TestRegularizers:
    STEPS = 23

    def train(self, player: Player, data: np.ndarray) -> tuple[State, list[dict[str, float]]]:
        """State after all steps, and the metrics of each."""
        init, step = game(critic_networks, [player])
        state, jitted, history = init(jax.random.key(0), {}), jax.jit(step), []
        for t, x in enumerate(data):
            state, metrics = jitted(jax.random.key(t), state, {"point": x})
            history.append({name: float(value) for name, value in metrics.items()})
        return state, history

    def assert_agrees(self, state: State, critic: NumpyCritic) -> None:
        np.testing.assert_allclose(state.params["critic"]["w"], critic.w, rtol=1e-5)
        np.testing.assert_allclose(state.params["critic"]["b"], critic.b, rtol=1e-5)
        moments = state.opt["critic"][0]
        assert int(moments.count) == critic.adams[0].count
        for i, name in enumerate("wb"):
            np.testing.assert_allclose(moments.mu["critic"][name], critic.adams[i].mean, rtol=1e-4, atol=1e-6)
            np.testing.assert_allclose(moments.nu["critic"][name], critic.adams[i].square, rtol=1e-4)

    def test_lazy_regularization_with_corrected_adam_agrees_with_a_loop_in_numpy(self) -> None:
        """With c = k / (k + 1): learning rate c * lr, decays b ** c, and the loss of every k-th step times k."""
        every, c = 4, 4 / 5
        adam = {"learning_rate": 0.05 * c, "b1": 0.5**c, "b2": 0.99**c}
        data = np.random.default_rng(0).normal(size=(self.STEPS, 6, 3)).astype(np.float32)
        r1 = Regularizer("r1", gradient_norm_loss, every)
        state, history = self.train(critic_player((r1,), optax.adam(**adam)), data)
        critic = NumpyCritic(np.array([0.5, -1.5, 2.0]), 0.25, lambda: NumpyAdam(**adam))
        for t, x in enumerate(np.float64(data)):
            critic.fit(x)
            names = ["critic/r1/loss", "critic/r1/gradient_norm", "critic/r1/norm"]
            reported = [history[t][name] for name in names]
            if t in (0, 4, 8, 12, 16, 20):
                norm = np.linalg.norm(critic.w)
                np.testing.assert_allclose(reported, [norm**2 / 2, every * norm, norm], rtol=1e-5)
                critic.regularize_gradient(every)
            else:
                assert np.all(np.isnan(reported))
        self.assert_agrees(state, critic)
        assert critic.adams[0].count == 23 + 6

    def test_two_regularizers_with_different_intervals_and_two_updates_agree_with_a_loop_in_numpy(self) -> None:
        adam = {"learning_rate": 0.03, "b1": 0.8, "b2": 0.95}
        data = np.random.default_rng(1).normal(size=(self.STEPS, 8, 3)).astype(np.float32)
        terms = Regularizer("r1", gradient_norm_loss, 3), Regularizer("values", value_loss, 2)
        state, history = self.train(critic_player(terms, optax.adam(**adam), updates=2), data)
        critic = NumpyCritic(np.array([0.5, -1.5, 2.0]), 0.25, lambda: NumpyAdam(**adam))
        for t, x in enumerate(np.float64(data)):
            first, last = x[0::2], x[1::2]  # Slices take neighbouring examples in alternation.
            losses = []
            for part in (first, last):
                losses.append(np.mean((part @ critic.w + critic.b - 1) ** 2) / 2)
                critic.fit(part)
            np.testing.assert_allclose(history[t]["critic/loss"], np.mean(losses), rtol=1e-5)
            if t % 3 == 0:
                np.testing.assert_allclose(history[t]["critic/r1/loss"], np.sum(critic.w**2) / 2, rtol=1e-5)
                critic.regularize_gradient(3)
            if t % 2 == 0:
                values = last @ critic.w + critic.b
                np.testing.assert_allclose(history[t]["critic/values/loss"], np.mean(values**2) / 2, rtol=1e-5)
                critic.regularize_values(last, 2)
            computed = ~np.isnan([history[t][f"critic/{name}/loss"] for name in ("r1", "values")])
            np.testing.assert_array_equal(computed, [t % 3 == 0, t % 2 == 0])
        self.assert_agrees(state, critic)
        assert critic.adams[0].count == 2 * 23 + 8 + 12

    def test_a_regularizer_at_every_step_is_an_update_of_every_step(self) -> None:
        data = np.random.default_rng(2).normal(size=(5, 6, 3)).astype(np.float32)
        player = critic_player((Regularizer("values", value_loss),), optax.sgd(0.1))
        state, history = self.train(player, data)
        init, step = game(
            critic_networks, [player._replace(regularizers=()), Player("v", ("critic",), value_loss, player.tx)]
        )
        expected = init(jax.random.key(0), {})
        for x, metrics in zip(data, history, strict=True):
            expected, others = jax.jit(step)(jax.random.key(0), expected, {"point": x})
            assert metrics["critic/values/loss"] == pytest.approx(float(others["v/loss"]), rel=1e-6)
        assert_close(state.params, expected.params)

    def test_regularizers_project_and_change_statistics_as_updates_do(self) -> None:
        term = Regularizer("again", recording_player().loss, 2)
        player = recording_player(
            updates=2, regularizers=(term,), project=lambda own: {"x": jnp.maximum(own["x"], 6.5)}
        )
        init, step = game(recorded, [player])
        batch = points(1.0, 2.0)
        state, jitted = init(jax.random.key(0), batch), jax.jit(step)
        for t in range(3):
            state, _ = jitted(jax.random.key(t), state, batch)
        records = state.stats["x"]["records"]
        assert int(state.stats["x"]["updates"]) == 2 * 3 + 2
        # Two updates and one with the regularizer at step 0, whose gradient is doubled; two at step 1; three at step 2.
        np.testing.assert_array_equal(records[:, 0], [1.0, 2.0, 2.0, 1.0, 2.0, 1.0, 2.0, 2.0])
        np.testing.assert_array_equal(records[:, 1], [10.0, 9.0, 8.0, 6.5, 6.5, 6.5, 6.5, 6.5])
        assert len(set(records[:, 2].tolist())) == 8, "every update has a different key"

    @pytest.mark.parametrize("shared", [False, True])
    def test_every_update_has_a_key_that_no_loss_derives_from_its_own(self, shared: bool) -> None:
        """Losses split their key; none of the results may be the key of another loss."""

        def recording(name: str) -> Callable[..., Any]:
            def loss(key: KeyArray, params: Params, state: State, batch: Any) -> tuple[Array, Any]:
                split_off = jax.random.key_data(jax.random.split(key, 8))
                return params[name] ** 2, ({}, {"keys": jnp.concatenate([jax.random.key_data(key)[None], split_off])})

            return loss

        players = [
            Player(
                name, (name,), recording(name), optax.sgd(0.1),
                regularizers=tuple(Regularizer(f"r{i}", recording(name)) for i in range(2)),
            )
            for name in "xy"
        ]  # fmt: skip
        forward = product_of_both if shared else None
        init, step = game(two_scalars, players, shared=forward)
        _, metrics = jax.jit(step)(jax.random.key(0), init(jax.random.key(0), {}), {})
        keys = np.concatenate([values for name, values in metrics.items() if name.endswith("keys")])
        assert len(keys) == len(np.unique(keys, axis=0)) == 6 * 9

    def test_with_a_shared_forward_pass_a_regularizer_receives_the_batch_and_the_updated_parameters(self) -> None:
        def loss(key: KeyArray, params: Params, state: State, batch: Batch) -> tuple[Array, Any]:
            return params["x"] ** 2, ({}, {"point": batch["point"].mean(), "x": state.params["x"]})

        players = [
            shared_product_player("x", +1.0, regularizers=(Regularizer("square", loss, 2),)),
            shared_product_player("y", -1.0),
        ]
        init, step = game(two_scalars, players, shared=product_of_both)
        state, metrics = jax.jit(step)(jax.random.key(0), init(jax.random.key(0), {}), points(3.0))
        # x = 1 - 0.1 * 2, then x - 0.1 * 2 * 2 x; y is updated from the forward pass before both.
        assert float(metrics["x/square/point"]) == 3.0
        assert float(metrics["x/square/x"]) == pytest.approx(0.8)
        assert float(state.params["x"]) == pytest.approx(0.8 - 0.1 * 2 * 1.6)
        assert float(state.params["y"]) == pytest.approx(2.0 + 0.1)
        assert float(metrics["x/square/loss"]) == pytest.approx(0.64)
        assert float(metrics["x/square/gradient_norm"]) == pytest.approx(2 * 1.6)

    def test_metrics_of_any_type_may_be_reported(self) -> None:
        def loss(key: KeyArray, params: Params, state: State, batch: Batch) -> tuple[Array, Any]:
            return params["x"] ** 2, ({}, {"count": jnp.int32(3), "flag": jnp.bool_(True), "half": jnp.float16(1)})

        player = product_player("x", 1.0, regularizers=(Regularizer("r", loss, 2),))
        init, step = game(two_scalars, [player])
        state = init(jax.random.key(0), {})
        jitted = jax.jit(step)
        state, metrics = jitted(jax.random.key(0), state, {})
        assert [metrics[f"x/r/{name}"].item() for name in ("count", "flag", "half")] == [3, True, 1.0]
        state, metrics = jitted(jax.random.key(0), state, {})
        assert [metrics[f"x/r/{name}"].dtype for name in ("count", "flag", "half")] == [
            jnp.int32,
            jnp.bool_,
            jnp.float16,
        ]
        assert np.isnan(metrics["x/r/half"])

    def test_equal_names_and_intervals_below_one_are_refused(self) -> None:
        terms = Regularizer("r1", value_loss), Regularizer("r1", gradient_norm_loss, 4)
        with pytest.raises(ValueError, match=r"regularizers of player 'critic' must differ, got \['r1', 'r1'\]"):
            game(critic_networks, [critic_player(terms, optax.sgd(0.1))])
        with pytest.raises(
            ValueError, match=r"`every` of the regularizers of player 'critic' must be at least 1, got \[0\]"
        ):
            game(critic_networks, [critic_player((Regularizer("r1", value_loss, 0),), optax.sgd(0.1))])


def primitives(jaxpr: Any) -> tuple[set[str], list[tuple[set[str], ...]]]:
    """Primitives outside of all branches, and for every `cond` the primitives of its branches, at any depth."""
    outside: set[str] = set()
    branches: list[tuple[set[str], ...]] = []
    for equation in jaxpr.eqns:
        outside.add(equation.primitive.name)
        if equation.primitive.name == "cond":
            for branch in [primitives(branch.jaxpr) for branch in equation.params["branches"]]:
                branches += branch[1]
            branches.append(tuple(primitives(branch.jaxpr)[0] for branch in equation.params["branches"]))
            continue
        for inner in jax.extend.core.jaxprs_in_params(equation.params):
            inside = primitives(inner)
            outside |= inside[0]
            branches += inside[1]
    return outside, branches


class TestRegularizersOverSeeds:
    SEEDS, EVERY = 8, 4

    @pytest.fixture(scope="class")
    @classmethod
    def counted(cls) -> tuple[Callable[..., Any], Callable[..., Any], list[int]]:
        """A noisy game whose regularizer holds the only sine, and which counts how often it is computed."""
        calls: list[int] = []

        def loss(key: KeyArray, params: Params, state: State, batch: Batch) -> tuple[Array, Any]:
            noise = jax.random.normal(key, params["x"].shape)
            average = 0.9 * state.stats["x"]["average"] + 0.1 * params["x"]
            return jnp.sum((params["x"] - noise) ** 2), ({"x": {"average": average}}, {})

        def sine_loss(key: KeyArray, params: Params, state: State, batch: Batch) -> tuple[Array, Any]:
            jax.debug.callback(lambda _: calls.append(1), params["x"][0])
            return jnp.sum(jnp.sin(params["x"] + jax.random.normal(key))), ({}, {})

        def networks(key: KeyArray, batch: Batch) -> dict[str, Any]:
            return {"x": {"params": jax.random.normal(key, (3,)), "average": jnp.zeros(3)}}

        player = Player("x", ("x",), loss, optax.adam(0.1), 2, (Regularizer("sine", sine_loss, cls.EVERY),))
        init, step = game(networks, [player], ema={"x": Average(constant_decay(0.9))})
        return init, step, calls

    @pytest.fixture(scope="class")
    @classmethod
    def step_of_all(cls, counted: Any) -> Callable[..., Any]:
        return over_seeds(lambda seed: counted[1](seed[0], seed[1], {}))

    def keys_of(self, t: int) -> KeyArray:
        return jax.random.split(jax.random.key(t), self.SEEDS)

    def test_a_seed_agrees_with_the_same_seed_alone_and_regularizers_are_computed_only_when_due(
        self, counted: Any, step_of_all: Any
    ) -> None:
        init, step, calls = counted
        together = jax.jit(over_seeds(lambda key: init(key, {})))(self.keys_of(100))
        assert together.step.shape == ()
        alone = [select_seed(together, seed) for seed in range(self.SEEDS)]
        jitted, jitted_step = jax.jit(step_of_all), jax.jit(step)
        for t in range(6):
            del calls[:]
            together, metrics = jitted((self.keys_of(t), together))
            jax.effects_barrier()
            assert len(calls) == (self.SEEDS if t % self.EVERY == 0 else 0)
            assert together.step.shape == ()
            assert int(together.step) == t + 1
            for seed, key in enumerate(self.keys_of(t)):
                alone[seed], expected = jitted_step(key, alone[seed], {})
                assert_close({name: values[seed] for name, values in metrics.items()}, expected)
                assert_close(select_seed(together, seed), alone[seed])

    def test_the_regularizer_is_the_branch_of_a_cond(self, counted: Any, step_of_all: Any) -> None:
        state = jax.jit(over_seeds(lambda key: counted[0](key, {})))(self.keys_of(100))
        outside, branches = primitives(jax.make_jaxpr(step_of_all)((self.keys_of(0), state)).jaxpr)
        assert "cond" in outside
        assert "sin" not in outside
        assert [["sin" in names for names in branch] for branch in branches] == [[False, True]]

    def test_a_step_counter_per_seed_would_compute_both_branches(self, counted: Any) -> None:
        """The test above detects what plain `vmap` of the state does."""
        init, step, _ = counted
        state = jax.eval_shape(jax.vmap(lambda key: init(key, {})), self.keys_of(100))
        outside, branches = primitives(
            jax.make_jaxpr(jax.vmap(lambda k, s: step(k, s, {})))(self.keys_of(0), state).jaxpr
        )
        assert {"sin", "select_n"} <= outside
        assert branches == []


class TestSchedules:
    """Learning rates are functions of the step, which optimizers receive as the extra argument `step`."""

    def halving(self) -> optax.GradientTransformationExtraArgs:
        """Gradient descent with the learning rate 2^-step."""

        def update(updates: Any, state: Any, params: Any = None, *, step: Array, **extra: Any) -> Any:
            return jax.tree.map(lambda x: -(0.5**step) * x, updates), state

        return optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), update)

    @pytest.mark.parametrize("chained", [False, True])
    def test_a_schedule_follows_the_step_and_not_the_number_of_updates(self, chained: bool) -> None:
        tx = optax.chain(optax.clip(10.0), self.halving()) if chained else self.halving()

        def total(key: KeyArray, params: Params, state: State, batch: Batch) -> tuple[Array, Any]:
            return params["x"], ({}, {})

        player = Player("x", ("x",), total, tx, updates=3, regularizers=(Regularizer("again", total, 2),))
        init, step = game(two_scalars, [player])
        state, jitted = init(jax.random.key(0), {}), jax.jit(step)
        expected = 1.0
        for t in range(4):
            state, _ = jitted(jax.random.key(t), state, points(1.0, 2.0, 3.0))
            # Three updates, and at every other step one by twice the gradient.
            expected -= (3 + 2 * (t % 2 == 0)) * 0.5**t
            assert float(state.params["x"]) == expected

    def test_players_with_a_shared_forward_pass_receive_the_step_as_well(self) -> None:
        player = shared_product_player("x", 1.0)._replace(tx=self.halving())
        init, step = game(two_scalars, [player], shared=product_of_both)
        state, jitted = init(jax.random.key(0), {}), jax.jit(step)
        for expected in (1.0 - 2.0, 1.0 - 2.0 - 1.0):
            state, _ = jitted(jax.random.key(0), state, {})
            assert float(state.params["x"]) == expected


def test_average_that_begins_in_a_later_phase_stays_in_the_state_of_the_first() -> None:
    def init_networks(key, batch):
        return {"x": {"params": jnp.float32(8.0)}}

    def loss(key, params, state, batch):
        return params["x"] ** 2, ({}, {})

    player = Player("x", ("x",), loss, optax.sgd(0.25))
    init, averaging = game(init_networks, [player], ema={"x": Average(constant_decay(0.5))})
    _, plain = game(init_networks, [player])
    state, _ = plain(jax.random.key(1), init(jax.random.key(0), {}), {})
    assert float(state.ema["x"]["params"]) == 8.0
    state, _ = averaging(jax.random.key(1), state, {})
    assert float(state.ema["x"]["params"]) == 5.0  # (8 + 2) / 2
