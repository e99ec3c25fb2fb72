import io
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
    """Pictures of all six files, [18, 32, 32, 3]; picture i has the label i mod 10."""
    return np.random.default_rng(0).integers(0, 256, (len(NAMES) * RECORDS, 32, 32, 3), np.uint8)


def contents(images: np.ndarray) -> dict[str, bytes]:
    """The files' bytes, written as the data set's page describes them: label, red plane, green plane, blue plane."""
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


@pytest.mark.parametrize("packed", [True, False])
def test_reads_pictures_and_labels_in_order(tmp_path: Path, images: np.ndarray, packed: bool) -> None:
    files = contents(images)
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    source = archive_of(files, tmp_path / "archive.tar.gz") if packed else tmp_path
    train, test = (read_cifar10(source, split, records=RECORDS) for split in ("train", "test"))
    np.testing.assert_array_equal(np.concatenate([train["image"], test["image"]]), images)
    np.testing.assert_array_equal(np.concatenate([train["label"], test["label"]]), np.arange(18) % 10)
    assert len(test["image"]) == RECORDS


def test_damaged_files_are_named(tmp_path: Path, images: np.ndarray) -> None:
    files = contents(images)
    path = tmp_path / "test_batch.bin"
    with pytest.raises(InputError, match=r"has neither cifar-10-binary.tar.gz nor a file test_batch.bin"):
        read_cifar10(tmp_path, "test", records=RECORDS)
    path.write_bytes(files["test_batch.bin"][:-1])
    with pytest.raises(InputError, match=r"test_batch.bin is damaged: it has 9218 bytes, not 9219"):
        read_cifar10(tmp_path, "test", records=RECORDS)
    path.write_bytes(b"\x0a" + files["test_batch.bin"][1:])
    with pytest.raises(InputError, match=r"test_batch.bin is damaged: it has the label 10"):
        read_cifar10(tmp_path, "test", records=RECORDS)


@pytest.mark.parametrize("kept", [0.2, 0.95])
def test_an_archive_that_is_cut_off_is_named(tmp_path: Path, images: np.ndarray, kept: float) -> None:
    whole = archive_of(contents(images), tmp_path / "whole.tar.gz").read_bytes()
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(InputError, match=r"cut.tar.gz"):
        read_cifar10(cut, "test", records=RECORDS)


def test_an_archive_cannot_smuggle_in_links_or_outsized_files(tmp_path: Path, images: np.ndarray) -> None:
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
    with pytest.raises(InputError, match=r"evil.tar.gz holds no test_batch.bin of 9219 bytes"):
        read_cifar10(path, "test", records=RECORDS)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["evil.tar.gz", "secret"]
