"""Safetensors files are read as the library reads them, and hostile ones are refused in one sentence."""

import json
import os
import struct

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save

from jaxgen.array_files.safetensors_file import LARGEST_HEADER, read_safetensors
from jaxgen.errors import InputError

ARRAYS = {"a": np.arange(6.0).reshape(2, 3), "b/c": np.array(True), "empty": np.zeros((0, 3), np.int32)}
CONTENT = save(ARRAYS, {"by": "hand"})


def with_header(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def test_arrays_and_texts_are_those_that_were_written(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(CONTENT)
    found = read_safetensors(tmp_path / "a.safetensors")
    assert found.texts == {"by": "hand"}
    assert found.arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found.arrays[name], array, strict=True)
    (tmp_path / "a.safetensors").write_bytes(save(ARRAYS))
    assert read_safetensors(tmp_path / "a.safetensors").texts == {}


def test_bfloat16_is_read(tmp_path):
    """1 and -2 are the upper halves of 0x3F800000 and 0xC0000000."""
    header = {"a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}
    (tmp_path / "a.safetensors").write_bytes(with_header(header, b"\x80\x3f\x00\xc0"))
    found = read_safetensors(tmp_path / "a.safetensors").arrays["a"]
    assert found.dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(found.astype(np.float32), [1.0, -2.0])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        CONTENT[:7],
        CONTENT[:50],
        CONTENT[:-1],
        CONTENT + b"\0",
        b"\xff" * 64,
        b"PK\x03\x04" + bytes(60),
        with_header(b"[" * 10_000 + b"]" * 10_000),
        with_header(b"\xff\xfe{}"),
        with_header([]),
        with_header({"__metadata__": {"by": {"a": "dict"}}}),
        with_header({"a": {"dtype": "F32", "shape": [2**62, 2**62], "data_offsets": [0, 4]}}, bytes(4)),
        with_header({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, bytes(4)),
        with_header({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, bytes(4)),
        with_header({"a": {"dtype": "F33", "shape": [1], "data_offsets": [0, 4]}}, bytes(4)),
        with_header({"a": {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}}, bytes(4)),
    ],
    ids=lambda content: content[:60].decode("latin-1"),
)
def test_damaged_and_hostile_files_are_refused_in_one_sentence(content, tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    for check in (None, lambda headers: None):
        with pytest.raises(
            InputError, match=r"must (be a complete .safetensors file|have arrays of the types)"
        ) as error:
            read_safetensors(path, check)
        assert str(path) in str(error.value)
        assert len(str(error.value)) < 500
        assert "\n" not in str(error.value)


def test_sizes_are_looked_at_before_memory_is_reserved(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxgen.memory.host_bytes", lambda: 2**30)
    path = tmp_path / "sparse.safetensors"
    with path.open("wb") as file:
        file.write(with_header({})[:8])
        file.truncate(2**40)
    with pytest.raises(InputError, match="the memory of the machine must be at least 2 TiB for the arrays of"):
        read_safetensors(path)
    with path.open("r+b") as file:
        file.write(struct.pack("<Q", 2**39))
    with pytest.raises(InputError, match=f"must have at most {LARGEST_HEADER} bytes, got {2**39}"):
        read_safetensors(path)
    os.mkfifo(tmp_path / "pipe.safetensors")
    with pytest.raises(InputError, match="must be a regular file"):
        read_safetensors(tmp_path / "pipe.safetensors")
