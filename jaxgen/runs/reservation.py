"""The folder of a run belongs to one process while it trains."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import filelock

from jaxgen.errors import DivergenceError, InputError
from jaxgen.interruption import on_leaving
from jaxgen.runs.listing import LOCK
from jaxgen.runs.outputs import check_writable, make_folder
from jaxgen.training.checkpoint import completed, steps


def check_folder(folder: Path, *, resume: bool) -> None:
    """Check that a run can be stored in a folder.

    Args:
        folder: run folder.
        resume: whether a run in it is resumed.

    Raises:
        InputError: if it is a file, has content and no run is resumed, or cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file, and a run is stored in a folder: give another --out")
    if not resume and folder.exists() and not is_new(folder):
        raise InputError(f"{folder} exists: give another --out, or --resume to resume the run in it")
    check_writable(folder)


def is_new(folder: Path) -> bool:
    """Return whether an existing folder has nothing but what a killed process may have left of a new run.

    Args:
        folder: folder of a run.

    Returns:
        Whether a new run can be stored in it.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     (Path(folder) / LOCK).touch()
        ...     is_new(Path(folder))
        True
    """
    return all(_is_leftover(path) for path in folder.iterdir())


@contextlib.contextmanager
def reserved(folder: Path, *, resume: bool) -> Iterator[None]:
    """Lock a folder for this process; the operating system releases the lock when the process ends in any way.

    A new run that ends without anything to be resumed is deleted.

    Args:
        folder: run folder, which is made where there is none.
        resume: whether a run in it is resumed.

    Raises:
        InputError: if another process has locked it, it cannot be locked, or `check_folder` refuses it.
    """
    made = not folder.exists()
    make_folder(folder)
    lock = filelock.FileLock(folder / LOCK)
    try:
        held = lock.acquire(timeout=0)
    except filelock.Timeout:
        raise InputError(f"{folder} is in use by another process: wait for it, or give another --out") from None
    except OSError as error:
        raise InputError(
            f"{folder / LOCK} cannot be locked ({error.strerror}): remove it, or give another --out"
        ) from None
    with held:
        # Again: another process may have trained in the folder since it was looked at.
        check_folder(folder, resume=resume)
        locked = (folder / LOCK).stat()

        def delete_unless_resumable() -> bool:
            log = folder / "metrics.jsonl"
            if resume or completed(folder / "checkpoints") or (log.is_file() and log.stat().st_size):
                return True
            # If the folder was removed since, one of the same name is not this process's.
            with contextlib.suppress(OSError):
                if os.path.samestat(locked, (folder / LOCK).stat()):
                    _delete(folder, itself=made)
            return False

        try:
            with on_leaving(delete_unless_resumable):
                yield
        except DivergenceError:  # The training itself failed: config.json is needed to find out why.
            raise
        except BaseException:
            delete_unless_resumable()
            raise


def check_present(folder: Path) -> None:
    """Check that the files of a run were not removed while it trains.

    Args:
        folder: run folder.

    Raises:
        InputError: if its config or its log is missing.
    """
    for name in ("config.json", "metrics.jsonl"):
        if not (folder / name).is_file():
            raise InputError(
                f"{folder / name} was removed while the run was training, and the run is of no use without it: leave "
                "the folder of a run to it"
            )


def _is_leftover(path: Path) -> bool:
    """Whether a file or folder may be left of a new run whose process was killed, and is nothing without the others."""
    if path.is_dir() and not path.is_symlink():
        if path.name == "tensorboard":
            return all(inside.name.startswith("events.out.tfevents.") for inside in path.iterdir())
        if path.name == "checkpoints":
            return not steps(path)
        return path.name == "samples" and not any(path.iterdir())
    return path.name in (LOCK, "metrics.jsonl", ".config.json.tmp", ".metrics.jsonl.tmp")


def _delete(folder: Path, *, itself: bool) -> None:
    """Delete a folder, or only what is in it."""
    if itself:
        shutil.rmtree(folder, ignore_errors=True)
        return
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
