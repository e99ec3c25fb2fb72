"""Loading of data sets: `load(name_or_path)` returns a dict of arrays, or a stream if they do not fit in memory.

- digits, mnist_small: bundled (`jaxgen.data.digits`)
- shapes: images of shapes with known factors, rendered when they are loaded (`jaxgen.data.shapes`)
- ring, grid, curve, ...: points drawn with a key from a known density (`jaxgen.data.synthetic`)
- stacked_digits, stacked_mnist: three digits as the colour channels of one image (`jaxgen.data.stacked`)
- binary_digits, binary_mnist: every pixel drawn once to be black or white (`jaxgen.data.binarized`)
- mnist, fashion_mnist, kmnist, cifar10: read from the original files, or as prepared by tensorflow-datasets
- any other tensorflow-datasets name: as prepared by tensorflow-datasets
- a folder: images of the user, whose subfolders are classes or splits (`jaxgen.data.image_folder`)
- an .npz or .csv file: images or points of the user (`jaxgen.data.own_arrays`)
"""

import os
import stat
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import jax
import numpy as np

from jaxgen._signatures import checked
from jaxgen.data.binarized import BINARY, binarized
from jaxgen.data.image_folder import folder_splits
from jaxgen.data.image_size import resize_all
from jaxgen.data.included import INCLUDED, INCLUDED_CLASS_NAMES
from jaxgen.data.originals import CHECKSUMS, CLASS_NAMES, has_originals, read_original
from jaxgen.data.own_arrays import SUFFIXES, array_splits
from jaxgen.data.prepared import open_prepared
from jaxgen.data.prepared_folders import default_data_dir, find_prepared
from jaxgen.data.stacked import STACKED, STACKED_EXAMPLES, StackedDigits
from jaxgen.data.streaming import ArraySource, Source, Stream, read_all, read_or_stream
from jaxgen.data.synthetic import SYNTHETIC
from jaxgen.errors import InputError, shortened, suggest
from jaxgen.memory import bytes_of, check_memory
from jaxgen.paths import expand_path
from jaxgen.typing import Array, KeyArray

Data: TypeAlias = dict[str, np.ndarray] | Stream
"""Arrays with the examples along the leading axis, or a stream of such batches."""

Notify = Callable[[str], None]
"""Function that shows one line to the user."""

SPLITS = ("train", "test", "validation")

SYNTHETIC_EXAMPLES = {"train": 100_000, "test": 10_000}
"""Default number of points of each split."""


class Dataset(NamedTuple):
    """Entry of the list of data sets that `jaxgen list` prints.

    Attributes:
        description: description in one line.
        synthetic: whether the examples are drawn from a known density instead of read from files.
    """

    description: str
    synthetic: bool = False


DATASETS: dict[str, Dataset] = {
    "digits": Dataset("1,797 handwritten digits, 8x8 grey, bundled"),
    "mnist_small": Dataset("7,000 handwritten digits of MNIST, 28x28 grey, bundled"),
    "shapes": Dataset("24,576 images of shapes with 5 known factors (size, position, ...), 32x32 grey"),
    "mnist": Dataset("70,000 handwritten digits, 28x28 grey"),
    "fashion_mnist": Dataset("70,000 pieces of clothing in 10 classes, 28x28 grey"),
    "kmnist": Dataset("70,000 handwritten Japanese characters in 10 classes, 28x28 grey"),
    "cifar10": Dataset("60,000 photographs in 10 classes, 32x32 colour"),
    "stacked_digits": Dataset("images of 3 digits as colour channels, 1,000 classes, 8x8 colour"),
    "stacked_mnist": Dataset("images of 3 MNIST digits as colour channels, 1,000 classes, 28x28 colour"),
    "binary_digits": Dataset("digits of which every pixel was drawn to be black or white, 8x8, bundled"),
    "binary_mnist": Dataset("MNIST of which every pixel was drawn to be black or white, 28x28"),
    "ring": Dataset("mixture of 8 Gaussians in the plane, on a circle of radius 1", synthetic=True),
    "grid": Dataset("mixture of 25 Gaussians in the plane, on a 5x5 grid", synthetic=True),
    "gaussian_1d": Dataset("mixture of 3 Gaussians in one dimension", synthetic=True),
    "curve": Dataset("points in the plane, on one period of a sine, with Gaussian noise", synthetic=True),
    "normal_ring": Dataset("points z/|z| + z/10 in the plane, with z standard normal", synthetic=True),
    "swiss_roll": Dataset("points in the plane, on a spiral, with Gaussian noise", synthetic=True),
}
"""Data sets with a name in jaxgen; other tensorflow-datasets names can be loaded once they are prepared."""


class DataSource(NamedTuple):
    """What identifies a data set: arguments of `load`.

    Attributes:
        name: name of the data set, or a path.
        data_dir: folder of the data sets.
        image_size: side in pixels to which images are scaled and cropped.
    """

    name: str
    data_dir: str | None = None
    image_size: int | None = None

    def load(self, split: str) -> Data:
        """Load one split of it, without a notice."""
        return self.open(split).data

    def open(self, split: str) -> "Opened":
        """Load one split of it, with the names of its classes."""
        return self.splits()(split)

    def splits(self) -> "Callable[[str], Opened]":
        """Return a function that loads a split; the user's files, of which several splits are made, are read once."""
        return _splits(self.name, data_dir=self.data_dir, image_size=self.image_size)


class Opened(NamedTuple):
    """One split of a data set.

    Attributes:
        data: arrays, or a stream.
        class_names: name of each class in order of the labels; empty where they have none.
        notice: sentence about what was read from the files of the user and what was not; empty for other data.
    """

    data: Data
    class_names: tuple[str, ...] = ()
    notice: str = ""


def print_to_stderr(line: str) -> None:
    """Print a line to stderr."""
    print(line, file=sys.stderr)


@checked
def load(
    name_or_path: str | Path,
    *,
    split: str = "train",
    data_dir: str | Path | None = None,
    image_size: int | None = None,
    key: KeyArray | None = None,
    examples: int | None = None,
    stream: bool | None = None,
    notify: Notify = print_to_stderr,
) -> Data:
    """Load one split of a data set.

    Args:
        name_or_path: name in `DATASETS`, path of a folder of images (`./mnist` for a folder with the name of a data
            set), path of an `.npz` or `.csv` file, or any other tensorflow-datasets name.
        split: "train" or "test". For images of the user, the splits are the subfolders `train` and `test` (`val` where
            there is no `test`) in any case; without these, a tenth of each class belongs to the test split, chosen by
            the content of the examples. "validation" is the subfolder `val` of a folder that has all three.
        data_dir: folder of downloaded data sets; None for `$TFDS_DATA_DIR` or `~/tensorflow_datasets`. The folder, or
            its subfolder with the name of the data set, may also contain the original files of MNIST, Fashion-MNIST,
            Kuzushiji-MNIST or CIFAR-10. Stacked MNIST is made from MNIST.
        image_size: height and width in pixels. The shorter side of an image is resized to it and the image is cropped
            around its centre. None keeps the size, which must be the same for all images.
        key: PRNG key that draws the points of a synthetic data set, or the digit triples of a stacked data set from the
            digits of the split; None for a fixed key for each split.
        examples: number of these points or triples; None for 100,000 points or 128,000 triples in the training split
            (the triples of MNIST take 300 MB), and 10,000 in the test split.
        stream: whether images are read from the disk during training instead of stored in memory; None streams images
            that take more than 4 GiB.
        notify: called with a sentence about what was read from the files of the user and what was not.

    Returns:
        `image`, uint8 [n, h, w, c], or `point`, float32 [n, dim]; and `label`, int32 [n], for data with labels. Or a
        `Stream` of such batches. `DataSource.open` also returns the names of the classes.

    Raises:
        InputError: if the data set is unknown, a file is missing or damaged, or an argument does not apply to the data
            set; the message says what to do.

    Example:
        >>> data = load("digits")
        >>> {name: (array.dtype.name, array.shape) for name, array in data.items()}
        {'image': ('uint8', (1437, 8, 8, 1)), 'label': ('int32', (1437,))}
        >>> load("ring", examples=5)["point"].shape
        (5, 2)
    """
    open_split = _splits(
        name_or_path, data_dir=data_dir, image_size=image_size, key=key, examples=examples, stream=stream
    )
    opened = open_split(split)
    if opened.notice:
        notify(opened.notice)
    return opened.data


def is_path(name: str) -> bool:
    """Return whether the name of a data set is the path of something that exists.

    Raises:
        InputError: if the path is impossible, or a folder in it cannot be read.

    Example:
        >>> is_path("."), is_path("no_such_folder")
        (True, False)
    """
    return _kind(expand_path(name)) is not None


def _splits(
    name_or_path: str | Path,
    *,
    data_dir: str | Path | None = None,
    image_size: int | None = None,
    key: KeyArray | None = None,
    examples: int | None = None,
    stream: bool | None = None,
) -> Callable[[str], Opened]:
    """A function that loads a split; arguments and errors are those of `load`."""
    name = os.fspath(name_or_path)
    if not name:
        raise InputError(f"name_or_path must not be empty; {suggest(name, DATASETS)}")
    if image_size is not None and image_size < 1:
        raise InputError(f"image_size must be at least 1, got {image_size}")
    if name in SYNTHETIC and (image_size is not None or stream):
        raise InputError(f"image_size and stream apply to images only, got the data set {shortened(name)} of points")
    if name not in SYNTHETIC and name not in STACKED and (key is not None or examples is not None):
        drawn = ", ".join([*SYNTHETIC, *STACKED])
        raise InputError(f"key and examples apply to {drawn} only, got the data set {shortened(name)}")
    folder = expand_path(data_dir) if data_dir is not None else default_data_dir()

    @cache
    def sources() -> Callable[[str], Source]:
        return _sources((STACKED | BINARY).get(name, name), folder, image_size)

    def open_split(split: str) -> Opened:
        if split not in SPLITS:
            raise InputError(f"there is no split {shortened(split)}; {suggest(split, SPLITS)}")
        if name in SYNTHETIC:
            return Opened(_points(name, *_key_and_count(name, split, key, examples, SYNTHETIC_EXAMPLES)))
        if name in STACKED:
            of_split = _key_and_count(name, split, key, examples, STACKED_EXAMPLES)
            stacked = StackedDigits(of_split[0], read_all(sources()(split)), of_split[1])
            return Opened(read_or_stream(stacked, stream))
        source = sources()(split)
        if name in BINARY:
            drawn = binarized(jax.random.key(SPLITS.index(split)), read_all(source))
            return Opened(read_or_stream(ArraySource(drawn), stream), source.class_names, source.notice)
        if isinstance(source, ArraySource) and "point" in source.arrays and stream:
            raise InputError(f"image_size and stream apply to images only, got {name} of points")
        return Opened(read_or_stream(source, stream), source.class_names, source.notice)

    return open_split


def _key_and_count(
    name: str, split: str, key: KeyArray | None, examples: int | None, default: Mapping[str, int]
) -> tuple[KeyArray, int]:
    """The PRNG key and the number of examples with which a split is drawn."""
    if split not in default:
        raise _no_split(name, split)
    if examples is not None and examples < 1:
        raise InputError(f"examples must be at least 1, got {examples}")
    key = jax.random.key(SPLITS.index(split)) if key is None else key
    return key, default[split] if examples is None else examples


def _points(name: str, key: KeyArray, examples: int) -> dict[str, np.ndarray]:
    drawn = _sampler(name, examples, key.dtype)(key)
    return {array_name: np.asarray(array) for array_name, array in drawn.items()}


@cache
def _sampler(name: str, examples: int, key_type: Any) -> Callable[[KeyArray], dict[str, Array]]:
    """The program that draws points, of which the points of a data set may need several times their own memory."""
    sample, key = SYNTHETIC[name]().sample, jax.ShapeDtypeStruct((), key_type)
    what, advice = f"{examples} points", "give fewer examples"
    check_memory(what, examples * bytes_of(jax.eval_shape(lambda key: sample(key, 1), key)), advice)
    compiled = jax.jit(lambda key: sample(key, examples)).lower(key).compile()
    if plan := compiled.memory_analysis():
        check_memory(what, plan.output_size_in_bytes + plan.temp_size_in_bytes, advice)
    return compiled


def _sources(name: str, data_dir: Path, image_size: int | None) -> Callable[[str], Source]:
    """A function that opens a split of images, or of the user's points."""
    known = name in INCLUDED or name in CHECKSUMS
    path = expand_path(name)
    kind = None if known else _kind(path)
    if kind == "folder":
        return folder_splits(path, image_size)
    is_named_as_file = path.suffix.lower() in SUFFIXES
    of_arrays = array_splits(path, image_size)

    def open_split(split: str) -> Source:
        if split == "validation":
            raise _no_split(name, split)
        if name in INCLUDED:
            data = _resized(INCLUDED[name](split), image_size, name)
            return ArraySource(data, INCLUDED_CLASS_NAMES.get(name, ()))
        if known:
            # Several data sets have files of the same names: those directly in data_dir are used as a last resort.
            fallback = [data_dir] if find_prepared(name, data_dir) is None else []
            for folder in (data_dir / name, *fallback):
                if has_originals(name, folder):
                    data = _resized(read_original(name, folder, split), image_size, name)
                    return ArraySource(data, CLASS_NAMES.get(name, ()))
            return open_prepared(name, data_dir, split, image_size)
        if kind == "file" and is_named_as_file:
            return of_arrays(split)
        if kind is not None:
            raise InputError(
                f"the path of the data must be a folder of images, an .npz or a .csv file, got the {kind} {name}"
            )
        if name.startswith((".", "/", "~")) or is_named_as_file:
            raise InputError(f"the path of the data must be an existing folder, .npz or .csv file, got {name}")
        suggestion = suggest(name.lower().replace("-", "_"), DATASETS)
        if find_prepared(name, data_dir) is None and suggestion.startswith("did you mean"):
            raise InputError(f"there is no data set, folder or file {shortened(name)}; {suggestion}")
        return open_prepared(name, data_dir, split, image_size)

    return open_split


def _kind(path: Path) -> str | None:
    """What is at a path: "folder", "file", "device or pipe", or None for nothing."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise InputError(f"the path of the data cannot be read ({error.strerror}): {path}") from error
    return "folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "device or pipe"


def _no_split(name: str, split: str) -> InputError:
    return InputError(f"there is no split {shortened(split)} of {name}; choices are {', '.join(SPLITS[:2])}")


def _resized(data: Mapping[str, Any], image_size: int | None, name: str) -> dict[str, np.ndarray]:
    if image_size is None or data["image"].shape[1:3] == (image_size, image_size):
        return dict(data)
    return {**data, "image": resize_all(data["image"], image_size, name)}
