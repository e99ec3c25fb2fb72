"""Trainings in phases against steps computed one by one, and resumed before, at and after the change of the phase."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen.averaging import Average, constant_decay
from jaxgen.data import Stream
from jaxgen.data.streaming import ArraySource
from jaxgen.errors import DivergenceError, InputError
from jaxgen.game import Model, Phase, Player, Regularizer, State, game
from jaxgen.training import batch_feed, checkpoint
from jaxgen.training.loop import check_batch_size, fit
from jaxgen.training.phases import reset_optimizers, stages
from jaxgen.training.seeds import seed_keys, select_seed

CHANGE, STEPS, CHUNK, BATCH = 10, 23, 7, 6
"""The phase changes within the second chunk of 7 steps, which therefore has 3 steps."""
KEYS = {"one": jax.random.key(3), "several": seed_keys(3, 2), "stream": seed_keys(3, 2)}


def networks(key, batch):
    keys = jax.random.split(key)
    return {
        "net": {"params": jax.random.uniform(keys[0], (8, 8, 1)), "count": jnp.int32(0)},
        "scale": {"params": jax.random.uniform(keys[1], (), minval=-1)},
    }


def half_resolution(batch):
    pixels = jnp.asarray(batch["image"], jnp.float32).reshape(-1, 4, 2, 4, 2, 1).mean((2, 4)) / 255
    return {"image": jnp.repeat(jnp.repeat(pixels, 2, axis=1), 2, axis=2)}


def full_resolution(batch):
    return {"image": jnp.asarray(batch["image"], jnp.float32) / 255}


def image_loss(key, params, state, batch):
    noise = 0.1 * jax.random.uniform(key, batch["image"].shape)
    loss = jnp.mean((params["net"] + noise - batch["image"]) ** 2)
    stats = {"net": {"count": state.stats["net"]["count"] + 1}}
    return loss, (stats, {"examples": jnp.int32(len(batch["image"]))})


def scale_loss(key, params, state, batch):
    return jnp.mean((params["scale"] * params["net"] - batch["image"]) ** 2), ({}, {})


def size_loss(key, params, state, batch):
    return jnp.mean(params["net"] ** 2), ({}, {})


def phased(*, steps=(CHANGE, None), batch_size=4, reset=("net",)):
    """A model whose phases differ in updates, regularizers, batch size and resolution; one optimizer is reset."""
    net, scale = (
        Player("net", ("net",), image_loss, optax.adam(1e-2)),
        Player("scale", ("scale",), scale_loss, optax.adam(2e-2)),
    )
    low, high = (net, scale), (net._replace(updates=2, regularizers=(Regularizer("size", size_loss, 3),)), scale)
    averages = {"net": Average(constant_decay(0.9))}
    init, step = game(networks, low, ema=averages)
    step_of_high = game(networks, high, ema=averages)[1]
    phases = (
        Phase("low", steps[0], step, low, preprocess=half_resolution),
        Phase("high", steps[1], step_of_high, high, batch_size, full_resolution, reset),
    )
    return Model(init, step, low, phases=phases)


class Complete:
    """A training without a pause, with chunks of two steps and checkpoints at some of them."""

    def __init__(self, key, data, folder):
        self.key, self.data, self.folder, self.model, self.compilations = key, data, folder, phased(), []
        self.result = fit(
            self.model, data, key=key, steps=STEPS, batch_size=BATCH, chunk=2, callbacks=[self.save],
            on_compiled=self.compilations.append,
        )  # fmt: skip

    def save(self, chunk):
        if chunk.step in (8, CHANGE, 12):
            checkpoint.save(self.folder, chunk.step, chunk.state, keep=10)

    def resume(self, step):
        """The rest of the training from a checkpoint, and the ends of its chunks and its compilations."""
        restored = checkpoint.restore(self.folder, jax.eval_shape(lambda: self.result.state), until=step)
        assert restored.step == int(restored.state.step) == step
        ends, compilations = [], []
        resumed = fit(
            self.model, self.data, key=self.key, steps=STEPS, batch_size=BATCH, chunk=CHUNK, state=restored.state,
            first_step=step, callbacks=[lambda chunk: ends.append(chunk.step)], on_compiled=compilations.append,
        )  # fmt: skip
        return restored.state, resumed, ends, compilations


@pytest.fixture(scope="module")
def complete(images, tmp_path_factory):
    """Trainings by kind, each computed when it is first used."""
    trainings = {}

    def of(kind):
        if kind not in trainings:
            data = Stream(ArraySource(images)) if kind == "stream" else images
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(batch_feed, "BLOCK_BYTES", 2000)  # Blocks of two steps of two seeds.
                trainings[kind] = Complete(KEYS[kind], data, tmp_path_factory.mktemp(kind))
        return trainings[kind]

    return of


def assert_same_bits(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)


def adam_count(state, player):
    return int(np.ravel(state.opt[player][0].count)[0])


def test_phases_agree_with_steps_computed_one_by_one(complete, images, single_steps):
    expected = single_steps(phased(), images, KEYS["one"], STEPS, BATCH)
    result = complete("one").result
    for x, y in zip(jax.tree.leaves(result.state), jax.tree.leaves(expected[-1][0]), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5)
    names = {name for _, metrics in expected for name in metrics}
    assert result.history.keys() == names
    for name in names:
        found = [metrics.get(name, np.nan) for _, metrics in expected]
        np.testing.assert_allclose(np.ma.filled(result.history[name] * 1.0, np.nan), found, rtol=1e-4, atol=1e-5)
    assert result.history["net/examples"].tolist() == [6] * CHANGE + [4] * (STEPS - CHANGE)
    computed = np.flatnonzero(~np.ma.getmaskarray(result.history["net/size/loss"]))
    assert computed.tolist() == [12, 15, 18, 21]
    assert int(result.state.stats["net"]["count"]) == CHANGE + 2 * (STEPS - CHANGE)


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize(
    ("step", "ends", "programs"), [(8, [10, 14, 21, 23], 2), (CHANGE, [14, 21, 23], 1), (12, [14, 21, 23], 1)]
)
def test_a_training_resumed_around_the_change_of_the_phase_has_the_same_bits(step, ends, programs, kind, complete):
    before, resumed, ends_of_chunks, compilations = complete(kind).resume(step)
    assert adam_count(before, "net") == {8: 8, CHANGE: CHANGE, 12: 2 * 2}[step]
    assert_same_bits(resumed.state, complete(kind).result.state)
    assert ends_of_chunks == ends
    assert len(compilations) == programs
    assert sum(compilations) == resumed.compile_seconds
    history = complete(kind).result.history
    assert resumed.history.keys() == history.keys()
    for name, values in resumed.history.items():
        np.testing.assert_array_equal(np.ma.getmaskarray(values), np.ma.getmaskarray(history[name])[..., step:])
        np.testing.assert_array_equal(values.filled(0), history[name].filled(0)[..., step:])


@pytest.mark.parametrize("kind", KEYS)
def test_the_optimizer_is_reset_once(kind, complete):
    """Two updates at every step of the second phase, and one with the regularizer at steps 12, 15, 18 and 21."""
    state = complete(kind).result.state
    assert adam_count(state, "net") == 2 * (STEPS - CHANGE) + 4
    assert adam_count(state, "scale") == STEPS


def test_a_stream_gives_the_same_bits_as_arrays_in_all_phases(complete):
    assert_same_bits(complete("stream").result.state, complete("several").result.state)


def test_each_seed_agrees_with_its_single_run_in_all_phases(complete):
    one = complete("one").result.state
    for x, y in zip(
        jax.tree.leaves(select_seed(complete("several").result.state, 0)), jax.tree.leaves(one), strict=True
    ):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6)


def test_every_phase_is_compiled_once(complete):
    compiled = complete("one")
    assert len(compiled.compilations) == 2
    assert sum(compiled.compilations) == compiled.result.compile_seconds


def test_a_training_that_ends_at_the_change_does_not_begin_the_next_phase(complete, images):
    """It can be continued: its state is that of the checkpoint from which the training is resumed above."""
    first = fit(phased(), images, key=KEYS["one"], steps=CHANGE, batch_size=BATCH)
    assert adam_count(first.state, "net") == CHANGE
    like = jax.eval_shape(lambda: first.state)
    assert_same_bits(first.state, checkpoint.restore(complete("one").folder, like, until=CHANGE).state)
    rest = {"key": KEYS["one"], "batch_size": BATCH, "state": first.state, "first_step": CHANGE}
    assert_same_bits(fit(phased(), images, steps=CHANGE, **rest).state, first.state)


def scalar_phases(*losses, steps=5, reset=()):
    """Phases of a game of one scalar with one loss each."""

    def of(loss):
        players = (Player("x", ("x",), loss, optax.adam(0.1)),)
        init, step = game(lambda key, batch: {"x": {"params": jnp.float32(1.0)}}, players)
        return init, step, players

    init = of(losses[0])[0]
    phases = []
    for number, loss in enumerate(losses):
        _, step, players = of(loss)
        last = number == len(losses) - 1
        phases.append(Phase(f"phase {number}", None if last else steps, step, players, reset=reset if number else ()))
    return Model(init, phases[0].step, (), phases=tuple(phases))


def square_loss(key, params, state, batch):
    return params["x"] ** 2, ({}, {})


def test_only_a_phase_with_a_reset_resets_the_optimizer(images):
    for reset, count in (((), 7), (("x",), 2)):
        model = scalar_phases(square_loss, square_loss, reset=reset)
        result = fit(model, images, key=KEYS["one"], steps=7, batch_size=BATCH)
        assert adam_count(result.state, "x") == count


def test_a_divergence_in_a_later_phase_has_the_step_of_the_training(images):
    def loss(key, params, state, batch):
        return params["x"] ** 2 + jnp.where(state.step == 7, jnp.nan, 1.0), ({}, {})

    model = scalar_phases(square_loss, loss)
    with pytest.raises(DivergenceError, match="the loss of player 'x' is not finite at step 8"):
        fit(model, images, key=KEYS["one"], steps=20, batch_size=BATCH)


class TestStages:
    STEP = staticmethod(lambda key, state, batch: (state, {}))

    def model(self, *steps):
        return Model(None, self.STEP, (), phases=tuple(Phase(f"p{i}", n, self.STEP, ()) for i, n in enumerate(steps)))

    @pytest.mark.parametrize(
        ("phases", "steps", "expected"),
        [
            ((), 15, [(0, 15)]),
            ((10, None), 10**6, [(0, 10), (10, 10**6)]),
            ((10, 5), 15, [(0, 10), (10, 15)]),
            ((10, 5), 14, [(0, 10), (10, 14)]),
            ((10, 5), 10, [(0, 10)]),
            ((10, 5, 3), 7, [(0, 7)]),
            ((10, 5), 0, []),
        ],
    )
    def test_phases_follow_each_other(self, phases, steps, expected):
        found = stages(self.model(*phases), steps)
        assert [(stage.steps.start, stage.steps.stop) for stage in found] == expected
        assert [stage.number for stage in found] == list(range(len(expected)))

    def test_more_steps_than_the_phases_have_are_refused(self, images):
        with pytest.raises(
            InputError, match="phases of this model have 15 steps in all, give at most that many, got 16"
        ):
            stages(self.model(10, 5), 16)
        with pytest.raises(InputError, match="phases of this model have 13 steps in all"):
            fit(phased(steps=(10, 3)), images, key=KEYS["one"], steps=14, batch_size=BATCH)

    def test_phases_without_end_before_the_last_and_empty_phases_are_refused(self):
        with pytest.raises(ValueError, match="only the last phase may have no end, and 'p0' is followed by another"):
            stages(self.model(None, 5), 3)
        with pytest.raises(ValueError, match=r"a phase must have at least 1 step, got \[4, 0\]"):
            stages(self.model(4, 0), 3)


def test_the_batch_size_of_every_phase_is_checked(images):
    check_batch_size(phased(batch_size=30), images, 60)
    with pytest.raises(InputError, match=r"2 updates with 31 examples each and the data have only 60: .* at most 30"):
        check_batch_size(phased(batch_size=31), images, BATCH)
    with pytest.raises(InputError, match=r"at most the number of examples \(60\), got 61"):
        check_batch_size(phased(), images, 61)


def test_a_reset_optimizer_is_that_of_the_current_parameters_and_others_are_kept():
    players = phased().players
    state = State(jnp.int32(5), {"net": jnp.ones(2), "scale": jnp.ones(())}, {}, {}, {})
    own = {player.name: {name: state.params[name] for name in player.trains} for player in players}
    changed = {player.name: jax.tree.map(lambda x: x + 3, player.tx.init(own[player.name])) for player in players}
    found = reset_optimizers(players, ("net",), state.replace(opt=changed))
    assert_same_bits(found.opt["net"], players[0].tx.init({"net": state.params["net"]}))
    assert_same_bits(found.opt["scale"], changed["scale"])
    assert_same_bits(found.replace(opt={}), state)


class TestLaterPhases:
    """What is wrong with a later phase is refused before the first step."""

    def train(self, tx=optax.adam(0.1), *, ema=None, step=None, reset=("x",)):  # noqa: B008
        def init_networks(key, batch):
            return {"x": {"params": jnp.zeros(2)}}

        def loss(key, params, state, batch):
            return jnp.sum((params["x"] - batch["point"].mean(0)) ** 2), ({}, {"mean": batch["point"].mean(0)[0]})

        first, second = (Player("x", ("x",), loss, tx) for tx in (optax.adam(0.1), tx))
        init, first_step = game(init_networks, [first])
        second_step = game(init_networks, [second], ema=ema or {})[1] if step is None else step(first_step)
        later = Phase("later", None, second_step, (second,), reset=reset)
        model = Model(init, first_step, (first,), phases=(Phase("first", 2, first_step, (first,)), later))
        called = []
        data = {"point": np.ones((8, 2), np.float32)}
        try:
            fit(model, data, key=jax.random.key(0), steps=4, batch_size=4, chunk=1, callbacks=[called.append])
        except Exception:
            assert called == []
            raise
        return called

    def test_the_same_optimizer_is_accepted(self):
        assert len(self.train(optax.adam(0.2))) == 4

    @pytest.mark.parametrize(
        ("tx", "difference"),
        [
            (optax.sgd(0.1, momentum=0.9), "but it has no 0/count"),
            (optax.adam(0.1, mu_dtype=jnp.bfloat16), r"but its 0/mu/x is bfloat16 \(2,\), not float32 \(2,\)"),
        ],
        ids=["other structure", "other dtype"],
    )
    def test_an_optimizer_with_a_state_of_another_form_is_refused(self, tx, difference):
        with pytest.raises(InputError, match=f"'x' must have a state of the same form in all phases, {difference}"):
            self.train(tx)

    def test_an_average_that_the_state_does_not_have_is_refused(self):
        with pytest.raises(InputError, match=r"step of phase 'later' must accept the state .*, got KeyError: 'x'"):
            self.train(ema={"x": Average(constant_decay(0.9))})

    def test_a_step_that_changes_the_form_of_the_state_is_refused(self):
        def with_half_precision(step):
            def later(key, state, batch):
                state, metrics = step(key, state, batch)
                return state.replace(params=jax.tree.map(lambda x: x.astype(jnp.bfloat16), state.params)), metrics

            return later

        with pytest.raises(InputError, match=r"a state of the same form, but its params/x is bfloat16 \(2,\)"):
            self.train(step=with_half_precision)

    def test_a_metric_that_is_an_array_is_refused(self):
        def with_array(step):
            def later(key, state, batch):
                state, metrics = step(key, state, batch)
                return state, metrics | {"x/per": jnp.ones(5)}

            return later

        with pytest.raises(InputError, match=r"the metric 'x/per' must be a scalar, got an array of shape \(5,\)"):
            self.train(step=with_array)


def test_a_metric_that_is_an_array_is_refused_without_phases():
    def loss(key, params, state, batch):
        return jnp.sum(params["x"] ** 2), ({}, {"per": params["x"]})

    player = Player("x", ("x",), loss, optax.sgd(0.1))
    model = Model(*game(lambda key, batch: {"x": {"params": jnp.ones(5)}}, [player]), (player,))
    with pytest.raises(InputError, match=r"the metric 'x/per' must be a scalar, got an array of shape \(5,\)"):
        fit(model, {"point": np.ones((8, 2), np.float32)}, key=jax.random.key(0), steps=3, batch_size=4)
