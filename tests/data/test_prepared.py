import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from jaxgen.data.prepared import open_prepared
from jaxgen.data.preparing import prepare, prepare_arrays
from jaxgen.data.streaming import read_all
from jaxgen.errors import InputError
from tests.small_data import multiset, random_data

WriteOriginals = Callable[..., dict[str, str]]


@pytest.fixture(autouse=True)
def _no_progress_bars() -> None:
    tfds.disable_progress_bar()


@pytest.mark.parametrize(("name", "file"), [("mnist", "train-images-idx3-ubyte.gz"), ("cifar10", "cifar-10-binary")])
def test_error_for_an_unprepared_data_set_states_the_command(tmp_path: Path, name: str, file: str) -> None:
    with pytest.raises(InputError, match=f"run: jaxgen data prepare {name} --data-dir .*{file}.*into"):
        open_prepared(name, tmp_path, "train", None)


def test_test_split_falls_back_to_validation_and_then_to_a_tenth_of_each_class(tmp_path: Path) -> None:
    train, validation = random_data(20), random_data(4, seed=1)
    prepare_arrays("mnist", {"train": train, "validation": validation}, tmp_path / "two")
    assert multiset(read_all(open_prepared("mnist", tmp_path / "two", "test", None))) == multiset(validation)
    assert multiset(read_all(open_prepared("mnist", tmp_path / "two", "train", None))) == multiset(train)
    prepare_arrays("mnist", {"train": train}, tmp_path / "one")
    parts = [multiset(read_all(open_prepared("mnist", tmp_path / "one", split, None))) for split in ("train", "test")]
    counts = np.bincount(train["label"])
    assert parts[1].total() == sum(max(1, round(count / 10)) for count in counts if count > 1)
    assert parts[0] + parts[1] == multiset(train)


def test_images_are_resized_to_the_image_size(tmp_path: Path) -> None:
    prepare_arrays("mnist", {"train": random_data(3), "test": random_data(3)}, tmp_path)
    data = read_all(open_prepared("mnist", tmp_path, "train", 14))
    assert data["image"].shape == (3, 14, 14, 1)
    with pytest.raises(
        InputError, match="image_size must be at most 28 for an image of 'mnist' of 28x28 pixels, got 64"
    ):
        read_all(open_prepared("mnist", tmp_path, "train", 64))


@pytest.mark.parametrize("damaged", ["features.json", "dataset_info.json", "mnist-train.array_record-00000-of-00001"])
@pytest.mark.parametrize("kept", [0.0, 0.5])
def test_error_names_a_damaged_prepared_folder(tmp_path: Path, damaged: str, kept: float) -> None:
    folder = prepare_arrays("mnist", {"train": random_data(40), "test": random_data(3)}, tmp_path)
    content = (folder / damaged).read_bytes()
    (folder / damaged).write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(InputError, match=r"mnist/3.0.1 is damaged .*; delete it and prepare it again"):
        read_all(open_prepared("mnist", tmp_path, "train", None))


def test_error_names_a_file_format_that_needs_tensorflow(tmp_path: Path) -> None:
    folder = prepare_arrays("mnist", {"train": random_data(3), "test": random_data(3)}, tmp_path)
    info = json.loads((folder / "dataset_info.json").read_text())
    (folder / "dataset_info.json").write_text(json.dumps(info | {"fileFormat": "tfrecord"}))
    with pytest.raises(InputError, match=r"the file format of .* must be array_record, got 'tfrecord'"):
        open_prepared("mnist", tmp_path, "train", None)


@pytest.mark.parametrize("path", ["~nosuchuser/x", "a\0b", "a" * 300])
def test_unusual_paths_are_refused(tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError):
        prepare("mnist", data_dir=tmp_path, source=path)
    with pytest.raises(InputError):
        prepare("mnist", data_dir=path, source=tmp_path)
    assert not list(tmp_path.iterdir())


def test_error_names_a_missing_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(InputError, match=r"tensorflow_datasets must be installed; run: pip install 'jaxgen\[data\]'"):
        prepare("mnist", data_dir=tmp_path, source=tmp_path)
