"""Reading of `metrics.jsonl`, the log of a run, which may be incomplete or edited."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jaxgen.regular_files import read_regular

LARGEST_LOG = 2**28
"""Largest size of a log in bytes that is read whole."""

MAX_LAST_BYTES = 2**20
"""Bytes at the end of a log among which the last line is looked for."""


def read_log(folder: Path) -> list[dict[str, Any]]:
    r"""Return the complete lines of the log of a run.

    Args:
        folder: folder of the run.

    Returns:
        The lines that are JSON objects with an integer `step`, in their order; others are left out, such as the
        incomplete last one of a run that is in progress or was killed. None if there is no regular file.

    Raises:
        InputError: if the log is larger than `LARGEST_LOG`.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = (Path(folder) / "metrics.jsonl").write_text('{"step": 100, "vae/loss": 7.0}\n{"step": 2')
        ...     read_log(Path(folder))
        [{'step': 100, 'vae/loss': 7.0}]
    """
    path = folder / "metrics.jsonl"
    if not path.is_file():  # A pipe would never end.
        return []
    return list(_entries(read_regular(path, largest=LARGEST_LOG)))


def last_entry(folder: Path) -> dict[str, Any] | None:
    r"""Return the last complete line of the log of a run; a log of many lines is not read whole.

    Args:
        folder: folder of the run.

    Returns:
        The line, or None if there is none.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = (Path(folder) / "metrics.jsonl").write_text('{"step": 100}\n{"step": 200}\n')
        ...     last_entry(Path(folder))
        {'step': 200}
    """
    path = folder / "metrics.jsonl"
    if not path.is_file():
        return None
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - MAX_LAST_BYTES))
        entries = list(_entries(file.read(MAX_LAST_BYTES)))
    return entries[-1] if entries else None


def _entries(content: bytes) -> Iterator[dict[str, Any]]:
    for line in content.decode(errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        step = entry.get("step") if isinstance(entry, dict) else None
        if type(step) is int and 0 <= step < 2**53:
            yield entry
