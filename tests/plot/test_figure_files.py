"""The same figure is the same file, whenever it is drawn."""

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
for kind in FORMATS:
    save(scatter_by_label(points, label=np.arange(40) % 3), Path(sys.argv[1]) / f"x.{kind}")
"""


def test_another_process_at_another_time_draws_the_same_bytes(tmp_path, monkeypatch):
    # Matplotlib's own way to say that it is 2001.
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    subprocess.run([sys.executable, "-c", DRAW, tmp_path], check=True)
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    points = np.random.default_rng(0).normal(size=(40, 2))
    for kind in FORMATS:
        here = render(scatter_by_label(points, label=np.arange(40) % 3), kind)
        assert here == (tmp_path / f"x.{kind}").read_bytes()


@pytest.mark.parametrize(("kind", "begins"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_the_ending_of_the_name_is_the_format(kind, begins, tmp_path):
    save(image_grid(np.zeros((1, 8, 8, 1))), tmp_path / f"x.{kind}")
    assert (tmp_path / f"x.{kind}").read_bytes().startswith(begins)


def test_a_full_disk_leaves_what_was_there(tmp_path, full_disk):
    (tmp_path / "x.png").write_bytes(b"before")
    with full_disk(100), pytest.raises(InputError, match=r"x\.png could not be written: File too large"):
        save(image_grid(np.zeros((1, 8, 8, 1))), tmp_path / "x.png")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"before"]


@pytest.mark.parametrize("name", ["x.jpeg", "x"])
def test_other_formats_are_refused(name, tmp_path):
    with pytest.raises(InputError, match="known are png, pdf, svg"):
        save(image_grid(np.zeros((1, 8, 8, 1))), tmp_path / name)
    assert not list(tmp_path.iterdir())
