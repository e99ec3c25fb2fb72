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


GROWING = {"start": 4, "stabilize": 40, "fade": 20, "base": 16, "largest": 4, "latent_dim": 2, "group": 2}


@pytest.mark.usefixtures("convolutions_by_xla")
def test_phases_are_those_of_the_training_and_one_that_is_not_reached_is_stated():
    """40 images in batches of 4, then 20 in batches of 4 in which layers fade in, then as many as there are steps."""
    family, notices = REGISTRY["progressive"], []
    config = RunConfig(family.config(batch_sizes=(4,), **GROWING), steps=20, batch_size=6)
    found = preview(prepare_run("unused", family, config, notify=notices.append))
    first, fading, last = found.phases
    assert first == ("stable at 4", 12, 4)  # The schedule is read at every fourth step.
    assert (fading.name, last.name, last.batch_size) == ("fading in 8", "stable at 8", 6)
    assert first.steps + fading.steps + last.steps == 20
    assert not [text for text in notices if "phase" in text]
    prepare_run("unused", family, dataclasses.replace(config, steps=12), notify=notices.append)
    begins = first.steps + fading.steps
    assert [text for text in notices if "phase" in text] == [
        f"the training ends in the phase 'stable at 4': it has 12 steps, and the last phase, 'stable at 8', begins "
        f"after {begins}"
    ]


@pytest.mark.usefixtures("convolutions_by_xla")
def test_batches_that_the_step_of_a_phase_refuses_are_refused_before_a_training():
    family = REGISTRY["progressive"]
    for sizes, batch_size in (((6,), 4), ((4,), 6)):
        config = RunConfig(family.config(batch_sizes=sizes, **{**GROWING, "group": 4}), steps=20, batch_size=batch_size)
        with pytest.raises(InputError, match=r"a multiple of the group .*, 4, got 6"):
            preview_of(family, config)
