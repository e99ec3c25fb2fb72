"""Published weights of networks: a file that the user has is checked, converted once, and kept in a folder.

    jaxgen metrics weights inception --from pt_inception-2015-12-05-6726825d.pth

The folder is `$JAXGEN_WEIGHTS`, or `$XDG_CACHE_HOME/jaxgen/weights`, or `~/.cache/jaxgen/weights`. It holds
`NAME.safetensors`, the arrays of the network as `jaxgen.nn` has them, and `NAME.json`, the manifest: where they are
from, and the SHA-256 of both files, which is compared whenever the arrays are loaded.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load, save

from jaxgen.array_files.torch_file import read_torch_file
from jaxgen.atomic_write import open_atomic, write_atomic
from jaxgen.errors import InputError
from jaxgen.paths import cache_folder, expand_path
from jaxgen.regular_files import open_regular, read_regular

MAX_MANIFEST = 2**16
"""Largest size of a manifest in bytes."""

LARGEST = 2**30
"""Largest size of a file of weights in bytes."""

DOWNLOAD_TIMEOUT = 30
"""Time in seconds after which a server that sends nothing is given up."""


@dataclass(frozen=True, kw_only=True)
class PublishedWeights:
    """Weights that a project has published in one file.

    Attributes:
        name: name of the network in the command line and in the folder.
        files: names under which the file is published.
        sha256: SHA-256 of the file, hexadecimal; or its first digits, where no more of them are published.
        url: where it is published.
        convert: names and arrays of the file -> names and arrays of the network, "module/module/kernel".
    """

    name: str
    files: tuple[str, ...]
    sha256: str
    url: str
    convert: Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]

    @property
    def how(self) -> str:
        """What the user does to install the weights, for error messages."""
        return f"fetch {self.url} and run: jaxgen metrics weights {self.name} --from {self.files[0]}"


def weights_folder() -> Path:
    """Return the folder of converted weights, which need not exist.

    Returns:
        `$JAXGEN_WEIGHTS` if it is set, else `weights` in the folder of caches.

    Raises:
        InputError: if there is no home folder to put it into.

    Example:
        >>> weights_folder().is_absolute()
        True
    """
    if chosen := os.environ.get("JAXGEN_WEIGHTS"):
        return expand_path(chosen).absolute()
    try:
        return cache_folder("weights")
    except RuntimeError as error:
        raise InputError(
            f"JAXGEN_WEIGHTS must name a folder for weights, as there is no home folder: {error}"
        ) from error


def install_weights(weights: PublishedWeights, source: Path) -> Path:
    """Check a file of published weights and convert it into the folder of weights.

    Args:
        weights: which weights.
        source: path of the file, under any name.

    Returns:
        Path of the converted file.

    Raises:
        InputError: if the file is not the published one, or the folder cannot be written.
        OSError: if the file cannot be read.
    """
    source = expand_path(source)
    if not (found := file_sha256(source)).startswith(weights.sha256):
        digits = weights.sha256 if len(weights.sha256) == len(found) else f"{weights.sha256}..."
        raise InputError(
            f"{source} must be {' or '.join(weights.files)}, with the SHA-256 {digits}, got {found}: {weights.how}"
        )
    arrays = weights.convert(read_torch_file(source))
    _make_folder()
    for name in arrays:  # One after the other: all copies together are as large as the weights.
        arrays[name] = np.ascontiguousarray(arrays[name])
    content = save(arrays)
    manifest = {
        "name": weights.name,
        "source": weights.url,
        "source_sha256": found,
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    path, manifest_path = _paths(weights)
    write_atomic(path, content)
    write_atomic(manifest_path, (json.dumps(manifest, indent=2) + "\n").encode())
    return path


def download_weights(weights: PublishedWeights) -> Path:
    """Download a file of published weights, check it, and convert it into the folder of weights.

    Args:
        weights: which weights.

    Returns:
        Path of the converted file.

    Raises:
        InputError: if there is no network, the server does not have the file, or it is not the published one.
    """
    import http.client
    import urllib.request

    temporary = _make_folder() / f".{weights.files[0]}.download"
    try:
        with (
            urllib.request.urlopen(weights.url, timeout=DOWNLOAD_TIMEOUT) as response,
            open_atomic(temporary) as file,
        ):
            shutil.copyfileobj(response, file)
    except (OSError, http.client.HTTPException) as error:
        raise InputError(
            f"{weights.url} could not be downloaded ({getattr(error, 'reason', None) or error}): on a machine with a "
            f"network {weights.how}"
        ) from error
    try:
        return install_weights(weights, temporary)
    finally:
        temporary.unlink(missing_ok=True)


def is_installed(weights: PublishedWeights) -> bool:
    """Return whether weights are installed, so that `load_weights` can load them.

    Args:
        weights: which weights.

    Returns:
        Whether the converted file and its manifest are there; they are checked when they are loaded.
    """
    return all(path.is_file() for path in _paths(weights))


def load_weights(weights: PublishedWeights) -> dict[str, np.ndarray]:
    """Load installed weights.

    Args:
        weights: which weights.

    Returns:
        Names and arrays of the network.

    Raises:
        InputError: if they are not installed, or have changed since; the message says how to install them.
    """
    path, manifest_path = _paths(weights)
    try:
        manifest = json.loads(read_regular(manifest_path, largest=MAX_MANIFEST))
        content = read_regular(path, largest=LARGEST)
    except FileNotFoundError:
        raise InputError(
            f"the weights of {weights.name} must be installed in {path.parent}, got none: {weights.how}"
        ) from None
    except (ValueError, RecursionError, OSError) as error:
        raise InputError(f"{manifest_path} and {path.name} must be readable, got: {error}; {weights.how}") from error
    known = isinstance(manifest, dict) and str(manifest.get("source_sha256")).startswith(weights.sha256)
    if not known or manifest.get("sha256") != hashlib.sha256(content).hexdigest():
        raise InputError(f"{path} must have the SHA-256 that {manifest_path.name} states, got another: {weights.how}")
    return load(content)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a regular file, hexadecimal.

    Args:
        path: path of the file.

    Returns:
        64 digits.

    Raises:
        InputError: if it is not a regular file.
        OSError: if it cannot be read.

    Example:
        >>> file_sha256(Path("/dev/null"))
        Traceback (most recent call last):
        jaxgen.errors.InputError: /dev/null must be a regular file
    """
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _make_folder() -> Path:
    """Make the folder of weights and return it."""
    folder = weights_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"the folder of weights {folder} could not be made: {error.strerror or error}; JAXGEN_WEIGHTS chooses "
            "another"
        ) from error
    return folder


def _paths(weights: PublishedWeights) -> tuple[Path, Path]:
    """Return the paths of the converted file and of its manifest."""
    folder = weights_folder()
    return folder / f"{weights.name}.safetensors", folder / f"{weights.name}.json"
