"""Files are complete, or as they were before, or absent, whatever happens while they are written."""

import json
import tracemalloc

import numpy as np
import pytest

from jaxgen import plot
from jaxgen.errors import InputError
from jaxgen.runs.outputs import (
    check_new_folder,
    check_writable,
    make_folder,
    new_folder,
    write_array_parts,
    write_arrays,
    write_json,
)

LARGE = np.random.default_rng(0).integers(0, 256, (16, 16, 16, 3), np.uint8)

WRITERS = {
    "json": lambda path: write_json(path, {"numbers": LARGE.ravel().tolist()}),
    "npz": lambda path: write_arrays(path, {"images": LARGE}),
    "png": lambda path: plot.save(plot.image_grid(LARGE), path),
    "svg": lambda path: plot.save(plot.scatter(LARGE[0, 0]), path),
}


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("before", [None, b"content before"])
def test_a_full_disk_leaves_the_previous_content(suffix, before, tmp_path, full_disk):
    path = tmp_path / f"x.{suffix}"
    if before is not None:
        path.write_bytes(before)
    with full_disk(free=100), pytest.raises(InputError, match=rf"x.{suffix} could not be written: File too large"):
        WRITERS[suffix](path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == (
        {} if before is None else {path.name: before}
    )


@pytest.mark.parametrize("suffix", WRITERS)
def test_until_it_is_replaced_a_file_has_the_previous_content(suffix, tmp_path, monkeypatch):
    path = tmp_path / f"x.{suffix}"
    path.write_bytes(b"old")

    def interrupt(*_):
        assert path.read_bytes() == b"old"
        raise KeyboardInterrupt

    monkeypatch.setattr("pathlib.Path.replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        WRITERS[suffix](path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {path.name: b"old"}


def test_what_is_written_is_read(tmp_path):
    for suffix, write in WRITERS.items():
        write(tmp_path / f"x.{suffix}")
    assert json.loads((tmp_path / "x.json").read_text())["numbers"] == LARGE.ravel().tolist()
    with np.load(tmp_path / "x.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["images"], LARGE)


@pytest.mark.parametrize("axis", [0, 1])
def test_parts_are_read_as_one_array_and_only_parts_are_in_memory(axis, tmp_path):
    shape = (2, 60_000, 64) if axis else (120_000, 64)
    array = np.random.default_rng(0).integers(0, 2, shape).astype(np.float32)
    parts = np.array_split(array, np.arange(1000, shape[axis], 1000), axis=axis)
    tracemalloc.start()
    write_array_parts(tmp_path / "x.npz", "x", parts, count=shape[axis], axis=axis)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    with np.load(tmp_path / "x.npz", allow_pickle=False) as content:
        np.testing.assert_array_equal(content["x"], array)
    assert peak < 0.2 * array.nbytes
    assert {path.name for path in tmp_path.iterdir()} == {"x.npz"}


@pytest.mark.parametrize("axis", [0, 1])
def test_a_full_disk_leaves_the_previous_arrays(axis, tmp_path, full_disk):
    (tmp_path / "x.npz").write_bytes(b"before")
    with full_disk(free=100), pytest.raises(InputError, match=r"x\.npz could not be written: File too large"):
        write_array_parts(tmp_path / "x.npz", "x", [LARGE, LARGE], count=2 * LARGE.shape[axis], axis=axis)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {"x.npz": b"before"}


@pytest.mark.parametrize(("raised", "expected"), [(KeyboardInterrupt, KeyboardInterrupt), (OSError, InputError)])
def test_an_error_or_interrupt_leaves_no_files_in_a_new_folder(raised, expected, tmp_path):
    def write(folder):
        with new_folder(folder) as temporary:
            (temporary / "a").write_text("a")
            raise raised

    (tmp_path / "x").mkdir()
    with pytest.raises(expected):
        write(tmp_path / "x")
    assert [path.name for path in tmp_path.rglob("*")] == ["x"]


def test_json_has_no_nan(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"a": float("nan")})
    assert not list(tmp_path.iterdir())


def test_a_folder_is_made_with_its_parents_and_keeps_its_content(tmp_path):
    make_folder(tmp_path / "a" / "b")
    (tmp_path / "a" / "b" / "x").write_text("kept")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b" / "x").read_text() == "kept"


def test_a_folder_that_cannot_be_made_or_written_is_refused(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write to the folder '.*file/run': '.*file' is not a folder"):
        make_folder(tmp_path / "file" / "run")
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(InputError, match=r"cannot write to the folder '.*': it is not writable"):
        make_folder(tmp_path)


def test_links_are_not_replaced_by_folders_and_links_to_nothing_are_refused_at_once(tmp_path):
    (tmp_path / "empty").mkdir()
    for name, target in (("to_nothing", "absent"), ("to_empty", "empty")):
        (tmp_path / name).symlink_to(tmp_path / target)
        with pytest.raises(InputError, match=f"{name}' must be a new or an empty folder, and it is a link: give"):
            check_new_folder(tmp_path / name)
    for folder in (tmp_path / "to_nothing", tmp_path / "to_nothing" / "a"):
        with pytest.raises(InputError, match=r"cannot write to the folder '.*': '.*to_nothing' is a link to nothing"):
            check_writable(folder)
    check_writable(tmp_path / "to_empty")
