"""Compiled programs are kept on disk: a command that was given before does not wait for the compiler again.

This is JAX's persistent compilation cache. It is switched on for commands alone: what a process that imports jaxgen
keeps, and where, is not for a library to say.
"""

import os
import warnings
from pathlib import Path
from typing import Any

import filelock
import jax

OPTIONS = {
    "jax_persistent_cache_min_compile_time_secs": 0.1,
    "jax_compilation_cache_max_size": 256 * 2**20,
}
"""How programs are kept where the user's environment says nothing else.

Reading a program takes some hundredths of a second, so those that are compiled in less than a tenth gain nothing. JAX
looks at every file when it adds one: 256 MiB are a few thousand programs, which takes it a third of a second.
"""


def keep_compiled_programs() -> None:
    """Keep what is compiled from here on in `$XDG_CACHE_HOME/jaxgen/programs`, by default `~/.cache/jaxgen/programs`.

    Nothing is changed where JAX's cache is set up or switched off already, by `JAX_COMPILATION_CACHE_DIR` or by
    `JAX_ENABLE_COMPILATION_CACHE`. A folder that cannot be used costs one line to the user, who has to wait for the
    compiler each time but for nothing else.
    """
    config: Any = jax.config  # Whose options no type checker knows.
    if config.jax_compilation_cache_dir is not None or not config.jax_enable_compilation_cache:
        return
    try:
        folder = _folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for option, value in OPTIONS.items():
            if option.upper() not in os.environ:
                config.update(option, value)
        # Without a bound JAX writes no times, by which what is unfinished is told, and takes no lock.
        if config.jax_compilation_cache_max_size != -1:
            _drop_unfinished(folder)
    except (OSError, RuntimeError) as error:
        from jaxgen.cli.output import notice

        notice(f"compiled programs are not kept for later commands: {error}")
        return
    config.update("jax_compilation_cache_dir", str(folder))
    # A file that cannot be read or written later on, as on a full disk, is one more compilation, and JAX would say so.
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache", UserWarning)


def _folder() -> Path:
    # By the XDG specification a relative path is to be ignored.
    chosen = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (chosen if chosen.is_absolute() else Path.home() / ".cache") / "jaxgen" / "programs"


def _drop_unfinished(folder: Path) -> None:
    """Delete what processes have left that were killed, or met a full disk, while they wrote a program.

    JAX writes `KEY-cache` in place, then `KEY-atime`. Of a part of the former it would try to make sense each time and
    never replace it, and for want of the latter it cannot tell what to delete.
    """
    with filelock.FileLock(folder / ".lockfile", timeout=10):  # JAX's own, which it holds while it writes both.
        names = {path.name for path in folder.iterdir()}
        for name in names:
            if name.endswith("-cache") and f"{name.removesuffix('-cache')}-atime" not in names:
                (folder / name).unlink()
