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
from jaxgen.models.labels import one_hot
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
    """A classifier of real digits; it is right about 99 % of the test digits."""
    return SVC(gamma=0.05, C=10).fit(vectors(DIGITS["image"] / 255.0), DIGITS["label"])


def vectors(images: Any) -> np.ndarray:
    return np.asarray(images).reshape(-1, 64)


def small(**choices: Any) -> tuple[Model, State, Batch]:
    """A model of three classes as it starts, and a batch for it."""
    rng = np.random.default_rng(0)
    batch = {"image": rng.integers(0, 256, (4, 8, 8, 1), np.uint8), "label": np.array([0, 1, 2, 0], np.int32)}
    model = build(Config(**({"hidden": (16,), "width": 4, "latent": 2} | choices)), batch)
    return model, model.init(jax.random.key(0), batch), batch


def under_every_label(model: Model, state: State, batch: Batch, classes: int) -> np.ndarray:
    """The code of each example, decoded as a member of every class."""
    assert model.encode is not None
    assert model.decode is not None
    code = model.encode(state, batch)
    return np.stack([model.decode(state, code, label=label) for label in range(classes)], axis=1)


def test_samples_are_of_the_class_that_was_asked_for(trained: tuple[Model, State], classifier: SVC) -> None:
    model, state = trained
    labels = np.repeat(np.arange(10), 50)
    samples = model.sample(jax.random.key(1), state, 500, label=labels)
    assert np.mean(classifier.predict(vectors(samples)) == labels) >= 0.9
    sevens = model.sample(jax.random.key(2), state, 100, label=7)
    assert np.mean(classifier.predict(vectors(sevens)) == 7) >= 0.9


def test_the_code_of_an_example_under_another_label_is_of_that_class(
    trained: tuple[Model, State], classifier: SVC
) -> None:
    images = under_every_label(*trained, TEST, 10)
    predicted = classifier.predict(vectors(images)).reshape(len(TEST["label"]), 10)
    assert np.mean(predicted == np.arange(10)) >= 0.9


def test_the_code_says_what_the_label_does_not(trained: tuple[Model, State]) -> None:
    model, state = trained
    code = np.asarray(model.encode(state, TEST))
    neighbour = np.empty(len(code), int)  # another example of the same class
    for label in range(10):
        members = np.flatnonzero(TEST["label"] == label)
        neighbour[members] = np.roll(members, 1)

    def error(codes: np.ndarray) -> float:
        images = model.decode(state, codes, label=TEST["label"])
        return float(np.mean((np.asarray(images) - TEST["image"] / 255.0) ** 2))

    assert error(code) < 0.9 * error(code[neighbour])


@pytest.mark.parametrize("architecture", ["mlp", "conv"])
def test_the_code_under_the_true_label_is_the_reconstruction(architecture: str) -> None:
    model, state, batch = small(architecture=architecture)
    images = under_every_label(model, state, batch, 3)
    own = images[np.arange(4), batch["label"]]
    np.testing.assert_allclose(own, model.reconstruct(state, batch), rtol=1e-6)
    others = images[np.arange(4), (batch["label"] + 1) % 3]
    assert np.all(np.abs(own - others).max(axis=(1, 2, 3)) > 1e-3)


@pytest.mark.parametrize("architecture", ["linear", "mlp", "conv"])
def test_the_encoder_is_told_the_label(architecture: str) -> None:
    model, state, batch = small(architecture=architecture)
    other = batch | {"label": (batch["label"] + 1) % 3}
    assert np.all(np.abs(model.encode(state, batch) - model.encode(state, other)).max(axis=1) > 1e-4)


def test_a_draw_of_the_posterior_is_told_the_label() -> None:
    model, state, batch = small(architecture="linear")
    layer = jax.tree.map(np.float64, state.params["encoder"]["Dense_0"])
    x = np.concatenate([np.asarray(batch["image"]).reshape(4, 64) / 255.0, np.eye(3)[batch["label"]]], axis=1)
    mean, log_var = np.split(x @ layer["kernel"] + layer["bias"], 2, axis=1)
    keys = jax.random.split(jax.random.key(3), 20_000)
    draws = np.float64(jax.vmap(lambda key: model.posterior(key, state, batch))(keys))
    deviation, error = np.exp(log_var / 2), 5 / math.sqrt(len(keys))
    np.testing.assert_array_less(np.abs(draws.mean(axis=0) - mean), error * deviation)
    np.testing.assert_array_less(np.abs(draws.std(axis=0) / deviation - 1), error / math.sqrt(2))


def test_without_label_samples_go_through_the_classes() -> None:
    model, state, _ = small()
    samples = model.sample(jax.random.key(1), state, 7)
    labelled = model.sample(jax.random.key(1), state, 7, label=[0, 1, 2, 0, 1, 2, 0])
    np.testing.assert_array_equal(samples, labelled)
    assert np.any(samples != model.sample(jax.random.key(1), state, 7, label=0))


def test_traced_labels_give_what_known_ones_do() -> None:
    model, state, batch = small()
    code, label = model.encode(state, batch), jnp.asarray(batch["label"])
    decode = jax.jit(lambda state, code, label: model.decode(state, code, label=label))
    np.testing.assert_allclose(decode(state, code, label), model.decode(state, code, label=label), rtol=1e-6)
    sample = jax.jit(lambda key, state, label: model.sample(key, state, 4, label=label))
    known = model.sample(jax.random.key(0), state, 4, label=label)
    np.testing.assert_allclose(sample(jax.random.key(0), state, label), known, rtol=1e-6)
    # A label that the compiled function closes over is known as well.
    np.testing.assert_allclose(
        jax.jit(lambda code: model.decode(state, code, label=label))(code), decode(state, code, label), rtol=1e-6
    )


def test_the_number_of_classes_is_read_off_the_example_that_stands_for_the_data() -> None:
    model = build(Config(), example(DIGITS))
    state = jax.eval_shape(model.init, jax.random.key(0), DIGITS)
    # Pixels and classes enter the encoder; code and classes the decoder.
    assert state.params["encoder"]["Dense_0"]["kernel"].shape == (64 + 10, 400)
    assert state.params["decoder"]["Dense_0"]["kernel"].shape == (20 + 10, 400)


@pytest.mark.parametrize(("label", "wrong"), [(3, 3), (-1, -1), ([0, 1, 2, 9], 9), (np.array([0, 1, -4, 2]), -4)])
def test_labels_outside_the_range_are_refused(label: Any, wrong: int) -> None:
    model, state, batch = small()
    message = f"label {wrong} is outside the range: the 3 classes are 0 to 2"
    with pytest.raises(InputError, match=message):
        model.sample(jax.random.key(0), state, 4, label=label)
    with pytest.raises(InputError, match=message):
        model.decode(state, model.encode(state, batch), label=label)


def test_labels_that_are_no_integers_or_too_few_are_refused() -> None:
    model, state, _ = small()
    with pytest.raises(InputError, match="labels must be integers, got float"):
        model.sample(jax.random.key(0), state, 4, label=1.0)
    with pytest.raises(InputError, match=r"one label or 4 labels for 4 examples, got labels of shape \(3,\)"):
        model.sample(jax.random.key(0), state, 4, label=[0, 1, 2])


def test_data_without_labels_are_refused() -> None:
    model, state, batch = small()
    unlabelled = {"image": batch["image"]}
    for call in (lambda: build(Config(), unlabelled), lambda: model.encode(state, unlabelled)):
        with pytest.raises(InputError, match=r"needs labels, and these data have only \['image'\]"):
            call()


def test_one_hot_agrees_with_rows_of_the_identity() -> None:
    labels = np.random.default_rng(0).integers(0, 5, (3, 4))
    np.testing.assert_array_equal(one_hot(jnp.asarray(labels), 5), np.eye(5)[labels])
    np.testing.assert_array_equal(one_hot(2, 5), np.eye(5)[2])
