"""Memory: what arrays need, what the device has, and one sentence where it is too little."""

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path

import jax

from jaxgen.errors import InputError
from jaxgen.typing import PyTree

UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")

CONTROL_GROUPS = Path("/sys/fs/cgroup")
"""Where the kernel shows the control groups, of version 1 in subfolders by controllers."""

OWN_GROUPS = Path("/proc/self/cgroup")
"""File with the control groups of this process."""


def bytes_of(tree: PyTree) -> int:
    """Return the number of bytes of all arrays of a pytree, or of their shapes.

    Args:
        tree: pytree of arrays or of `jax.ShapeDtypeStruct`.

    Returns:
        Number of bytes.

    Example:
        >>> bytes_of({"a": jax.ShapeDtypeStruct((10**9, 100), jax.numpy.float32)})
        400000000000
    """
    return sum(math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(tree))


def planned_bytes(program: jax.stages.Compiled) -> int | None:
    """Return the bytes that the compiler has planned for a program: arguments, results and what is between.

    Args:
        program: compiled program.

    Returns:
        Number of bytes, without results in the place of arguments twice; None where the compiler does not say.

    Example:
        >>> ones = jax.numpy.ones(1000)
        >>> planned_bytes(jax.jit(lambda x: x + 1).lower(ones).compile())
        8000
    """
    plan = program.memory_analysis()
    if not plan:
        return None
    needed: int = plan.argument_size_in_bytes + plan.output_size_in_bytes + plan.temp_size_in_bytes
    return needed - plan.alias_size_in_bytes


def available_bytes(device: jax.Device | None = None) -> int | None:
    """Return the memory of a device: its own, or for a CPU that of the machine, within the limits of this process.

    Args:
        device: device; the first local one where it is None.

    Returns:
        Number of bytes, whether or not they are in use; None where it is not known.

    Example:
        >>> available_bytes(jax.local_devices()[0]) > 2**20
        True
    """
    device = jax.local_devices()[0] if device is None else device
    if device.platform != "cpu":
        return (device.memory_stats() or {}).get("bytes_limit")
    return host_bytes()


def host_bytes() -> int | None:
    """Return the memory of the machine, within the limits of this process.

    Returns:
        Number of bytes, whether or not they are in use; None where it is not known.

    Example:
        >>> host_bytes() > 2**20
        True
    """
    return min([*_physical_memory(), *_limits()], default=None)


def check_memory(what: str, needed: int, advice: str, device: jax.Device | None = None) -> None:
    """Check that a device has as much memory as something needs, before it is allocated.

    Args:
        what: what needs the memory, for the message.
        needed: number of bytes that it needs at least.
        advice: what to do if there is less, for the message.
        device: device; the first local one where it is None.

    Raises:
        InputError: if the device has less.

    Example:
        >>> check_memory("them", 2**60, "use fewer seeds")
        Traceback (most recent call last):
            ...
        jaxgen.errors.InputError: the memory of the device must be at least 1 EiB for them, got ...: use fewer seeds
    """
    _check("device", available_bytes(device), what, needed, advice)


def check_host_memory(what: str, needed: int, advice: str) -> None:
    """Check that the machine has as much memory as something needs, before it is allocated.

    Args:
        what: what needs the memory, for the message.
        needed: number of bytes that it needs at least.
        advice: what to do if there is less, for the message.

    Raises:
        InputError: if the machine has less.

    Example:
        >>> check_host_memory("them", 2**60, "use fewer examples")
        Traceback (most recent call last):
            ...
        jaxgen.errors.InputError: the memory of the machine must be at least 1 EiB for them, got ...: use fewer examples
    """
    _check("machine", host_bytes(), what, needed, advice)


@contextlib.contextmanager
def memory_errors(advice: str) -> Iterator[None]:
    """Raise an InputError where an allocation fails, as a context or as the decorator of a function.

    Args:
        advice: what to do, for the message.

    Yields:
        Nothing.

    Example:
        >>> with memory_errors("give fewer samples"):
        ...     raise MemoryError("unable to allocate 8 TiB")
        Traceback (most recent call last):
            ...
        jaxgen.errors.InputError: the device has too little memory: give fewer samples (unable to allocate 8 TiB)
    """
    try:
        yield
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        if not _is_memory_error(error):
            raise
        reason = str(error).partition("\n")[0]
        raise InputError(f"the device has too little memory: {advice} ({reason})") from error


def _check(where: str, available: int | None, what: str, needed: int, advice: str) -> None:
    """Refuse what needs more memory than there is."""
    if available is not None and needed > available:
        raise InputError(
            f"the memory of the {where} must be at least {format_bytes(needed)} for {what}, got "
            f"{format_bytes(available)}: {advice}"
        )


def _is_memory_error(error: BaseException) -> bool:
    """Return whether an allocation has failed, of Python or of XLA."""
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)


def format_bytes(size: int) -> str:
    """Return a number of bytes with a unit.

    Example:
        >>> format_bytes(1000), format_bytes(3 * 2**29)
        ('1000 bytes', '1.5 GiB')
    """
    power = min(max(size.bit_length() - 1, 0) // 10, len(UNITS) - 1)
    return f"{size / 2 ** (10 * power):.4g} {UNITS[power]}"


def _physical_memory() -> list[int]:
    """The memory of the machine, where it is known."""
    try:
        return [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (AttributeError, OSError, ValueError):  # Not on Windows.
        return []


def _limits(root: Path = CONTROL_GROUPS, own: Path = OWN_GROUPS) -> Iterator[int]:
    """The limits of the control groups of this process, in which containers and batch systems run it."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = [line.split(":", 2) for line in own.read_text().splitlines()]
        for _, controllers, path in lines:
            if controllers not in ("", "memory") and "memory" not in controllers.split(","):
                continue
            base, name = (root, "memory.max") if not controllers else (root / "memory", "memory.limit_in_bytes")
            place = base / path.lstrip("/")
            for folder in [place, *place.parents]:
                if folder.is_relative_to(base):
                    yield from _limit(folder / name)


def _limit(file: Path) -> Iterator[int]:
    """The limit in a file; none if there is no such file, or it contains "max"."""
    with contextlib.suppress(OSError, ValueError):
        yield int(file.read_text())
