import gzip
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest

from jaxgen.data.idx import read_idx
from jaxgen.errors import InputError

IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
HEADER = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4])


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_reads_gzipped_and_plain_files(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"images{suffix}"
    content = HEADER + IMAGES.tobytes()
    path.write_bytes(gzip.compress(content) if suffix else content)
    np.testing.assert_array_equal(read_idx(path, axes=3), IMAGES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must be an idx file of uint8 values with 3 axes"),
        (HEADER[:10], "must be an idx file"),
        (b"<html>no such file</html>", "must be an idx file"),
        (HEADER[:3] + b"\x01" + HEADER[4:] + IMAGES.tobytes(), "must be an idx file"),
        (b"\x00\x00\x0d\x03" + HEADER[4:] + IMAGES.tobytes(), "must be an idx file"),
        (HEADER + IMAGES.tobytes()[:-1], "requires 24 bytes of values, got 23"),
        (HEADER + IMAGES.tobytes() + b"\x00", "requires 24 bytes of values, got 25 or more"),
        (HEADER[:4] + b"\xff" * 12, r"must have at most 268435456 values, got 7922816\d+ in its header"),
        (HEADER[:4] + bytes(12) + IMAGES.tobytes(), "requires 0 bytes of values, got 1 or more"),
    ],
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_error_names_a_damaged_file(tmp_path: Path, content: bytes, message: str, suffix: str) -> None:
    path = tmp_path / f"damaged{suffix}"
    path.write_bytes(gzip.compress(content) if suffix else content)
    with pytest.raises(InputError, match=message) as error:
        read_idx(path, axes=3)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("kept", [0.3, 0.99])
def test_error_names_a_truncated_gzip_file(tmp_path: Path, kept: float) -> None:
    complete = gzip.compress(HEADER + IMAGES.tobytes())
    path = tmp_path / "truncated.gz"
    path.write_bytes(complete[: int(len(complete) * kept)])
    with pytest.raises(InputError, match=r"truncated.gz is damaged, it cannot be decompressed"):
        read_idx(path, axes=3)


def test_error_names_a_plain_file_with_the_suffix_gz(tmp_path: Path) -> None:
    path = tmp_path / "plain.gz"
    path.write_bytes(HEADER + IMAGES.tobytes())
    with pytest.raises(InputError, match=r"plain.gz is damaged"):
        read_idx(path, axes=3)


def test_no_more_than_the_header_states_is_decompressed(tmp_path: Path) -> None:
    """64 MiB of zeros take 65 kB in a gzipped file."""
    path = tmp_path / "bomb.gz"
    compressor = zlib.compressobj(9, wbits=31)
    zeros = bytes(2**24)
    with path.open("wb") as file:
        file.write(compressor.compress(HEADER))
        for _ in range(4):
            file.write(compressor.compress(zeros))
        file.write(compressor.flush())
    tracemalloc.start()
    with pytest.raises(InputError, match="requires 24 bytes of values, got 25 or more"):
        read_idx(path, axes=3)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20


def test_error_names_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing cannot be read \(No such file or directory\)"):
        read_idx(tmp_path / "missing", axes=1)
