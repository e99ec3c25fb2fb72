"""Section "Aggregate posterior and prior": distribution of the latents of examples compared with the prior."""

from typing import TYPE_CHECKING

import numpy as np

from jaxgen.analysis import aggregate_posterior_mmd
from jaxgen.report.latents_by_class import encoded_examples, latent_keys, principal_plane
from jaxgen.report.run_functions import prior_latents
from jaxgen.report.section import NO_ENCODER, NotApplicable, ReportInput, Section, offered, png, require_finite
from jaxgen.typing import Float

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def posterior(inputs: ReportInput) -> Section:
    """Compare one draw from q(z|x) for each test example with draws from the prior."""
    offered(inputs.run.model.encode, NO_ENCODER)
    offered(inputs.run.model.sample_latent, "the model has no prior of its latents")
    _, prior_key, mmd_key = latent_keys(inputs)
    encoded = [encoded_examples(inputs, run) for run in inputs.runs]
    if len(encoded[0]) < 2:
        raise NotApplicable("the test split has a single example, and a distribution is compared by at least two")
    for latents in encoded:
        require_finite(latents, "latents of the examples")
    prior = prior_latents(inputs.shown_run, prior_key, len(encoded[0]))
    distances = [float(aggregate_posterior_mmd(mmd_key, of_seed)) for of_seed in encoded]
    shown = encoded[inputs.shown]
    plane = principal_plane(np.asarray(shown))
    caption = (
        f"Latents of {len(encoded[0])} test examples over draws from the prior N(0, I), in the plane in which the "
        "latents of examples have the largest variance. The two should overlap: where there are no latents of examples "
        "the decoder is not trained, and where there are none of the prior no samples are drawn. A plain autoencoder "
        "is not trained to match the prior. Where the encoder gives a distribution q(z|x), the latent of an example is "
        "one draw from it, since the draws and not their means should follow the prior (Kingma and Welling 2014, "
        "arXiv:1312.6114). latents_prior_mmd is the squared MMD with the kernel of Tolstikhin et al. 2018, "
        "arXiv:1711.01558."
    )
    figure = _figure(plane(shown), plane(prior))
    return Section([png("latents_and_prior", figure, caption)], {"latents_prior_mmd": distances})


def _figure(encoded: Float[np.ndarray, "n 2"], prior: Float[np.ndarray, "n 2"]) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), dpi=120, layout="constrained")
    axes = figure.add_subplot(aspect="equal", adjustable="datalim")
    for points, colour, name in ((prior, "0.6", "prior"), (encoded, "tab:blue", "latents")):
        axes.scatter(points[:, 0], points[:, 1], s=5, alpha=0.6, linewidths=0, color=colour, label=name)
    axes.legend(loc="upper right", markerscale=4)
    return figure
