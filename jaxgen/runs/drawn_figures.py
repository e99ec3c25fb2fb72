"""The figures that were drawn during the training of a run, as the frames of animations."""

import math
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from jaxgen.batch_checks import LARGEST_PIXELS
from jaxgen.regular_files import regular_size
from jaxgen.typing import UInt8

Value = TypeVar("Value")

MAX_FRAMES = 40
"""Largest number of frames in an animation."""

LARGEST_FILE = 2**27
"""Largest number of bytes of a figure that is read."""

LARGEST_FRAME = 2**20
"""Number of pixels of a frame above which it is shrunk: all frames are in memory."""

Frames = dict[int, UInt8[np.ndarray, "height width 3"]]
"""Step -> figure."""


def drawn_figures(run_folder: Path) -> tuple[dict[str, Frames], list[str]]:
    """Read the figures of a run that were drawn at several steps of its training, evenly spaced ones if there are many.

    Args:
        run_folder: folder of the run.

    Returns:
        Kind of figure, as in the names of the files -> its figures, all of the size of the last one; and why files
        could not be read.

    Example:
        >>> drawn_figures(Path("absent"))
        ({}, [])
    """
    from PIL import Image

    kinds: dict[str, list[Path]] = {}
    for path in sorted((run_folder / "samples").glob("step-*.png")):
        if match := re.fullmatch(r"step-\d{1,12}-(\w{1,40})\.png", path.name):
            kinds.setdefault(match[1], []).append(path)
    unread: list[str] = []
    drawn: dict[str, Frames] = {}
    for kind, paths in kinds.items():
        frames: Frames = {}
        for path in evenly_spaced(paths, MAX_FRAMES):
            try:
                frames[int(path.name.split("-")[1])] = _pixels(path)
            except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
                # Pillow raises a SyntaxError for some damaged files.
                unread.append(f"{path.name} ({error})")
        alike = {step: frame for step, frame in frames.items() if frame.shape == frames[max(frames)].shape}
        if len(alike) > 1:
            drawn[kind] = alike
    return drawn, unread


def evenly_spaced(values: Sequence[Value], most: int) -> list[Value]:
    """Return at most so many values, evenly spaced, with the first and the last.

    Example:
        >>> evenly_spaced(range(10), 4)
        [0, 3, 6, 9]
    """
    chosen = np.unique(np.linspace(0, len(values) - 1, most).round().astype(int))
    return [values[i] for i in chosen]


def _pixels(path: Path) -> UInt8[np.ndarray, "height width 3"]:
    """The pixels of a figure, shrunk by a whole factor if there are many.

    Raises:
        ValueError: if the file is not one that jaxgen has written; its type and its size are checked before it is read.
        OSError: if it is damaged.
    """
    from PIL import Image

    size = regular_size(path, follow_links=False)
    if size is None:
        raise ValueError("it is not a regular file")
    if size > LARGEST_FILE:
        raise ValueError(f"it has {size:,} bytes, and at most {LARGEST_FILE:,} are read")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # The number of pixels is checked below.
        with Image.open(path, formats=["PNG"]) as image:
            pixels = image.width * image.height
            if pixels > LARGEST_PIXELS:
                raise ValueError(f"it has {pixels:,} pixels, and at most {LARGEST_PIXELS:,} are read")
            shrink = math.ceil(math.sqrt(pixels / LARGEST_FRAME))
            return np.asarray(image.convert("RGB").reduce(shrink))
