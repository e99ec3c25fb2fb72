"""Figures as files: the same figure is always the same bytes."""

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
"""Format, which is the ending of a file's name without the dot -> what matplotlib is to leave out of it."""


def render(figure: "Figure", kind: str) -> bytes:
    """Draw a figure as the content of a file, without the date or whatever else would differ between two runs.

    Args:
        figure: to draw, at its own resolution.
        kind: one of `FORMATS`.

    Returns:
        The content.

    Raises:
        InputError: if there is no such format.

    Example:
        >>> from matplotlib.figure import Figure
        >>> render(Figure(figsize=(1, 1)), "png")[1:4]
        b'PNG'
    """
    if kind not in FORMATS:
        raise InputError(f"there is no format '{kind}' for pictures: known are {', '.join(FORMATS)}")
    import matplotlib

    content = io.BytesIO()
    # The names of what an SVG file defines and uses are hashes, salted at random if nothing is said.
    with matplotlib.rc_context({"svg.hashsalt": "jaxgen"}):
        figure.savefig(content, format=kind, dpi=figure.dpi, metadata=FORMATS[kind])
    return content.getvalue()


def save(figure: "Figure", path: str | Path) -> None:
    """Write a figure to a file whose name ends in .png, .pdf or .svg.

    The file is there whole, or as it was before, or not at all.

    Args:
        figure: to draw.
        path: of the file.

    Raises:
        InputError: if the name ends otherwise, the disk is full or the folder cannot be written.

    Example:
        >>> import tempfile
        >>> from matplotlib.figure import Figure
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(Figure(figsize=(1, 1)), Path(folder) / "empty.png")
        ...     (Path(folder) / "empty.png").exists()
        True
    """
    write_atomic(Path(path), render(figure, Path(path).suffix.removeprefix(".")))
