"""Timing in interleaved repeats: whatever else the machine does, it does to all sides alike."""

import statistics
import time
from collections.abc import Mapping
from typing import NamedTuple, Protocol


class Side(Protocol):
    """Something to time.

    Attributes:
        turns: that it plays in one repeat.
    """

    turns: int

    def play(self) -> None:
        """Play these turns, and return when they are over."""


class Times(NamedTuple):
    """What was measured of one side.

    Attributes:
        milliseconds: a turn, one number per repeat.
    """

    milliseconds: list[float]

    @property
    def median(self) -> float:
        """Of the repeats, milliseconds a turn."""
        return statistics.median(self.milliseconds)

    @property
    def spread(self) -> float:
        """Half the distance between the quartiles, as a share of the median."""
        lower, _, upper = statistics.quantiles(self.milliseconds, n=4)
        return (upper - lower) / 2 / self.median


def interleaved(sides: Mapping[str, Side], *, repeats: int) -> dict[str, Times]:
    """Let all sides take turns: one repeat of each, over and over.

    Args:
        sides: name -> side.
        repeats: that count; one more, the first, warms up and does not.

    Returns:
        Name -> times.
    """
    milliseconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats + 1):
        for name, side in sides.items():
            started = time.perf_counter()
            side.play()
            milliseconds[name].append((time.perf_counter() - started) / side.turns * 1e3)
    return {name: Times(values[1:]) for name, values in milliseconds.items()}
