"""Optimizers of the config against those of optax, and learning rates as functions of the step of the training."""

import math
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen.errors import InputError
from jaxgen.game import Player, Regularizer, State, game
from jaxgen.models.optimizer import OptimizerConfig, freeze_networks, make_optimizer
from jaxgen.typing import Array, Params

RATE = 0.1


def trajectory(tx: optax.GradientTransformation, *, updates_per_step: int = 1, steps: int = 8) -> Params:
    """Return the parameters after every update, by gradients of several magnitudes and of zero."""
    tx = optax.with_extra_args_support(tx)
    rng, number = np.random.default_rng(0), steps * updates_per_step
    gradients = {
        "w": rng.normal(size=(number, 4)).astype(np.float32) * np.array([1e-4, 1.0, 30.0, 0.0], np.float32),
        "b": rng.normal(size=number).astype(np.float32),
    }

    def update(carry: tuple[Params, Any], inputs: tuple[Params, Array]) -> tuple[tuple[Params, Any], Params]:
        (params, state), (gradient, i) = carry, inputs
        updates, state = tx.update(gradient, state, params, step=i // updates_per_step)
        params = optax.apply_updates(params, updates)
        return (params, state), params

    params = {"w": jnp.array([0.5, -2.0, 10.0, 1.0]), "b": jnp.float32(3.0)}
    scan = jax.jit(lambda carry, inputs: jax.lax.scan(update, carry, inputs)[1])
    return scan((params, tx.init(params)), (gradients, jnp.arange(number)))


@pytest.mark.parametrize(
    ("options", "reference"),
    [
        ({"optimizer": "adam"}, optax.adam(RATE)),
        ({"optimizer": "adam", "b1": 0.5, "b2": 0.9, "eps": 1e-3}, optax.adam(RATE, 0.5, 0.9, 1e-3)),
        ({"optimizer": "adam", "b1": 0.0}, optax.adam(RATE, 0.0)),
        (
            {"optimizer": "adam", "weight_decay": 0.1},
            optax.chain(optax.add_decayed_weights(0.1), optax.adam(RATE)),
        ),
        ({"optimizer": "adamw", "weight_decay": 0.1}, optax.adamw(RATE, weight_decay=0.1)),
        ({"optimizer": "adamw", "b1": 0.5, "b2": 0.9}, optax.adamw(RATE, 0.5, 0.9, weight_decay=0.0)),
        ({"optimizer": "sgd"}, optax.sgd(RATE, momentum=0.9)),
        ({"optimizer": "sgd", "momentum": 0.0}, optax.sgd(RATE)),
        (
            {"optimizer": "sgd", "momentum": 0.5, "weight_decay": 0.01},
            optax.chain(optax.add_decayed_weights(0.01), optax.sgd(RATE, momentum=0.5)),
        ),
        ({"optimizer": "rmsprop", "b2": 0.9}, optax.rmsprop(RATE, decay=0.9, eps_in_sqrt=False)),
        (
            {"optimizer": "rmsprop", "b2": 0.99, "eps": 1e-2},
            optax.rmsprop(RATE, decay=0.99, eps=1e-2, eps_in_sqrt=False),
        ),
        ({"clip_norm": 0.5}, optax.chain(optax.clip_by_global_norm(0.5), optax.adam(RATE))),
        (
            # The norm of the gradient is clipped, without the decay of the parameters.
            {"optimizer": "sgd", "momentum": 0.0, "clip_norm": 0.5, "weight_decay": 0.1},
            optax.chain(optax.clip_by_global_norm(0.5), optax.add_decayed_weights(0.1), optax.sgd(RATE)),
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_optimizers_match_optax(options: dict[str, Any], reference: optax.GradientTransformation) -> None:
    found = trajectory(make_optimizer(OptimizerConfig(learning_rate=RATE, **options)))
    chex.assert_trees_all_close(found, trajectory(reference), rtol=1e-6)


def test_rmsprop_with_eps_under_the_root_matches_optax() -> None:
    config = OptimizerConfig(optimizer="rmsprop", learning_rate=RATE, b2=0.9, eps=1e-3)
    found = trajectory(make_optimizer(config, eps_in_root=True))
    chex.assert_trees_all_close(found, trajectory(optax.rmsprop(RATE, eps=1e-3)), rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "schedule"),
    [
        ({"schedule": "cosine", "decay_steps": 6}, optax.cosine_decay_schedule(RATE, 6)),
        (
            {"schedule": "cosine", "decay_steps": 6, "final_factor": 0.2},
            optax.cosine_decay_schedule(RATE, 6, alpha=0.2),
        ),
        ({"schedule": "linear", "decay_steps": 6}, optax.linear_schedule(RATE, 0.0, 6)),
        ({"schedule": "linear", "decay_steps": 6, "final_factor": 0.5}, optax.linear_schedule(RATE, RATE / 2, 6)),
        ({"schedule": "inverse", "decay_steps": 5}, lambda step: RATE / (1 + 0.2 * step)),
        ({"schedule": "step", "decay_steps": 3}, optax.exponential_decay(RATE, 3, 0.1, staircase=True)),
        (
            {"schedule": "step", "decay_steps": 3, "final_factor": 0.5},
            optax.exponential_decay(RATE, 3, 0.5, staircase=True),
        ),
        (
            {"schedule": "piecewise", "milestones": (2, 3, 7), "factors": (0.5, 0.4, 0.0)},
            optax.piecewise_constant_schedule(RATE, {2: 0.5, 3: 0.8, 7: 0.0}),
        ),
        (
            {"warmup_steps": 2, "schedule": "piecewise", "milestones": (4,), "factors": (0.5,)},
            optax.join_schedules(
                [
                    optax.linear_schedule(RATE / 3, RATE, 2),
                    optax.piecewise_constant_schedule(RATE, {4: 0.5}),
                ],
                boundaries=[2],
            ),
        ),
        # The first of 4 steps of warm-up has a fifth of the learning rate, and the fifth step all of it.
        ({"warmup_steps": 4}, optax.linear_schedule(RATE / 5, RATE, 4)),
        (
            {"warmup_steps": 2, "schedule": "cosine", "decay_steps": 6},
            optax.join_schedules(
                [optax.linear_schedule(RATE / 3, RATE, 2), optax.cosine_decay_schedule(RATE, 6)], boundaries=[2]
            ),
        ),
        (
            {"warmup_steps": 2, "schedule": "step", "decay_steps": 3},
            optax.join_schedules(
                [optax.linear_schedule(RATE / 3, RATE, 2), optax.exponential_decay(RATE, 3, 0.1, staircase=True)],
                boundaries=[2],
            ),
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_schedules_match_optax_as_functions_of_the_step(options: dict[str, Any], schedule: optax.Schedule) -> None:
    tx = make_optimizer(OptimizerConfig(optimizer="sgd", momentum=0.0, learning_rate=RATE, **options))
    ones = jnp.ones(())
    rate = jax.jit(lambda step: -tx.update(ones, tx.init(ones), ones, step=step)[0])
    expected = [schedule(step) for step in range(12)]
    np.testing.assert_allclose([rate(jnp.int32(step)) for step in range(12)], expected, rtol=1e-5, atol=1e-9)


def test_learning_rate_is_constant_within_a_step_of_several_updates() -> None:
    options = {"schedule": "linear", "decay_steps": 4}
    found = trajectory(make_optimizer(OptimizerConfig(learning_rate=RATE, **options)), updates_per_step=5, steps=4)
    rates = jnp.repeat(jnp.array([RATE, 0.75 * RATE, 0.5 * RATE, 0.25 * RATE]), 5)
    reference = optax.chain(optax.scale_by_adam(), optax.scale_by_learning_rate(lambda count: rates[count]))
    chex.assert_trees_all_close(found, trajectory(reference, updates_per_step=5, steps=4), rtol=1e-5)


def player_of(tx: optax.GradientTransformation, updates: int, regularizers: tuple[Regularizer, ...] = ()) -> Player:
    """Return a player whose gradient is 1 in every update."""
    return Player(
        "player", ("x",), lambda key, params, state, batch: (params["x"], ({}, {})), tx, updates, regularizers
    )


def play(player: Player, steps: int) -> list[float]:
    """Return the parameter after every step of a game with one player."""
    init, step = game(lambda key, batch: {"x": {"params": jnp.float32(0.0)}}, [player])
    step, state, found = jax.jit(step), init(jax.random.key(0), {}), []
    for _ in range(steps):
        state, _ = step(jax.random.key(0), state, {})
        found.append(float(state.params["x"]))
    return found


def test_game_passes_the_step_to_the_schedule_of_a_player_with_several_updates() -> None:
    config = OptimizerConfig(optimizer="sgd", momentum=0.0, learning_rate=1.0, schedule="step", decay_steps=2)
    found = play(player_of(make_optimizer(config), updates=5), 5)
    np.testing.assert_allclose(found, -np.cumsum([5.0, 5.0, 0.5, 0.5, 0.05]), rtol=1e-6)


@pytest.mark.parametrize(("every", "correction"), [((4,), 4 / 5), ((16,), 16 / 17), ((4, 2), 1 / 1.75)])
@pytest.mark.parametrize(
    ("optimizer", "reference"),
    [
        ("adam", lambda c: optax.adam(c * RATE, 0.5**c, 0.99**c)),
        ("rmsprop", lambda c: optax.rmsprop(c * RATE, decay=0.99**c, eps_in_sqrt=False)),
        ("sgd", lambda c: optax.sgd(c * RATE, momentum=0.9**c)),
    ],
)
def test_lazy_regularizers_correct_learning_rate_and_decays(
    every: tuple[int, ...], correction: float, optimizer: Any, reference: Any
) -> None:
    """Karras et al. 2020, arXiv:1912.04958, appendix B: c = k / (k + 1), and b^c."""

    def loss(key: Array, params: Params, state: State, batch: Any) -> Any:
        return jnp.zeros(()), ({}, {})

    regularizers = tuple(Regularizer(f"term_{k}", loss, k) for k in every)
    config = OptimizerConfig(optimizer=optimizer, learning_rate=RATE, b1=0.5, b2=0.99)
    found = trajectory(make_optimizer(config, regularizers=regularizers))
    chex.assert_trees_all_close(found, trajectory(reference(correction)), rtol=1e-6)


def test_correction_keeps_the_mean_distance_of_sgd_per_step() -> None:
    """With the gradient of the regularizer equal to that of the loss, k steps are k updates of the learning rate."""
    k = 4

    def loss(key: Array, params: Params, state: State, batch: Any) -> Any:
        return params["x"] / k, ({}, {})  # The update multiplies it by k.

    regularizers = (Regularizer("term", loss, k),)
    config = OptimizerConfig(optimizer="sgd", momentum=0.0, learning_rate=RATE)
    player = player_of(make_optimizer(config, regularizers=regularizers), 1, regularizers)
    np.testing.assert_allclose(play(player, 2 * k)[k - 1 :: k], [-k * RATE, -2 * k * RATE], rtol=1e-6)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop"])
def test_updates_are_differentiable_at_zero_gradients_where_requested(optimizer: Any) -> None:
    def updated(gradient: Array, *, differentiable: bool) -> Array:
        tx = make_optimizer(OptimizerConfig(optimizer=optimizer, learning_rate=RATE), differentiable=differentiable)
        updates, _ = tx.update(gradient, tx.init(gradient), gradient, step=jnp.int32(0))
        return updates.sum()

    derivative = jax.jit(jax.grad(updated), static_argnames="differentiable")
    assert np.isfinite(derivative(jnp.array([0.0, 1.0]), differentiable=True)).all()
    assert not np.isfinite(derivative(jnp.array([0.0, 1.0]), differentiable=False)).all()
    # Elsewhere the updates are the same within float32.
    ones = jnp.ones(2)
    np.testing.assert_allclose(updated(ones, differentiable=True), updated(ones, differentiable=False), rtol=1e-6)


@pytest.mark.parametrize("gradient", [1e-3, 1e-2, 1.0])
def test_differentiable_rmsprop_follows_eps(gradient: float) -> None:
    config = OptimizerConfig(optimizer="rmsprop", learning_rate=RATE, b2=0.0, eps=1e-2)
    tx, x = make_optimizer(config, differentiable=True), jnp.float32(gradient)
    updates, _ = tx.update(x, tx.init(x), x, step=jnp.int32(0))
    assert float(updates) == pytest.approx(-RATE * gradient / math.sqrt(gradient**2 + 1e-2**2), rel=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "adan"}, "there is no optimizer 'adan': did you mean 'adam'?"),
        ({"schedule": "cosin"}, "there is no schedule 'cosin': did you mean 'cosine'?"),
        ({"learning_rate": 0.0}, "learning_rate must be positive and finite, got 0.0"),
        ({"learning_rate": math.inf}, "learning_rate must be positive and finite, got inf"),
        ({"eps": 0.0}, "eps must be positive and finite, got 0.0"),
        ({"clip_norm": -1.0}, "clip_norm must be positive and finite, got -1.0"),
        ({"b1": 1.0}, "b1 must be a decay from 0 to below 1, got 1.0"),
        ({"b2": -0.1}, "b2 must be a decay from 0 to below 1, got -0.1"),
        ({"momentum": math.nan}, "momentum must be a decay from 0 to below 1, got nan"),
        ({"weight_decay": -0.1}, "weight_decay must be finite and not negative, got -0.1"),
        ({"warmup_steps": -1}, "warmup_steps must be finite and not negative, got -1"),
        ({"schedule": "cosine"}, "decay_steps must be given for the schedule 'cosine', e.g. the steps of the run"),
        ({"schedule": "step", "decay_steps": 0}, "decay_steps must be positive and finite, got 0"),
        (
            {"schedule": "linear", "decay_steps": 9, "final_factor": -1.0},
            "final_factor must be finite and not negative",
        ),
        (
            {"schedule": "inverse", "decay_steps": 9, "final_factor": 0.1},
            "final_factor has no effect on the schedule 'inverse': choose cosine, linear or step",
        ),
        ({"decay_steps": 9}, "decay_steps and final_factor have no effect on the schedule 'constant'"),
        ({"schedule": "piecewise"}, "milestones and factors must be equally many, at least one, .* got 0 and 0"),
        (
            {"schedule": "piecewise", "milestones": (2, 2), "factors": (0.5, 0.4)},
            "milestones must increase, got 2, 2",
        ),
        ({"schedule": "piecewise", "milestones": (0,), "factors": (0.5,)}, "milestones must be positive and finite"),
        (
            {"schedule": "piecewise", "milestones": (2,), "factors": (-0.5,)},
            "factors must be finite and not negative, got -0.5",
        ),
        ({"milestones": (2,)}, "milestones and factors have no effect on the schedule 'constant': choose piecewise"),
        (
            {"schedule": "piecewise", "milestones": (2,), "factors": (0.5,), "decay_steps": 9},
            "decay_steps and final_factor have no effect on the schedule 'piecewise'",
        ),
        ({"final_factor": 0.1}, "decay_steps and final_factor have no effect on the schedule 'constant'"),
    ],
)
def test_invalid_options_raise_input_error(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        OptimizerConfig(**options).check_optimizer()


def test_frozen_networks_keep_their_bits_and_the_others_are_trained_as_alone():
    options = {"optimizer": "adamw", "weight_decay": 0.1, "clip_norm": 0.5, "learning_rate": RATE}
    tx = make_optimizer(OptimizerConfig(**options))
    player = Player("both", ("a", "b"), None, tx, project=lambda params: jax.tree.map(jnp.ceil, params))
    (frozen,) = freeze_networks([player], ["b"])
    rng = np.random.default_rng(0)
    params = {name: rng.normal(size=3).astype(np.float32) for name in "ab"}
    gradients = {"a": np.full(3, 2.0, np.float32), "b": np.full(3, 100.0, np.float32)}
    updates, _ = frozen.tx.update(gradients, frozen.tx.init(params), params, step=jnp.int32(0))
    alone = {name: {"a": value["a"]} for name, value in (("params", params), ("gradients", gradients))}
    expected, _ = tx.update(alone["gradients"], tx.init(alone["params"]), alone["params"], step=jnp.int32(0))
    np.testing.assert_array_equal(updates["a"], expected["a"])
    np.testing.assert_array_equal(optax.apply_updates(params, updates)["b"], params["b"])
    projected = frozen.project(params)
    np.testing.assert_array_equal(projected["a"], np.ceil(params["a"]))
    np.testing.assert_array_equal(projected["b"], params["b"])


def test_a_network_must_be_left_to_train():
    players = [Player("p", ("a", "b"), None, optax.sgd(1.0)), Player("q", ("b",), None, optax.sgd(1.0))]
    assert len(freeze_networks(players, ["b"])) == 2
    with pytest.raises(InputError, match="freeze must leave a network to train, got b, a of a, b"):
        freeze_networks(players, ["b", "a"])


def test_network_to_freeze_must_be_one_of_the_players():
    player = Player("both", ("encoder", "decoder"), None, optax.sgd(1.0))
    with pytest.raises(InputError, match="there is no network to freeze 'encodr': did you mean 'encoder'"):
        freeze_networks([player], ["encodr"])
