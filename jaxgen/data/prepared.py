"""Data sets prepared by tensorflow-datasets: folders of array_record files, which are read without TensorFlow."""

import importlib.util
import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from jaxgen.batch_checks import LARGEST_PIXELS
from jaxgen.data.cifar import ARCHIVE
from jaxgen.data.decoded_copy import files_digest, load_copy, save_copy
from jaxgen.data.holdout import holdout_split
from jaxgen.data.image_size import resize_all
from jaxgen.data.originals import CHECKSUMS, CLASS_NAMES, IDX_FILES
from jaxgen.data.prepared_folders import find_prepared, needs_tensorflow
from jaxgen.data.prepared_metadata import Metadata, check_regular_file, damaged, read_metadata
from jaxgen.data.preparing import prepare
from jaxgen.data.streaming import MEMORY_LIMIT, ArraySource, Source, read_all
from jaxgen.errors import InputError, shortened
from jaxgen.optional_imports import require

ENCODINGS = ("PNG", "JPEG", "GIF", "BMP")
"""Formats of encoded images in prepared data sets. Pillow starts other programs for some of its other formats."""

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""Number of channels -> mode of Pillow."""


def open_prepared(name: str, data_dir: Path, split: str, image_size: int | None) -> Source:
    """Open one split of a data set by its tensorflow-datasets name.

    Args:
        name: name as in `find_prepared`.
        data_dir: folder of prepared data sets.
        split: "train" or "test". The test split is the validation split if a data set has no test split, and a
            tenth of each class of the training examples if it has neither.
        image_size: height and width in pixels to which images are resized and cropped; None keeps the size.

    Returns:
        Source of the images of the split.

    Raises:
        InputError: if the data set is unknown, is not prepared and cannot be prepared without TensorFlow, or has no
            images.
    """
    folder = find_prepared(name, data_dir)
    if folder is None and name not in CHECKSUMS and importlib.util.find_spec("tensorflow"):
        folder = prepare(name, data_dir=data_dir)
    if folder is None:
        raise _not_prepared(name, data_dir)
    metadata = read_metadata(folder)
    for stored in ("test", "validation"):
        if split == "test" and stored in metadata.splits:
            return _open_split(folder, metadata, stored, image_size)
    if "train" not in metadata.splits:
        raise InputError(f"{folder} must have the split 'train', got {', '.join(metadata.splits) or 'none'}")
    train = _open_split(folder, metadata, "train", image_size)
    if split == "train" and {"test", "validation"} & set(metadata.splits):
        return train
    if isinstance(train, PreparedImages) and train.fits_in_memory:
        train = ArraySource(read_all(train), train.class_names)  # Its decoded copy serves both parts.
    return holdout_split(train, split, name)


class PreparedImages(Source):
    """One split of a prepared data set.

    Args:
        folder: folder of the data set.
        metadata: description of the data set.
        split: name of the split in the data set.
        image_size: height and width of the resized images in pixels; None if all images have the same size.

    Attributes:
        fits_in_memory: whether the examples are few enough for a decoded copy.

    Raises:
        InputError: if the files are damaged, or if the sizes of the images differ and `image_size` is None.
    """

    def __init__(self, folder: Path, metadata: Metadata, split: str, image_size: int | None) -> None:
        if image_size is None and (metadata.height is None or metadata.width is None):
            raise InputError(f"image_size must be given for {folder}, as its images differ in size, got None")
        self.shape = (image_size or metadata.height or 0, image_size or metadata.width or 0, metadata.channels)
        self.classes = metadata.classes
        self.class_names = CLASS_NAMES.get(metadata.name, metadata.class_names)
        self._folder, self._metadata, self._image_size = folder, metadata, image_size
        self._shards = metadata.splits[split]
        sizes = [check_regular_file(path) for path in self._shards]
        if not len(self):
            raise InputError(f"the split {shortened(split)} of {folder} must have at least one image, got none")
        self.fits_in_memory = max(len(self) * math.prod(self.shape), sum(sizes)) <= MEMORY_LIMIT
        self._copy = split if image_size is None else f"{split}-{image_size}"

    def __len__(self) -> int:
        """Return the number of images."""
        return sum(self._shards.values())

    def read(self, indices: Sequence[int]) -> dict[str, np.ndarray]:
        """Decode images."""
        with _report_as_damaged(self._folder):
            examples = [self._image_and_label(record) for record in self.records.__getitems__(list(indices))]
        images, labels = zip(*examples, strict=True)
        if self.classes is None:
            return {"image": np.stack(images)}
        if not 0 <= min(labels) <= max(labels) < self.classes:
            raise InputError(
                f"labels of {self._folder} must be in 0..{self.classes - 1}, got {min(labels)} to {max(labels)}"
            )
        return {"image": np.stack(images), "label": np.array(labels, np.int32)}

    def load_copy(self) -> dict[str, np.ndarray] | None:
        """Open the decoded copy of all examples, None if there is no valid one."""
        if not self.fits_in_memory:
            return None
        shapes: dict[str, tuple[tuple[int, ...], DTypeLike]] = {"image": ((len(self), *self.shape), np.uint8)}
        if self.classes is not None:
            shapes["label"] = ((len(self),), np.int32)
        copy = load_copy(self._folder, self._copy, self._source, shapes)
        # Labels are compared with the classes as those that are decoded: a copy states its own SHA-256.
        if copy is not None and self.classes is not None and len(self):
            labels = copy["label"]
            return copy if labels.min() >= 0 and labels.max() < self.classes else None
        return copy

    def store(self, arrays: dict[str, np.ndarray]) -> None:
        """Write the decoded copy."""
        if self.fits_in_memory:
            save_copy(self._folder, self._copy, self._source, arrays)

    @cached_property
    def _source(self) -> str:
        with _report_as_damaged(self._folder):
            return files_digest(self._shards, shape=self.shape, classes=self.classes, pillow=version("pillow"))

    @cached_property
    def _example_class(self) -> Any:
        return require("tensorflow_datasets.proto", extra="data").tf_example_pb2.Example

    @cached_property
    def records(self) -> Any:
        """The encoded examples, as a sequence whose length is that of the images.

        Raises:
            InputError: if the files are damaged or have another number of examples.
        """
        array_record = require("array_record.python.array_record_data_source", extra="data")
        with _report_as_damaged(self._folder):
            records = array_record.ArrayRecordDataSource([str(path) for path in self._shards])
        if len(records) != len(self):
            raise damaged(self._folder, f"its files must have {len(self)} examples, got {len(records)}")
        return records

    def _image_and_label(self, record: bytes) -> tuple[np.ndarray, int]:
        entries = self._example_class.FromString(record).features.feature
        if not entries["image"].bytes_list.value or (self.classes and not entries["label"].int64_list.value):
            raise ValueError(f"an example must have an entry 'image' and its 'label', got {sorted(entries)!r:.80}")
        image = self._decode(entries["image"].bytes_list.value[0])
        if self._image_size is not None and image.shape != self.shape:
            image = resize_all(image[np.newaxis], self._image_size, repr(self._metadata.name))[0]
        return image, entries["label"].int64_list.value[0] if self.classes is not None else 0

    def _decode(self, encoded: bytes) -> np.ndarray:
        from PIL import Image

        with Image.open(io.BytesIO(encoded), formats=ENCODINGS) as image:
            # Before an image is decoded: a file of a few bytes can decode to gigabytes.
            height, width = self._metadata.height or image.height, self._metadata.width or image.width
            if image.size != (width, height) or width * height > LARGEST_PIXELS:
                raise ValueError(f"an image must have {height}x{width} pixels, got {image.height}x{image.width}")
            mode = MODES[self._metadata.channels]
            pixels = np.asarray(image if image.mode == mode else image.convert(mode))
        return pixels.reshape(height, width, self._metadata.channels)


def _open_split(folder: Path, metadata: Metadata, split: str, image_size: int | None) -> Source:
    images = PreparedImages(folder, metadata, split, image_size)
    copy = images.load_copy()
    if copy is not None:
        return ArraySource(copy, images.class_names)
    assert len(images.records) == len(images)  # Opens the files: an error is raised here, before training begins.
    return images


def _not_prepared(name: str, data_dir: Path) -> InputError:
    if name == "cifar10":
        return InputError(
            f"cifar10 is not in {data_dir}; run: jaxgen data prepare cifar10 --data-dir {data_dir}, or put {ARCHIVE} "
            f"into {data_dir / name}"
        )
    if name in CHECKSUMS:
        return InputError(
            f"{name} is not in {data_dir}; run: jaxgen data prepare {name} --data-dir {data_dir}, or put "
            f"{', '.join(f'{file}.gz' for files in IDX_FILES.values() for file in files)} into {data_dir / name}"
        )
    return needs_tensorflow(name, data_dir)


@contextmanager
def _report_as_damaged(folder: Path) -> Iterator[None]:
    """Raise an InputError that names the folder for any exception: damaged files raise exceptions of many types."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise damaged(folder, error) from error
