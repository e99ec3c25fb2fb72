"""Sweeps into run folders: each point is as if it had been trained alone."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from jaxgen.errors import InputError
from jaxgen.models import REGISTRY
from jaxgen.runs import RunConfig, load_run, train
from jaxgen.runs.listing import list_runs
from jaxgen.runs.sweep_runs import SweepResult, means, parse_axes, train_sweep
from tests.small_runs import log_lines

FAMILY = REGISTRY["autoencoder"]
CONFIG = RunConfig(FAMILY.config(hidden=(4,), latent_dim=2), steps=8, batch_size=32, log_every=4, seeds=2)
AXES = {"learning_rate": (1e-3, 1e-2), "l1": (0.0, 0.5)}


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Folder and result of a sweep of two options."""
    folder = tmp_path_factory.mktemp("sweep") / "grid"
    return folder, train_sweep(folder, FAMILY, CONFIG, AXES, notify=lambda line: None)


def test_a_point_is_the_run_that_is_trained_alone(sweep, tmp_path):
    folder, result = sweep
    options = dataclasses.replace(CONFIG.model_config, learning_rate=1e-2, l1=0.5)
    alone = train(tmp_path / "alone", "autoencoder", dataclasses.replace(CONFIG, model_config=options))
    of_point = folder / "learning_rate=0.01,l1=0.5"
    assert result.folders[3] == of_point
    one, point = load_run(tmp_path / "alone"), load_run(of_point)
    assert point.config == one.config
    assert point.step == one.step == 8
    assert jax.tree.structure(point.state) == jax.tree.structure(one.state)
    for x, y in zip(jax.tree.leaves(point.state), jax.tree.leaves(one.state), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5)
    for name, value in alone["test"].items():
        np.testing.assert_allclose(result.tests[3][name]["seeds"], value["seeds"], rtol=1e-4)
    logged, expected = log_lines(of_point), log_lines(tmp_path / "alone")
    assert [line["step"] for line in logged] == [line["step"] for line in expected]
    np.testing.assert_allclose(logged[-1]["autoencoder/loss"], expected[-1]["autoencoder/loss"], rtol=1e-4)


def test_runs_are_listed_and_results_are_stored(sweep):
    folder, result = sweep
    assert [run.state for run in list_runs(folder)] == ["complete"] * 4
    stored = json.loads((folder / "sweep.json").read_text())
    assert stored["axes"] == {name: list(values) for name, values in AXES.items()}
    assert [point["test"] for point in stored["points"]] == list(result.tests)
    mean, deviation = means(result, "mse")
    assert mean.shape == (2, 2)
    assert mean[1, 0] == result.tests[2]["mse"]["mean"]
    assert deviation[1, 0] == result.tests[2]["mse"]["sd"]


def test_a_point_can_be_resumed_by_itself(sweep):
    folder, _ = sweep
    config = load_run(folder / "learning_rate=0.001,l1=0").config
    summary = train(
        folder / "learning_rate=0.001,l1=0", "autoencoder", dataclasses.replace(config, steps=10), resume=True
    )
    assert summary["step"] == 10


def test_metrics_of_a_single_seed_are_numbers():
    result = SweepResult({"l1": (0.0, 1.0)}, [{"l1": 0.0}, {"l1": 1.0}], [{"mse": 0.5}, {}], [])
    mean, deviation = means(result, "mse")
    np.testing.assert_array_equal(mean, [0.5, np.nan])
    assert np.isnan(deviation).all()


@pytest.mark.parametrize(
    ("axes", "sentence"),
    [
        (["l1"], r"--sweep must be NAME=VALUES, as in learning_rate=1e-4,1e-3, got 'l1'"),
        (["l1="], "--sweep must be NAME=VALUES"),
        (["l1=0,a"], "the values of --sweep l1 must be numbers and commas, got '0,a'"),
        (["l1=0,0.0"], "the values of --sweep l1 must be finite and differ, got '0,0.0'"),
        (["l1=nan"], "the values of --sweep l1 must be finite and differ"),
        (["l1=0", "l1=1"], "--sweep l1 must be given once"),
        (["l3=0"], "there is no option to sweep 'l3': choices are b1, b2"),
        (["latent_dim=2,4"], "there is no option to sweep 'latent_dim'"),
    ],
)
def test_axes_that_cannot_be_swept_are_refused(axes, sentence):
    with pytest.raises(InputError, match=sentence):
        parse_axes(axes, FAMILY)


@pytest.mark.parametrize(
    ("change", "axes", "sentence"),
    [
        ({}, {"learning_rate": (1e-3, -1.0)}, "learning_rate must be positive and finite, got -1.0"),
        ({"keep_best": "mse", "validation_fraction": 0.1}, AXES, "keep_best and init_from apply to single runs"),
        ({"data": "absent.npz"}, AXES, "must be an existing"),
    ],
)
def test_sweeps_that_cannot_start_leave_no_folder(change, axes, sentence, tmp_path):
    with pytest.raises(InputError, match=sentence):
        train_sweep(tmp_path / "grid", FAMILY, dataclasses.replace(CONFIG, **change), axes)
    assert not (tmp_path / "grid").exists()


def test_existing_folder_is_refused(sweep):
    folder, _ = sweep
    with pytest.raises(InputError, match="exists: give another --out"):
        train_sweep(folder, FAMILY, CONFIG, AXES)
