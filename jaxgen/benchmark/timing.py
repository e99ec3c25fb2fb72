"""Timing in interleaved repeats, so that other load on the machine affects all sides alike."""

import statistics
import time
from collections.abc import Mapping
from typing import NamedTuple, Protocol


class Side(Protocol):
    """Something to time.

    Attributes:
        steps: number of steps in one repeat.
    """

    steps: int

    def run(self) -> None:
        """Run these steps and return when they are complete."""


class Times(NamedTuple):
    """Measured times of one side.

    Attributes:
        milliseconds: milliseconds per step, one number per repeat.
    """

    milliseconds: list[float]

    @property
    def median(self) -> float:
        """Median over the repeats, in milliseconds per step."""
        return statistics.median(self.milliseconds)

    @property
    def spread(self) -> float:
        """Half the distance between the quartiles, divided by the median."""
        lower, _, upper = statistics.quantiles(self.milliseconds, n=4)
        return (upper - lower) / 2 / self.median


def interleaved(sides: Mapping[str, Side], *, repeats: int) -> dict[str, Times]:
    """Time all sides alternately: one repeat of each, over and over.

    Args:
        sides: name -> side.
        repeats: number of timed repeats. One more is run before them to warm up and is not timed.

    Returns:
        Name -> times.
    """
    milliseconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats + 1):
        for name, side in sides.items():
            started = time.perf_counter()
            side.run()
            milliseconds[name].append((time.perf_counter() - started) / side.steps * 1e3)
    return {name: Times(values[1:]) for name, values in milliseconds.items()}
