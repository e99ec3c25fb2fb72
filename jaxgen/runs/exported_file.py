"""The file of an exported run: a `.safetensors` file that has its config and needs nothing else.

    params/decoder/Dense_0/kernel    an array of the state under its name, with a leading axis of seeds; also stats, ema
    __metadata__                     {"jaxgen": content of a config.json, with step, diverged seeds and a checksum}

States of optimizers are left out: they are twice as large as the parameters, and only a training needs them.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from safetensors.numpy import save

from jaxgen.array_files.safetensors_file import read_safetensors
from jaxgen.callbacks.checkpoints import diverged_from_json, diverged_to_json
from jaxgen.errors import InputError
from jaxgen.game import State
from jaxgen.models import Family
from jaxgen.runs.config import RunConfig
from jaxgen.runs.config_json import RunDescription, check_format, from_json, is_unedited, to_content
from jaxgen.training.chunk import Divergence
from jaxgen.training.leaves import named_leaves

SUFFIX = ".safetensors"

TEXT = "jaxgen"
"""Name of the text of the file that has the config."""

COLLECTIONS = ("params", "stats", "ema")
"""Parts of a state that a model needs to sample, encode and evaluate."""


class Exported(NamedTuple):
    """The content of the file of an exported run.

    Attributes:
        description: description of the run.
        step: number of steps that the state has completed.
        diverged: number of the seed -> where it diverged.
        arrays: name -> array, as of `arrays_of`.
        left_out: collections of networks that are left out of the arrays, such as "params/discriminator".
    """

    description: RunDescription
    step: int
    diverged: Mapping[int, Divergence]
    arrays: Mapping[str, np.ndarray]
    left_out: Sequence[str] = ()


def shared_config(config: RunConfig[Any]) -> RunConfig[Any]:
    """Return a config without what is of the user's machine alone.

    Args:
        config: config of a run.

    Returns:
        The config with the last parts of absolute paths, and without the folder of data sets.

    Example:
        >>> shared_config(RunConfig(None, data="/home/me/photographs", data_dir="/data")).data
        'photographs'
    """
    paths = {name: Path(path) for name in ("data", "init_from") if (path := getattr(config, name)) is not None}
    last: dict[str, Any] = {name: path.name for name, path in paths.items() if path.is_absolute()}
    return dataclasses.replace(config, data_dir=None, **last)


def arrays_of(state: State) -> dict[str, Any]:
    """Return the arrays of a state that are exported, or their shapes.

    Args:
        state: state with a leading axis of seeds, or its shapes.

    Returns:
        Name -> array.

    Example:
        >>> list(arrays_of(State(0, {"net": {"w": np.ones(3)}}, {}, {"net": np.zeros(3)}, {})))
        ['params/net/w']
    """
    return named_leaves({name: getattr(state, name) for name in COLLECTIONS})


def exported_bytes(exported: Exported) -> bytes:
    """Return the bytes of the file of an exported run.

    Args:
        exported: its content.

    Returns:
        The bytes, which `read_exported` reads from a file.
    """
    arrays = {name: np.asarray(jax.device_get(array), order="C") for name, array in exported.arrays.items()}
    content = to_content(
        exported.description,
        step=exported.step,
        diverged=diverged_to_json(exported.diverged),
        arrays_sha256=_checksum(arrays),
        left_out=list(exported.left_out),
    )
    return save(arrays, {TEXT: json.dumps(content, allow_nan=False)})


def read_exported(path: Path, *, family: Family | None = None) -> Exported:
    """Read the file of an exported run. No code is imported for it.

    Args:
        path: path of the file.
        family: family of the run, needed where it is not part of the package.

    Returns:
        Its content; the example of the description has zeros for its values.

    Raises:
        InputError: if it is no such file, is damaged or was changed, or its family is not known, with what is wrong.
        OSError: if it cannot be opened.

    Example:
        >>> read_exported(Path("weights.npz"))
        Traceback (most recent call last):
        jaxgen.errors.InputError: the file of an exported run must end in .safetensors, got 'weights.npz': ...
    """
    if path.suffix.lower() != SUFFIX:
        raise InputError(
            f"the file of an exported run must end in {SUFFIX}, got '{path}': for weights of another program name the "
            "family in place of jaxgen"
        )
    found = read_safetensors(path)
    if TEXT not in found.texts:
        raise InputError(
            f"{path} must be written by jaxgen export, got a file without a config: for weights of another program "
            "name the family in place of jaxgen"
        )
    try:
        content = json.loads(found.texts[TEXT])
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"the config in {path} must be JSON, got {type(error).__name__}: export the run again"
        ) from None
    check_format(path, content, exported=True)
    if family is not None and content.get("family") != family.name:
        raise InputError(f"{path} is of a run of the model '{content.get('family')}', not '{family.name}'")
    description = from_json(content, path, family=family, exported=True)
    step = content.get("step")
    if not (is_unedited(content) and type(step) is int and 0 <= step < 2**31):
        raise InputError(f"the config in {path} was changed or damaged after it was written: export the run again")
    if content.get("arrays_sha256") != _checksum(found.arrays):
        raise InputError(f"the arrays of {path} were changed or damaged after it was written: export the run again")
    return Exported(description, step, diverged_from_json(content), found.arrays, content.get("left_out", ()))


def _checksum(arrays: Mapping[str, np.ndarray]) -> str:
    """The SHA-256 of the names and the values of arrays; their shapes are compared with the model."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode())
        digest.update(np.asarray(arrays[name]).tobytes())
    return digest.hexdigest()
