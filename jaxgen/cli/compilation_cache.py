"""Cache of compiled programs on disk, so that a command that is repeated does not compile again.

This is JAX's persistent compilation cache. It is enabled for commands only: whether a process that imports jaxgen
writes such a cache, and where, is the choice of that process.
"""

import os
import warnings
from pathlib import Path
from typing import Any

import filelock
import jax

from jaxgen.paths import cache_folder

OPTIONS = {
    "jax_persistent_cache_min_compile_time_secs": 0.1,
    "jax_compilation_cache_max_size": 256 * 2**20,
}
"""Options of JAX's cache, each of which an environment variable of its name overrides.

Reading a program takes some hundredths of a second, so caching gains nothing for programs that are compiled in less
than a tenth. JAX inspects every file when it adds one: 256 MiB are a few thousand programs, which takes it a third of a
second.
"""


def cache_compiled_programs() -> None:
    """Cache programs compiled from now on in `$XDG_CACHE_HOME/jaxgen/programs`, or `~/.cache/jaxgen/programs`.

    Nothing changes if JAX's cache is already configured by `JAX_COMPILATION_CACHE_DIR`, or disabled by
    `JAX_ENABLE_COMPILATION_CACHE`. If the folder cannot be used, one line on stderr says so, and programs are compiled
    each time.
    """
    config: Any = jax.config  # Type checkers do not know its options.
    if config.jax_compilation_cache_dir is not None or not config.jax_enable_compilation_cache:
        return
    try:
        folder = cache_folder("programs")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for option, value in OPTIONS.items():
            if option.upper() not in os.environ:
                config.update(option, value)
        # JAX writes the files by which incomplete programs are found, and locks the folder, only for a bounded size.
        if config.jax_compilation_cache_max_size != -1:
            _delete_incomplete(folder)
    except (OSError, RuntimeError) as error:
        from jaxgen.cli.output import notice

        notice(f"compiled programs are not cached for later commands: {error}")
        return
    config.update("jax_compilation_cache_dir", str(folder))
    # A file that cannot be read or written later, as on a full disk, costs one compilation, of which JAX would warn.
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache", UserWarning)


def _delete_incomplete(folder: Path) -> None:
    """Delete incomplete programs of processes that were killed, or found the disk full, while they wrote them.

    JAX writes `KEY-cache` in place, then `KEY-atime`. It would try to read an incomplete `KEY-cache` each time and
    never replace it, and without `KEY-atime` it cannot determine which programs to delete.
    """
    with filelock.FileLock(folder / ".lockfile", timeout=10):  # JAX's own lock, which it holds while it writes both.
        names = {path.name for path in folder.iterdir()}
        for name in names:
            if name.endswith("-cache") and f"{name.removesuffix('-cache')}-atime" not in names:
                (folder / name).unlink()
