"""Disentanglement of runs on images of shapes, with an encoder that measures moments of the images."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier

from jaxgen.data import shape_factors
from jaxgen.errors import InputError
from jaxgen.game import Model
from jaxgen.metrics import separated_attribute_predictability
from jaxgen.metrics.protocol import metric_of
from jaxgen.runs import Run, RunConfig
from jaxgen.runs.disentanglement_metrics import (
    DISENTANGLEMENT_METRICS,
    disentanglement_metrics,
)
from jaxgen.runs.evaluation import BETTER
from jaxgen.training.chunk import Divergence

KEY = jax.random.key(0)
SIDE = jnp.arange(32.0)


def moments(mixing, batch):
    """Area, centre and product of inertia of the white pixels, mixed by a matrix."""
    white = batch["image"][..., 0] / 255.0
    area = white.sum(axis=(1, 2))
    x, y = (white.sum(axis=axis) @ SIDE / area for axis in (1, 2))
    inertia = jnp.einsum("nij,i,j->n", white, SIDE, SIDE) / area - x * y
    return jnp.stack([area / 10, x, y, inertia], axis=1) @ mixing


def run_of(mixings, *, several=True, encode=moments, data="shapes", diverged=()):
    config = RunConfig(None, data=data, seeds=len(mixings) if several else None)
    example = {"image": np.zeros((1, 32, 32, 1), np.uint8), "label": np.array([2], np.int32)}
    diverged = {number: Divergence(1, "vae", "loss") for number in diverged}
    model = Model(None, None, (), encode=encode)
    return Run(Path("absent"), "any", config, example, model, jnp.asarray(mixings, jnp.float32), 0, diverged, ())


@pytest.fixture(scope="module")
def measured():
    """Seeds with the moments, with an orthogonal mixture of them, and one that has diverged."""
    mixed = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
    run = run_of([np.eye(4), mixed, np.full((4, 4), np.nan)], diverged=[2])
    return by_metric(disentanglement_metrics(run, KEY, predictor=DecisionTreeClassifier))


def by_metric(found):
    """The values by the names of the metrics, without protocols."""
    return {metric_of(name): value for name, value in found.items()}


def test_moments_of_images_are_more_disentangled_than_an_orthogonal_mixture(measured):
    assert tuple(measured) == DISENTANGLEMENT_METRICS
    for summary in measured.values():
        moments, mixture, diverged = summary["seeds"]
        assert 0 <= mixture < moments <= 1
        assert diverged is None
        assert summary["worst"] == mixture
    assert measured["factor_vae_score"]["seeds"][0] > 0.75  # Shapes alone have no latent of their own.
    assert measured["dci_completeness"]["seeds"][0] > 0.5


def test_a_single_run_has_the_values_of_its_seed(measured):
    found = disentanglement_metrics(run_of([np.eye(4)], several=False), KEY, predictor=DecisionTreeClassifier)
    assert next(iter(found)) == "mig[n=6144, split=shapes:test, bins=20]"
    assert list(found)[2].endswith("tested on one of 3, by DecisionTreeClassifier]")
    single = by_metric(found)
    for name in ("mig", "sap", "factor_vae_score"):
        assert single[name] == pytest.approx(measured[name]["seeds"][0], rel=1e-6)


def test_sap_of_the_factors_themselves_is_a_third():
    factors = np.random.default_rng(0).permutation(shape_factors("test"))
    latents = (factors - factors.mean(axis=0)) / factors.std(axis=0)
    found = separated_attribute_predictability(latents[::2], factors[::2], latents[1::2], factors[1::2])
    assert found.score == pytest.approx(0.34, abs=0.01)
    np.testing.assert_allclose(np.diagonal(found.scores), [1, 1, 1 / 4, 1 / 8, 1 / 8], atol=0.03)


def test_larger_values_are_better():
    assert {BETTER[name] for name in DISENTANGLEMENT_METRICS} == {"larger"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data": "digits"}, "the run must be trained on 'shapes', got 'digits'"),
        ({"encode": None}, "the model 'any' has no encoder"),
        ({"encode": lambda state, batch: moments(state, batch)[:, :1]}, "at least 2 dimensions"),
    ],
)
def test_runs_that_do_not_fit_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        disentanglement_metrics(run_of([np.eye(4)], **options), KEY)
