"""Section "Latent manifold": decoded latents over the whole plane of a two-dimensional prior."""

import numpy as np
from scipy.special import ndtr

from jaxgen import plot
from jaxgen.analysis import manifold_grid
from jaxgen.report.run_functions import decode, label_note, prior_latents
from jaxgen.report.section import NO_DECODER, NotApplicable, ReportInput, Section, offered, png, require_images

SIDE = 20
"""Number of rows and columns of the grid."""

DRAWS = 100_000
"""Number of draws from which the quantiles of the prior are estimated."""


def manifold(inputs: ReportInput) -> Section:
    """Decode a grid of latents, each of which represents the same probability of the prior."""
    require_images(inputs)
    run = inputs.shown_run
    offered(run.model.decode, NO_DECODER)
    if prior_latents(run, inputs.key, 1).shape[1] != 2:
        raise NotApplicable("the latents are not two-dimensional")
    draws = np.asarray(prior_latents(run, inputs.key, DRAWS))
    # The grid has the quantiles of a normal prior; these are those of the prior of the model.
    levels = ndtr(manifold_grid(SIDE))
    latents = np.stack([np.quantile(of, level) for of, level in zip(draws.T, levels.T, strict=True)], axis=1)
    caption = (
        "Decoded latents of the whole plane, each of which represents the same probability of the "
        f"prior.{label_note(run)} Neighbours should be similar, and all kinds of examples should occur (Kingma and "
        "Welling 2014, arXiv:1312.6114, figure 4)."
    )
    return Section([png("manifold", plot.image_grid(decode(run, latents, 0), columns=SIDE), caption)])
