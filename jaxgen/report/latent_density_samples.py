"""Section "Samples from a fitted latent density": a mixture of Gaussians in place of the prior."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxgen import plot
from jaxgen.analysis import fit_latent_density
from jaxgen.callbacks.image_grid import layout
from jaxgen.callbacks.sample_metrics import COMPARED
from jaxgen.divergences import sliced_wasserstein
from jaxgen.report.run_functions import decode, preprocessed
from jaxgen.report.section import NO_DECODER, NO_ENCODER, NO_SAMPLES, ReportInput, Section, offered, png
from jaxgen.runs.loading import Run
from jaxgen.typing import Array

COMPONENTS = 10
"""Number of Gaussians in the mixture."""


def latent_density(inputs: ReportInput) -> Section:
    """Compare samples from the prior with samples from a mixture of Gaussians that is fitted to latents of examples."""
    offered(inputs.run.model.encode, NO_ENCODER)
    offered(inputs.run.model.decode, NO_DECODER)
    offered(inputs.run.model.sample, NO_SAMPLES)
    count, columns = layout(inputs.run.model, inputs.run.example)
    real = jnp.asarray(preprocessed(inputs.training_examples)[:COMPARED])
    total = max(count, len(real))
    from_mixture = [mixture_samples(inputs, run, total) for run in inputs.runs]
    from_prior = [run.sample(inputs.key, total) for run in inputs.runs]

    def distances(samples: Sequence[Array]) -> list[float]:
        return [float(sliced_wasserstein(inputs.key, x[: len(real)], real)) for x in samples]

    metrics = {
        "sliced_wasserstein_prior": distances(from_prior),
        "sliced_wasserstein_mixture": distances(from_mixture),
    }
    data = None if inputs.has_images else real[:count]
    figures = [
        png(f"samples_from_{name}", plot.samples(samples[:count], data=data, columns=columns), CAPTIONS[name])
        for name, samples in (("prior", from_prior[inputs.shown]), ("mixture", from_mixture[inputs.shown]))
    ]
    return Section(figures, metrics)


CAPTIONS = {
    "prior": "Decoded draws from the prior N(0, I).",
    "mixture": (
        f"Decoded draws from a mixture of {COMPONENTS} Gaussians that is fitted to the latents of training examples. "
        "For a plain autoencoder they should be much better than decoded draws from the prior, which fall between the "
        "latents of examples; for a VAE slightly better (Ghosh et al. 2020, arXiv:1903.12436). The metrics are the "
        "sliced Wasserstein distances of both from training examples."
    ),
}


def mixture_samples(inputs: ReportInput, run: Run, count: int) -> Array:
    """Decode draws from a mixture of Gaussians that is fitted to the latents of the training examples.

    Args:
        inputs: run and its data.
        run: run of a single seed.
        count: number of samples.

    Returns:
        `[count, *event]`.
    """
    fit_key, draw_key = jax.random.split(inputs.key)
    latents, seed = run.encode(inputs.training_examples), int(jax.random.bits(fit_key))
    mixture = fit_latent_density(latents, components=min(COMPONENTS, len(latents)), seed=seed)
    return jnp.asarray(decode(run, mixture.sample(draw_key, count)))
