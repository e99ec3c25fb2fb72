"""Animated GIFs of figures; equal figures give equal bytes."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxgen.atomic_write import write_atomic
from jaxgen.errors import InputError
from jaxgen.plot.figure_files import render
from jaxgen.typing import UInt8

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image

    Frame = Figure | UInt8[np.ndarray, "height width 3"]

LAST_FRAME_FACTOR = 10
"""Duration of the last frame in units of the duration of the other frames."""


def render_animation(frames: "Sequence[Frame]", *, seconds: float = 0.1) -> bytes:
    """Render figures as the content of an animated GIF file that loops forever.

    Args:
        frames: figures, or images as uint8 arrays with three channels, all of the same size.
        seconds: duration of a frame in seconds, with a resolution of 0.01; the last frame lasts ten times as long.

    Returns:
        Content of the file.

    Raises:
        InputError: if there are no frames, the frames differ in size, or the duration is shorter than 0.01 seconds.

    Example:
        >>> from matplotlib.figure import Figure
        >>> render_animation([Figure(figsize=(1, 1)), Figure(figsize=(1, 1), facecolor="red")])[:6]
        b'GIF89a'
    """
    if seconds < 0.01:
        raise InputError(f"seconds must be at least 0.01, got {seconds:g}")
    images = [_image(frame) for frame in frames]
    if not images or len(sizes := {image.size for image in images}) > 1:
        raise InputError(f"frames must be figures or images of one size, got {sorted(sizes) if images else 'none'}")
    duration = round(1000 * seconds)
    durations = [duration] * (len(images) - 1) + [LAST_FRAME_FACTOR * duration]
    content = io.BytesIO()
    images[0].save(content, "GIF", save_all=True, append_images=images[1:], duration=durations, loop=0)
    return content.getvalue()


def animate(frames: "Sequence[Frame]", path: str | Path, *, seconds: float = 0.1) -> None:
    """Write figures to an animated GIF file.

    The write is atomic: an error leaves the previous file unchanged.

    Args:
        frames: figures, or images as uint8 arrays with three channels, all of the same size.
        path: path of the file, which must end in .gif.
        seconds: duration of a frame in seconds, with a resolution of 0.01; the last frame lasts ten times as long.

    Raises:
        InputError: if the path does not end in .gif, there are no frames, the frames differ in size, the duration is
            shorter than 0.01 seconds, the disk is full, or the folder is not writable.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     animate([np.zeros((8, 8, 3), np.uint8), np.ones((8, 8, 3), np.uint8)], Path(folder) / "a.gif")
        ...     (Path(folder) / "a.gif").read_bytes()[:6]
        b'GIF89a'
    """
    if Path(path).suffix != ".gif":
        raise InputError(f"the name of an animation must end in .gif, got '{Path(path).name}'")
    write_atomic(Path(path), render_animation(frames, seconds=seconds))


def _image(frame: "Frame") -> "Image":
    """Image of the frame with at most 256 colours, without dithering."""
    from PIL import Image

    if isinstance(frame, np.ndarray):
        image = Image.fromarray(frame)
    else:
        image = Image.open(io.BytesIO(render(frame, "png"))).convert("RGB")
    return image.quantize(256, dither=Image.Dither.NONE)
