import math
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

DIGITS = load("digits")
TEST = load("digits", split="test")


@pytest.fixture(scope="module")
def trained() -> tuple[Model, State]:
    model = build(Config(latent_dim=8, learning_rate=3e-3), DIGITS)
    return model, fit(model, DIGITS, key=jax.random.key(0), steps=200, batch_size=128).state


@pytest.fixture(scope="module")
def classifier() -> SVC:
    """Return a classifier of real digits, with a test accuracy of about 99 %."""
    return SVC(gamma=0.05, C=10).fit(vectors(DIGITS["image"] / 255.0), DIGITS["label"])


def vectors(images: Any) -> np.ndarray:
    return np.asarray(images).reshape(-1, 64)


def small(**options: Any) -> tuple[Model, State, Batch]:
    """Return a model of three classes, its initial state, and a batch for it."""
    rng = np.random.default_rng(0)
    batch = {"image": rng.integers(0, 256, (4, 8, 8, 1), np.uint8), "label": np.array([0, 1, 2, 0], np.int32)}
    model = build(Config(**({"hidden": (16,), "width": 4, "latent_dim": 2} | options)), batch)
    return model, jax.jit(model.init)(jax.random.key(0), batch), batch


def under_every_label(model: Model, state: State, batch: Batch, classes: int) -> np.ndarray:
    """Return the decoded latent of each example with every label, `[examples, classes, ...]`."""
    assert model.encode is not None
    assert model.decode is not None
    latent = model.encode(state, batch)
    return np.stack([model.decode(state, latent, label=label) for label in range(classes)], axis=1)


def test_samples_are_classified_as_their_label(trained: tuple[Model, State], classifier: SVC) -> None:
    model, state = trained
    labels = np.repeat(np.arange(10), 50)
    samples = model.sample(jax.random.key(1), state, 500, label=labels)
    assert np.mean(classifier.predict(vectors(samples)) == labels) >= 0.9
    sevens = model.sample(jax.random.key(2), state, 100, label=7)
    assert np.mean(classifier.predict(vectors(sevens)) == 7) >= 0.9


def test_latents_decoded_with_another_label_are_classified_as_that_label(
    trained: tuple[Model, State], classifier: SVC
) -> None:
    images = under_every_label(*trained, TEST, 10)
    predicted = classifier.predict(vectors(images)).reshape(len(TEST["label"]), 10)
    assert np.mean(predicted == np.arange(10)) >= 0.9


def test_latent_carries_information_that_the_label_does_not(trained: tuple[Model, State]) -> None:
    model, state = trained
    latent = np.asarray(model.encode(state, TEST))
    other = np.empty(len(latent), int)  # Another example of the same class.
    for label in range(10):
        members = np.flatnonzero(TEST["label"] == label)
        other[members] = np.roll(members, 1)

    def error(latent: np.ndarray) -> float:
        images = model.decode(state, latent, label=TEST["label"])
        return float(np.mean((np.asarray(images) - TEST["image"] / 255.0) ** 2))

    assert error(latent) < 0.9 * error(latent[other])


@pytest.mark.parametrize("architecture", ["mlp", "conv"])
def test_latent_decoded_with_true_label_is_the_reconstruction(architecture: str) -> None:
    model, state, batch = small(architecture=architecture)
    images = under_every_label(model, state, batch, 3)
    own = images[np.arange(4), batch["label"]]
    np.testing.assert_allclose(own, model.reconstruct(state, batch), rtol=1e-6)
    others = images[np.arange(4), (batch["label"] + 1) % 3]
    assert np.all(np.abs(own - others).max(axis=(1, 2, 3)) > 1e-3)


@pytest.mark.parametrize("architecture", ["linear", "mlp", "conv"])
def test_encoder_depends_on_the_label(architecture: str) -> None:
    model, state, batch = small(architecture=architecture)
    other = batch | {"label": (batch["label"] + 1) % 3}
    assert np.all(np.abs(model.encode(state, batch) - model.encode(state, other)).max(axis=1) > 1e-4)


def test_sample_posterior_has_mean_and_variance_given_the_label() -> None:
    model, state, batch = small(architecture="linear")
    layer = jax.tree.map(np.float64, state.params["encoder"]["Dense_0"])
    x = np.concatenate([np.asarray(batch["image"]).reshape(4, 64) / 255.0, np.eye(3)[batch["label"]]], axis=1)
    mean, log_var = np.split(x @ layer["kernel"] + layer["bias"], 2, axis=1)
    keys = jax.random.split(jax.random.key(3), 20_000)
    draws = np.float64(jax.vmap(lambda key: model.sample_posterior(key, state, batch))(keys))
    deviation, error = np.exp(log_var / 2), 5 / math.sqrt(len(keys))
    np.testing.assert_array_less(np.abs(draws.mean(axis=0) - mean), error * deviation)
    np.testing.assert_array_less(np.abs(draws.std(axis=0) / deviation - 1), error / math.sqrt(2))


def test_samples_without_label_cycle_through_the_classes() -> None:
    model, state, _ = small()
    samples = model.sample(jax.random.key(1), state, 7)
    labelled = model.sample(jax.random.key(1), state, 7, label=[0, 1, 2, 0, 1, 2, 0])
    np.testing.assert_array_equal(samples, labelled)
    assert np.any(samples != model.sample(jax.random.key(1), state, 7, label=0))


def test_traced_labels_give_the_results_of_known_labels() -> None:
    model, state, batch = small()
    latent, label = model.encode(state, batch), jnp.asarray(batch["label"])
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
    model, state, batch = small()
    message = f"label must be from 0 to 2, as there are 3 classes, got {wrong}"
    with pytest.raises(InputError, match=message):
        model.sample(jax.random.key(0), state, 4, label=label)
    with pytest.raises(InputError, match=message):
        model.decode(state, model.encode(state, batch), label=label)


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
