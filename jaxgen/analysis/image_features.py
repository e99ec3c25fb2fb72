"""Features of the images of a data set or of samples, in parts; those of data sets are cached on disk by content."""

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import jax
import numpy as np
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from jaxgen.atomic_write import write_atomic
from jaxgen.data import Stream, count_examples, example
from jaxgen.errors import InputError
from jaxgen.metrics.extractors import Extracted, Extractor
from jaxgen.metrics.protocol import choice
from jaxgen.paths import cache_folder
from jaxgen.regular_files import read_regular
from jaxgen.typing import AnyArray, Batch, Shaped

Progress = Callable[[int, int], None]
"""Function of the number of images whose features are computed, from 0 on, and of all images."""

READ_AT_ONCE = 1024
"""Number of images that are read, and given to the extractor, at once."""

LARGEST_CACHE = 4 * 2**30
"""Largest size of the cache in bytes: Inception's features and logits of seven sets of 50,000 images. The oldest go."""

VERSION = 1
"""Version of what extractors compute; a change of a network or a resizer needs another one, which no file has."""


def no_progress(done: int, count: int) -> None:
    """Show nothing."""


def features_of_parts(
    extractor: Extractor,
    parts: Iterable[Shaped[AnyArray, "n height width channels"]],
    *,
    count: int,
    progress: Progress = no_progress,
) -> Extracted:
    """Compute features and logits of images that come in parts.

    Args:
        extractor: extractor of the features.
        parts: successive images: bytes, or floats, of which values outside of [0, 1] are clipped as a file would be.
        count: number of all images.
        progress: called before the first part and after each.

    Returns:
        Features and logits of all images.

    Raises:
        InputError: if images do not fit the extractor, or are not finite.
    """
    return _of_parts(extractor, map(_clipped, parts), count, progress)


def _clipped(part: Shaped[AnyArray, "n height width channels"]) -> np.ndarray:
    images = np.asarray(part)
    if images.dtype == np.uint8:
        return images
    if not np.isfinite(images).all():
        raise InputError("samples must be finite, got NaN or infinite values: the model has diverged")
    return np.clip(images, 0, 1)


def _of_parts(extractor: Extractor, parts: Iterable[np.ndarray], count: int, progress: Progress) -> Extracted:
    whole: Extracted | None = None
    done = 0
    progress(done, count)
    for images in parts:
        found = extractor(images)
        if whole is None:  # Written in place: lists of parts would need the memory twice.
            whole = Extracted(*(np.empty((count, array.shape[1]), np.float32) for array in found))
        for array, values in zip(whole, found, strict=True):
            array[done : done + len(images)] = values
        done += len(images)
        progress(done, count)
    assert whole is not None
    assert done == count
    return whole


def features_of_data(
    extractor: Extractor, data: Batch | Stream, *, progress: Progress = no_progress, folder: Path | None = None
) -> Extracted:
    """Compute features and logits of all images of a data set, or read them from the cache.

    Args:
        extractor: extractor of the features.
        data: images in memory, or a stream of them.
        progress: called before the first part that is computed and after each.
        folder: folder of the cache; `$XDG_CACHE_HOME/jaxgen/features` where it is None.

    Returns:
        Features and logits of all images. The cache is used where it holds those of the same images, the same extractor
        and the same weights; a file that is damaged or cannot be written costs the computation and nothing else.

    Raises:
        InputError: if the data are not images, or do not fit the extractor.

    Example:
        >>> import tempfile
        >>> from jaxgen.data import load
        >>> from jaxgen.metrics.extractors import load_extractor
        >>> data = load("digits", split="test")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     found = features_of_data(load_extractor("digits_v1"), data, folder=Path(folder))
        ...     found.features.shape, len(list(Path(folder).iterdir()))
        ((360, 96), 1)
    """
    if not isinstance(data, Stream) and "image" not in data:
        raise InputError("metrics of features are of images, and these data are points")
    count = count_examples(data)
    shape = (count, *example(data)["image"].shape[1:])
    extractor.check(shape)
    with contextlib.suppress(RuntimeError):  # There is no home folder.
        folder = folder or cache_folder("features")
    path = None if folder is None else folder / f"{_digest(extractor, data, shape)}.safetensors"
    cached = None if path is None else _read(path)
    if cached is not None:
        return cached
    found = _of_parts(extractor, map(np.asarray, _parts(data)), count, progress)
    if path is not None:
        _write(path, found)
    return found


def reference_name(name: str, images: Batch | Stream | None = None, image_size: int | None = None) -> str:
    """Return the name of real images in a protocol.

    Args:
        name: data set and split, as `mnist:train`, or the name of a folder or a file.
        images: the images, where the name does not determine them: eight digits of their digest are appended.
        image_size: height and width in pixels to which they were scaled; None where they were not.

    Returns:
        The name.

    Example:
        >>> reference_name("cifar10:train", image_size=16)
        'cifar10:train@16'
        >>> reference_name("my images", {"image": np.zeros((1, 2, 2, 1), np.uint8)})
        'my-images#d7634110'
    """
    digest = "" if images is None else f"#{content_digest(images)[:8]}"
    return f"{choice(name)}{'' if image_size is None else f'@{image_size}'}{digest}"


def content_digest(data: Batch | Stream) -> str:
    """Return the SHA-256 of all images of a data set.

    Args:
        data: images in memory, or a stream of them.

    Returns:
        The digest in hexadecimal digits; equal for equal arrays.
    """
    hashed = hashlib.sha256()
    if isinstance(data, Stream):
        for digest in data.digests()[0]:
            hashed.update(digest)
    else:
        images = np.asarray(data["image"])
        hashed.update(f"{images.dtype} {images.shape}".encode())
        hashed.update(_bytes(images))
    return hashed.hexdigest()


def _parts(data: Batch | Stream) -> Iterator[AnyArray]:
    if isinstance(data, Stream):
        yield from (batch["image"] for batch in data.in_order(READ_AT_ONCE))
    else:
        for first in range(0, len(data["image"]), READ_AT_ONCE):
            yield data["image"][first : first + READ_AT_ONCE]


def _digest(extractor: Extractor, data: Batch | Stream, shape: tuple[int, ...]) -> str:
    """The SHA-256 of everything on which the features depend."""
    what = f"{VERSION} {extractor.name} {extractor.options} {extractor.resizer} {shape} {content_digest(data)}"
    hashed = hashlib.sha256(what.encode())
    for array in jax.tree.leaves(extractor.params):
        hashed.update(_bytes(array))
    return hashed.hexdigest()


def _bytes(array: AnyArray) -> memoryview:
    """The bytes of an array, also of a dtype that Python's buffers do not have, such as bfloat16."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _checksum(extracted: Extracted) -> np.ndarray:
    """The SHA-256 of features and logits, which finds damage that is not in the shape of a file."""
    return np.frombuffer(hashlib.sha256(b"".join(map(_bytes, extracted))).digest(), np.uint8)


def _read(path: Path) -> Extracted | None:
    """The features in a file of the cache; None where there is none, or it is damaged."""
    try:
        found = load_tensors(read_regular(path, largest=LARGEST_CACHE))
        path.touch()  # The oldest files are deleted first.
        extracted = Extracted(found["features"], found["logits"])
        undamaged = np.array_equal(found["sha256"], _checksum(extracted))
    except Exception:  # safetensors raises an exception of its own, which has no public name, for damaged files.
        return None
    return extracted if undamaged else None


def _write(path: Path, found: Extracted) -> None:
    """Write a file of the cache and delete the oldest ones, if the folder can be written."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        arrays = {**found._asdict(), "sha256": _checksum(found)}
        write_atomic(path, save_tensors({name: np.ascontiguousarray(array) for name, array in arrays.items()}))
        # With the hidden files that killed processes have left.
        files = sorted(path.parent.glob("*.safetensors*"), key=lambda file: file.stat().st_mtime)
        excess = sum(file.stat().st_size for file in files) - LARGEST_CACHE
        for file in files[:-1]:
            if excess <= 0:
                break
            excess -= file.stat().st_size
            file.unlink(missing_ok=True)
    except (OSError, InputError):  # A full disk, or a folder that is not writable.
        return
