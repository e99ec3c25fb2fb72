"""Sides take turns, and play what they are asked for."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sides import Fit, Products, SingleSteps
from timing import Times, interleaved

from jaxgen.errors import DivergenceError
from jaxgen.game import Model, Player, game
from jaxgen.training.loop import fit
from jaxgen.training.seeds import seed_keys

DATA = {"x": np.arange(20, dtype=np.float32)}


class Noted:
    def __init__(self, name, turns, notes):
        self.turns, self.play = turns, lambda: notes.append(name)


def model_with(loss):
    player = Player("player", ("w",), loss, optax.sgd(0.01))
    init, step = game(lambda key, batch: {"w": {"params": jnp.float32(0.0)}}, [player])
    return Model(init, step, sample=None, players=(player,))


def mean_square(key, params, state, batch):
    return jnp.mean((batch["x"] - params["w"]) ** 2), ({}, {})


def test_sides_take_turns_and_the_first_repeat_does_not_count():
    notes = []
    sides = {name: Noted(name, turns, notes) for name, turns in (("a", 1), ("b", 5))}
    times = interleaved(sides, repeats=3)
    assert notes == ["a", "b"] * 4
    assert [len(side.milliseconds) for side in times.values()] == [3, 3]


def test_times_are_summarized_by_quartiles():
    """Of 1 to 7, the quartiles are 2, 4 and 6."""
    times = Times([7.0, 1.0, 3.0, 2.0, 5.0, 6.0, 4.0])
    assert (times.median, times.spread) == (4.0, 0.5)


@pytest.mark.parametrize("key", [jax.random.key(0), seed_keys(0, 3)], ids=["one", "three"])
def test_fit_plays_chunk_by_chunk_in_turn_with_others(key, monkeypatch):
    """Two of them, interleaved, each stop when they have played what was asked for, and end where `fit` ends."""
    model, ended, steps = model_with(mean_square), [], []

    def noted(*args, callbacks, **options):
        ended.append(fit(*args, callbacks=[lambda chunk: steps.append(chunk.step), *callbacks], **options))
        return ended[-1]

    monkeypatch.setattr("sides.fit", noted)
    sides = [Fit(model, DATA, key=key, batch_size=4, turns=turns, chunks=3) for turns in (2, 5)]
    for chunk in range(1, 4):
        for side in sides:
            side.play()
            assert steps[-1] == side.turns * chunk
    assert all(side.compile_seconds > 0 for side in sides)
    alone = fit(model, DATA, key=key, steps=15, batch_size=4)
    assert sorted(int(end.state.step.ravel()[0]) for end in ended) == [6, 15]
    longer = max(ended, key=lambda end: int(end.state.step.ravel()[0]))
    np.testing.assert_array_equal(longer.state.params["w"], alone.state.params["w"])


def test_what_goes_wrong_in_fit_is_raised_where_it_is_asked_to_play():
    def infinite(key, params, state, batch):
        return jnp.inf * params["w"], ({}, {})

    side = Fit(model_with(infinite), DATA, key=jax.random.key(0), batch_size=4, turns=2, chunks=3)
    with pytest.raises(DivergenceError, match="not finite at step 1"):
        side.play()
    with pytest.raises(DivergenceError, match="not finite at step 1"):
        side.play()


def test_single_steps_learn_from_the_data():
    """The mean of the data is what the weight goes to."""
    side = SingleSteps(model_with(mean_square), DATA, batch_size=20, turns=300)
    side.play()
    assert side._state.step == 300
    assert float(side._state.params["w"]) == pytest.approx(9.5 * (1 - 0.98**300), rel=1e-4)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_products_count_multiplications_and_additions(precision):
    side = Products(size=3, turns=2, precision=precision)
    side.play()
    assert side.flop == 54
    assert side._factors.dtype == side._product(*side._factors).dtype == precision
