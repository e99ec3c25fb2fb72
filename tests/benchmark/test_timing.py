"""Sides alternate, and each runs the steps that are requested."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen.benchmark.sides import Fit, Products, SingleSteps
from jaxgen.benchmark.timing import Times, interleaved
from jaxgen.errors import DivergenceError
from jaxgen.game import Model, Player, game
from jaxgen.training.loop import fit
from jaxgen.training.seeds import seed_keys

DATA = {"x": np.arange(20, dtype=np.float32)}


class Recorded:
    def __init__(self, name, steps, calls):
        self.steps, self.run = steps, lambda: calls.append(name)


def model_with(loss):
    player = Player("player", ("w",), loss, optax.sgd(0.01))
    init, step = game(lambda key, batch: {"w": {"params": jnp.float32(0.0)}}, [player])
    return Model(init, step, players=(player,))


def mean_square(key, params, state, batch):
    return jnp.mean((batch["x"] - params["w"]) ** 2), ({}, {})


def test_sides_alternate_and_the_first_repeat_is_not_timed():
    calls = []
    sides = {name: Recorded(name, steps, calls) for name, steps in (("a", 1), ("b", 5))}
    times = interleaved(sides, repeats=3)
    assert calls == ["a", "b"] * 4
    assert [len(side.milliseconds) for side in times.values()] == [3, 3]


def test_median_and_spread_are_those_of_quartiles():
    """The quartiles of 1 to 7 are 2, 4 and 6."""
    times = Times([7.0, 1.0, 3.0, 2.0, 5.0, 6.0, 4.0])
    assert (times.median, times.spread) == (4.0, 0.5)


@pytest.mark.parametrize("key", [jax.random.key(0), seed_keys(0, 3)], ids=["one", "three"])
def test_interleaved_fits_run_one_chunk_per_call_and_end_like_fit(key, monkeypatch):
    """Each of two sides stops after every requested chunk, and the final state is that of an uninterrupted `fit`."""
    model, ended, steps = model_with(mean_square), [], []

    def recorded(*args, callbacks, **options):
        ended.append(fit(*args, callbacks=[lambda chunk: steps.append(chunk.step), *callbacks], **options))
        return ended[-1]

    monkeypatch.setattr("jaxgen.benchmark.sides.fit", recorded)
    sides = [Fit(model, DATA, key=key, batch_size=4, steps=chunk, chunks=3) for chunk in (2, 5)]
    for chunks in range(1, 4):
        for side in sides:
            side.run()
            assert steps[-1] == side.steps * chunks
    assert all(side.compile_seconds > 0 for side in sides)
    uninterrupted = fit(model, DATA, key=key, steps=15, batch_size=4)
    assert sorted(int(end.state.step.ravel()[0]) for end in ended) == [6, 15]
    longer = max(ended, key=lambda end: int(end.state.step.ravel()[0]))
    np.testing.assert_array_equal(longer.state.params["w"], uninterrupted.state.params["w"])


def test_an_error_in_fit_is_raised_by_every_call_of_run():
    def infinite(key, params, state, batch):
        return jnp.inf * params["w"], ({}, {})

    side = Fit(model_with(infinite), DATA, key=jax.random.key(0), batch_size=4, steps=2, chunks=3)
    with pytest.raises(DivergenceError, match="not finite at step 1"):
        side.run()
    with pytest.raises(DivergenceError, match="not finite at step 1"):
        side.run()


def test_single_steps_train_on_the_data():
    """The weight converges to the mean of the data."""
    side = SingleSteps(model_with(mean_square), DATA, batch_size=20, steps=300)
    side.run()
    assert side._state.step == 300
    assert float(side._state.params["w"]) == pytest.approx(9.5 * (1 - 0.98**300), rel=1e-4)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_flop_of_a_product_are_multiplications_and_additions(precision):
    side = Products(size=3, steps=2, precision=precision)
    side.run()
    assert side.flop == 54
    assert side._factors.dtype == side._product(*side._factors).dtype == precision
