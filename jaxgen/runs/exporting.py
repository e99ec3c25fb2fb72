"""Export of a run: its weights and its config in one file, with a model card; and the way back into a run folder."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp

from jaxgen._signatures import checked
from jaxgen.atomic_write import open_atomic
from jaxgen.data.sources import Notify, print_to_stderr
from jaxgen.errors import InputError
from jaxgen.game import Model
from jaxgen.models import REGISTRY, Family, build_model, family_errors
from jaxgen.paths import expand_path
from jaxgen.runs.config import RunConfig, custom_model_message, with_absolute_paths
from jaxgen.runs.exported_file import (
    COLLECTIONS,
    SUFFIX,
    Exported,
    arrays_of,
    exported_bytes,
    read_exported,
    shared_config,
)
from jaxgen.runs.imported_run import check_run_folder, write_imported, zeros_of
from jaxgen.runs.loading import Run, abstract_state, single
from jaxgen.runs.model_card import model_card
from jaxgen.runs.outputs import check_writable, make_folder
from jaxgen.runs.sampled_arrays import random_network, unsampled_parts, with_parts, without_parts
from jaxgen.training.leaves import first_difference, named_leaves
from jaxgen.training.states import initial_state

CARD = "README.md"
"""Name of the model card, beside the file."""


def check_export(path: Path) -> None:
    """Check that a run can be exported to a file, before any work.

    Args:
        path: path of the file.

    Raises:
        InputError: if it has another ending, it or a README.md beside it exists, even as a link to nothing, or it
            cannot be written.

    Example:
        >>> check_export(Path("model.npz"))
        Traceback (most recent call last):
        jaxgen.errors.InputError: the file of an exported run must end in .safetensors, got 'model.npz'
    """
    if path.suffix != SUFFIX:
        raise InputError(f"the file of an exported run must end in {SUFFIX}, got '{path}'")
    check_writable(path.parent)
    for existing in (path, path.with_name(CARD)):
        if existing.exists() or existing.is_symlink():  # A link to nothing would be replaced.
            raise InputError(f"{existing} exists: give a --to in a folder of its own, in which both can be written")


@checked
def export_run(run: Run, path: str | Path, *, run_index: int | None = None, samples_only: bool = False) -> Path:
    """Write the weights of a run and its config to a file, and a model card beside it.

    Everything that the model needs to sample, encode and evaluate is in the file: parameters, statistics, and their
    moving averages. The states of optimizers are not, nor are folders of the user's machine. The metrics in the card
    are those that the folder of the run has of this state.

    Args:
        run: run to export, as `load_run` returns it.
        path: path of a `.safetensors` file; its folder is made where there is none. Neither it nor a README.md beside
            it may exist.
        run_index: number of the seed to export, for a run of several, counted from 0; None for all.
        samples_only: whether to leave out what samples do not depend on, such as a discriminator.

    Returns:
        Path of the model card.

    Raises:
        InputError: if the file cannot be written, the run has no such seed, or the model does not sample and only what
            samples need is to be written; then no file is written.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from jaxgen.runs import load_run
        >>> from jaxgen.training.states import initial_state
        >>> family, example = REGISTRY["gan"], {"point": np.zeros((1, 2), np.float32)}
        >>> config = RunConfig(family.config(hidden=(4,)), data="ring")
        >>> model = family.build(config.model_config, example)
        >>> state = initial_state(model, config.keys, example)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "model.safetensors"
        ...     _ = export_run(Run(Path("absent"), "gan", config, example, model, state, 0, {}, ()), path)
        ...     import_run(path, Path(folder) / "run")
        ...     load_run(Path(folder) / "run").step
        0
    """
    path = expand_path(path)
    check_export(path)
    if run_index is not None and run_index not in run.finite:
        finite = ", ".join(map(str, run.finite))
        raise InputError(f"run_index must be a seed that has not diverged, one of {finite}, got {run_index}")
    exported_one = run if run_index is None else single(run, int(run_index))
    description = exported_one.description
    description = description._replace(config=shared_config(description.config))
    left_out = unsampled_parts(exported_one) if samples_only else []
    arrays = without_parts(arrays_of(exported_one.state), left_out)
    exported = Exported(description, run.step, exported_one.diverged, arrays, left_out)
    content = exported_bytes(exported)
    card = model_card(run, path.name, run_index=run_index, samples_only=samples_only)
    make_folder(path.parent)
    # Both are complete before either has its name.
    with open_atomic(path.with_name(CARD)) as card_file:
        card_file.write(card.encode())
        with open_atomic(path) as file:
            file.write(content)
    return path.with_name(CARD)


@checked
def import_run(
    path: str | Path,
    folder: str | Path,
    *,
    data: str | None = None,
    data_dir: str | None = None,
    family: Family | None = None,
    model: Model | None = None,
    notify: Notify = print_to_stderr,
) -> None:
    """Make a run folder of the file of an exported run; its samples are equal to those of that run in every bit.

    The run cannot be resumed, as the file has no states of optimizers: those in the folder are zeros. A new run can
    start from its weights (`init_from`). Networks that were left out of the file have random weights.

    Args:
        path: path of the file.
        folder: run folder, which must not exist or be empty.
        data: name or path of the data with which the run is evaluated; by default the name in the file, which has the
            last part of a path of the user's own data.
        data_dir: folder of the data sets.
        family: family of the run, where it is not part of the package.
        model: model of the run, where it was built in Python with modules or functions of its own.
        notify: called with notices for the user, e.g. that there is no discriminator.

    Raises:
        InputError: if the file is no such file, is damaged, or of another model than its config; or the folder has
            files or cannot be written. Then no folder is written.
        OSError: if the file cannot be opened.
    """
    path, folder = expand_path(path), expand_path(folder)
    check_run_folder(folder)
    description, step, diverged, arrays, left_out = read_exported(path, family=family)
    if model is None:
        if description.custom:
            raise InputError(custom_model_message(path))
        family = family or REGISTRY[description.family]
        model = build_model(family, description.config.model_config, description.example)
        with family_errors(family):
            like = abstract_state(model, description.config, description.example)
    else:
        like = abstract_state(model, description.config, description.example)
    if left_out:
        initial = initial_state(model, description.config.keys, description.example)
        arrays, random = with_parts(arrays, left_out, arrays_of(initial))
        for network in random:
            notify(f"{path} has no {network}: {random_network(network)}")
    if difference := first_difference(arrays, arrays_of(like)):
        raise InputError(f"{path} must have the arrays of the model of its config, but {difference}")
    exported = {name: getattr(like, name) for name in COLLECTIONS}
    parts = jax.tree.unflatten(jax.tree.structure(exported), [arrays[name] for name in named_leaves(exported)])
    state = zeros_of(like).replace(step=jnp.asarray(step, like.step.dtype), **parts)
    named = with_absolute_paths(RunConfig(None, data=data or description.config.data, data_dir=data_dir))
    config = dataclasses.replace(
        description.config, data=named.data if data else description.config.data, data_dir=named.data_dir
    )
    imported = description._replace(config=config, imported=description.imported or "jaxgen")
    write_imported(folder, imported, state, diverged)
