import gzip
import hashlib
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from jaxgen.data.originals import IDX_FILES


def _write_tiny_originals(folder: Path, *, compressed: bool = True, examples: int = 7) -> dict[str, str]:
    """Write four idx files with the structure of MNIST; return their checksums."""
    rng = np.random.default_rng(0)
    folder.mkdir(exist_ok=True)
    checksums = {}
    for files in IDX_FILES.values():
        images = rng.integers(0, 256, (examples, 28, 28), np.uint8).tobytes()
        labels = rng.integers(0, 10, examples, np.uint8).tobytes()
        headers = struct.pack(">4B3I", 0, 0, 8, 3, examples, 28, 28), struct.pack(">4BI", 0, 0, 8, 1, examples)
        for file, content in zip(files, (headers[0] + images, headers[1] + labels), strict=True):
            name = f"{file}.gz" if compressed else file
            (folder / name).write_bytes(gzip.compress(content) if compressed else content)
            checksums[name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    return checksums


@pytest.fixture
def write_tiny_originals() -> Callable[..., dict[str, str]]:
    """`(folder, *, compressed=True, examples=7) -> checksums`: writes idx files like those of MNIST, but smaller."""
    return _write_tiny_originals
