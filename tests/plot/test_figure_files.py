"""Figure files are deterministic, written atomically, and in the format of their suffix."""

import subprocess
import sys

import numpy as np
import pytest

from jaxgen.errors import InputError
from jaxgen.plot import FORMATS, image_grid, render, save, scatter_by_label

DRAW = """
import sys
from pathlib import Path
import numpy as np
from jaxgen.plot import FORMATS, save, scatter_by_label
points = np.random.default_rng(0).normal(size=(40, 2))
for file_format in FORMATS:
    save(scatter_by_label(points, label=np.arange(40) % 3), Path(sys.argv[1]) / f"x.{file_format}")
"""


def test_figure_has_the_same_bytes_in_another_process_at_another_time(tmp_path, monkeypatch):
    # The date that matplotlib uses in place of the current one: 2001.
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    subprocess.run([sys.executable, "-c", DRAW, tmp_path], check=True)
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    points = np.random.default_rng(0).normal(size=(40, 2))
    for file_format in FORMATS:
        rendered = render(scatter_by_label(points, label=np.arange(40) % 3), file_format)
        assert rendered == (tmp_path / f"x.{file_format}").read_bytes()


@pytest.mark.parametrize(("file_format", "signature"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_suffix_determines_the_file_format(file_format, signature, tmp_path):
    save(image_grid(np.zeros((1, 8, 8, 1))), tmp_path / f"x.{file_format}")
    assert (tmp_path / f"x.{file_format}").read_bytes().startswith(signature)


def test_full_disk_leaves_the_previous_file_unchanged(tmp_path, full_disk):
    (tmp_path / "x.png").write_bytes(b"before")
    with full_disk(100), pytest.raises(InputError, match=r"x\.png could not be written: File too large"):
        save(image_grid(np.zeros((1, 8, 8, 1))), tmp_path / "x.png")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"before"]


@pytest.mark.parametrize("file_format", ["pdf", "svg"])
def test_large_pixels_are_refused_by_formats_that_need_much_memory(file_format):
    with pytest.raises(InputError, match=r"must be a \.png file where it has more than 4,194,304 pixels"):
        render(np.zeros((2048, 2049), np.uint8), file_format)


@pytest.mark.parametrize("name", ["x.jpeg", "x"])
def test_unknown_file_formats_are_rejected(name, tmp_path):
    with pytest.raises(InputError, match="must be one of png, pdf, svg, got"):
        save(image_grid(np.zeros((1, 8, 8, 1))), tmp_path / name)
    assert not list(tmp_path.iterdir())
