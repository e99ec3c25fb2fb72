"""The one call that loads data: `load(name_or_path)` gives a dict of arrays, or a stream where they do not fit.

- digits: bundled with scikit-learn
- ring, grid, curve, ...: drawn from a key; densities known exactly (`jaxgen.data.synthetic`)
- stacked_digits, stacked_mnist: three digits as the colour channels of one picture (`jaxgen.data.stacked`)
- mnist, fashion_mnist, kmnist, cifar10: from their original files, or as tensorflow-datasets has prepared them
- any other tensorflow-datasets name: as tensorflow-datasets has prepared it
- a folder or an .npz file: the user's own pictures
"""

import os
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import jax
import numpy as np

from jaxgen.data.digits import load_digits
from jaxgen.data.image_folder import own_images, resize_all
from jaxgen.data.originals import CHECKSUMS, holds_originals, read_original
from jaxgen.data.prepared import default_data_dir, find_prepared, prepared_images
from jaxgen.data.stacked import STACKED, STACKED_EXAMPLES, StackedDigits
from jaxgen.data.streaming import Held, Source, Stream, hold, hold_or_stream
from jaxgen.data.synthetic import SYNTHETIC
from jaxgen.errors import InputError, nearest
from jaxgen.typing import Array, KeyArray

Data: TypeAlias = dict[str, np.ndarray] | Stream
"""Arrays whose leading axis are the examples, or a stream of such."""

SPLITS = ("train", "test")

SYNTHETIC_EXAMPLES = {"train": 100_000, "test": 10_000}
"""Points drawn where the user does not say how many."""


class Dataset(NamedTuple):
    """What `jaxgen list` says of a data set.

    Attributes:
        description: one line.
        synthetic: whether it is drawn from a density that is known exactly, rather than read.
    """

    description: str
    synthetic: bool = False


DATASETS: dict[str, Dataset] = {
    "digits": Dataset("1,797 handwritten digits, 8x8 grey, bundled with scikit-learn"),
    "mnist": Dataset("70,000 handwritten digits, 28x28 grey"),
    "fashion_mnist": Dataset("70,000 pieces of clothing in 10 classes, 28x28 grey"),
    "kmnist": Dataset("70,000 handwritten Japanese characters in 10 classes, 28x28 grey"),
    "cifar10": Dataset("60,000 photographs in 10 classes, 32x32 colour"),
    "stacked_digits": Dataset("3 of the digits as the colour channels of a picture, 1000 classes, 8x8 colour"),
    "stacked_mnist": Dataset("3 digits of mnist as the colour channels of a picture, 1000 classes, 28x28 colour"),
    "ring": Dataset("8 Gaussians on a circle of radius 1", synthetic=True),
    "grid": Dataset("25 Gaussians on a square grid", synthetic=True),
    "gaussian_1d": Dataset("3 Gaussians on the line", synthetic=True),
    "curve": Dataset("one period of a sine in the plane, with noise", synthetic=True),
    "normal_ring": Dataset("the ring z/|z| + z/10 of a normal z in the plane", synthetic=True),
    "swiss_roll": Dataset("a spiral in the plane, with noise", synthetic=True),
}
"""The data sets that jaxgen knows by itself; any other tensorflow-datasets name works once it is prepared."""


def load(
    name_or_path: str | Path,
    *,
    split: str = "train",
    data_dir: str | Path | None = None,
    image_size: int | None = None,
    key: KeyArray | None = None,
    examples: int | None = None,
    stream: bool | None = None,
) -> Data:
    """Load one split of a data set.

    Args:
        name_or_path: a name in `DATASETS`, a folder of pictures (write `./mnist` for a folder that has the name of a
            data set), an `.npz` file, or any other name that tensorflow-datasets knows.
        split: "train" or "test". A user's own pictures are divided by `train/` and `test/` subfolders; without these
            every tenth of them is for testing.
        data_dir: where downloaded data sets are; by default `$TFDS_DATA_DIR` or `~/tensorflow_datasets`. It, or the
            folder in it that is called like the data set, may also hold the original files of MNIST, Fashion-MNIST,
            Kuzushiji-MNIST or CIFAR-10. Stacked MNIST is made from MNIST.
        image_size: height and width to which pictures are resized (the shorter side) and cropped around their centre.
            None keeps the size that all pictures have.
        key: draws the points of a synthetic data set, or the triples of a stacked one from the digits of the split; by
            default a fixed one for each split.
        examples: number of such points or triples; by default 100,000 points or 128,000 triples for training (those of
            MNIST take 300 MB), and 10,000 for testing.
        stream: whether pictures are read while training goes on rather than held in memory; None streams those that
            would take more than 4 GiB.

    Returns:
        `image`, uint8 [n, h, w, c], or `point`, float32 [n, dim]; and `label`, int32 [n], if the data have any. Or a
        `Stream` of batches of the same.

    Raises:
        InputError: if there is no such data set, or a file of it is missing or damaged, or it does not fit the other
            arguments; the message says what would be right.

    Example:
        >>> data = load("digits")
        >>> {name: (array.dtype.name, array.shape) for name, array in data.items()}
        {'image': ('uint8', (1437, 8, 8, 1)), 'label': ('int32', (1437,))}
        >>> load("ring", examples=5)["point"].shape
        (5, 2)
    """
    name = os.fspath(name_or_path)
    if not name:
        raise InputError(f"the name of the data is empty; {nearest(name, DATASETS)}")
    if split not in SPLITS:
        raise InputError(f"there is no split {split!r}; {nearest(split, SPLITS)}")
    if image_size is not None and image_size < 1:
        raise InputError(f"the image size must be at least 1, got {image_size}")
    if name in SYNTHETIC:
        if image_size is not None or stream:
            raise InputError(f"{name!r} holds points, not pictures: neither an image size nor a stream is possible")
        return _points(name, *_draw_of(split, key, examples, SYNTHETIC_EXAMPLES))
    folder = Path(data_dir).expanduser() if data_dir is not None else default_data_dir()
    if name in STACKED:
        key, examples = _draw_of(split, key, examples, STACKED_EXAMPLES)
        digits = hold(_images(STACKED[name], folder, split, image_size))
        return hold_or_stream(StackedDigits(key, digits, examples), stream)
    if key is not None or examples is not None:
        drawn = ", ".join([*SYNTHETIC, *STACKED])
        raise InputError(f"a key and a number of examples are for {drawn} only, not for {name!r}")
    return hold_or_stream(_images(name, folder, split, image_size), stream)


def _draw_of(split: str, key: KeyArray | None, examples: int | None, usual: Mapping[str, int]) -> tuple[KeyArray, int]:
    """The key that draws a split, and how many examples it draws."""
    if examples is not None and examples < 1:
        raise InputError(f"the number of examples must be at least 1, got {examples}")
    key = jax.random.key(SPLITS.index(split)) if key is None else key
    return key, usual[split] if examples is None else examples


def _points(name: str, key: KeyArray, examples: int) -> dict[str, np.ndarray]:
    drawn = _sampler(name)(key, examples)
    return {array_name: np.asarray(array) for array_name, array in drawn.items()}


@cache
def _sampler(name: str) -> Callable[[KeyArray, int], dict[str, Array]]:
    return jax.jit(SYNTHETIC[name]().sample, static_argnums=1)


def _images(name: str, data_dir: Path, split: str, image_size: int | None) -> Source:
    if name == "digits":
        return Held(_resized(load_digits(split), image_size, name))
    if name in CHECKSUMS:
        # The originals of several sets have the same names: those in a folder of no name of its own come last.
        last = [data_dir] if find_prepared(name, data_dir) is None else []
        for folder in (data_dir / name, *last):
            if holds_originals(name, folder):
                return Held(_resized(read_original(name, folder, split), image_size, name))
        return prepared_images(name, data_dir, split, image_size)
    path = Path(name).expanduser()
    if path.is_dir() or (path.is_file() and path.suffix == ".npz"):
        return own_images(path, split, image_size)
    if path.is_file():
        raise InputError(f"{name} is neither a folder of pictures nor an .npz file")
    if name.startswith((".", "/", "~")) or path.suffix == ".npz":
        raise InputError(f"there is no folder or .npz file {name}")
    meant = nearest(name.lower().replace("-", "_"), DATASETS)
    if find_prepared(name, data_dir) is None and meant.startswith("did you mean"):
        raise InputError(f"there is no data set, folder or .npz file {name!r}; {meant}")
    return prepared_images(name, data_dir, split, image_size)


def _resized(data: Mapping[str, Any], image_size: int | None, name: str) -> dict[str, np.ndarray]:
    if image_size is None or data["image"].shape[1:3] == (image_size, image_size):
        return dict(data)
    return {**data, "image": resize_all(data["image"], image_size, name)}
