"""Paths that the user gives."""

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
    """Return the folder of a cache of this user, which need not exist.

    Args:
        name: what is cached, e.g. `features`.

    Returns:
        `$XDG_CACHE_HOME/jaxgen/NAME`, or `~/.cache/jaxgen/NAME`.

    Example:
        >>> cache_folder("features").parts[-2:]
        ('jaxgen', 'features')
    """
    # The XDG specification requires that a relative path is ignored.
    chosen = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (chosen if chosen.is_absolute() else Path.home() / ".cache") / "jaxgen" / name
