"""Imports of packages that would import others, which a command does not need and waits for."""

import contextlib
import importlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def without(module: str) -> Iterator[None]:
    """Let imports run as if a module were not installed; nothing happens if it is imported already.

    Args:
        module: module that the packages which are imported meanwhile use only where it is installed.

    Example:
        >>> with without("antigravity"):
        ...     import antigravity
        Traceback (most recent call last):
            ...
        ModuleNotFoundError: import of antigravity halted; None in sys.modules
    """
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]  # With which `import` raises ImportError.
    try:
        yield
    finally:
        del sys.modules[module]


def import_without(package: str, *, unused: str) -> None:
    """Import a package as if another one, which it uses only where it is installed, were not.

    Args:
        package: package to import; nothing happens if it is imported already.
        unused: module that it does not need.

    Example:
        >>> import_without("json", unused="torch")
    """
    with without(unused):
        importlib.import_module(package)
