"""Figures as files; equal figures give equal bytes."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, Union

import numpy as np

from jaxgen._signatures import checked
from jaxgen.atomic_write import open_atomic
from jaxgen.errors import InputError
from jaxgen.paths import expand_path
from jaxgen.typing import UInt8

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Drawing: TypeAlias = Union["Figure", UInt8[np.ndarray, "height width *channels"]]
"""A matplotlib figure; or pixels, uint8 `[height, width]` in grey or `[height, width, 3]` in colour."""

FORMATS: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None},
    "svg": {"Date": None},
}
"""File format (the suffix without the dot) -> metadata entries that matplotlib omits."""

LARGEST_EMBEDDED = 2**22
"""Largest number of pixels in a PDF or SVG file, for which matplotlib needs a hundred times the memory of a PNG."""

PIXELS_PER_INCH = 100
"""Resolution of pixels in PDF and SVG files."""


@checked
def render(figure: Drawing, file_format: str) -> bytes:
    """Render a figure as the content of a file, without the date and other content that differs between runs.

    Args:
        figure: figure, rendered at its own resolution, or pixels.
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
    _check_format(file_format)
    content = io.BytesIO()
    _write(figure, content, file_format)
    return content.getvalue()


@checked
def save(figure: Drawing, path: str | Path) -> None:
    """Write a figure to a file whose name ends in .png, .pdf or .svg.

    The write is atomic: an error leaves the previous file unchanged.

    Args:
        figure: figure or pixels to write.
        path: path of the file.

    Raises:
        InputError: if the file format is unknown, the disk is full, or the folder is not writable.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(np.zeros((8, 8), np.uint8), Path(folder) / "black.png")
        ...     (Path(folder) / "black.png").exists()
        True
    """
    path = expand_path(path)
    file_format = path.suffix.removeprefix(".")
    _check_format(file_format)
    with open_atomic(path) as file:
        _write(figure, file, file_format)


def _check_format(file_format: str) -> None:
    if file_format not in FORMATS:
        raise InputError(f"the file format of a figure must be one of {', '.join(FORMATS)}, got '{file_format}'")


def _write(figure: Drawing, file: BinaryIO, file_format: str) -> None:
    if isinstance(figure, np.ndarray):
        if file_format == "png":  # By Pillow: matplotlib needs a hundred times the memory of the pixels.
            from PIL import Image

            Image.fromarray(figure).save(file, "PNG")
            return
        figure = _figure_of(figure)
    import matplotlib

    # The identifiers in an SVG file are hashes with a random salt by default.
    with matplotlib.rc_context({"svg.hashsalt": "jaxgen"}):
        figure.savefig(file, format=file_format, dpi=figure.dpi, metadata=FORMATS[file_format])


def _figure_of(pixels: UInt8[np.ndarray, "height width *channels"]) -> "Figure":
    """A figure of these pixels alone."""
    from matplotlib.figure import Figure

    height, width = pixels.shape[:2]
    if height * width > LARGEST_EMBEDDED:
        raise InputError(
            f"a figure of images must be a .png file where it has more than {LARGEST_EMBEDDED:,} pixels, and this one "
            f"has {height * width:,}"
        )
    figure = Figure(figsize=(width / PIXELS_PER_INCH, height / PIXELS_PER_INCH), dpi=PIXELS_PER_INCH)
    figure.figimage(pixels, cmap="gray", vmin=0, vmax=255)
    return figure
