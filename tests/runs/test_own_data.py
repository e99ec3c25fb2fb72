"""Runs on the user's own files: what is said, kept in the folder, and given back in the unit of the data."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from jaxgen.data import DataSource
from jaxgen.runs import evaluate_run, load_run, train
from jaxgen.runs.evaluation import load_test_split
from jaxgen.runs.preparation import prepare_run
from jaxgen.runs.start import start_of
from tests.small_runs import LINEAR, assert_same_state

MEAN, SCALE = np.array([1000.0, -50.0]), np.array([3.0, 0.01])
POINTS = np.random.default_rng(0).normal(size=(200, 2)) * SCALE + MEAN


@pytest.fixture(scope="module")
def own(tmp_path_factory, linear_config):
    """Path of a table of points, the config of a run on it, its folder, and its notices."""
    folder = tmp_path_factory.mktemp("own")
    rows = [f"{x!r},{y!r},{'high' if x > MEAN[0] else 'low'}" for x, y in POINTS.tolist()]
    (folder / "points.csv").write_text("\n".join(["x,y,label", *rows]))
    config = dataclasses.replace(linear_config, data=str(folder / "points.csv"))
    notices = []
    train(folder / "run", LINEAR, config, notify=notices.append)
    return config, folder / "run", notices


def test_what_was_read_and_standardized_is_said(own):
    read, standardized = own[2]
    assert read.startswith("read 180 + 20 points in 2 dimensions of 2 classes")
    assert standardized.startswith("the model is trained on points with mean 0 and standard deviation 1")


def test_class_names_and_the_standardization_are_kept(own):
    content = json.loads((own[1] / "config.json").read_text())
    training = DataSource(own[0].data).load("train")["point"].astype(np.float64)
    np.testing.assert_allclose(content["standardization"]["mean"], training.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(content["standardization"]["scale"], training.std(axis=0), rtol=1e-6)
    assert load_run(own[1], family=LINEAR).class_names == ("high", "low")


def test_samples_and_reconstructions_are_in_the_unit_of_the_data(own):
    run = load_run(own[1], family=LINEAR)
    samples, test = run.sample(jax.random.key(1), 500), load_test_split(own[0], run.example)
    # Within two standard deviations; zero mean and unit variance would be hundreds of them away.
    assert np.all(np.abs(samples.mean(axis=0) - MEAN) < 2 * SCALE)
    assert np.all(np.abs(run.reconstruct(test) - test["point"]) < 6 * SCALE)


def test_the_evaluation_is_that_of_the_summary(own):
    summary = json.loads((own[1] / "summary.json").read_text())
    assert evaluate_run(load_run(own[1], family=LINEAR)) == pytest.approx(summary["test"], rel=1e-5)
    assert summary["test"]["mse"] < 3  # of standardized points


def test_a_resumed_run_ends_as_one_that_was_not_interrupted(own, tmp_path):
    config, folder, _ = own
    train(tmp_path / "run", LINEAR, dataclasses.replace(config, steps=40), notify=lambda _: None)
    train(tmp_path / "run", LINEAR, config, resume=True, notify=lambda _: None)
    assert_same_state(load_run(tmp_path / "run", family=LINEAR), load_run(folder, family=LINEAR))


def test_standardization_is_that_of_the_examples_that_are_trained_on(own, tmp_path):
    config = dataclasses.replace(own[0], validation_fraction=0.5)
    prepared = prepare_run(tmp_path / "run", LINEAR, config, notify=lambda _: None)
    trained, validation = (np.asarray(part["point"], np.float64) for part in (prepared.data, prepared.validation))
    assert len(trained) + len(validation) == 180
    np.testing.assert_allclose(prepared.description.standardization.mean, trained.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(prepared.description.standardization.scale, trained.std(axis=0), rtol=1e-6)
    assert abs(trained[:, 0].mean() - np.concatenate([trained, validation])[:, 0].mean()) > 1e-3


def test_a_start_from_points_of_another_unit_is_said(own, tmp_path):
    def notices(data):
        said = []
        config = dataclasses.replace(own[0], data=str(data), init_from=str(own[1]))
        prepared = prepare_run(tmp_path / "run", LINEAR, config, notify=lambda _: None)
        start_of(prepared, resume=False, notify=said.append)
        return said

    np.savez(tmp_path / "other.npz", point=2 * POINTS)
    assert any(f"{own[1]} standardizes points by another mean" in line for line in notices(tmp_path / "other.npz"))
    assert not any("standardizes" in line for line in notices(own[0].data))
