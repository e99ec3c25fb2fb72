"""Checkpoints of a run: at which steps, and what is stored beside the state."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.callbacks.checkpoints import (
    Checkpoints,
    diverged_from_json,
    diverged_to_json,
    unfinished_from_json,
    unfinished_to_json,
)
from jaxgen.errors import InputError
from jaxgen.game import State
from jaxgen.training.checkpoint import restore, steps
from jaxgen.training.chunk import Chunk, Divergence, Unfinished
from jaxgen.training.loop import Fit, Interrupted


@pytest.fixture
def chunk_at():
    """`chunk_at(step)`: a chunk of 10 steps of two seeds, whose state holds the step."""

    def chunk(step, *, length=10, diverged=None):
        state = State(jnp.int32(step), {"net": jnp.full((2, 3), float(step))}, {}, {}, {})
        return Chunk(step, state, {"net/loss": np.zeros((2, length))}, 0.1, diverged or {})

    return chunk


def shapes(chunk):
    return jax.eval_shape(lambda: chunk.state)


@pytest.mark.parametrize(
    ("every", "ends", "expected"),
    [
        (20, (10, 20, 30, 40, 45), [20, 40, 45]),
        (15, (10, 20, 30, 40, 45), [20, 30, 45]),
        (100, (10, 20, 45), [45]),
        (45, (10, 20, 45), [45]),
    ],
)
def test_the_state_is_saved_where_a_chunk_reaches_a_multiple_and_at_the_last_step(
    every, ends, expected, chunk_at, tmp_path
):
    """Only the newest three are kept, so the saved steps are recorded as they appear."""
    callback, saved = Checkpoints(tmp_path, every=every, last=45), set()
    for before, end in zip((0, *ends), ends, strict=False):
        assert callback(chunk_at(end, length=end - before)) is None
        saved |= set(steps(tmp_path))
    assert sorted(saved) == expected
    assert restore(tmp_path, shapes(chunk_at(45))).state.params["net"].tolist() == [[45.0] * 3] * 2


def test_divergences_and_other_values_are_stored_with_the_state(chunk_at, tmp_path):
    seconds, diverged = [1.0], {1: Divergence(7, "net", "r1 gradient_norm")}
    callback = Checkpoints(tmp_path, every=10, last=20, meta=lambda: {"seconds": seconds[0]})
    for step, time in ((10, 2.5), (20, 4.0)):
        seconds[0] = time
        callback(chunk_at(step, diverged=diverged))
        restored = restore(tmp_path, shapes(chunk_at(step)))
        assert restored.meta["seconds"] == time
        assert diverged_from_json(restored.meta) == diverged


def test_divergences_survive_json():
    diverged = {0: Divergence(3, "generator", "loss"), 12: Divergence(4, "critic", "r1 loss")}
    assert diverged_from_json({"diverged": diverged_to_json(diverged), "seconds": 1.0}) == diverged
    assert diverged_from_json({}) == diverged_from_json({"diverged": diverged_to_json({})}) == {}


@pytest.mark.parametrize(
    "stored",
    [
        [1],
        {"0": {"stepp": 1}},
        {"x": {"step": 1, "player": "a", "quantity": "b"}},
        {"-1": {"step": 1, "player": "a", "quantity": "b"}},
        {"0": {"step": "1", "player": "a", "quantity": "b"}},
        {"0": {"step": True, "player": "a", "quantity": "b"}},
        {"0": {"step": 1, "player": None, "quantity": "b"}},
        {"0": 3},
        3,
    ],
)
def test_edited_divergence_raises_input_error(stored):
    with pytest.raises(InputError, match="'diverged' of a checkpoint must map numbers of seeds to step, player and"):
        diverged_from_json({"diverged": stored})


METRICS = {
    "net/loss": np.array([[1.5, np.nan, -np.inf], [-0.0, 1e-45, 3.4e38]], np.float32),
    "net/half": np.asarray(jnp.array([[1.0, 2.5, jnp.nan]] * 2, jnp.bfloat16)),
    "net/count": np.array([[1, 2, 3]] * 2, np.int32),
}


def test_unfinished_steps_survive_json_bit_by_bit():
    stored = json.loads(json.dumps({"unfinished": unfinished_to_json(Unfinished(METRICS, 0.1))}))
    found = unfinished_from_json(stored)
    assert found.seconds == 0.1
    assert found.metrics.keys() == METRICS.keys()
    for name, values in METRICS.items():
        assert found.metrics[name].dtype == values.dtype
        assert found.metrics[name].tobytes() == values.tobytes()
    assert unfinished_from_json({}).steps == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda stored: 3,
        lambda stored: stored | {"seconds": "x"},
        lambda stored: stored | {"seconds": float("nan")},
        lambda stored: {"metrics": stored["metrics"]},
        lambda stored: stored | {"metrics": [1]},
        lambda stored: stored | {"metrics": {"a": stored["metrics"]["net/loss"] | {"dtype": "object"}}},
        lambda stored: stored | {"metrics": {"a": stored["metrics"]["net/loss"] | {"dtype": "nothing"}}},
        lambda stored: stored | {"metrics": {"a": stored["metrics"]["net/loss"] | {"shape": [10**9, 3]}}},
        lambda stored: stored | {"metrics": {"a": stored["metrics"]["net/loss"] | {"base64": "?"}}},
        lambda stored: (
            stored | {"metrics": {"a": {**stored["metrics"]["net/loss"], "shape": [3, 2]}, **stored["metrics"]}}
        ),
    ],
)
def test_edited_unfinished_steps_raise_input_error(change):
    stored = change(unfinished_to_json(Unfinished(METRICS, 0.1)))
    with pytest.raises(InputError, match="'unfinished' of a checkpoint must hold the seconds and the metrics"):
        unfinished_from_json({"unfinished": stored})


def test_an_interrupted_training_is_saved_once_with_its_unfinished_steps(chunk_at, tmp_path):
    callback = Checkpoints(tmp_path, every=10, last=100, first_step=5)

    def interrupted(step):
        state, diverged = chunk_at(step).state, {1: Divergence(7, "net", "loss")}
        return Interrupted(step, Fit(state, diverged, 0.0, {}), Unfinished({"net/loss": np.ones((2, 3))}, 0.5))

    callback.interrupted(interrupted(5))  # Of which there is a checkpoint, from which the run was resumed.
    assert steps(tmp_path) == []
    callback(chunk_at(10))
    callback.interrupted(interrupted(10))
    assert "unfinished" not in restore(tmp_path, shapes(chunk_at(10))).meta
    callback.interrupted(interrupted(13))
    meta = restore(tmp_path, shapes(chunk_at(13))).meta
    assert diverged_from_json(meta) == {1: Divergence(7, "net", "loss")}
    np.testing.assert_array_equal(unfinished_from_json(meta).metrics["net/loss"], np.ones((2, 3)))
