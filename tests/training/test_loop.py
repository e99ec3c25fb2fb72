"""The loop against turns played by hand, one at a time, and against itself: chunks, pauses and other runs."""

import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen.data import Stream
from jaxgen.data.streaming import ArraySource
from jaxgen.errors import DivergenceError, InputError
from jaxgen.game import Model, Player, State, game
from jaxgen.training.loop import Chunk, Divergence, check_batch_size, find_divergence, fit
from jaxgen.training.seeds import seed_keys

BATCH = 16
STEPS = 23


class Seen(NamedTuple):
    """What the hooks see of a training."""

    state: State
    chunks: list[Chunk]
    copies: list[State]
    compilations: list[int]


@pytest.fixture(scope="module")
def train(duel, points):
    """The duel, trained under the eyes of a hook and of a listener that counts what is compiled."""

    def run(steps=STEPS, chunk=7, **choices: Any) -> Seen:
        compiled: list[str] = []
        seen = Seen(None, [], [], [])

        def listen(event, seconds, **_):
            if "backend_compile" in event:
                compiled.append(event)

        def hook(chunk):
            seen.chunks.append(chunk)
            seen.copies.append(jax.tree.map(np.array, chunk.state))
            seen.compilations.append(len(compiled))

        jax.monitoring.register_event_duration_secs_listener(listen)
        try:
            result = fit(
                duel(),
                points,
                key=jax.random.key(3),
                steps=steps,
                batch_size=BATCH,
                chunk=chunk,
                callbacks=[hook],
                **choices,
            )
        finally:
            jax.monitoring.unregister_event_duration_listener(listen)
        return seen._replace(state=result.state)

    return run


@pytest.fixture(scope="module")
def whole(train):
    return train()


def assert_same_bits(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)


def assert_near(a, b, rtol=1e-4, atol=1e-5):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=rtol, atol=atol)


def test_a_training_is_turns_played_one_by_one(whole, by_hand, duel, points):
    expected = by_hand(duel(), points, jax.random.key(3), STEPS, BATCH)
    assert [chunk.step for chunk in whole.chunks] == [7, 14, 21, 23]
    assert_near(whole.state, expected[-1][0])
    for chunk, state in zip(whole.chunks, whole.copies, strict=True):
        assert_near(state, expected[chunk.step - 1][0])
    assert whole.chunks[0].metrics.keys() == expected[0][1].keys()
    for name in expected[0][1]:
        values = np.concatenate([chunk.metrics[name] for chunk in whole.chunks])
        np.testing.assert_allclose(values, [metrics[name] for _, metrics in expected], rtol=1e-4, atol=1e-5)


def test_the_length_of_chunks_changes_no_bit(whole, train):
    assert_same_bits(train(chunk=50).state, whole.state)


def test_a_pause_between_chunks_changes_no_bit(whole, train):
    given = jax.tree.map(jnp.asarray, whole.copies[1])
    resumed = train(state=given, first_step=14)
    assert_same_bits(resumed.state, whole.state)
    for chunk, expected in zip(resumed.chunks, whole.chunks[2:], strict=True):
        assert chunk.step == expected.step
        assert_same_bits(chunk.metrics, expected.metrics)
    # The caller's state has survived, although the loop gives buffers away.
    assert_same_bits(given, whole.copies[1])


def test_a_pause_within_a_chunk_changes_no_bit(whole, train):
    first = train(steps=10)
    assert [chunk.step for chunk in first.chunks] == [7, 10]
    resumed = train(state=first.state, first_step=10)
    assert [chunk.step for chunk in resumed.chunks] == [14, 21, 23]
    assert_same_bits(resumed.state, whole.state)
    assert_same_bits(resumed.chunks[1].metrics, whole.chunks[2].metrics)


def test_nothing_is_left_to_do(whole, train):
    resumed = train(state=whole.state, first_step=STEPS)
    assert resumed.chunks == []
    assert_same_bits(resumed.state, whole.state)


def test_the_buffers_of_a_state_are_given_to_the_next(whole):
    for chunk in whole.chunks[:-1]:
        assert all(leaf.is_deleted() for leaf in jax.tree.leaves(chunk.state))
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(whole.state))


def test_nothing_is_compiled_after_the_first_chunk(whole):
    assert whole.compilations[0] == whole.compilations[-1] > 0


def test_the_time_of_the_compiler_is_told_once_before_the_first_chunk(duel, points):
    told = []
    arguments = {"key": jax.random.key(3), "batch_size": BATCH, "chunk": 7, "when_compiled": told.append}
    result = fit(duel(), points, steps=10, callbacks=[lambda chunk: told.append(chunk.step)], **arguments)
    assert told == [result.compile_seconds, 7, 10]
    assert fit(duel(), points, steps=10, first_step=10, state=result.state, **arguments).compile_seconds == 0
    assert len(told) == 3


def blow_up(rate_of_second=0.0, start=lambda key: 1.0):
    """Two players: the first rolls down x^2, with y in its sight; the second climbs y^4 / 4, ever faster."""

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


def first_not_finite(history):
    """Step, counted from 1, player and quantity, found by looking after every move."""
    for t, (_, metrics) in enumerate(history):
        for player, quantity in itertools.product(("first", "second"), ("loss", "gradient_norm")):
            if not np.isfinite(metrics[f"{player}/{quantity}"]):
                return Divergence(t + 1, player, quantity)
    return None


class TestDivergence:
    def test_the_first_step_and_the_player_are_named(self, by_hand, points):
        model, seen = blow_up(0.3), []
        expected = first_not_finite(by_hand(model, points, jax.random.key(0), 30, BATCH))
        assert expected.player == "second"
        assert 5 < expected.step < 25
        with pytest.raises(DivergenceError) as caught:
            fit(
                model, points, key=jax.random.key(0), steps=100, batch_size=BATCH, chunk=expected.step - 1,
                callbacks=[lambda chunk: seen.append(chunk.step)],
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

    def test_only_the_runs_that_diverge_are_left_out(self, by_hand, points):
        # y starts between 0 and 1 and moves by 0.3 y^3: whether it escapes within 30 turns depends on where it starts.
        model = blow_up(0.3, start=jax.random.uniform)
        alone = [by_hand(model, points, jax.random.key(5 + run), 30, BATCH) for run in range(8)]
        expected = {run: where for run in range(8) if (where := first_not_finite(alone[run])) is not None}
        assert 0 < len(expected) < 8
        seen = []
        result = fit(
            model, points, key=seed_keys(5, 8), steps=30, batch_size=BATCH, chunk=7,
            callbacks=[lambda chunk: seen.append((chunk.step, dict(chunk.diverged), chunk.newly_diverged))],
        )  # fmt: skip
        assert result.diverged == expected
        assert [step for step, _, _ in seen] == [7, 14, 21, 28, 30]
        told = {}
        for step, diverged, newly in seen:
            assert diverged == {run: where for run, where in expected.items() if where.step <= step}
            assert not newly.keys() & told.keys()
            told |= newly
            assert told == diverged
        for run in set(range(8)) - set(expected):
            assert_near(jax.tree.map(lambda x, run=run: x[run], result.state), alone[run][-1][0], rtol=1e-6)

    def test_what_had_diverged_before_a_pause_stays_so(self, points):
        before, newly = {1: Divergence(2, "first", "loss"), 2: Divergence(4, "second", "loss")}, []
        result = fit(
            blow_up(), points, key=seed_keys(0, 3), steps=8, batch_size=BATCH, chunk=2, first_step=4, diverged=before,
            callbacks=[lambda chunk: newly.append(chunk.newly_diverged)],
        )  # fmt: skip
        assert result.diverged == before
        assert newly == [{}, {}]

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


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"chunk": 0}, "chunk must be at least 1, got 0"),
        ({"chunk": -7}, "chunk must be at least 1, got -7"),
        ({"steps": -1}, "steps must be at least first_step, which is 0, got -1"),
        ({"steps": 5, "first_step": 6}, "steps must be at least first_step, which is 6, got 5"),
        ({"first_step": -1}, "first_step must be at least 0, got -1"),
        ({"key": seed_keys(0, 0)}, r"of at least one run, got keys of shape \(0,\)"),
        ({"key": seed_keys(0, 4).reshape(2, 2)}, r"of at least one run, got keys of shape \(2, 2\)"),
    ],
)
def test_impossible_numbers_of_turns_and_runs_are_refused(choices, said, duel, points):
    possible = {"key": jax.random.key(0), "steps": 10, "batch_size": BATCH}
    with pytest.raises(InputError, match=said):
        fit(duel(), points, **possible | choices)


class TestBatchSize:
    """What `fit` refuses; `check_batch_size` is the same without the training."""

    @pytest.fixture(params=["fit", "check"])
    def check(self, request):
        if request.param == "check":
            return check_batch_size
        return lambda model, data, size, devices=None: fit(
            model, data, key=jax.random.key(0), steps=1, batch_size=size, devices=devices
        )

    @pytest.mark.parametrize(
        ("size", "said"),
        [
            (101, "2 moves on 101 examples each and the data hold only 200: give a batch size of at most 100"),
            (201, r"batch_size must be at most the number of examples \(200\), got 201"),
            (0, "at least 1, got 0"),
            (-3, "at least 1, got -3"),
        ],
    )
    def test_one_that_the_data_do_not_allow(self, size, said, check, duel, points):
        with pytest.raises(InputError, match=said):
            check(duel(), points, size)

    def test_one_that_the_devices_do_not_allow(self, check, duel, points):
        with pytest.raises(InputError, match="give a multiple of 2"):
            check(duel(), points, 15, jax.local_devices()[:1] * 2)

    def test_a_stream_is_counted_too(self, check, duel, images):
        with pytest.raises(InputError, match="the data hold only 60: give a batch size of at most 30"):
            check(duel(), Stream(ArraySource(images)), 31)

    def test_arrays_of_different_lengths(self, check, duel, points):
        with pytest.raises(InputError, match=r"same number of examples, got {'point': 200, 'label': 199}"):
            check(duel(), points | {"label": np.zeros(199, np.int32)}, 10)

    def test_all_of_the_data(self, duel, points):
        check_batch_size(duel(), points, 100)
        fit(duel(), points, key=jax.random.key(0), steps=0, batch_size=100)
