"""Reading of `metrics.jsonl`, the log of a run, which may be incomplete or edited."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

MAX_LAST_BYTES = 2**20
"""Bytes at the end of a log among which the last line is looked for."""


def read_log(folder: Path) -> list[dict[str, Any]]:
    r"""Return the complete lines of the log of a run.

    Args:
        folder: folder of the run.

    Returns:
        The lines that are JSON objects with an integer `step`, in their order; others are left out, such as the
        incomplete last one of a run that is in progress or was killed.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = (Path(folder) / "metrics.jsonl").write_text('{"step": 100, "vae/loss": 7.0}\n{"step": 2')
        ...     read_log(Path(folder))
        [{'step': 100, 'vae/loss': 7.0}]
    """
    path = folder / "metrics.jsonl"
    return list(_entries(path.read_text(errors="replace"))) if path.is_file() else []


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
        entries = list(_entries(file.read(MAX_LAST_BYTES).decode(errors="replace")))
    return entries[-1] if entries else None


def _entries(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, Mapping) and type(entry.get("step")) is int:
            yield dict(entry)
