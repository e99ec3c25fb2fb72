"""Packages that only some data need: imported where they are used, with a sentence that says how to get them."""

import importlib
from types import ModuleType

from jaxgen.errors import InputError


def require(module: str) -> ModuleType:
    """Import a module of the extra `data`.

    Args:
        module: its name.

    Returns:
        The module.

    Raises:
        InputError: if it is not installed.

    Example:
        >>> require("nothing_of_the_kind")
        Traceback (most recent call last):
        jaxgen.errors.InputError: these data need nothing_of_the_kind; install it with: pip install 'jaxgen[data]'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            f"these data need {error.name or module}; install it with: pip install 'jaxgen[data]'"
        ) from error
