"""Process of its own for each side of a comparison, so that its memory can be measured alone."""

import multiprocessing
import resource
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from jaxgen.benchmark.machine import available_cores

SAMPLE = 10_000
"""Largest number of values of a result that are compared, evenly spaced."""


class FirstCall(NamedTuple):
    """Measurements of the first call.

    Attributes:
        result: values to compare.
        seconds: duration.
        memory: largest increase of the process during the call, in bytes.
        process_memory: peak of the process since its start, in bytes.
    """

    result: np.ndarray
    seconds: float
    memory: float
    process_memory: int


class Worker:
    """One side of one comparison at one size, in a new process."""

    def __init__(self, comparison: str, size: int, side: str, **options: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, comparison, size, side, options), daemon=True)
        self._process.start()
        theirs.close()

    def first_call(self) -> FirstCall:
        """Make the inputs and compute for the first time."""
        return self._request(1)

    def seconds(self, calls: int) -> float:
        """Compute `calls` times and return the duration."""
        return self._request(calls)

    def stop(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.join(timeout=10)
        self._process.kill()

    def _request(self, calls: int) -> Any:
        self._connection.send(calls)
        return self._connection.recv()


def _work(connection: Connection, name: str, size: int, side: str, options: dict[str, int]) -> None:
    """Run the process: measure the first call, then time as many calls as each request names."""
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
    except EOFError:  # The parent has closed the connection.
        return


def _numbers(result: Any) -> np.ndarray:
    """Return the values of a result that are compared."""
    parts = result if isinstance(result, tuple) else (result,)
    numbers = np.concatenate([np.asarray(part, np.float64).ravel() for part in parts])
    return numbers[:: max(1, len(numbers) // SAMPLE)]


def _reset_peak() -> float:
    """Reset the peak memory of this process to its present memory, and return that."""
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        clear.write_text("5")
    return _status("VmRSS")


def _status(field: str) -> float:
    """Return a field of the memory of this process in bytes, as Linux counts it; NaN on other systems."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((float(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:")), float("nan"))
