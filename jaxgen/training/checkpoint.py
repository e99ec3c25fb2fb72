"""Checkpoints of a run on disk, from which it can be continued. A checkpoint is complete or absent.

Orbax writes a checkpoint to a temporary folder and renames it when it is complete, so a process that is killed does not
leave an incomplete checkpoint. Damage to a file after that is found by checksums: those of all files are added last,
and `restore` uses the newest checkpoint whose files match their checksums.

    <folder>/<step>/state           the leaves of the state under their names, e.g. "params/encoder/Dense_0/kernel"
    <folder>/<step>/meta            metadata of the caller, as JSON
    <folder>/<step>/SHA256SUMS      checksums of all files, in the format of `sha256sum --check`

Only arrays and JSON are read; nothing is unpickled.
"""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from jaxgen.errors import InputError
from jaxgen.game import State
from jaxgen.interruption import deferred
from jaxgen.training.leaves import first_difference, named_leaves

if TYPE_CHECKING:
    from orbax.checkpoint import Checkpointer

SUMS = "SHA256SUMS"


class Skipped(NamedTuple):
    """A checkpoint that cannot be used.

    Attributes:
        step: step of the checkpoint.
        reason: the reason, a clause that follows "the checkpoint of step 100".
    """

    step: int
    reason: str

    def __str__(self) -> str:
        """Return it as one clause."""
        return f"the checkpoint of step {self.step} {self.reason}"


class Restored(NamedTuple):
    """A checkpoint that was read.

    Attributes:
        step: number of completed steps.
        state: the saved state, equal in every bit.
        meta: the metadata that were saved with it.
        skipped: newer checkpoints that cannot be used, the newest first.
    """

    step: int
    state: State
    meta: dict[str, Any]
    skipped: tuple[Skipped, ...]


def save(folder: str | Path, step: int, state: State, *, meta: Mapping[str, Any] | None = None, keep: int = 3) -> None:
    """Write a checkpoint, then delete all but the newest few.

    Returns when the checkpoint is complete on disk. Checkpoints of the same step or of later steps are deleted first:
    they belong to a training that was continued from an earlier step.

    Args:
        folder: folder of the checkpoints of one run; created if it does not exist.
        step: number of completed steps.
        state: state of one seed, or of several along a leading axis.
        meta: metadata to save with the state; anything that JSON can represent. It is restored as JSON returns it: keys
            are strings, sequences are lists.
        keep: number of checkpoints to keep, at least 1.

    Raises:
        InputError: if the disk is full or the folder cannot be written. Earlier checkpoints are not changed.
        TypeError: if JSON cannot represent the metadata. Nothing is written.

    Example:
        >>> import jax.numpy as jnp
        >>> state = State(jnp.int32(7), {"w": jnp.ones(3)}, {}, {}, {})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(folder, 7, state, meta={"note": "warm"})
        ...     restored = restore(folder, like=jax.eval_shape(lambda: state))
        >>> restored.step, restored.meta, restored.state.params["w"]
        (7, {'note': 'warm'}, Array([1., 1., 1.], dtype=float32))
    """
    from orbax import checkpoint as orbax

    folder = Path(folder).absolute()
    meta = json.loads(json.dumps(meta or {}))  # Metadata that are not JSON raise here, before anything is changed.
    leaves = named_leaves(jax.device_get(state))
    content = orbax.args.Composite(state=orbax.args.StandardSave(leaves), meta=orbax.args.JsonSave(meta))
    options = orbax.CheckpointManagerOptions(enable_async_checkpointing=False, cleanup_tmp_directories=True)
    try:
        # Otherwise the threads of Orbax would continue, and fail when the process ends.
        with deferred("a checkpoint is completed first"), orbax.CheckpointManager(folder, options=options) as manager:
            _reserve(folder, sum(leaf.nbytes for leaf in leaves.values()))
            for later in [known for known in manager.all_steps() if known >= step]:
                manager.delete(later)
            manager.save(step, args=content, force=True)
            checkpoint = folder / str(step)
            # Renamed when it is complete: a checkpoint with checksums has all of them.
            unnamed = checkpoint / f".{SUMS}.tmp"
            unnamed.write_text(_sums(checkpoint))
            unnamed.replace(checkpoint / SUMS)
            # Only now: with keep=1 there must be a complete checkpoint at every moment.
            for old in sorted(manager.all_steps())[:-keep]:
                manager.delete(old)
    except Exception as error:  # Orbax does not catch the errors of its storage layer, which are of any type.
        raise InputError(
            f"the checkpoint of step {step} could not be written to {folder} ({_first_line(error)}); "
            "earlier ones are unchanged: make sure that the disk has space, and resume the run"
        ) from error


def steps(folder: str | Path) -> list[int]:
    """Return the steps of the checkpoints in a folder.

    Args:
        folder: folder of the checkpoints of one run; it may be missing.

    Returns:
        The steps in ascending order, including those of damaged and of incomplete checkpoints.

    Example:
        >>> steps("no such folder")
        []
    """
    if not Path(folder).is_dir():
        return []
    return sorted(int(entry.name) for entry in Path(folder).iterdir() if entry.name.isdecimal())


def completed(folder: str | Path) -> list[int]:
    """Return the steps of the complete checkpoints; the last one is incomplete if its process was killed.

    Args:
        folder: folder of the checkpoints of one run; it may be missing.

    Returns:
        The steps in ascending order.

    Example:
        >>> completed("no such folder")
        []
    """
    return [step for step in steps(folder) if (Path(folder) / str(step) / SUMS).is_file()]


def restore(folder: str | Path, like: State, *, until: int | None = None) -> Restored:
    """Read the newest complete checkpoint.

    Args:
        folder: folder of the checkpoints of one run. Nothing in it is changed.
        like: state of the same model, or only its shapes, as `jax.eval_shape` returns them.
        until: largest step that is considered; None for no limit.

    Returns:
        What was saved, and the newer checkpoints that are incomplete, damaged, or of another model.

    Raises:
        InputError: if no checkpoint can be used.

    Example:
        >>> restore("no such folder", like=None)
        Traceback (most recent call last):
            ...
        jaxgen.errors.InputError: there is no checkpoint in no such folder
    """
    from orbax import checkpoint as orbax

    expected = named_leaves(like)
    skipped: list[Skipped] = []
    with orbax.Checkpointer(orbax.CompositeCheckpointHandler()) as checkpointer:
        for step in reversed(steps(folder)):
            if until is not None and step > until:
                continue
            try:
                leaves, meta = _read(checkpointer, Path(folder).absolute() / str(step), expected)
            except _UnusableError as error:
                skipped.append(Skipped(step, str(error)))
                continue
            state = jax.tree.unflatten(jax.tree.structure(like), jax.device_put(leaves))
            return Restored(step, state, meta, tuple(skipped))
    if not skipped:
        raise InputError(f"there is no checkpoint in {folder}")
    raise InputError(f"no checkpoint in {folder} can be used: {'; '.join(map(str, skipped))}")


class _UnusableError(Exception):
    """The reason why a checkpoint cannot be used, a clause that follows "the checkpoint of step 100"."""


def _read(
    checkpointer: "Checkpointer", folder: Path, expected: Mapping[str, Any]
) -> tuple[list[np.ndarray], dict[str, Any]]:
    """Read one checkpoint: the leaves in the order of the expected ones, and the metadata."""
    from orbax.checkpoint import args

    try:
        # First, because Orbax prints tracebacks when it reads damaged files.
        _check_sums(folder)
        content = checkpointer.restore(
            folder, args=args.Composite(state=args.StandardRestore(), meta=args.JsonRestore())
        )
    except _UnusableError:
        raise
    except Exception as error:  # Of any type, for example because another process deletes the checkpoint.
        raise _UnusableError(f"cannot be read ({_first_line(error)})") from error
    if difference := first_difference(content.state, expected):
        raise _UnusableError(f"is of another model: {difference}")
    return [content.state[name] for name in expected], content.meta


def _sums(folder: Path) -> str:
    """Return one line per file of a checkpoint: its SHA-256 and its path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and SUMS not in path.name)
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}\n" for path in files
    )


def _check_sums(folder: Path) -> None:
    if not (folder / SUMS).is_file():
        raise _UnusableError("is incomplete")
    recorded = (folder / SUMS).read_text(errors="replace")
    if not re.fullmatch(r"([0-9a-f]{64}  .+\n)+", recorded):
        raise _UnusableError(f"is damaged: its {SUMS} changed after it was written")
    if changed := set(recorded.splitlines()) ^ set(_sums(folder).splitlines()):
        paths = sorted({line.partition("  ")[2] for line in changed})
        others = f" and {len(paths) - 1} other files" if len(paths) > 1 else ""
        raise _UnusableError(f"is damaged: its {paths[0]}{others} changed after it was written")


def _reserve(folder: Path, size: int) -> None:
    """Raise an error if the disk is full before Orbax writes, each of whose threads would print a traceback."""
    if hasattr(os, "posix_fallocate"):
        with tempfile.TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, size + 2**20)  # 1 MiB for metadata.


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
