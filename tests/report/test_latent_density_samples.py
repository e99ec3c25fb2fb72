"""Samples through a mixture of Gaussians that is fitted to latents."""

import numpy as np

from jaxgen.report import latent_density_samples
from jaxgen.report.section import load_input, single
from tests.report.small_reports import recorded

STANDARD_ERRORS = 5.0
"""The keys are fixed, so a mean this many standard errors off indicates a bias and not bad luck."""


def test_mixture_has_the_moments_of_the_latents_to_which_it_is_fitted(trained, monkeypatch):
    monkeypatch.setattr(latent_density_samples, "decode", lambda run, latents: latents)
    run, count = single(trained("vae"), 0), 50_000
    inputs = load_input(run, seed=0)
    drawn = np.asarray(latent_density_samples.mixture_samples(inputs, run, count), np.float64)
    latents = np.asarray(run.encode(inputs.training_examples), np.float64)
    # A mixture of maximum likelihood has exactly the moments of the data.
    deviations = latents.std(axis=0)
    assert np.all(np.abs(drawn.mean(axis=0) - latents.mean(axis=0)) < STANDARD_ERRORS * deviations / np.sqrt(count))
    scale = np.outer(deviations, deviations)
    assert np.all(np.abs(np.cov(drawn.T) - np.cov(latents.T)) < 0.03 * scale)
    assert np.abs(np.cov(latents.T) / scale - np.eye(2)).max() > 0.1


def test_all_draws_of_the_mixture_depend_on_the_seed(trained, monkeypatch):
    calls, drawn = recorded(monkeypatch, "latent_density_samples", "fit_latent_density"), []
    for seed in (0, 1, 0):
        inputs = load_input(single(trained("vae"), 0), seed=seed)
        drawn.append(np.asarray(latent_density_samples.latent_density(inputs).metrics["sliced_wasserstein_mixture"]))
    seeds = [options["seed"] for _, options in calls]
    assert seeds[0] == seeds[2] != seeds[1]
    assert drawn[0] == drawn[2] != drawn[1]
