import hashlib
import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from jaxgen.data.originals import CHECKSUMS, IDX_FILES, holds_originals, read_original
from jaxgen.errors import InputError

REAL = Path(os.environ["JAXGEN_TEST_DATA"]) if "JAXGEN_TEST_DATA" in os.environ else None
"""A folder with `mnist/` and `fashion_mnist/`, four idx files each."""

WriteOriginals = Callable[..., dict[str, str]]

FIRST_TRAIN_LABELS = {"mnist": [5, 0, 4, 1, 9], "fashion_mnist": [9, 0, 0, 3, 0]}


def test_reads_packed_and_unpacked_files_alike(tmp_path: Path, write_tiny_originals: WriteOriginals) -> None:
    checksums = write_tiny_originals(tmp_path / "packed")
    write_tiny_originals(tmp_path / "unpacked", packed=False)
    for split, (images_file, labels_file) in IDX_FILES.items():
        packed = read_original("mnist", tmp_path / "packed", split, checksums=checksums)
        unpacked = read_original("mnist", tmp_path / "unpacked", split)
        images = np.frombuffer((tmp_path / "unpacked" / images_file).read_bytes()[16:], np.uint8)
        labels = np.frombuffer((tmp_path / "unpacked" / labels_file).read_bytes()[8:], np.uint8)
        for data in (packed, unpacked):
            np.testing.assert_array_equal(data["image"], images.reshape(7, 28, 28, 1))
            np.testing.assert_array_equal(data["label"], labels)
            assert data["label"].dtype == np.int32


@pytest.mark.parametrize("name", ["tiny", *(name for name in FIRST_TRAIN_LABELS if REAL and (REAL / name).is_dir())])
def test_the_published_files_pass_their_checksums(
    tmp_path: Path, write_tiny_originals: WriteOriginals, name: str
) -> None:
    if name == "tiny" or REAL is None:
        checksums = write_tiny_originals(tmp_path)
        assert len(read_original("mnist", tmp_path, "test", checksums=checksums)["image"]) == 7
        return
    train, test = (read_original(name, REAL / name, split) for split in ("train", "test"))
    assert (train["image"].shape, test["image"].shape) == ((60_000, 28, 28, 1), (10_000, 28, 28, 1))
    np.testing.assert_array_equal(train["label"][:5], FIRST_TRAIN_LABELS[name])


def test_a_packed_file_that_was_not_published_is_named(tmp_path: Path, write_tiny_originals: WriteOriginals) -> None:
    write_tiny_originals(tmp_path)
    with pytest.raises(InputError, match=r"train-images-idx3-ubyte.gz is cut off or not the published file"):
        read_original("mnist", tmp_path, "train")


def test_a_packed_file_that_is_cut_off_is_named(tmp_path: Path, write_tiny_originals: WriteOriginals) -> None:
    checksums = write_tiny_originals(tmp_path)
    labels = tmp_path / "t10k-labels-idx1-ubyte.gz"
    labels.write_bytes(labels.read_bytes()[:-3])
    with pytest.raises(InputError, match=r"t10k-labels-idx1-ubyte.gz is cut off"):
        read_original("mnist", tmp_path, "test", checksums=checksums)


def test_a_missing_file_is_named(tmp_path: Path, write_tiny_originals: WriteOriginals) -> None:
    checksums = write_tiny_originals(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(InputError, match=r"has no file t10k-labels-idx1-ubyte.gz, gzipped or not"):
        read_original("mnist", tmp_path, "test", checksums=checksums)


def test_unequal_numbers_of_pictures_and_labels_are_refused(
    tmp_path: Path, write_tiny_originals: WriteOriginals
) -> None:
    write_tiny_originals(tmp_path, packed=False)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(struct.pack(">4BI", 0, 0, 8, 1, 2) + bytes(2))
    with pytest.raises(InputError, match=r"holds 7 pictures, but .*t10k-labels-idx1-ubyte holds 2 labels"):
        read_original("mnist", tmp_path, "test")


def test_a_label_outside_the_ten_classes_is_refused(tmp_path: Path, write_tiny_originals: WriteOriginals) -> None:
    write_tiny_originals(tmp_path, packed=False)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(struct.pack(">4BI", 0, 0, 8, 1, 7) + bytes([10] * 7))
    with pytest.raises(InputError, match=r"t10k-labels-idx1-ubyte holds the label 10"):
        read_original("mnist", tmp_path, "test")


def test_an_archive_of_cifar_10_is_not_opened_before_its_checksum_is_right(tmp_path: Path) -> None:
    archive = tmp_path / "cifar-10-binary.tar.gz"
    archive.write_bytes(b"not an archive")
    for place in (tmp_path, archive):
        with pytest.raises(InputError, match=r"cifar-10-binary.tar.gz is cut off or not the published file"):
            read_original("cifar10", place, "train")
    own = {archive.name: hashlib.sha256(b"not an archive").hexdigest()}
    with pytest.raises(InputError, match=r"cifar-10-binary.tar.gz is damaged: it cannot be unpacked"):
        read_original("cifar10", tmp_path, "train", checksums=own)


@pytest.mark.parametrize("name", CHECKSUMS)
def test_originals_are_recognized_by_their_names(tmp_path: Path, name: str) -> None:
    assert not holds_originals(name, tmp_path)
    (tmp_path / ("data_batch_1.bin" if name == "cifar10" else "t10k-labels-idx1-ubyte")).touch()
    assert holds_originals(name, tmp_path)


@pytest.mark.parametrize("name", CHECKSUMS)
def test_checksums_are_those_of_tensorflow_datasets(name: str) -> None:
    import tensorflow_datasets as tfds

    published = {info.filename: info.checksum for info in tfds.builder_cls(name).url_infos.values()}
    assert CHECKSUMS[name] == published
