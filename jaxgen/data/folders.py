"""The files of a folder of images: which are images, which subfolders are splits, and what is not read."""

import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from jaxgen.errors import InputError, printable

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
"""Suffixes of the files that are read as images, in lower case."""

SPLIT_FOLDERS = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
"""Split -> names of its subfolder, in any case."""

SPLIT_OF = {name: split for split, names in SPLIT_FOLDERS.items() for name in names}
"""Name of a subfolder in lower case -> its split."""

RUN_FILES = {"config.json", "metrics.jsonl"}
"""Files by which the folder of a run is recognized."""

LISTED = 3
"""Number of skipped files that a notice names."""


class Listing(NamedTuple):
    """The visible files of a folder and its subfolders, in order of their paths.

    Attributes:
        images: files with one of `SUFFIXES`.
        skipped: all other files.
    """

    images: list[Path]
    skipped: list[Path]


def list_files(folder: Path) -> Listing:
    """List the files of a folder and its subfolders. Symbolic links are followed; hidden files are left out.

    A folder that can be reached on several paths is read once within each subfolder of `folder`, so that links in a
    cycle end, and a class may be a link to a folder. Folders of runs are left out.

    Args:
        folder: path of the folder.

    Returns:
        The files; what is neither a file nor a folder (a pipe, a broken link) is skipped.

    Raises:
        InputError: if a folder cannot be read.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("a.PNG", "b.txt", ".c.png"):
        ...         Path(folder, name).touch()
        ...     [[path.name for path in paths] for paths in list_files(Path(folder))]
        [['a.PNG'], ['b.txt']]
    """
    images: list[Path] = []
    skipped: list[Path] = []
    for path, is_regular in _walk(folder):
        (images if is_regular and path.suffix.lower() in SUFFIXES else skipped).append(path)
    return Listing(sorted(images), sorted(skipped))


def find_splits(folder: Path) -> dict[str, Path]:
    """Find the subfolders that are splits, by their names.

    Args:
        folder: path of a folder of images.

    Returns:
        Split -> its subfolder, for those with files. It is empty if the subfolders are classes, which a folder `train`
        may be beside others, if its images lie in it directly and no subfolder is another split.

    Raises:
        InputError: if a folder cannot be read, two subfolders are the same split, there are splits but none for
            training, or subfolders may be splits as well as classes.
    """
    found: dict[str, Path] = {}
    classes = []
    for path, is_folder in _entries(folder):
        files = list_files(path) if is_folder else Listing([], [])
        split = SPLIT_OF.get(path.name.lower())
        if split is None:
            classes += [path] if files.images else []
        elif split in found and (files.images or files.skipped):
            raise InputError(f"{folder} must have one subfolder for {split}, got {found[split].name} and {path.name}")
        elif files.images or files.skipped:
            found[split] = path
    names = ", ".join(sorted(path.name for path in found.values()))
    if not found or ("train" in found and (len(found) > 1 or not classes)):
        if not found:
            _check_classes(folder)
        return found
    if not classes:
        raise InputError(f"{folder} must have a subfolder train beside its splits, got {names}")
    if "train" in found and all(image.parent == found["train"] for image in list_files(found["train"]).images):
        return {}
    others = f"{', '.join(path.name for path in classes[:LISTED])}{', ...' if len(classes) > LISTED else ''}"
    raise InputError(
        f"{folder} must have either splits or classes as its subfolders, got {names} beside {others}: rename {names} "
        f"to read a class, or put the others elsewhere, or into a subfolder train, to read splits"
    )


def list_others(folder: Path, splits: Collection[Path]) -> list[Path]:
    """List the files of a folder that are in none of its splits.

    Args:
        folder: path of a folder of images.
        splits: subfolders that are splits.

    Returns:
        Paths of the visible files outside these subfolders, in order.

    Raises:
        InputError: if a folder cannot be read.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("train", "raw"):
        ...         Path(folder, name).mkdir()
        ...         Path(folder, name, "a.png").touch()
        ...     [path.parts[-2:] for path in list_others(Path(folder), [Path(folder, "train")])]
        [('raw', 'a.png')]
    """
    others = []
    for path, is_folder in _entries(folder):
        if path not in splits:
            others += [image for image, _ in _walk(path)] if is_folder else [path]
    return sorted(others)


def describe_skipped(skipped: Sequence[Path], folder: Path) -> str:
    """Return a clause about the files that are not read, empty where there are none.

    Example:
        >>> describe_skipped([Path("f/a.txt"), Path("f/b.heic")], Path("f"))
        ', skipped 2: a.txt, b.heic'
    """
    if not skipped:
        return ""
    names = [printable(str(path.relative_to(folder))) for path in skipped[:LISTED]]
    return f", skipped {len(skipped)}: {', '.join(names)}{', ...' if len(skipped) > LISTED else ''}"


def _check_classes(folder: Path) -> None:
    """Refuse subfolders of classes that look like splits, as in a folder within another: all would be one class."""
    within: dict[tuple[str, ...], set[str]] = {}
    for image in list_files(folder).images:
        parts = image.relative_to(folder).parts
        for depth in range(1, len(parts) - 1):
            within.setdefault(parts[:depth], set()).add(parts[depth])
    for above, names in sorted(within.items()):
        splits = {SPLIT_OF.get(name.lower()) for name in names}
        if splits != {None} and (None not in splits or len(splits) > 2):
            path = folder.joinpath(*above)
            raise InputError(
                f"the subfolders {', '.join(sorted(names))} of {path} would be read as one class, '{above[0]}': give "
                f"{path} as the data if they are splits, or rename them if they are not"
            )


def _walk(folder: Path) -> Iterator[tuple[Path, bool]]:
    """The visible files below a folder, and whether each is a regular file."""
    root = _identity(folder)
    for path, is_folder in _entries(folder):
        if is_folder:
            yield from _walk_once(path, {root})
        else:
            yield path, _is_regular(path)


def _walk_once(folder: Path, seen: set[tuple[int, int]]) -> Iterator[tuple[Path, bool]]:
    """The files below a folder, without those of folders that were seen before."""
    remaining = [folder]
    while remaining:
        current = remaining.pop()
        identity = _identity(current)
        if identity in seen:
            continue
        seen.add(identity)
        for path, is_folder in _entries(current):
            if is_folder:
                remaining.append(path)
            else:
                yield path, _is_regular(path)


def _entries(folder: Path) -> list[tuple[Path, bool]]:
    """The visible entries of a folder in order of their names, and whether each is a folder or a link to one.

    The folder of a run has none: started from within a folder of images, a run would become a class of them.
    """
    try:
        with os.scandir(folder) as entries:
            found = {Path(entry.path): _is_folder(entry) for entry in entries if not entry.name.startswith(".")}
            return [] if {path.name for path in found} >= RUN_FILES else sorted(found.items())
    except OSError as error:
        raise InputError(f"the folder {folder} cannot be read ({error.strerror})") from error


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    """Whether an entry is a folder or a link to one; a link that leads nowhere, as one to itself, is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_regular(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _identity(folder: Path) -> tuple[int, int]:
    try:
        status = folder.stat()
    except OSError as error:
        raise InputError(f"the folder {folder} cannot be read ({error.strerror})") from error
    return status.st_dev, status.st_ino
