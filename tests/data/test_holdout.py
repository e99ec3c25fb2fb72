"""The split of data without a test split: by class, by content, and independent of the order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxgen.data.holdout import choose_held_out, holdout_split
from jaxgen.data.streaming import ArraySource, Source, digest_rows, read_all
from jaxgen.errors import InputError


def images(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 1), np.uint8)


def held_out_labels(labels, seed=0):
    return labels[choose_held_out(digest_rows(images(len(labels), seed)), labels)]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=150), st.integers(0, 1000))
def test_every_class_of_two_is_in_both_splits_and_a_tenth_of_it_in_the_test_split(labels, seed):
    labels = np.array(labels, np.int32)
    test = np.bincount(held_out_labels(labels, seed), minlength=7)
    for count, held_out in zip(np.bincount(labels, minlength=7), test, strict=True):
        assert held_out == 0 if count < 2 else abs(held_out - max(1, count / 10)) <= 0.5


@pytest.mark.parametrize("period", [2, 5, 10, 20])
@pytest.mark.parametrize("shift", [0, 1, 9])
def test_labels_that_repeat_with_a_period_are_in_proportion_in_both_splits(period, shift):
    labels = (np.arange(200) + shift) % period
    assert np.bincount(held_out_labels(labels)).tolist() == [20 // period] * period


def test_the_split_depends_on_the_content_and_not_on_the_order():
    data = {"image": images(300), "label": np.random.default_rng(1).integers(0, 3, 300).astype(np.int32)}
    order = np.random.default_rng(2).permutation(300)
    reordered = {name: array[order] for name, array in data.items()}
    for split in ("train", "test"):
        first, second = (read_all(holdout_split(ArraySource(arrays), split, "x")) for arrays in (data, reordered))
        assert {(x.tobytes(), int(k)) for x, k in zip(first["image"], first["label"], strict=True)} == {
            (x.tobytes(), int(k)) for x, k in zip(second["image"], second["label"], strict=True)
        }


def test_equal_contents_are_split_by_their_indices():
    held_out = choose_held_out([b"same"] * 40, np.arange(40) % 2)
    assert held_out.sum() == 4
    assert np.bincount((np.arange(40) % 2)[held_out]).tolist() == [2, 2]


def test_held_out_examples_are_not_a_run_of_neighbours():
    held_out = np.flatnonzero(choose_held_out(digest_rows(images(1000)), None))
    assert len(held_out) == 100
    counts = np.histogram(held_out, bins=10, range=(0, 1000))[0]
    assert counts.min() >= 2  # uniform: 10 in each tenth of the data


class Decoded(Source):
    """A source without a way of its own to find digests."""

    shape, classes = (4, 4, 1), 3

    def __len__(self):
        return 600

    def read(self, indices):
        return {"image": images(600)[list(indices)], "label": np.array(indices, np.int32) % 3}


def test_a_source_that_must_be_decoded_is_split_as_its_arrays():
    source = Decoded()
    arrays = ArraySource(read_all(source))
    for split in ("train", "test"):
        expected = read_all(holdout_split(arrays, split, "x"))
        found = read_all(holdout_split(source, split, "x"))
        for name, array in expected.items():
            np.testing.assert_array_equal(found[name], array)


def test_data_in_which_no_class_has_two_examples_have_no_test_split():
    source = ArraySource({"image": images(3), "label": np.arange(3, dtype=np.int32)})
    with pytest.raises(InputError, match="x must have a class of at least 2 examples for a test split, got 3 in all"):
        holdout_split(source, "test", "x")
    assert len(holdout_split(source, "train", "x")) == 3
