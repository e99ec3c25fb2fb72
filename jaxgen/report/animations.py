"""Section "Animations": the figures that were drawn during training, as animated GIFs."""

import re
from pathlib import Path

import numpy as np

from jaxgen import plot
from jaxgen.report.section import FigureFile, NotApplicable, ReportInput, Section, gif, png
from jaxgen.typing import UInt8

MAX_FRAMES = 40
"""Largest number of frames in an animation."""

SIDE_BY_SIDE = 5
"""Number of figures of points in a row."""

KINDS = {
    "samples": "Samples",
    "reconstructions": "Examples and their reconstructions",
    "latents": "Latents of examples",
    "gan_1d": "Densities, discriminator and generator of the 1-D GAN",
}
"""Kind of figure, as in its file name -> what it shows."""


def animations(inputs: ReportInput) -> Section:
    """Animate every kind of figure that was drawn at several steps of the training."""
    drawn = _drawn(inputs.run.folder / "samples")
    if not drawn:
        raise NotApplicable("the run has no figures of more than one step")
    figures = []
    for kind, paths in drawn.items():
        caption = (
            f"{KINDS.get(kind, kind)} from the first to the last figure of the training, always for the same latents "
            "and examples: all changes are due to training. They should become small; samples that alternate between "
            "modes without end indicate mode collapse of a GAN (Metz et al. 2017, arXiv:1611.02163, figure 2)."
        )
        figures.append(gif(f"{kind}_over_training", [_pixels(path) for path in _spaced(paths, MAX_FRAMES)], caption))
    if not inputs.has_images and "samples" in drawn:
        figures.append(_row(drawn["samples"]))
    return Section(figures)


def _drawn(folder: Path) -> dict[str, list[Path]]:
    """Kind of figure -> files in the order of their steps, all of the size of the last one."""
    kinds: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("step-*.png")):
        if match := re.fullmatch(r"step-\d+-(\w+)\.png", path.name):
            kinds.setdefault(match[1], []).append(path)
    alike = {kind: [path for path in paths if _size(path) == _size(paths[-1])] for kind, paths in kinds.items()}
    return {kind: paths for kind, paths in alike.items() if len(paths) > 1}


def _row(paths: list[Path]) -> FigureFile:
    """Some figures of points side by side, at half their size."""
    chosen = _spaced(paths, SIDE_BY_SIDE)
    small = np.stack([_pixels(path, shrink=2) for path in chosen])
    steps = ", ".join(str(int(path.name.split("-")[1])) for path in chosen)
    caption = (
        f"Samples (red) over the data (grey) at steps {steps}, from left to right. At the end every mode of the data "
        "should have its share of samples, and there should be none between the modes (Metz et al. 2017, "
        "arXiv:1611.02163, figure 2)."
    )
    return png("samples_at_steps", plot.image_grid(small, columns=len(small)), caption)


def _spaced(paths: list[Path], most: int) -> list[Path]:
    """At most so many files, evenly spaced, with the first and the last."""
    chosen = np.unique(np.linspace(0, len(paths) - 1, most).round().astype(int))
    return [paths[i] for i in chosen]


def _size(path: Path) -> tuple[int, int]:
    from PIL import Image

    with Image.open(path) as image:
        return image.size


def _pixels(path: Path, *, shrink: int = 1) -> UInt8[np.ndarray, "height width 3"]:
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").reduce(shrink))
