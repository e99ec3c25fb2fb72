"""A process of its own for each side, in which its memory can be told from that of everything else."""

import multiprocessing
import resource
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from machine import available_cores

SAMPLE = 10_000
"""Numbers of a result that are compared: all, or so many of them, evenly spaced."""


class FirstCall(NamedTuple):
    """What the first call shows.

    Attributes:
        result: the numbers to compare.
        seconds: that it took.
        memory: bytes that it added to the process at most.
        process_memory: bytes of the whole process at its peak, from its start.
    """

    result: np.ndarray
    seconds: float
    memory: float
    process_memory: int


class Worker:
    """One side of one comparison at one size, in a fresh process."""

    def __init__(self, comparison: str, size: int, side: str, **options: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, comparison, size, side, options), daemon=True)
        self._process.start()
        theirs.close()

    def first_call(self) -> FirstCall:
        """Make the inputs, and compute for the first time."""
        return self._ask(1)

    def seconds(self, calls: int) -> float:
        """Compute so many times, and say how long that took."""
        return self._ask(calls)

    def stop(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.join(timeout=10)
        self._process.kill()

    def _ask(self, calls: int) -> Any:
        self._connection.send(calls)
        return self._connection.recv()


def _work(connection: Connection, name: str, size: int, side: str, options: dict[str, int]) -> None:
    """What the process does: the first call, which is measured, then as many as are asked for, which are timed."""
    from peers import COMPARISONS

    torch.set_num_threads(available_cores())
    comparison = next(comparison for comparison in COMPARISONS if comparison.name == name)
    call = comparison.sides[side](*comparison.inputs(size, **options))
    try:
        connection.recv()
        before = _reset_peak()
        started = time.perf_counter()
        result = call()
        seconds = time.perf_counter() - started
        memory = _status("VmHWM") - before
        process_memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        connection.send(FirstCall(_numbers(result), seconds, memory, process_memory))
        while True:
            calls = connection.recv()
            started = time.perf_counter()
            for _ in range(calls):
                call()
            connection.send(time.perf_counter() - started)
    except EOFError:  # Nobody asks any more.
        return


def _numbers(result: Any) -> np.ndarray:
    """The numbers of a result, or some of them."""
    parts = result if isinstance(result, tuple) else (result,)
    numbers = np.concatenate([np.asarray(part, np.float64).ravel() for part in parts])
    return numbers[:: max(1, len(numbers) // SAMPLE)]


def _reset_peak() -> float:
    """Let the largest size of this process be its present one, and say what that is."""
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        clear.write_text("5")
    return _status("VmRSS")


def _status(field: str) -> float:
    """Bytes of this process as Linux counts them; NaN elsewhere."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((float(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:")), float("nan"))
