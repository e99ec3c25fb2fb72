"""Files of a folder: links, cycles of links, and folders that cannot be read."""

import os
from pathlib import Path

import pytest

from jaxgen.data.folders import find_splits, list_files
from jaxgen.errors import InputError


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in list_files(folder).images]


def test_linked_folders_and_files_are_followed(tmp_path: Path) -> None:
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    touch(elsewhere / "1.png", elsewhere / "deep" / "2.png", data / "b" / "3.png")
    (data / "a").symlink_to(elsewhere)
    (data / "b" / "link.png").symlink_to(elsewhere / "1.png")
    assert names(data) == ["a/1.png", "a/deep/2.png", "b/3.png", "b/link.png"]


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    touch(tmp_path / "real" / "a" / "1.png")
    (tmp_path / "link").symlink_to("real")
    assert names(tmp_path / "link") == ["a/1.png"]


def test_cycles_of_links_end(tmp_path: Path) -> None:
    touch(tmp_path / "a" / "1.png", tmp_path / "b" / "2.png")
    (tmp_path / "a" / "up").symlink_to("..")
    (tmp_path / "b" / "self").symlink_to(".")
    (tmp_path / "b" / "to_a").symlink_to("../a")
    assert names(tmp_path) == ["a/1.png", "b/2.png", "b/to_a/1.png"]


def test_folders_with_several_links_to_each_other_are_read_once_per_class(tmp_path: Path) -> None:
    # Followed on every path, 30 levels of two links each would be 2^30 folders.
    for i in range(30):
        touch(tmp_path / "levels" / str(i) / "x.png")
        for link in ("one", "two"):
            (tmp_path / "levels" / str(i) / link).symlink_to(tmp_path / "levels" / str(i + 1))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a").symlink_to(tmp_path / "levels" / "0")
    assert len(names(tmp_path / "data")) == 30


def test_a_folder_that_cannot_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "a" / "1.png", tmp_path / "b" / "2.png")
    scandir = os.scandir

    def refuse(path: Path) -> object:  # Tests may run as root, who can read every folder.
        if Path(path).name == "b":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    for function in (list_files, find_splits):
        with pytest.raises(InputError, match=r"the folder .*b cannot be read \(Permission denied\)"):
            function(tmp_path)


def test_a_run_within_a_folder_of_images_is_not_read_as_a_class(tmp_path: Path) -> None:
    touch(*(tmp_path / name for name in ("a/1.png", "b/2.png", "config.json")))
    run = tmp_path / "runs" / "vae"
    touch(run / "config.json", run / "metrics.jsonl", run / "samples" / "step-1.png")
    assert names(tmp_path) == ["a/1.png", "b/2.png"]
    assert not find_splits(tmp_path)
