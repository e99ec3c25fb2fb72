"""Section "Animations": the figures that were drawn during training, as animated GIFs."""

import numpy as np

from jaxgen import plot
from jaxgen.report.section import FigureFile, NotApplicable, ReportInput, Section, gif, png
from jaxgen.runs.drawn_figures import Frames, drawn_figures, evenly_spaced

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


def animations(inputs: ReportInput) -> Section:
    """Animate every kind of figure that was drawn at several steps of the training."""
    drawn, unread = drawn_figures(inputs.run.folder)
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


def _row(frames: Frames) -> FigureFile:
    """Some figures of points side by side, at half their size."""
    from PIL import Image

    chosen = evenly_spaced(sorted(frames), SIDE_BY_SIDE)
    small = np.stack([np.asarray(Image.fromarray(frames[step]).reduce(2)) for step in chosen])
    caption = (
        f"Samples (red) over the data (grey) at steps {', '.join(map(str, chosen))}, from left to right. At the end "
        "every mode of the data should have its share of samples, and there should be none between the modes (Metz et "
        "al. 2017, arXiv:1611.02163, figure 2)."
    )
    return png("samples_at_steps", plot.image_grid(small, columns=len(small)), caption)
