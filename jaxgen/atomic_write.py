"""Atomic writes: after an interruption a file has its complete new content, or its previous content, or does not exist.

A process may be killed at any time and a disk may be full. The content is therefore written to a hidden file in the
same folder, which is then renamed.
"""

from pathlib import Path

from jaxgen.errors import InputError
from jaxgen.interruption import indivisible


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file atomically.

    Args:
        path: path of the file; an existing file is replaced.
        content: content of the file.

    Raises:
        InputError: if the disk is full or the folder is not writable.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_atomic(Path(folder) / "a", b"some bytes")
        ...     [(path.name, path.read_bytes()) for path in Path(folder).iterdir()]
        [('a', b'some bytes')]
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with indivisible():
            try:
                temporary.write_bytes(content)
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{path} could not be written: {error.strerror or error}") from error
