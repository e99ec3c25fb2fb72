"""Imported weights as a run folder, which is complete or absent."""

from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np

from jaxgen.callbacks.checkpoints import diverged_to_json
from jaxgen.errors import InputError
from jaxgen.game import State
from jaxgen.interruption import deferred
from jaxgen.runs.config_json import RunDescription, to_json, write_config
from jaxgen.runs.outputs import check_new_folder, check_writable, make_folder, new_folder
from jaxgen.training.checkpoint import save
from jaxgen.training.chunk import Divergence, find_non_finite_parameters


def check_run_folder(folder: Path) -> None:
    """Check that imported weights can be stored in a folder, before any work.

    Args:
        folder: run folder.

    Raises:
        InputError: if it has files, or cannot be made.

    Example:
        >>> check_run_folder(Path("/dev/null/run"))
        Traceback (most recent call last):
        jaxgen.errors.InputError: cannot write to the folder '/dev/null/run': '/dev/null' is not a folder
    """
    check_writable(folder)
    if folder.absolute().parent.is_dir():
        check_new_folder(folder)


def zeros_of(like: State) -> State:
    """Return a state of zeros, as the states of optimizers are that weights come without.

    Args:
        like: shapes and types of a state.

    Returns:
        NumPy arrays; those that are nothing but zeros take no memory until they are read.
    """
    zeros: State = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), like)
    return zeros


def write_imported(folder: Path, description: RunDescription, state: State, diverged: Mapping[int, Divergence]) -> None:
    """Write a run folder with one checkpoint.

    Args:
        folder: run folder, which must not exist or be empty.
        description: description of the run, with `imported`.
        state: state of all seeds, with a leading axis of seeds.
        diverged: seeds that have diverged.

    Raises:
        InputError: if no seed has finite parameters, or the folder cannot be written.
    """
    if len({**find_non_finite_parameters(state), **diverged}) == (description.config.seeds or 1):
        raise InputError("the parameters must be finite, got NaN or infinity: a run of them could not be loaded")
    make_folder(folder.absolute().parent)
    with deferred("the run folder is completed first"), new_folder(folder) as temporary:
        write_config(temporary, description)
        meta = {"run": to_json(description), "diverged": diverged_to_json(diverged)}
        save(temporary / "checkpoints", int(state.step), state, meta=meta)
