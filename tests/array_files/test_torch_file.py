"""Files of `torch.save` are read like `torch.load` reads them, and hostile ones are refused in one sentence."""

import contextlib
import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict

import ml_dtypes
import numpy as np
import pytest
import torch

from jaxgen.array_files.pickle_machine import MAX_INSTRUCTIONS, MAX_TEXT
from jaxgen.array_files.torch_file import LEGACY_MAGIC, MAX_PICKLE, read_torch_file
from jaxgen.errors import InputError

TYPES = (
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint8, torch.bool,
)  # fmt: skip


def saved(path, value, *, legacy):
    torch.save(value, path, _use_new_zipfile_serialization=not legacy)
    return path


def refused(path):
    """The reason for which a file is refused."""
    with pytest.raises(InputError) as error:
        read_torch_file(path)
    start = f"{path} must be a file that torch.save has written from a dict of tensors: "
    assert str(error.value).startswith(start)
    assert "\n" not in str(error.value)
    return str(error.value).removeprefix(start)


@pytest.mark.parametrize("legacy", [False, True])
def test_reads_what_torch_load_reads(tmp_path, legacy):
    numbers = torch.arange(24.0).reshape(2, 3, 4)
    tensors = {str(dtype): (numbers > 3).to(dtype) + 0 for dtype in TYPES}
    tensors |= {
        "transposed": numbers.permute(2, 0, 1),
        "part of a storage": numbers[1, ::2, 1:],
        "same storage": numbers,
        "scalar": torch.tensor(7),
        "empty": torch.zeros(3, 0, 2),
        "parameter": torch.nn.Parameter(torch.ones(2)),
    }
    found = read_torch_file(saved(tmp_path / "a.pth", tensors, legacy=legacy))
    expected = torch.load(tmp_path / "a.pth", weights_only=True)
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        if tensor.dtype == torch.bfloat16:
            assert found[name].dtype == ml_dtypes.bfloat16
            tensor = tensor.float()
        np.testing.assert_array_equal(
            found[name], tensor.detach().numpy(), strict=tensors[name].dtype != torch.bfloat16
        )


@pytest.mark.parametrize("legacy", [False, True])
def test_reads_state_dict_of_module_whose_order_has_attributes(tmp_path, legacy):
    module = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    found = read_torch_file(saved(tmp_path / "a.pth", module.state_dict(), legacy=legacy))
    assert list(found) == list(module.state_dict())
    np.testing.assert_array_equal(found["0.weight"], module.state_dict()["0.weight"])
    assert found["1.num_batches_tracked"] == 0


class Call:
    """A value whose pickle calls a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class Storage:
    """A storage by its persistent identifier."""

    def __init__(self, *identifier):
        self.identifier = identifier


class Pickler(pickle._Pickler):  # The one in Python, which pickles functions by any name.
    def persistent_id(self, value):
        return value.identifier if isinstance(value, Storage) else None


def pickled(value, protocol=2):
    file = io.BytesIO()
    Pickler(file, protocol).dump(value)
    return file.getvalue()


def zipped(path, program, *, storage=bytes(16), compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", program)
        archive.writestr("archive/data/0", storage)
    return path


FOUR = struct.pack("<q4f", 4, 1, 2, 3, 4)
"""A storage of four numbers in the older format."""


def legacy_file(path, value, keys=("0",), content=FOUR, system=None):
    parts = (LEGACY_MAGIC, 1001, {"little_endian": True} if system is None else system, value, list(keys))
    path.write_bytes(b"".join(map(pickled, parts)) + content)
    return path


FLOATS = ("storage", torch.FloatStorage, "0", "cpu", 4)


def tensor(shape=(4,), strides=(1,), offset=0, identifier=FLOATS, function=torch._utils._rebuild_tensor_v2):
    """A value whose pickle is that of a tensor, with any numbers."""
    more = () if function is torch._utils._rebuild_tensor else (False, OrderedDict())
    return Call(function, Storage(*identifier), offset, shape, strides, *more)


def test_reads_files_of_the_first_versions_of_pytorch_and_of_python_2(tmp_path):
    """Those call another function, pickle an OrderedDict as a list of pairs, and describe views of a storage."""
    view = (*FLOATS, ("1", 1, 3))
    value = Call(
        OrderedDict, [["a", tensor(function=torch._utils._rebuild_tensor)], ["b", tensor((2,), identifier=view)]]
    )
    found = read_torch_file(legacy_file(tmp_path / "a.pth", value))
    assert {name: array.tolist() for name, array in found.items()} == {"a": [1, 2, 3, 4], "b": [2, 3]}


@pytest.mark.parametrize(
    "changed",
    [
        {"shape": (5,)},
        {"offset": 1},
        {"strides": (2,)},
        {"shape": (2**40, 2**40), "strides": (0, 0)},
        {"shape": (2, 2), "strides": (3, 1)},
        {"identifier": (*FLOATS, ("1", 2, 3))},
        {"identifier": (*FLOATS, ("1", 1, 3)), "shape": (4,)},
    ],
)
def test_tensor_beyond_its_storage_is_refused(tmp_path, changed):
    assert (
        refused(zipped(tmp_path / "a.pth", pickled({"a": tensor(**changed)}))) == "a tensor is larger than its storage"
    )


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"a": tensor(offset=-1)}, "a size of a tensor is no whole number from 0 on"),
        ({"a": tensor(shape=(2.0,))}, "a size of a tensor is no whole number from 0 on"),
        ({"a": tensor(shape=(2**63,))}, "a size of a tensor is no whole number from 0 on"),
        ({"a": tensor(shape=[4])}, "its pickle has a list in the place of a tuple"),
        ({"a": tensor(strides=(1, 1))}, "a tensor has too many axes, or another number of strides"),
        ({"a": tensor((1,) * 65, (1,) * 65)}, "a tensor has too many axes, or another number of strides"),
        ({"a": tensor(), "b": tensor(identifier=(*FLOATS[:4], 3))}, "one of its storages is declared in two ways"),
        ({"a": tensor(identifier=(*FLOATS[:4], 2**40))}, "the storage '0' has another size than declared"),
        ({"a": tensor(identifier=(*FLOATS[:4], 3))}, "it is compressed, or declares more bytes than it has"),
        ({"a": tensor(identifier=(*FLOATS[:2], "1", "cpu", 4))}, "it is damaged or incomplete"),
        ({"a": Call(os.system, "true")}, "its pickle mentions 'posix.system'"),
        ({"a": Call(eval, "1")}, "its pickle mentions '__builtin__.eval'"),
        ({"a": OrderedDict}, "it contains 'a', a function"),
        ({"a": 3}, "it contains 'a', a int"),
        ({"epoch": 3, "state_dict": {"a": tensor()}}, "it contains 'epoch', a int"),
        ({(1, 2): tensor()}, "one of its dicts has keys that are no strings"),
        ({1: tensor()}, "one of its dicts has keys that are no strings"),
        ([tensor()], "it contains no dict but a list"),
        ({"a": Call(OrderedDict, [["a", 1, "b", 2]])}, "one of its dicts is made of no pairs"),
        (
            {"a": Call(torch._utils._rebuild_tensor_v2)},
            "its pickle calls torch._utils._rebuild_tensor_v2 with 0 arguments",
        ),
        ({"a": b"bytes", "b": {1, 2}}, "its pickle mentions '_codecs.encode'"),
    ],
)
def test_content_that_is_no_dict_of_tensors_is_refused(tmp_path, value, reason):
    found = refused(zipped(tmp_path / "a.pth", pickled(value)))
    assert found == reason


def nested(depth):
    return b"\x80\x02" + b"(" * depth + b"t" * depth + b"."


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x80\x02}q\x00", id="without an end"),
        pytest.param(b"\x80\x02.", id="no value"),
        pytest.param(b"\x80\x02t.", id="no mark"),
        pytest.param(b"\x80\x02](0.", id="below a mark"),
        pytest.param(b"\x80\x02h\x07.", id="missing in the memo"),
        pytest.param(b"\x80\x02q\x07.", id="nothing to store"),
        pytest.param(b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7fx.", id="text of 2**63 bytes"),
        pytest.param(b"\x80\x02\x8b\xff\xff\xff\x7f1.", id="number of 2**31 bytes"),
        pytest.param(b"\x80\x02X\x01\x00\x00\x00\xff.", id="invalid text"),
        pytest.param(b"\x80\x02I" + b"9" * 10_000 + b"\n.", id="number of 10,000 digits"),
        pytest.param(b"\x80\x02]q\x00h\x00a.", id="list in itself"),
        pytest.param(b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.", id="dict in itself"),
        pytest.param(b"\x80\x02}]q\x00h\x00K\x01s.", id="list as a key"),
        pytest.param(b"\x80\x02}" + nested(100_000)[2:-1] + b"K\x01s.", id="deeply nested key"),
        pytest.param(nested(200_000), id="deeply nested"),
        pytest.param(b"\x80\x02" + b"N" * MAX_PICKLE + b".", id="too long"),
        pytest.param(b"\x80\x02K\x01cos\nsystem\nb.", id="attributes of a number"),
        pytest.param(b"\x80\x02cposix\nsystem\n(X\x04\x00\x00\x00truetR.", id="call"),
        pytest.param(b"(S'true'\nios\nsystem\n.", id="call of protocol 0"),
        pytest.param(b"\x80\x04\x8c\x02os\x8c\x06system\x93.", id="function of protocol 4"),
        pytest.param(b"\x80\x02P1\n.", id="persistent identifier of protocol 0"),
        pytest.param(b"\x80\x02K\x01Q.", id="persistent identifier that is a number"),
        pytest.param(b"\x80\x02\x82\x01.", id="extension registry"),
    ],
)
def test_hostile_pickles_are_refused(tmp_path, program):
    assert len(refused(zipped(tmp_path / "a.pth", program))) < 300
    magic, version, system = (pickled(value) for value in (LEGACY_MAGIC, 1001, {"little_endian": True}))
    (tmp_path / "b.pth").write_bytes(magic + version + system + program)
    assert len(refused(tmp_path / "b.pth")) < 300


def test_the_instructions_of_all_pickles_of_a_file_are_bounded(tmp_path):
    """What stands behind them, a call, is not reached."""
    call = b"cposix\nsystem\n."
    message = f"its pickles have more than {MAX_INSTRUCTIONS} instructions"
    assert refused(zipped(tmp_path / "a.pth", b"\x80\x02" + b"N" * MAX_INSTRUCTIONS + call)) == message
    half = b"\x80\x02" + b"N" * (MAX_INSTRUCTIONS // 2) + b"."
    (tmp_path / "b.pth").write_bytes(pickled(LEGACY_MAGIC) + half + half + call)
    assert refused(tmp_path / "b.pth") == message


def test_strings_are_bounded(tmp_path):
    """Equal strings as keys of one dict are compared in full, as often as there are instructions."""
    assert refused(zipped(tmp_path / "a.pth", pickled({"a" * MAX_TEXT: 1}))).endswith("a int")
    reason = refused(zipped(tmp_path / "a.pth", pickled({"a" * (MAX_TEXT + 1): 1})))
    assert reason.endswith(f"a string of more than {MAX_TEXT} characters")


def test_memo_has_no_numbers_of_any_size(tmp_path):
    """Of those, many can have the same hash."""
    for instruction in (b"p", b"g"):
        program = b"\x80\x02N" + instruction + b"%d\n." % (2**61 - 1)
        name = {b"p": "PUT", b"g": "GET"}[instruction]
        assert refused(zipped(tmp_path / "a.pth", program)) == f"its pickle contains the instruction {name}"


def test_every_cut_of_a_file_is_refused(tmp_path):
    path = tmp_path / "a.pth"
    for legacy in (False, True):
        content = saved(path, {"a": torch.ones(2, 3), "b": torch.zeros(1)}, legacy=legacy).read_bytes()
        for length in range(0, len(content), 7):
            path.write_bytes(content[:length])
            refused(path)


def test_every_changed_byte_is_refused_or_gives_arrays(tmp_path):
    path = tmp_path / "a.pth"
    outcomes = set()
    for legacy in (False, True):
        content = saved(path, {"a": torch.ones(2, 3), "b": torch.zeros(1)}, legacy=legacy).read_bytes()
        for position in range(0, len(content), 3):
            path.write_bytes(content[:position] + bytes([content[position] ^ 0xFF]) + content[position + 1 :])
            with contextlib.suppress(InputError):
                outcomes |= {type(array) for array in read_torch_file(path).values()}
    assert outcomes == {np.ndarray}


def test_hostile_archives_are_refused(tmp_path):
    program = pickled({"a": tensor()})
    many = "it is compressed, or declares more bytes than it has"
    bomb = pickled({"a": tensor(identifier=(*FLOATS[:4], 2**24), shape=(2**24,))})
    path = zipped(tmp_path / "a.pth", bomb, storage=bytes(2**26), compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**17
    assert refused(path) == many
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", program)
        archive.writestr("archive/data/0", bytes(16))
        archive.writestr("archive/byteorder", "big")
    assert refused(path) == "its numbers are big-endian"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other", program)
    assert refused(path) == "it is damaged or incomplete"


def test_hostile_files_of_the_older_format_are_refused(tmp_path):
    path = tmp_path / "a.pth"
    value = {"a": tensor()}
    wrong_size = "the storage '0' has another size than declared"
    assert refused(legacy_file(path, value, content=struct.pack("<q4f", 2**40, 1, 2, 3, 4))) == wrong_size
    assert refused(legacy_file(path, value, content=struct.pack("<q3f", 4, 1, 2, 3))) == wrong_size
    huge = {"a": tensor(identifier=(*FLOATS[:4], 2**50))}
    assert refused(legacy_file(path, huge, content=struct.pack("<q", 2**50))) == wrong_size
    assert refused(legacy_file(path, value, keys=["0", "0"])) == "its list of storages is invalid"
    assert refused(legacy_file(path, value, keys=[])) == "it is damaged or incomplete"
    assert refused(legacy_file(path, value, keys=["1"])) == "it is damaged or incomplete"
    assert refused(legacy_file(path, value, system={"little_endian": False})) == "its numbers are not little-endian"
    path.write_bytes(pickled(7))
    assert refused(path) == "it does not begin as such files do"
    path.write_bytes(np.random.default_rng(0).bytes(1000))
    assert len(refused(path)) < 200
