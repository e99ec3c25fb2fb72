"""Losses and speed of a training, printed line by line."""

import sys
import time

from jaxgen.training.chunk import Chunk, describe_chunk, format_duration

SECONDS_BETWEEN_LINES = 10.0
"""Of progress, where it is printed line by line."""


class PrintedProgress:
    """A callback that prints the losses and the speed every few seconds.

    Args:
        first_step: number of steps that were complete before the training.
        steps: number of steps in all.
    """

    def __init__(self, first_step: int, steps: int) -> None:
        self.first_step, self.steps = first_step, steps
        self.seconds, self.next_line = 0.0, 0.0

    def __call__(self, chunk: Chunk) -> None:
        """Print a line, if it is due."""
        self.seconds += chunk.seconds
        if chunk.step == self.steps or time.perf_counter() >= self.next_line:
            speed = (chunk.step - self.first_step) / max(self.seconds, 1e-9)
            left = format_duration((self.steps - chunk.step) / speed)
            print(
                f"{chunk.step}/{self.steps}  {describe_chunk(chunk)}  {speed:.3g} step/s  {left} left", file=sys.stderr
            )
            self.next_line = time.perf_counter() + SECONDS_BETWEEN_LINES
