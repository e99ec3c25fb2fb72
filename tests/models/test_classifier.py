"""The classifier on digits against scikit-learn's metrics, and the augmentation against NumPy."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.metrics import accuracy_score, log_loss

from jaxgen.data import load
from jaxgen.errors import InputError
from jaxgen.game import Model, State
from jaxgen.models.classifier import Config, build, shift_images
from jaxgen.training.loop import fit

DIGITS, TEST = load("digits"), load("digits", split="test")


@pytest.fixture(scope="module")
def trained() -> tuple[Model, State]:
    model = build(Config(architecture="mlp", hidden=(32,), learning_rate=1e-2), DIGITS)
    return model, fit(model, DIGITS, key=jax.random.key(0), steps=300, batch_size=64).state


def test_training_on_digits_reaches_test_accuracy_above_ninety_percent(trained: tuple[Model, State]) -> None:
    model, state = trained
    metrics = jax.jit(model.evaluate)(jax.random.key(0), state, TEST)
    assert float(metrics["accuracy"].mean()) > 0.9


def test_evaluation_matches_scikit_learn(trained: tuple[Model, State]) -> None:
    model, state = trained
    logits = np.float64(model.predict(state, TEST))
    assert logits.shape == (len(TEST["label"]), 10)
    metrics = model.evaluate(jax.random.key(0), state, TEST)
    assert set(metrics) == {"accuracy", "cross_entropy"}
    assert set(np.unique(metrics["accuracy"])) <= {0.0, 1.0}
    assert float(metrics["accuracy"].mean()) == pytest.approx(accuracy_score(TEST["label"], logits.argmax(axis=1)))
    expected = -log_softmax(logits, axis=1)[np.arange(len(logits)), TEST["label"]]
    np.testing.assert_allclose(metrics["cross_entropy"], expected, rtol=1e-4, atol=1e-6)
    probabilities = np.exp(log_softmax(logits, axis=1))
    mean = float(metrics["cross_entropy"].mean())
    assert mean == pytest.approx(log_loss(TEST["label"], probabilities, labels=np.arange(10)), rel=1e-4)


def test_loss_is_the_mean_cross_entropy_of_the_batch(trained: tuple[Model, State]) -> None:
    model, state = trained
    loss, (stats, metrics) = model.players[0].loss(jax.random.key(0), state.params, state, TEST)
    evaluation = model.evaluate(jax.random.key(1), state, TEST)
    assert float(loss) == pytest.approx(float(evaluation["cross_entropy"].mean()), rel=1e-5)
    assert float(metrics["accuracy"]) == pytest.approx(float(evaluation["accuracy"].mean()), rel=1e-5)
    assert stats == {}


def test_linear_classifier_on_points_learns_separable_classes() -> None:
    label = np.arange(120, dtype=np.int32) % 3
    centers = np.array([[0.0, 2.0], [2.0, -1.0], [-2.0, -1.0]])
    noise = 0.3 * np.random.default_rng(0).normal(size=(120, 2))
    points = {"point": (centers[label] + noise).astype(np.float32), "label": label}
    model = build(Config(hidden=(), learning_rate=0.1), points)
    state = fit(model, points, key=jax.random.key(0), steps=50, batch_size=60).state
    assert np.array_equal(np.argmax(model.predict(state, points), axis=1), label)


@pytest.mark.parametrize("max_shift", [0, 1, 3])
def test_shifts_match_roll_of_padded_images(max_shift: int) -> None:
    images = np.random.default_rng(0).uniform(0.1, 1.0, (200, 5, 6, 2)).astype(np.float32)
    shifted = np.asarray(shift_images(jax.random.key(0), images, max_shift=max_shift))
    found = set()
    for image, result in zip(images, shifted, strict=True):
        padded = np.pad(image, [(max_shift, max_shift), (max_shift, max_shift), (0, 0)])
        matches = [
            (down, right)
            for down in range(-max_shift, max_shift + 1)
            for right in range(-max_shift, max_shift + 1)
            if np.array_equal(
                result,
                np.roll(padded, (down, right), axis=(0, 1))[max_shift : max_shift + 5, max_shift : max_shift + 6],
            )
        ]
        assert len(matches) == 1
        found.update(matches)
    assert len(found) == (2 * max_shift + 1) ** 2  # All shifts occur.
    np.testing.assert_array_equal(shifted, shift_images(jax.random.key(0), images, max_shift=max_shift))


def test_shifts_apply_to_training_only() -> None:
    model = build(Config(architecture="mlp", hidden=(8,), max_shift=2), DIGITS)
    plain = build(Config(architecture="mlp", hidden=(8,)), DIGITS)
    state = jax.jit(model.init)(jax.random.key(0), TEST)
    np.testing.assert_array_equal(jax.jit(model.predict)(state, TEST), jax.jit(plain.predict)(state, TEST))
    batch = {name: x[:8] for name, x in TEST.items()}
    loss = jax.jit(lambda key: model.players[0].loss(key, state.params, state, batch)[0])
    losses = [loss(jax.random.key(i)) for i in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]


def test_own_augmentation_receives_images_between_zero_and_one() -> None:
    def invert(key: Any, x: jax.Array) -> jax.Array:
        assert float(x.min()) == 0.0
        assert float(x.max()) == 1.0
        return 1.0 - x

    batch = {"image": DIGITS["image"][:8], "label": DIGITS["label"][:8]}
    inverted = batch | {"image": 255 - batch["image"]}
    model, plain = (build(Config(architecture="mlp", hidden=(8,)), DIGITS, augment=a) for a in (invert, None))
    state = plain.init(jax.random.key(0), batch)
    expected, _ = plain.players[0].loss(jax.random.key(1), state.params, state, inverted)
    found, _ = model.players[0].loss(jax.random.key(1), state.params, state, batch)
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize(
    ("options", "example", "message"),
    [
        ({"architecture": "cnn"}, TEST, "there is no architecture 'cnn'"),
        ({"hidden": (0,)}, TEST, "hidden must be positive and finite, got 0"),
        ({"max_shift": -1}, TEST, "max_shift must be finite and not negative, got -1"),
        ({"learning_rate": 0.0}, TEST, "learning_rate must be positive and finite, got 0.0"),
        ({}, {"image": TEST["image"]}, r"must have labels for this model, got only \['image'\]"),
        ({"max_shift": 1}, {"point": np.zeros((2, 2)), "label": np.arange(2)}, "max_shift is a shift of images"),
        (
            {"architecture": "conv"},
            {"point": np.zeros((2, 2)), "label": np.arange(2)},
            "the architecture 'conv' is for images, and these data are points: choose 'mlp'",
        ),
    ],
)
def test_invalid_options_raise_input_error(options: dict[str, Any], example: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(Config(**options), example)


def test_statistics_are_updated_in_training_and_used_in_evaluation() -> None:
    batch = {name: jnp.asarray(x[:8]) for name, x in DIGITS.items()}
    model = build(Config(architecture="conv", width=4), DIGITS)
    start = jax.jit(model.init)(jax.random.key(0), batch)
    end, _ = jax.jit(model.step)(jax.random.key(1), start, batch)
    pairs = zip(jax.tree.leaves(start.stats), jax.tree.leaves(end.stats), strict=True)
    assert all(np.any(a != b) for a, b in pairs)
    assert jax.tree.leaves(end.stats)
    predict = jax.jit(model.predict)
    with_old = predict(end.replace(stats=start.stats), batch)
    assert np.abs(predict(end, batch) - with_old).max() > 0.01 * np.abs(with_old).max()
    # By running statistics a prediction does not depend on the other examples.
    first = {name: jnp.concatenate([x[:1], x[1:][::-1]]) for name, x in batch.items()}
    np.testing.assert_allclose(predict(end, first)[0], predict(end, batch)[0], rtol=1e-4, atol=1e-7)
