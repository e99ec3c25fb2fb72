"""Section "Latent traversals": decoded latents in which one coordinate changes at a time."""

import jax.numpy as jnp
import numpy as np
from scipy.special import ndtr

from jaxgen import plot
from jaxgen.analysis import traversals
from jaxgen.report.run_functions import decode, label_note, prior_latents
from jaxgen.report.section import NO_DECODER, ReportInput, Section, offered, png, require_images
from jaxgen.typing import Float

COORDINATES = 10
"""Largest number of coordinates that are shown."""

STEPS = 9
"""Number of values of each coordinate."""

LIMIT = 3.0
"""Largest absolute value of a coordinate; for a prior that is not normal the quantile of the same probability."""

DRAWS = 100_000
"""Number of draws from which that quantile is estimated."""


def latent_traversals(inputs: ReportInput) -> Section:
    """Decode latents in which one coordinate changes, for the coordinates with the largest effect or variance."""
    require_images(inputs)
    run = inputs.shown_run
    offered(run.model.decode, NO_DECODER)
    if run.model.encode is None:
        return _of_drawn_latent(inputs)
    latents = run.encode(inputs.test_examples)
    chosen = np.argsort(-np.asarray(latents).var(axis=0), kind="stable")[:COORDINATES]
    values = np.linspace(-LIMIT, LIMIT, STEPS)
    paths = traversals(latents[0], chosen.tolist(), values)
    label = inputs.test_examples["label"][0] if "label" in run.model.conditions else None
    rows = {
        f"z{coordinate}": decode(run, path, label) for coordinate, path in zip(chosen, np.asarray(paths), strict=True)
    }
    caption = (
        f"One coordinate of the latent of a test example at a time takes values from {-LIMIT:g} to {LIMIT:g}; the "
        "coordinates in which the latents of examples have the largest variance come first. A row that does not change "
        "is a coordinate that the model does not use, as is usual for many coordinates of a VAE; where coordinates are "
        "disentangled, each row changes one factor of variation (Higgins et al. 2017, beta-VAE)."
    )
    return Section([png("traversals", plot.image_rows(rows, columns=_names(values)), caption)])


def _of_drawn_latent(inputs: ReportInput) -> Section:
    """The same for a latent from the prior, over the range of the prior."""
    run = inputs.shown_run
    [start] = prior_latents(run, inputs.key, 1)
    draws = prior_latents(run, inputs.key, DRAWS // len(start))
    # This number of draws determines the quantile to one decimal: 3 for a normal prior, 1 for a uniform one.
    limit = round(float(np.quantile(np.abs(draws), ndtr(LIMIT) - ndtr(-LIMIT))), 1)
    values = np.linspace(-limit, limit, STEPS)
    paths = traversals(start, range(len(start)), values)
    images = decode(run, jnp.reshape(paths, (-1, len(start))), 0)
    images = images.reshape(*paths.shape[:2], *images.shape[1:])
    chosen = np.argsort(-images.var(axis=1).sum(axis=(1, 2, 3)), kind="stable")[:COORDINATES]
    caption = (
        f"One coordinate of a latent from the prior at a time takes values from {-limit:g} to {limit:g}; the "
        f"coordinates with the largest effect on the image come first.{label_note(run)} The training does not require "
        "that they are disentangled: a row may change several factors of variation, and where there are many "
        "coordinates each may change little (Chen et al. 2016, arXiv:1606.03657, section 1)."
    )
    rows = {f"z{coordinate}": images[coordinate] for coordinate in chosen}
    return Section([png("traversals", plot.image_rows(rows, columns=_names(values)), caption)])


def _names(values: Float[np.ndarray, " n"]) -> list[str]:
    return [f"{value:.3g}" for value in values]
