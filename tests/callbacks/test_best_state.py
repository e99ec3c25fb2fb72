"""Validation metrics, the best checkpoint and patience."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.callbacks.best_state import Best, Found, Validation
from jaxgen.data import load
from jaxgen.errors import InputError
from jaxgen.game import State
from jaxgen.training.checkpoint import restore, steps
from jaxgen.training.chunk import Chunk, Divergence
from tests.small_runs import LinearConfig, build_linear

DIGITS = load("digits", split="test")


def state(step, seeds=2):
    return State(jnp.int32(step), {"net": jnp.full((seeds, 3), step, jnp.float32)}, {}, {}, {})


def chunk(step, values, diverged=()):
    metrics = {"net/loss": np.zeros((len(values), 10)), "validation/mse": np.array(values, np.float32)[:, None]}
    return Chunk(step, state(step, len(values)), metrics, 0.1, {i: Divergence(1, "net", "loss") for i in diverged})


def test_metrics_are_means_over_the_validation_examples_of_each_seed():
    model = build_linear(LinearConfig(), DIGITS)
    w = np.random.default_rng(0).normal(size=(2, 64, 3)).astype(np.float32) / 10
    stacked = State(jnp.int32(20), {"net": jnp.asarray(w)}, {}, {}, {})
    validation = Validation(model, DIGITS, every=20, last=50, seed=0)
    metrics = validation(Chunk(20, stacked, {"net/loss": np.zeros((2, 10))}, 0.1, {}))
    x = DIGITS["image"].reshape(-1, 64) / 255
    expected = [np.mean((x @ u @ u.T - x) ** 2) for u in w.astype(np.float64)]
    np.testing.assert_allclose(metrics["validation/mse"][:, 0], expected, rtol=1e-5)
    assert validation(Chunk(30, stacked, {"net/loss": np.zeros((2, 10))}, 0.1, {})) is None
    assert validation(Chunk(50, stacked, {"net/loss": np.zeros((2, 10))}, 0.1, {})) is not None


def test_the_state_with_the_best_mean_over_finite_seeds_is_kept(tmp_path):
    best = Best(tmp_path, "validation/mse", larger_is_better=False, meta=lambda: {"note": "x"})
    best(chunk(10, [3.0, 5.0]))
    best(chunk(20, [2.0, 4.0]))
    best(chunk(30, [3.1, 0.0], diverged=[1]))  # The mean of both seeds would be better.
    best(chunk(40, [np.nan, np.nan]))
    assert best.found == Found(20, 3.0, 2)
    assert steps(tmp_path) == [20]


def test_a_later_better_state_replaces_the_checkpoint(tmp_path):
    best = Best(tmp_path, "validation/mse", larger_is_better=True)
    for step, value in ((10, 1.0), (20, 3.0), (30, 2.0), (40, 3.0)):
        best(chunk(step, [value]))
    assert steps(tmp_path) == [20]
    restored = restore(tmp_path, jax.eval_shape(lambda: state(0, 1)))
    np.testing.assert_array_equal(restored.state.params["net"], np.full((1, 3), 20))
    assert Found.stored(restored.meta) == Found(20, 3.0)


def test_patience_counts_evaluations_without_improvement(tmp_path):
    best = Best(tmp_path, "validation/mse", larger_is_better=False, patience=2, found=Found(5, 1.0, 1))
    assert not best.is_exhausted
    best(Chunk(7, state(7), {"net/loss": np.zeros((2, 10))}, 0.1, {}))  # Not evaluated.
    assert not best.is_exhausted
    best(chunk(10, [1.5]))
    assert best.is_exhausted
    best(chunk(20, [0.5]))
    assert (best.is_exhausted, best.found) == (False, Found(20, 0.5))


@pytest.mark.parametrize(
    "stored", [5, [], {"step": "x"}, {"step": -1}, {"value": "best"}, {"evaluations": 0.5}, {"steps": 3}]
)
def test_edited_metadata_are_refused(stored):
    with pytest.raises(InputError, match="of a checkpoint must"):
        Found.stored({"best": stored})
    assert Found.stored({}) == Found()
