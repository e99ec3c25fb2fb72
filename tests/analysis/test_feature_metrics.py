"""Metrics of features by name: the numbers are those of the functions, under the names and protocols of the papers."""

import jax
import numpy as np
import pytest

from jaxgen.analysis.feature_metrics import FEATURE_METRICS, NUMBERS, Sets, feature_metrics
from jaxgen.errors import InputError
from jaxgen.metrics import (
    data_copying,
    density_coverage,
    inception_score,
    precision_recall,
    training_distances,
    vendi_score,
)
from jaxgen.metrics.extractors import Extracted, Extractor
from jaxgen.metrics.protocol import Protocol

CLASSES = 3


def extracted(seed, n, shift=0.0, scale=1.0):
    rng = np.random.default_rng(seed)
    features = rng.normal(shift, scale, (n, 4)).astype(np.float32)
    return Extracted(features, features[:, :CLASSES])


SETS = Sets(
    real=extracted(0, 90),
    fake=extracted(1, 60, shift=0.5, scale=0.5),
    reference="any:train",
    held_out=extracted(2, 50),
    held_out_reference="any:test",
    own_classes=True,
    real_labels=np.arange(90) % CLASSES,
    fake_labels=np.arange(60) % CLASSES,
)


def measure(names, sets=SETS, extractor="other"):
    found = feature_metrics(jax.random.key(0), names, Extractor(extractor, "none", 1, None, None, None), sets)
    return {each.protocol.metric: each for each in found}


@pytest.fixture(scope="module")
def measured():
    return measure(list(FEATURE_METRICS))


def test_every_number_of_the_table_is_measured_under_a_protocol_that_is_read_back(measured):
    assert set(measured) == {
        number.other_name or name for m in FEATURE_METRICS.values() for name, number in m.numbers.items()
    }
    assert set(measured) <= set(NUMBERS)
    for found in measured.values():
        assert np.isfinite(found.value)
        assert Protocol.parse(str(found.protocol)) == found.protocol


def test_protocols_have_what_the_numbers_depend_on_and_nothing_else(measured):
    assert measured["frechet_distance"].protocol.choices == ("other", "none", "n=90/60", "split=any:train")
    assert measured["vendi_score"].protocol.choices == ("other", "none", "n=60", "kernel=cosine")
    assert measured["data_copying"].protocol.choices[3:] == ("split=any:train", "held_out=any:test/50", "cells=1")


def test_every_number_is_that_of_its_function_with_real_examples_and_samples_in_their_places(measured):
    real, fake, held_out = SETS.real.features, SETS.fake.features, SETS.held_out.features
    expected = {
        "precision": precision_recall(real, fake, k=3).precision,
        "recall": precision_recall(real, fake, k=3).recall,
        "density": density_coverage(real, fake, k=5).density,
        "coverage": density_coverage(real, fake, k=5).coverage,
        "vendi_score": vendi_score(fake),
        "training_distance_ratio": training_distances(fake, real, held_out).ratio,
        "data_copying": data_copying(fake, real, held_out).score,
        "classifier_score": inception_score(SETS.fake.logits, splits=10).mean,
    }
    assert {name: measured[name].value for name in expected} == pytest.approx(expected, rel=1e-6)
    assert measured["precision"].value != pytest.approx(measured["recall"].value, rel=0.05)


def test_the_accuracy_of_another_classifier_than_that_of_the_data_is_not_measured():
    assert "classifier_accuracy" not in measure(["intra_class"], SETS._replace(own_classes=False))


def test_only_numbers_of_inception_have_the_names_of_its_metrics(measured):
    assert {"fid", "kid", "inception_score", "fid_infinity"}.isdisjoint(measured)
    assert set(measure(["fid", "kid"], extractor="inception_2015")) == {"fid", "kid", "kid_sd"}


def test_the_frechet_distance_is_that_of_float64(measured):
    from scipy.linalg import sqrtm

    x, y = SETS.real.features.astype(np.float64), SETS.fake.features.astype(np.float64)
    p, q = np.cov(x.T), np.cov(y.T)
    expected = np.square(x.mean(0) - y.mean(0)).sum() + np.trace(p + q - 2 * sqrtm(p @ q).real)
    assert measured["frechet_distance"].value == pytest.approx(expected, rel=1e-5)


def test_the_share_of_recognized_classes_is_that_of_the_largest_logits(measured):
    expected = np.mean(SETS.fake.logits.argmax(axis=-1) == SETS.fake_labels)
    assert measured["classifier_accuracy"].value == pytest.approx(expected)


def test_subsets_of_the_kernel_distance_are_stated_as_large_as_they_are(measured):
    assert measured["kernel_distance"].protocol.choices[-1] == "subsets=100x60"


@pytest.mark.parametrize(
    ("names", "sets", "message"),
    [
        ([], SETS, "metrics must be at least one of fid"),
        (["fud"], SETS, "there is no metric of features 'fud': did you mean 'fid'"),
        (
            ["inception_score"],
            Sets(SETS.real, extracted(1, 9), "any"),
            "inception_score must have at least 10 examples",
        ),
        (
            ["density_coverage"],
            Sets(extracted(1, 5), SETS.fake, "any"),
            "density_coverage must have at least 6 examples",
        ),
        (["memorization"], Sets(SETS.real, SETS.fake, "any"), "memorization must have held-out examples"),
        (["intra_class"], Sets(SETS.real, SETS.fake, "any"), "intra_class must have labels of both sets"),
        (
            ["fid"],
            SETS._replace(fake=Extracted(np.full((9, 4), np.nan), np.zeros((9, 3)))),
            "of the samples must be fi",
        ),
    ],
)
def test_what_cannot_be_measured_is_refused(names, sets, message):
    with pytest.raises(InputError, match=message):
        measure(names, sets)
