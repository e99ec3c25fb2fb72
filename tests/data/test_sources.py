import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import jax
import numpy as np
import pytest

from jaxgen.data.originals import read_original
from jaxgen.data.preparing import prepare
from jaxgen.data.sources import DATASETS, DataSource, load
from jaxgen.data.synthetic import SYNTHETIC
from jaxgen.errors import InputError

WriteOriginals = Callable[..., dict[str, str]]
REAL = Path(os.environ["JAXGEN_TEST_DATA"]) if "JAXGEN_TEST_DATA" in os.environ else None
"""Path of a folder with `mnist/`, `fashion_mnist/` (four idx files each) and `cifar10_4k.npz`."""


def arrays(*args: Any, **options: Any) -> dict[str, np.ndarray]:
    data = load(*args, **options)
    assert isinstance(data, dict)
    return data


@pytest.mark.parametrize("name", SYNTHETIC)
def test_points_are_deterministic_and_differ_between_splits(name: str) -> None:
    first, again, test = (arrays(name, split=split, examples=50)["point"] for split in ("train", "train", "test"))
    assert first.dtype == np.float32
    np.testing.assert_array_equal(first, again)
    assert not np.any(np.all(np.isclose(first, test), axis=1))
    keyed = arrays(name, key=jax.random.key(1), examples=50)["point"]
    np.testing.assert_allclose(keyed, SYNTHETIC[name]().sample(jax.random.key(1), 50)["point"], rtol=1e-5, atol=1e-5)


def test_default_numbers_of_points() -> None:
    assert len(arrays("ring", split="test")["point"]) == 10_000
    assert len(arrays("ring")["label"]) == 100_000


def test_listed_data_sets_are_marked_as_synthetic_and_have_one_line_descriptions() -> None:
    assert {name for name, dataset in DATASETS.items() if dataset.synthetic} == set(SYNTHETIC)
    assert all("\n" not in dataset.description for dataset in DATASETS.values())


@pytest.mark.parametrize("subfolder", ["mnist", "."])
def test_original_files_are_read_from_the_data_folder_or_its_subfolder(
    tmp_path: Path, write_tiny_originals: WriteOriginals, subfolder: str
) -> None:
    write_tiny_originals(tmp_path / subfolder, compressed=False)
    expected = read_original("mnist", tmp_path / subfolder, "test")
    data = arrays("mnist", data_dir=tmp_path, split="test")
    np.testing.assert_array_equal(data["image"], expected["image"])
    np.testing.assert_array_equal(data["label"], expected["label"])
    assert arrays("mnist", data_dir=tmp_path, image_size=14)["image"].shape == (7, 14, 14, 1)


def test_default_data_folder_is_that_of_tensorflow_datasets(
    tmp_path: Path, write_tiny_originals: WriteOriginals, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tiny_originals(tmp_path / "source", compressed=False)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "data"))
    prepare("kmnist", source=tmp_path / "source")
    assert (tmp_path / "data" / "kmnist").is_dir()
    assert len(arrays("kmnist", split="test")["image"]) == 7
    monkeypatch.delenv("TFDS_DATA_DIR")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with pytest.raises(InputError, match=r"kmnist is not in .*home/tensorflow_datasets; run: jaxgen data prepare"):
        load("kmnist")


def test_name_of_a_data_set_takes_precedence_over_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "digits").mkdir()
    monkeypatch.chdir(tmp_path)
    assert len(arrays("digits")["image"]) == 1437
    with pytest.raises(InputError, match="digits must contain images"):
        load("./digits")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("digitz", {}, "there is no data set, folder or file 'digitz'; did you mean 'digits'?"),
        ("Fashion-MNIST", {}, "did you mean 'fashion_mnist'"),
        ("celeb_a", {}, "celeb_a is not in .* needs TensorFlow"),
        ("nothing_like_it_at_all", {}, "there is no data set, folder or file 'nothing_like_it_at_all'"),
        ("./images", {}, "must be an existing folder, .npz or .csv file, got ./images"),
        ("images/cats", {}, "there is no data set, folder or file 'images/cats'"),
        ("images.npz", {}, "must be an existing folder, .npz or .csv file, got images.npz"),
        ("points.csv", {}, "must be an existing folder, .npz or .csv file, got points.csv"),
        ("~nosuchuser/x", {}, "the path '~nosuchuser/x' must begin with the name of a user of this machine"),
        ("a\0b", {}, r"a path must not contain a zero byte, got 'a\\x00b'"),
        ("a" * 5000, {}, r"the path of the data cannot be read \(File name too long\)"),
        ("digits", {"split": "validation"}, "there is no split 'validation' of digits; choices are train, test"),
        ("ring", {"split": "validation"}, "there is no split 'validation' of ring; choices are train, test"),
        ("stacked_digits", {"split": "validation"}, "there is no split 'validation' of stacked_digits"),
        ("mnist", {"split": "validation"}, "there is no split 'validation' of mnist"),
        ("", {}, "name_or_path must not be empty; choices are binary_digits, binary_mnist, cifar10"),
        ("digits", {"split": "tset"}, "there is no split 'tset'; did you mean 'test'?"),
        ("digits", {"image_size": 9}, "image_size must be at most 8 for an image of digits of 8x8 pixels, got 9"),
        ("digits", {"image_size": 0}, "image_size must be at least 1, got 0"),
        ("digits", {"examples": 5}, "key and examples apply to .* only, got .*'digits'"),
        ("digits", {"key": jax.random.key(0)}, "key and examples apply to .* only, got .*'digits'"),
        ("ring", {"examples": 0}, "examples must be at least 1, got 0"),
        ("ring", {"image_size": 8}, "image_size and stream apply to images only, got .*'ring'"),
        ("ring", {"stream": True}, "image_size and stream apply to images only, got .*'ring'"),
    ],
)
def test_load_rejects_invalid_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, options: dict[str, Any], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        load(name, data_dir=tmp_path, **options)
    assert not list(tmp_path.iterdir())


def test_load_rejects_what_is_neither_a_folder_nor_a_file_of_arrays(tmp_path: Path) -> None:
    (tmp_path / "image.png").touch()
    with pytest.raises(InputError, match=r"must be a folder of images, an .* got the file .*image.png"):
        load(tmp_path / "image.png")
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(InputError, match=r"must be a folder of images, an .* got the device or pipe .*pipe"):
        load(tmp_path / "pipe.npz")


@pytest.mark.parametrize("data_dir", ["~nosuchuser/x", "a\0b"])
def test_load_rejects_an_impossible_folder_of_data_sets(data_dir: str) -> None:
    with pytest.raises(InputError, match="path"):
        load("mnist", data_dir=data_dir)


def test_points_of_a_csv_file_are_loaded_with_their_class_names(tmp_path: Path) -> None:
    (tmp_path / "own.CSV").write_text("x,y,label\n" + "".join(f"{i},{-i},{'ab'[i % 2]}\n" for i in range(40)))
    opened = {split: DataSource(str(tmp_path / "own.CSV")).open(split) for split in ("train", "test")}
    assert [opened[split].class_names for split in opened] == [("a", "b")] * 2
    points = np.concatenate([cast(dict[str, np.ndarray], of_split.data)["point"] for of_split in opened.values()])
    assert sorted(points.tolist()) == [[i, -i] for i in range(40)]
    with pytest.raises(InputError, match=r"image_size and stream apply to images only, got .*own.CSV of points"):
        load(tmp_path / "own.CSV", stream=True)


def test_a_notice_says_what_was_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "a.npz", point=np.random.default_rng(0).normal(size=(50, 3)))
    load(tmp_path / "a.npz")
    assert capsys.readouterr().err == "read 45 + 5 points in 3 dimensions\n"
    notices: list[str] = []
    load(tmp_path / "a.npz", notify=notices.append)
    load("digits", notify=notices.append)
    assert notices == ["read 45 + 5 points in 3 dimensions"]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("path", ["tiny.npz", *(REAL.glob("cifar10_4k.npz") if REAL else ())])
def test_npz_file_is_loaded_by_its_path(tmp_path: Path, path: str | Path) -> None:
    file = Path(path)
    if not file.exists():
        file = tmp_path / path
        rng = np.random.default_rng(0)
        np.savez(file, image=rng.integers(0, 256, (40, 32, 32, 3), np.uint8), label=np.arange(40) % 10)
    expected = np.load(file)
    stored = {image.tobytes(): label for image, label in zip(expected["image"], expected["label"], strict=True)}
    counts = []
    for split in ("train", "test"):
        data = arrays(file, split=split)
        assert [stored[image.tobytes()] for image in data["image"]] == data["label"].tolist()
        counts.append(np.bincount(data["label"], minlength=10))
    np.testing.assert_array_equal(sum(counts), np.bincount(expected["label"], minlength=10))
    np.testing.assert_allclose(counts[1], np.maximum(1, sum(counts) / 10), atol=0.5)
