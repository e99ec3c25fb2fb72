"""Path lengths of runs: linear generators, whose lengths are known, and a network that returns the grey levels."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxgen.data import example, load
from jaxgen.errors import InputError
from jaxgen.game import Model
from jaxgen.latent_functions import Styles
from jaxgen.metrics.extractors import Extracted, Extractor
from jaxgen.runs import Run, RunConfig
from jaxgen.runs.path_length_metrics import path_length_metrics
from jaxgen.training.chunk import Divergence

KEY, DIM = jax.random.key(0), 64
DIGITS = example(load("digits"))


def grey_levels(params, images):
    return Extracted(images.reshape(len(images), -1) / 255, jnp.zeros((len(images), 1)))


EXTRACTOR = Extractor("grey", "none", 1, (8, 8), {}, grey_levels)


def decode(state, z, *, label=0):
    """Images whose pixels are the latents times the state, brighter for larger labels."""
    return (0.5 + state * z + 0.01 * jnp.broadcast_to(label, (len(z),))[:, None]).reshape(-1, 8, 8, 1)


def twice(state, z, *, label=0):
    return 2 * z


STYLES = Styles(
    layers=3,
    map=twice,
    synthesize=lambda state, w, noise: decode(state, w.mean(axis=1)),
    noise=lambda state: (),
    average=lambda state: jnp.zeros(DIM),
    modulations=lambda state: [],
)


def sample_latent(key, n):
    return jax.random.normal(key, (n, DIM))


def run_of(states, *, diverged=(), **model):
    functions = {"sample": decode, "decode": decode, "sample_latent": sample_latent} | model
    where = {number: Divergence(1, "any", "loss") for number in diverged}
    seeds = None if len(states) == 1 else len(states)
    built = Model(None, None, (), **functions)
    return Run(Path("absent"), "any", RunConfig(None, seeds=seeds), DIGITS, built, jnp.asarray(states), 0, where, ())


def between_percentiles(distribution):
    """Mean of a distribution between its percentiles 1 and 99."""
    return distribution.expect(lambda x: x, lb=distribution.ppf(0.01), ub=distribution.ppf(0.99)) / 0.98


def test_length_in_w_is_the_squared_distance_of_two_styles():
    """Of normal styles with deviation 2, mapped to pixels by a factor: 8 factor^2 times chi-squared."""
    found = path_length_metrics(run_of([0.02], styles=STYLES), KEY, ["ppl_wfull", "ppl_wend"], EXTRACTOR, count=4000)
    expected = between_percentiles(stats.chi2(DIM, scale=8 * 0.02**2))
    assert list(found) == [
        f"perceptual_path_length[grey, none, squared features, w, {sampling}, epsilon=0.0001, n=4000]"
        for sampling in ("full", "end")
    ]
    for value in found.values():
        assert value == pytest.approx(expected, rel=0.01)


def test_length_in_z_is_that_of_great_circles():
    """Of normal latents with a norm near 8: the squared angle times 64, and the angle is near a right one."""
    (value,) = path_length_metrics(run_of([0.02]), KEY, ["ppl_zend"], EXTRACTOR, count=4000).values()
    first, second = np.random.default_rng(0).normal(size=(2, 100_000, DIM))
    lengths = np.linalg.norm(first, axis=1), np.linalg.norm(second, axis=1)
    angle = np.arccos((first * second).sum(axis=1) / (lengths[0] * lengths[1]))
    # slerp goes from one latent to the other along the angle; at its beginning the derivative is
    # (second - first cos(angle)) angle / sin(angle).
    derivative = (second - first * np.cos(angle)[:, None]) * (angle / np.sin(angle))[:, None]
    squared = 0.02**2 * (derivative**2).sum(axis=1)
    kept = squared[(np.percentile(squared, 1) < squared) & (squared < np.percentile(squared, 99))]
    assert value == pytest.approx(kept.mean(), rel=0.02)


def test_lengths_of_seeds_grow_with_the_square_of_the_factor_and_diverged_seeds_are_left_out():
    ((_, found),) = path_length_metrics(
        run_of([0.01, 0.02, np.nan], diverged=[2]), KEY, ["ppl_zfull"], EXTRACTOR, count=100
    ).items()
    first, second, diverged = found["seeds"]
    assert second == pytest.approx(4 * first, rel=2e-3)
    assert diverged is None
    assert found["worst"] == second


def test_both_images_of_a_step_have_the_same_label():
    plain = path_length_metrics(run_of([0.02]), KEY, ["ppl_zfull"], EXTRACTOR, count=100)
    ((name, value),) = path_length_metrics(
        run_of([0.02], conditions=("label",)), KEY, ["ppl_zfull"], EXTRACTOR, count=100
    ).items()
    assert name.endswith(", labels=uniform]")
    assert value == pytest.approx(*plain.values(), rel=2e-3)


def test_progress_is_that_of_the_steps_of_each_metric():
    calls = []
    path_length_metrics(
        run_of([0.02]), KEY, ["ppl_zend"], EXTRACTOR, count=150, progress=lambda *call: calls.append(call)
    )
    assert calls[-1] == (150, 150)
    assert [done for done, _ in calls] == sorted({done for done, _ in calls})


@pytest.mark.parametrize(
    ("model", "names", "sentence"),
    [
        ({}, ["ppl_wend"], "ppl_wend must be of a model with styles, such as stylegan2, and 'any' has none: use ppl_z"),
        ({"decode": None}, ["ppl_zend"], "the model 'any' does not generate images from latents"),
        ({}, ["ppl_zful"], "there is no metric of path lengths 'ppl_zful': did you mean 'ppl_zfull'"),
    ],
)
def test_models_without_such_paths_are_refused(model, names, sentence):
    with pytest.raises(InputError, match=sentence):
        path_length_metrics(run_of([0.02], **model), KEY, names, EXTRACTOR)


def test_images_of_another_size_than_the_network_needs_are_refused():
    with pytest.raises(InputError, match="must be 9x9 where they are not resized, got 8x8"):
        path_length_metrics(run_of([0.02]), KEY, ["ppl_zend"], EXTRACTOR._replace(size=(9, 9)))
