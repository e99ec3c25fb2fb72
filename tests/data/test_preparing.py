import importlib.util
import itertools
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import tensorflow_datasets as tfds

from jaxgen.data import originals, preparing
from jaxgen.data.originals import IDX_FILES, read_original
from jaxgen.data.prepared import open_prepared
from jaxgen.data.prepared_folders import find_prepared
from jaxgen.data.preparing import prepare, prepare_arrays
from jaxgen.data.streaming import read_all
from jaxgen.errors import InputError
from tests.small_data import multiset, random_data

WriteOriginals = Callable[..., dict[str, str]]


@pytest.fixture(autouse=True)
def _no_progress_bars() -> None:
    tfds.disable_progress_bar()


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
    monkeypatch.setattr(
        "urllib.request.urlopen", lambda url, timeout: (tmp_path / "web" / url.split("/")[-1]).open("rb")
    )
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
    monkeypatch.setattr(
        "urllib.request.urlopen", lambda url, timeout: (tmp_path / "web" / url.split("/")[-1]).open("rb")
    )
    seconds = itertools.count(0, 4)
    monkeypatch.setattr(preparing, "monotonic", lambda: next(seconds))
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

    monkeypatch.setattr("urllib.request.urlopen", fail)
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


def test_error_names_a_data_folder_that_is_not_writable(tmp_path: Path, write_tiny_originals: WriteOriginals) -> None:
    write_tiny_originals(tmp_path / "source", compressed=False)
    (tmp_path / "data").write_text("a file, not a folder")
    with pytest.raises(InputError, match=r"mnist cannot be prepared in .*data"):
        prepare("mnist", data_dir=tmp_path / "data", source=tmp_path / "source")
