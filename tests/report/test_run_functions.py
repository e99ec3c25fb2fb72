"""Functions of runs: one seed, its checkpoints, and the model's functions on many examples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.game import Model, State
from jaxgen.report.run_functions import checkpointed_runs, decode, posterior_latents, prior_latents, state_of
from jaxgen.report.section import NotApplicable
from jaxgen.runs import Run, RunConfig
from jaxgen.runs.loading import single
from tests.report.small_reports import STATE


def test_single_seed_of_several_is_the_run_of_that_seed():
    state = State(jnp.int32(7), {"net": jnp.arange(6.0).reshape(2, 3)}, {}, {}, {})
    run = Run(None, "x", RunConfig(model_config=None, seed=4, seeds=2), {}, None, state, 7, {0: None}, ())
    one = single(run, 1)
    assert (one.config.seeds, one.config.seed, one.diverged) == (None, 5, {})
    np.testing.assert_array_equal(one.state.params["net"], [[3, 4, 5]])
    np.testing.assert_array_equal(state_of(one).params["net"], [3, 4, 5])
    assert (int(one.state.step), int(state_of(one).step)) == (7, 7)
    assert single(one, 0) is one


def test_checkpointed_runs_go_from_the_initial_to_the_last_state(trained):
    run = trained("gan_1d")
    runs = checkpointed_runs(run)
    assert [step for step, _ in runs] == [0, 20, 40]
    assert [int(of_step.state.step) for _, of_step in runs] == [0, 20, 40]
    for x, y in zip(jax.tree.leaves(runs[-1][1].state), jax.tree.leaves(run.state), strict=True):
        np.testing.assert_array_equal(x, y)


def test_prior_latents_of_a_gan_are_those_of_its_samples(trained):
    run = trained("digits")
    # A run draws its first batch of samples with the key of number 0.
    latents = prior_latents(run, jax.random.fold_in(jax.random.key(3), 0), 7)
    sampled = run.sample(jax.random.key(3), 7)
    np.testing.assert_allclose(decode(run, latents), sampled, rtol=1e-4, atol=1e-5)


def run_of(**functions):
    """A run of a model with some functions and ten classes."""
    example_batch = {"image": np.zeros((1, 8, 8, 1), np.uint8), "label": np.array([9])}
    model = Model(None, None, (), **functions)
    return Run(None, "x", RunConfig(model_config=None), example_batch, model, STATE, 0, {}, ())


def test_large_numbers_of_latents_are_decoded_in_batches_with_their_labels():
    sizes = []

    def decode_and_add(state, latent, label):
        sizes.append(len(latent))
        return latent + 10 * label[:, None]

    run = run_of(decode=decode_and_add, conditions=("label",))
    latents, label = np.random.default_rng(0).uniform(size=(2500, 2)).astype(np.float32), np.arange(2500) % 7
    np.testing.assert_allclose(decode(run, latents, label), latents + 10 * label[:, None], rtol=1e-6)
    np.testing.assert_allclose(decode(run, latents, 3), latents + 30, rtol=1e-6)
    np.testing.assert_allclose(decode(run, latents), latents + 10 * (np.arange(2500)[:, None] % 10), rtol=1e-6)
    assert set(sizes) == {1000, 500}


def test_posterior_latents_of_all_batches_are_independent_draws():
    def encode(state, batch):
        return batch["image"].reshape(len(batch["image"]), -1)[:, :2].astype(jnp.float32)

    def sample_posterior(key, state, batch):
        return encode(state, batch) + jax.random.normal(key, (len(batch["image"]), 2))

    images = np.zeros((1500, 8, 8, 1), np.uint8)
    images[:, 0, 1] = 100
    run = run_of(encode=encode, sample_posterior=sample_posterior)
    draws = np.asarray(posterior_latents(run, jax.random.key(0), {"image": images}))
    assert draws.shape == (1500, 2)
    assert len(np.unique(draws, axis=0)) == 1500
    np.testing.assert_allclose(draws.mean(axis=0), [0, 100], atol=5 / np.sqrt(1500))
    deterministic = posterior_latents(run_of(encode=encode), jax.random.key(0), {"image": images})
    np.testing.assert_array_equal(deterministic, np.tile([0.0, 100.0], (1500, 1)))


def test_missing_functions_of_the_model_are_named():
    run, key = run_of(), jax.random.key(0)
    with pytest.raises(NotApplicable, match="the model has no decoder"):
        decode(run, jnp.zeros((1, 2)))
    with pytest.raises(NotApplicable, match="the model has no encoder"):
        posterior_latents(run, key, {"point": np.zeros((1, 2))})
    with pytest.raises(NotApplicable, match="the model does not sample latents"):
        prior_latents(run, key, 1)
