"""jaxgen: classic deep generative models as games of pure functions, in JAX.

The first file to open is `jaxgen/game.py`; every model in `jaxgen/models/` is a short file that says who plays.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxgen.runs import load_run as load_run

__version__ = "0.1.0"
__all__ = ["load_run"]


def __getattr__(name: str) -> Any:
    # Loaded on first use: the command line must answer --help without waiting for JAX.
    if name == "load_run":
        from jaxgen.runs import load_run

        return load_run
    raise AttributeError(f"module 'jaxgen' has no attribute {name!r}")
