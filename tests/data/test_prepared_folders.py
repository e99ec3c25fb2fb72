from collections.abc import Callable
from pathlib import Path

import pytest

from jaxgen.data.prepared import open_prepared
from jaxgen.data.prepared_folders import find_prepared
from jaxgen.data.preparing import prepare_arrays
from jaxgen.errors import InputError
from tests.small_data import random_data

WriteOriginals = Callable[..., dict[str, str]]


INCOMPLETE = "plain/incomplete.KGS287_2.0.0"
"""Folder left by an interrupted preparation."""


def test_find_prepared_returns_the_newest_version_and_the_only_configuration(tmp_path: Path) -> None:
    for folder in (
        "plain/1.9.0",
        "plain/1.10.0",
        "single/letters/1.0.0",
        "several/a/1.0.0",
        "several/b/1.0.0",
        INCOMPLETE,
    ):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "features.json").touch()
    assert find_prepared("plain", tmp_path) == tmp_path / "plain/1.10.0"
    assert find_prepared("plain:1.9.0", tmp_path) == tmp_path / "plain/1.9.0"
    assert find_prepared("plain:3.0.0", tmp_path) is None
    assert find_prepared("single", tmp_path) == tmp_path / "single/letters/1.0.0"
    assert find_prepared("several/b", tmp_path) == tmp_path / "several/b/1.0.0"
    with pytest.raises(
        InputError, match=r"the configuration of 'several' must be one of a, b, got none; .* 'several/a'"
    ):
        find_prepared("several", tmp_path)


@pytest.mark.parametrize(
    "name",
    ["a\0b", "a" * 300, "mnist:" + "9" * 4000, "mnist:9999999999.0.0", "*", "mnist/**", "..", "/", ":", "é\ud800"],
)
def test_unusual_names_are_not_found(tmp_path: Path, name: str) -> None:
    prepare_arrays("mnist", {"train": random_data(3)}, tmp_path)
    assert find_prepared(name, tmp_path) is None
    with pytest.raises(InputError, match=r"there is no data set|mnist.* is not in"):
        open_prepared(name, tmp_path, "train", None)
