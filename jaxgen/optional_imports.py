"""Packages that few users need: imported where they are used, with a sentence that says how to get them."""

import importlib
from types import ModuleType

from jaxgen.errors import InputError


def require(module: str, *, extra: str) -> ModuleType:
    """Import a module that an extra of jaxgen installs.

    Args:
        module: its name.
        extra: the extra's.

    Returns:
        The module.

    Raises:
        InputError: if it is not installed.

    Example:
        >>> require("nothing_of_the_kind", extra="data")
        Traceback (most recent call last):
        jaxgen.errors.InputError: this needs nothing_of_the_kind; install it with: pip install 'jaxgen[data]'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = (error.name or module).partition(".")[0]
        raise InputError(f"this needs {name}; install it with: pip install 'jaxgen[{extra}]'") from error
