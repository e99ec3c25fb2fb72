import gzip
from pathlib import Path

import numpy as np
import pytest

from jaxgen.data.idx import read_idx
from jaxgen.errors import InputError

IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
HEADER = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4])


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_reads_packed_and_unpacked_files(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"pictures{suffix}"
    content = HEADER + IMAGES.tobytes()
    path.write_bytes(gzip.compress(content) if suffix else content)
    np.testing.assert_array_equal(read_idx(path, axes=3), IMAGES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not an idx file of bytes with 3 axes"),
        (HEADER[:10], "is not an idx file"),
        (b"<html>no such file</html>", "is not an idx file"),
        (HEADER[:3] + b"\x01" + HEADER[4:] + IMAGES.tobytes(), "is not an idx file"),
        (b"\x00\x00\x0d\x03" + HEADER[4:] + IMAGES.tobytes(), "is not an idx file"),
        (HEADER + IMAGES.tobytes()[:-1], "promises 24 bytes, it holds 23"),
        (HEADER + IMAGES.tobytes() + b"\x00", "promises 24 bytes, it holds 25"),
        (HEADER[:4] + b"\xff" * 12, "is damaged"),
    ],
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_damaged_files_are_named(tmp_path: Path, content: bytes, message: str, suffix: str) -> None:
    path = tmp_path / f"damaged{suffix}"
    path.write_bytes(gzip.compress(content) if suffix else content)
    with pytest.raises(InputError, match=message) as error:
        read_idx(path, axes=3)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("kept", [0.3, 0.99])
def test_a_gzipped_file_that_is_cut_off_is_named(tmp_path: Path, kept: float) -> None:
    whole = gzip.compress(HEADER + IMAGES.tobytes())
    path = tmp_path / "cut.gz"
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(InputError, match=r"cut.gz is damaged: it cannot be unpacked"):
        read_idx(path, axes=3)


def test_a_file_that_is_only_called_gzipped_is_named(tmp_path: Path) -> None:
    path = tmp_path / "plain.gz"
    path.write_bytes(HEADER + IMAGES.tobytes())
    with pytest.raises(InputError, match=r"plain.gz is damaged"):
        read_idx(path, axes=3)
