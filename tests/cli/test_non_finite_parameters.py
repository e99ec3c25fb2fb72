"""Runs whose stored parameters are NaN: refused where no seed is left, and said where one is."""

import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from jaxgen.errors import InputError
from jaxgen.models import REGISTRY
from jaxgen.runs import load_run
from jaxgen.runs.evaluation import evaluate_run
from jaxgen.training.checkpoint import save


def with_nan(run_folder: Path, folder: Path, seeds: list[int]) -> Path:
    """Copy a run and store a newer state, in which a parameter of each of these seeds is NaN."""
    shutil.copytree(run_folder, folder)
    run = load_run(folder)
    params = jax.tree.map(lambda x: x.at[jnp.array(seeds), ..., 0].set(jnp.nan), run.state.params)
    save(folder / "checkpoints", 30, run.state.replace(params=params, step=jnp.int32(30)))
    return folder


@pytest.mark.parametrize("command", ["sample", "evaluate"])
def test_commands_refuse_a_run_without_finite_parameters(vae, tmp_path, refused, command):
    folder = with_nan(vae, tmp_path / "run", [0])
    assert refused(command, folder).startswith(f"the parameters of {folder} at step 30 must be finite, got NaN")
    with pytest.raises(InputError, match="at step 30 must be finite"):
        load_run(folder)


def test_a_seed_without_finite_parameters_is_said(cvae, tmp_path, jaxgen):
    folder = with_nan(cvae, tmp_path / "run", [1])
    result = jaxgen("sample", folder, "--n", "3", "--out", tmp_path / "x.npz")
    assert result.status == 0
    assert "the run with seed 1 is left out: the parameters are not finite at step 30\n" in result.err


def test_figures_leave_out_seeds_without_finite_parameters(cvae, tmp_path, jaxgen):
    folder = with_nan(cvae, tmp_path / "run", [0])
    run = load_run(folder)
    assert (run.finite, run.first_finite) == ([1], 1)
    result = jaxgen("reconstruct", folder, "--n", "4", "--out", tmp_path / "x.png")
    assert (result.status, "seed 1 of 2 is shown" in result.err) == (0, True)
    result = jaxgen("reconstruct", folder, "--run-index", "0", "--out", tmp_path / "y.png")
    assert (result.status, "must be a seed that has not diverged, one of 1, got 0" in result.err) == (2, True)


def test_means_leave_out_seeds_without_finite_parameters(untrained, tmp_path):
    """Whose samples would otherwise count as samples that cover no modes."""
    family = REGISTRY["gan"]
    untrained(tmp_path / "gan", family, family.config(hidden=(4,)), data="ring", seeds=2)
    modes = evaluate_run(load_run(with_nan(tmp_path / "gan", tmp_path / "run", [0])))["modes"]
    assert modes["seeds"][0] is None
    assert modes["mean"] == modes["seeds"][1]
