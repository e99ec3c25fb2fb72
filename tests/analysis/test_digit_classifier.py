"""Accuracy and confidence of the digit classifier on test digits, single and stacked."""

import os
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.analysis.digit_classifier import DigitClassifier, DigitPrediction, train_digit_classifier
from jaxgen.data import load
from jaxgen.errors import InputError
from jaxgen.metrics.modes import label_coverage
from jaxgen.models.classifier import shift_images
from jaxgen.training.compiler import CPU_OPTIONS

REAL = os.environ.get("JAXGEN_TEST_DATA")
OPTIMIZED = {"xla_backend_optimization_level": 2}
"""Hundreds of steps take less time with the optimizations that `conftest.py` switches off."""

SAMPLES = 26_000
"""Number of images whose modes are counted in the published tables."""


class Trained(NamedTuple):
    """A classifier, its required accuracy, single test digits, and its prediction for stacked ones."""

    classifier: DigitClassifier
    accuracy: float
    digits: dict[str, np.ndarray]
    labels: np.ndarray
    prediction: DigitPrediction


def arrays(*args: Any, **options: Any) -> dict[str, np.ndarray]:
    data = load(*args, data_dir=Path(REAL) if REAL else None, **options)
    assert isinstance(data, dict)
    return data


@pytest.fixture(
    scope="module",
    params=[("digits", 1000, 32, 0.98), *([("mnist", 1200, 16, 0.99)] if REAL else [])],
    ids=lambda param: param[0],
)
def trained(request: pytest.FixtureRequest) -> Trained:
    name, steps, width, accuracy = request.param
    with mock.patch.dict(CPU_OPTIONS, OPTIMIZED):
        classifier = train_digit_classifier(jax.random.key(0), arrays(name), steps=steps, width=width)
    stacked = arrays(f"stacked_{name}", split="test", examples=SAMPLES)
    # Floats in [0, 1], like samples of a model.
    prediction = classifier.predict(stacked["image"].astype(np.float32) / 255)
    return Trained(classifier, accuracy, arrays(name, split="test"), stacked["label"], prediction)


def test_accuracy_on_test_digits(trained: Trained) -> None:
    probabilities = trained.classifier.probabilities(trained.digits["image"])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-5)
    assert np.mean(np.argmax(probabilities, axis=1) == trained.digits["label"]) >= trained.accuracy


def test_mode_coverage_of_real_images_matches_their_labels(trained: Trained) -> None:
    predicted = label_coverage(trained.prediction.labels, 1000)
    true = label_coverage(jnp.asarray(trained.labels), 1000)
    assert int(predicted.covered) == 1000
    assert float(predicted.kl) == pytest.approx(float(true.kl), abs=0.005)
    assert float(predicted.kl) < 0.04
    # A label is correct if each of the three digits is.
    assert np.mean(trained.prediction.labels == trained.labels) >= trained.accuracy**3


def test_mean_confidence_is_near_the_accuracy(trained: Trained) -> None:
    correct = np.asarray(trained.prediction.labels) == trained.labels
    confidence = np.asarray(trained.prediction.confidence)
    assert np.mean(confidence) == pytest.approx(np.mean(correct), abs=0.05)
    assert np.mean(correct[confidence >= 0.9]) > np.mean(correct)


def test_superimposed_digits_have_lower_confidence(trained: Trained) -> None:
    real = float(np.mean(trained.prediction.confidence >= 0.9))
    rng = np.random.default_rng(0)
    superimposed = trained.digits["image"][rng.integers(0, len(trained.digits["image"]), (2, 600))].mean(axis=0) / 255
    stacked = jnp.asarray(superimposed.reshape(200, 3, *superimposed.shape[1:3]).transpose(0, 2, 3, 1), jnp.float32)
    prediction = trained.classifier.predict(stacked)
    coverage = label_coverage(prediction.labels, 1000, confidence=prediction.confidence)
    assert float(coverage.high_quality) < 0.7 * real


def test_stacked_prediction_matches_single_digits_per_channel(trained: Trained) -> None:
    singles = trained.digits["image"][:60]
    probabilities = np.asarray(trained.classifier.probabilities(singles), np.float64).reshape(20, 3, 10)
    a, b, c = probabilities.argmax(axis=2).T
    stacked = singles[..., 0].reshape(20, 3, *singles.shape[1:3]).transpose(0, 2, 3, 1)
    for images in (stacked, jnp.float32(stacked) / 255):
        prediction = trained.classifier.predict(images)
        assert prediction.labels.tolist() == (100 * a + 10 * b + c).tolist()
        np.testing.assert_allclose(prediction.confidence, probabilities.max(axis=2).prod(axis=1), rtol=1e-4)


def test_random_shifts_are_at_most_a_sixteenth_and_all_occur() -> None:
    dot = jnp.zeros((500, 28, 28, 1)).at[:, 10, 20].set(1.0)
    shifted = np.asarray(shift_images(jax.random.key(0), dot, max_shift=2))
    _, rows, columns, _ = np.nonzero(shifted)
    assert len(rows) == 500
    assert {*zip(rows - 10, columns - 20, strict=True)} == {(i, j) for i in range(-2, 3) for j in range(-2, 3)}


@pytest.mark.parametrize(
    ("digits", "message"),
    [
        ({"image": np.zeros((9, 8, 8, 1), np.uint8)}, "grayscale images 'image' and their 'label', got"),
        ({"point": np.zeros((9, 2)), "label": np.zeros(9, int)}, "grayscale images 'image' and their 'label', got"),
        ({"image": np.zeros((9, 8, 8, 3), np.uint8), "label": np.zeros(9, int)}, r"got .*\(9, 8, 8, 3\)"),
        (
            {"image": np.zeros((9, 8, 8, 1), np.uint8), "label": np.arange(9) + 5},
            "labels must be from 0 to 9, got 5 to 13",
        ),
    ],
)
def test_invalid_training_digits_raise(digits: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(InputError, match=message):
        train_digit_classifier(jax.random.key(0), digits, steps=1)


@pytest.mark.parametrize("shape", [(5, 8, 8), (5, 8, 8, 2), (0, 8, 8, 3)])
def test_images_of_invalid_shape_raise(shape: tuple[int, ...]) -> None:
    classifier = DigitClassifier(None, {})
    with pytest.raises(ValueError, match=r"images must be \[n, height, width, 3\] with n > 0, got"):
        classifier.predict(np.zeros(shape))
    with pytest.raises(ValueError, match=r"images must be \[n, height, width, 1\] with n > 0, got"):
        classifier.probabilities(np.zeros(shape))
