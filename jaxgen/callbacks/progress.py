"""A progress bar on stderr while a model is trained."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from jaxgen.training.chunk import Chunk, describe_chunk, format_duration
from jaxgen.training.loop import SECONDS_BETWEEN_LINES


class Progress:
    """A callback and context manager that shows the losses, the speed and the time left.

    On a terminal it is a bar, elsewhere a line every few seconds. When one of several seeds diverges, a line says so.

    Args:
        total: number of steps of the whole run.
        first_step: number of steps that were completed before.
        first_seed: first of several consecutive seeds, by which they are then named, not by their numbers.
        console: where to write; stderr where it is None.

    Example:
        >>> import numpy as np
        >>> chunk = Chunk(50, None, {"vae/loss": np.array([8.0, 6.0])}, seconds=0.5, diverged={})
        >>> with Progress(100, first_step=48, console=Console(width=80)) as progress:
        ...     progress(chunk)  # doctest: +ELLIPSIS
        50/100  vae 7  ... step/s  ... left
    """

    def __init__(
        self, total: int, first_step: int = 0, *, first_seed: int | None = None, console: Console | None = None
    ) -> None:
        self._total = total
        self._first = first_step
        self._first_seed = first_seed
        self._console = console or Console(stderr=True)
        self._start: float | None = None
        self._next_line = 0.0
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
        self._bar = Bar(*columns, console=self._console, disable=not self._console.is_terminal)
        self._task = self._bar.add_task("compiling", total=total, completed=first_step)

    def __enter__(self) -> "Progress":
        self._bar.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __call__(self, chunk: Chunk) -> None:
        """Show the state of the run."""
        for seed, where in chunk.newly_diverged.items():
            self._print(f"the run with {self._name(seed)} diverged: {where}; it is left out")
        now = time.perf_counter()
        if self._start is None:
            self._start = now - chunk.seconds  # Without the compilation before it.
        speed = (chunk.step - self._first) / max(now - self._start, 1e-9)
        left = format_duration((self._total - chunk.step) / speed)
        note = f"{describe_chunk(chunk)}  {speed:.3g} step/s  {left} left"
        self._bar.update(self._task, completed=chunk.step, description=note)
        if self._bar.disable and (chunk.step == self._total or now >= self._next_line):
            self._print(f"{chunk.step}/{self._total}  {note}")
            self._next_line = now + SECONDS_BETWEEN_LINES

    def compiled(self, seconds: float) -> None:
        """Show how long a compilation took; it does not count in the speeds that are shown."""
        if self._start is not None:
            self._start += seconds
        self._bar.update(self._task, description="")
        self._print(f"compiled in {seconds:.1f} s")

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.stop()

    def _name(self, seed: int) -> str:
        return f"number {seed}" if self._first_seed is None else f"seed {self._first_seed + seed}"

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)
