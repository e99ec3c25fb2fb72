import hashlib
import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from jaxgen.data.originals import CHECKSUMS, IDX_FILES, has_originals, read_original
from jaxgen.errors import InputError

REAL = Path(os.environ["JAXGEN_TEST_DATA"]) if "JAXGEN_TEST_DATA" in os.environ else None
"""Path of a folder with `mnist/` and `fashion_mnist/`, four idx files each."""

WriteOriginals = Callable[..., dict[str, str]]

FIRST_TRAIN_LABELS = {"mnist": [5, 0, 4, 1, 9], "fashion_mnist": [9, 0, 0, 3, 0]}


def test_gzipped_and_plain_files_have_the_same_content(tmp_path: Path, write_tiny_originals: WriteOriginals) -> None:
    checksums = write_tiny_originals(tmp_path / "gzipped")
    write_tiny_originals(tmp_path / "plain", compressed=False)
    for split, (images_file, labels_file) in IDX_FILES.items():
        gzipped = read_original("mnist", tmp_path / "gzipped", split, checksums=checksums)
        plain = read_original("mnist", tmp_path / "plain", split)
        images = np.frombuffer((tmp_path / "plain" / images_file).read_bytes()[16:], np.uint8)
        labels = np.frombuffer((tmp_path / "plain" / labels_file).read_bytes()[8:], np.uint8)
        for data in (gzipped, plain):
            np.testing.assert_array_equal(data["image"], images.reshape(7, 28, 28, 1))
            np.testing.assert_array_equal(data["label"], labels)
            assert data["label"].dtype == np.int32


@pytest.mark.parametrize("name", ["tiny", *(name for name in FIRST_TRAIN_LABELS if REAL and (REAL / name).is_dir())])
def test_published_files_have_the_published_checksums(
    tmp_path: Path, write_tiny_originals: WriteOriginals, name: str
) -> None:
    if name == "tiny" or REAL is None:
        checksums = write_tiny_originals(tmp_path)
        assert len(read_original("mnist", tmp_path, "test", checksums=checksums)["image"]) == 7
        return
    train, test = (read_original(name, REAL / name, split) for split in ("train", "test"))
    assert (train["image"].shape, test["image"].shape) == ((60_000, 28, 28, 1), (10_000, 28, 28, 1))
    np.testing.assert_array_equal(train["label"][:5], FIRST_TRAIN_LABELS[name])


def test_error_names_a_gzipped_file_with_another_checksum(tmp_path: Path, write_tiny_originals: WriteOriginals) -> None:
    write_tiny_originals(tmp_path)
    with pytest.raises(InputError, match=r"train-images-idx3-ubyte.gz is truncated or not the published file"):
        read_original("mnist", tmp_path, "train")


def test_file_that_is_larger_than_any_published_one_is_not_read(
    tmp_path: Path, write_tiny_originals: WriteOriginals
) -> None:
    write_tiny_originals(tmp_path)
    os.truncate(tmp_path / "train-images-idx3-ubyte.gz", 2**40)
    with pytest.raises(InputError, match=r"train-images-idx3-ubyte.gz .* must have at most 268435456 bytes, got 1099"):
        read_original("mnist", tmp_path, "train")


def test_error_names_images_of_another_size(tmp_path: Path, write_tiny_originals: WriteOriginals) -> None:
    write_tiny_originals(tmp_path, compressed=False)
    path = tmp_path / "train-images-idx3-ubyte"
    content = path.read_bytes()
    path.write_bytes(content[:8] + struct.pack(">2I", 14, 56) + content[16:])
    with pytest.raises(InputError, match=r"images in .*train-images-idx3-ubyte must have 28x28 pixels, got \(14, 56\)"):
        read_original("mnist", tmp_path, "train")


def test_pipe_is_not_read(tmp_path: Path, write_tiny_originals: WriteOriginals) -> None:
    write_tiny_originals(tmp_path, compressed=False)
    for file in IDX_FILES["train"]:
        (tmp_path / file).unlink()
        os.mkfifo(tmp_path / file)
    with pytest.raises(InputError, match=r"must contain train-images-idx3-ubyte.gz or train-images-idx3-ubyte"):
        read_original("mnist", tmp_path, "train")


def test_error_names_a_truncated_gzipped_file(tmp_path: Path, write_tiny_originals: WriteOriginals) -> None:
    checksums = write_tiny_originals(tmp_path)
    labels = tmp_path / "t10k-labels-idx1-ubyte.gz"
    labels.write_bytes(labels.read_bytes()[:-3])
    with pytest.raises(InputError, match=r"t10k-labels-idx1-ubyte.gz is truncated"):
        read_original("mnist", tmp_path, "test", checksums=checksums)


def test_error_names_a_missing_file(tmp_path: Path, write_tiny_originals: WriteOriginals) -> None:
    checksums = write_tiny_originals(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(
        InputError, match=r"must contain t10k-labels-idx1-ubyte.gz or t10k-labels-idx1-ubyte, and .* neither"
    ):
        read_original("mnist", tmp_path, "test", checksums=checksums)


def test_different_numbers_of_images_and_labels_are_rejected(
    tmp_path: Path, write_tiny_originals: WriteOriginals
) -> None:
    write_tiny_originals(tmp_path, compressed=False)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(struct.pack(">4BI", 0, 0, 8, 1, 2) + bytes(2))
    with pytest.raises(InputError, match=r"t10k-labels-idx1-ubyte must have the same .*, got 7 images and 2 labels"):
        read_original("mnist", tmp_path, "test")


def test_labels_outside_the_ten_classes_are_rejected(tmp_path: Path, write_tiny_originals: WriteOriginals) -> None:
    write_tiny_originals(tmp_path, compressed=False)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(struct.pack(">4BI", 0, 0, 8, 1, 7) + bytes([10] * 7))
    with pytest.raises(InputError, match=r"labels in .*t10k-labels-idx1-ubyte must be at most 9, got 10"):
        read_original("mnist", tmp_path, "test")


def test_checksum_of_the_cifar_10_archive_is_verified_before_it_is_opened(tmp_path: Path) -> None:
    archive = tmp_path / "cifar-10-binary.tar.gz"
    archive.write_bytes(b"not an archive")
    for path in (tmp_path, archive):
        with pytest.raises(InputError, match=r"cifar-10-binary.tar.gz is truncated or not the published file"):
            read_original("cifar10", path, "train")
    checksums = {archive.name: hashlib.sha256(b"not an archive").hexdigest()}
    with pytest.raises(InputError, match=r"cifar-10-binary.tar.gz is damaged, it cannot be decompressed"):
        read_original("cifar10", tmp_path, "train", checksums=checksums)


@pytest.mark.parametrize("name", CHECKSUMS)
def test_has_originals_recognizes_files_by_their_names(tmp_path: Path, name: str) -> None:
    assert not has_originals(name, tmp_path)
    (tmp_path / ("data_batch_1.bin" if name == "cifar10" else "t10k-labels-idx1-ubyte")).touch()
    assert has_originals(name, tmp_path)


@pytest.mark.parametrize("name", CHECKSUMS)
def test_checksums_match_tensorflow_datasets(name: str) -> None:
    import tensorflow_datasets as tfds

    published = {info.filename: info.checksum for info in tfds.builder_cls(name).url_infos.values()}
    assert CHECKSUMS[name] == published
