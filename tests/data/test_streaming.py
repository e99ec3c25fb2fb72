from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from jaxgen.data import streaming
from jaxgen.data.batching import batch_indices, take
from jaxgen.data.image_folder import ImageFolder
from jaxgen.data.sources import load
from jaxgen.data.streaming import ArraySource, Source, Stream, Subset, read_all, read_or_stream
from jaxgen.errors import InputError


class Counted(Source):
    """Source whose example i is an image of 2x2 pixels of the value i, with the label i mod 3."""

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
def test_stream_has_the_same_batches_as_memory(first_step: int, last_step: int) -> None:
    source, key = Counted(50), jax.random.key(11)
    batches = list(Stream(source).batches(key, first_step, last_step, batch_size=8))
    assert len(batches) == last_step - first_step
    memory = read_all(source)
    for step, batch in enumerate(batches, start=first_step):
        expected = take(memory, batch_indices(key, step, examples=50, batch_size=8))
        assert batch.keys() == expected.keys()
        for name, values in batch.items():
            assert values.dtype == expected[name].dtype
            np.testing.assert_array_equal(values, expected[name])


def test_image_folder_has_the_same_batches_streamed_and_in_memory(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for i in range(10):
            Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8)).save(tmp_path / label / f"{i}.png")
    data, stream = load(tmp_path, stream=False), load(tmp_path, stream=True)
    assert isinstance(data, dict)
    assert isinstance(stream, Stream)
    assert stream.examples == len(data["image"]) == 18
    key = jax.random.key(0)
    for step, batch in enumerate(stream.batches(key, 0, 5, batch_size=6)):
        expected = take(data, batch_indices(key, step, examples=18, batch_size=6))
        np.testing.assert_array_equal(batch["image"], expected["image"])
        np.testing.assert_array_equal(batch["label"], expected["label"])


@pytest.mark.parametrize("batch_size", [1, 7, 50, 80])
def test_in_order_reads_every_example_once(batch_size: int) -> None:
    batches = list(Stream(Counted(50)).in_order(batch_size))
    assert all(len(batch["image"]) == batch_size for batch in batches[:-1])
    np.testing.assert_array_equal(np.concatenate([batch["image"] for batch in batches])[:, 0, 0, 0], np.arange(50))


def test_read_all_preserves_the_order_of_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "READ_CHUNK", 7)
    data = read_all(Counted(50))
    np.testing.assert_array_equal(data["image"][:, 1, 1, 0], np.arange(50))
    np.testing.assert_array_equal(data["label"], np.arange(50) % 3)


def test_subset_reads_by_its_own_indices() -> None:
    subset = Subset(Counted(50), [40, 3, 9])
    assert len(subset) == 3
    np.testing.assert_array_equal(subset.read([2, 0])["image"][:, 0, 0, 0], [9, 40])


def test_data_above_the_memory_limit_are_streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Counted(50)  # 200 bytes
    monkeypatch.setattr(streaming, "MEMORY_LIMIT", 200)
    assert isinstance(read_or_stream(source, None), dict)
    monkeypatch.setattr(streaming, "MEMORY_LIMIT", 199)
    assert isinstance(read_or_stream(source, None), Stream)
    assert isinstance(read_or_stream(source, False), dict)


def test_stream_prefetches_a_bounded_number_of_batches() -> None:
    source = Counted(200)
    batches = Stream(source).batches(jax.random.key(0), 0, 1000, batch_size=4)
    next(batches)
    assert source.reads <= 4 * (2 * streaming.PREFETCH + 2)


def test_batch_size_above_the_number_of_examples_is_rejected_before_reading() -> None:
    with pytest.raises(InputError, match=r"batch_size must be at most the number of examples \(50\), got 51"):
        Stream(Counted(50)).batches(jax.random.key(0), 0, 1, batch_size=51)


def test_stream_raises_an_error_that_names_a_damaged_image(tmp_path: Path) -> None:
    for i in range(3):
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (32, 32), np.uint8)).save(tmp_path / f"{i}.png")
    damaged = tmp_path / "1.png"
    damaged.write_bytes(damaged.read_bytes()[:-200])
    with pytest.raises(InputError, match=r"1.png cannot be read as an image"):
        list(Stream(ImageFolder(tmp_path, None)).in_order(3))


def test_arrays_in_memory_can_be_streamed() -> None:
    data, stream = load("digits"), load("digits", stream=True)
    assert isinstance(data, dict)
    assert isinstance(stream, Stream)
    first = next(stream.in_order(10))
    np.testing.assert_array_equal(first["image"], data["image"][:10])
    assert read_or_stream(ArraySource(data), False) is data
