"""Files that are there whole, or as they were before, or not at all.

A process may be killed at any moment and a disk may be full, so nothing is written in place: the content goes to a
hidden file in the same folder, which then takes the name.
"""

from pathlib import Path

from jaxgen.errors import InputError


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all.

    Args:
        path: of the file; what is there is replaced.
        content: of the file.

    Raises:
        InputError: if the disk is full or the folder cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_atomic(Path(folder) / "a", b"some bytes")
        ...     [(path.name, path.read_bytes()) for path in Path(folder).iterdir()]
        [('a', b'some bytes')]
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        try:
            temporary.write_bytes(content)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{path} could not be written: {error.strerror or error}") from error
