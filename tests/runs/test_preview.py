"""What a dry run says is what a training does."""

import dataclasses

import jax
import numpy as np
import pytest

from jaxgen.errors import InputError
from jaxgen.models import PRESETS, REGISTRY
from jaxgen.runs import RunConfig
from jaxgen.runs.preparation import prepare_run
from jaxgen.runs.preview import preview
from tests.small_runs import LINEAR, LinearConfig, untrained


def preview_of(family, config):
    return preview(prepare_run("unused", family, config))


@pytest.mark.parametrize(("family", "seeds"), [("vae", None), ("gan", 3)])
def test_counts_and_shapes_are_those_of_the_first_state(family, seeds):
    run = untrained(family, seeds)
    found = preview_of(REGISTRY[family], run.config)
    for network, arrays in run.state.params.items():
        leaves = jax.tree.leaves(arrays)
        assert found.parameters[network] * (seeds or 1) == sum(leaf.size for leaf in leaves)
        assert sorted(found.shapes[network].values()) == sorted(leaf.shape[1:] for leaf in leaves)
    assert found.state_bytes == sum(np.asarray(leaf).nbytes for leaf in jax.tree.leaves(run.state))
    assert found.examples == 1437


def test_options_that_depend_on_data_and_other_options_are_completed():
    """Of 100,000 points, a step has five batches of 128 for the critic."""
    options = preview_of(REGISTRY["gan"], RunConfig(PRESETS["wgan-gp"].config, data="ring", epochs=3.0)).options
    assert (options["batch_size"], options["steps"]) == (128, 3 * (100_000 // (5 * 128)))
    assert (options["penalty_weight"], options["architecture"]) == (0.1, "mlp")
    assert (options["latent_dim"], options["hidden"], options["clip"]) == (2, (64, 64), None)


def test_numbers_that_depend_on_the_data_are_those_of_the_training(tmp_path):
    """A step has five updates of the critic, each with a batch of its own."""
    np.savez(tmp_path / "own.npz", point=np.random.default_rng(0).normal(size=(112, 2)).astype(np.float32))
    options = {"data": str(tmp_path / "own.npz"), "epochs": 3.0, "validation_fraction": 0.1}
    found = preview_of(REGISTRY["gan"], RunConfig(PRESETS["wgan-gp"].config, **options))
    size = found.options["batch_size"]
    assert 5 * size <= found.examples < 5 * (size + 1)
    assert found.options["steps"] == 3


def test_families_from_outside_have_their_own_options():
    found = preview_of(LINEAR, RunConfig(LinearConfig(latent_dim=5)))
    assert found.parameters == {"net": 64 * 5}
    assert found.options["latent_dim"] == 5


def test_wrong_options_and_data_are_refused():
    config = RunConfig(REGISTRY["vae"].config(), data="ring")
    with pytest.raises(InputError, match="apply to images only"):
        preview_of(REGISTRY["vae"], dataclasses.replace(config, flip=True))
    with pytest.raises(InputError, match="keep_best='elbo' needs validation examples"):
        preview_of(REGISTRY["vae"], dataclasses.replace(config, data="digits", keep_best="elbo"))
