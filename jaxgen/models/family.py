"""What a family of models is, and how one that is not part of the package is loaded."""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NamedTuple

from jaxgen.errors import InputError, suggest
from jaxgen.game import Model

ENTRY_POINTS = "jaxgen.families"
"""Entry-point group in which installed packages announce their families."""


class Family(NamedTuple):
    """A family of models.

    Attributes:
        name: name of the family, stored in the run folder.
        config: frozen dataclass of its options.
        build: `(config, example, **parts) -> model`; parts are modules, losses or optimizers in place of named ones.
        summary: one line for the list of families.
    """

    name: str
    config: type
    build: Callable[..., Model]
    summary: str


def load_family(source: str) -> Family:
    """Load a family from outside the package. This executes the code that `source` names.

    Args:
        source: path of a Python file, name of a module, or name of an entry point in the group `jaxgen.families`; the
            file or module defines `FAMILY`.

    Returns:
        The family.

    Raises:
        InputError: if there is no such file, module or entry point, it cannot be imported, or defines no family.

    Example:
        >>> load_family("no_such_file.py")
        Traceback (most recent call last):
        jaxgen.errors.InputError: there is no file 'no_such_file.py' that could define a family
    """
    announced = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if source.endswith(".py"):
        family = getattr(_load_file(Path(source).expanduser()), "FAMILY", None)
    elif source in announced:
        family = _guarded(source, announced[source].load)
        family = getattr(family, "FAMILY", family)
    else:
        try:
            known = importlib.util.find_spec(source) is not None
        except (ImportError, ValueError):
            known = False
        if not known:
            raise InputError(
                f"there is no family '{source}': give the path of a .py file, an importable module, or an installed "
                f"entry point of {ENTRY_POINTS}; {suggest(source, announced)}"
            )
        family = getattr(_guarded(source, lambda: importlib.import_module(source)), "FAMILY", None)
    return _checked(source, family)


def _load_file(path: Path) -> Any:
    if not path.is_file():
        raise InputError(f"there is no file '{path}' that could define a family")
    name = f"jaxgen_family_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # As the name ends in .py.
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # Dataclasses look up their module there.
    loader = spec.loader
    _guarded(str(path), lambda: loader.exec_module(module))
    return module


def _guarded(source: str, load: Callable[[], Any]) -> Any:
    try:
        return load()
    except InputError:
        raise
    except Exception as error:  # Whatever the user's own code raises.
        raise InputError(f"the family '{source}' could not be imported: {type(error).__name__}: {error}") from error


def _checked(source: str, family: Any) -> Family:
    if not isinstance(family, Family):
        raise InputError(
            f"'{source}' must define FAMILY = jaxgen.Family(name=..., config=..., build=..., summary=...), got "
            f"{type(family).__name__}"
        )
    return family
