"""The grid over the latent plane has equal probabilities under the distribution of the latents."""

import numpy as np
import pytest
from scipy.stats import norm

from jaxgen.data import example, load
from jaxgen.models import REGISTRY
from jaxgen.report.manifold import manifold
from jaxgen.runs import Run, RunConfig
from tests.report.small_reports import STATE, inputs_of, recorded, without_files


def gan_with(**options):
    """A GAN of digits with two-dimensional latents, without parameters."""
    example_batch = example(load("digits"))
    config = RunConfig(REGISTRY["gan"].config(latent_dim=2, width=4, **options))
    model = REGISTRY["gan"].build(config.model_config, example_batch)
    return Run(None, "gan", config, example_batch, model, STATE, 0, {}, ())


@pytest.mark.parametrize(("name", "quantile"), [("normal", norm.ppf), ("uniform", lambda level: 2 * level - 1)])
def test_latents_are_quantiles_of_their_distribution(monkeypatch, name, quantile):
    calls = recorded(monkeypatch, "manifold", "decode", lambda *_: None)
    monkeypatch.setattr("jaxgen.plot.image_grid", lambda *_, **__: None)
    without_files(monkeypatch, "manifold")
    manifold(inputs_of(gan_with(latent_distribution=name)))
    [((_, latents, _), _)] = calls
    ticks = quantile((np.arange(20) + 0.5) / 20)
    np.testing.assert_allclose(latents.reshape(20, 20, 2)[..., 0], np.tile(ticks, (20, 1)), atol=0.03)
    np.testing.assert_allclose(latents.reshape(20, 20, 2)[..., 1], np.tile(ticks[::-1, None], (1, 20)), atol=0.03)
