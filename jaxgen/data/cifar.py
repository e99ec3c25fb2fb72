"""The binary files of CIFAR-10: 10,000 records each, 1 byte of label and 3,072 bytes of image, channel by channel."""

import tarfile
import zlib
from pathlib import Path

import numpy as np

from jaxgen.errors import InputError

ARCHIVE = "cifar-10-binary.tar.gz"
FILES = {"train": tuple(f"data_batch_{i}.bin" for i in range(1, 6)), "test": ("test_batch.bin",)}
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

RECORDS = 10_000
SIDE = 32
RECORD_BYTES = 1 + 3 * SIDE * SIDE


def read_cifar10(source: Path, split: str, *, records: int = RECORDS) -> dict[str, np.ndarray]:
    """Read one split from the archive or from its extracted files.

    The archive is not extracted to the disk. Only regular files with the six known names and at most the known size
    are read from it.

    Args:
        source: path of the archive, or of a folder with the `.bin` files.
        split: "train" or "test".
        records: number of records per file.

    Returns:
        `image`, uint8 [n, 32, 32, 3], and `label`, int32 [n], in the order of the files.

    Raises:
        InputError: if a file is missing or damaged; the message names the file.
    """
    contents = (
        _files_in_folder(source, split, records) if source.is_dir() else _files_in_archive(source, split, records)
    )
    parts = [_parse(name, content, records) for name, content in contents.items()]
    return {
        "image": np.concatenate([images for images, _ in parts]),
        "label": np.concatenate([labels for _, labels in parts]),
    }


def _files_in_folder(folder: Path, split: str, records: int) -> dict[str, bytes]:
    for name in FILES[split]:
        if not (folder / name).is_file():
            raise InputError(f"{folder} must contain {ARCHIVE} or {name}, and it contains neither")
    return {str(folder / name): _read(folder / name, records * RECORD_BYTES) for name in FILES[split]}


def _read(path: Path, size: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(size + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})") from error


def _files_in_archive(archive: Path, split: str, records: int) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                name = Path(member.name).name
                if name in FILES[split] and member.isreg() and member.size <= records * RECORD_BYTES:
                    file = tar.extractfile(member)
                    assert file is not None  # a regular file has content
                    found[name] = file.read()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise InputError(f"{archive} is damaged, it cannot be decompressed ({error}); download it again") from error
    if missing := [name for name in FILES[split] if name not in found]:
        raise InputError(f"{archive} must contain a file {missing[0]} of {records * RECORD_BYTES} bytes, and does not")
    return {f"{name} in {archive}": found[name] for name in FILES[split]}


def _parse(name: str, content: bytes, records: int) -> tuple[np.ndarray, np.ndarray]:
    if len(content) != records * RECORD_BYTES:
        found = f"{len(content)}{' or more' if len(content) > records * RECORD_BYTES else ''}"
        raise InputError(f"{name} is damaged: its size must be {records * RECORD_BYTES} bytes, got {found}")
    rows = np.frombuffer(content, np.uint8).reshape(records, RECORD_BYTES)
    labels = rows[:, 0].astype(np.int32)
    if labels.max() >= len(CLASSES):
        raise InputError(f"{name} is damaged: labels must be at most {len(CLASSES) - 1}, got {labels.max()}")
    return rows[:, 1:].reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1), labels
