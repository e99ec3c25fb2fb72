"""The loop against steps that are computed one at a time, and against itself: chunks, pauses and other runs."""

import itertools
import re
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen.data import Stream
from jaxgen.data.streaming import ArraySource
from jaxgen.errors import DivergenceError, InputError
from jaxgen.game import Model, Player, Regularizer, State, game
from jaxgen.models import gan
from jaxgen.training import printed_progress, stage_program
from jaxgen.training.chunk import Chunk, Divergence
from jaxgen.training.loop import Fit, Interrupted, check_batch_size, fit
from jaxgen.training.seeds import seed_keys, select_seed
from jaxgen.training.states import initial_state, run_keys

BATCH = 16
STEPS = 23


class Training(NamedTuple):
    """What a training returns and what a callback receives from it."""

    result: Fit
    state: State
    chunks: list[Chunk]
    copies: list[State]
    compilations: list[int]


@pytest.fixture(scope="module")
def train(point_gan, points):
    """Train the GAN with a callback that records, and a listener that counts compilations."""

    def run(steps=STEPS, chunk=7, key=None, record_into=None, **choices: Any) -> Training:
        compiled: list[str] = []
        training = Training(None, None, [] if record_into is None else record_into, [], [])

        def listen(event, seconds, **_):
            if "backend_compile" in event:
                compiled.append(event)

        def record(chunk):
            training.chunks.append(chunk)
            training.copies.append(jax.tree.map(np.array, chunk.state))
            training.compilations.append(len(compiled))

        jax.monitoring.register_event_duration_secs_listener(listen)
        try:
            result = fit(
                point_gan(),
                points,
                key=jax.random.key(3) if key is None else key,
                steps=steps,
                batch_size=BATCH,
                chunk=chunk,
                callbacks=[record],
                **choices,
            )
        finally:
            jax.monitoring.unregister_event_duration_listener(listen)
        return training._replace(result=result, state=result.state)

    return run


@pytest.fixture(scope="module")
def complete(train):
    return train()


@pytest.fixture(scope="module")
def expected(single_steps, point_gan, points):
    return single_steps(point_gan(), points, jax.random.key(3), STEPS, BATCH)


def assert_same_bits(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)


def assert_same_metrics(a, b):
    """The same values, masked at the same steps."""
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(np.ma.getmaskarray(a[name]), np.ma.getmaskarray(b[name]))
        np.testing.assert_array_equal(np.ma.filled(a[name], 0), np.ma.filled(b[name], 0))


def assert_near(a, b, rtol=1e-4, atol=1e-5):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=rtol, atol=atol)


def test_a_training_agrees_with_steps_computed_one_by_one(complete, expected):
    assert [chunk.step for chunk in complete.chunks] == [7, 14, 21, 23]
    assert_near(complete.state, expected[-1][0])
    for chunk, state in zip(complete.chunks, complete.copies, strict=True):
        assert_near(state, expected[chunk.step - 1][0])
    assert complete.chunks[0].metrics.keys() == expected[0][1].keys()
    for name in expected[0][1]:
        values = np.ma.filled(np.ma.concatenate([chunk.metrics[name] for chunk in complete.chunks]), np.nan)
        np.testing.assert_allclose(values, [metrics[name] for _, metrics in expected], rtol=1e-4, atol=1e-5)


def test_the_length_of_chunks_changes_no_bit(complete, train):
    assert_same_bits(train(chunk=50).state, complete.state)


def test_representations_are_one_line_with_the_sizes_and_without_the_arrays(complete, of_two_seeds):
    sizes = "critic 10, generator 6 parameters"
    assert repr(complete.result).startswith(f"Fit(step 23, {sizes}, history of 23 steps: critic/gradient_norm, ")
    assert repr(of_two_seeds.result).startswith(f"Fit(step 23, 2 seeds, {sizes}, history of 23 steps: ")
    assert re.fullmatch(
        r"Chunk\(step 7, 7 steps, critic -?[\d.]+  critic/size [\d.]+  generator -?[\d.]+\)", repr(complete.chunks[0])
    )
    assert len(repr(complete.result)) < 400


def test_a_pause_between_chunks_changes_no_bit(complete, train):
    given = jax.tree.map(jnp.asarray, complete.copies[1])
    resumed = train(state=given, first_step=14)
    assert_same_bits(resumed.state, complete.state)
    for chunk, expected in zip(resumed.chunks, complete.chunks[2:], strict=True):
        assert chunk.step == expected.step
        assert_same_metrics(chunk.metrics, expected.metrics)
    # The state of the caller is unchanged, although the loop donates buffers.
    assert_same_bits(given, complete.copies[1])


def test_a_pause_within_a_chunk_changes_no_bit(complete, train):
    first = train(steps=10)
    assert [chunk.step for chunk in first.chunks] == [7, 10]
    resumed = train(state=first.state, first_step=10)
    assert [chunk.step for chunk in resumed.chunks] == [14, 21, 23]
    assert_same_bits(resumed.state, complete.state)
    assert_same_metrics(resumed.chunks[1].metrics, complete.chunks[2].metrics)


def test_a_training_without_remaining_steps_returns_its_state(complete, train):
    resumed = train(state=complete.state, first_step=STEPS)
    assert resumed.chunks == []
    assert resumed.result.history == {}
    assert_same_bits(resumed.state, complete.state)


@pytest.fixture(scope="module")
def of_two_seeds(train):
    return train(key=seed_keys(3, 2))


def test_the_buffers_of_a_state_are_donated_to_the_next_chunk(of_two_seeds):
    for chunk in of_two_seeds.chunks[:-1]:
        assert all(leaf.is_deleted() for leaf in jax.tree.leaves(chunk.state))
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(of_two_seeds.state))


def test_nothing_is_compiled_after_the_first_chunk(complete, of_two_seeds):
    for training in (complete, of_two_seeds):
        assert training.compilations[0] == training.compilations[-1] > 0


def test_the_time_of_compilation_is_reported_once_before_the_first_chunk(point_gan, points):
    calls = []
    arguments = {"key": jax.random.key(3), "batch_size": BATCH, "chunk": 7, "on_compiled": calls.append}
    result = fit(point_gan(), points, steps=10, callbacks=[lambda chunk: calls.append(chunk.step)], **arguments)
    assert calls == [result.compile_seconds, 7, 10]
    assert fit(point_gan(), points, steps=10, first_step=10, state=result.state, **arguments).compile_seconds == 0
    assert len(calls) == 3


class TestInterruption:
    """Ctrl-C ends a training between two blocks of steps; nothing is lost."""

    @pytest.mark.parametrize("key", [None, seed_keys(3, 2)], ids=["one", "two"])
    def test_a_training_interrupted_within_chunks_and_continued_is_that_of_one_piece(
        self, key, complete, of_two_seeds, train, interrupt
    ):
        expected = complete if key is None else of_two_seeds
        choices: dict[str, Any] = {"key": key}
        chunks, ends, lengths = [], [], []
        for step in (2, 11, 22, None):
            interrupt([] if step is None else [step])
            try:
                last = train(**choices, record_into=chunks).result
            except KeyboardInterrupt as interrupted:
                result = interrupted.result
                ends.append((interrupted.step, int(result.state.step)))
                lengths.append({values.shape[-1] for values in result.history.values()})
                choices |= {
                    "state": result.state,
                    "first_step": interrupted.step,
                    "diverged": result.diverged,
                    "unfinished": interrupted.unfinished,
                }
        assert ends == [(3, 3), (12, 12), (23, 23)]
        assert lengths == [{3}, {9}, {11}]
        assert choices["unfinished"].steps == 0
        assert_same_bits(last.state, expected.state)
        assert [chunk.step for chunk in chunks] == [chunk.step for chunk in expected.chunks]
        for chunk, other in zip(chunks, expected.chunks, strict=True):
            assert_same_metrics(chunk.metrics, other.metrics)

    def test_the_unfinished_steps_are_the_last_chunk_of_a_training_that_ends_with_them(self, train, interrupt):
        expected = train(steps=10)
        interrupt([9])
        with pytest.raises(Interrupted) as caught:
            train()
        chunks = []
        state = caught.value.result.state
        train(steps=10, state=state, first_step=10, unfinished=caught.value.unfinished, record_into=chunks)
        assert [chunk.step for chunk in chunks] == [10]
        assert_same_metrics(chunks[0].metrics, expected.chunks[-1].metrics)

    def test_a_second_interrupt_is_not_deferred(self, train, interrupt):
        interrupt([8, 9])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(stage_program, "SECONDS_PER_BLOCK", 1e6)
            patch.setattr(stage_program.time, "perf_counter", lambda: 0.0)
            with pytest.raises(KeyboardInterrupt) as caught:
                train(chunk=23)
        assert type(caught.value) is KeyboardInterrupt

    def test_what_diverged_is_reported_and_not_kept_as_a_state(self, points, interrupt):
        interrupt([20])
        with pytest.raises(DivergenceError):
            fit(diverging_game(0.3), points, key=jax.random.key(0), steps=100, batch_size=BATCH)


@pytest.mark.parametrize(("seconds", "longest"), [(10.0, 1), (0.3, 3), (0.01, 23)])
def test_a_block_takes_about_a_second_or_one_step(seconds, longest, complete, train, monkeypatch):
    clock, counts, compile_stage = [0.0], [], stage_program.compile_stage

    def compiled(*arguments):
        program = compile_stage(*arguments)

        def run(keys, state, fetched, first, count):
            counts.append(int(count))
            clock[0] += seconds * count
            return program(keys, state, fetched, first, count)

        return run

    monkeypatch.setattr(stage_program, "compile_stage", compiled)
    monkeypatch.setattr(stage_program.time, "perf_counter", lambda: clock[0])
    training = train(chunk=STEPS)
    assert sum(counts) == STEPS
    # A step is measured first, and the next block is chosen before it has ended.
    assert counts[:2] == [1, 1]
    assert max(counts) == min(longest, STEPS - 2)
    assert_same_bits(training.state, complete.state)


class TestHistory:
    def test_the_history_of_one_key_agrees_with_steps_computed_one_by_one(self, complete, expected):
        history = complete.result.history
        assert history.keys() == expected[0][1].keys()
        for name, values in history.items():
            found = [metrics[name] for _, metrics in expected]
            assert values.shape == (STEPS,)
            np.testing.assert_allclose(values.filled(np.nan), found, rtol=1e-4, atol=1e-5)
            computed = [0, 5, 10, 15, 20] if "/size/" in name else range(STEPS)
            np.testing.assert_array_equal(np.flatnonzero(~np.ma.getmaskarray(values)), computed)
            np.testing.assert_array_equal(np.flatnonzero(np.isfinite(found)), computed)

    def test_the_history_of_several_keys_has_a_row_for_each(self, of_two_seeds, complete):
        history = of_two_seeds.result.history
        assert history.keys() == complete.result.history.keys()
        for name, values in history.items():
            assert values.shape == (2, STEPS)
            np.testing.assert_allclose(values[0], complete.result.history[name], rtol=1e-4, atol=1e-5)
            assert np.abs(values[1] - values[0]).max() > 1e-3

    def test_the_history_of_a_resumed_training_begins_at_its_first_step(self, complete, train):
        resumed = train(state=jax.tree.map(jnp.asarray, complete.copies[0]), first_step=7)
        assert_same_metrics(resumed.result.history, {n: v[7:] for n, v in complete.result.history.items()})

    def test_the_metrics_of_regularizers_are_masked_in_every_chunk(self, complete):
        for chunk in complete.chunks:
            steps = range(chunk.step - chunk.steps, chunk.step)
            for name in ("critic/size/loss", "critic/size/gradient_norm", "critic/size/first"):
                np.testing.assert_array_equal(chunk.metrics[name].mask, [t % 5 != 0 for t in steps])
            assert not np.ma.isMaskedArray(chunk.metrics["critic/loss"])


class TestCallbacks:
    """A game of one scalar, in which compilation takes little time."""

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls):
        def loss(key, params, state, batch):
            return params["x"] ** 2 + batch["point"].mean(), ({}, {})

        players = (Player("x", ("x",), loss, optax.sgd(0.1)),)
        return Model(*game(lambda key, batch: {"x": {"params": jnp.float32(1.0)}}, players), players)

    @pytest.mark.parametrize(("key", "axes"), [(jax.random.key(0), ()), (seed_keys(0, 2), (2,))], ids=["one", "two"])
    def test_later_callbacks_and_the_history_have_the_metrics_that_a_callback_returns(self, key, axes, model, points):
        received = []

        def every_third(chunk):
            return {"fid": np.full((*axes, 1), float(chunk.step))} if chunk.reaches(3) else None

        def of_all_steps(chunk):
            return {"double": 2 * chunk.metrics["x/loss"]}

        result = fit(
            model, points, key=key, steps=7, batch_size=4, chunk=2,
            callbacks=[received.append, every_third, of_all_steps, received.append],
        )  # fmt: skip
        before, after = received[0::2], received[1::2]
        assert [chunk.steps for chunk in after] == [2, 2, 2, 1]
        assert all(chunk.metrics.keys() == {"x/loss", "x/gradient_norm"} for chunk in before)
        assert ["fid" in chunk.metrics for chunk in after] == [False, True, True, False]
        assert after[1].metrics["fid"].shape == (*axes, 1)
        for first, second in zip(before, after, strict=True):
            np.testing.assert_array_equal(second.metrics["double"], 2 * first.metrics["x/loss"])
        assert result.history["fid"].shape == (*axes, 7)
        expected = [None, None, None, 4.0, None, 6.0, None]
        assert result.history["fid"].tolist() == ([expected] * 2 if axes else expected)
        np.testing.assert_array_equal(result.history["double"], 2 * result.history["x/loss"])
        assert not np.ma.getmaskarray(result.history["double"]).any()

    def test_a_callback_of_one_key_receives_a_state_without_a_seed_axis(self, model, points):
        shapes = []
        arguments = {
            "steps": 2,
            "batch_size": 4,
            "callbacks": [lambda chunk: shapes.append(chunk.state.params["x"].shape)],
        }
        assert fit(model, points, key=jax.random.key(0), **arguments).state.params["x"].shape == ()
        assert fit(model, points, key=seed_keys(0, 1), **arguments).state.params["x"].shape == (1,)
        assert shapes == [(), (1,)]

    def test_progress_prints_losses_and_speed_to_stderr(self, model, points, capsys, monkeypatch):
        clock = itertools.count(0, 1.5)
        monkeypatch.setattr(printed_progress.time, "perf_counter", lambda: float(next(clock)))
        fit(model, points, key=jax.random.key(0), steps=10, batch_size=4, chunk=2, progress=True)
        printed = capsys.readouterr()
        assert printed.out == ""
        lines = printed.err.splitlines()
        # A block of one step takes 1.5 s by this clock, and 10 s pass between two lines, except before the last one.
        pattern = r"(\d+)/10  x -?\d\S*  0\.667 step/s  \d+:\d\d left"
        shown = [int(re.fullmatch(pattern, line)[1]) for line in lines]
        assert shown[0] == 2
        assert shown[-1] == 10
        assert len(shown) < 5
        assert lines[-1].endswith("0:00 left")

    def test_nothing_is_printed_without_progress(self, model, points, capsys):
        fit(model, points, key=jax.random.key(0), steps=2, batch_size=4)
        assert capsys.readouterr() == ("", "")

    def test_progress_describes_all_seeds(self, model, points, capsys):
        result = fit(model, points, key=seed_keys(0, 2), steps=4, batch_size=4, chunk=4, progress=True)
        mean = f"{result.history['x/loss'].mean():.4g}"
        assert capsys.readouterr().err.startswith(f"4/4  x {mean}  ")


def diverging_game(rate_of_second=0.0, start=lambda key: 1.0):
    """Two players: the first minimizes x^2, with y in its loss; the second maximizes y^4 / 4, which diverges."""

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
    return Model(*game(init_networks, players), players)


def first_not_finite(history):
    """Step, counted from 1, player and quantity, found by checking every update."""
    for t, (_, metrics) in enumerate(history):
        for player, quantity in itertools.product(("first", "second"), ("loss", "gradient_norm")):
            if not np.isfinite(metrics[f"{player}/{quantity}"]):
                return Divergence(t + 1, player, quantity)
    return None


class TestDivergence:
    def test_the_first_step_and_the_player_are_named(self, single_steps, points):
        model, steps = diverging_game(0.3), []
        expected = first_not_finite(single_steps(model, points, jax.random.key(0), 30, BATCH))
        assert expected.player == "second"
        assert 5 < expected.step < 25
        with pytest.raises(DivergenceError) as caught:
            fit(
                model, points, key=jax.random.key(0), steps=100, batch_size=BATCH, chunk=expected.step - 1,
                callbacks=[lambda chunk: steps.append(chunk.step)],
            )  # fmt: skip
        assert str(caught.value) == str(expected)
        assert f"player 'second' is not finite at step {expected.step}" in str(expected)
        assert steps == [expected.step - 1]

    def test_an_infinite_gradient_of_a_finite_loss_is_a_divergence(self):
        def loss(key, params, state, batch):
            return jnp.sqrt(jnp.abs(params["x"])), ({}, {})

        players = (Player("root", ("x",), loss, optax.sgd(0.5)),)
        model = Model(*game(lambda key, batch: {"x": {"params": jnp.float32(0.0)}}, players), players)
        with pytest.raises(DivergenceError, match="the gradient norm of player 'root' is not finite at step 1"):
            fit(model, {"point": np.zeros((4, 1), np.float32)}, key=jax.random.key(0), steps=3, batch_size=2)

    @pytest.mark.parametrize(("limit", "step"), [(3.5, 5), (4.5, 9)])
    def test_a_regularizer_that_is_not_finite_when_it_is_computed_is_named(self, limit, step, points):
        """x is the number of updates; the logarithm has no value above the limit, and is computed at steps 0, 4, 8."""

        def loss(key, params, state, batch):
            return -params["x"], ({}, {})

        def logarithm(key, params, state, batch):
            return 0.0 * jnp.log(limit - params["x"]), ({}, {})

        terms = (Regularizer("log", logarithm, 4),)
        players = (Player("x", ("x",), loss, optax.sgd(1.0), regularizers=terms),)
        model = Model(*game(lambda key, batch: {"x": {"params": jnp.float32(-1.0)}}, players), players)
        with pytest.raises(DivergenceError, match=f"^the log loss of player 'x' is not finite at step {step}$"):
            fit(model, points, key=jax.random.key(0), steps=20, batch_size=4, chunk=3)

    def test_only_the_seeds_that_diverge_are_left_out(self, single_steps, points):
        # y starts between 0 and 1 and changes by 0.3 y^3: whether it diverges within 30 steps depends on its start.
        model = diverging_game(0.3, start=jax.random.uniform)
        alone = [single_steps(model, points, jax.random.key(5 + seed), 30, BATCH) for seed in range(8)]
        expected = {seed: where for seed in range(8) if (where := first_not_finite(alone[seed])) is not None}
        assert 0 < len(expected) < 8
        chunks = []
        result = fit(
            model, points, key=seed_keys(5, 8), steps=30, batch_size=BATCH, chunk=7,
            callbacks=[lambda chunk: chunks.append((chunk.step, dict(chunk.diverged), chunk.newly_diverged))],
        )  # fmt: skip
        assert result.diverged == expected
        assert [step for step, _, _ in chunks] == [7, 14, 21, 28, 30]
        known = {}
        for step, diverged, newly in chunks:
            assert diverged == {seed: where for seed, where in expected.items() if where.step <= step}
            assert not newly.keys() & known.keys()
            known |= newly
            assert known == diverged
        for seed in set(range(8)) - set(expected):
            assert_near(select_seed(result.state, seed), alone[seed][-1][0], rtol=1e-6)

    def test_seeds_that_diverged_before_a_pause_stay_diverged(self, points):
        before, newly = {1: Divergence(2, "first", "loss"), 2: Divergence(4, "second", "loss")}, []
        model, keys = diverging_game(), seed_keys(0, 3)
        state = initial_state(model, keys, {}).replace(step=jnp.int32(4))
        result = fit(
            model, points, key=keys, steps=8, batch_size=BATCH, chunk=2, state=state, first_step=4, diverged=before,
            callbacks=[lambda chunk: newly.append(chunk.newly_diverged)],
        )  # fmt: skip
        assert result.diverged == before
        assert newly == [{}, {}]

    def test_a_training_ends_when_all_seeds_have_diverged(self, points):
        message = r"every seed diverged: in seed 0 .* at step \d+; in seed 1 .*'second'"
        with pytest.raises(DivergenceError, match=message):
            fit(diverging_game(1.0), points, key=seed_keys(0, 2), steps=60, batch_size=BATCH)


def callees(hlo):
    """Computation -> (text, computations that it always calls, computations that are branches), and the entry."""
    computations, entry = {}, None
    for match in re.finditer(r"^(ENTRY )?%?([\w.\-]+) \(.*?\) -> .*? \{\n(.*?)^\}", hlo, re.MULTILINE | re.DOTALL):
        text = match[3]
        branches = re.findall(r"(?:true_computation|false_computation)=%?([\w.\-]+)", text)
        for listed in re.findall(r"branch_computations=\{([^}]*)\}", text):
            branches += re.findall(r"%?([\w.\-]+)", listed)
        called = re.findall(r"(?:calls|to_apply|body|condition)=%?([\w.\-]+)", text)
        computations[match[2]] = text, called, branches
        entry = match[2] if match[1] else entry
    return computations, entry


def reachable(hlo, *, through_branches):
    computations, entry = callees(hlo)
    found, pending = set(), [entry]
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            _, called, branches = computations[name]
            pending += called + (branches if through_branches else [])
    return "".join(computations[name][0] for name in found)


def test_a_regularizer_of_eight_seeds_is_a_branch_of_the_compiled_program(points, monkeypatch):
    """The compiled program holds the only sine, that of the regularizer, in a branch and not in what always runs."""
    computed, programs, compile_stage = [], [], stage_program.compile_stage

    def recording_compile(*arguments):
        programs.append(compile_stage(*arguments))
        return programs[-1]

    def loss(key, params, state, batch):
        return jnp.mean((batch["point"] @ params["w"]) ** 2), ({}, {})

    def sine_loss(key, params, state, batch):
        jax.debug.callback(lambda _: computed.append(1), params["w"][0])
        return jnp.sum(jnp.sin(batch["point"] @ params["w"])), ({}, {})

    players = (Player("w", ("w",), loss, optax.sgd(0.1), 2, (Regularizer("sine", sine_loss, 4),)),)
    model = Model(*game(lambda key, batch: {"w": {"params": jax.random.normal(key, (2,))}}, players), players)
    monkeypatch.setattr(stage_program, "compile_stage", recording_compile)
    fit(model, points, key=seed_keys(0, 8), steps=10, batch_size=4, chunk=10)
    jax.effects_barrier()
    assert len(computed) == 8 * 3
    (program,) = programs
    hlo = program.as_text()
    assert re.search(r"\b(sine|cosine)\(", reachable(hlo, through_branches=True))
    assert not re.search(r"\b(sine|cosine)\(", reachable(hlo, through_branches=False))
    assert "conditional(" in reachable(hlo, through_branches=False)


def test_the_keys_of_a_run_are_independent():
    keys = run_keys(jax.random.key(5))
    assert keys._fields == ("init", "order", "steps")
    assert len({tuple(jax.random.key_data(key).tolist()) for key in (*keys, jax.random.key(5))}) == 4


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"chunk": 0}, "chunk must be at least 1, got 0"),
        ({"chunk": -7}, "chunk must be at least 1, got -7"),
        ({"steps": -1}, "steps must be at least first_step, which is 0, got -1"),
        ({"steps": 5, "first_step": 6}, "steps must be at least first_step, which is 6, got 5"),
        ({"first_step": -1}, "first_step must be at least 0, got -1"),
        ({"key": seed_keys(0, 0)}, r"of at least one seed, got keys of shape \(0,\)"),
        ({"key": seed_keys(0, 4).reshape(2, 2)}, r"of at least one seed, got keys of shape \(2, 2\)"),
    ],
)
def test_impossible_numbers_of_steps_and_seeds_are_refused(choices, message, point_gan, points):
    possible = {"key": jax.random.key(0), "steps": 10, "batch_size": BATCH}
    with pytest.raises(InputError, match=message):
        fit(point_gan(), points, **possible | choices)


def test_a_first_step_other_than_that_of_the_state_is_refused(complete, point_gan, points):
    """Keys and batches follow `first_step`; regularizers, averages and schedules follow the step of the state."""
    arguments = {"key": jax.random.key(3), "steps": 30, "batch_size": BATCH}
    with pytest.raises(InputError, match="number of steps that the state has completed, 23, got 0"):
        fit(point_gan(), points, state=complete.state, **arguments)
    with pytest.raises(InputError, match="number of steps that the state has completed, 0, got 5"):
        fit(point_gan(), points, first_step=5, **arguments)


def test_a_state_of_another_model_or_number_of_seeds_is_refused(complete, point_gan, points):
    arguments = {"steps": 30, "first_step": 23, "batch_size": BATCH}
    several, of_several = seed_keys(3, 2), jax.tree.map(lambda x: jnp.stack([x, x]), complete.state)
    other = gan.build(gan.Config(hidden=(9,)), points)
    for model, key, state, message in (
        (point_gan(), several, complete.state, r"as many keys, 2, but its .* is \w+ \(.*\), not \w+ \(2,"),
        (point_gan(), jax.random.key(3), of_several.replace(step=23), r"keys, 1, but its .* is \w+ \(1, 2"),
        (other, jax.random.key(3), complete.state, "the same model .* but it has no opt/discriminator"),
        (point_gan(), jax.random.key(3), complete.state.params, "state must be a jaxgen.State, got dict"),
    ):
        with pytest.raises(InputError, match=message):
            fit(model, points, key=key, state=state, **arguments)


class TestBatchSize:
    """What `fit` refuses; `check_batch_size` does the same without training."""

    @pytest.fixture(params=["fit", "check"])
    def check(self, request):
        if request.param == "check":
            return check_batch_size
        return lambda model, data, size, devices=None: fit(
            model, data, key=jax.random.key(0), steps=1, batch_size=size, devices=devices
        )

    @pytest.mark.parametrize(
        ("size", "message"),
        [
            (101, "2 updates with 101 examples each and the data have only 200: give a batch size of at most 100"),
            (201, r"batch_size must be at most the number of examples \(200\), got 201"),
            (0, "at least 1, got 0"),
            (-3, "at least 1, got -3"),
        ],
    )
    def test_a_size_that_the_data_do_not_allow_is_refused(self, size, message, check, point_gan, points):
        with pytest.raises(InputError, match=message):
            check(point_gan(), points, size)

    def test_a_size_that_the_devices_do_not_allow_is_refused(self, check, point_gan, points):
        with pytest.raises(InputError, match="must be a multiple of 2, the number of devices, got 15"):
            check(point_gan(), points, 15, jax.local_devices()[:1] * 2)

    def test_the_examples_of_a_stream_are_counted_too(self, check, point_gan, images):
        with pytest.raises(InputError, match="the data have only 60: give a batch size of at most 30"):
            check(point_gan(), Stream(ArraySource(images)), 31)

    def test_arrays_of_different_lengths_are_refused(self, check, point_gan, points):
        with pytest.raises(InputError, match=r"same number of examples, got {'point': 200, 'label': 199}"):
            check(point_gan(), points | {"label": np.zeros(199, np.int32)}, 10)

    def test_a_batch_may_hold_all_of_the_data(self, point_gan, points):
        check_batch_size(point_gan(), points, 100)
        fit(point_gan(), points, key=jax.random.key(0), steps=0, batch_size=100)
