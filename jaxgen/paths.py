"""Paths that the user gives, and the folder of caches."""

import os
from pathlib import Path

from jaxgen.errors import InputError, shortened


def expand_path(path: str | Path) -> Path:
    """Return a path of the user with the home folder in place of `~`.

    Args:
        path: path as the user gave it.

    Returns:
        The path, which need not exist.

    Raises:
        InputError: if the path contains a zero byte or names an unknown user.

    Example:
        >>> expand_path("a/b").as_posix()
        'a/b'
        >>> expand_path("~nosuchuser/a")
        Traceback (most recent call last):
        jaxgen.errors.InputError: the path '~nosuchuser/a' must begin with the name of a user of this machine, as it
        begins with ~
    """
    if "\0" in os.fspath(path):
        raise InputError(f"a path must not contain a zero byte, got {shortened(os.fspath(path))}")
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise InputError(
            f"the path {shortened(os.fspath(path))} must begin with the name of a user of this machine, as it begins "
            "with ~"
        ) from error


def cache_folder(name: str) -> Path:
    """Return a folder of files that later commands use again.

    Args:
        name: what the files are, e.g. `programs`.

    Returns:
        `$XDG_CACHE_HOME/jaxgen/NAME`, or `~/.cache/jaxgen/NAME`; it need not exist.

    Raises:
        RuntimeError: if the home folder is needed and unknown.

    Example:
        >>> cache_folder("programs").parts[-2:]
        ('jaxgen', 'programs')
    """
    # The XDG specification requires that a relative path is ignored.
    chosen = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (chosen if chosen.is_absolute() else Path.home() / ".cache") / "jaxgen" / name
