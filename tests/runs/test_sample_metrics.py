"""What samples are worth: real pictures as samples have the numbers that theory gives them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import sqrtm

from jaxgen.data import load
from jaxgen.game import Model
from jaxgen.models.preprocessing import preprocess
from jaxgen.runs import Run, RunConfig, samples
from jaxgen.runs.sample_metrics import class_metrics

TEST = load("digits", split="test")


def sampler(images, *, seeds=None, state=None):
    """A run with digits whose model draws from these pictures, or of several seeds from those of each state."""

    def sample(key, state, n):
        chosen = images if state is None else images[state]
        return preprocess({"image": chosen[jax.random.randint(key, (n,), 0, len(chosen))]})

    config = RunConfig(model_config=None, data="digits", seeds=seeds)
    return Run(None, "any", config, {"image": images[:1]}, Model(None, None, sample), state, 0, {}, ())


def test_real_pictures_are_found_in_all_classes_and_near_the_real_ones():
    found = class_metrics(sampler(jnp.asarray(TEST["image"])), jax.random.key(0), count=2500)
    assert found["modes"] == 10
    assert found["mode_kl"] < 0.02
    assert found["high_quality"] > 0.95
    without = jnp.asarray(TEST["image"][TEST["label"] != 7])
    lacking = class_metrics(sampler(without), jax.random.key(0), count=2500)
    # A misread picture covers the class that is left out; its share is gone all the same.
    assert lacking["mode_kl"] - found["mode_kl"] == pytest.approx(np.log(10 / 9), abs=0.03)
    assert lacking["frechet_distance"] > 5 * found["frechet_distance"]


def test_the_distance_is_that_of_the_matrix_square_root():
    """Heusel et al. 2017, equation 6, in float64, between the logits of real pictures and the first classes."""
    run = sampler(jnp.asarray(TEST["image"][TEST["label"] < 4]))
    key = jax.random.key(2)
    found = class_metrics(run, key, count=200)
    classifier = samples.digit_classifier_of("digits", None, None)
    drawn = run.sample(jax.random.fold_in(key, 0), 200)
    real, fake = (np.asarray(classifier.logits(images), np.float64) for images in (TEST["image"], drawn))
    covariances = [np.cov(logits, rowvar=False) for logits in (real, fake)]
    root = sqrtm(covariances[0] @ covariances[1]).real
    expected = np.square(real.mean(axis=0) - fake.mean(axis=0)).sum() + np.trace(sum(covariances) - 2 * root)
    assert found["frechet_distance"] == pytest.approx(expected, rel=1e-3)


def test_one_picture_over_and_over_is_one_mode():
    found = class_metrics(sampler(jnp.asarray(TEST["image"][:1])), jax.random.key(0), count=50)
    assert (found["modes"], found["high_quality"]) == (1, 1)
    assert found["mode_kl"] == pytest.approx(np.log(10), abs=1e-5)


def test_each_seed_is_judged_for_itself():
    images = jnp.stack([jnp.asarray(TEST["image"][TEST["label"] == digit][:20]) for digit in (3, 5)])
    both = class_metrics(sampler(images, seeds=2, state=jnp.array([1, 0])), jax.random.key(1), count=100)
    alone = class_metrics(sampler(images[1]), jax.random.key(1), count=100)
    for name, value in alone.items():
        assert both[name].shape == (2,)
        assert both[name][0] == pytest.approx(float(value), rel=1e-5)
