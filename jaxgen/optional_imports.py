"""Imports of optional packages at the place of use, with an error message that says how to install them."""

import importlib
from types import ModuleType

from jaxgen.errors import InputError


def require(module: str, *, extra: str) -> ModuleType:
    """Import a module that an extra of jaxgen installs.

    Args:
        module: name of the module.
        extra: name of the extra.

    Returns:
        The imported module.

    Raises:
        InputError: if the module or a package that it imports is not installed.

    Example:
        >>> require("missing_package", extra="data")
        Traceback (most recent call last):
        jaxgen.errors.InputError: missing_package must be installed; run: pip install 'jaxgen[data]'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = (error.name or module).partition(".")[0]
        raise InputError(f"{name} must be installed; run: pip install 'jaxgen[{extra}]'") from error
