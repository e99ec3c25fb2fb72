"""Moving averages against loops in NumPy and against the formula of the StyleGAN2-ADA code."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen.averaging import Average, constant_decay, half_life_decay, updated_average, with_averages
from jaxgen.errors import InputError
from jaxgen.game import Player, State, game

STEPS = 12


def changing_game(average: Average, *, updates: int = 1) -> tuple[Any, Any]:
    """A game whose parameter is `1 - t` after t updates, and whose statistics are `t`, `10 t` and `2 t`."""

    def loss(key, params, state, batch):
        old = state.stats["net"]
        stats = {
            "batch_stats": {"mean": old["batch_stats"]["mean"] + 1, "count": old["batch_stats"]["count"] + 10},
            "spectral": {"u": old["spectral"]["u"] + 2},
        }
        return params["net"]["w"].sum(), ({"net": stats}, {})

    def networks(key, batch):
        stats = {"batch_stats": {"mean": jnp.zeros(2), "count": jnp.int32(0)}, "spectral": {"u": jnp.zeros(3)}}
        return {"net": {"params": {"w": jnp.ones(2)}, **stats}, "other": {"params": jnp.ones(4)}}

    return game(networks, [Player("net", ("net",), loss, optax.sgd(1.0), updates=updates)], ema={"net": average})


def averages_after_each_step(average: Average, examples: int = 5, *, updates: int = 1) -> list[dict[str, Any]]:
    init, step = changing_game(average, updates=updates)
    batch = {"point": jnp.zeros((examples * updates, 1))}
    state, jitted, history = init(jax.random.key(0), batch), jax.jit(step), []
    for t in range(STEPS):
        state, _ = jitted(jax.random.key(t), state, batch)
        history.append(jax.device_get(state.ema["net"]))
    return history


def test_a_delayed_average_is_of_the_network_before_each_step():
    """As in PGGAN, where the average is updated between the updates of the discriminator and of the generator."""
    w, u = 1.0, 0.0
    for t, average in enumerate(averages_after_each_step(Average(constant_decay(0.75), delayed=True))):
        w, u = 0.75 * w + 0.25 * (1 - t), 2.0 * t
        np.testing.assert_allclose(average["params"]["w"], [w, w], rtol=1e-6)
        np.testing.assert_allclose(average["spectral"]["u"], u)


def stylegan2_ada_decay(batch, ema_nimg, rampup, cur_nimg):
    """`ema_beta` of the training loop of StyleGAN2-ADA."""
    if rampup is not None:
        ema_nimg = min(ema_nimg, cur_nimg * rampup)
    return 0.5 ** (batch / max(ema_nimg, 1e-8))


def test_parameters_and_running_statistics_agree_with_a_loop_in_numpy():
    w, mean = 1.0, 0.0
    for t, average in enumerate(averages_after_each_step(Average(constant_decay(0.75))), 1):
        w, mean = 0.75 * w + 0.25 * (1 - t), 0.75 * mean + 0.25 * t
        np.testing.assert_allclose(average["params"]["w"], [w, w], rtol=1e-6)
        np.testing.assert_allclose(average["batch_stats"]["mean"], [mean, mean], rtol=1e-6)


def test_a_constant_decay_counts_from_its_start_on_before_which_the_average_is_the_value():
    """As in the code of BigGAN, whose average is pegged to the weights and statistics until then."""
    w, mean = 1.0, 0.0
    for t, average in enumerate(averages_after_each_step(Average(constant_decay(0.75, start=3)))):
        decay = 0.75 if t >= 3 else 0.0
        w, mean = decay * w + (1 - decay) * -t, decay * mean + (1 - decay) * (t + 1)
        assert_equal = np.testing.assert_allclose if decay else np.testing.assert_array_equal
        assert_equal(average["params"]["w"], [w, w])
        assert_equal(average["batch_stats"]["mean"], [mean, mean])
    with pytest.raises(InputError, match="start must be at least 0, got -1"):
        constant_decay(0.5, start=-1)


def test_integers_and_other_collections_are_copied():
    for t, average in enumerate(averages_after_each_step(Average(constant_decay(0.75))), 1):
        assert average.keys() == {"params", "batch_stats", "spectral"}
        assert average["batch_stats"]["count"] == 10 * t
        assert average["batch_stats"]["count"].dtype == np.int32
        np.testing.assert_array_equal(average["spectral"]["u"], [2 * t] * 3)


@pytest.mark.parametrize(
    ("collections", "mean", "u"), [((), 12, 24), (("spectral",), 12, 22), (("batch_stats", "spectral"), 11, 22)]
)
def test_the_averaged_collections_can_be_chosen(collections, mean, u):
    """An average of t with the decay 1/2 tends to t - 1."""
    average = averages_after_each_step(Average(constant_decay(0.5), collections))[-1]
    np.testing.assert_allclose(average["batch_stats"]["mean"], [mean] * 2, atol=1e-2)
    np.testing.assert_allclose(average["spectral"]["u"], [u] * 3, atol=2e-2)
    np.testing.assert_allclose(average["params"]["w"], [1 - 11] * 2, atol=1e-2)


@pytest.mark.parametrize(
    ("half_life", "ramp_up", "batch_size"), [(10_000, 0.05, 64), (10_000, None, 64), (500, 0.05, 4), (20_000, 1.0, 32)]
)
def test_half_life_decay_matches_stylegan2_ada(half_life, ramp_up, batch_size):
    decay = jax.jit(half_life_decay(half_life, ramp_up=ramp_up), static_argnums=1)
    for step in (0, 1, 2, 30, 3_000, 300_000):
        expected = stylegan2_ada_decay(batch_size, half_life, ramp_up, step * batch_size)
        assert float(decay(jnp.int32(step), batch_size)) == pytest.approx(expected, rel=1e-5, abs=1e-12)


def test_half_life_decay_halves_the_weight_of_a_step_after_the_half_life():
    """10,000 examples in batches of 100 are 100 steps."""
    decay = half_life_decay(10_000)
    assert np.prod([float(decay(jnp.int32(step), 100)) for step in range(100)]) == pytest.approx(0.5, rel=1e-4)


@pytest.mark.parametrize("updates", [1, 3])
def test_the_average_of_a_game_with_half_life_agrees_with_a_loop_in_numpy(updates):
    """The number of examples per step is the batch size of one update, also with several updates per step."""
    average = Average(half_life_decay(40, ramp_up=0.5, start=3))
    w = 1.0
    for t, found in enumerate(averages_after_each_step(average, examples=5, updates=updates)):
        decay = 0.0 if t < 3 else stylegan2_ada_decay(5, 40, 0.5, 5 * t)
        w = decay * w + (1 - decay) * (1 - updates * (t + 1))
        np.testing.assert_allclose(found["params"]["w"], [w, w], rtol=1e-5)
        if t < 3:
            np.testing.assert_array_equal(found["params"]["w"], [1 - updates * (t + 1)] * 2)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float32])
@pytest.mark.parametrize("decay", [constant_decay(0.5), half_life_decay(8.0)], ids=["constant", "half life"])
def test_averages_keep_the_type_of_the_values(decay, dtype):
    state = State(jnp.int32(5), {"net": jnp.full(2, 3, dtype)}, {}, {}, {"net": {"params": jnp.full(2, 5, dtype)}})
    average = jax.jit(lambda state: updated_average(state, "net", Average(decay), 8))(state)
    assert average["params"].dtype == dtype
    np.testing.assert_array_equal(np.float32(average["params"]), [4.0, 4.0])


def test_with_averages_replaces_parameters_and_statistics_together():
    average = Average(constant_decay(0.5))
    init, step = changing_game(average)
    batch = {"point": jnp.zeros((5, 1))}
    state, _ = jax.jit(step)(jax.random.key(0), init(jax.random.key(0), batch), batch)
    averaged = with_averages(state)
    np.testing.assert_array_equal(state.params["net"]["w"], [0.0, 0.0])
    np.testing.assert_array_equal(averaged.params["net"]["w"], [0.5, 0.5])
    np.testing.assert_array_equal(state.stats["net"]["batch_stats"]["mean"], [1.0, 1.0])
    np.testing.assert_array_equal(averaged.stats["net"]["batch_stats"]["mean"], [0.5, 0.5])
    assert averaged.stats["net"]["batch_stats"]["count"] == 10
    assert jax.tree.structure(averaged) == jax.tree.structure(state)
    assert averaged.params["other"] is state.params["other"]
    assert (averaged.step, averaged.opt, averaged.ema) == (state.step, state.opt, state.ema)


def test_with_averages_changes_nothing_without_averages():
    state = State(jnp.int32(0), {"net": jnp.ones(2)}, {"net": {"batch_stats": jnp.ones(2)}}, {}, {})
    assert with_averages(state) == state


def test_an_average_without_statistics_leaves_no_empty_statistics():
    state = State(jnp.int32(0), {"net": 1.0}, {}, {}, {"net": {"params": 2.0}})
    assert with_averages(state).stats == {}
    assert with_averages(state).params == {"net": 2.0}


def test_the_average_before_the_first_step_is_the_initial_network():
    init, _ = changing_game(Average(constant_decay(0.5)))
    state = init(jax.random.key(0), {})
    jax.tree.map(np.testing.assert_array_equal, state.ema["net"], {"params": state.params["net"], **state.stats["net"]})
    # A compiled step to which the state is donated needs separate buffers.
    assert state.ema["net"]["params"]["w"] is not state.params["net"]["w"]
    assert state.ema["net"]["spectral"]["u"] is not state.stats["net"]["spectral"]["u"]


@pytest.mark.parametrize("decay", [-0.1, 1.0, 1.5, float("nan")])
def test_a_constant_decay_outside_its_range_is_refused(decay):
    with pytest.raises(InputError, match=f"must be from 0 to below 1, got {decay}"):
        constant_decay(decay)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"half_life": 0}, "half_life and ramp_up must be positive, got 0 and None"),
        ({"half_life": float("nan")}, "half_life and ramp_up must be positive, got nan and None"),
        ({"half_life": 10, "ramp_up": 0.0}, "half_life and ramp_up must be positive, got 10 and 0.0"),
        ({"half_life": 10, "start": -1}, "start must be at least 0, got -1"),
    ],
)
def test_impossible_half_lives_are_refused(choices, message):
    with pytest.raises(InputError, match=message):
        half_life_decay(**choices)


def test_statistics_are_not_recomputed_without_a_key():
    networks = {"params": jnp.ones(1), "batch_stats": jnp.ones(1)}
    state = State(jnp.int32(0), {"g": jnp.ones(1)}, {"g": {"batch_stats": jnp.ones(1)}}, {}, {"g": networks})
    average = Average(constant_decay(0.5), recompute=lambda key, variables, batch: {"batch_stats": jnp.zeros(1)})
    with pytest.raises(InputError, match="key must be given to an average whose statistics are recomputed, got None"):
        updated_average(state, "g", average, 4)
