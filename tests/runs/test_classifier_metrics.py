"""Classifier metrics of runs whose samples are real images, for which the values are known."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import sqrtm

from jaxgen.callbacks.sample_metrics import digit_classifier
from jaxgen.data import load
from jaxgen.errors import InputError
from jaxgen.game import Model
from jaxgen.models.preprocessing import preprocess
from jaxgen.runs import Run, RunConfig
from jaxgen.runs.classifier_metrics import classifier_metrics

TEST = load("digits", split="test")


def image_run(images, *, seeds=None, state=None):
    """A run on digits that samples from these images, for several seeds from those with the number in the state."""
    images = images if seeds is not None else images[None]
    state = jnp.zeros(1, int) if state is None else state

    def sample(key, state, n):
        chosen = images[state]
        return preprocess({"image": chosen[jax.random.randint(key, (n,), 0, len(chosen))]})

    config = RunConfig(None, data="digits", seeds=seeds)
    model = Model(None, None, (), sample=sample)
    return Run(Path("absent"), "any", config, {"image": images[0, :1]}, model, state, 0, {}, ())


def test_real_images_cover_all_classes_and_are_near_the_test_split():
    found = classifier_metrics(image_run(jnp.asarray(TEST["image"])), jax.random.key(0), count=2500)
    assert found["modes"] == 10
    assert found["mode_kl_all"] < 0.02
    assert found["high_quality"] > 0.95
    without = jnp.asarray(TEST["image"][TEST["label"] != 7])
    lacking = classifier_metrics(image_run(without), jax.random.key(0), count=2500)
    # A misclassified image covers the class that is left out; its share is missing nevertheless.
    assert lacking["mode_kl_all"] - found["mode_kl_all"] == pytest.approx(np.log(10 / 9), abs=0.03)
    assert lacking["frechet_distance"] > 5 * found["frechet_distance"]


def test_frechet_distance_matches_the_matrix_square_root():
    """Heusel et al. 2017, equation 6, in float64, between the logits of the test split and of the first four digits."""
    run = image_run(jnp.asarray(TEST["image"][TEST["label"] < 4]))
    key = jax.random.key(2)
    found = classifier_metrics(run, key, count=200)
    classifier = digit_classifier(run.config.source)
    samples = run.sample(key, 200)
    real, fake = (np.asarray(classifier.logits(images), np.float64) for images in (TEST["image"], samples))
    covariances = [np.cov(logits, rowvar=False) for logits in (real, fake)]
    root = sqrtm(covariances[0] @ covariances[1]).real
    expected = np.square(real.mean(axis=0) - fake.mean(axis=0)).sum() + np.trace(sum(covariances) - 2 * root)
    assert found["frechet_distance"] == pytest.approx(expected, rel=1e-3)


def test_one_image_repeated_is_one_mode():
    found = classifier_metrics(image_run(jnp.asarray(TEST["image"][:1])), jax.random.key(0), count=50)
    assert (found["modes"], found["high_quality"]) == (1, 1)
    assert found["mode_kl_all"] == pytest.approx(np.log(10), abs=1e-5)


def test_each_seed_is_measured_separately():
    images = jnp.stack([jnp.asarray(TEST["image"][TEST["label"] == digit][:20]) for digit in (3, 5)])
    both = classifier_metrics(image_run(images, seeds=2, state=jnp.array([1, 0])), jax.random.key(1), count=100)
    alone = classifier_metrics(image_run(images[1]), jax.random.key(1), count=100)
    for name, value in alone.items():
        assert value.shape == ()
        assert both[name].shape == (2,)
        assert both[name][0] == pytest.approx(float(value), rel=1e-5)


def test_the_classifier_is_trained_once_however_it_is_requested(monkeypatch):
    trained = []

    def train(key, images, *, steps):
        trained.append(steps)
        return steps

    monkeypatch.setattr("jaxgen.callbacks.sample_metrics.train_digit_classifier", train)
    source = RunConfig(None, data="digits", data_dir="elsewhere").source  # Not requested by other tests.
    assert [digit_classifier(source), digit_classifier(source, None), digit_classifier(source, steps=None)] == [
        1000
    ] * 3
    assert digit_classifier(source, 7) == digit_classifier(source, steps=7) == 7
    assert trained == [1000, 7]


def test_streamed_data_are_refused(monkeypatch):
    monkeypatch.setattr("jaxgen.data.streaming.MEMORY_LIMIT", 0)
    source = RunConfig(None, data="digits", data_dir="streamed").source
    with pytest.raises(InputError, match="digits is streamed from disk, and the classifier is trained with data in"):
        digit_classifier(source)
