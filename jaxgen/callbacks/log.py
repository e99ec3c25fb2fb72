"""What a run tells of itself: a progress bar while it trains, and its metrics as JSON lines and TensorBoard events.

`Progress` and `MetricsLog` are hooks of `fit`, called after every chunk, and context managers; `Progress.compiled` is
what `fit` tells when the compiler is done. Among the hooks the log must come before the one that saves checkpoints:
then no checkpoint is ever ahead of the log, and a run that was killed and resumed has the same lines as one that never
stopped, but for the time they took.
"""

import contextlib
import json
import math
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from jaxgen.errors import InputError
from jaxgen.training.loop import Chunk
from jaxgen.typing import Array, Shaped

SECONDS_BETWEEN_LINES = 10.0
"""Of progress, where it does not go to a terminal."""

SECONDS_BETWEEN_FLUSHES = 5.0
"""Of TensorBoard events, each of which waits for the disk."""


class Progress:
    """A bar on stderr with the losses, the speed and the time left; plain lines now and then if that is no terminal.

    When one of several runs diverges, a line says so.

    Args:
        total: turns of the whole run.
        first_step: turns that were played before.
        first_seed: of several runs with consecutive seeds, by which they are then called, not by their numbers.
        console: where to write instead.

    Example:
        >>> chunk = Chunk(50, None, {"vae/loss": np.array([8.0, 6.0])}, seconds=0.5, diverged={})
        >>> with Progress(100, first_step=48, console=Console(width=80)) as progress:
        ...     progress(chunk)  # doctest: +ELLIPSIS
        50/100  vae 7  ... steps/s  ... left
    """

    def __init__(
        self, total: int, first_step: int = 0, *, first_seed: int | None = None, console: Console | None = None
    ) -> None:
        self._total = total
        self._first = first_step
        self._first_seed = first_seed
        self._console = console or Console(stderr=True)
        self._began: float | None = None
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
        """Show where the run is."""
        for run, where in chunk.newly_diverged.items():
            self._print(f"the run with {self._name(run)} diverged: {where}; it is left out")
        now = time.perf_counter()
        if self._began is None:
            self._began = now - chunk.seconds  # Not counting the compilation before it.
        speed = (chunk.step - self._first) / max(now - self._began, 1e-9)
        note = f"{_losses(chunk)}  {speed:.3g} steps/s  {_duration((self._total - chunk.step) / speed)} left"
        self._bar.update(self._task, completed=chunk.step, description=note)
        if self._bar.disable and (now >= self._next_line or chunk.step == self._total):
            self._print(f"{chunk.step}/{self._total}  {note}")
            self._next_line = now + SECONDS_BETWEEN_LINES

    def compiled(self, seconds: float) -> None:
        """Say how long the compiler took, which counts for no speed that is shown."""
        self._bar.update(self._task, description="")
        self._print(f"compiled in {seconds:.1f} s")

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.stop()

    def _name(self, run: int) -> str:
        return f"number {run}" if self._first_seed is None else f"seed {self._first_seed + run}"

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class MetricsLog:
    """Append every chunk's metrics, averaged over its turns, to `metrics.jsonl`, and as events to `tensorboard/`.

    A line is `{"step": turns played, "seconds": time of the chunk, metric name: mean over the turns, ...}`. For several
    runs the metrics are means over those that have not diverged, and `"runs"` holds for each metric the list of what
    every run has, null where it has diverged. What is not finite is null.

    Lines after `first_step`, of turns that the resumed run plays again, are dropped on opening, and so is what a killed
    process left of its last line. TensorBoard is told to forget the same turns.

    Args:
        folder: of the run.
        first_step: turns that the run has behind it.

    Raises:
        InputError: on opening and on logging, if the disk is full or the folder cannot be written.

    Example:
        >>> import tempfile
        >>> chunk = Chunk(50, None, {"vae/loss": np.array([8.0, 6.0])}, seconds=0.5, diverged={})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with MetricsLog(folder) as log:
        ...         log(chunk)
        ...     print((Path(folder) / "metrics.jsonl").read_text().strip())
        {"step": 50, "seconds": 0.5, "vae/loss": 7.0}
    """

    def __init__(self, folder: str | Path, first_step: int = 0) -> None:
        self._path = Path(folder) / "metrics.jsonl"
        with _clear_errors(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary = self._path.with_name(".metrics.jsonl.tmp")
            temporary.write_text("".join(_lines_until(self._path, first_step)))
            temporary.replace(self._path)
            self._lines = self._path.open("a")
            self._events = _Events(self._path.parent / "tensorboard", first_step)

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __call__(self, chunk: Chunk) -> None:
        """Log one chunk."""
        entry = log_entry(chunk)
        with _clear_errors(self._path):
            self._lines.write(json.dumps(entry, allow_nan=False) + "\n")
            self._lines.flush()
            self._events.write(entry)

    def close(self) -> None:
        """Close the files."""
        with _clear_errors(self._path), contextlib.closing(self._events):
            self._lines.close()


def log_entry(chunk: Chunk) -> dict[str, Any]:
    """What one line of the log says of a chunk.

    Args:
        chunk: of one run or of several.

    Returns:
        `step`, `seconds` and the metrics, as `MetricsLog` describes them.

    Example:
        >>> losses = np.array([[4.0, 2.0], [9.0, 8.0], [1.0, np.nan]])
        >>> log_entry(Chunk(2, None, {"vae/loss": losses}, seconds=0.25, diverged={2: None}))
        {'step': 2, 'seconds': 0.25, 'vae/loss': 5.75, 'runs': {'vae/loss': [3.0, 8.5, None]}}
    """
    entry: dict[str, Any] = {"step": chunk.step, "seconds": _number(chunk.seconds, digits=4)}
    runs: dict[str, list[float | None]] = {}
    for name, values in chunk.metrics.items():
        with np.errstate(invalid="ignore"):  # inf - inf
            means = values.mean(axis=-1, dtype=np.float64)
        if means.ndim:
            runs[name] = [None if run in chunk.diverged else _number(mean) for run, mean in enumerate(means)]
            finite = [mean for mean in runs[name] if mean is not None]
            means = np.mean(finite) if finite else np.nan
        entry[name] = _number(means)
    return entry | ({"runs": runs} if runs else {})


def summarize(
    values: Shaped[Array, " runs"], *, larger_is_better: bool, left_out: Collection[int] = ()
) -> dict[str, Any]:
    """Sum up what several runs have reached.

    Args:
        values: of a metric, one a run.
        larger_is_better: whether the worst is the smallest value; of losses and distances it is the largest.
        left_out: numbers of the runs that count for nothing because they diverged.

    Returns:
        `mean`; `sd`, the sample standard deviation (divisor n - 1), None of fewer than two; `worst`; and `runs`, the
        values themselves, None for those that were left out or are not finite. All None if no run is left.

    Example:
        >>> summarize(np.array([-90.0, -92.0, np.nan]), larger_is_better=True, left_out={2})
        {'mean': -91.0, 'sd': 1.414214, 'worst': -92.0, 'runs': [-90.0, -92.0, None]}
    """
    runs = [None if run in left_out else _number(value) for run, value in enumerate(np.asarray(values, np.float64))]
    counted = [value for value in runs if value is not None]
    if not counted:
        return {"mean": None, "sd": None, "worst": None, "runs": runs}
    return {
        "mean": _number(float(np.mean(counted))),
        "sd": _number(float(np.std(counted, ddof=1))) if len(counted) > 1 else None,
        "worst": min(counted) if larger_is_better else max(counted),
        "runs": runs,
    }


class _Events:
    """The metrics of the log as TensorBoard events."""

    def __init__(self, folder: Path, first_step: int) -> None:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        folder.mkdir(exist_ok=True)
        # Not SummaryWriter: it writes from a thread which a full disk ends, and then waits for that thread forever.
        self._writer = EventsWriter(str(folder / "events"), filename_suffix=f".{first_step}")
        self._next_flush = 0.0
        if first_step:
            forget = SessionLog(status=SessionLog.START)
            self._writer.write_event(Event(wall_time=time.time(), step=first_step + 1, session_log=forget))

    def write(self, entry: Mapping[str, Any]) -> None:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import scalar

        for name, value in entry.items():
            if isinstance(value, float) and name != "seconds":
                event = Event(wall_time=time.time(), step=entry["step"], summary=scalar(name, value))
                self._writer.write_event(event)
        if time.perf_counter() >= self._next_flush:
            self._writer.flush()
            self._next_flush = time.perf_counter() + SECONDS_BETWEEN_FLUSHES

    def close(self) -> None:
        self._writer.close()


def _lines_until(path: Path, last_step: int) -> Iterator[str]:
    """The whole lines of a log that are about the first turns."""
    if not path.exists():
        return
    for line in path.read_text(errors="replace").splitlines():
        try:
            keep = json.loads(line)["step"] <= last_step
        except (ValueError, TypeError, KeyError):
            continue  # Cut in the middle.
        if keep:
            yield line + "\n"


@contextlib.contextmanager
def _clear_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"the log {path} could not be written ({error}): see that there is room and resume") from error


def _number(value: float, *, digits: int = 7) -> float | None:
    """As many digits as float32 has; None, which JSON can hold, for what is not finite."""
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None


def _losses(chunk: Chunk) -> str:
    losses = {name.removesuffix("/loss"): x for name, x in log_entry(chunk).items() if name.endswith("/loss")}
    shown = "  ".join(f"{player} {'-' if loss is None else f'{loss:.4g}'}" for player, loss in losses.items())
    return f"{shown}  ({len(chunk.diverged)} diverged)" if chunk.diverged else shown


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
