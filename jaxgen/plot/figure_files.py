"""Figures as files; equal figures give equal bytes."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxgen.atomic_write import write_atomic
from jaxgen.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None},
    "svg": {"Date": None},
}
"""File format (the suffix without the dot) -> metadata entries that matplotlib omits."""


def render(figure: "Figure", file_format: str) -> bytes:
    """Render a figure as the content of a file, without the date and other content that differs between runs.

    Args:
        figure: figure, rendered at its own resolution.
        file_format: a key of `FORMATS`.

    Returns:
        Content of the file.

    Raises:
        InputError: if the format is unknown.

    Example:
        >>> from matplotlib.figure import Figure
        >>> render(Figure(figsize=(1, 1)), "png")[1:4]
        b'PNG'
    """
    if file_format not in FORMATS:
        raise InputError(f"the file format of a figure must be one of {', '.join(FORMATS)}, got '{file_format}'")
    import matplotlib

    content = io.BytesIO()
    # The identifiers in an SVG file are hashes with a random salt by default.
    with matplotlib.rc_context({"svg.hashsalt": "jaxgen"}):
        figure.savefig(content, format=file_format, dpi=figure.dpi, metadata=FORMATS[file_format])
    return content.getvalue()


def save(figure: "Figure", path: str | Path) -> None:
    """Write a figure to a file whose name ends in .png, .pdf or .svg.

    The write is atomic: an error leaves the previous file unchanged.

    Args:
        figure: figure to write.
        path: path of the file.

    Raises:
        InputError: if the file format is unknown, the disk is full, or the folder is not writable.

    Example:
        >>> import tempfile
        >>> from matplotlib.figure import Figure
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(Figure(figsize=(1, 1)), Path(folder) / "empty.png")
        ...     (Path(folder) / "empty.png").exists()
        True
    """
    write_atomic(Path(path), render(figure, Path(path).suffix.removeprefix(".")))
