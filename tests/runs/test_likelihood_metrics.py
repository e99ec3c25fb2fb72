"""Likelihoods of runs against the metrics of the model itself, and what does not apply."""

import dataclasses

import jax
import numpy as np
import pytest

from jaxgen.data import load
from jaxgen.errors import InputError
from jaxgen.models import REGISTRY
from jaxgen.runs import evaluate_run
from jaxgen.runs.likelihood_metrics import LIKELIHOOD_METRICS, likelihood_metrics, with_protocol
from jaxgen.runs.loading import single

KEY = jax.random.key(0)
TEST = load("digits", split="test")


@pytest.fixture(scope="module")
def two_seeds(fresh):
    return fresh("vae", seeds=2)


@pytest.fixture(scope="module")
def found(two_seeds):
    return likelihood_metrics(two_seeds, KEY, k=300, data=TEST)


def test_rate_and_distortion_are_the_terms_of_the_evidence_lower_bound(two_seeds, found):
    terms = evaluate_run(two_seeds, data=TEST)
    np.testing.assert_allclose(found["rate"], terms["kl"]["seeds"], rtol=1e-4)
    np.testing.assert_allclose(found["distortion"], terms["reconstruction"]["seeds"], rtol=0.01)


def test_the_bound_of_many_draws_is_above_that_of_one(found):
    assert np.all(found["importance_weighted_bound"] > -(found["rate"] + found["distortion"]))


def test_posteriors_are_those_of_all_examples(two_seeds, found):
    variances = np.var(np.float64(two_seeds.encode(TEST)), axis=1)
    np.testing.assert_array_equal(found["active_units"], np.sum(variances > 0.01, axis=1))
    # The information is not more than the rate, and not more than the logarithm of the number of examples.
    assert np.all(found["mutual_information"] <= np.minimum(found["rate"], np.log(360)) + 0.05)
    assert np.all(found["mutual_information"] > 0)


def test_a_seed_has_the_same_metrics_alone_and_diverged_ones_have_none(two_seeds, found):
    names = ("importance_weighted_bound", "rate")
    alone = likelihood_metrics(single(two_seeds, 1), KEY, k=300, names=names, data=TEST)
    assert set(alone) == set(names)
    for name in names:
        assert alone[name] == pytest.approx(found[name][1:], rel=1e-5)
    without = likelihood_metrics(two_seeds._replace(diverged={0: None}), KEY, k=1, names=("rate",), data=TEST)
    np.testing.assert_allclose(without["rate"], [np.nan, found["rate"][1]], rtol=1e-5)


def test_images_are_binarized_once_for_all_metrics(two_seeds):
    family = REGISTRY["vae"]
    config = dataclasses.replace(two_seeds.config.model_config, binarize=True)
    drawn = two_seeds._replace(model=family.build(config, two_seeds.example))
    grey, binary = (
        likelihood_metrics(run, KEY, names=("distortion",), data=TEST)["distortion"] for run in (two_seeds, drawn)
    )
    # For a decoder whose outputs hardly depend on x, the expectation over the pixels is the cross-entropy.
    assert np.all(binary != grey)
    np.testing.assert_allclose(binary, grey, rtol=0.05)


def test_the_protocol_says_how_images_are_binarized(two_seeds):
    config = two_seeds.config
    assert with_protocol("rate", config, k=5, examples=9).endswith("k=1, n=9, split=digits:test, pixels as they are]")
    drawn = dataclasses.replace(config, model_config=dataclasses.replace(config.model_config, binarize=True))
    assert with_protocol("rate", drawn, k=5, examples=9).endswith("split=digits:test, pixels drawn anew]")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 0}, "k must be at least 1, got 0"),
        ({"k": 2.0}, "k must be an integer, got float 2.0"),
        ({"names": ["rat"]}, "there is no metric 'rat': did you mean 'rate'?"),
        ({"data": {"image": np.zeros((2, 5, 5, 1), np.uint8)}}, "'image' must have the shape"),
    ],
)
def test_wrong_arguments_are_refused(two_seeds, options, message):
    with pytest.raises(InputError, match=message):
        likelihood_metrics(two_seeds, KEY, **{"data": TEST, **options})


def test_models_without_densities_are_refused(fresh):
    with pytest.raises(InputError, match=r"the model 'gan' has no densities p\(x\|z\) and q\(z\|x\)"):
        likelihood_metrics(fresh("gan"), KEY, data=TEST)


def test_names_are_those_of_a_complete_evaluation(found):
    assert tuple(found) == LIKELIHOOD_METRICS
