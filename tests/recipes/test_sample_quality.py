"""Recipes of sample quality: published numbers of another protocol, and distances of two sources of latents."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.data import example, load
from jaxgen.game import Model
from jaxgen.recipes import sample_quality
from jaxgen.recipes.sample_quality import LATENT_DIM, SAMPLE_QUALITY_RECIPES, latent_source_metrics
from jaxgen.runs import Run, RunConfig
from jaxgen.training.chunk import Divergence


def test_published_distances_are_marked_as_those_of_another_protocol():
    for entry in SAMPLE_QUALITY_RECIPES["gan-fid"].run.entries.values():
        assert {published.protocol for published in entry.published.values()} == {sample_quality.LUCIC}


def test_latents_of_real_images_are_nearer_than_those_of_the_prior(monkeypatch):
    """The encoder keeps some pixels; the decoder draws them in the place of those of the mean image."""
    monkeypatch.setattr(sample_quality, "FITTED", 400)
    digits = load("digits")
    pixels = jnp.asarray(np.argsort(-digits["image"].reshape(len(digits["image"]), -1).std(axis=0))[:LATENT_DIM])
    mean = jnp.asarray(digits["image"].mean(axis=0).ravel() / 255)

    def encode(state, batch):
        return batch["image"].reshape(len(batch["image"]), -1)[:, pixels] / 255.0

    def decode(state, latent):
        return jnp.clip(jnp.tile(mean, (len(latent), 1)).at[:, pixels].set(latent), 0, 1).reshape(-1, 8, 8, 1)

    config = RunConfig(None, seeds=2)
    model = Model(None, None, (), encode=encode, decode=decode)
    diverged = {1: Divergence(1, "any", "loss")}
    run = Run(Path("absent"), "any", config, example(digits), model, jnp.zeros(2), 0, diverged, ())
    found = latent_source_metrics(run, jax.random.key(0), count=300)
    prior, mixture, fall = found.values()
    assert next(iter(found)) == "frechet_distance_prior[digits_v1, none, n=360/300, split=digits:test]"
    assert mixture[0] < 0.9 * prior[0]
    assert fall[0] == pytest.approx(prior[0] - mixture[0])
    assert np.isnan([values[1] for values in found.values()]).all()
