"""jaxgen: classic deep generative models as games of pure functions, in JAX.

The first file to open is `jaxgen/game.py`; every model in `jaxgen/models/` is a short file that defines its players.
"""

import importlib
import sys
from types import ModuleType

TYPE_CHECKING = False  # Not imported: until it has imported this file, a command cannot handle Ctrl-C.
if TYPE_CHECKING:
    from typing import Any

    from jaxgen.game import Model as Model
    from jaxgen.game import Player as Player
    from jaxgen.game import Regularizer as Regularizer
    from jaxgen.game import State as State
    from jaxgen.game import game as game
    from jaxgen.models import Family as Family
    from jaxgen.runs import RunConfig as RunConfig
    from jaxgen.runs import load_run as load_run
    from jaxgen.runs import train as train
    from jaxgen.training import fit as fit

EXPORTS = {
    "Family": "jaxgen.models",
    "Model": "jaxgen.game",
    "Player": "jaxgen.game",
    "Regularizer": "jaxgen.game",
    "RunConfig": "jaxgen.runs",
    "State": "jaxgen.game",
    "fit": "jaxgen.training",
    "game": "jaxgen.game",
    "load_run": "jaxgen.runs",
    "train": "jaxgen.runs",
}
"""Name -> module that defines it, imported when the name is first used: the command line must answer --help without
waiting for JAX."""

__all__ = [
    "Family",
    "Model",
    "Player",
    "Regularizer",
    "RunConfig",
    "State",
    "fit",
    "game",
    "load_run",
    "train",
]


def __getattr__(name: str) -> "Any":
    if name == "__version__":
        from importlib.metadata import version

        return version("jaxgen")
    if name in EXPORTS:
        module = importlib.import_module(EXPORTS[name])
        return getattr(module, name)
    raise AttributeError(f"module 'jaxgen' has no attribute {name!r}")


class _Package(ModuleType):
    """The package, in which `game` is the function: importing the module of that name does not replace it."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in EXPORTS and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
