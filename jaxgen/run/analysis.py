"""Every figure and number of the laboratory that applies to a run, in one folder, with a page that shows them."""

from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxgen.errors import InputError
from jaxgen.files import write_whole
from jaxgen.run import analysis_codes, analysis_discriminator, analysis_samples, analysis_training
from jaxgen.run.evaluation import LARGER_IS_BETTER
from jaxgen.run.files import make_folder, write_json
from jaxgen.run.findings import Inapplicable, Picture, Section, Subject, Topic, subject_of
from jaxgen.run.page import write_page
from jaxgen.run.trained import Run
from jaxgen.training.log import summarize

PAGE = "index.html"
"""Name of the page in the folder."""

TOPICS: dict[str, Topic] = {
    "Samples": analysis_samples.samples,
    "On the test split": analysis_samples.evaluation,
    "Losses": analysis_training.losses,
    "Quality of samples over training": analysis_training.quality,
    "Loss and quality": analysis_training.loss_and_quality,
    "Pictures over training": analysis_training.films,
    "The game on the line": analysis_discriminator.line_over_training,
    "The best discriminator": analysis_discriminator.optimum,
    "Slope of the discriminator": analysis_discriminator.slope,
    "Norms of the layers": analysis_discriminator.norms,
    "Birthday test": analysis_samples.birthday,
    "Codes and prior": analysis_codes.posterior,
    "Samples through a mixture": analysis_codes.density,
    "Interpolation": analysis_codes.interpolation,
    "Arithmetic by class": analysis_codes.class_arithmetic,
    "Coordinates of the code": analysis_codes.coordinates,
    "The plane of codes": analysis_codes.manifold,
    "Transfer of style": analysis_codes.styles,
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


def analyze_run(run: Run, *, folder: str | Path | None = None, seed: int = 0, data_dir: str | None = None) -> Analysis:
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
    sections: dict[str, tuple[Picture, ...]] = {}
    numbers: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    for heading, topic in TOPICS.items():
        try:
            section = topic(subject)
        except (Inapplicable, InputError) as reason:
            left_out[heading] = str(reason)
            continue
        sections[heading] = tuple(section.pictures)
        numbers |= _summed_up(subject, section)
        for picture in section.pictures:
            write_whole(folder / picture.name, picture.content)
    figures = {heading: [picture.name for picture in pictures] for heading, pictures in sections.items()}
    title = f"{run.family} on {run.settings.data}, step {run.step}"
    write_json(
        folder / "analysis.json",
        {"run": title, "seed": seed, "numbers": numbers, "figures": figures, "left_out": left_out},
    )
    write_whole(folder / PAGE, write_page(title, sections, numbers, left_out).encode())
    return Analysis(folder / PAGE, numbers, left_out)


def _summed_up(subject: Subject, section: Section) -> dict[str, Any]:
    """Each number over the seeds, or alone."""
    seeds = subject.run.settings.seeds
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
