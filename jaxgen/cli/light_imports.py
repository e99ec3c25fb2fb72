"""Imports of packages that would import others, which a command does not need and waits for."""

import importlib
import sys


def import_without(package: str, *, unused: str) -> None:
    """Import a package as if another one, which it uses only where it is installed, were not.

    Nothing happens if the other package is imported already, or the package itself.

    Args:
        package: package to import.
        unused: package that it does not need.

    Example:
        >>> import_without("json", unused="torch")
    """
    if package in sys.modules or unused in sys.modules:
        return
    sys.modules[unused] = None  # type: ignore[assignment]  # With which `import` raises ImportError.
    try:
        importlib.import_module(package)
    finally:
        del sys.modules[unused]
