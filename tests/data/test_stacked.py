"""Stacked digits: each channel is a digit of the split, and the label is the number that the digits form."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
import scipy.stats

from jaxgen.data import Stream, load
from jaxgen.errors import InputError

REAL = [("stacked_mnist", Path(os.environ["JAXGEN_TEST_DATA"]))] if "JAXGEN_TEST_DATA" in os.environ else []


def arrays(*args: Any, **options: Any) -> dict[str, np.ndarray]:
    data = load(*args, **options)
    assert isinstance(data, dict)
    return data


def labels_by_image(digits: dict[str, np.ndarray]) -> dict[bytes, int]:
    return {image.tobytes(): int(label) for image, label in zip(digits["image"], digits["label"], strict=True)}


@pytest.mark.parametrize("split", ["train", "test"])
def test_channels_are_digits_of_the_split_and_form_the_label(split: str) -> None:
    known = labels_by_image(arrays("digits", split=split))
    stacked = arrays("stacked_digits", split=split, examples=500)
    assert (stacked["image"].dtype, stacked["image"].shape) == (np.uint8, (500, 8, 8, 3))
    assert stacked["label"].dtype == np.int32
    for image, label in zip(stacked["image"], stacked["label"], strict=True):
        assert "".join(str(known[image[..., channel].tobytes()]) for channel in range(3)) == f"{label:03}"


def test_training_images_contain_training_digits_only() -> None:
    test, train = (labels_by_image(arrays("digits", split=split)) for split in ("test", "train"))
    stacked = arrays("stacked_digits", examples=5000)["image"]
    drawn = {image[..., channel].tobytes() for image in stacked for channel in range(3)}
    assert drawn == set(train)
    assert not drawn & set(test)


@pytest.mark.parametrize(("name", "data_dir"), [("stacked_digits", None), *REAL])
def test_number_of_images_is_the_published_one_and_all_modes_occur(name: str, data_dir: Path | None) -> None:
    train, test = arrays(name, data_dir=data_dir), arrays(name, data_dir=data_dir, split="test")
    assert (len(train["image"]), len(test["image"])) == (128_000, 10_000)
    assert len(np.unique(train["label"])) == 1000


def test_channels_are_independent() -> None:
    # The classes of the digits are not exactly uniform; the expected label counts are products of their shares.
    labels = arrays("stacked_digits")["label"]
    shares = np.bincount(arrays("digits")["label"]) / 1437
    expected = 128_000 * np.einsum("a,b,c->abc", shares, shares, shares).ravel()
    assert scipy.stats.chisquare(np.bincount(labels, minlength=1000), expected).pvalue > 1e-3


def test_images_are_determined_by_the_key() -> None:
    default, keyed, repeated = (
        arrays("stacked_digits", examples=50, **options)["image"]
        for options in ({}, {"key": jax.random.key(7)}, {"key": jax.random.key(7)})
    )
    np.testing.assert_array_equal(keyed, repeated)
    assert not np.array_equal(default, keyed)
    np.testing.assert_array_equal(default, arrays("stacked_digits", examples=50)["image"])


def test_stream_and_memory_have_the_same_images() -> None:
    data = arrays("stacked_digits", examples=70)
    stream = load("stacked_digits", examples=70, stream=True)
    assert isinstance(stream, Stream)
    assert stream.example()["label"].tolist() == [999]
    for name, array in data.items():
        np.testing.assert_array_equal(np.concatenate([batch[name] for batch in stream.in_order(32)]), array)


def test_stacked_mnist_consists_of_mnist_digits(
    tmp_path: Path, write_tiny_originals: Callable[..., dict[str, str]]
) -> None:
    write_tiny_originals(tmp_path / "mnist", compressed=False)
    known = labels_by_image(arrays("mnist", data_dir=tmp_path, split="test"))
    stacked = arrays("stacked_mnist", data_dir=tmp_path, split="test", examples=20)
    for image, label in zip(stacked["image"], stacked["label"], strict=True):
        assert "".join(str(known[image[..., channel].tobytes()]) for channel in range(3)) == f"{label:03}"


def test_digits_are_resized_before_stacking(
    tmp_path: Path, write_tiny_originals: Callable[..., dict[str, str]]
) -> None:
    write_tiny_originals(tmp_path / "mnist", compressed=False)
    small = {image.tobytes() for image in arrays("mnist", data_dir=tmp_path, image_size=14)["image"]}
    stacked = arrays("stacked_mnist", data_dir=tmp_path, image_size=14, examples=20)["image"]
    assert stacked.shape == (20, 14, 14, 3)
    assert {image[..., channel].tobytes() for image in stacked for channel in range(3)} <= small


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("stacked_digits", {"examples": 0}, "examples must be at least 1, got 0"),
        (
            "stacked_digits",
            {"image_size": 9},
            "image_size must be at most 8 for an image of digits of 8x8 pixels, got 9",
        ),
        ("stacked_mnist", {}, "mnist is not in .*; run: jaxgen data prepare mnist"),
        ("stacked_minst", {}, "did you mean 'stacked_mnist'"),
        ("digits", {"examples": 5}, "key and examples apply to .*stacked_digits, stacked_mnist only, got .*'digits'"),
    ],
)
def test_load_rejects_invalid_arguments_of_stacked_data_sets(
    tmp_path: Path, name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        load(name, data_dir=tmp_path, **options)
