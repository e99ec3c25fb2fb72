import io
import struct
import sys
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jaxgen.data import own_arrays
from jaxgen.data.own_arrays import array_splits, read_npz
from jaxgen.errors import InputError
from jaxgen.models import vae
from jaxgen.runs import RunConfig
from jaxgen.runs.preparation import prepare_run


def open_arrays(path, split, image_size):
    return array_splits(path, image_size)(split)


def save_npz(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


# .npz files: images


def test_npz_file_is_read_exactly_and_split(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 5, 7, 3), np.uint8)
    path = save_npz(tmp_path / "own.npz", image=image, label=np.arange(40) % 2, index=np.arange(40))
    train, test = (open_arrays(path, split, None) for split in ("train", "test"))
    assert train.notice == test.notice == "read 36 + 4 images of 2 classes, skipped 1: index.npy"
    stored = {x.tobytes(): i for i, x in enumerate(image)}
    found = [[stored[x.tobytes()] for x in source.arrays["image"]] for source in (train, test)]
    assert sorted(found[0] + found[1]) == list(range(40))
    assert found[0] == sorted(found[0])
    for source, indices in zip((train, test), found, strict=True):
        np.testing.assert_array_equal(source.arrays["label"], np.array(indices) % 2)
        assert source.arrays["label"].dtype == np.int32


def test_floats_are_converted_to_uint8_and_a_missing_channel_axis_is_added(tmp_path: Path) -> None:
    levels = (np.arange(256) / 255).astype(np.float32).reshape(1, 16, 16)
    found = read_npz(save_npz(tmp_path / "own.npz", image=levels))
    np.testing.assert_array_equal(found.arrays["image"], np.arange(256).reshape(1, 16, 16, 1))
    assert list(found.arrays) == ["image"]


def test_images_of_an_npz_file_are_resized_after_the_split(tmp_path: Path) -> None:
    image = np.broadcast_to(np.arange(20, dtype=np.uint8)[:, None, None], (20, 8, 12))
    path = save_npz(tmp_path / "own.npz", image=image)
    whole, resized = (open_arrays(path, "test", size).arrays["image"] for size in (None, 4))
    assert resized.shape == (2, 4, 4, 1)
    np.testing.assert_array_equal(resized, whole[:, :4, :4])
    with pytest.raises(
        InputError, match=r"image_size must be at most 8 for an image of .*own.npz of 12x8 pixels, got 9"
    ):
        open_arrays(path, "train", 9)


def test_files_beside_the_arrays_are_skipped_and_said(tmp_path: Path) -> None:
    path = save_npz(tmp_path / "own.npz", point=np.arange(40.0).reshape(20, 2))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("README.txt", "about\x1b[2J")
        archive.writestr("notes/", "")
    source = open_arrays(path, "train", None)
    assert source.notice == "read 18 + 2 points in 2 dimensions, skipped 2: README.txt, notes"
    assert len(source) == 18


def test_arrays_of_another_byte_order_have_the_same_values(tmp_path: Path) -> None:
    rng, order = np.random.default_rng(0), {"little": ">", "big": "<"}[sys.byteorder]
    image, point, label = rng.random((6, 4, 4)), rng.normal(size=(6, 2)), np.arange(6) % 3
    for arrays in ({"image": image.astype("f4"), "label": label}, {"point": point.astype("f4"), "label": label}):
        swapped = {name: array.astype(array.dtype.newbyteorder(order)) for name, array in arrays.items()}
        expected, found = (read_npz(save_npz(tmp_path / "a.npz", **x)).arrays for x in (arrays, swapped))
        for name, array in expected.items():
            np.testing.assert_array_equal(found[name], array)
            assert found[name].dtype == array.dtype
    only_labels = {"image": (255 * image).astype(np.uint8), "label": label.astype(f"{order}i8")}
    np.testing.assert_array_equal(read_npz(save_npz(tmp_path / "a.npz", **only_labels)).arrays["label"], label)
    names = np.array(["cat", "dog", "eel"])[label]
    swapped = {"point": point, "label": names.astype(names.dtype.newbyteorder(order))}
    assert read_npz(save_npz(tmp_path / "a.npz", **swapped)).class_names == ("cat", "dog", "eel")


GOOD = np.zeros((4, 8, 8, 1), np.uint8)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": GOOD}, r"must contain an array named 'image' or 'point', or a single .*, got \['images'\]"),
        ({"image": GOOD[0, 0]}, r"must have the shape \[n, h, w\] or .*, got \(8, 1\)"),
        ({"image": GOOD.transpose(0, 3, 1, 2)}, r"must have the shape .*, got \(4, 1, 8, 8\)"),
        ({"image": GOOD[:0]}, r"must have the shape .*, got \(0, 8, 8, 1\)"),
        ({"image": GOOD.astype(int)}, "must be uint8 or floats in .*, got int64"),
        ({"image": GOOD + 1.5}, r"floats of 'image' in .* must be in \[0, 1\], got 1.5 to 1.5"),
        ({"image": GOOD - 0.1}, r"must be in \[0, 1\], got -0.1 to -0.1"),
        ({"image": GOOD * np.nan}, r"must be in \[0, 1\], got nan to nan"),
        ({"image": GOOD, "label": [0, 1, 2]}, r"must have one label for each of 4 examples, got \(3,\)"),
        ({"image": GOOD, "label": GOOD}, r"must have one label for each example, .* got the shape \(4, 8, 8, 1\)"),
        ({"image": GOOD, "label": [0.0, 1.0, 0.5, 0.0]}, "must have an integer dtype, got float64"),
        ({"image": GOOD, "label": [0, -1, 2, 3]}, "must be from 0 to 65535, got -1 to 3; number the classes from 0"),
        ({"image": GOOD, "label": [0, 2_000_000_000, 2, 3]}, "must be from 0 to 65535, got 0 to 2000000000"),
        ({"image": GOOD, "label": np.eye(4)}, r"got the shape \(4, 4\); convert one-hot labels by label.argmax"),
        ({"image": GOOD, "point": np.zeros((4, 2))}, r"or a single two-dimensional array .* got \['image', 'point'\]"),
        ({"a": np.zeros((4, 2)), "b": np.zeros((4, 2))}, r"or a single two-dimensional array .* got \['a', 'b'\]"),
        ({"a": np.zeros((4, 2)), "b": np.zeros(4)}, r"or a single two-dimensional array .* got \['a', 'b'\]"),
        ({"point": np.zeros((4, 2), complex)}, "the points of .* must be real numbers, got complex128"),
        ({"point": np.zeros(4)}, r"the points of .* must have the shape \[n, dim\], got \(4,\)"),
        ({"point": np.array([[0.0, np.nan]])}, "'point' in .* must be finite, got NaN or infinity"),
        ({"point": np.array([[0.0], [1e300]])}, "'point' in .* must be finite, got NaN or infinity"),
        ({"image": np.array([{}, None, 1, "a"], object)}, "cannot be read as an .npz file without pickled objects"),
        ({"image": GOOD, "label": np.array([{}, None, 1, "a"], object)}, "cannot be read as an .npz file"),
    ],
)
def test_error_states_what_is_invalid_in_an_npz_file(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_npz(save_npz(tmp_path / "own.npz", **arrays))


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.99])
def test_error_names_a_truncated_npz_file(tmp_path: Path, kept: float) -> None:
    path = save_npz(tmp_path / "truncated.npz", image=GOOD)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(InputError, match=r"truncated.npz cannot be read as an .npz file"):
        read_npz(path)


def test_error_names_an_npz_file_with_flipped_bits(tmp_path: Path) -> None:
    path = tmp_path / "flipped.npz"
    np.savez_compressed(path, image=np.random.default_rng(0).integers(0, 256, (9, 8, 8), np.uint8))
    content = bytearray(path.read_bytes())
    content[200] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"flipped.npz cannot be read as an .npz file"):
        read_npz(path)


def test_npy_file_with_the_suffix_npz_is_rejected(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", GOOD)
    (tmp_path / "a.npy").rename(tmp_path / "a.npz")
    with pytest.raises(InputError, match=r"a.npz cannot be read as an .npz file"):
        read_npz(tmp_path / "a.npz")


# .npz files: sizes, and archives that are no such files


def npy(shape: str, descr: str = "|u1", data: bytes = b"") -> bytes:
    """An array file with any header."""
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}}}".encode()
    header += b" " * (-(10 + len(header) + 1) % 64) + b"\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header + data


def test_arrays_larger_than_the_limit_are_refused_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_arrays, "MEMORY_LIMIT", 2**20)
    path = tmp_path / "zeros.npz"
    np.savez_compressed(path, image=np.zeros((2**20, 8, 8), np.uint8))
    assert path.stat().st_size < 2**20
    tracemalloc.start()
    with pytest.raises(InputError, match=r"zeros.npz must take at most 1048576 bytes, got 67108864; give more images"):
        read_npz(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


@pytest.mark.parametrize(
    "member",
    [
        npy("(1000000, 1000000, 1000)"),
        npy("(4, 8, 8)", data=bytes(255)),
        npy("(4, 8, 8)", data=bytes(257)),
        npy("(-4, 8, 8)", data=bytes(256)),
        npy("(4.5, 8)", data=bytes(36)),
        npy("(4,)", descr="|O", data=bytes(32)),
        npy("(" * 4000 + ")" * 4000),
        npy("(4, 8, 8)", descr="|V1", data=bytes(256)),
        b"\x93NUMPY\x09\0" + bytes(100),
        b"",
        b"text",
    ],
    ids=lambda member: member[:60].decode("latin-1"),
)
def test_a_member_that_is_no_array_of_its_size_is_an_error(tmp_path: Path, member: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("image.npy", member)
    with pytest.raises(InputError, match=r"a.npz"):
        read_npz(tmp_path / "a.npz")


def test_an_encrypted_archive_is_an_error(tmp_path: Path) -> None:
    path = save_npz(tmp_path / "a.npz", image=GOOD)
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the flags of the file and of the directory
        content[content.index(signature) + offset] |= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a.npz cannot be read as an .npz file .*encrypted"):
        read_npz(path)


def test_an_unknown_compression_is_an_error(tmp_path: Path) -> None:
    path = save_npz(tmp_path / "a.npz", image=GOOD)
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        content[content.index(signature) + offset] = 99
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a.npz cannot be read as an .npz file"):
        read_npz(path)


# Points


POINTS = np.random.default_rng(0).normal(size=(30, 2))


@pytest.mark.parametrize("name", ["point", "X", "arr_0"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int64, np.uint8])
def test_points_of_an_npz_file_are_read_under_any_one_name(tmp_path: Path, name: str, dtype: type) -> None:
    points = (100 * np.abs(POINTS)).astype(dtype)
    found = read_npz(save_npz(tmp_path / "a.npz", **{name: points, "label": np.arange(30) % 3}))
    assert found.arrays["point"].dtype == np.float32
    np.testing.assert_array_equal(found.arrays["point"], points.astype(np.float32))
    np.testing.assert_array_equal(found.arrays["label"], np.arange(30) % 3)


def test_text_labels_are_class_names_in_alphabetical_order(tmp_path: Path) -> None:
    found = read_npz(save_npz(tmp_path / "a.npz", point=POINTS, label=np.array(["pear", "fig", "apple"] * 10)))
    assert found.class_names == ("apple", "fig", "pear")
    assert found.arrays["label"].tolist() == [2, 1, 0] * 10


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_columns_whose_differences_float32_loses_are_refused(tmp_path: Path) -> None:
    seconds = 1.7e9 + np.arange(100.0)
    with pytest.raises(InputError, match=r"column 2 of .* must be resolved by float32, .* 28.9 around 1.7e\+09; sub"):
        read_npz(save_npz(tmp_path / "a.npz", point=np.stack([POINTS[0, 0] * seconds, seconds], 1) * [0, 1]))
    found = read_npz(save_npz(tmp_path / "a.npz", point=(1000 + POINTS)))
    np.testing.assert_allclose(found.arrays["point"], 1000 + POINTS, rtol=1e-7)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ((1, 2, 3), "3 classes, none with the label 0"),
        ((0, 2, 4), "3 classes, none with the labels 1, 3"),
        ((9, 9, 9), "1 class, none with the labels 0, 1, 2, ..."),
        ((0, 1, 2), "3 classes"),
    ],
)
def test_labels_without_examples_are_said(tmp_path: Path, labels: tuple[int, ...], classes: str) -> None:
    path = save_npz(tmp_path / "a.npz", point=POINTS[:, :1], label=np.array(labels * 10))
    assert open_arrays(path, "train", None).notice == f"read 27 + 3 points in 1 dimension of {classes}"


def test_an_archive_of_very_many_arrays_is_refused_by_a_short_sentence(tmp_path: Path) -> None:
    for count, sentence in ((1001, "a.npz must have at most 1000 arrays, got 1001"), (1000, "] and 992 others$")):
        with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
            for i in range(count):
                content = io.BytesIO()
                np.save(content, np.zeros((2, 2)))
                archive.writestr(f"{i}{'x' * 500}.npy", content.getvalue())
        with pytest.raises(InputError, match=sentence) as error:
            read_npz(tmp_path / "a.npz")
        assert len(str(error.value)) < 1000


def test_points_are_split_and_described(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "x,y,label", *(f"{x},{y},{'ab'[x > 0]}" for x, y in POINTS.tolist()))
    train, test = (open_arrays(path, split, None) for split in ("train", "test"))
    assert train.notice == f"read {len(train)} + {len(test)} points in 2 dimensions of 2 classes"
    assert len(train) + len(test) == 30
    assert set(test.arrays["label"].tolist()) == {0, 1}
    for source in (train, test):
        np.testing.assert_array_equal(source.arrays["label"], source.arrays["point"][:, 0] > 0)
    with pytest.raises(InputError, match=r"image_size applies to images only, got .*a.csv of points"):
        open_arrays(path, "train", 8)


@pytest.mark.parametrize("name", ["a.npz", "a.csv"])
def test_training_reads_the_file_once(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[Path] = []
    for kind in ("read_npz", "read_csv"):
        function = getattr(own_arrays, kind)
        monkeypatch.setattr(own_arrays, kind, lambda path, f=function: reads.append(path) or f(path))
    path = tmp_path / name
    write(path, "x,y", *(f"{x},{y}" for x, y in POINTS.tolist())) if name == "a.csv" else save_npz(path, point=POINTS)
    options = vae.Config(hidden=(4,), likelihood="gaussian")
    prepared = prepare_run(tmp_path / "run", "vae", RunConfig(options, data=str(path)))
    assert (len(prepared.data["point"]), len(prepared.test["point"])) == (27, 3)
    assert reads == [path]
