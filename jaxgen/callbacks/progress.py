"""A progress bar on stderr while a model is trained."""

import time
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar
from rich.text import Text

from jaxgen.errors import printable
from jaxgen.training.chunk import Chunk, describe_chunk, format_duration
from jaxgen.training.printed_progress import SECONDS_BETWEEN_LINES

SMALLEST_BAR, LARGEST_BAR = 4, 40
"""Widths of the bar in characters."""


class Progress:
    """A callback and context manager that shows the losses, the speed and the time left.

    On a terminal it is a bar, the number of steps, the speed and the losses, of which a narrow terminal cuts the last
    ones; elsewhere a line every few seconds. When one of several seeds diverges, a line says so.

    Args:
        total: number of steps of the whole run.
        first_step: number of steps that were completed before.
        names: what each of several seeds is called, e.g. "seed 3"; by default its number.
        console: where to write; stderr where it is None.

    Example:
        >>> import numpy as np
        >>> chunk = Chunk(50, None, {"vae/loss": np.array([8.0, 6.0])}, seconds=0.5, diverged={})
        >>> with Progress(100, first_step=48, console=Console(width=80)) as progress:
        ...     progress(chunk)  # doctest: +ELLIPSIS
        50/100  vae 7  ... step/s  ... left
    """

    def __init__(
        self, total: int, first_step: int = 0, *, names: Sequence[str] = (), console: Console | None = None
    ) -> None:
        self._total = total
        self._first = first_step
        self._names = names
        self._console = console or Console(stderr=True)
        self._start: float | None = None
        self._next_line = 0.0
        self._bar_column = BarColumn()
        columns = (self._bar_column, MofNCompleteColumn(), TextColumn("{task.description}", markup=False))
        self._bar = Bar(*columns, console=self._console, disable=not self._console.is_terminal)
        self._task = self._bar.add_task("", total=total, completed=first_step)
        self._show("compiling", first_step)

    def __enter__(self) -> "Progress":
        self._bar.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __call__(self, chunk: Chunk) -> None:
        """Show the state of the run."""
        for seed, where in chunk.newly_diverged.items():
            name = self._names[seed] if self._names else f"number {seed}"
            self._print(f"the run with {name} diverged: {where}; it is left out")
        now = time.perf_counter()
        if self._start is None:
            self._start = now - chunk.seconds  # Without the compilation before it.
        speed = (chunk.step - self._first) / max(now - self._start, 1e-9)
        left = format_duration((self._total - chunk.step) / speed)
        losses, pace = printable(describe_chunk(chunk)), f"{speed:.3g} step/s  {left} left"
        self._show(f"{pace}  {losses}", chunk.step)
        if self._bar.disable and (chunk.step == self._total or now >= self._next_line):
            self._print(f"{chunk.step}/{self._total}  {losses}  {pace}")
            self._next_line = now + SECONDS_BETWEEN_LINES

    def compiled(self, seconds: float) -> None:
        """Show how long a compilation took; it does not count in the speeds that are shown."""
        if self._start is not None:
            self._start += seconds
        self._show("")
        self._print(f"compiled in {seconds:.1f} s")

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.stop()

    def _show(self, note: str, step: int | None = None) -> None:
        """Update the bar: on a narrow terminal the end of the note is cut, and the bar and the steps remain."""
        without_bar = self._console.width - (2 * len(str(self._total)) + 1) - len("  ")
        self._bar_column.bar_width = max(SMALLEST_BAR, min(LARGEST_BAR, without_bar // 4))
        text = Text(note)
        text.truncate(max(0, without_bar - self._bar_column.bar_width), overflow="ellipsis")
        self._bar.update(self._task, completed=step, description=text.plain)

    def _print(self, line: str) -> None:
        self._console.print(printable(line), markup=False, highlight=False, soft_wrap=True)
