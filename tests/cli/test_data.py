"""`jaxgen data prepare`: from files at hand to a data set that training finds."""

import struct
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from jaxgen.data import load
from jaxgen.data.originals import IDX_FILES


def test_original_files_become_a_data_set(tmp_path, jaxgen):
    tfds.disable_progress_bar()
    images = np.arange(5 * 28 * 28, dtype=np.uint32).astype(np.uint8).reshape(5, 28, 28)
    (tmp_path / "originals").mkdir()
    for images, labels in IDX_FILES.values():
        header = struct.pack(">4B3I", 0, 0, 8, 3, 5, 28, 28)
        (tmp_path / "originals" / images).write_bytes(header + images.tobytes())
        (tmp_path / "originals" / labels).write_bytes(struct.pack(">4BI", 0, 0, 8, 1, 5) + bytes(range(5)))
    said = jaxgen("data", "prepare", "mnist", "--data-dir", tmp_path / "data", "--source", tmp_path / "originals")
    assert said.status == 0
    (place,) = said.out.splitlines()
    assert Path(place).parent == tmp_path / "data" / "mnist"
    found = load("mnist", data_dir=tmp_path / "data")
    order = np.argsort(found["label"])
    np.testing.assert_array_equal(found["image"][order, ..., 0], images)


def test_what_is_wrong_is_said(tmp_path, refused):
    assert "there is no folder" in refused("data", "prepare", "mnist", "--source", tmp_path / "nowhere")
    assert refused("data", "prepare") == "jaxgen data prepare needs NAME: a data set, e.g. mnist"
    assert "has no option '--sauce': did you mean '--source'?" in refused("data", "prepare", "mnist", "--sauce", "x")
