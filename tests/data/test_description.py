import json
from typing import Any

import numpy as np
import pytest

from jaxgen.data.description import count_examples, describe, example, example_from
from jaxgen.data.streaming import Held, Stream
from jaxgen.errors import InputError

DATA = {
    "image": np.full((5, 8, 6, 3), 7, np.uint8),
    "label": np.array([3, 9, 0, 1, 2], np.int32),
}


@pytest.mark.parametrize("data", [DATA, Stream(Held(DATA))], ids=["arrays", "stream"])
def test_an_example_is_zero_but_for_the_largest_label(data: Any) -> None:
    shown = example(data)
    assert shown["image"].dtype == np.uint8
    np.testing.assert_array_equal(shown["image"], np.zeros((1, 8, 6, 3)))
    np.testing.assert_array_equal(shown["label"], [9])


@pytest.mark.parametrize("data", [DATA, Stream(Held(DATA))], ids=["arrays", "stream"])
def test_examples_are_counted(data: Any) -> None:
    assert count_examples(data) == 5


@pytest.mark.parametrize(
    ("data", "found"), [({}, "got none"), (DATA | {"label": np.arange(4)}, "got {'image': 5, 'label': 4}")]
)
def test_arrays_that_do_not_belong_together_are_refused(data: dict[str, np.ndarray], found: str) -> None:
    with pytest.raises(InputError, match=found):
        count_examples(data)


@pytest.mark.parametrize(
    "data", [DATA, {"image": DATA["image"]}, {"point": np.ones((4, 2), np.float32), "label": np.arange(4)}]
)
def test_a_description_survives_json(data: dict[str, np.ndarray]) -> None:
    shown = example(data)
    read = example_from(json.loads(json.dumps(describe(shown))))
    assert read.keys() == shown.keys()
    for name, array in shown.items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ([], "names 'image' or 'point'"),
        ({}, "names 'image' or 'point'"),
        ({"label": {"classes": 3}}, "names 'image' or 'point'"),
        ({"image": {"shape": [8, 8], "dtype": "uint8"}}, "'shape' of 3 positive integers"),
        ({"image": {"shape": [8, -8, 1], "dtype": "uint8"}}, "'shape' of 3 positive integers"),
        ({"image": {"shape": [8, True, 1], "dtype": "uint8"}}, "'shape' of 3 positive integers"),
        ({"image": {"shape": [8, 8, 1], "dtype": "float32"}}, "'dtype' 'uint8'"),
        ({"image": 3}, "'shape' of 3 positive integers"),
        ({"point": {"shape": [2], "dtype": "float32"}, "sound": {}}, "not 'sound'"),
        ({"point": {"shape": [2], "dtype": "float32"}, "label": {"classes": 0}}, "positive integer"),
        ({"point": {"shape": [2], "dtype": "float32"}, "label": 3}, "positive integer"),
    ],
)
def test_an_edited_description_is_refused(description: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        example_from(description)
