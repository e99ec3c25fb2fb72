import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pytest

from jaxgen.data import streaming
from jaxgen.data.prepared import PreparedImages, open_prepared
from jaxgen.data.prepared_metadata import read_metadata
from jaxgen.data.preparing import prepare_arrays
from jaxgen.data.sources import load
from jaxgen.data.streaming import ArraySource


def random_data(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"image": rng.integers(0, 256, (6, 28, 28, 1), np.uint8), "label": rng.integers(0, 10, 6).astype(np.int32)}


@pytest.fixture(scope="module")
def without_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a prepared data set that was never read."""
    data_dir = tmp_path_factory.mktemp("data")
    prepare_arrays("mnist", {"train": random_data(0), "test": random_data(1)}, data_dir)
    return data_dir


@pytest.fixture
def data_dir(without_copy: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(without_copy, tmp_path / "data"))


@pytest.fixture
def decoded(data_dir: Path) -> Path:
    """The folder of the copies, which are made."""
    for split in ("train", "test"):
        load("mnist", data_dir=data_dir, split=split)
    return data_dir / "mnist/3.0.1/decoded"


def is_cached(data_dir: Path, split: str = "train", image_size: int | None = None) -> bool:
    return isinstance(open_prepared("mnist", data_dir, split, image_size), ArraySource)


def assert_equal_to_decoded(data_dir: Path, split: str = "train") -> None:
    """`load` returns what decoding returns."""
    folder = data_dir / "mnist/3.0.1"
    images = PreparedImages(folder, read_metadata(folder), split, None)
    decoded = images.read(range(len(images)))
    loaded = load("mnist", data_dir=data_dir, split=split)
    assert isinstance(loaded, dict)
    assert set(loaded) == set(decoded)
    for name, array in loaded.items():
        assert type(array) is np.ndarray
        assert array.dtype == decoded[name].dtype
        np.testing.assert_array_equal(array, decoded[name])


def test_copy_is_made_by_the_first_load_and_equal_to_the_decoded_images(data_dir: Path) -> None:
    assert not is_cached(data_dir)
    assert_equal_to_decoded(data_dir)
    assert is_cached(data_dir)
    assert not is_cached(data_dir, "test")
    assert_equal_to_decoded(data_dir)
    assert_equal_to_decoded(data_dir, "test")


def test_arrays_may_be_changed_whether_they_are_decoded_or_read_from_a_copy(data_dir: Path) -> None:
    expected = None
    for _ in range(3):
        loaded = load("mnist", data_dir=data_dir)
        for name, array in loaded.items():
            if expected is not None:
                np.testing.assert_array_equal(array, expected[name])
        expected = {name: array.copy() for name, array in loaded.items()}
        for array in loaded.values():
            array += 1  # It does not change the copy.


@pytest.mark.parametrize("wrong", [-1, 10])
def test_a_copy_with_labels_beyond_the_classes_is_not_used(data_dir: Path, decoded: Path, wrong: int) -> None:
    labels = np.load(decoded / "train.label.npy")
    labels[2] = wrong
    np.save(decoded / "train.label.npy", labels)
    note = json.loads((decoded / "train.json").read_text())
    note["label"] = hashlib.sha256(labels.data).hexdigest()
    (decoded / "train.json").write_text(json.dumps(note))
    assert not is_cached(data_dir)
    assert_equal_to_decoded(data_dir)


def test_copy_is_read_without_the_packages_that_decode(data_dir: Path, decoded: Path) -> None:
    script = f"""
import sys
from jaxgen.data import load
assert len(load("mnist", data_dir={str(data_dir)!r})["label"]) == 6
used = {{"tensorflow_datasets", "array_record", "PIL", "grain"}} & set(sys.modules)
assert not used, used
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_copies_of_different_image_sizes_are_separate(data_dir: Path) -> None:
    for image_size in (14, 7, 28):
        first, again = (load("mnist", data_dir=data_dir, image_size=image_size) for _ in range(2))
        assert isinstance(first, dict)
        assert isinstance(again, dict)
        assert first["image"].shape == (6, image_size, image_size, 1)
        np.testing.assert_array_equal(first["image"], again["image"])
        assert is_cached(data_dir, image_size=image_size)


def test_stream_makes_no_copy(data_dir: Path) -> None:
    stream = load("mnist", data_dir=data_dir, stream=True)
    assert isinstance(stream, streaming.Stream)
    assert sum(len(batch["label"]) for batch in stream.in_order(4)) == 6
    assert not (data_dir / "mnist/3.0.1/decoded").exists()


def test_data_set_without_a_test_split_is_copied_and_divided_as_without_a_copy(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(40, dtype=np.int32) % 2
    arrays = {"image": rng.integers(0, 256, (40, 28, 28, 1), np.uint8), "label": labels}
    prepare_arrays("mnist", {"train": arrays}, tmp_path)
    first = [load("mnist", data_dir=tmp_path, split=split) for split in ("train", "test")]
    again = [load("mnist", data_dir=tmp_path, split=split) for split in ("train", "test")]
    assert (tmp_path / "mnist/3.0.1/decoded/train.json").exists()
    for one, other in zip(first, again, strict=True):
        assert isinstance(one, dict)
        assert isinstance(other, dict)
        np.testing.assert_array_equal(one["image"], other["image"])
    assert sum(len(part["label"]) for part in first if isinstance(part, dict)) == 40


def flip_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def swap(path: Path) -> None:
    """Take the file of the other split, which has the same size."""
    shutil.copy(path.with_name(path.name.replace("train", "test")), path)


def replace_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def pickle_objects(path: Path) -> None:
    np.save(path, np.array([Path("x")], object), allow_pickle=True)


def reverse_axes(path: Path) -> None:
    np.save(path, np.asfortranarray(np.load(path)))


def claim_terabytes(path: Path) -> None:
    """The header of an array that is far larger than the data set, in a sparse file of that size."""
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|u1", "fortran_order": False, "shape": (2**42, 28, 28, 1)}
        )
        file.truncate(2**42)


def nest_deeply(path: Path) -> None:
    path.write_bytes(b"[" * 100_000)


def write_a_number(path: Path) -> None:
    path.write_bytes(b"5")


def write_a_zip(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04" + bytes(100))


DAMAGES: list[tuple[str, Callable[[Path], None]]] = [
    *((file, damage) for file in ("train.image.npy", "train.label.npy") for damage in (flip_bit, cut, empty, swap)),
    *(("train.image.npy", damage) for damage in (write_a_zip, write_a_number)),
    *((file, replace_by_pipe) for file in ("train.image.npy", "train.json")),
    *(("train.json", damage) for damage in (cut, empty, swap, nest_deeply, write_a_number)),
    *(("train.image.npy", damage) for damage in (pickle_objects, reverse_axes, claim_terabytes, Path.unlink)),
]


@pytest.mark.parametrize(("file", "damage"), DAMAGES, ids=lambda value: getattr(value, "__name__", value))
def test_damaged_copy_is_not_used_and_made_again(
    data_dir: Path, decoded: Path, file: str, damage: Callable[[Path], None]
) -> None:
    expected = {path.name: path.read_bytes() for path in decoded.glob("train.*")}
    damage(decoded / file)
    assert not is_cached(data_dir)
    assert_equal_to_decoded(data_dir)
    assert is_cached(data_dir)
    assert {path.name: path.read_bytes() for path in decoded.glob("train.*")} == expected


def test_copy_of_other_prepared_files_is_not_used(data_dir: Path, decoded: Path, tmp_path: Path) -> None:
    other = prepare_arrays("mnist", {"train": random_data(2), "test": random_data(3)}, tmp_path / "other")
    for path in other.glob("*train*"):
        shutil.copy(path, decoded.parent)
    assert not is_cached(data_dir)
    assert_equal_to_decoded(data_dir)


def test_copy_of_a_data_set_with_other_features_is_not_used(data_dir: Path, decoded: Path) -> None:
    path = decoded.parent / "features.json"
    features = json.loads(path.read_text())
    del features["featuresDict"]["features"]["label"]
    path.write_text(json.dumps(features))
    data = load("mnist", data_dir=data_dir)
    assert isinstance(data, dict)
    assert set(data) == {"image"}


def test_images_are_loaded_where_no_copy_can_be_written(data_dir: Path, full_disk: Any) -> None:
    with full_disk(4000):
        assert_equal_to_decoded(data_dir)
    assert not is_cached(data_dir)
    assert [path.name for path in (data_dir / "mnist/3.0.1/decoded").iterdir() if path.name != ".lock"] == []
    shutil.rmtree(data_dir / "mnist/3.0.1/decoded")
    (data_dir / "mnist/3.0.1/decoded").write_text("a file, not a folder")
    assert_equal_to_decoded(data_dir)


@pytest.mark.parametrize("link", [".lock", ".train.image.npy.tmp", ".train.json.tmp", "train.json", "."])
def test_copy_is_not_written_through_links(data_dir: Path, tmp_path: Path, link: str) -> None:
    outside = tmp_path / "outside"
    folder = data_dir / "mnist/3.0.1/decoded"
    if link == ".":
        outside.mkdir()
        folder.symlink_to(outside)
    else:
        outside.write_text("a file of the user")
        folder.mkdir()
        (folder / link).symlink_to(outside)
    assert_equal_to_decoded(data_dir)
    if link == ".":
        assert not list(outside.iterdir())
    else:
        assert outside.read_text() == "a file of the user"


def test_second_process_does_not_wait_for_the_one_that_writes_the_copy(data_dir: Path) -> None:
    folder = data_dir / "mnist/3.0.1/decoded"
    folder.mkdir()
    with filelock.FileLock(folder / ".lock"):
        assert_equal_to_decoded(data_dir)
        assert not is_cached(data_dir)
    assert_equal_to_decoded(data_dir)
    assert is_cached(data_dir)
