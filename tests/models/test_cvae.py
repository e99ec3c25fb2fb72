import math
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.svm import SVC

from jaxgen.data import example, load
from jaxgen.errors import InputError
from jaxgen.game import Model, State
from jaxgen.models.cvae import Config, build
from jaxgen.training.loop import fit
from jaxgen.typing import Batch
from tests.models.random_states import random_state

DIGITS = load("digits")
TEST = load("digits", split="test")


@pytest.fixture(scope="module")
def trained() -> tuple[Model, State]:
    model = build(Config(latent_dim=8, learning_rate=3e-3), DIGITS)
    return model, fit(model, DIGITS, key=jax.random.key(0), steps=200, batch_size=128).state


@pytest.fixture(scope="module")
def latent(trained: tuple[Model, State]) -> np.ndarray:
    """Return the latents of the test digits."""
    model, state = trained
    return np.asarray(jax.jit(model.encode)(state, TEST))


@pytest.fixture(scope="module")
def classifier() -> SVC:
    """Return a classifier of real digits, with a test accuracy of about 99 %."""
    return SVC(gamma=0.05, C=10).fit(vectors(DIGITS["image"] / 255.0), DIGITS["label"])


def vectors(images: Any) -> np.ndarray:
    return np.asarray(images).reshape(-1, 64)


@cache
def small(architecture: str = "mlp") -> tuple[Model, State, Batch]:
    """Return a model of three classes, a state with random parameters, and a batch for it."""
    rng = np.random.default_rng(0)
    batch = {"image": rng.integers(0, 256, (4, 8, 8, 1), np.uint8), "label": np.array([0, 1, 2, 0], np.int32)}
    model = build(Config(architecture=architecture, hidden=(16,), width=4, latent_dim=2), batch)
    return model, random_state(model, batch, scale=0.3), batch


def decoded_under_every_label(model: Model, state: State, latent: Any, classes: int) -> np.ndarray:
    """Return the decoded latent of each example with every label, `[examples, classes, ...]`."""
    assert model.decode is not None
    n = len(latent)
    images = model.decode(state, jnp.repeat(latent, classes, axis=0), label=np.tile(np.arange(classes), n))
    return images.reshape(n, classes, *images.shape[1:])


def test_samples_are_classified_as_their_label(trained: tuple[Model, State], classifier: SVC) -> None:
    model, state = trained
    labels = np.repeat(np.arange(10), 50)

    @jax.jit
    def compute() -> tuple[jax.Array, jax.Array]:
        samples = model.sample(jax.random.key(1), state, 500, label=labels)
        return samples, model.sample(jax.random.key(2), state, 100, label=7)

    samples, sevens = compute()
    assert np.mean(classifier.predict(vectors(samples)) == labels) >= 0.9
    assert np.mean(classifier.predict(vectors(sevens)) == 7) >= 0.9


def test_latents_decoded_with_another_label_are_classified_as_that_label(
    trained: tuple[Model, State], latent: np.ndarray, classifier: SVC
) -> None:
    images = jax.jit(lambda: decoded_under_every_label(*trained, latent, 10))()
    predicted = classifier.predict(vectors(images)).reshape(len(TEST["label"]), 10)
    assert np.mean(predicted == np.arange(10)) >= 0.9


def test_latent_carries_information_that_the_label_does_not(trained: tuple[Model, State], latent: np.ndarray) -> None:
    model, state = trained
    other = np.empty(len(latent), int)  # Another example of the same class.
    for label in range(10):
        members = np.flatnonzero(TEST["label"] == label)
        other[members] = np.roll(members, 1)

    decode = jax.jit(lambda latent: model.decode(state, latent, label=TEST["label"]))

    def error(latent: np.ndarray) -> float:
        images = decode(latent)
        return float(np.mean((np.asarray(images) - TEST["image"] / 255.0) ** 2))

    assert error(latent) < 0.9 * error(latent[other])


@pytest.mark.parametrize("architecture", ["mlp", "conv"])
def test_latent_decoded_with_true_label_is_the_reconstruction(architecture: str) -> None:
    model, state, batch = small(architecture)

    @jax.jit
    def compute() -> tuple[jax.Array, jax.Array]:
        images = decoded_under_every_label(model, state, model.encode(state, batch), 3)
        return images, model.reconstruct(state, batch)

    images, reconstruction = map(np.asarray, compute())
    own = images[np.arange(4), batch["label"]]
    np.testing.assert_allclose(own, reconstruction, rtol=1e-6)
    others = images[np.arange(4), (batch["label"] + 1) % 3]
    assert np.all(np.abs(own - others).max(axis=(1, 2, 3)) > 1e-3)


@pytest.mark.parametrize("architecture", ["linear", "mlp", "conv"])
def test_encoder_depends_on_the_label(architecture: str) -> None:
    model, state, batch = small(architecture)
    encode = jax.jit(model.encode)
    other = batch | {"label": (batch["label"] + 1) % 3}
    assert np.all(np.abs(np.asarray(encode(state, batch)) - encode(state, other)).max(axis=1) > 1e-4)


def test_sample_posterior_has_mean_and_variance_given_the_label() -> None:
    model, state, batch = small("linear")
    layer = jax.tree.map(np.float64, state.params["encoder"]["Dense_0"])
    x = np.concatenate([np.asarray(batch["image"]).reshape(4, 64) / 255.0, np.eye(3)[batch["label"]]], axis=1)
    mean, log_var = np.split(x @ layer["kernel"] + layer["bias"], 2, axis=1)
    keys = jax.random.split(jax.random.key(3), 20_000)
    draws = np.float64(jax.jit(jax.vmap(lambda key: model.sample_posterior(key, state, batch)))(keys))
    deviation, error = np.exp(log_var / 2), 5 / math.sqrt(len(keys))
    np.testing.assert_array_less(np.abs(draws.mean(axis=0) - mean), error * deviation)
    np.testing.assert_array_less(np.abs(draws.std(axis=0) / deviation - 1), error / math.sqrt(2))


def test_samples_without_label_cycle_through_the_classes() -> None:
    model, state, _ = small()
    key, labels = jax.random.key(1), ({}, {"label": [0, 1, 2, 0, 1, 2, 0]}, {"label": 0})
    samples, labelled, zeros = jax.jit(lambda: [model.sample(key, state, 7, **label) for label in labels])()
    np.testing.assert_array_equal(samples, labelled)
    assert np.any(np.asarray(samples) != zeros)


def test_traced_labels_give_the_results_of_known_labels() -> None:
    model, state, batch = small()
    latent, label = np.random.default_rng(1).normal(size=(4, 2)).astype(np.float32), jnp.asarray(batch["label"])
    decode = jax.jit(lambda state, latent, label: model.decode(state, latent, label=label))
    np.testing.assert_allclose(decode(state, latent, label), model.decode(state, latent, label=label), rtol=1e-6)
    sample = jax.jit(lambda key, state, label: model.sample(key, state, 4, label=label))
    known = model.sample(jax.random.key(0), state, 4, label=label)
    np.testing.assert_allclose(sample(jax.random.key(0), state, label), known, rtol=1e-6)
    # A label in the closure of a compiled function is not traced.
    np.testing.assert_allclose(
        jax.jit(lambda latent: model.decode(state, latent, label=label))(latent),
        decode(state, latent, label),
        rtol=1e-6,
    )


def test_number_of_classes_is_that_of_the_example() -> None:
    model = build(Config(), example(DIGITS))
    state = jax.eval_shape(model.init, jax.random.key(0), DIGITS)
    # The inputs of the encoder are pixels and classes, those of the decoder latent and classes.
    assert state.params["encoder"]["Dense_0"]["kernel"].shape == (64 + 10, 400)
    assert state.params["decoder"]["Dense_0"]["kernel"].shape == (20 + 10, 400)


@pytest.mark.parametrize(("label", "wrong"), [(3, 3), (-1, -1), ([0, 1, 2, 9], 9), (np.array([0, 1, -4, 2]), -4)])
def test_labels_outside_the_range_raise_input_error(label: Any, wrong: int) -> None:
    model, state, _ = small()
    message = f"label must be from 0 to 2, as there are 3 classes, got {wrong}"
    with pytest.raises(InputError, match=message):
        model.sample(jax.random.key(0), state, 4, label=label)
    with pytest.raises(InputError, match=message):
        model.decode(state, np.zeros((4, 2), np.float32), label=label)


def test_non_integer_labels_and_wrong_number_of_labels_raise_input_error() -> None:
    model, state, _ = small()
    with pytest.raises(InputError, match="label must be an integer, got float"):
        model.sample(jax.random.key(0), state, 4, label=1.0)
    with pytest.raises(InputError, match=r"label must be one label or 4 labels for 4 examples, got shape \(3,\)"):
        model.sample(jax.random.key(0), state, 4, label=[0, 1, 2])


def test_data_without_labels_raise_input_error() -> None:
    model, state, batch = small()
    unlabelled = {"image": batch["image"]}
    for call in (lambda: build(Config(), unlabelled), lambda: model.encode(state, unlabelled)):
        with pytest.raises(InputError, match=r"must have labels for this model, got only \['image'\]"):
            call()
