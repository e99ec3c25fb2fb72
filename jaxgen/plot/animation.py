"""Animations of figures as GIF and MP4 files; equal figures give equal bytes of a GIF."""

import io
import math
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxgen._signatures import checked
from jaxgen.atomic_write import open_atomic, write_atomic
from jaxgen.errors import InputError
from jaxgen.paths import expand_path
from jaxgen.plot.figure_files import Drawing, render

if TYPE_CHECKING:
    from PIL.Image import Image

LAST_FRAME_FACTOR = 10
"""Duration of the last frame in units of the duration of the other frames, unless the animation is a loop."""


@checked
def render_animation(frames: Sequence[Drawing], *, seconds: float = 0.1, loop: bool = False) -> bytes:
    """Render figures as the content of an animated GIF file that is repeated forever.

    Args:
        frames: figures or pixels, as `plot.save` takes them, all of the same size.
        seconds: duration of a frame in seconds, with a resolution of 0.01.
        loop: whether the first frame follows the last one; otherwise the last one lasts ten times as long.

    Returns:
        Content of the file.

    Raises:
        InputError: if there are no frames, the frames differ in size, or the duration is shorter than 0.01 seconds.

    Example:
        >>> from matplotlib.figure import Figure
        >>> render_animation([Figure(figsize=(1, 1)), Figure(figsize=(1, 1), facecolor="red")])[:6]
        b'GIF89a'
    """
    from PIL import Image

    images = [image.quantize(256, dither=Image.Dither.NONE) for image in _images(frames, seconds)]
    duration = round(1000 * seconds)
    durations = [duration] * (len(images) - 1) + [duration if loop else LAST_FRAME_FACTOR * duration]
    content = io.BytesIO()
    images[0].save(content, "GIF", save_all=True, append_images=images[1:], duration=durations, loop=0)
    return content.getvalue()


@checked
def animate(frames: Sequence[Drawing], path: str | Path, *, seconds: float = 0.1, loop: bool = False) -> None:
    """Write figures to an animated GIF file, or to an MP4 file where ffmpeg is installed.

    The write is atomic: an error leaves the previous file unchanged.

    Args:
        frames: figures or pixels, as `plot.save` takes them, all of the same size.
        path: path of the file, which must end in .gif or .mp4.
        seconds: duration of a frame in seconds, with a resolution of 0.01.
        loop: whether the first frame follows the last one; otherwise the last one of a GIF lasts ten times as long.

    Raises:
        InputError: if the path does not end in .gif or .mp4, there are no frames, the frames differ in size, the
            duration is shorter than 0.01 seconds, the disk is full, the folder is not writable, or the path ends in
            .mp4 and ffmpeg is not installed.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     animate([np.zeros((8, 8, 3), np.uint8), np.ones((8, 8, 3), np.uint8)], Path(folder) / "a.gif")
        ...     (Path(folder) / "a.gif").read_bytes()[:6]
        b'GIF89a'
    """
    path = expand_path(path)
    if path.suffix == ".mp4":
        _encode(find_ffmpeg(), _images(frames, seconds), path, seconds)
    elif path.suffix == ".gif":
        write_atomic(path, render_animation(frames, seconds=seconds, loop=loop))
    else:
        raise InputError(f"the name of an animation must end in .gif or .mp4, got '{path.name}'")


def find_ffmpeg() -> str:
    """Return the path of the program ffmpeg: that of imageio-ffmpeg, or one that is installed on the machine.

    Returns:
        The path.

    Raises:
        InputError: if there is none; the message says how to install it.
    """
    try:
        from imageio_ffmpeg import get_ffmpeg_exe

        return str(get_ffmpeg_exe())
    except (ImportError, RuntimeError):  # RuntimeError: the package has no program for this machine.
        if found := shutil.which("ffmpeg"):
            return found
    raise InputError("an .mp4 file needs ffmpeg: run pip install 'jaxgen[video]', or give a name that ends in .gif")


def _images(frames: Sequence[Drawing], seconds: float) -> "list[Image]":
    """The frames as RGB images, after a check of their sizes and their duration."""
    if not 0.01 <= seconds < math.inf:
        raise InputError(f"seconds must be finite and at least 0.01, got {seconds:g}")
    images = [_image(frame) for frame in frames]
    if not images or len(sizes := {image.size for image in images}) > 1:
        raise InputError(f"frames must be figures or images of one size, got {sorted(sizes) if images else 'none'}")
    return images


def _image(frame: Drawing) -> "Image":
    from PIL import Image

    if isinstance(frame, np.ndarray):
        return Image.fromarray(frame).convert("RGB")
    return Image.open(io.BytesIO(render(frame, "png"))).convert("RGB")


def _encode(ffmpeg: str, images: "Sequence[Image]", path: Path, seconds: float) -> None:
    """Write images to an MP4 file by ffmpeg, which receives their pixels through a pipe."""
    width, height = images[0].size
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", f"{1 / seconds:g}", "-i", "-"]
    # The common players need an even number of rows and columns, and this format of pixels.
    even = ["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2:color=white", "-pix_fmt", "yuv420p"]
    with open_atomic(path) as file, tempfile.TemporaryFile() as errors:
        command = [ffmpeg, "-loglevel", "error", *source, *even, "-fflags", "+bitexact", "-f", "mp4", "-y", file.name]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors) as process:
            _feed(process, (image.tobytes() for image in images))
        if process.returncode:
            errors.seek(0)
            lines = errors.read().decode(errors="replace").splitlines() or [f"status {process.returncode}"]
            raise InputError(f"{path} could not be written by {ffmpeg}: {lines[-1]}")


def _feed(process: "subprocess.Popen[bytes]", contents: Iterable[bytes]) -> None:
    """Write to the standard input of a process, which may end before it has read all."""
    assert process.stdin is not None
    try:
        for content in contents:
            process.stdin.write(content)
        process.stdin.close()
    except BrokenPipeError:
        pass
