"""Reading of the original published files of MNIST, Fashion-MNIST, Kuzushiji-MNIST and CIFAR-10.

Gzipped files and archives are compared with their published SHA-256 before they are opened. Decompressed files have no
published checksum; their structure is verified.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jaxgen.data.cifar import ARCHIVE, FILES, read_cifar10
from jaxgen.data.cifar import CLASSES as CIFAR10_CLASSES
from jaxgen.data.idx import read_idx
from jaxgen.errors import InputError

CLASSES = 10

CLASS_NAMES = {
    "fashion_mnist": (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    "kmnist": ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    "cifar10": CIFAR10_CLASSES,
}
"""Names of the classes, which the original files do not contain; those of MNIST are the labels themselves."""
"""Number of classes of each of these data sets."""

SIDE = 28
"""Height and width of the images in idx files."""

LARGEST_FILE = 2**28
"""Largest size in bytes of a compressed file; the largest published one, of CIFAR-10, has 170,052,171."""

IDX_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
"""Split -> names of the file of images and the file of labels, without ".gz"."""

CHECKSUMS: dict[str, dict[str, str]] = {
    "mnist": {
        "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
    "fashion_mnist": {
        "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    },
    "kmnist": {
        "train-images-idx3-ubyte.gz": "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
        "train-labels-idx1-ubyte.gz": "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
        "t10k-images-idx3-ubyte.gz": "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
        "t10k-labels-idx1-ubyte.gz": "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
    },
    "cifar10": {ARCHIVE: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"},
}
"""Data set -> name of a published file -> SHA-256 of the file, as tensorflow-datasets lists it."""


def has_originals(name: str, folder: Path) -> bool:
    """Return whether a folder contains at least one original file of a data set.

    Args:
        name: name of a data set in `CHECKSUMS`.
        folder: path of the folder, which may not exist.

    Returns:
        True if any of the files exists, compressed or decompressed.

    Example:
        >>> has_originals("mnist", Path("nowhere"))
        False
    """
    compressed = CHECKSUMS[name]
    if name == "cifar10":
        decompressed = [file for files in FILES.values() for file in files]
    else:
        decompressed = [file.removesuffix(".gz") for file in compressed]
    return any((folder / file).is_file() for file in [*compressed, *decompressed])


def read_original(
    name: str, folder: Path, split: str, *, checksums: Mapping[str, str] | None = None
) -> dict[str, np.ndarray]:
    """Read one split of a data set from its original files.

    Args:
        name: name of a data set in `CHECKSUMS`.
        folder: path of the folder with the files; for CIFAR-10 the path of the archive is accepted as well.
        split: "train" or "test".
        checksums: file name -> SHA-256; None for the published checksums.

    Returns:
        `image`, uint8 [n, h, w, c], and `label`, int32 [n], in the order of the files.

    Raises:
        InputError: if a file is missing, truncated or not the published file; the message names the file.
    """
    checksums = CHECKSUMS[name] if checksums is None else checksums
    if name != "cifar10":
        return _read_idx_files(folder, split, checksums)
    archive = folder / ARCHIVE if folder.is_dir() else folder
    extracted = (folder / FILES[split][0]).is_file()
    if archive.is_file() and not extracted:
        verify_checksum(archive, checksums[ARCHIVE])
        return read_cifar10(archive, split)
    return read_cifar10(folder, split)


def verify_checksum(path: Path, sha256: str) -> None:
    """Compare the checksum of a file with the published one.

    Args:
        path: path of the file.
        sha256: published SHA-256 in hexadecimal digits.

    Raises:
        InputError: if the checksums differ, or the file is too large or cannot be read.
    """
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise InputError(f"{path} is not the published file: it must have at most {LARGEST_FILE} bytes, got {size}")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})") from error
    if found != sha256:
        raise InputError(
            f"{path} is truncated or not the published file: its SHA-256 must begin with {sha256[:12]}, "
            f"got {found[:12]}; download it again"
        )


def _read_idx_files(folder: Path, split: str, checksums: Mapping[str, str]) -> dict[str, np.ndarray]:
    images_path, labels_path = (_find_file(folder, file, checksums) for file in IDX_FILES[split])
    images, labels = read_idx(images_path, axes=3), read_idx(labels_path, axes=1)
    if not len(images) == len(labels) > 0:
        raise InputError(
            f"{images_path} and {labels_path} must have the same positive number of examples, "
            f"got {len(images)} images and {len(labels)} labels"
        )
    if images.shape[1:] != (SIDE, SIDE):
        raise InputError(f"images in {images_path} must have {SIDE}x{SIDE} pixels, got {images.shape[1:]}")
    if labels.max() >= CLASSES:
        raise InputError(f"labels in {labels_path} must be at most {CLASSES - 1}, got {labels.max()}")
    return {"image": images[..., np.newaxis], "label": labels.astype(np.int32)}


def _find_file(folder: Path, file: str, checksums: Mapping[str, str]) -> Path:
    compressed = folder / f"{file}.gz"
    if compressed.is_file():
        verify_checksum(compressed, checksums[compressed.name])
        return compressed
    if (folder / file).is_file():
        return folder / file
    raise InputError(f"{folder} must contain {compressed.name} or {file}, and it contains neither")
