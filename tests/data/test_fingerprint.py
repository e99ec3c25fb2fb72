"""Fingerprints of data: equal for equal examples, and different for any others."""

import sys

import numpy as np
import pytest

from jaxgen.data import Stream, fingerprint
from jaxgen.data.streaming import ArraySource

IMAGES = np.random.default_rng(0).integers(0, 256, (50, 4, 4, 1), np.uint8)
LABELS = np.arange(50, dtype=np.int32) % 3
DATA = {"image": IMAGES, "label": LABELS}


def changed_label():
    labels = LABELS.copy()
    labels[17] += 1
    return {"image": IMAGES, "label": labels}


def changed_bit():
    images = IMAGES.copy()
    images[49, 3, 3, 0] ^= 128
    return {"image": images, "label": LABELS}


OTHERS = {
    "one bit": changed_bit(),
    "a label": changed_label(),
    "the order": {"image": IMAGES[::-1], "label": LABELS[::-1]},
    "the shape": {"image": IMAGES.reshape(50, 2, 8, 1), "label": LABELS},
    "the type": {"image": IMAGES, "label": LABELS.astype(np.int64)},
    "fewer": {"image": IMAGES[:49], "label": LABELS[:49]},
    "no labels": {"image": IMAGES},
}


@pytest.mark.parametrize("stream", [False, True])
def test_equal_examples_have_equal_fingerprints(stream):
    of = Stream if stream else dict
    wrap = ArraySource if stream else dict
    copies = {"label": LABELS.copy(), "image": np.asfortranarray(IMAGES)}
    assert fingerprint(of(wrap(DATA))) == fingerprint(of(wrap(copies)))
    assert fingerprint(of(wrap(DATA)))["examples"] == 50


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("other", OTHERS)
def test_other_examples_have_another_one(other, stream):
    def of(data):
        return fingerprint(Stream(ArraySource(data)) if stream else data)

    assert of(OTHERS[other]) != of(DATA)


def test_large_arrays_and_streams_are_sampled(monkeypatch):
    """Every fifth example is hashed: a change of another one is not noticed, that of all is."""
    monkeypatch.setattr(sys.modules["jaxgen.data.fingerprint"], "HASHED_BYTES", 160)
    monkeypatch.setattr(sys.modules["jaxgen.data.fingerprint"], "HASHED_EXAMPLES", 10)
    one, every = IMAGES.copy(), IMAGES ^ 1
    one[1] ^= 1
    for of in (lambda images: {"image": images}, lambda images: Stream(ArraySource({"image": images}))):
        assert fingerprint(of(one)) == fingerprint(of(IMAGES)) != fingerprint(of(every))
