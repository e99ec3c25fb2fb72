"""Checkpoints of a run on disk, from which it can be continued. A checkpoint is complete or absent.

A checkpoint is written to a hidden folder and renamed when it is complete, so a process that is killed does not leave
an incomplete checkpoint. Damage to a file after that is found by checksums: those of all files are added last, and
`restore` uses the newest checkpoint whose files match their checksums.

    <folder>/<step>/state           the leaves of the state under their names, e.g. "params/encoder/Dense_0/kernel"
    <folder>/<step>/meta            metadata of the caller, as JSON
    <folder>/<step>/SHA256SUMS      checksums of all files, in the format of `sha256sum --check`
    <folder>/.<step>.new            a checkpoint that is being written
    <folder>/.<step>.old            a checkpoint that is being deleted

Only arrays and JSON are read; nothing is unpickled. A checkpoint may come from elsewhere: the types and sizes of its
files, and the shapes of its arrays, are looked at before they are read.
"""

import contextlib
import errno
import hashlib
import json
import logging
import math
import os
import re
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from jaxgen.errors import InputError
from jaxgen.game import State
from jaxgen.interruption import deferred
from jaxgen.paths import expand_path
from jaxgen.regular_files import open_regular, read_regular, regular_size
from jaxgen.training.leaves import first_difference, named_leaves

if TYPE_CHECKING:
    from orbax.checkpoint import Checkpointer

SUMS = "SHA256SUMS"

LARGEST_ADDITION = 64 * 2**20
"""Largest size in bytes of all that a checkpoint holds beside its arrays: 64 MiB, or the size of the arrays."""


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

    Returns when the checkpoint is complete on disk. It replaces a checkpoint of the same step, and those of later steps
    are deleted: they belong to a training that was continued from an earlier step. There is a complete checkpoint at
    every moment, if there was one before.

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

    folder = expand_path(folder).absolute()
    meta = json.loads(json.dumps(meta or {}))  # Metadata that are not JSON raise here, before anything is changed.
    leaves = named_leaves(jax.device_get(state))
    content = orbax.args.Composite(state=orbax.args.StandardSave(leaves), meta=orbax.args.JsonSave(meta))
    new = folder / f".{step}.new"
    try:
        # Otherwise the threads of Orbax would continue, and fail when the process ends.
        with deferred("a checkpoint is completed first"), _quiet():
            folder.mkdir(parents=True, exist_ok=True)
            _repair(folder)
            try:
                _reserve(folder, leaves)
                with orbax.Checkpointer(orbax.CompositeCheckpointHandler()) as checkpointer:
                    checkpointer.save(new, args=content)
                # Renamed when it is complete: a checkpoint with checksums has all of them.
                unnamed = new / f".{SUMS}.tmp"
                unnamed.write_text("".join(_sums(new)))
                unnamed.replace(new / SUMS)
            except BaseException:
                for incomplete in folder.glob(f"{new.name}*"):
                    shutil.rmtree(incomplete, ignore_errors=True)
                raise
            _delete(folder / str(step), replacement=new)
            known = steps(folder)
            for other in [*(later for later in known if later > step), *[k for k in known if k <= step][:-keep]]:
                _delete(folder / str(other))
    except Exception as error:  # Orbax does not catch the errors of its storage layer, which are of any type.
        raise InputError(
            f"the checkpoint of step {step} could not be written to {folder} ({_reason(error)}); "
            "earlier ones are unchanged: make sure that the disk has space, and resume the run"
        ) from error


def _delete(checkpoint: Path, replacement: Path | None = None) -> None:
    """Delete a checkpoint, if it exists, at once; and put another one in its place."""
    old = checkpoint.with_name(f".{checkpoint.name}.old")
    if checkpoint.exists():
        checkpoint.replace(old)
    if replacement is not None:
        replacement.replace(checkpoint)
    shutil.rmtree(old, ignore_errors=True)


def _repair(folder: Path) -> None:
    """Complete or delete what a process that was killed has begun."""
    for step, path in _checkpoints(folder).items():
        if path.name != str(step):
            path.replace(folder / str(step))
    for path in folder.iterdir():
        if re.fullmatch(r"\.\d+\.(new|old)(\.orbax-checkpoint-tmp.*)?", path.name):
            shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Let Orbax and its threads not print the errors that they raise as well."""
    logger = logging.getLogger("absl")
    level, hooks = logger.level, (threading.excepthook, sys.excepthook)
    logger.setLevel(logging.CRITICAL + 1)
    threading.excepthook = lambda *_: None
    sys.excepthook = lambda *_: None  # Of threads that are not Python's.
    try:
        yield
    finally:
        logger.setLevel(level)
        threading.excepthook, sys.excepthook = hooks


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
    return sorted(_checkpoints(expand_path(folder)))


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
    return sorted(step for step, path in _checkpoints(expand_path(folder)).items() if (path / SUMS).is_file())


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
        for step, path in sorted(_checkpoints(expand_path(folder).absolute()).items(), reverse=True):
            if until is not None and step > until:
                continue
            try:
                leaves, meta = _read(checkpointer, path, step, expected)
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


def _checkpoints(folder: Path) -> dict[int, Path]:
    """Step -> folder of its checkpoint, complete or not."""
    if not folder.is_dir():
        return {}
    found = {int(path.name): path for path in folder.iterdir() if re.fullmatch(r"[0-9]{1,18}", path.name)}
    for path in folder.glob(".*.new"):  # Its process was killed after it had renamed the one that this one replaces.
        if re.fullmatch(r"\.[0-9]{1,18}\.new", path.name) and (path / SUMS).is_file():
            found.setdefault(int(path.name[1:-4]), path)
    return found


def _read(
    checkpointer: "Checkpointer", folder: Path, step: int, expected: Mapping[str, Any]
) -> tuple[list[np.ndarray], dict[str, Any]]:
    """Read one checkpoint: the leaves in the order of the expected ones, and the metadata."""
    from orbax import checkpoint as orbax

    try:
        # First, because Orbax prints tracebacks when it reads damaged files.
        _check_files(folder, expected)
        _check_sums(folder)
        with _quiet():
            stored = orbax.StandardCheckpointHandler().metadata(folder / "state").tree
            if difference := first_difference(stored, expected):
                raise _UnusableError(f"is of another model: {difference}")
            arguments = orbax.args.Composite(state=orbax.args.StandardRestore(), meta=orbax.args.JsonRestore())
            content = checkpointer.restore(folder, args=arguments)
    except _UnusableError:
        raise
    except Exception as error:  # Of any type, for example because another process deletes the checkpoint.
        raise _UnusableError(f"cannot be read ({_reason(error)})") from error
    if not isinstance(content.meta, dict):
        raise _UnusableError("is damaged: its metadata must be a mapping of names to values")
    if (found := int(content.state["step"])) != step:
        raise _UnusableError(f"is damaged: its state is of step {found}")
    return [content.state[name] for name in expected], content.meta


def _check_files(folder: Path, expected: Mapping[str, Any]) -> None:
    """Check that all files are regular ones, and together not much larger than the arrays."""
    arrays = sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in expected.values())
    size = 0
    for path in folder.rglob("*"):
        of_file = regular_size(path, follow_links=False)
        if of_file is not None:
            size += of_file
        elif path.is_symlink() or not path.is_dir():
            raise _UnusableError(f"is damaged: its {path.relative_to(folder).as_posix()} is not a regular file")
    if size > (largest := arrays + max(arrays, LARGEST_ADDITION)):
        raise _UnusableError(f"is damaged: its files have {size} bytes, for this model at most {largest}")


def _sums(folder: Path) -> Iterator[str]:
    """Return one line per file of a checkpoint: its SHA-256 and its path."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and SUMS not in path.name):
        with open_regular(path) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        yield f"{digest}  {path.relative_to(folder).as_posix()}\n"


def _check_sums(folder: Path) -> None:
    if not (folder / SUMS).is_file():
        raise _UnusableError("is incomplete")
    recorded = read_regular(folder / SUMS).decode(errors="replace")
    if not re.fullmatch(r"([0-9a-f]{64}  .+\n)+", recorded):
        raise _UnusableError(f"is damaged: its {SUMS} changed after it was written")
    if changed := set(recorded.splitlines(keepends=True)) ^ set(_sums(folder)):
        paths = sorted({line.strip().partition("  ")[2] for line in changed})
        others = f" and {len(paths) - 1} other files" if len(paths) > 1 else ""
        raise _UnusableError(f"is damaged: its {paths[0]}{others} changed after it was written")


def _reserve(folder: Path, leaves: Mapping[str, Any]) -> None:
    """Raise an error if the disk is full before Orbax writes, whose threads would wait for each other then."""
    if hasattr(os, "posix_fallocate"):
        with tempfile.TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, sum(leaf.nbytes for leaf in leaves.values()) + 2**20)  # For metadata.
    if hasattr(os, "statvfs"):
        disk, files = os.statvfs(folder), 2 * len(leaves) + 32
        if disk.f_files and disk.f_favail < files:
            raise OSError(errno.ENOSPC, f"the disk has room for {disk.f_favail} more files, and {files} may be needed")


def _reason(error: Exception) -> str:
    """The reason of the operating system, which may be within a longer message, or the first line of the message."""
    message = getattr(error, "strerror", None) or str(error)
    found = re.search(r"No space left on device|Disk quota exceeded|File too large", message)
    return found[0] if found else message.partition("\n")[0] or type(error).__name__
