"""The loop against turns played by hand, one at a time, and against itself: chunks, pauses and other runs."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen.data import batch_indices
from jaxgen.errors import DivergenceError, InputError
from jaxgen.game import Model, Player, game
from jaxgen.training.loop import Divergence, find_divergence, fit, initial_state
from jaxgen.training.seeds import seed_keys

BATCH = 16


def by_hand(model, data, key, steps, batch_size=BATCH):
    """The states and metrics of every turn, without the loop: init key, order key and turn key are a split of `key`."""
    init, order, turns = jax.random.split(key, 3)
    name = next(iter(data))
    example = {name: data[name][:1] * 0}
    state, history = model.init(init, example), []
    step = jax.jit(model.step)
    for t in range(steps):
        indices = batch_indices(order, t, examples=len(data[name]), batch_size=batch_size * model.slices)
        state, metrics = step(jax.random.fold_in(turns, t), state, {n: x[np.asarray(indices)] for n, x in data.items()})
        history.append((state, metrics))
    return history


def assert_same_bits(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)


def assert_near(a, b, rtol=1e-4, atol=1e-5):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=rtol, atol=atol)


def run_of(state, i):
    return jax.tree.map(lambda x: x[i], state)


class TestTurns:
    def test_a_training_is_turns_played_one_by_one(self, duel, points):
        model, seen = duel(optax.sgd(0.1)), []
        result = fit(
            model, points, key=jax.random.key(3), steps=11, batch_size=BATCH, chunk=4,
            hooks=[lambda chunk: seen.append((chunk.step, chunk.metrics, jax.device_get(chunk.state)))],
        )  # fmt: skip
        expected = by_hand(model, points, jax.random.key(3), 11)
        assert_near(result.state, expected[-1][0])
        assert [step for step, _, _ in seen] == [4, 8, 11]
        for step, _, state in seen:
            assert_near(state, expected[step - 1][0])
        for name in ("critic/loss", "critic/gap", "critic/gradient_norm", "generator/loss"):
            values = np.concatenate([metrics[name] for _, metrics, _ in seen])
            np.testing.assert_allclose(values, [metrics[name] for _, metrics in expected], rtol=1e-4, atol=1e-6)

    def test_the_length_of_chunks_changes_no_bit(self, duel, points):
        states = [
            fit(duel(), points, key=jax.random.key(0), steps=23, batch_size=BATCH, chunk=chunk).state
            for chunk in (7, 50, 1)
        ]
        assert_same_bits(states[0], states[1])
        assert_same_bits(states[0], states[2])

    @pytest.mark.parametrize("pause", [14, 10])
    def test_a_pause_changes_no_bit_and_no_later_chunk(self, pause, duel, points):
        def train(steps, ends, **choices):
            hooks = [lambda chunk: ends.append((chunk.step, chunk.metrics["critic/loss"][-1]))]
            common = {"key": jax.random.key(1), "batch_size": BATCH, "chunk": 7, "hooks": hooks}
            return fit(duel(), points, steps=steps, **common, **choices).state

        whole_ends, ends = [], []
        whole = train(23, whole_ends)
        half = train(pause, [])
        assert_same_bits(whole, train(23, ends, state=half, first_step=pause))
        assert ends == [end for end in whole_ends if end[0] > pause]

    def test_nothing_is_left_to_do(self, duel, points):
        state = initial_state(duel(), jax.random.key(0), {"point": points["point"][:1]})
        result = fit(duel(), points, key=jax.random.key(0), steps=5, batch_size=BATCH, state=state, first_step=5)
        assert_same_bits(result.state, state)


class TestBuffers:
    def test_a_state_that_the_caller_holds_survives(self, duel, points):
        state = initial_state(duel(), jax.random.key(0), {"point": points["point"][:1]})
        before = jax.device_get(state)
        fit(duel(), points, key=jax.random.key(0), steps=4, batch_size=BATCH, state=state)
        assert_same_bits(state, before)

    def test_the_state_of_a_chunk_is_given_to_the_next(self, duel, points):
        held = []
        fit(
            duel(), points, key=jax.random.key(0), steps=4, batch_size=BATCH, chunk=2,
            hooks=[lambda chunk: held.append(chunk.state)],
        )  # fmt: skip
        assert all(leaf.is_deleted() for leaf in jax.tree.leaves(held[0]))
        assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(held[1]))


def test_nothing_is_compiled_after_the_first_chunk(duel, points):
    compiled, counts = [], []

    def listen(event, seconds, **_):
        if "backend_compile" in event:
            compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        fit(
            duel(), points, key=jax.random.key(0), steps=23, batch_size=BATCH, chunk=5,
            hooks=[lambda chunk: counts.append(len(compiled))],
        )  # fmt: skip
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert len(counts) == 5
    assert counts[0] == counts[-1] > 0


def blow_up(rate_of_second=0.0, start=lambda key: 1.0):
    """Two players: the first rolls to the bottom of x^2 + y^2 - y^2; the second climbs y^4 / 4, ever faster."""

    def init_networks(key, batch):
        return {"x": {"params": jnp.float32(3.0)}, "y": {"params": jnp.float32(start(key))}}

    def first(key, params, state, batch):
        return params["x"] ** 2 + params["y"] - params["y"], ({}, {})

    def second(key, params, state, batch):
        return -(params["y"] ** 4) / 4, ({}, {})

    players = (
        Player("first", ("x",), first, optax.sgd(0.1)),
        Player("second", ("y",), second, optax.sgd(rate_of_second)),
    )
    return Model(*game(init_networks, players), sample=None, players=players)


def first_not_finite(model, data, key, steps):
    """Step, counted from 1, player and quantity, found by looking after every move."""
    for t, (_, metrics) in enumerate(by_hand(model, data, key, steps)):
        for player, quantity in itertools.product(("first", "second"), ("loss", "gradient_norm")):
            if not np.isfinite(metrics[f"{player}/{quantity}"]):
                return Divergence(t + 1, player, quantity)
    return None


class TestDivergence:
    def test_the_first_step_and_the_player_are_named(self, points):
        model, seen = blow_up(0.3), []
        expected = first_not_finite(model, points, jax.random.key(0), 30)
        assert expected.player == "second"
        assert 5 < expected.step < 25
        with pytest.raises(DivergenceError) as caught:
            fit(
                model, points, key=jax.random.key(0), steps=100, batch_size=BATCH, chunk=expected.step - 1,
                hooks=[lambda chunk: seen.append(chunk.step)],
            )  # fmt: skip
        assert str(caught.value) == str(expected)
        assert f"player 'second' is not finite at step {expected.step}" in str(expected)
        assert seen == [expected.step - 1]

    def test_a_finite_loss_with_an_infinite_gradient(self):
        def loss(key, params, state, batch):
            return jnp.sqrt(jnp.abs(params["x"])), ({}, {})

        players = (Player("root", ("x",), loss, optax.sgd(0.5)),)
        model = Model(*game(lambda key, batch: {"x": {"params": jnp.float32(0.0)}}, players), None, players=players)
        with pytest.raises(DivergenceError, match="the gradient norm of player 'root' is not finite at step 1"):
            fit(model, {"point": np.zeros((4, 1), np.float32)}, key=jax.random.key(0), steps=3, batch_size=2)

    def test_only_the_runs_that_diverge_are_left_out(self, points):
        # y starts between 0 and 1 and moves by 0.3 y^3: whether it escapes within 30 turns depends on where it starts.
        model = blow_up(0.3, start=jax.random.uniform)
        expected = {
            run: where
            for run in range(8)
            if (where := first_not_finite(model, points, jax.random.key(5 + run), 30)) is not None
        }
        assert 0 < len(expected) < 8
        seen = []
        result = fit(
            model, points, key=seed_keys(5, 8), steps=30, batch_size=BATCH, chunk=7,
            hooks=[lambda chunk: seen.append((chunk.step, dict(chunk.diverged)))],
        )  # fmt: skip
        assert result.diverged == expected
        assert seen[-1] == (30, expected)
        for step, diverged in seen:
            assert diverged == {run: where for run, where in expected.items() if where.step <= step}
        for run in set(range(8)) - set(expected):
            alone = fit(model, points, key=jax.random.key(5 + run), steps=30, batch_size=BATCH, chunk=7)
            assert_near(run_of(result.state, run), alone.state, rtol=1e-6)

    def test_what_had_diverged_before_a_pause_stays_so(self, points):
        before = {1: Divergence(2, "first", "loss")}
        result = fit(
            blow_up(), points, key=seed_keys(0, 3), steps=6, batch_size=BATCH, chunk=2, first_step=4, diverged=before
        )
        assert result.diverged == before

    def test_all_runs_diverge(self, points):
        with pytest.raises(DivergenceError, match=r"every run diverged: in run 0 .* at step \d+; in run 1 .*'second'"):
            fit(blow_up(1.0), points, key=seed_keys(0, 2), steps=60, batch_size=BATCH)

    @pytest.mark.parametrize(
        ("metrics", "expected"),
        [
            ({"a/loss": [1, np.nan], "b/loss": [np.inf, np.nan]}, {0: Divergence(41, "b", "loss")}),
            ({"a/loss": [1, np.nan], "b/loss": [1, np.nan]}, {0: Divergence(42, "a", "loss")}),
            ({"a/loss": [1, 1], "a/gradient_norm": [1, -np.inf]}, {0: Divergence(42, "a", "gradient_norm")}),
            ({"a/loss": [1, 1], "a/other": [np.nan, 1]}, {}),
            ({"a/loss": [[1, 1], [1, np.nan]], "b/loss": [[1, 1], [1, 1]]}, {1: Divergence(42, "a", "loss")}),
        ],
    )
    def test_the_first_value_that_is_not_finite(self, metrics, expected):
        assert find_divergence({n: np.array(v) for n, v in metrics.items()}, ["a", "b"], 40) == expected


class TestBatchSize:
    def test_larger_than_the_data(self, duel, points):
        with pytest.raises(InputError, match="needs 202 examples and the data hold 200"):
            fit(duel(), points, key=jax.random.key(0), steps=1, batch_size=101)

    def test_all_of_the_data(self, duel, points):
        result = fit(duel(), points, key=jax.random.key(0), steps=2, batch_size=100)
        assert int(result.state.step) == 2

    def test_zero(self, duel, points):
        with pytest.raises(InputError, match="at least 1"):
            fit(duel(), points, key=jax.random.key(0), steps=1, batch_size=0)
