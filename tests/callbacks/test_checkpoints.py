"""Checkpoints of a run: at which steps, and what is stored beside the state."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.callbacks.checkpoints import Checkpoints, diverged_from_json, diverged_to_json
from jaxgen.errors import InputError
from jaxgen.game import State
from jaxgen.training.checkpoint import restore, steps
from jaxgen.training.chunk import Chunk, Divergence


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
    "stored", [[1], {"0": {"stepp": 1}}, {"x": {"step": 1, "player": "a", "quantity": "b"}}, {"0": 3}]
)
def test_edited_divergence_raises_input_error(stored):
    with pytest.raises(InputError, match="'diverged' of a checkpoint must map numbers of seeds to step, player and"):
        diverged_from_json({"diverged": stored})
