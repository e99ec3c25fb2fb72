"""Checkpoints: what a run needs to go on, on disk, either whole or not there.

Orbax writes a checkpoint beside its final place and renames it when it is complete, so a process that is killed leaves
no half-written one behind. Whether a file was damaged afterwards no renaming can tell: the sums of all files are added
last, and `restore` takes the newest checkpoint whose files still have their sums.

    <folder>/<step>/state           the leaves of the state under their names, e.g. "params/encoder/Dense_0/kernel"
    <folder>/<step>/meta            what the caller added, as JSON
    <folder>/<step>/SHA256SUMS      of all files, as `sha256sum --check` takes it

Arrays and JSON are all that is ever read: nothing is unpickled.
"""

import contextlib
import hashlib
import json
import os
import re
import signal
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from jaxgen.errors import InputError
from jaxgen.game import State
from jaxgen.typing import PyTree

if TYPE_CHECKING:
    from orbax.checkpoint import Checkpointer

SUMS = "SHA256SUMS"


class Skipped(NamedTuple):
    """A checkpoint that could not be used.

    Attributes:
        step: of the checkpoint.
        reason: why not.
    """

    step: int
    reason: str

    def __str__(self) -> str:
        """Say it in one clause."""
        return f"the checkpoint of step {self.step} {self.reason}"


class Restored(NamedTuple):
    """What `restore` found.

    Attributes:
        step: turns played when it was saved.
        state: as it was saved, bit by bit.
        meta: what was saved beside it.
        skipped: newer checkpoints that could not be used, the newest first.
    """

    step: int
    state: State
    meta: dict[str, Any]
    skipped: tuple[Skipped, ...]


def save(folder: str | Path, step: int, state: State, *, meta: Mapping[str, Any] | None = None, keep: int = 3) -> None:
    """Write a checkpoint, then delete all but the newest few.

    Returns when the checkpoint is complete on disk. Checkpoints of the same or of later steps are deleted first: they
    belong to a future from which the run went back.

    Args:
        folder: of the checkpoints of one run; made where it does not exist.
        step: turns played.
        state: of one run or, with a leading axis, of several.
        meta: to keep beside the state; anything that JSON can hold, and it comes back as JSON gives it (keys are
            strings, sequences are lists).
        keep: how many checkpoints to keep, at least 1.

    Raises:
        InputError: if the disk is full or the folder cannot be written. Earlier checkpoints are untouched.

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
    meta = json.loads(json.dumps(meta or {}))  # What is not JSON fails here, before anything is touched.
    leaves = _named_leaves(jax.device_get(state))
    content = orbax.args.Composite(state=orbax.args.StandardSave(leaves), meta=orbax.args.JsonSave(meta))
    options = orbax.CheckpointManagerOptions(enable_async_checkpointing=False, cleanup_tmp_directories=True)
    try:
        with _interrupts_wait(), orbax.CheckpointManager(folder, options=options) as manager:
            _reserve(folder, sum(leaf.nbytes for leaf in leaves.values()))
            for later in [known for known in manager.all_steps() if known >= step]:
                manager.delete(later)
            manager.save(step, args=content, force=True)
            checkpoint = folder / str(step)
            # Renamed into place: a checkpoint with sums has all of them.
            unnamed = checkpoint / f".{SUMS}.tmp"
            unnamed.write_text(_sums(checkpoint))
            unnamed.replace(checkpoint / SUMS)
            # Only now: with keep=1 there must be a whole checkpoint at every moment.
            for old in sorted(manager.all_steps())[:-keep]:
                manager.delete(old)
    except Exception as error:  # Orbax lets through what its storage layer raises, of whatever type.
        raise InputError(
            f"the checkpoint of step {step} could not be written to {folder} ({_first_line(error)}); "
            "earlier ones are untouched: see that there is room and resume"
        ) from error


@contextlib.contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Let Ctrl-C wait until a checkpoint is written: Orbax's own threads would go on, and fail as the process ends."""
    before = signal.getsignal(signal.SIGINT)
    if before is None or threading.current_thread() is not threading.main_thread():
        yield  # Only the main thread is interrupted, and only it may say what happens then.
        return
    interrupts: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: interrupts.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if interrupts:
        signal.raise_signal(signal.SIGINT)


def steps(folder: str | Path) -> list[int]:
    """The steps of the checkpoints in a folder, in ascending order.

    Args:
        folder: of the checkpoints of one run; it may be missing.

    Returns:
        The steps, those of damaged checkpoints and of those that were never completed too.

    Example:
        >>> steps("no such folder")
        []
    """
    if not Path(folder).is_dir():
        return []
    return sorted(int(entry.name) for entry in Path(folder).iterdir() if entry.name.isdecimal())


def completed(folder: str | Path) -> list[int]:
    """The steps of the checkpoints that were written to the end: a process may have been killed in the last one.

    Args:
        folder: of the checkpoints of one run; it may be missing.

    Returns:
        The steps, in ascending order.

    Example:
        >>> completed("no such folder")
        []
    """
    return [step for step in steps(folder) if (Path(folder) / str(step) / SUMS).is_file()]


def restore(folder: str | Path, like: State, *, until: int | None = None) -> Restored:
    """Read the newest checkpoint that is whole.

    Args:
        folder: of the checkpoints of one run. Nothing in it is changed.
        like: a state of the same model, or its shapes alone as `jax.eval_shape` gives them.
        until: the last step that is considered, of an earlier state; all of them where nothing is given.

    Returns:
        What was saved, and which newer checkpoints were skipped because they are cut, damaged, or of another model.

    Raises:
        InputError: if no checkpoint can be used.

    Example:
        >>> restore("no such folder", like=None)
        Traceback (most recent call last):
            ...
        jaxgen.errors.InputError: there is no checkpoint in no such folder
    """
    from orbax import checkpoint as orbax

    expected = _named_leaves(like)
    skipped: list[Skipped] = []
    with orbax.Checkpointer(orbax.CompositeCheckpointHandler()) as reader:
        for step in reversed(steps(folder)):
            if until is not None and step > until:
                continue
            try:
                leaves, meta = _read(reader, Path(folder).absolute() / str(step), expected)
            except _UnusableError as error:
                skipped.append(Skipped(step, str(error)))
                continue
            state = jax.tree.unflatten(jax.tree.structure(like), jax.device_put(leaves))
            return Restored(step, state, meta, tuple(skipped))
    if not skipped:
        raise InputError(f"there is no checkpoint in {folder}")
    raise InputError(f"no checkpoint in {folder} can be used: {'; '.join(map(str, skipped))}")


class _UnusableError(Exception):
    """Why a checkpoint cannot be used; goes on from "the checkpoint of step 100"."""


def _read(reader: "Checkpointer", folder: Path, expected: Mapping[str, Any]) -> tuple[list[np.ndarray], dict[str, Any]]:
    """Read one checkpoint: the leaves in the order of those expected, and the caller's meta."""
    from orbax.checkpoint import args

    try:
        # First, because the readers of damaged files fail in ways of their own, and noisily.
        _check_sums(folder)
        content = reader.restore(folder, args=args.Composite(state=args.StandardRestore(), meta=args.JsonRestore()))
    except _UnusableError:
        raise
    except Exception as error:  # Of whatever type, such as when another process deletes the checkpoint meanwhile.
        raise _UnusableError(f"cannot be read ({_first_line(error)})") from error
    if difference := _difference(content.state, expected):
        raise _UnusableError(f"is of another model: {difference}")
    return [content.state[name] for name in expected], content.meta


def _sums(folder: Path) -> str:
    """One line per file of a checkpoint: its SHA-256 and its path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and SUMS not in path.name)
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}\n" for path in files
    )


def _check_sums(folder: Path) -> None:
    if not (folder / SUMS).is_file():
        raise _UnusableError("was never completed")
    recorded = (folder / SUMS).read_text(errors="replace")
    if not re.fullmatch(r"([0-9a-f]{64}  .+\n)+", recorded):
        raise _UnusableError(f"is damaged: its {SUMS} changed after it was written")
    if changed := set(recorded.splitlines()) ^ set(_sums(folder).splitlines()):
        paths = sorted({line.partition("  ")[2] for line in changed})
        others = f" and {len(paths) - 1} other files" if len(paths) > 1 else ""
        raise _UnusableError(f"is damaged: its {paths[0]}{others} changed after it was written")


def _difference(leaves: Mapping[str, np.ndarray], expected: Mapping[str, Any]) -> str | None:
    """Say in what the leaves of a checkpoint differ from those of a model; None if in nothing."""
    if missing := sorted(expected.keys() - leaves.keys()):
        return f"it has no {missing[0]}"
    if surplus := sorted(leaves.keys() - expected.keys()):
        return f"it has {surplus[0]}, which this one has not"
    for name, leaf in expected.items():
        held = leaves[name]
        if (held.shape, held.dtype) != (leaf.shape, leaf.dtype):
            return f"its {name} is {held.dtype} {held.shape}, not {leaf.dtype} {leaf.shape}"
    return None


def _named_leaves(state: PyTree) -> dict[str, Any]:
    """Name of a leaf -> the leaf: flat, so that a checkpoint does not depend on how optax nests its states."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(state)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def _reserve(folder: Path, size: int) -> None:
    """Find out that the disk is full before Orbax does, whose writing threads print a traceback each."""
    if hasattr(os, "posix_fallocate"):
        with tempfile.TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, size + 2**20)  # The rest is for metadata.


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
