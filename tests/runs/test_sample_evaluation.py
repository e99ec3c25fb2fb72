"""Metrics of the samples of a run: those of each seed's own samples beside the split, and diverged seeds left out."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.data import example, load
from jaxgen.errors import InputError
from jaxgen.game import Model
from jaxgen.metrics.extractors import load_extractor
from jaxgen.runs import Run, RunConfig, sample_evaluation
from jaxgen.runs.sample_evaluation import evaluate_samples
from jaxgen.training.chunk import Divergence

DIGITS, TEST = load("digits"), load("digits", split="test")
EXTRACTOR = load_extractor("digits_v1")


def real_samples(key, state, n, *, label=None):
    """Images of the training split, of the given labels, darkened by the state."""
    images = jnp.asarray(DIGITS["image"])
    if label is None:
        numbers = jax.random.choice(key, len(images), (n,), replace=False)
    else:
        first = jnp.asarray([np.flatnonzero(DIGITS["label"] == digit)[0] for digit in range(10)])
        numbers = first[label]
    return images[numbers] / 255.0 * state


def run_of(state, *, conditions=(), diverged=()):
    seeds = None if len(state) == 1 else len(state)
    model = Model(None, None, (), sample=real_samples, conditions=conditions)
    config = RunConfig(None, seeds=seeds)
    where = {number: Divergence(1, "any", "loss") for number in diverged}
    return Run(Path("absent"), "any", config, example(DIGITS), model, jnp.asarray(state), 0, where, ())


def evaluate(run, metrics, *, count=1000, **options):
    return evaluate_samples(run, jax.random.key(0), metrics, EXTRACTOR, count=count, **options)


@pytest.fixture(scope="module")
def three_seeds():
    """Metrics of three seeds, the second of which draws real images; the third has diverged."""
    return evaluate(run_of([0.5, 1.0, 1.0], diverged=[2]), ["fid", "precision_recall"])


def test_real_images_are_nearer_than_darkened_ones(three_seeds):
    dark, real, diverged = three_seeds["frechet_distance[digits_v1, none, n=1437/1000, split=digits:train]"]["seeds"]
    assert real < 0.5 < dark
    assert diverged is None


def test_the_worst_seed_is_the_one_with_the_worst_value(three_seeds):
    for name, found in three_seeds.items():
        finite = [value for value in found["seeds"] if value is not None]
        assert found["worst"] == (max(finite) if name.startswith("frechet_distance") else min(finite))
        assert found["mean"] == pytest.approx(np.mean(finite), rel=1e-6)


def test_each_seed_has_the_values_of_a_run_of_its_own(three_seeds):
    alone = evaluate(run_of([0.5]), ["fid", "precision_recall"])
    assert alone == {name: pytest.approx(found["seeds"][0], rel=1e-5) for name, found in three_seeds.items()}


def test_copies_of_training_images_are_found_by_memorization():
    found = evaluate(run_of([1.0]), ["memorization"])
    ratio, copying, _ = found.values()
    assert ratio == 0
    assert copying < -10


def test_metrics_of_truncated_samples_have_the_truncation_in_their_protocol():
    """The samples with a bound of 0.5 are the darkened ones."""

    def darkened(key, state, n, *, truncation=1.0):
        return real_samples(key, truncation * state, n)

    run = run_of([1.0])
    run = run._replace(model=run.model._replace(sample=darkened, latent_options=("truncation",)))
    ((name, value),) = evaluate(run, ["fid"], truncation=0.5).items()
    assert name == "frechet_distance[digits_v1, none, n=1437/1000, split=digits:train, truncation=0.5]"
    assert value == pytest.approx(*evaluate(run_of([0.5]), ["fid"]).values(), rel=1e-5)
    with pytest.raises(InputError, match="truncation must be left out: this model has none"):
        evaluate(run_of([1.0]), ["fid"], truncation=0.5)


def test_memorization_of_a_training_with_a_subset_is_refused():
    run = run_of([1.0])
    few = run._replace(config=dataclasses.replace(run.config, subset=100))
    with pytest.raises(InputError, match="memorization compares with all training examples, and absent was trained on"):
        evaluate(few, ["memorization"])


def test_labels_are_given_to_a_conditional_model():
    found = evaluate(run_of([1.0], conditions=("label",)), ["intra_class"], count=1000)
    assert found["classifier_accuracy[digits_v1, none, n=1437/1000, split=digits:train, labels=uniform]"] == 1.0


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"model": Model(None, None, ())}, {}, "the model 'any' does not sample"),
        ({"example": {"point": np.zeros((1, 2))}}, {}, "metrics of features are of images"),
        ({}, {"split": "validation"}, "validation"),
        ({}, {"metrics": ["memorization"], "split": "test"}, "memorization must have held-out examples"),
        ({"example": {"image": np.zeros((1, 9, 9, 1), np.uint8)}}, {}, "must be 8x8 where they are not resized"),
        ({"diverged": {0: Divergence(1, "any", "loss")}}, {}, "must have a seed that has not diverged, got none"),
        ({}, {"metrics": ["fid", "intra_class"]}, "intra_class must have labels of both sets"),
        ({}, {"metrics": ["fid", "inception_score"], "count": 5}, "inception_score must have at least 10 examples"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_features_are_computed(change, options, message, monkeypatch):
    monkeypatch.setattr(sample_evaluation, "features_of_data", lambda *_, **__: pytest.fail("it takes long"))
    with pytest.raises(InputError, match=message):
        evaluate(run_of([1.0])._replace(**change), **{"metrics": ["fid"], **options})
