import gzip
import hashlib
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from jaxgen.data.originals import IDX_FILES


def _write_tiny_originals(folder: Path, *, packed: bool = True, examples: int = 7) -> dict[str, str]:
    """Write four files of the right structure; return their checksums."""
    rng = np.random.default_rng(0)
    folder.mkdir(exist_ok=True)
    checksums = {}
    for files in IDX_FILES.values():
        images = rng.integers(0, 256, (examples, 28, 28), np.uint8).tobytes()
        labels = rng.integers(0, 10, examples, np.uint8).tobytes()
        headers = struct.pack(">4B3I", 0, 0, 8, 3, examples, 28, 28), struct.pack(">4BI", 0, 0, 8, 1, examples)
        for file, content in zip(files, (headers[0] + images, headers[1] + labels), strict=True):
            name = f"{file}.gz" if packed else file
            (folder / name).write_bytes(gzip.compress(content) if packed else content)
            checksums[name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    return checksums


@pytest.fixture
def write_tiny_originals() -> Callable[..., dict[str, str]]:
    """`(folder, *, packed=True, examples=7) -> checksums`: writes idx files like those of MNIST, only smaller."""
    return _write_tiny_originals
