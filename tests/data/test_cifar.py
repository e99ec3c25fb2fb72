import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest

from jaxgen.data.cifar import FILES, read_cifar10
from jaxgen.errors import InputError

RECORDS = 3
NAMES = [*FILES["train"], *FILES["test"]]


@pytest.fixture
def images() -> np.ndarray:
    """Images of all six files, [18, 32, 32, 3]; image i has the label i mod 10."""
    return np.random.default_rng(0).integers(0, 256, (len(NAMES) * RECORDS, 32, 32, 3), np.uint8)


def contents(images: np.ndarray) -> dict[str, bytes]:
    """Bytes of the files in the published format: label, red channel, green channel, blue channel."""
    records = []
    for i, image in enumerate(images):
        records.append(bytes([i % 10]) + b"".join(image[:, :, colour].tobytes() for colour in range(3)))
    return {name: b"".join(records[i * RECORDS : (i + 1) * RECORDS]) for i, name in enumerate(NAMES)}


def archive_of(files: dict[str, bytes], path: Path) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("compressed", [True, False])
def test_images_and_labels_are_read_in_order(tmp_path: Path, images: np.ndarray, compressed: bool) -> None:
    files = contents(images)
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    source = archive_of(files, tmp_path / "archive.tar.gz") if compressed else tmp_path
    train, test = (read_cifar10(source, split, records=RECORDS) for split in ("train", "test"))
    np.testing.assert_array_equal(np.concatenate([train["image"], test["image"]]), images)
    np.testing.assert_array_equal(np.concatenate([train["label"], test["label"]]), np.arange(18) % 10)
    assert len(test["image"]) == RECORDS


def test_error_names_a_missing_or_damaged_file(tmp_path: Path, images: np.ndarray) -> None:
    files = contents(images)
    path = tmp_path / "test_batch.bin"
    with pytest.raises(
        InputError, match=r"must contain cifar-10-binary.tar.gz or test_batch.bin, and it contains neither"
    ):
        read_cifar10(tmp_path, "test", records=RECORDS)
    path.write_bytes(files["test_batch.bin"][:-1])
    with pytest.raises(InputError, match=r"test_batch.bin is damaged: its size must be 9219 bytes, got 9218"):
        read_cifar10(tmp_path, "test", records=RECORDS)
    os.truncate(path, 2**40)
    with pytest.raises(InputError, match=r"test_batch.bin is damaged: its size must be 9219 bytes, got 9220 or more"):
        read_cifar10(tmp_path, "test", records=RECORDS)
    path.write_bytes(b"\x0a" + files["test_batch.bin"][1:])
    with pytest.raises(InputError, match=r"test_batch.bin is damaged: labels must be at most 9, got 10"):
        read_cifar10(tmp_path, "test", records=RECORDS)


@pytest.mark.parametrize("kept", [0.2, 0.95])
def test_error_names_a_truncated_archive(tmp_path: Path, images: np.ndarray, kept: float) -> None:
    complete = archive_of(contents(images), tmp_path / "complete.tar.gz").read_bytes()
    truncated = tmp_path / "truncated.tar.gz"
    truncated.write_bytes(complete[: int(len(complete) * kept)])
    with pytest.raises(InputError, match=r"truncated.tar.gz"):
        read_cifar10(truncated, "test", records=RECORDS)


def test_links_and_oversized_files_in_an_archive_are_not_read(tmp_path: Path, images: np.ndarray) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(contents(images)["test_batch.bin"])
    path = tmp_path / "evil.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        link = tarfile.TarInfo("cifar-10-batches-bin/test_batch.bin")
        link.type, link.linkname = tarfile.SYMTYPE, str(secret)
        tar.addfile(link)
        large = tarfile.TarInfo("cifar-10-batches-bin/test_batch.bin")
        large.size = 10_000_000
        tar.addfile(large, io.BytesIO(bytes(10_000_000)))
    with pytest.raises(InputError, match=r"evil.tar.gz must contain a file test_batch.bin of 9219 bytes, and does not"):
        read_cifar10(path, "test", records=RECORDS)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["evil.tar.gz", "secret"]
