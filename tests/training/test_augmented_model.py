"""Augmentation of the training data of any model."""

import jax
import numpy as np

from jaxgen.data import load
from jaxgen.training import augmented, fit
from jaxgen.training.seeds import seed_keys
from tests.small_runs import LinearConfig, build_linear

DIGITS = load("digits")


def invert(key, batch):
    """The negative of each image, for half of the keys."""
    negative = jax.random.bernoulli(key)
    return {**batch, "image": jax.lax.select(negative, 255 - batch["image"], batch["image"])}


def test_step_receives_changed_batches_in_all_phases():
    seen = []

    def record(key, batch):
        jax.debug.callback(lambda x: seen.append(float(x)), batch["image"].mean())
        return {**batch, "image": 0 * batch["image"]}

    model = augmented(build_linear(LinearConfig(change=2), DIGITS), record)
    result = fit(model, DIGITS, key=jax.random.key(0), steps=4, batch_size=8)
    assert len(seen) >= 4
    assert min(seen) > 10  # The images before the change.
    plain = fit(
        build_linear(LinearConfig(change=2), DIGITS),
        {**DIGITS, "image": 0 * DIGITS["image"]},
        key=jax.random.key(0),
        steps=4,
        batch_size=8,
    )
    jax.tree.map(np.testing.assert_array_equal, result.state, plain.state)


def test_keys_differ_from_step_to_step_and_are_the_same_after_a_resumption():
    model = augmented(build_linear(LinearConfig(), DIGITS), invert)
    options = {"key": seed_keys(0, 2), "batch_size": 8}
    whole = fit(model, DIGITS, steps=20, **options)
    plain = fit(build_linear(LinearConfig(), DIGITS), DIGITS, steps=20, **options)
    losses, unchanged = whole.history["net/loss"], plain.history["net/loss"]
    first = losses[:, 0] != unchanged[:, 0]
    half = fit(model, DIGITS, steps=10, **options)
    resumed = fit(model, DIGITS, steps=20, state=half.state, first_step=10, **options)
    jax.tree.map(np.testing.assert_array_equal, resumed.state, whole.state)
    np.testing.assert_array_equal(resumed.history["net/loss"], losses[:, 10:])
    assert first.any() or (losses[:, 1:] != unchanged[:, 1:]).any()


def test_evaluation_and_encoding_are_those_of_the_model():
    model = build_linear(LinearConfig(), DIGITS)
    changed = augmented(model, invert)
    assert (changed.evaluate, changed.encode, changed.sample) == (model.evaluate, model.encode, model.sample)
