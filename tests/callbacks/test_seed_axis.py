"""Callbacks receive chunks with and without an axis of seeds: those of several keys, and those of a single key."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.callbacks import Checkpoints, ImageGrid, MetricsLog, Progress, SampleMetrics
from jaxgen.callbacks.seed_axis import has_seed_axis, with_seed_axis
from jaxgen.data import DataSource, example, load
from jaxgen.game import State
from jaxgen.models import gan
from jaxgen.training.checkpoint import restore
from jaxgen.training.chunk import Chunk
from jaxgen.training.loop import fit
from tests.small_runs import LINEAR, LinearConfig, log_lines

STATE = State(jnp.int32(4), {"w": jnp.arange(3.0)}, {}, {}, {})


def test_axis_is_added_to_the_state_and_the_metrics_of_a_single_key():
    metrics = {"p/loss": np.arange(2.0), "p/r1/loss": np.ma.array([1.0, 2.0], mask=[False, True])}
    chunk = Chunk(4, STATE, metrics, 0.1, {})
    assert not has_seed_axis(chunk)
    found = with_seed_axis(chunk)
    assert has_seed_axis(found)
    assert (found.state.step.shape, found.state.params["w"].shape) == ((), (1, 3))
    assert found.metrics["p/loss"].tolist() == [[0.0, 1.0]]
    assert found.metrics["p/r1/loss"].tolist() == [[1.0, None]]
    assert with_seed_axis(found) is found


@pytest.mark.parametrize(
    ("name", "build"),
    [
        ("digits", lambda data: LINEAR.build(LinearConfig(latent_dim=2), example(data))),
        ("gaussian_1d", lambda data: gan.build(gan.Config(hidden=(8,), latent_dim=1), data)),
    ],
)
def test_every_callback_has_the_results_of_one_seed_for_a_single_key(name, build, tmp_path):
    data = load(name)
    model = build(data)
    due = {"every": 4, "last": 6, "seed": 0}
    results = {}
    for kind, key in (("single", jax.random.key(3)), ("axis", jax.random.key(3)[None])):
        folder = tmp_path / kind
        with MetricsLog(folder, several_seeds=True) as log, Progress(6) as progress:
            grid = ImageGrid(folder / "samples", model, name, data, loss="non_saturating", **due)
            checkpoints = Checkpoints(folder / "checkpoints", every=4, last=6)
            callbacks = [progress, SampleMetrics(model, DataSource(name), data, **due), log, grid, checkpoints]
            results[kind] = fit(model, data, key=key, steps=6, batch_size=8, chunk=2, callbacks=callbacks)
    single, axis = results["single"], results["axis"]
    assert single.history.keys() == axis.history.keys()
    assert "samples/sliced_wasserstein" in single.history
    for metric, values in single.history.items():
        assert values.shape == (6,)
        np.testing.assert_array_equal(values.mask, axis.history[metric].mask[0])
        np.testing.assert_array_equal(values.filled(0), axis.history[metric].filled(0)[0])
    lines = [[{**line, "seconds": 0} for line in log_lines(tmp_path / kind)] for kind in results]
    assert lines[0] == lines[1]
    figures = [{path.name: path.read_bytes() for path in (tmp_path / kind / "samples").iterdir()} for kind in results]
    assert figures[0]
    assert figures[0] == figures[1]
    # The state of a checkpoint is the one from which `fit` continues with the same key.
    assert restore(tmp_path / "single" / "checkpoints", jax.eval_shape(lambda: single.state)).step == 6
