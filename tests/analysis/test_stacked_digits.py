"""Prediction of stacked digits: labels and confidence of real images, channel by channel."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.analysis.stacked_digits import DigitPrediction, predict_stacked_digits, stacked_logits
from jaxgen.data import load
from jaxgen.errors import InputError
from jaxgen.metrics.extractors import load_extractor
from jaxgen.metrics.modes import label_coverage

EXTRACTOR = load_extractor("digits_v1")
SINGLE = load("digits", split="test")

IMAGES = 5000
"""Number of stacked images, of which each of 1,000 modes has five in the mean."""

ACCURACY = 0.98
"""Smallest share of single digits that are predicted correctly."""


class Predicted(NamedTuple):
    """True labels of stacked test digits, and their prediction."""

    labels: np.ndarray
    prediction: DigitPrediction


@pytest.fixture(scope="module")
def predicted() -> Predicted:
    stacked = load("stacked_digits", split="test", examples=IMAGES)
    # Floats in [0, 1], like samples of a model.
    logits = stacked_logits(EXTRACTOR, stacked["image"].astype(np.float32) / 255)
    return Predicted(stacked["label"], predict_stacked_digits(logits))


def test_mode_coverage_of_real_images_matches_their_labels(predicted: Predicted) -> None:
    found = label_coverage(predicted.prediction.labels, 1000)
    true = label_coverage(jnp.asarray(predicted.labels), 1000)
    assert abs(int(found.covered) - int(true.covered)) <= 2
    assert float(found.kl) == pytest.approx(float(true.kl), abs=0.005)
    # A label is correct if each of the three digits is.
    assert np.mean(predicted.prediction.labels == predicted.labels) >= ACCURACY**3


def test_mean_confidence_is_near_the_accuracy(predicted: Predicted) -> None:
    correct = np.asarray(predicted.prediction.labels) == predicted.labels
    confidence = np.asarray(predicted.prediction.confidence)
    assert np.mean(confidence) == pytest.approx(np.mean(correct), abs=0.05)
    assert np.mean(correct[confidence >= 0.9]) > np.mean(correct)


def test_superimposed_digits_have_lower_confidence(predicted: Predicted) -> None:
    rng = np.random.default_rng(0)
    superimposed = SINGLE["image"][rng.integers(0, len(SINGLE["image"]), (2, 600))].mean(axis=0) / 255
    stacked = superimposed.reshape(200, 3, 8, 8).transpose(0, 2, 3, 1).astype(np.float32)
    confidence = predict_stacked_digits(stacked_logits(EXTRACTOR, stacked)).confidence
    assert np.mean(confidence >= 0.9) < 0.7 * np.mean(predicted.prediction.confidence >= 0.9)


def test_stacked_logits_are_those_of_single_digits_per_channel() -> None:
    singles = SINGLE["image"][:60]
    expected = EXTRACTOR(singles).logits.reshape(20, 3, 10)
    stacked = singles[..., 0].reshape(20, 3, 8, 8).transpose(0, 2, 3, 1)
    # A decoder without bounds samples values a little outside of those of an image.
    beyond = np.where(stacked == 255, 1.01, stacked / np.float32(255))
    for images in (stacked, jnp.float32(stacked) / 255, beyond):
        np.testing.assert_allclose(stacked_logits(EXTRACTOR, images), expected, rtol=1e-5, atol=1e-5)


def test_prediction_is_the_most_probable_digit_of_each_channel_with_the_product_of_probabilities() -> None:
    logits = np.random.default_rng(0).normal(scale=3.0, size=(50, 3, 10))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    a, b, c = probabilities.argmax(axis=2).T
    found = predict_stacked_digits(logits.astype(np.float32))
    assert found.labels.tolist() == (100 * a + 10 * b + c).tolist()
    np.testing.assert_allclose(found.confidence, probabilities.max(axis=2).prod(axis=1), rtol=1e-5)


def test_extreme_logits_have_the_confidence_of_their_limit() -> None:
    certain = np.full((1, 3, 10), -1e4, np.float32)
    certain[0, [0, 1, 2], [4, 0, 7]] = 1e4
    found = predict_stacked_digits(np.concatenate([certain, np.full((1, 3, 10), 1e4, np.float32)]))
    assert int(found.labels[0]) == 407
    np.testing.assert_allclose(found.confidence, [1.0, 1e-3], rtol=1e-5)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((5, 8, 8)), r"images must be an array of numbers \[n, height, width, 3\], got float64 of shape"),
        (np.zeros((5, 8, 8, 2)), r"images must be an array of numbers \[n, height, width, 3\], got float64 of shape"),
        (np.zeros((0, 8, 8, 3)), "with n at least 1"),
        (np.zeros((5, 9, 9, 3)), "digits_v1 must be 8x8 where they are not resized, got 9x9"),
        (np.zeros((5, 8, 8, 3), np.int32), "'image' must be uint8 or floats"),
        (np.full((5, 8, 8, 3), np.nan), "must be finite, got NaN"),
    ],
)
def test_images_that_cannot_be_classified_are_refused(images: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        stacked_logits(EXTRACTOR, images)


@pytest.mark.parametrize("shape", [(5, 10), (5, 2, 10), (5, 3, 9)])
def test_logits_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"logits must be an array of numbers \[n, 3, 10\], got"):
        predict_stacked_digits(np.zeros(shape, np.float32))
