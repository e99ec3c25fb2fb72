"""Some examples of a data set: the first ones, and random ones of all classes."""

import jax
import numpy as np
import pytest

from jaxgen.data import Stream, first_examples, load, random_examples, subset
from jaxgen.data.streaming import ArraySource
from jaxgen.errors import InputError

DIGITS = load("digits")
KEY = jax.random.key(1)


def distinct(images):
    return len(np.unique(np.asarray(images).reshape(len(images), -1), axis=0))


@pytest.fixture(params=["arrays", "stream"])
def data(request):
    return DIGITS if request.param == "arrays" else Stream(ArraySource(DIGITS))


class TestFirst:
    def test_they_are_the_first_in_order(self, data):
        found = first_examples(data, 7)
        assert found.keys() == DIGITS.keys()
        for name, array in found.items():
            np.testing.assert_array_equal(array, DIGITS[name][:7])

    def test_all_are_returned_where_there_are_fewer(self, data):
        found = first_examples(data, 10**6)
        for name, array in found.items():
            np.testing.assert_array_equal(array, DIGITS[name])


class TestSubset:
    def test_a_larger_one_contains_the_smaller_ones_and_all_classes(self, data):
        small, large = (in_memory(subset(data, count)) for count in (200, 700))
        assert distinct(small["image"]) == 200
        assert distinct(np.concatenate([small["image"], large["image"]])) == distinct(large["image"]) == 700
        assert set(small["label"].tolist()) == set(range(10))

    def test_images_keep_their_labels_and_their_order(self, data):
        found, image = in_memory(subset(data, 300)), {x.tobytes(): i for i, x in enumerate(DIGITS["image"])}
        numbers = [image[x.tobytes()] for x in found["image"]]
        assert numbers == sorted(numbers)
        np.testing.assert_array_equal(found["label"], DIGITS["label"][numbers])

    @pytest.mark.parametrize("count", [0, 1438])
    def test_more_examples_than_there_are_are_refused(self, data, count):
        with pytest.raises(InputError, match=f"subset must be from 1 to the 1437 training examples, got {count}"):
            subset(data, count)


def in_memory(data):
    return first_examples(data, 10**6)


class TestRandom:
    def test_those_of_a_stream_are_those_of_arrays(self):
        of_arrays, of_stream = (random_examples(KEY, data, 300) for data in (DIGITS, Stream(ArraySource(DIGITS))))
        assert of_arrays.keys() == of_stream.keys() == DIGITS.keys()
        for name in DIGITS:
            np.testing.assert_array_equal(of_arrays[name], of_stream[name])

    def test_no_example_is_drawn_twice(self, data):
        numbered = {"image": DIGITS["image"], "label": np.arange(len(DIGITS["label"]), dtype=np.int32)}
        data = numbered if isinstance(data, dict) else Stream(ArraySource(numbered))
        found = random_examples(KEY, data, 300)
        assert len(set(np.asarray(found["label"]).tolist())) == 300
        np.testing.assert_array_equal(found["image"], DIGITS["image"][np.asarray(found["label"])])
        assert distinct(found["image"]) == distinct(DIGITS["image"]) - (len(DIGITS["image"]) - 300)

    def test_they_are_of_all_classes_where_the_data_are_ordered_by_class(self):
        order = np.argsort(DIGITS["label"], kind="stable")
        ordered = {name: array[order] for name, array in DIGITS.items()}
        assert len(set(np.asarray(random_examples(KEY, ordered, 300)["label"]).tolist())) == 10
        assert set(first_examples(ordered, 100)["label"].tolist()) == {0}

    def test_all_are_returned_where_there_are_fewer(self, data):
        found = random_examples(KEY, data, 10**6)
        assert len(found["label"]) == len(DIGITS["label"])
        assert sorted(np.asarray(found["label"]).tolist()) == sorted(DIGITS["label"].tolist())

    def test_another_key_draws_others(self):
        one, other = (np.asarray(random_examples(jax.random.key(seed), DIGITS, 50)["image"]) for seed in (1, 2))
        assert not np.array_equal(one, other)
        np.testing.assert_array_equal(one, random_examples(KEY, DIGITS, 50)["image"])
