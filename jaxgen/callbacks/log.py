"""The metrics of a run as JSON lines and as TensorBoard events."""

import contextlib
import json
import socket
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxgen.errors import InputError
from jaxgen.paths import expand_path
from jaxgen.regular_files import open_regular
from jaxgen.training.chunk import Chunk, mean_over_seeds, mean_over_steps
from jaxgen.training.seeds import rounded

if TYPE_CHECKING:
    from tensorboardX.proto.event_pb2 import Event

LONGEST_LINE = 16 * 2**20
"""Largest number of bytes in a line; no training writes longer ones."""


class MetricsLog:
    """A callback and context manager that appends every chunk's metrics to `metrics.jsonl` and to `tensorboard/`.

    A line is `{"step": completed steps, "seconds": time of the chunk, metric name: mean over its steps, ...}`. For
    several seeds the metrics are means over those that have not diverged, and `"seeds"` holds for each metric the list
    of the seeds' values, null where a seed has diverged. What is not finite is null; what was not computed in any step
    of the chunk is left out.

    When the log is opened, lines after `first_step`, which a resumed run computes again, are dropped, and so are
    incomplete ones, such as the last line of a killed process. The events are written anew from the lines that are
    kept, so that they are the same points.

    Args:
        folder: folder of the run.
        first_step: number of steps that the run has completed.
        several_seeds: whether to log the seeds one by one as well.

    Attributes:
        recomputed: number of lines that were dropped because their steps are computed again.
        incomplete: number of lines that were dropped because they are incomplete or damaged.

    Raises:
        InputError: on opening and on logging, if the disk is full or the folder cannot be written; on logging, if the
            file was removed or changed by others since.

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
        self._path = expand_path(folder) / "metrics.jsonl"
        self._several_seeds = several_seeds
        with _clear_errors(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            kept, self.recomputed, self.incomplete = _lines_until(self._path, first_step)
            # Before the log: a process that is killed in between leaves no event without its line.
            self._events = _Events(self._path.parent / "tensorboard", kept)
            temporary = self._path.with_name(".metrics.jsonl.tmp")
            temporary.write_text("".join(kept))
            temporary.replace(self._path)
            self._lines = self._path.open("a")

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __call__(self, chunk: Chunk) -> None:
        """Log one chunk."""
        entry = log_entry(chunk, several_seeds=self._several_seeds)
        with _clear_errors(self._path):
            if not self._path.is_file() or self._path.stat().st_size != self._lines.tell():
                raise InputError(
                    f"{self._path} was removed or changed while the run was training, which ends after step "
                    f"{chunk.step - chunk.steps}: leave the files of a run to it"
                )
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
    """The metrics of the log as TensorBoard events, in one file that replaces those of earlier sessions."""

    def __init__(self, folder: Path, lines: Sequence[str]) -> None:
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        folder.mkdir(exist_ok=True)
        for path in folder.glob("events.out.tfevents.*"):
            path.unlink()
        # Not a writer of tensorboardX, which waits for the disk at every flush; some also write from a thread which a
        # full disk ends, and then wait for that thread forever.
        self._file = (folder / f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}").open("wb")
        self._append(Event(wall_time=time.time(), file_version="brain.Event:2"))
        # A TensorBoard that has read the earlier file discards all of it.
        self._append(Event(wall_time=time.time(), step=0, session_log=SessionLog(status=SessionLog.START)))
        entries = [json.loads(line) for line in lines]
        # On TensorBoard's axis of time, earlier steps lie as far back as they took.
        now = time.time() - sum(_seconds(entry) for entry in entries)
        for entry in entries:
            now += _seconds(entry)
            self._write(entry, now)
        self._file.flush()

    def write(self, entry: Mapping[str, Any]) -> None:
        self._write(entry, time.time())
        self._file.flush()  # As the log: a process that is killed has written the events of all its lines.

    def _write(self, entry: Mapping[str, Any], wall_time: float) -> None:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import scalar

        for name, value in entry.items():
            if isinstance(value, float) and name != "seconds":
                self._append(Event(wall_time=wall_time, step=entry["step"], summary=scalar(name, value)))

    def _append(self, event: "Event") -> None:
        """Write a record of TensorFlow: length, checksum, content, checksum."""
        from tensorboardX.record_writer import masked_crc32c

        content = event.SerializeToString()
        for part, kind in ((struct.pack("<Q", len(content)), "<8sI"), (content, f"<{len(content)}sI")):
            self._file.write(struct.pack(kind, part, masked_crc32c(part)))

    def close(self) -> None:
        self._file.close()


def _seconds(entry: Mapping[str, Any]) -> float:
    seconds = entry.get("seconds")
    return float(seconds) if isinstance(seconds, int | float) and 0 <= seconds < 1e9 else 0.0


def _lines_until(path: Path, last_step: int) -> tuple[list[str], int, int]:
    """The complete lines of a log up to a step, the number of those after it, and that of incomplete ones."""
    kept: list[str] = []
    later = incomplete = 0
    if not path.exists():
        return kept, later, incomplete
    with open_regular(path) as file:
        while line := file.readline(LONGEST_LINE):
            try:
                step = json.loads(line)["step"]
                if type(step) is not int:
                    raise TypeError
            except (ValueError, TypeError, KeyError, RecursionError):
                incomplete += 1
                continue
            if step <= last_step:
                kept.append(line.decode().rstrip("\n") + "\n")
            else:
                later += 1
    return kept, later, incomplete


@contextlib.contextmanager
def _clear_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"the log {path} could not be written ({error}): make sure that the disk has space, and resume the run"
        ) from error
