"""Figures one after the other, as an animated GIF: the same figures are always the same bytes."""

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

LINGER = 10
"""Times that the last frame is shown as long as the others, before all begins anew."""


def render_animation(frames: "Sequence[Frame]", *, seconds: float = 0.1) -> bytes:
    """Draw figures as the content of a GIF file, which repeats for ever.

    Args:
        frames: figures, or pictures as uint8 arrays of three channels, all of one size.
        seconds: that a frame is shown, in whole hundredths; the last one is shown ten times as long.

    Returns:
        The content.

    Raises:
        InputError: if there are no frames, they differ in size, or the time is shorter than files can say.

    Example:
        >>> from matplotlib.figure import Figure
        >>> render_animation([Figure(figsize=(1, 1)), Figure(figsize=(1, 1), facecolor="red")])[:6]
        b'GIF89a'
    """
    if seconds < 0.01:
        raise InputError(f"a frame is shown for at least 0.01 seconds, got {seconds:g}")
    images = [_image(frame) for frame in frames]
    if not images or len(sizes := {image.size for image in images}) > 1:
        raise InputError(f"an animation has frames, all of one size, got {sorted(sizes) if images else 'none'}")
    duration = round(1000 * seconds)
    durations = [duration] * (len(images) - 1) + [LINGER * duration]
    content = io.BytesIO()
    images[0].save(content, "GIF", save_all=True, append_images=images[1:], duration=durations, loop=0)
    return content.getvalue()


def animate(frames: "Sequence[Frame]", path: str | Path, *, seconds: float = 0.1) -> None:
    """Write figures to an animated GIF file.

    The file is there whole, or as it was before, or not at all.

    Args:
        frames: figures, or pictures as uint8 arrays of three channels, all of one size.
        path: of the file, which ends in .gif.
        seconds: that a frame is shown, in whole hundredths; the last one is shown ten times as long.

    Raises:
        InputError: if the name ends otherwise, there are no frames, they differ in size, the disk is full or the folder
            cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     animate([np.zeros((8, 8, 3), np.uint8), np.ones((8, 8, 3), np.uint8)], Path(folder) / "a.gif")
        ...     (Path(folder) / "a.gif").read_bytes()[:6]
        b'GIF89a'
    """
    if Path(path).suffix != ".gif":
        raise InputError(f"an animation's name ends in .gif, got '{Path(path).name}'")
    write_atomic(Path(path), render_animation(frames, seconds=seconds))


def _image(frame: "Frame") -> "Image":
    """The frame in at most 256 colours, without the noise of dithering."""
    from PIL import Image

    if isinstance(frame, np.ndarray):
        image = Image.fromarray(frame)
    else:
        image = Image.open(io.BytesIO(render(frame, "png"))).convert("RGB")
    return image.quantize(256, dither=Image.Dither.NONE)
