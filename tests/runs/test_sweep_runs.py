"""Sweeps into run folders: each point is as if it had been trained alone."""

import dataclasses
import json
import shutil
from pathlib import Path

import chex
import jax
import matplotlib.image
import numpy as np
import pytest

from jaxgen.errors import InputError
from jaxgen.models import REGISTRY
from jaxgen.runs import RunConfig, load_run, train
from jaxgen.runs.listing import list_runs
from jaxgen.runs.sweep_runs import SweepResult, folder_name, means, parse_axes, train_sweep
from jaxgen.training import stage_program
from tests.small_runs import log_lines, untimed

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
    # The same figure, but for rounding.
    images = [
        matplotlib.image.imread(path / "samples" / "step-00000008-reconstructions.png")
        for path in (of_point, tmp_path / "alone")
    ]
    np.testing.assert_allclose(*images, atol=0.02)
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


def test_a_point_can_be_resumed_by_itself(sweep, tmp_path):
    folder = Path(shutil.copytree(sweep[0] / "learning_rate=0.001,l1=0", tmp_path / "point"))
    config = dataclasses.replace(load_run(folder).config, steps=10)
    assert train(folder, "autoencoder", config, resume=True)["step"] == 10


def test_an_interrupted_sweep_is_resumed_with_the_same_bits(sweep, tmp_path, interrupt):
    _, result = sweep
    folder = tmp_path / "grid"
    for step in (1, 5):
        interrupt([step])
        with pytest.raises(KeyboardInterrupt, match=f"interrupted: step {step + 1} is saved"):
            train_sweep(folder, FAMILY, CONFIG, AXES, resume=step > 1, notify=lambda line: None)
    # Each point can also be continued alone, with the steps since the last line of its log.
    assert {load_run(path).step for path in folder.glob("l*")} == {6}
    resumed = train_sweep(folder, FAMILY, CONFIG, AXES, resume=True, notify=lambda line: None)
    assert resumed.tests == result.tests
    for one, other in zip(resumed.folders, result.folders, strict=True):
        chex.assert_trees_all_equal(load_run(one).state, load_run(other).state)
        assert untimed(log_lines(one)) == untimed(log_lines(other))


def test_a_sweep_of_which_a_point_diverges_at_once_is_resumed(tmp_path, interrupt):
    axes = {"learning_rate": (1e-3, 1e30)}
    expected = train_sweep(tmp_path / "complete", FAMILY, CONFIG, axes, notify=lambda line: None)
    folder, notices = tmp_path / "grid", []
    interrupt([5])
    with pytest.raises(KeyboardInterrupt):
        train_sweep(folder, FAMILY, CONFIG, axes, notify=lambda line: None)
    resumed = train_sweep(folder, FAMILY, CONFIG, axes, resume=True, notify=notices.append)
    (line,) = [line for line in notices if "seed 1 " in line]
    assert line.startswith("the run with learning_rate=1e+30, seed 1 was left out: the ")
    assert resumed.tests == expected.tests
    assert resumed.tests[0]["mse"]["mean"] is not None
    assert resumed.tests[1]["mse"]["mean"] is None
    summary = json.loads((resumed.folders[1] / "summary.json").read_text())
    assert sorted(summary["diverged"]) == ["0", "1"]


def test_an_interrupt_before_the_first_step_leaves_no_folder(tmp_path, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(stage_program, "compile_stage", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_sweep(tmp_path / "grid", FAMILY, CONFIG, AXES, notify=lambda line: None)
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_is_resumed_only_with_its_own_values(sweep, tmp_path):
    folder = Path(shutil.copytree(sweep[0], tmp_path / "grid"))

    def sentence(axes, config=CONFIG, folder=folder):
        with pytest.raises(InputError) as caught:
            train_sweep(folder, FAMILY, config, axes, resume=True)
        return str(caught.value)

    values = "must be resumed with the values of its beginning: --sweep learning_rate=0.001,0.01 --sweep l1=0.0,0.5"
    assert values in sentence({**AXES, "learning_rate": (1e-3, 2e-3)})
    assert values in sentence({**AXES, "learning_rate": (1e-2, 1e-3)})
    assert values in sentence(dict(reversed(AXES.items())))
    assert "was trained with --batch-size 32, not 16" in sentence(AXES, dataclasses.replace(CONFIG, batch_size=16))
    assert "there is no sweep in" in sentence(AXES, folder=tmp_path / "absent")
    alone = folder / "learning_rate=0.001,l1=0"
    assert f"{alone} is the folder of a single run" in sentence(AXES, folder=alone)
    for content in ("[]", "{}", "{", '{"axes": 3}'):
        (folder / "sweep.json").write_text(content)
        assert "sweep.json is damaged: resume the runs of the sweep one by one" in sentence(AXES)


def test_more_points_than_the_system_allows_open_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("resource.getrlimit", lambda kind: (256, 4096))
    axes = {"l1": tuple(map(float, range(100)))}
    with pytest.raises(InputError, match="of 100 combinations needs 400 open files, and the system allows 256: give"):
        train_sweep(tmp_path / "grid", FAMILY, CONFIG, axes)


def test_points_that_differ_in_late_digits_have_folders_of_their_own():
    assert folder_name({"beta": 1.0000002, "l1": 0.1}) == "beta=1.0000002,l1=0.1"


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
        (["l1=0,0.0"], "the values of l1 must be finite numbers that differ in float32, got 0.0, 0.0"),
        (["l1=1,1.00000001"], "the values of l1 must be finite numbers that differ in float32, got 1.0, 1.00000001"),
        (["l1=nan"], "the values of l1 must be finite numbers"),
        (["l1=1e300"], "the values of l1 must be finite numbers"),
        (["l1=0", "l1=1"], "--sweep l1 must be given once"),
        (["l3=0"], "there is no option to sweep 'l3': choices are b1, b2"),
        (["latent_dim=2,4"], "the option 'latent_dim' cannot be swept in one program"),
        (["architecture=mlp,conv"], "the option 'architecture' cannot be swept in one program"),
        (
            [f"{name}={','.join(map(str, range(1, 102)))}" for name in ("l1", "learning_rate")],
            "a sweep must have at most 10,000 combinations, got 10,201",
        ),
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


def test_a_folder_with_nothing_but_what_a_killed_process_left_is_new(tmp_path):
    for value in ("0", "1"):
        (tmp_path / "grid" / f"l1={value}").mkdir(parents=True)
        (tmp_path / "grid" / f"l1={value}" / ".lock").touch()
    result = train_sweep(tmp_path / "grid", FAMILY, CONFIG, {"l1": (0.0, 1.0)}, notify=lambda line: None)
    assert [load_run(path).step for path in result.folders] == [8, 8]


def test_existing_folder_is_refused(sweep):
    folder, _ = sweep
    with pytest.raises(InputError, match="exists: give another --out"):
        train_sweep(folder, FAMILY, CONFIG, AXES)
