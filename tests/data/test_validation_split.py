"""Division of training data into training and validation examples."""

import numpy as np
import pytest

from jaxgen.data import load
from jaxgen.data.streaming import ArraySource, Stream
from jaxgen.data.validation_split import split_validation
from jaxgen.errors import InputError


def test_every_class_has_its_share_and_no_example_is_in_both():
    digits = load("digits")
    train, validation = split_validation(digits, 0.25)
    counts = [np.bincount(part["label"], minlength=10) for part in (digits, train, validation)]
    np.testing.assert_array_equal(counts[1] + counts[2], counts[0])
    np.testing.assert_allclose(counts[2], counts[0] / 4, atol=0.5)
    rows = [{row.tobytes() for row in part["image"]} for part in (train, validation)]
    assert not rows[0] & rows[1]


def test_choice_depends_on_content_and_not_on_order():
    points = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
    _, first = split_validation({"point": points}, 0.2)
    _, second = split_validation({"point": points[::-1]}, 0.2)
    assert {row.tobytes() for row in first["point"]} == {row.tobytes() for row in second["point"]}
    assert len(first["point"]) == 8


def test_streams_are_split_as_arrays():
    images = np.random.default_rng(0).integers(0, 256, (30, 2, 2, 1), np.uint8)
    arrays = {"image": images, "label": np.arange(30, dtype=np.int32) % 3}
    expected = split_validation(arrays, 0.3)
    for stream, part in zip(split_validation(Stream(ArraySource(arrays)), 0.3), expected, strict=True):
        found = stream.read(range(stream.examples))
        for name in arrays:
            np.testing.assert_array_equal(found[name], part[name])


@pytest.mark.parametrize("fraction", [0.01, 0.5, 0.8, 0.99])
def test_every_class_of_two_is_on_both_sides_for_every_fraction(fraction):
    label = np.repeat(np.arange(4), [2, 3, 10, 50])
    points = np.random.default_rng(0).normal(size=(65, 2)).astype(np.float32)
    for part in split_validation({"point": points, "label": label}, fraction):
        assert set(part["label"]) == {0, 1, 2, 3}


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 2.0, np.nan])
def test_impossible_fractions_are_refused(fraction):
    with pytest.raises(InputError, match="validation_fraction must be above 0 and below 1"):
        split_validation({"point": np.zeros((10, 2), np.float32)}, fraction)


@pytest.mark.parametrize(("examples", "fraction"), [(1, 0.5), (1, 0.99)])
def test_both_sides_must_have_an_example(examples, fraction):
    with pytest.raises(InputError, match="must leave at least one example"):
        split_validation({"point": np.arange(examples, dtype=np.float32)[:, None]}, fraction)
