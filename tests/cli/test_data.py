"""`jaxgen data prepare`: original files become a data set that can be loaded by its name."""

import re
import struct
from pathlib import Path

import numpy as np

from jaxgen.data import load
from jaxgen.data.originals import IDX_FILES


def test_prepares_data_set_from_original_files(tmp_path, jaxgen):
    images = np.arange(5 * 28 * 28, dtype=np.uint32).astype(np.uint8).reshape(5, 28, 28)
    (tmp_path / "originals").mkdir()
    for image_file, label_file in IDX_FILES.values():
        header = struct.pack(">4B3I", 0, 0, 8, 3, 5, 28, 28)
        (tmp_path / "originals" / image_file).write_bytes(header + images.tobytes())
        (tmp_path / "originals" / label_file).write_bytes(struct.pack(">4BI", 0, 0, 8, 1, 5) + bytes(range(5)))
    result = jaxgen("data", "prepare", "mnist", "--data-dir", tmp_path / "data", "--source", tmp_path / "originals")
    assert result.status == 0
    (folder,) = result.out.splitlines()
    start, end = result.err.splitlines()  # Not a terminal: no progress bars, whose every update is a line of its own.
    assert start == f"preparing mnist in {tmp_path / 'data'}"
    assert re.fullmatch(r"prepared mnist in \d+ s", end)
    assert Path(folder).parent == tmp_path / "data" / "mnist"
    found = load("mnist", data_dir=tmp_path / "data")
    order = np.argsort(found["label"])
    np.testing.assert_array_equal(found["image"][order, ..., 0], images)
    again = jaxgen("data", "prepare", "mnist", "--data-dir", tmp_path / "data")
    assert (again.out, again.err) == (result.out, "")


def test_terminal_shows_progress_bars(tmp_path, jaxgen, monkeypatch):
    shown = []
    monkeypatch.setattr("jaxgen.cli.data.prepare", lambda *names, **options: shown.append(options["progress_bars"]))
    for is_terminal in (True, False):
        monkeypatch.setattr("sys.stderr.isatty", lambda is_terminal=is_terminal: is_terminal, raising=False)
        jaxgen("data", "prepare", "mnist", "--data-dir", tmp_path)
    assert shown == [True, False]


def test_invalid_arguments_give_one_sentence(tmp_path, refused):
    missing = ("--source", tmp_path / "nowhere", "--data-dir", tmp_path)
    assert "must be an existing folder or archive, got" in refused("data", "prepare", "mnist", *missing)
    assert refused("data", "prepare") == "jaxgen data needs NAME: name of a data set, e.g. mnist"
    assert refused("data") == "jaxgen data needs ACTION: prepare"
    assert "has no option '--sauce': did you mean '--source'?" in refused("data", "prepare", "mnist", "--sauce", "x")
