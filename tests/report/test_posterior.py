"""Latents of examples are draws from the posterior, independent of the draws with which they are compared."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from jaxgen.analysis import aggregate_posterior_mmd
from jaxgen.report.latents_by_class import latents
from jaxgen.report.posterior import posterior
from jaxgen.report.section import load_input, single
from tests.report.small_reports import inputs_of, recorded, without_files

STANDARD_ERRORS = 5.0
"""The keys are fixed, so a mean this many standard errors off indicates a bias and not bad luck."""


def test_collapsed_posterior_is_as_close_to_the_prior_as_the_prior_itself(trained, monkeypatch):
    run = single(trained("vae"), 0)
    # An encoder of zeros: mean 0 and log variance 0 for every example.
    params = run.state.params | {"encoder": jax.tree.map(jnp.zeros_like, run.state.params["encoder"])}
    inputs = load_input(run._replace(state=run.state.replace(params=params)), seed=0)
    scatters = recorded(monkeypatch, "posterior", "_figure")
    distances = recorded(monkeypatch, "posterior", "aggregate_posterior_mmd")
    [number] = posterior(inputs).metrics["latents_prior_mmd"]
    count = len(inputs.test_examples["image"])

    @jax.jit
    def of_prior(key):
        return aggregate_posterior_mmd(key, jax.random.normal(jax.random.fold_in(key, 1), (count, 2)))

    usual = np.array([of_prior(key) for key in jax.random.split(jax.random.key(9), 50)])
    assert abs(number - usual.mean()) < 4 * usual.std()
    # The means, which are all 0, are far from the prior.
    means = inputs.shown_run.encode(inputs.test_examples)
    assert aggregate_posterior_mmd(inputs.key, means) > 20 * abs(usual).max()
    # The draws with which latents are compared are independent of them.
    [((encoded, prior), _)], [((key, compared), _)] = scatters, distances
    for draws in (prior, jax.random.normal(key, compared.shape)):
        correlation = np.corrcoef(np.ravel(encoded), np.ravel(draws))[0, 1]
        assert abs(correlation) < STANDARD_ERRORS / np.sqrt(encoded.size)


def test_latents_of_a_deterministic_encoder_are_those_of_encode(trained, monkeypatch):
    run = trained("embedding")
    test = run.config.source.load("test")
    drawn = without_files(monkeypatch, "latents_by_class")
    latents(inputs_of(run, test_examples=test))
    figure, _ = drawn[0]
    (collection,) = figure.axes[0].collections
    (legend,) = figure.legends
    colours = {to_rgb(h.get_color()): int(h.get_label()) for h in legend.legend_handles}
    plotted = np.asarray(collection.get_offsets())
    label = np.array([colours[to_rgb(colour)] for colour in collection.get_facecolor()[:, :3]])
    encoded = np.asarray(run.encode(test))
    for k in range(10):
        found, expected = plotted[label == k], encoded[test["label"] == k]
        np.testing.assert_allclose(found[np.lexsort(found.T)], expected[np.lexsort(expected.T)], rtol=1e-5)


@pytest.mark.parametrize("dim", [1, 3])
def test_latents_are_projected_to_the_plane_of_their_largest_variance(trained, monkeypatch, dim):
    scales = np.array([0.1, 5.0, 2.0])[:dim]
    values = np.random.default_rng(0).normal(size=(200, dim)) * scales
    monkeypatch.setattr("jaxgen.report.latents_by_class.posterior_latents", lambda run, key, batch: jnp.asarray(values))
    drawn = without_files(monkeypatch, "latents_by_class")
    latents(inputs_of(trained("embedding"), test_examples={"label": np.zeros(200, int)}))
    [collection] = drawn[0][0].axes[0].collections
    variances = np.sort(np.var(collection.get_offsets(), axis=0))[::-1]
    expected = [values.var(), 0] if dim == 1 else np.linalg.eigvalsh(np.cov(values.T, ddof=0))[::-1][:2]
    np.testing.assert_allclose(variances, expected, rtol=1e-4, atol=1e-9)
