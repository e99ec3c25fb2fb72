"""The metrics of a run as JSON lines and as TensorBoard events."""

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from jaxgen.errors import InputError
from jaxgen.training.chunk import Chunk, mean_over_seeds, mean_over_steps
from jaxgen.training.seeds import rounded

SECONDS_BETWEEN_FLUSHES = 5.0
"""Of TensorBoard events, each flush of which waits for the disk."""


class MetricsLog:
    """A callback and context manager that appends every chunk's metrics to `metrics.jsonl` and to `tensorboard/`.

    A line is `{"step": completed steps, "seconds": time of the chunk, metric name: mean over its steps, ...}`. For
    several seeds the metrics are means over those that have not diverged, and `"seeds"` holds for each metric the list
    of the seeds' values, null where a seed has diverged. What is not finite is null; what was not computed in any step
    of the chunk is left out.

    When the log is opened, lines after `first_step`, which a resumed run computes again, are dropped, and so is an
    incomplete last line that a killed process left. TensorBoard discards the same steps.

    Args:
        folder: folder of the run.
        first_step: number of steps that the run has completed.
        several_seeds: whether to log the seeds one by one as well.

    Raises:
        InputError: on opening and on logging, if the disk is full or the folder cannot be written.

    Example:
        >>> import tempfile
        >>> chunk = Chunk(50, None, {"vae/loss": np.array([[8.0, 6.0]])}, seconds=0.5, diverged={})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with MetricsLog(folder) as log:
        ...         log(chunk)
        ...     print((Path(folder) / "metrics.jsonl").read_text().strip())
        {"step": 50, "seconds": 0.5, "vae/loss": 7.0}
    """

    def __init__(self, folder: str | Path, first_step: int = 0, *, several_seeds: bool = False) -> None:
        self._path = Path(folder) / "metrics.jsonl"
        self._several_seeds = several_seeds
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
        entry = log_entry(chunk, several_seeds=self._several_seeds)
        with _clear_errors(self._path):
            self._lines.write(json.dumps(entry, allow_nan=False) + "\n")
            self._lines.flush()
            self._events.write(entry)

    def close(self) -> None:
        """Close the files."""
        with _clear_errors(self._path), contextlib.closing(self._events):
            self._lines.close()


def log_entry(chunk: Chunk, *, several_seeds: bool) -> dict[str, Any]:
    """Return the line of the log for a chunk.

    Args:
        chunk: chunk of one seed or of several.
        several_seeds: whether to include the seeds one by one.

    Returns:
        `step`, `seconds` and the metrics, as `MetricsLog` describes them.

    Example:
        >>> losses = np.array([[4.0, 2.0], [9.0, 8.0], [1.0, np.nan]])
        >>> log_entry(Chunk(2, None, {"vae/loss": losses}, seconds=0.25, diverged={2: None}), several_seeds=True)
        {'step': 2, 'seconds': 0.25, 'vae/loss': 5.75, 'seeds': {'vae/loss': [3.0, 8.5, None]}}
    """
    computed = {name: x for name, x in chunk.metrics.items() if not np.ma.getmaskarray(x).all()}
    entry: dict[str, Any] = {"step": chunk.step, "seconds": rounded(chunk.seconds, digits=4)}
    entry |= {name: mean_over_seeds(values, chunk.diverged) for name, values in computed.items()}
    if several_seeds:
        entry["seeds"] = {name: mean_over_steps(values, chunk.diverged) for name, values in computed.items()}
    return entry


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
    """The complete lines of a log up to a step."""
    if not path.exists():
        return
    for line in path.read_text(errors="replace").splitlines():
        try:
            keep = json.loads(line)["step"] <= last_step
        except (ValueError, TypeError, KeyError):
            continue  # Incomplete.
        if keep:
            yield line + "\n"


@contextlib.contextmanager
def _clear_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"the log {path} could not be written ({error}): make sure that the disk has space, and resume the run"
        ) from error
