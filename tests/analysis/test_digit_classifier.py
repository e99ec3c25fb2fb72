"""The reader on digits it has not seen, alone and stacked."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.analysis.digit_classifier import DigitClassifier, DigitPrediction, _shifted, train_digit_classifier
from jaxgen.data import load
from jaxgen.errors import InputError
from jaxgen.metrics.modes import label_coverage

REAL = os.environ.get("JAXGEN_TEST_DATA")
SAMPLES = 26_000
"""Pictures whose modes were counted in the published tables."""


class Trained(NamedTuple):
    """A reader, the single digits it has not seen, and what it reads where three of them are stacked."""

    classifier: DigitClassifier
    accuracy: float
    digits: dict[str, np.ndarray]
    labels: np.ndarray
    reading: DigitPrediction


def arrays(*args: Any, **options: Any) -> dict[str, np.ndarray]:
    data = load(*args, data_dir=Path(REAL) if REAL else None, **options)
    assert isinstance(data, dict)
    return data


@pytest.fixture(
    scope="module", params=[("digits", 1000, 0.98), *([("mnist", 2000, 0.99)] if REAL else [])], ids=lambda p: p[0]
)
def trained(request: pytest.FixtureRequest) -> Trained:
    name, steps, accuracy = request.param
    classifier = train_digit_classifier(jax.random.key(0), arrays(name), steps=steps)
    stacked = arrays(f"stacked_{name}", split="test", examples=SAMPLES)
    # As a model samples them: floats in [0, 1].
    reading = classifier.read(stacked["image"].astype(np.float32) / 255)
    return Trained(classifier, accuracy, arrays(name, split="test"), stacked["label"], reading)


def test_it_reads_digits_that_it_has_not_seen(trained: Trained) -> None:
    probabilities = trained.classifier.probabilities(trained.digits["image"])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-5)
    assert np.mean(np.argmax(probabilities, axis=1) == trained.digits["label"]) >= trained.accuracy


def test_all_modes_of_real_pictures_are_found_and_nearly_as_often_as_they_are_there(trained: Trained) -> None:
    found = label_coverage(trained.reading.labels, 1000)
    true = label_coverage(jnp.asarray(trained.labels), 1000)
    assert int(found.covered) == 1000
    assert float(found.kl) == pytest.approx(float(true.kl), abs=0.005)
    assert float(found.kl) < 0.04
    # A picture is read right if each of its three digits is.
    assert np.mean(trained.reading.labels == trained.labels) >= trained.accuracy**3


def test_its_confidence_is_near_the_share_that_it_reads_right(trained: Trained) -> None:
    right = np.asarray(trained.reading.labels) == trained.labels
    confidence = np.asarray(trained.reading.confidence)
    assert np.mean(confidence) == pytest.approx(np.mean(right), abs=0.05)
    assert np.mean(right[confidence >= 0.9]) > np.mean(right)


def test_two_digits_laid_over_each_other_are_read_with_less_confidence(trained: Trained) -> None:
    real = float(np.mean(trained.reading.confidence >= 0.9))
    rng = np.random.default_rng(0)
    two_at_once = trained.digits["image"][rng.integers(0, len(trained.digits["image"]), (2, 600))].mean(axis=0) / 255
    stacked = jnp.asarray(two_at_once.reshape(200, 3, *two_at_once.shape[1:3]).transpose(0, 2, 3, 1), jnp.float32)
    reading = trained.classifier.read(stacked)
    coverage = label_coverage(reading.labels, 1000, confidence=reading.confidence)
    assert float(coverage.high_quality) < 0.7 * real


def test_channels_are_read_as_single_pictures_are(trained: Trained) -> None:
    singles = trained.digits["image"][:60]
    probabilities = np.asarray(trained.classifier.probabilities(singles), np.float64).reshape(20, 3, 10)
    a, b, c = probabilities.argmax(axis=2).T
    stacked = singles[..., 0].reshape(20, 3, *singles.shape[1:3]).transpose(0, 2, 3, 1)
    for images in (stacked, jnp.float32(stacked) / 255):
        reading = trained.classifier.read(images)
        assert reading.labels.tolist() == (100 * a + 10 * b + c).tolist()
        np.testing.assert_allclose(reading.confidence, probabilities.max(axis=2).prod(axis=1), rtol=1e-4)


def test_shifts_move_by_at_most_a_sixteenth_and_every_shift_occurs() -> None:
    dot = jnp.zeros((500, 28, 28, 1)).at[:, 10, 20].set(1.0)
    shifted = np.asarray(_shifted(jax.random.key(0), dot))
    _, rows, columns, _ = np.nonzero(shifted)
    assert len(rows) == 500
    assert {*zip(rows - 10, columns - 20, strict=True)} == {(i, j) for i in range(-2, 3) for j in range(-2, 3)}


@pytest.mark.parametrize(
    ("digits", "message"),
    [
        ({"image": np.zeros((9, 8, 8, 1), np.uint8)}, "grey pictures 'image' and their 'label', got"),
        ({"point": np.zeros((9, 2)), "label": np.zeros(9, int)}, "grey pictures 'image' and their 'label', got"),
        ({"image": np.zeros((9, 8, 8, 3), np.uint8), "label": np.zeros(9, int)}, r"got .*\(9, 8, 8, 3\)"),
        ({"image": np.zeros((9, 8, 8, 1), np.uint8), "label": np.arange(9) + 5}, "are 0 to 9, got 5 to 13"),
    ],
)
def test_what_it_cannot_be_trained_with_is_said(digits: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(InputError, match=message):
        train_digit_classifier(jax.random.key(0), digits, steps=1)


@pytest.mark.parametrize("shape", [(5, 8, 8), (5, 8, 8, 2), (0, 8, 8, 3)])
def test_pictures_that_it_cannot_read_are_refused(shape: tuple[int, ...]) -> None:
    classifier = DigitClassifier(None, {})
    with pytest.raises(ValueError, match=r"pictures must be \[n, height, width, 3\] with n > 0, got"):
        classifier.read(np.zeros(shape))
    with pytest.raises(ValueError, match=r"pictures must be \[n, height, width, 1\] with n > 0, got"):
        classifier.probabilities(np.zeros(shape))
