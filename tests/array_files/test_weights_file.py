"""Files of weights by their endings; no pickle is run."""

import io
import pickle
import struct
import zipfile

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from jaxgen.array_files import weights_file
from jaxgen.array_files.weights_file import read_weights
from jaxgen.errors import InputError

WEIGHTS = {"layer.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "layer.bias": np.float16([1, 2])}


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_all_formats_give_the_same_arrays(tmp_path):
    save_file(WEIGHTS, tmp_path / "a.safetensors")
    np.savez(tmp_path / "a.npz", **WEIGHTS)
    for name in ("a.pt", "A.PTH"):
        torch.save({name: torch.tensor(array) for name, array in WEIGHTS.items()}, tmp_path / name)
    for path in tmp_path.iterdir():
        found = read_weights(path)
        assert found.keys() == WEIGHTS.keys()
        for name, array in WEIGHTS.items():
            np.testing.assert_array_equal(found[name], array, strict=True)


@pytest.mark.parametrize("ending", [".npz", ".safetensors"])
def test_headers_are_checked_before_an_array_is_read(ending, tmp_path, monkeypatch):
    def unread(*_, **__):
        raise AssertionError("an array was read")

    def check(headers):
        for name, array in WEIGHTS.items():
            assert headers[name] == (array.shape, array.dtype, array.nbytes)
        raise InputError("other weights")

    path = tmp_path / f"a{ending}"
    np.savez(path, **WEIGHTS) if ending == ".npz" else save_file(WEIGHTS, path)
    monkeypatch.setattr(np.lib.format, "read_array", unread)
    monkeypatch.setattr("jaxgen.array_files.safetensors_file.deserialize", unread)
    with pytest.raises(InputError, match=r"^other weights$"):
        read_weights(path, check)


@pytest.mark.parametrize("name", ["a.pkl", "a.pt", "a.pth", "a.npz", "a.safetensors", "a.npy", "a"])
def test_nothing_is_unpickled(name, tmp_path):
    made = tmp_path / "made"
    (tmp_path / name).write_bytes(pickle.dumps({"a": Touch(made)}))
    with pytest.raises(InputError) as error:
        read_weights(tmp_path / name)
    assert "\n" not in str(error.value)
    objects = np.array([Touch(made)], object)
    if name == "a.npz":
        np.savez(tmp_path / name, a=objects)
        with pytest.raises(InputError, match=r"cannot be read as an .npz file without pickled objects"):
            read_weights(tmp_path / name)
    assert not made.exists()


def test_archives_are_refused_before_arrays_larger_than_the_memory_are_read(tmp_path, monkeypatch):
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1048576, 1048576)}"
    header += b" " * (-(10 + len(header) + 1) % 64) + b"\n"
    np.savez_compressed(tmp_path / "zeros.npz", a=np.zeros(2**20, np.uint8))
    monkeypatch.setattr("jaxgen.memory.host_bytes", lambda: 2**20)
    with pytest.raises(InputError, match=r"the memory of the machine must be at least 2 MiB for the arrays of .*zeros"):
        read_weights(tmp_path / "zeros.npz")
    member = io.BytesIO(b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header)
    with zipfile.ZipFile(tmp_path / "false.npz", "w") as archive:
        archive.writestr("a.npy", member.getvalue())
    with pytest.raises(InputError, match=r"a.npy has 128 bytes, and its header describes 4398046511104"):
        read_weights(tmp_path / "false.npz")
    monkeypatch.setattr(weights_file, "MOST_ARRAYS", 1)
    np.savez(tmp_path / "many.npz", a=np.zeros(1), b=np.zeros(1))
    with pytest.raises(InputError, match="must have at most 1 arrays, got 2"):
        read_weights(tmp_path / "many.npz")


@pytest.mark.parametrize("name", ["a.pt", "a.npz", "a.safetensors"])
def test_files_that_are_not_there_are_errors_of_the_operating_system(name, tmp_path):
    with pytest.raises(FileNotFoundError):
        read_weights(tmp_path / name)
