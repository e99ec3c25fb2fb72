"""Classifier metrics of runs whose samples are real images, for which the values are known."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.data import load
from jaxgen.errors import InputError
from jaxgen.game import Model
from jaxgen.metrics.extractors import load_extractor
from jaxgen.models.preprocessing import preprocess
from jaxgen.runs import Run, RunConfig
from jaxgen.runs.classifier_metrics import classifier_metrics
from jaxgen.runs.sample_evaluation import evaluate_samples
from jaxgen.training.chunk import Divergence

TEST = load("digits", split="test")


def image_run(images, *, seeds=None, state=None, data="digits", diverged=()):
    """A run on digits that samples from these images, for several seeds from those with the number in the state."""
    images = images if seeds is not None else images[None]
    state = jnp.zeros(1, int) if state is None else state

    def sample(key, state, n):
        chosen = images[state]
        return preprocess({"image": chosen[jax.random.randint(key, (n,), 0, len(chosen))]})

    config = RunConfig(None, data=data, seeds=seeds)
    model = Model(None, None, (), sample=sample)
    where = {number: Divergence(1, "any", "loss") for number in diverged}
    return Run(Path("absent"), "any", config, {"image": np.asarray(images[0, :1])}, model, state, 0, where, ())


def distance_name(count):
    return f"frechet_distance[digits_v1, none, n=360/{count}, split=digits:test]"


def test_real_images_cover_all_classes_and_are_near_the_test_split():
    found = classifier_metrics(image_run(jnp.asarray(TEST["image"])), jax.random.key(0), count=2500)
    assert set(found) == {"modes", "high_quality", "mode_kl_all", distance_name(2500)}
    assert found["modes"] == 10
    assert found["mode_kl_all"] < 0.02
    assert found["high_quality"] > 0.95
    without = jnp.asarray(TEST["image"][TEST["label"] != 7])
    lacking = classifier_metrics(image_run(without), jax.random.key(0), count=2500)
    # A misclassified image covers the class that is left out; its share is missing nevertheless.
    assert lacking["mode_kl_all"] - found["mode_kl_all"] == pytest.approx(np.log(10 / 9), abs=0.03)
    assert lacking[distance_name(2500)] > 5 * found[distance_name(2500)]


def test_the_distance_is_that_of_jaxgen_evaluate():
    run, key = image_run(jnp.asarray(TEST["image"][TEST["label"] < 4])), jax.random.key(2)
    extractor = load_extractor("digits_v1")
    expected = evaluate_samples(run, key, ["fid"], extractor, count=200, split="test")
    assert classifier_metrics(run, key, count=200)[distance_name(200)] == pytest.approx(
        expected[distance_name(200)], rel=1e-6
    )


def test_one_image_repeated_is_one_mode():
    found = classifier_metrics(image_run(jnp.asarray(TEST["image"][:1])), jax.random.key(0), count=100)
    assert (found["modes"], found["high_quality"]) == (1, 1)
    assert found["mode_kl_all"] == pytest.approx(np.log(10), abs=1e-5)


def test_each_seed_is_measured_separately_and_diverged_ones_have_no_values():
    images = jnp.stack([jnp.asarray(TEST["image"][TEST["label"] == digit][:20]) for digit in (3, 5)])
    run = image_run(images, seeds=3, state=jnp.array([1, 0, 0]), diverged=[1])
    found = classifier_metrics(run, jax.random.key(1), count=100)
    alone = classifier_metrics(image_run(images[1]), jax.random.key(1), count=100)
    assert set(found) == set(alone)
    for name, value in alone.items():
        assert value.shape == (1,)
        assert found[name].shape == (3,)
        assert found[name][0] == pytest.approx(value[0], rel=1e-5)
        assert np.isnan(found[name]).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("data", "size", "got"),
    [("kmnist", 8, "'kmnist' of 8x8"), ("mine.npz", 28, "'mine.npz'"), ("digits", 4, "'digits' of 4x4")],
)
def test_data_without_a_classifier_in_the_package_are_refused(data, size, got):
    run = image_run(jnp.zeros((1, size, size, 1), jnp.uint8), data=data)
    with pytest.raises(InputError, match=f"data must be digits, .*, for which there are classifiers in .* got {got}"):
        classifier_metrics(run, jax.random.key(0), count=10)
