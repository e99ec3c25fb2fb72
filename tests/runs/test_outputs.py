"""Files are complete, or as they were before, or absent, whatever happens while they are written."""

import json

import numpy as np
import pytest

from jaxgen import plot
from jaxgen.errors import InputError
from jaxgen.runs.outputs import make_folder, write_arrays, write_json

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
    with pytest.raises(InputError, match=r"cannot write to the folder '.*file/run': Not a directory"):
        make_folder(tmp_path / "file" / "run")
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(InputError, match=r"cannot write to the folder '.*': it is not writable"):
        make_folder(tmp_path)
