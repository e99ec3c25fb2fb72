import json
from typing import Any

import numpy as np
import pytest

from jaxgen.data.description import count_examples, describe, example, example_from
from jaxgen.data.streaming import ArraySource, Stream
from jaxgen.errors import InputError

DATA = {
    "image": np.full((5, 8, 6, 3), 7, np.uint8),
    "label": np.array([3, 9, 0, 1, 2], np.int32),
}


@pytest.mark.parametrize("data", [DATA, Stream(ArraySource(DATA))], ids=["arrays", "stream"])
def test_example_is_zeros_with_the_largest_label(data: Any) -> None:
    one = example(data)
    assert one["image"].dtype == np.uint8
    np.testing.assert_array_equal(one["image"], np.zeros((1, 8, 6, 3)))
    np.testing.assert_array_equal(one["label"], [9])


@pytest.mark.parametrize("data", [DATA, Stream(ArraySource(DATA))], ids=["arrays", "stream"])
def test_count_examples_of_arrays_and_streams(data: Any) -> None:
    assert count_examples(data) == 5


@pytest.mark.parametrize(
    ("data", "found"), [({}, "got no arrays"), (DATA | {"label": np.arange(4)}, "got {'image': 5, 'label': 4}")]
)
def test_count_examples_rejects_arrays_of_different_lengths(data: dict[str, np.ndarray], found: str) -> None:
    with pytest.raises(InputError, match=found):
        count_examples(data)


@pytest.mark.parametrize(
    "data", [DATA, {"image": DATA["image"]}, {"point": np.ones((4, 2), np.float32), "label": np.arange(4)}]
)
def test_description_round_trip_through_json_preserves_the_example(data: dict[str, np.ndarray]) -> None:
    one = example(data)
    read = example_from(json.loads(json.dumps(describe(one))))
    assert read.keys() == one.keys()
    for name, array in one.items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ([], "must have an entry 'image' or 'point'"),
        ({}, "must have an entry 'image' or 'point'"),
        ({"label": {"classes": 3}}, "must have an entry 'image' or 'point'"),
        ({"image": {"shape": [8, 8], "dtype": "uint8"}}, "'shape' of 3 positive integers"),
        ({"image": {"shape": [8, -8, 1], "dtype": "uint8"}}, "'shape' of 3 positive integers"),
        ({"image": {"shape": [8, True, 1], "dtype": "uint8"}}, "'shape' of 3 positive integers"),
        ({"image": {"shape": [8, 8, 1], "dtype": "float32"}}, "must have the 'dtype' 'uint8'"),
        ({"image": 3}, "'shape' of 3 positive integers"),
        ({"image": {"shape": [2**20, 2**20, 10], "dtype": "uint8"}}, r"must have less than 2\^31 values, got shape"),
        (
            {"point": {"shape": [2], "dtype": "float32"}, "sound": {}},
            "must be 'image', 'point' or 'label', got 'sound'",
        ),
        ({"point": {"shape": [2], "dtype": "float32"}, "label": {"classes": 0}}, "positive integer"),
        ({"point": {"shape": [2], "dtype": "float32"}, "label": 3}, "positive integer"),
        (
            {"point": {"shape": [2], "dtype": "float32"}, "label": {"classes": 2_000_000_000}},
            "must have at most 65536 classes, got 2000000000",
        ),
    ],
)
def test_example_from_rejects_an_invalid_description(description: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        example_from(description)
