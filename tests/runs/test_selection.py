"""Choice among the states of a training, and trainings that start from another run."""

import dataclasses
import hashlib
import json
import shutil

import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.data import load, subset
from jaxgen.errors import InputError
from jaxgen.models import REGISTRY
from jaxgen.runs import RunConfig, evaluate_run, load_run, train
from jaxgen.runs.config_json import read_config, write_config
from jaxgen.runs.preparation import prepare_run, selection
from jaxgen.runs.start import start_of
from jaxgen.training import fit
from jaxgen.training.states import initial_state
from tests.small_runs import LINEAR, LinearConfig, assert_same_state, build_linear, log_lines, untimed

CONFIG = RunConfig(
    LinearConfig(samples=False),
    steps=60,
    batch_size=32,
    log_every=5,
    checkpoint_every=10,
    image_every=60,
    validation_fraction=0.2,
    evaluate_every=10,
    keep_best="mse",
)


def build_scored(config, example):
    """The linear model with a metric of its own."""
    model = build_linear(config, example)

    def evaluate(key, state, batch):
        mse = model.evaluate(key, state, batch)["mse"]
        return {"mse": mse, "own/score": -jnp.sqrt(mse)}

    return model._replace(evaluate=evaluate)


SCORED = LINEAR._replace(name="scored", build=build_scored)


@pytest.fixture(scope="module")
def selected(tmp_path_factory):
    """A run of two seeds whose state with the smallest score is kept: one of the first, as the score increases."""
    folder = tmp_path_factory.mktemp("selection") / "run"
    train(folder, SCORED, dataclasses.replace(CONFIG, seeds=2, keep_best="min:own/score"))
    return folder


def test_best_state_is_the_one_with_the_best_logged_mean(selected):
    logged = {
        line["step"]: line["validation/own/score"] for line in log_lines(selected) if "validation/own/score" in line
    }
    assert list(logged) == [10, 20, 30, 40, 50, 60]
    summary = json.loads((selected / "summary.json").read_text())
    step = min(logged, key=logged.get)
    assert step < 60
    assert summary["best"] == {"step": step, "value": logged[step], "evaluations": (60 - step) // 10}
    best = load_run(selected, family=SCORED, best=True)
    assert best.step == step
    assert summary["test"] == evaluate_run(best)
    assert load_run(selected, family=SCORED).step == 60


@pytest.mark.parametrize(
    ("keep_best", "metric", "better"),
    [
        ("elbo", "validation/elbo", "larger"),
        ("mse", "validation/mse", "smaller"),
        ("max:mse", "validation/mse", "larger"),
        ("samples/modes", "samples/modes", "larger"),
        ("min:samples/modes", "samples/modes", "smaller"),
        ("validation/elbo", "validation/elbo", "larger"),
        ("min:own/score", "validation/own/score", "smaller"),
        ("own/score", "validation/own/score", None),
        ("a:b", "validation/a:b", None),
        ("max:a:b", "validation/a:b", "larger"),
    ],
)
def test_metric_and_direction_are_those_of_the_option(keep_best, metric, better):
    assert selection(keep_best) == (metric, better)


def test_a_metric_without_known_direction_needs_one(tmp_path):
    with pytest.raises(InputError, match=r"values of 'own/score' are better: give max:own/score or min:own/score"):
        train(tmp_path / "run", SCORED, dataclasses.replace(CONFIG, keep_best="own/score"))
    assert not (tmp_path / "run").exists()


def test_a_best_state_of_another_config_is_named(selected, tmp_path):
    copy = shutil.copytree(selected, tmp_path / "copy")
    description = read_config(copy, family=SCORED)
    write_config(copy, description._replace(config=dataclasses.replace(description.config, batch_size=33)))
    with pytest.raises(InputError, match=r"was changed after .*/copy/best/10 was written, which is of a run"):
        load_run(copy, family=SCORED, best=True)


def test_validation_examples_are_not_trained_on(tmp_path):
    """The run is that of the model on the other examples alone, in each class those with the larger SHA-256."""
    config = dataclasses.replace(CONFIG, validation_fraction=0.5, keep_best=None, steps=10)
    train(tmp_path / "run", LINEAR, config)
    digits = load("digits")
    digests = [hashlib.sha256(image.tobytes()).hexdigest() for image in digits["image"]]
    kept = np.ones(len(digests), bool)
    for label in range(10):
        of_class = np.flatnonzero(digits["label"] == label)
        ranked = sorted(of_class, key=lambda i: digests[i])
        kept[ranked[: (len(of_class) + 1) // 2]] = False
    others = {name: array[kept] for name, array in digits.items()}
    expected = fit(build_linear(config.model_config, digits), others, key=config.keys, steps=10, batch_size=32)
    trained = load_run(tmp_path / "run", family=LINEAR).state
    np.testing.assert_array_equal(trained.params["net"], expected.state.params["net"])
    assert not (tmp_path / "run" / "best").exists()


def test_a_training_with_a_subset_is_one_with_these_examples_and_metrics_compare_with_all(tmp_path):
    config = dataclasses.replace(
        CONFIG,
        model_config=LinearConfig(),
        validation_fraction=None,
        evaluate_every=None,
        keep_best=None,
        subset=100,
        seeds=2,
        steps=10,
        image_every=10,
        metrics=("precision_recall",),
        metric_samples=50,
    )
    train(tmp_path / "run", LINEAR, config)
    digits = load("digits")
    few = subset(digits, 100)
    expected = fit(build_linear(config.model_config, digits), few, key=config.keys, steps=10, batch_size=32)
    trained = load_run(tmp_path / "run", family=LINEAR).state
    np.testing.assert_array_equal(trained.params["net"], expected.state.params["net"])
    assert any("n=1437/50, split=digits:train" in name for name in log_lines(tmp_path / "run")[-1])
    with pytest.raises(InputError, match="subset"):
        train(tmp_path / "run", LINEAR, dataclasses.replace(config, subset=200), resume=True)


def test_by_default_a_training_of_any_length_has_twenty_evaluations(tmp_path):
    config = dataclasses.replace(CONFIG, epochs=4, evaluate_every=None, log_every=100, checkpoint_every=1000)
    notices = []
    train(tmp_path / "run", LINEAR, dataclasses.replace(config, patience=30), notify=notices.append)
    evaluated = [line["step"] for line in log_lines(tmp_path / "run") if "validation/mse" in line]
    assert evaluated == list(range(7, 141, 7))  # 1,437 examples less a fifth are 35 batches.
    assert "the training has 20 evaluations and cannot end early with a patience of 30: evaluate more often" in notices
    longer = dataclasses.replace(config, epochs=5, patience=None)
    train(tmp_path / "run", LINEAR, longer, resume=True, notify=notices.append)
    assert load_run(tmp_path / "run", family=LINEAR).config.evaluate_every == 7


def test_patience_ends_the_training_and_a_resumed_one_ends_at_the_same_step(tmp_path, monkeypatch):
    # The learning rate of this family is fixed: the metric is made to improve until step 20 only.
    def mse(self, chunk):
        if chunk.step % 10:
            return None
        value = abs(chunk.step - 20) + 1.0
        return {"validation/mse": np.full((1, 1), value)}

    monkeypatch.setattr("jaxgen.callbacks.best_state.Validation.__call__", mse)
    config, notices = dataclasses.replace(CONFIG, patience=2), []
    summary = train(tmp_path / "run", LINEAR, config, notify=notices.append)
    assert (summary["step"], summary["ended_early"], summary["best"]["step"]) == (40, True, 20)
    assert any("has not improved for 2 evaluations: ended at step 40" in line for line in notices)
    run = load_run(tmp_path / "run", family=LINEAR)
    assert run.step == 40

    copy = shutil.copytree(tmp_path / "run", tmp_path / "copy")
    again = train(copy, LINEAR, config, resume=True, notify=notices.append)
    assert again["test"] == summary["test"]
    assert_same_state(load_run(copy, family=LINEAR), run)

    # Killed after step 30.
    shutil.rmtree(copy / "checkpoints" / "40")
    (copy / "summary.json").unlink()
    killed = train(copy, LINEAR, config, resume=True, notify=notices.append)
    assert (killed["step"], killed["best"]) == (40, summary["best"])
    assert_same_state(load_run(copy, family=LINEAR), run)
    assert untimed(log_lines(copy)) == untimed(log_lines(tmp_path / "run"))

    more = train(copy, LINEAR, dataclasses.replace(config, patience=3), resume=True, notify=notices.append)
    assert more["step"] == 50


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"keep_best": "mse"}, "needs validation examples: give a validation_fraction"),
        ({"keep_best": "mze", "validation_fraction": 0.1}, "there is no metric 'validation/mze': did you mean"),
        ({"keep_best": "samples/modes"}, "there is no metric 'samples/modes'"),
        ({"evaluate_every": 5}, "evaluate_every applies to validation examples: give a validation_fraction"),
        ({"patience": 2}, "patience counts evaluations of the metric of keep_best: give one"),
        ({"patience": 0, "keep_best": "mse", "validation_fraction": 0.1}, "--patience must be at least 1, got 0"),
        ({"validation_fraction": 1.5}, "validation_fraction must be above 0 and below 1, got 1.5"),
        ({"precision": "float16"}, "--precision must be one of float32, bfloat16, got 'float16'"),
        ({"epochs": 0.0}, "--epochs must be above 0"),
    ],
)
def test_options_that_cannot_choose_are_refused_before_the_training(options, sentence, tmp_path):
    with pytest.raises(InputError, match=sentence):
        train(tmp_path / "run", LINEAR, RunConfig(LinearConfig(samples=False), steps=1, **options))
    assert not (tmp_path / "run").exists()


def test_run_without_a_best_state_says_how_to_keep_one(finished):
    with pytest.raises(InputError, match="keeps no best state: train with keep_best"):
        load_run(finished, family=LINEAR, best=True)


def test_parameters_are_those_of_the_best_state_of_the_other_run(selected, tmp_path):
    config = RunConfig(LinearConfig(samples=False), steps=1, batch_size=32, init_from=str(selected), seeds=2)
    notices = []
    train(tmp_path / "run", SCORED, config, notify=notices.append)
    after = np.asarray(load_run(tmp_path / "run", family=SCORED).state.params["net"])
    best, newest = (load_run(selected, family=SCORED, best=best).state.params["net"] for best in (True, False))
    # The first step changes every parameter by the learning rate of Adam at most.
    assert 0 < np.abs(after - np.asarray(best)).max() < 0.0101
    assert np.abs(after - np.asarray(newest)).max() > 0.05
    assert f"the parameters of net are those of {selected} at step 10, the best by min:own/score" in notices
    assert read_config(tmp_path / "run", family=SCORED).config.init_from == str(selected)


def test_parameters_are_those_of_the_newest_state_where_none_is_the_best(finished, linear_config, tmp_path):
    config = dataclasses.replace(linear_config, init_from=str(finished))
    prepared, notices = prepare_run(tmp_path / "run", LINEAR, config), []
    start = start_of(prepared, resume=False, notify=notices.append)
    np.testing.assert_array_equal(start.state.params["net"], load_run(finished, family=LINEAR).state.params["net"])
    assert notices == [f"the parameters of net are those of {finished} at step 60"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"seeds": 3}, "has 2 seeds: give as many seeds, or a run of one, got 3"),
        ({"model_config": LinearConfig(latent_dim=4)}, "the network 'net' of .* must have the shapes of this model"),
        ({"init_from": "absent"}, "absent is not a run folder"),
    ],
)
def test_other_runs_that_do_not_fit_are_refused(change, sentence, selected, tmp_path):
    config = RunConfig(LinearConfig(samples=False), steps=1, batch_size=32, init_from=str(selected), seeds=2)
    with pytest.raises(InputError, match=sentence):
        train(tmp_path / "run", SCORED, dataclasses.replace(config, **change))
    assert not (tmp_path / "run").exists()


def test_run_with_other_networks_is_refused(selected, tmp_path):
    gan = RunConfig(REGISTRY["gan"].config(architecture="mlp", hidden=(4,)), steps=1, init_from=str(selected))
    with pytest.raises(InputError, match="which is not part of jaxgen"):
        train(tmp_path / "run", "gan", gan)


def test_epochs_and_batch_size_follow_the_number_of_examples(tmp_path):
    np.savez(tmp_path / "few.npz", image=np.random.default_rng(0).integers(0, 256, (44, 4, 4, 1), np.uint8))
    config = RunConfig(LinearConfig(samples=False), data=str(tmp_path / "few.npz"), epochs=3, log_every=1)
    summary = train(tmp_path / "run", LINEAR, config)
    stored = read_config(tmp_path / "run", family=LINEAR).config
    # A tenth of 44 examples is the test split, all others are one batch.
    assert (stored.batch_size, stored.steps, summary["step"]) == (40, 3, 3)
    more = train(tmp_path / "run", LINEAR, dataclasses.replace(config, epochs=5), resume=True)
    assert more["step"] == 5


def test_completed_config_rounds_to_devices_and_whole_steps():
    config = RunConfig(None, epochs=2.5)
    assert (config.completed(1000, 1, 8).batch_size, config.completed(1000, 1, 8).steps) == (128, round(2.5 * 7))
    assert config.completed(50, 5, 4).batch_size == 8
    assert config.completed(3, 5, 4).batch_size == 1
    given = RunConfig(None, batch_size=10, steps=7)
    assert given.completed(1000, 1, 1) == given


def bfloat16(array):
    return np.asarray(array).astype(jnp.bfloat16).astype(np.float64)


def forward(run, x, rounded):
    """Outputs of an autoencoder with one hidden layer on each side; factors and results of products are rounded."""
    for network in ("encoder", "decoder"):
        for name, activation in (("Dense_0", lambda y: np.maximum(y, 0)), ("Dense_1", lambda y: y)):
            layer = run.params[network][name]  # The initial biases are zero.
            x = activation(rounded(rounded(x) @ rounded(layer["kernel"][0])))
    return x


def test_precision_is_that_of_the_products_of_the_training(tmp_path):
    """The loss of the first step, of examples that are all the same, rounded by NumPy."""
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 1), np.uint8)
    np.savez(tmp_path / "same.npz", image=np.stack([image] * 20))
    options = REGISTRY["autoencoder"].config(hidden=(8,), latent_dim=2)
    config = RunConfig(options, data=str(tmp_path / "same.npz"), steps=1, log_every=1, batch_size=4)
    logged, x = {}, image.reshape(1, 64) / 255
    for precision in ("float32", "bfloat16"):
        train(tmp_path / precision, "autoencoder", dataclasses.replace(config, precision=precision))
        logged[precision] = log_lines(tmp_path / precision)[0]["autoencoder/loss"]
    run = load_run(tmp_path / "float32")
    first = initial_state(run.model, config.keys, run.example)
    exact, mixed = (np.square(forward(first, x, rounded) - x).sum() for rounded in (np.float64, bfloat16))
    assert abs(exact - mixed) > 1e-4 * exact
    assert logged["float32"] == pytest.approx(exact, rel=1e-5)
    assert logged["bfloat16"] == pytest.approx(mixed, rel=1e-5)
