import json
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
from jaxgen.data.prepared import find_prepared, prepare, prepare_arrays, prepared_images
from jaxgen.data.streaming import hold
from jaxgen.errors import InputError

WriteOriginals = Callable[..., dict[str, str]]


@pytest.fixture(autouse=True)
def _no_progress_bars() -> None:
    tfds.disable_progress_bar()


def images(examples: int, shape: tuple[int, ...] = (28, 28, 1), seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "image": rng.integers(0, 256, (examples, *shape), np.uint8),
        "label": rng.integers(0, 10, examples).astype(np.int32),
    }


def multiset(data: Mapping[str, np.ndarray]) -> Counter[tuple[bytes, int]]:
    """The labelled pictures without their order, which tensorflow-datasets shuffles."""
    return Counter((image.tobytes(), int(label)) for image, label in zip(data["image"], data["label"], strict=True))


def test_mnist_is_prepared_as_the_stock_builder_would(tmp_path: Path, write_tiny_originals: WriteOriginals) -> None:
    write_tiny_originals(tmp_path / "originals", packed=False)
    data_dir = tmp_path / "data"
    folder = prepare("mnist", data_dir=data_dir, source=tmp_path / "originals")
    assert folder == data_dir / "mnist" / tfds.builder_cls("mnist").VERSION.__str__()
    for split in IDX_FILES:
        source = prepared_images("mnist", data_dir, split, None)
        assert (source.shape, source.classes) == ((28, 28, 1), 10)
        assert multiset(hold(source)) == multiset(read_original("mnist", tmp_path / "originals", split))
    stock = tfds.builder_cls("mnist")(data_dir=tmp_path / "elsewhere").info.features
    assert tfds.builder_from_directory(folder).info.features.to_json() == stock.to_json()
    written = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert prepare("mnist", data_dir=data_dir) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == written


def test_cifar10_gets_the_features_names_and_ids_of_the_stock_builder(tmp_path: Path) -> None:
    train, test = images(12, (32, 32, 3)), images(5, (32, 32, 3), seed=1)
    folder = prepare_arrays("cifar10", {"train": train, "test": test}, tmp_path)
    assert multiset(hold(prepared_images("cifar10", tmp_path, "test", None))) == multiset(test)
    builder = tfds.builder_from_directory(folder)
    assert set(builder.info.features) == set(tfds.builder_cls("cifar10")(data_dir=tmp_path / "x").info.features)
    assert builder.info.features["label"].names[3:6] == ["cat", "deer", "dog"]
    stored = {record["id"].decode(): record for record in builder.as_data_source(split="train")}
    assert sorted(stored) == [f"train_{i:05d}" for i in range(12)]
    np.testing.assert_array_equal(stored["train_00007"]["image"], train["image"][7])


def test_tensorflow_is_never_imported(tmp_path: Path, write_tiny_originals: WriteOriginals) -> None:
    write_tiny_originals(tmp_path / "originals", packed=False)
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


def test_a_damaged_source_leaves_nothing_behind(tmp_path: Path, write_tiny_originals: WriteOriginals) -> None:
    write_tiny_originals(tmp_path / "originals", packed=False)
    labels = tmp_path / "originals" / "t10k-labels-idx1-ubyte"
    labels.write_bytes(labels.read_bytes()[:-1])
    with pytest.raises(InputError, match="t10k-labels-idx1-ubyte is damaged"):
        prepare("mnist", data_dir=tmp_path / "data", source=tmp_path / "originals")
    assert not (tmp_path / "data").exists()


def test_a_preparation_that_fails_half_way_is_not_taken_for_a_whole_one(tmp_path: Path) -> None:
    train = images(6)
    too_few_labels = {"image": train["image"], "label": train["label"][:4]}
    with pytest.raises(ValueError, match="zip"):
        prepare_arrays("mnist", {"train": train, "test": too_few_labels}, tmp_path)
    assert find_prepared("mnist", tmp_path) is None
    assert not [path for path in (tmp_path / "mnist").rglob("*") if path.is_file()]
    prepare_arrays("mnist", {"train": train, "test": train}, tmp_path)
    assert find_prepared("mnist", tmp_path) is not None


def test_files_are_downloaded_verified_and_cleared_away(
    tmp_path: Path, write_tiny_originals: WriteOriginals, monkeypatch: pytest.MonkeyPatch
) -> None:
    checksums = write_tiny_originals(tmp_path / "web")
    monkeypatch.setattr(prepared, "urlopen", lambda url, timeout: (tmp_path / "web" / url.split("/")[-1]).open("rb"))
    with pytest.raises(InputError, match="is cut off or not the published file"):
        prepare("mnist", data_dir=tmp_path / "data")
    assert not list((tmp_path / "data").iterdir())
    monkeypatch.setitem(originals.CHECKSUMS, "mnist", checksums)
    prepare("mnist", data_dir=tmp_path / "data")
    assert len(prepared_images("mnist", tmp_path / "data", "train", None)) == 7
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["mnist"]


def test_without_a_network_the_message_says_where_to_put_what(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(url: str, timeout: float) -> Any:
        raise URLError("no route to host")

    monkeypatch.setattr(prepared, "urlopen", refuse)
    with pytest.raises(InputError, match=r"cifar-10-binary.tar.gz cannot be downloaded .*no route.* into a folder"):
        prepare("cifar10", data_dir=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("mnist", "nowhere", "there is no folder nowhere"),
        ("celeb_a", "nowhere", "original files are read for cifar10, fashion_mnist, kmnist, mnist only"),
        ("celeb_a", None, "celeb_a is not in .* needs TensorFlow: pip install tensorflow"),
        ("emnist/letters", None, "emnist/letters is not in .* needs TensorFlow"),
        ("celebb_a", None, "did you mean 'celeb_a'"),
        ("digits", None, "'digits' comes with jaxgen and needs no preparation"),
        ("ring", None, "'ring' comes with jaxgen and needs no preparation"),
    ],
)
def test_what_cannot_be_prepared_is_said(tmp_path: Path, name: str, source: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        prepare(name, data_dir=tmp_path, source=source)


@pytest.mark.parametrize(("name", "file"), [("mnist", "train-images-idx3-ubyte.gz"), ("cifar10", "cifar-10-binary")])
def test_what_is_not_prepared_says_how_to(tmp_path: Path, name: str, file: str) -> None:
    with pytest.raises(InputError, match=f"run: jaxgen data prepare {name} --data-dir .*{file}.*into"):
        prepared_images(name, tmp_path, "train", None)


def test_splits_fall_back_to_validation_and_then_to_every_tenth(tmp_path: Path) -> None:
    train, validation = images(20), images(4, seed=1)
    prepare_arrays("mnist", {"train": train, "validation": validation}, tmp_path / "two")
    assert multiset(hold(prepared_images("mnist", tmp_path / "two", "test", None))) == multiset(validation)
    assert multiset(hold(prepared_images("mnist", tmp_path / "two", "train", None))) == multiset(train)
    prepare_arrays("mnist", {"train": train}, tmp_path / "one")
    parts = [multiset(hold(prepared_images("mnist", tmp_path / "one", split, None))) for split in ("train", "test")]
    assert [part.total() for part in parts] == [18, 2]
    assert parts[0] + parts[1] == multiset(train)


def test_pictures_get_the_size_asked_for(tmp_path: Path) -> None:
    prepare_arrays("mnist", {"train": images(3), "test": images(3)}, tmp_path)
    data = hold(prepared_images("mnist", tmp_path, "train", 14))
    assert data["image"].shape == (3, 14, 14, 1)
    with pytest.raises(InputError, match="smaller than the image size 64"):
        hold(prepared_images("mnist", tmp_path, "train", 64))


@pytest.mark.parametrize("damaged", ["features.json", "dataset_info.json", "mnist-train.array_record-00000-of-00001"])
@pytest.mark.parametrize("kept", [0.0, 0.5])
def test_a_prepared_folder_that_is_damaged_is_named(tmp_path: Path, damaged: str, kept: float) -> None:
    folder = prepare_arrays("mnist", {"train": images(40), "test": images(3)}, tmp_path)
    content = (folder / damaged).read_bytes()
    (folder / damaged).write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(InputError, match=r"mnist/3.0.1 is damaged .*; delete it and prepare it again"):
        hold(prepared_images("mnist", tmp_path, "train", None))


def test_a_data_folder_that_cannot_be_written_is_named(tmp_path: Path, write_tiny_originals: WriteOriginals) -> None:
    write_tiny_originals(tmp_path / "source", packed=False)
    (tmp_path / "data").write_text("a file, not a folder")
    with pytest.raises(InputError, match=r"mnist cannot be prepared in .*data"):
        prepare("mnist", data_dir=tmp_path / "data", source=tmp_path / "source")


def test_a_format_that_only_tensorflow_reads_is_named(tmp_path: Path) -> None:
    folder = prepare_arrays("mnist", {"train": images(3), "test": images(3)}, tmp_path)
    info = json.loads((folder / "dataset_info.json").read_text())
    (folder / "dataset_info.json").write_text(json.dumps(info | {"fileFormat": "tfrecord"}))
    with pytest.raises(InputError, match="is stored as tfrecord, which only TensorFlow reads"):
        prepared_images("mnist", tmp_path, "train", None)


LEFT_OVER = "plain/incomplete.KGS287_2.0.0"
"""What an interrupted preparation leaves."""


def test_the_newest_version_and_the_only_configuration_are_found(tmp_path: Path) -> None:
    for folder in (
        "plain/1.9.0",
        "plain/1.10.0",
        "single/letters/1.0.0",
        "several/a/1.0.0",
        "several/b/1.0.0",
        LEFT_OVER,
    ):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "features.json").touch()
    assert find_prepared("plain", tmp_path) == tmp_path / "plain/1.10.0"
    assert find_prepared("plain:1.9.0", tmp_path) == tmp_path / "plain/1.9.0"
    assert find_prepared("plain:3.0.0", tmp_path) is None
    assert find_prepared("single", tmp_path) == tmp_path / "single/letters/1.0.0"
    assert find_prepared("several/b", tmp_path) == tmp_path / "several/b/1.0.0"
    with pytest.raises(InputError, match="is prepared as a, b; give one of them, as in 'several/a'"):
        find_prepared("several", tmp_path)


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(InputError, match=r"needs tensorflow_datasets; install it with: pip install 'jaxgen\[data\]'"):
        prepare("mnist", data_dir=tmp_path, source=tmp_path)
