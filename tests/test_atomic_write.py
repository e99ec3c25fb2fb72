"""A file is there whole or not at all; `tests/run/test_files.py` tries it with every kind of content."""

import pytest

from jaxgen.atomic_write import write_atomic
from jaxgen.errors import InputError


def test_a_folder_in_the_way_is_named(tmp_path):
    (tmp_path / "x").mkdir()
    with pytest.raises(InputError, match="x could not be written: Is a directory"):
        write_atomic(tmp_path / "x", b"content")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
