"""Only regular files of limited size are read."""

import os

import pytest

from jaxgen.errors import InputError
from jaxgen.regular_files import read_regular


def test_a_file_is_read(tmp_path):
    (tmp_path / "a").write_bytes(b"content\0")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert read_regular(tmp_path / "a") == read_regular(tmp_path / "link") == b"content\0"


def test_pipes_devices_and_folders_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zeros").symlink_to("/dev/zero")
    for name in ("pipe", "zeros", "."):
        with pytest.raises(InputError, match="must be a regular file"):
            read_regular(tmp_path / name)


def test_a_sparse_file_is_refused_by_its_size(tmp_path):
    (tmp_path / "sparse").touch()
    os.truncate(tmp_path / "sparse", 10 * 2**30)
    with pytest.raises(InputError, match=rf"sparse must have at most {2**26} bytes, got {10 * 2**30}"):
        read_regular(tmp_path / "sparse")


def test_a_missing_file_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "missing")
