"""Errors of atomic writes; `tests/runs/test_outputs.py` tests interrupted writes for every kind of content."""

import pytest

from jaxgen.atomic_write import write_atomic
from jaxgen.errors import InputError


def test_error_names_the_path_if_it_is_a_folder(tmp_path):
    (tmp_path / "x").mkdir()
    with pytest.raises(InputError, match="x could not be written: Is a directory"):
        write_atomic(tmp_path / "x", b"content")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
