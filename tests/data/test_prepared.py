import importlib.util
import itertools
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import tensorflow_datasets as tfds

from jaxgen.data import originals, prepared
from jaxgen.data.originals import IDX_FILES, read_original
from jaxgen.data.prepared import find_prepared, open_prepared, prepare, prepare_arrays
from jaxgen.data.streaming import read_all
from jaxgen.errors import InputError

WriteOriginals = Callable[..., dict[str, str]]


@pytest.fixture(autouse=True)
def _no_progress_bars() -> None:
    tfds.disable_progress_bar()


def random_data(examples: int, shape: tuple[int, ...] = (28, 28, 1), seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "image": rng.integers(0, 256, (examples, *shape), np.uint8),
        "label": rng.integers(0, 10, examples).astype(np.int32),
    }


def multiset(data: Mapping[str, np.ndarray]) -> Counter[tuple[bytes, int]]:
    """The labelled images without their order, as tensorflow-datasets shuffles them."""
    return Counter((image.tobytes(), int(label)) for image, label in zip(data["image"], data["label"], strict=True))


def test_prepared_mnist_has_the_folder_and_features_of_the_tfds_builder(
    tmp_path: Path, write_tiny_originals: WriteOriginals
) -> None:
    write_tiny_originals(tmp_path / "originals", compressed=False)
    data_dir = tmp_path / "data"
    folder = prepare("mnist", data_dir=data_dir, source=tmp_path / "originals")
    assert folder == data_dir / "mnist" / tfds.builder_cls("mnist").VERSION.__str__()
    for split in IDX_FILES:
        source = open_prepared("mnist", data_dir, split, None)
        assert (source.shape, source.classes) == ((28, 28, 1), 10)
        assert multiset(read_all(source)) == multiset(read_original("mnist", tmp_path / "originals", split))
    stock = tfds.builder_cls("mnist")(data_dir=tmp_path / "elsewhere").info.features
    assert tfds.builder_from_directory(folder).info.features.to_json() == stock.to_json()
    written = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert prepare("mnist", data_dir=data_dir) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == written


def test_prepared_cifar10_has_the_features_class_names_and_ids_of_the_tfds_builder(tmp_path: Path) -> None:
    train, test = random_data(12, (32, 32, 3)), random_data(5, (32, 32, 3), seed=1)
    folder = prepare_arrays("cifar10", {"train": train, "test": test}, tmp_path)
    assert multiset(read_all(open_prepared("cifar10", tmp_path, "test", None))) == multiset(test)
    builder = tfds.builder_from_directory(folder)
    assert set(builder.info.features) == set(tfds.builder_cls("cifar10")(data_dir=tmp_path / "x").info.features)
    assert builder.info.features["label"].names[3:6] == ["cat", "deer", "dog"]
    stored = {record["id"].decode(): record for record in builder.as_data_source(split="train")}
    assert sorted(stored) == [f"train_{i:05d}" for i in range(12)]
    np.testing.assert_array_equal(stored["train_00007"]["image"], train["image"][7])


def test_prepare_and_load_do_not_import_tensorflow(tmp_path: Path, write_tiny_originals: WriteOriginals) -> None:
    write_tiny_originals(tmp_path / "originals", compressed=False)
    script = f"""
import sys
import jaxgen.data
heavy = {{"tensorflow", "tensorflow_datasets", "grain", "PIL", "sklearn"}} & set(sys.modules)
assert not heavy, heavy
jaxgen.data.prepare("kmnist", data_dir={str(tmp_path)!r}, source={str(tmp_path / "originals")!r})
assert len(jaxgen.data.load("kmnist", data_dir={str(tmp_path)!r})["label"]) == 7
stream = jaxgen.data.load("kmnist", data_dir={str(tmp_path)!r}, stream=True)
assert len(next(stream.in_order(4))["label"]) == 4
assert "tensorflow" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "OpenCV" not in done.stderr


def test_damaged_source_leaves_no_files(tmp_path: Path, write_tiny_originals: WriteOriginals) -> None:
    write_tiny_originals(tmp_path / "originals", compressed=False)
    labels = tmp_path / "originals" / "t10k-labels-idx1-ubyte"
    labels.write_bytes(labels.read_bytes()[:-1])
    with pytest.raises(InputError, match="t10k-labels-idx1-ubyte is damaged"):
        prepare("mnist", data_dir=tmp_path / "data", source=tmp_path / "originals")
    assert not (tmp_path / "data").exists()


def test_interrupted_preparation_is_not_found_as_prepared(tmp_path: Path) -> None:
    train = random_data(6)
    too_few_labels = {"image": train["image"], "label": train["label"][:4]}
    with pytest.raises(ValueError, match="zip"):
        prepare_arrays("mnist", {"train": train, "test": too_few_labels}, tmp_path)
    assert find_prepared("mnist", tmp_path) is None
    assert not [path for path in (tmp_path / "mnist").rglob("*") if path.is_file()]
    prepare_arrays("mnist", {"train": train, "test": train}, tmp_path)
    assert find_prepared("mnist", tmp_path) is not None


def test_downloaded_files_are_verified_and_deleted(
    tmp_path: Path, write_tiny_originals: WriteOriginals, monkeypatch: pytest.MonkeyPatch
) -> None:
    checksums = write_tiny_originals(tmp_path / "web")
    monkeypatch.setattr(prepared, "urlopen", lambda url, timeout: (tmp_path / "web" / url.split("/")[-1]).open("rb"))
    with pytest.raises(InputError, match="is truncated or not the published file"):
        prepare("mnist", data_dir=tmp_path / "data")
    assert not list((tmp_path / "data").iterdir())
    monkeypatch.setitem(originals.CHECKSUMS, "mnist", checksums)
    prepare("mnist", data_dir=tmp_path / "data")
    assert len(open_prepared("mnist", tmp_path / "data", "train", None)) == 7
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["mnist"]


def test_long_preparation_is_reported_now_and_then(
    tmp_path: Path, write_tiny_originals: WriteOriginals, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    """One line when it starts, one every ten seconds, and one when it ends."""
    monkeypatch.setitem(originals.CHECKSUMS, "mnist", write_tiny_originals(tmp_path / "web", examples=2000))
    monkeypatch.setattr(prepared, "urlopen", lambda url, timeout: (tmp_path / "web" / url.split("/")[-1]).open("rb"))
    seconds = itertools.count(0, 4)
    monkeypatch.setattr(prepared, "monotonic", lambda: next(seconds))
    lines: list[str] = []
    tfds.enable_progress_bar()
    prepare("mnist", data_dir=tmp_path / "data", notify=lines.append, progress_bars=False)
    assert tfds.core.utils.tqdm_utils._active
    first, *between, last = lines
    assert first == f"preparing mnist in {tmp_path / 'data'}"
    assert re.fullmatch(r"prepared mnist in \d+ s", last)
    downloads = [line for line in between if re.fullmatch(r"downloading \S+-ubyte.gz: [\d.]+ MB", line)]
    images = [int(line.split()[2].replace(",", "")) for line in between if line.startswith("encoded images: ")]
    assert len(downloads) + len(images) == len(between)
    assert downloads
    assert images
    assert images == sorted(images)
    assert capfd.readouterr() == ("", "")


def test_error_without_a_network_names_the_files_to_provide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(url: str, timeout: float) -> Any:
        raise URLError("no route to host")

    monkeypatch.setattr(prepared, "urlopen", fail)
    with pytest.raises(InputError, match=r"cifar-10-binary.tar.gz cannot be downloaded .*no route.* into a folder"):
        prepare("cifar10", data_dir=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("mnist", "nowhere", "source must be an existing folder or archive, got nowhere"),
        ("celeb_a", "nowhere", "source is available for cifar10, fashion_mnist, kmnist, mnist only, got .*celeb_a"),
        ("celeb_a", None, "celeb_a is not in .* needs TensorFlow; run: pip install tensorflow"),
        ("emnist/letters", None, "emnist/letters is not in .* needs TensorFlow"),
        ("celebb_a", None, "did you mean 'celeb_a'"),
        ("mnist_small", None, "'mnist_small' is included in jaxgen and needs no preparation"),
        ("digits", None, "'digits' is included in jaxgen and needs no preparation"),
        ("stacked_mnist", None, "stacked_mnist is made of the images of mnist; run: jaxgen data prepare mnist"),
        ("ring", None, "'ring' is included in jaxgen and needs no preparation"),
    ],
)
def test_prepare_rejects_invalid_arguments(tmp_path: Path, name: str, source: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        prepare(name, data_dir=tmp_path, source=source)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("huggingface:mnist", "there is no data set, .*'huggingface:mnist'"),
        ("kaggle:mnist/x:1.0.0", "there is no data set"),
        ("mnist/nothing", "mnist/nothing must have a configuration and a version that exist"),
        ("mnist:9.9.9", "mnist:9.9.9 must have a configuration and a version that exist"),
    ],
)
def test_with_tensorflow_only_installed_data_sets_are_prepared(
    tmp_path: Path, name: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda module: object())  # TensorFlow seems to be installed.
    monkeypatch.setattr(tfds.core.community, "community_register", lambda: pytest.fail("a community data set"))
    with pytest.raises(InputError, match=message):
        open_prepared(name, tmp_path, "train", None)


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


def test_error_names_a_data_folder_that_is_not_writable(tmp_path: Path, write_tiny_originals: WriteOriginals) -> None:
    write_tiny_originals(tmp_path / "source", compressed=False)
    (tmp_path / "data").write_text("a file, not a folder")
    with pytest.raises(InputError, match=r"mnist cannot be prepared in .*data"):
        prepare("mnist", data_dir=tmp_path / "data", source=tmp_path / "source")


def test_error_names_a_file_format_that_needs_tensorflow(tmp_path: Path) -> None:
    folder = prepare_arrays("mnist", {"train": random_data(3), "test": random_data(3)}, tmp_path)
    info = json.loads((folder / "dataset_info.json").read_text())
    (folder / "dataset_info.json").write_text(json.dumps(info | {"fileFormat": "tfrecord"}))
    with pytest.raises(InputError, match=r"the file format of .* must be array_record, got 'tfrecord'"):
        open_prepared("mnist", tmp_path, "train", None)


INCOMPLETE = "plain/incomplete.KGS287_2.0.0"
"""Folder left by an interrupted preparation."""


def test_find_prepared_returns_the_newest_version_and_the_only_configuration(tmp_path: Path) -> None:
    for folder in (
        "plain/1.9.0",
        "plain/1.10.0",
        "single/letters/1.0.0",
        "several/a/1.0.0",
        "several/b/1.0.0",
        INCOMPLETE,
    ):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "features.json").touch()
    assert find_prepared("plain", tmp_path) == tmp_path / "plain/1.10.0"
    assert find_prepared("plain:1.9.0", tmp_path) == tmp_path / "plain/1.9.0"
    assert find_prepared("plain:3.0.0", tmp_path) is None
    assert find_prepared("single", tmp_path) == tmp_path / "single/letters/1.0.0"
    assert find_prepared("several/b", tmp_path) == tmp_path / "several/b/1.0.0"
    with pytest.raises(
        InputError, match=r"the configuration of 'several' must be one of a, b, got none; .* 'several/a'"
    ):
        find_prepared("several", tmp_path)


@pytest.mark.parametrize(
    "name",
    ["a\0b", "a" * 300, "mnist:" + "9" * 4000, "mnist:9999999999.0.0", "*", "mnist/**", "..", "/", ":", "é\ud800"],
)
def test_unusual_names_are_not_found(tmp_path: Path, name: str) -> None:
    prepare_arrays("mnist", {"train": random_data(3)}, tmp_path)
    assert find_prepared(name, tmp_path) is None
    with pytest.raises(InputError, match=r"there is no data set|mnist.* is not in"):
        open_prepared(name, tmp_path, "train", None)


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
