"""The memory that operations free and need again, which a process of the command line keeps."""

import os
import sys

TRIM_THRESHOLD, MMAP_MAX, ARENA_MAX = -1, -4, -8
"""Numbers of options of `mallopt`, from the header `malloc.h` of glibc."""

LARGEST_FREE = 2**30
"""Number of free bytes from which memory is returned to the system all the same."""


def keep_freed_memory() -> bool:
    """Let this process keep memory that it frees, for the arrays of the next operation, where its C library is glibc.

    By default, glibc returns large arrays to the system when they are freed. XLA allocates the arrays of many
    operations on the CPU each time that they run, so that the system clears the same pages in every step: steps of
    `stylegan2-32` took 1.4 times as long on one core of an EPYC. Options of glibc in the user's environment have
    precedence.

    The function has its full effect before threads allocate memory: call it before JAX computes.

    Returns:
        Whether memory is kept.

    Reference:
        mallopt(3) of the Linux manual: M_MMAP_MAX, M_TRIM_THRESHOLD and M_ARENA_MAX.

    Example:
        >>> kept = keep_freed_memory()
    """
    of_user = any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ)
    if of_user or not sys.platform.startswith("linux"):
        return False
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # Other C libraries have none, or one without effect.
    options = ((ARENA_MAX, 1), (TRIM_THRESHOLD, LARGEST_FREE), (MMAP_MAX, 0))
    return mallopt is not None and all(mallopt(*option) for option in options)
