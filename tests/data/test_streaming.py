from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from jaxgen.data import streaming
from jaxgen.data.batching import batch_indices, take
from jaxgen.data.image_folder import PictureFolder
from jaxgen.data.sources import load
from jaxgen.data.streaming import Held, Source, Stream, Subset, hold, hold_or_stream
from jaxgen.errors import InputError


class Counted(Source):
    """Example i is a picture of 2x2 pixels of the value i, with the label i mod 3."""

    shape = (2, 2, 1)
    classes = 3

    def __init__(self, examples: int) -> None:
        self.examples, self.reads = examples, 0

    def __len__(self) -> int:
        return self.examples

    def read(self, indices: Sequence[int]) -> dict[str, np.ndarray]:
        self.reads += len(indices)
        images = np.broadcast_to(np.array(indices, np.uint8)[:, None, None, None], (len(indices), 2, 2, 1))
        return {"image": images, "label": np.array(indices, np.int32) % 3}


@pytest.mark.parametrize(("first_step", "last_step"), [(0, 7), (5, 23), (100, 101), (3, 3)])
def test_a_stream_has_the_order_of_memory_bit_for_bit(first_step: int, last_step: int) -> None:
    source, key = Counted(50), jax.random.key(11)
    batches = list(Stream(source).batches(key, first_step, last_step, batch_size=8))
    assert len(batches) == last_step - first_step
    memory = hold(source)
    for step, batch in enumerate(batches, start=first_step):
        expected = take(memory, batch_indices(key, step, examples=50, batch_size=8))
        assert batch.keys() == expected.keys()
        for name, values in batch.items():
            assert values.dtype == expected[name].dtype
            np.testing.assert_array_equal(values, expected[name])


def test_pictures_from_a_folder_stream_as_they_are_held(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for i in range(10):
            Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8)).save(tmp_path / label / f"{i}.png")
    held, stream = load(tmp_path, stream=False), load(tmp_path, stream=True)
    assert isinstance(held, dict)
    assert isinstance(stream, Stream)
    assert stream.examples == len(held["image"]) == 18
    key = jax.random.key(0)
    for step, batch in enumerate(stream.batches(key, 0, 5, batch_size=6)):
        expected = take(held, batch_indices(key, step, examples=18, batch_size=6))
        np.testing.assert_array_equal(batch["image"], expected["image"])
        np.testing.assert_array_equal(batch["label"], expected["label"])


@pytest.mark.parametrize("batch_size", [1, 7, 50, 80])
def test_in_order_reads_everything_once(batch_size: int) -> None:
    batches = list(Stream(Counted(50)).in_order(batch_size))
    assert all(len(batch["image"]) == batch_size for batch in batches[:-1])
    np.testing.assert_array_equal(np.concatenate([batch["image"] for batch in batches])[:, 0, 0, 0], np.arange(50))


def test_hold_reads_every_example_into_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "READ_TOGETHER", 7)
    data = hold(Counted(50))
    np.testing.assert_array_equal(data["image"][:, 1, 1, 0], np.arange(50))
    np.testing.assert_array_equal(data["label"], np.arange(50) % 3)


def test_a_subset_renumbers() -> None:
    subset = Subset(Counted(50), [40, 3, 9])
    assert len(subset) == 3
    np.testing.assert_array_equal(subset.read([2, 0])["image"][:, 0, 0, 0], [9, 40])


def test_data_that_exceed_the_limit_are_streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Counted(50)  # of 200 bytes
    monkeypatch.setattr(streaming, "MEMORY_LIMIT", 200)
    assert isinstance(hold_or_stream(source, None), dict)
    monkeypatch.setattr(streaming, "MEMORY_LIMIT", 199)
    assert isinstance(hold_or_stream(source, None), Stream)
    assert isinstance(hold_or_stream(source, False), dict)


def test_a_stream_reads_no_further_ahead_than_it_says() -> None:
    source = Counted(200)
    batches = Stream(source).batches(jax.random.key(0), 0, 1000, batch_size=4)
    next(batches)
    assert source.reads <= 4 * (2 * streaming.AHEAD + 2)


def test_a_batch_larger_than_the_data_is_refused_at_once() -> None:
    with pytest.raises(InputError, match="batch size 51 is larger than the 50 examples"):
        Stream(Counted(50)).batches(jax.random.key(0), 0, 1, batch_size=51)


def test_a_damaged_picture_is_named_also_in_a_stream(tmp_path: Path) -> None:
    for i in range(3):
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (32, 32), np.uint8)).save(tmp_path / f"{i}.png")
    damaged = tmp_path / "1.png"
    damaged.write_bytes(damaged.read_bytes()[:-200])
    with pytest.raises(InputError, match=r"1.png cannot be read as a picture"):
        list(Stream(PictureFolder(tmp_path, None)).in_order(3))


def test_arrays_can_be_streamed_too() -> None:
    held, stream = load("digits"), load("digits", stream=True)
    assert isinstance(held, dict)
    assert isinstance(stream, Stream)
    first = next(stream.in_order(10))
    np.testing.assert_array_equal(first["image"], held["image"][:10])
    assert hold_or_stream(Held(held), False) is held
