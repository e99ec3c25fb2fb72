"""Prepared data sets from elsewhere: no code is imported, and files that are invalid or too large are refused."""

import io
import json
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from jaxgen.data.originals import CLASS_NAMES
from jaxgen.data.prepared import open_prepared
from jaxgen.data.prepared_metadata import read_metadata
from jaxgen.data.preparing import prepare_arrays
from jaxgen.data.sources import DataSource, load
from jaxgen.errors import InputError

Edit = Callable[[dict[str, Any]], Any]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a prepared data set."""
    rng = np.random.default_rng(0)
    arrays = {"image": rng.integers(0, 256, (6, 28, 28, 1), np.uint8), "label": np.arange(6, dtype=np.int32)}
    return prepare_arrays("mnist", {"train": arrays, "test": arrays}, tmp_path_factory.mktemp("data"))


@pytest.fixture
def data_dir(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original.parents[1], tmp_path / "data"))


@pytest.fixture
def folder(data_dir: Path) -> Path:
    return data_dir / "mnist/3.0.1"


def edit(path: Path, change: Edit) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


EVIL = "evil_feature.Evil"
NESTED = {"type": EVIL, "content": {}}


def features_of(content: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = content["featuresDict"]["features"]
    return found


IMPORTS: dict[str, tuple[str, Edit]] = {
    "the features": ("features.json", lambda content: content.update(pythonClassName=EVIL)),
    "the features, in the former format": ("features.json", lambda content: content.update(type=EVIL, content={})),
    "the image": ("features.json", lambda content: features_of(content)["image"].update(pythonClassName=EVIL)),
    "the label": ("features.json", lambda content: features_of(content)["label"].update(pythonClassName=EVIL)),
    "another feature": (
        "features.json",
        lambda content: features_of(content).update(id={"pythonClassName": EVIL, "jsonFeature": {"json": "{}"}}),
    ),
    "a feature within a string": (
        "features.json",
        lambda content: features_of(content).update(
            id={
                "pythonClassName": "tensorflow_datasets.core.features.sequence_feature.Sequence",
                "jsonFeature": {"json": json.dumps({"feature": NESTED, "length": None})},
            }
        ),
    ),
    "features in dataset_info.json": (
        "dataset_info.json",
        lambda content: content.update(features={"pythonClassName": EVIL, "jsonFeature": {"json": "{}"}}),
    ),
}
"""Place at which tensorflow-datasets finds a class -> file and change."""


@pytest.mark.parametrize("place", IMPORTS)
def test_module_that_a_file_names_is_not_imported(
    place: str, data_dir: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, change = IMPORTS[place]
    edit(folder / file, change)
    (tmp_path / "evil_feature.py").write_text(f"import pathlib; pathlib.Path({str(tmp_path / 'executed')!r}).touch()")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    for split in ("train", "test"):
        with pytest.raises(InputError, match="must have a feature 'image'") if place == "the image" else nullcontext():
            load("mnist", data_dir=data_dir, split=split)
    assert not (tmp_path / "executed").exists()
    assert "evil_feature" not in sys.modules
    with pytest.raises(Exception, match=r"Evil|evil_feature"):  # The test would notice an import.
        tfds.builder_from_directory(folder)
    assert (tmp_path / "executed").exists()
    del sys.modules["evil_feature"]


def set_image(**entries: Any) -> tuple[str, Edit]:
    return "features.json", lambda content: features_of(content)["image"]["image"].update(entries)


def set_shape(*dimensions: Any) -> tuple[str, Edit]:
    return set_image(shape={"dimensions": list(dimensions)})


def set_label(**entries: Any) -> tuple[str, Edit]:
    return "features.json", lambda content: features_of(content)["label"]["classLabel"].update(entries)


def set_info(**entries: Any) -> tuple[str, Edit]:
    return "dataset_info.json", lambda content: content.update(entries)


def set_shards(*lengths: Any) -> tuple[str, Edit]:
    return "dataset_info.json", lambda content: content["splits"][0].update(shardLengths=list(lengths))


REFUSED: dict[str, tuple[tuple[str, Edit], str]] = {
    "large images": (set_shape("30000", "30000", "1"), "images must have at most 67108864 pixels, got 30000x30000"),
    "high images": (set_shape("1000000000000", "-1", "1"), "'dimensions' must be an integer from -1 to 67108864, got"),
    "number of digits": (set_shape("9" * 5000, "28", "1"), "'dimensions' must be an integer .*, got '9999"),
    "many channels": (set_shape("28", "28", "2000000000"), "'dimensions' must be an integer from -1 to 67108864, got"),
    "two channels": (set_shape("28", "28", "2"), "images must have 1, 3 or 4 channels, got 2"),
    "two dimensions": (set_shape("28", "28"), "the shape of 'image' must have 3 dimensions, got 2"),
    "dimension of a wrong type": (set_shape({}, [], None), "'dimensions' must be an integer .*, got {}"),
    "shape of a wrong type": (set_image(shape=[28, 28, 1]), "its entry 'shape' must be a dict, got"),
    "floats": (set_image(dtype="float32"), "must have a feature 'image' of dtype uint8"),
    "dtype of a wrong type": (set_image(dtype=["uint8"]), "must have a feature 'image' of dtype uint8"),
    "many classes": (set_label(numClasses="1000000000000"), "'numClasses' must be an integer from 1 to 65536"),
    "no classes": (set_label(numClasses="0"), "'numClasses' must be an integer from 1 to 65536, got '0'"),
    "many examples": (set_shards("1000000000000"), "'shardLengths' must be an integer from 0 to 2147483647"),
    "many examples together": (set_shards("2147483647", "1"), "at most 2147483647 examples, got 2147483648"),
    "more examples than are stored": (set_shards("7"), "its files must have 7 examples, got 6"),
    "fewer examples than are stored": (set_shards("5"), "its files must have 5 examples, got 6"),
    "negative number of examples": (set_shards("-1"), "'shardLengths' must be an integer from 0"),
    "missing shard": (set_shards("3", "3"), "mnist-train.array_record-00000-of-00002: No such file"),
    "many shards": (set_shards(*["1"] * 100_000), "a split must have at most 99999 files, got 100000"),
    "no examples": (set_shards(), "the split 'train' of .* must have at least one image, got none"),
    "shards of a wrong type": (
        set_info(splits=[{"name": "train", "shardLengths": 5}]),
        "'shardLengths' must be a list",
    ),
    "split of a wrong type": (set_info(splits=[5]), "its entry 'name' must be a str, got None"),
    "splits of a wrong type": (set_info(splits={}), "its entry 'splits' must be a list, got {}"),
    "no splits": (set_info(splits=[]), "must have the split 'train', got none"),
    "name of a wrong type": (set_info(name=["mnist"]), "its entry 'name' must be a str"),
    "path as a name": (set_info(name="../../mnist"), "must have the split 'train', got none"),
    "format of a wrong type": (set_info(fileFormat={}), "its entry 'fileFormat' must be a str"),
    "control sequence": (set_info(fileFormat="\x1b[2J"), r"must be array_record, got '\\x1b\[2J'"),
    "other file names": (
        ("dataset_info.json", lambda content: content["splits"][0].update(filepathTemplate="/etc/{SPLIT}")),
        "must have the split 'train', got test",
    ),
    "no image": (
        ("features.json", lambda content: features_of(content).pop("image")),
        "must have a feature 'image' of dtype uint8, got 'label'",
    ),
    "no features": (("features.json", lambda content: content.clear()), "its entry 'featuresDict' must be a dict"),
}


@pytest.mark.parametrize("problem", REFUSED)
def test_invalid_entry_is_refused_with_one_sentence(problem: str, data_dir: Path, folder: Path) -> None:
    (file, change), message = REFUSED[problem]
    edit(folder / file, change)
    with pytest.raises(InputError, match=message) as error:
        load("mnist", data_dir=data_dir)
    assert str(folder) in str(error.value)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 400 + len(str(folder))


@pytest.mark.parametrize("file", ["features.json", "dataset_info.json"])
@pytest.mark.parametrize(
    "content", ["", "[" * 200_000, "5", "null", '"text"', "[]", "NaN", "{", "\ud800", "1" * 10_000]
)
def test_file_without_a_json_object_is_refused(file: str, content: str, data_dir: Path, folder: Path) -> None:
    (folder / file).write_bytes(content.encode(errors="surrogatepass"))
    with pytest.raises(InputError, match=r"mnist/3.0.1 is damaged \(.*\); delete it and prepare it again"):
        load("mnist", data_dir=data_dir)


@pytest.mark.parametrize("file", ["features.json", "dataset_info.json", "mnist-train.array_record-00000-of-00001"])
def test_pipe_and_folder_in_place_of_a_file_are_refused(file: str, data_dir: Path, folder: Path) -> None:
    (folder / file).unlink()
    os.mkfifo(folder / file)
    with pytest.raises(InputError, match=f"{file} must be a regular file"):
        load("mnist", data_dir=data_dir)
    (folder / file).unlink()
    (folder / file).mkdir()
    with pytest.raises(InputError, match=f"{file} must be a regular file"):
        load("mnist", data_dir=data_dir)


@pytest.mark.parametrize("file", ["features.json", "dataset_info.json"])
def test_large_json_file_is_refused_before_it_is_read(file: str, data_dir: Path, folder: Path) -> None:
    os.truncate(folder / file, 2**40)
    with pytest.raises(InputError, match=f"{file} must have at most 2097152 bytes, got 1099511627776"):
        load("mnist", data_dir=data_dir)


def test_number_of_stored_examples_is_checked_before_any_list_of_examples_is_made(folder: Path, data_dir: Path) -> None:
    """Without a test split the examples are divided, whose number is 2**31 - 1 according to the file."""
    edit(folder / "dataset_info.json", set_shards("2147483647")[1])
    edit(folder / "dataset_info.json", lambda content: content["splits"].pop())
    for split in ("train", "test"):
        with pytest.raises(InputError, match="its files must have 2147483647 examples, got 6"):
            open_prepared("mnist", data_dir, split, None)


def write_records(folder: Path, image: bytes, label: int = 0, *, name: str = "image") -> None:
    """Replace the training split by one record."""
    from array_record.python import array_record_module
    from tensorflow_datasets.proto import tf_example_pb2

    example = tf_example_pb2.Example()
    example.features.feature[name].bytes_list.value.append(image)
    example.features.feature["label"].int64_list.value.append(label)
    path = folder / "mnist-train.array_record-00000-of-00001"
    writer = array_record_module.ArrayRecordWriter(str(path), "group_size:1")
    writer.write(example.SerializeToString())
    writer.close()
    edit(folder / "dataset_info.json", lambda content: content["splits"][0].update(shardLengths=["1"]))


def encoded(array: np.ndarray, kind: str = "png") -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, kind)
    return file.getvalue()


SQUARE = np.arange(28 * 28, dtype=np.uint16).astype(np.uint8).reshape(28, 28)


@pytest.mark.parametrize(
    ("image", "label", "message"),
    [
        (encoded(np.zeros((9000, 9000), np.uint8)), 0, "an image must have 28x28 pixels, got 9000x9000"),
        (encoded(SQUARE[:27]), 0, "an image must have 28x28 pixels, got 27x28"),
        (encoded(SQUARE)[:-40], 0, "is damaged"),
        (b"", 0, "is damaged"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 28 28\n%%EndComments\n", 0, "cannot identify image file"),
        (encoded(SQUARE), -1, r"labels of .*mnist/3.0.1 must be in 0..9, got -1 to -1"),
        (encoded(SQUARE), 10, r"labels of .*mnist/3.0.1 must be in 0..9, got 10 to 10"),
        (encoded(SQUARE), 2**40, r"labels of .*mnist/3.0.1 must be in 0..9, got 1099511627776 to"),
    ],
    ids=["large image", "other size", "cut image", "no image", "PostScript", "no label", "label", "large label"],
)
def test_invalid_example_is_refused(image: bytes, label: int, message: str, data_dir: Path, folder: Path) -> None:
    write_records(folder, image, label)
    with pytest.raises(InputError, match=message) as error:
        load("mnist", data_dir=data_dir)
    assert str(error.value).isprintable()


def test_example_without_an_image_is_refused(data_dir: Path, folder: Path) -> None:
    write_records(folder, encoded(SQUARE), name="other")
    with pytest.raises(InputError, match=r"is damaged \(an example must have an entry 'image'"):
        load("mnist", data_dir=data_dir)


@pytest.mark.parametrize("kind", ["png", "bmp", "gif"])
def test_images_of_every_lossless_encoding_are_read(kind: str, data_dir: Path, folder: Path) -> None:
    write_records(folder, encoded(SQUARE, kind), 7)
    data = load("mnist", data_dir=data_dir)
    assert isinstance(data, dict)
    np.testing.assert_array_equal(data["image"][0, ..., 0], SQUARE)
    assert data["label"].tolist() == [7]


def test_grey_image_in_a_colour_data_set_has_three_equal_channels(data_dir: Path, folder: Path) -> None:
    write_records(folder, encoded(SQUARE))
    edit(folder / "features.json", set_shape("-1", "-1", "3")[1])
    data = load("mnist", data_dir=data_dir, image_size=28)
    assert isinstance(data, dict)
    np.testing.assert_array_equal(data["image"][0], np.repeat(SQUARE[..., None], 3, axis=2))
    with pytest.raises(InputError, match=r"image_size must be given for .*mnist/3.0.1, as its images differ in size"):
        open_prepared("mnist", data_dir, "train", None)


def test_metadata_are_those_of_tensorflow_datasets(original: Path) -> None:
    builder = tfds.builder_from_directory(original)
    metadata = read_metadata(original)
    features = builder.info.features
    assert (metadata.height, metadata.width, metadata.channels) == features["image"].shape
    assert metadata.classes == features["label"].num_classes
    for name, split in builder.info.splits.items():
        assert [str(path) for path in metadata.splits[name]] == [str(path) for path in split.filepaths]
        assert list(metadata.splits[name].values()) == split.shard_lengths


def test_arrays_are_those_of_tensorflow_datasets_in_the_same_order(original: Path, data_dir: Path) -> None:
    expected = list(tfds.builder_from_directory(original).as_data_source(split="train"))
    data = load("mnist", data_dir=data_dir)
    assert isinstance(data, dict)
    np.testing.assert_array_equal(data["image"], np.stack([example["image"] for example in expected]))
    np.testing.assert_array_equal(data["label"], [example["label"] for example in expected])


NAMES = ["zero", "one", "two", "three", "four", "five", "six", "s e v e n", "eight", "\x1b[2J"]


@pytest.mark.parametrize("split", ["train", "test"])
def test_class_names_of_a_prepared_data_set_are_kept(split: str, data_dir: Path, folder: Path) -> None:
    """Numbers are no names."""
    source = DataSource("mnist", str(data_dir))
    assert source.open(split).class_names == ()
    (folder / "label.labels.txt").write_text("\n".join("0123456789"))
    assert source.open(split).class_names == ()
    (folder / "label.labels.txt").write_text("\n".join(NAMES) + "\n")
    assert source.open(split).class_names == tuple(NAMES)  # From the files, and from the decoded copy:
    assert source.open(split).class_names == tuple(NAMES)


@pytest.mark.parametrize("content", [b"a\nb\n", b"\xff\n" * 10, b"x" * 2**22])
def test_damaged_class_names_are_refused(content: bytes, data_dir: Path, folder: Path) -> None:
    (folder / "label.labels.txt").write_bytes(content)
    with pytest.raises(InputError, match=r"is damaged \(label.labels.txt"):
        load("mnist", data_dir=data_dir)


def test_a_pipe_in_place_of_class_names_is_not_waited_for(data_dir: Path, folder: Path) -> None:
    os.mkfifo(folder / "label.labels.txt")
    with pytest.raises(InputError, match=r"label\.labels\.txt must be a regular file"):
        load("mnist", data_dir=data_dir)


@pytest.mark.parametrize("name", ["fashion_mnist", "kmnist"])
def test_class_names_of_known_data_sets_are_those_of_tensorflow_datasets(name: str, tmp_path: Path) -> None:
    builder = tfds.builder_cls(name)(data_dir=tmp_path)
    assert list(CLASS_NAMES[name]) == builder.info.features["label"].names
