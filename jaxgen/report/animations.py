"""Section "Animations": the figures that were drawn during training, as animated GIFs."""

import math
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from jaxgen import plot
from jaxgen.batch_checks import LARGEST_PIXELS
from jaxgen.regular_files import regular_size
from jaxgen.report.section import FigureFile, NotApplicable, ReportInput, Section, gif, png
from jaxgen.typing import UInt8

Value = TypeVar("Value")

MAX_FRAMES = 40
"""Largest number of frames in an animation."""

SIDE_BY_SIDE = 5
"""Number of figures of points in a row."""

KINDS = {
    "samples": "Samples",
    "reconstructions": "Examples and their reconstructions",
    "style_transfer": "Examples in the styles of others",
    "latents": "Latents of examples",
    "gan_1d": "Densities, discriminator and generator of the 1-D GAN",
}
"""Kind of figure, as in its file name -> what it shows."""


LARGEST_FILE = 2**27
"""Largest number of bytes of a figure that is read."""

LARGEST_FRAME = 2**20
"""Number of pixels of a frame above which it is shrunk: all frames are in memory."""


def animations(inputs: ReportInput) -> Section:
    """Animate every kind of figure that was drawn at several steps of the training."""
    drawn, unread = _drawn(inputs.run.folder / "samples")
    if not drawn:
        reason = "the run has no figures of more than one step"
        raise NotApplicable(f"{reason} that can be read: {unread[0]}" if unread else reason)
    note = f" Left out: {'; '.join(unread)}." if unread else ""
    figures = []
    for kind, frames in drawn.items():
        caption = (
            f"{KINDS.get(kind, kind)} from the first to the last figure of the training, always for the same latents "
            "and examples: all changes are due to training. They should become small; samples that alternate between "
            f"modes without end indicate mode collapse of a GAN (Metz et al. 2017, arXiv:1611.02163, figure 2).{note}"
        )
        figures.append(gif(f"{kind}_over_training", list(frames.values()), caption))
    if not inputs.has_images and "samples" in drawn:
        figures.append(_row(drawn["samples"]))
    return Section(figures)


Frames = dict[int, UInt8[np.ndarray, "height width 3"]]
"""Step -> figure."""


def _drawn(folder: Path) -> tuple[dict[str, Frames], list[str]]:
    """Kind of figure -> its figures, all of the size of the last one; and why files could not be read."""
    from PIL import Image

    kinds: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("step-*.png")):
        if match := re.fullmatch(r"step-\d{1,12}-(\w{1,40})\.png", path.name):
            kinds.setdefault(match[1], []).append(path)
    unread: list[str] = []
    drawn: dict[str, Frames] = {}
    for kind, paths in kinds.items():
        frames: Frames = {}
        for path in _spaced(paths, MAX_FRAMES):
            try:
                frames[int(path.name.split("-")[1])] = _pixels(path)
            except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
                # Pillow raises a SyntaxError for some damaged files.
                unread.append(f"{path.name} ({error})")
        alike = {step: frame for step, frame in frames.items() if frame.shape == frames[max(frames)].shape}
        if len(alike) > 1:
            drawn[kind] = alike
    return drawn, unread


def _row(frames: Frames) -> FigureFile:
    """Some figures of points side by side, at half their size."""
    from PIL import Image

    chosen = _spaced(sorted(frames), SIDE_BY_SIDE)
    small = np.stack([np.asarray(Image.fromarray(frames[step]).reduce(2)) for step in chosen])
    caption = (
        f"Samples (red) over the data (grey) at steps {', '.join(map(str, chosen))}, from left to right. At the end "
        "every mode of the data should have its share of samples, and there should be none between the modes (Metz et "
        "al. 2017, arXiv:1611.02163, figure 2)."
    )
    return png("samples_at_steps", plot.image_grid(small, columns=len(small)), caption)


def _spaced(values: Sequence[Value], most: int) -> list[Value]:
    """At most so many values, evenly spaced, with the first and the last."""
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
