"""Metrics of features in the log: those of the state at their step, under their protocols, for every seed."""

import dataclasses

import numpy as np
import pytest

from jaxgen.callbacks import FeatureMetrics
from jaxgen.callbacks.logged_feature_metrics import SAMPLED_AT_ONCE
from jaxgen.data import load
from jaxgen.errors import InputError
from jaxgen.game import Model
from jaxgen.metrics.extractors import load_extractor
from jaxgen.runs import RunConfig, load_run, train
from jaxgen.runs.preparation import prepare_run
from jaxgen.runs.training import metric_callbacks
from jaxgen.training.chunk import Chunk, Divergence
from jaxgen.training.seeds import extract_seed
from tests.small_runs import LINEAR, LinearConfig, log_lines

CONFIG = RunConfig(
    LinearConfig(),
    seed=3,
    seeds=2,
    steps=40,
    batch_size=32,
    log_every=10,
    checkpoint_every=20,
    image_every=40,
    metrics=("fid", "precision_recall"),
    metric_every=20,
    metric_samples=SAMPLED_AT_ONCE + 20,
    keep_best="samples/frechet_distance",
)

FRECHET = f"samples/frechet_distance[digits_v1, none, n=1437/{CONFIG.metric_samples}, split=digits:train]"


@pytest.fixture(scope="module")
def notices():
    """Notices of the training of `folder`."""
    return []


@pytest.fixture(scope="module")
def folder(tmp_path_factory, notices):
    """Folder of a run of two seeds with metrics of features at steps 20 and 40, trained with an empty cache."""
    folder = tmp_path_factory.mktemp("features") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder.parent))
        train(folder, LINEAR, CONFIG, notify=notices.append)
    return folder


def test_a_training_states_whose_features_it_computes_where_they_are_not_cached(folder, notices, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder.parent))
    assert notices == ["features of digits:train by digits_v1: 1437 images"]
    prepared = prepare_run(folder, LINEAR, CONFIG, resume=True)
    metric_callbacks(prepared, prepared.model, notices.append)
    assert len(notices) == 1


def test_the_metrics_are_logged_at_their_steps_only(folder):
    assert [line["step"] for line in log_lines(folder) if FRECHET in line] == [20, 40]


def test_the_log_has_the_metrics_of_the_last_state_of_every_seed(folder):
    run = load_run(folder, family=LINEAR)
    metrics = FeatureMetrics(
        run.model,
        load("digits"),
        CONFIG.metrics,
        load_extractor("digits_v1"),
        reference="digits:train",
        count=CONFIG.metric_samples,
        every=20,
        last=40,
        seed=3,
        notify=lambda line: None,
    )
    for number in range(2):
        found = metrics.measure(extract_seed(run.state, number))
        logged = {name: log_lines(folder)[-1]["seeds"][name][number] for name in found}
        assert logged == pytest.approx(found, rel=1e-5)


def test_the_best_state_is_that_with_the_smallest_distance(folder):
    values = {line["step"]: line[FRECHET] for line in log_lines(folder) if FRECHET in line}
    assert load_run(folder, family=LINEAR, best=True).step == min(values, key=values.get)


def test_a_resumed_run_logs_the_same_values(folder, tmp_path):
    half = dataclasses.replace(CONFIG, steps=20)
    train(tmp_path / "run", LINEAR, half)
    train(tmp_path / "run", LINEAR, CONFIG, resume=True)
    names = [name for name in log_lines(folder)[-1]["seeds"] if "[" in name]
    assert len(names) == 3
    resumed, whole = (log_lines(each)[-1]["seeds"] for each in (tmp_path / "run", folder))
    assert [resumed[name] for name in names] == [whole[name] for name in names]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metrics": ("fud",)}, "there is no metric of features 'fud'"),
        ({"metrics": (), "keep_best": None}, "metric_every applies to metrics of features: give metrics"),
        ({"data": "ring"}, "metrics of features are of samples of images"),
        ({"extractor": "mnist_v1"}, "must be 28x28"),
        ({"extractor": "vgg"}, "there is no extractor 'vgg'"),
        ({"keep_best": "samples/kernel_distance"}, "there is no metric 'samples/kernel_distance'"),
        ({"keep_best": "samples/fid"}, "there is no metric 'samples/fid'"),
        ({"metric_samples": 0}, "--metric-samples must be at least 1"),
        ({"metric_samples": 3}, "precision_recall must have at least 4 examples of both sets, got 3"),
        ({"metrics": ("fid", "memorization")}, "memorization must have held-out examples"),
        ({"metrics": ("fid", "intra_class")}, "intra_class must have labels of both sets"),
    ],
)
def test_options_that_do_not_apply_are_refused_before_anything_is_written(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        train(tmp_path / "run", LINEAR, dataclasses.replace(CONFIG, **change))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("diverged", [{0: Divergence(1, "any", "loss")}, {}])
def test_a_seed_that_has_diverged_or_has_samples_that_are_not_finite_is_left_out(diverged):
    """A training of several seeds goes on without the samples of one."""

    def sample(key, state, n):
        return np.zeros((n, 8, 8, 1), np.float32) + state

    metrics = FeatureMetrics(
        Model(None, None, (), sample=sample),
        load("digits", split="test"),
        ("precision_recall",),
        load_extractor("digits_v1"),
        reference="digits:train",
        count=20,
        every=10,
        last=10,
        seed=0,
        notify=lambda line: None,
    )
    states = np.array([np.nan, 0.0], np.float32)
    found = metrics(Chunk(10, states, {"any/loss": np.zeros((2, 10))}, 0.1, diverged))
    assert len(found) == 2
    for values in found.values():
        assert np.isnan(values[0]).all()
        assert np.isfinite(values[1]).all()
