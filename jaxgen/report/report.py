"""Every figure and number of the laboratory that applies to a run, in one folder, with a page that shows them."""

from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxgen.atomic_write import write_atomic
from jaxgen.callbacks.log import summarize
from jaxgen.errors import InputError
from jaxgen.report.html import write_html
from jaxgen.report.section import FigureFile, NotApplicable, ReportInput, Section, Topic, subject_of
from jaxgen.report import discriminator, latents, samples, training
from jaxgen.runs.evaluation import LARGER_IS_BETTER
from jaxgen.runs.loading import Run
from jaxgen.runs.outputs import make_folder, write_json

PAGE = "index.html"
"""Name of the page in the folder."""

TOPICS: dict[str, Topic] = {
    "Samples": samples.samples,
    "On the test split": samples.evaluation,
    "Losses": training.losses,
    "Quality of samples over training": training.quality,
    "Loss and quality": training.loss_and_quality,
    "Pictures over training": training.films,
    "The game on the line": discriminator.line_over_training,
    "The best discriminator": discriminator.optimum,
    "Slope of the discriminator": discriminator.slope,
    "Norms of the layers": discriminator.norms,
    "Birthday test": samples.birthday,
    "Codes and prior": latents.posterior,
    "Samples through a mixture": latents.density,
    "Interpolation": latents.interpolation,
    "Arithmetic by class": latents.class_arithmetic,
    "Coordinates of the code": latents.coordinates,
    "The plane of codes": latents.manifold,
    "Transfer of style": latents.styles,
}
"""Heading -> what is found out under it, in the order of the page."""

BEST_IF_LARGE = LARGER_IS_BETTER | {"rank_correlation", "support", "support_at_least", "value"}
"""Numbers of which the worst seed has the smallest value."""


class Analysis(NamedTuple):
    """What was found, and where it is.

    Attributes:
        page: the HTML file.
        numbers: name -> number, None where it is not finite; for a run of several seeds what `summarize` makes of them.
        left_out: heading of a topic -> why there is nothing under it: it does not apply, or cannot be had.
    """

    page: Path
    numbers: dict[str, Any]
    left_out: dict[str, str]


def write_report(run: Run, *, folder: str | Path | None = None, seed: int = 0, data_dir: str | None = None) -> Analysis:
    """Make every figure and number that applies to a run.

    The same run and seed give the same files. The page is written last.

    Args:
        run: to be analyzed; of several seeds, numbers are those of all that have not diverged, and pictures of the
            first of them.
        folder: where everything goes, `analysis` in the run folder where nothing is given: `index.html`,
            `analysis.json` and the figures.
        seed: of all draws.
        data_dir: where data sets are kept, if not where they were at the time of the training.

    Returns:
        An `Analysis`.

    Raises:
        InputError: if the folder cannot be written, or the data cannot be loaded or have changed.
    """
    folder = run.folder / "analysis" if folder is None else Path(folder)
    make_folder(folder)
    subject = subject_of(run, seed=seed, data_dir=data_dir)
    sections: dict[str, tuple[FigureFile, ...]] = {}
    numbers: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    for heading, topic in TOPICS.items():
        try:
            section = topic(subject)
        except (NotApplicable, InputError) as reason:
            left_out[heading] = str(reason)
            continue
        sections[heading] = tuple(section.images)
        numbers |= _summed_up(subject, section)
        for image in section.images:
            write_atomic(folder / image.name, image.content)
    figures = {heading: [image.name for image in images] for heading, images in sections.items()}
    title = f"{run.family} on {run.config.data}, step {run.step}"
    write_json(
        folder / "analysis.json",
        {"run": title, "seed": seed, "numbers": numbers, "figures": figures, "left_out": left_out},
    )
    write_atomic(folder / PAGE, write_html(title, sections, numbers, left_out).encode())
    return Analysis(folder / PAGE, numbers, left_out)


def _summed_up(subject: ReportInput, section: Section) -> dict[str, Any]:
    """Each number over the seeds, or alone."""
    seeds = subject.run.config.seeds
    if seeds is None:
        return {name: float(of[0]) if np.isfinite(of[0]) else None for name, of in section.numbers.items()}
    found = {}
    for name, of in section.numbers.items():
        every = np.full(seeds, np.nan)
        every[subject.sound] = of
        found[name] = summarize(
            jnp.asarray(every), larger_is_better=name in BEST_IF_LARGE, left_out=subject.run.diverged
        )
        if np.isinf(every).any():  # As a support beyond reach is: then there is no mean.
            found[name] |= {"mean": None, "sd": None}
    return found
