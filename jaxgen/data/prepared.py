"""Data sets prepared by tensorflow-datasets: reading them, and preparing the best known ones, without TensorFlow.

A prepared data set is a folder `data_dir/name/version` of array_record files, which can be read without TensorFlow.
Preparing a data set usually needs TensorFlow. For MNIST, Fashion-MNIST, Kuzushiji-MNIST and CIFAR-10 this module reads
the original files and passes the arrays to the builder of tensorflow-datasets; the result is the same folder as with
TensorFlow.
"""

import importlib.util
import io
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from functools import cached_property
from http.client import HTTPException
from importlib.metadata import version
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any
from urllib.request import urlopen

import numpy as np
from numpy.typing import DTypeLike

from jaxgen._signatures import checked
from jaxgen.data.cifar import ARCHIVE, CLASSES
from jaxgen.data.decoded_copy import files_digest, load_copy, save_copy
from jaxgen.data.digits import BUNDLED
from jaxgen.data.holdout import holdout_split
from jaxgen.data.image_folder import resize_all
from jaxgen.data.originals import CHECKSUMS, CLASS_NAMES, IDX_FILES, read_original
from jaxgen.data.prepared_metadata import LARGEST_IMAGE, Metadata, check_regular_file, damaged, read_metadata
from jaxgen.data.stacked import STACKED
from jaxgen.data.streaming import MEMORY_LIMIT, ArraySource, Source, read_all
from jaxgen.data.synthetic import SYNTHETIC
from jaxgen.errors import InputError, shortened, suggest
from jaxgen.optional_imports import require
from jaxgen.paths import expand_path

Arrays = Mapping[str, np.ndarray]

Notify = Callable[[str], None]
"""Function that shows one line to the user."""

SECONDS_BETWEEN_LINES = 10
"""Time in seconds after which a line about the progress of a preparation follows the previous one."""

DOWNLOADED_BYTES = 2**20
"""Number of bytes per read of a download."""

VERSION = r"[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9}"
NAME = rf"\w[\w.+-]{{0,99}}(/[\w.+-]{{1,99}})?(:{VERSION})?"
"""Names in tensorflow-datasets: `set`, `set/config`, `set:version` or `set/config:version`."""

ENCODINGS = ("PNG", "JPEG", "GIF", "BMP")
"""Formats of encoded images in prepared data sets. Pillow starts other programs for some of its other formats."""

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""Number of channels -> mode of Pillow."""


def default_data_dir() -> Path:
    """Return the data folder of tensorflow-datasets: `$TFDS_DATA_DIR`, or `~/tensorflow_datasets`.

    Returns:
        Absolute path of the folder, which may not exist.

    Example:
        >>> default_data_dir().is_absolute()
        True
    """
    return expand_path(os.environ.get("TFDS_DATA_DIR") or Path("~", "tensorflow_datasets")).absolute()


@checked
def prepare(
    name: str,
    *,
    data_dir: str | Path | None = None,
    source: str | Path | None = None,
    notify: Notify | None = None,
    progress_bars: bool = True,
) -> Path:
    """Prepare a data set for `load`; return its folder unchanged if it exists.

    Args:
        name: "mnist", "fashion_mnist", "kmnist" or "cifar10"; any other tensorflow-datasets name requires TensorFlow.
        data_dir: folder of prepared data sets; None for `default_data_dir()`.
        source: for those four data sets, folder with the original files (the four idx files, gzipped or not; the binary
            archive of CIFAR-10 or its extracted files), or the path of that archive. None downloads the files.
        notify: called with one line when the preparation starts, about every ten seconds, and when it ends.
        progress_bars: whether tensorflow-datasets prints its messages and progress bars.

    Returns:
        Folder of the prepared data set.

    Raises:
        InputError: if the data set is unknown, a file is missing, truncated, not the published file or cannot be
            downloaded, or a required package is not installed. An error leaves no incomplete files.
    """
    data_dir = expand_path(data_dir) if data_dir is not None else default_data_dir()
    if name in BUNDLED or name in SYNTHETIC or STACKED.get(name) in BUNDLED:
        raise InputError(f"{shortened(name)} is included in jaxgen and needs no preparation; load it by its name")
    if name in STACKED:
        raise InputError(f"{name} is made of the images of {STACKED[name]}; run: jaxgen data prepare {STACKED[name]}")
    if folder := find_prepared(name, data_dir):
        return folder
    require("tensorflow_datasets", extra="data")
    progress = _Progress(notify or (lambda line: None))
    start = monotonic()
    try:
        with nullcontext() if progress_bars else _silent_tensorflow_datasets():
            folder = _prepare(name, data_dir, source, progress)
    except OSError as error:
        raise InputError(f"{name} cannot be prepared in {data_dir} ({error})") from error
    progress.notify(f"prepared {name} in {monotonic() - start:.0f} s")
    return folder


def prepare_arrays(name: str, splits: Mapping[str, Arrays], data_dir: Path, notify: Notify = lambda line: None) -> Path:
    """Write arrays as a prepared data set, in the format of a builder of tensorflow-datasets.

    tensorflow-datasets writes to a temporary folder and renames it when it is complete.

    Args:
        name: name of a tensorflow-datasets builder with the features `image` and `label`.
        splits: name of a split -> `image`, uint8 [n, h, w, c], and `label`, integers [n].
        data_dir: folder of prepared data sets.
        notify: called with the number of encoded images after each image.

    Returns:
        Folder of the prepared data set.
    """
    total = sum(len(arrays["label"]) for arrays in splits.values())
    encoded = count(1)
    tfds = require("tensorflow_datasets", extra="data")
    registered = require("tensorflow_datasets.core.registered", extra="data")
    stock = tfds.builder_cls(name)

    with registered.skip_registration():

        class Builder(stock):  # type: ignore[misc, valid-type]
            """Builder of the data set from arrays in memory."""

            def _split_generators(self, _: Any) -> dict[str, Any]:
                if name == "cifar10":
                    self.info.features["label"].names = list(CLASSES)
                return {split: self._generate_examples(split, arrays) for split, arrays in splits.items()}

            def _generate_examples(self, split: str, arrays: Arrays) -> Iterator[tuple[int, dict[str, Any]]]:
                for i, (image, label) in enumerate(zip(arrays["image"], arrays["label"], strict=True)):
                    record = {"image": _png(image), "label": int(label)}
                    notify(f"encoded images: {next(encoded):,} of {total:,}")
                    yield i, record | ({"id": f"{split}_{i:05d}"} if "id" in self.info.features else {})

    Builder.name = stock.name
    builder = Builder(data_dir=data_dir)
    with TemporaryDirectory() as downloads:  # stays empty; its default is a folder beside the data
        builder.download_and_prepare(file_format="array_record", download_dir=downloads)
    return Path(builder.data_dir)


def find_prepared(name: str, data_dir: Path) -> Path | None:
    """Find the folder of a prepared data set.

    Args:
        name: `set`, `set/config`, `set:version` or `set/config:version`.
        data_dir: folder of prepared data sets.

    Returns:
        Folder of the newest version, or None if the data set is not prepared.

    Raises:
        InputError: if several configurations of the data set are prepared and the name does not specify one.

    Example:
        >>> find_prepared("mnist", Path("nowhere"))
    """
    if not re.fullmatch(NAME, name):
        return None
    base, _, version = name.partition(":")
    if versions := _versions(data_dir / base, version):
        return max(versions, key=lambda folder: [int(number) for number in folder.name.split(".")])
    configs = sorted(path.name for path in _glob(data_dir / base, "*") if _versions(path, version))
    if not configs:
        return None
    if len(configs) == 1:
        return find_prepared(f"{base}/{configs[0]}" + (f":{version}" if version else ""), data_dir)
    raise InputError(
        f"the configuration of {shortened(base)} must be one of {', '.join(configs)}, got none; "
        f"give it as in '{base}/{configs[0]}'"
    )


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
        return load_copy(self._folder, self._copy, self._source, shapes)

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
            if image.size != (width, height) or width * height > LARGEST_IMAGE:
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
    return _needs_tensorflow(name, data_dir)


def _needs_tensorflow(name: str, data_dir: Path) -> InputError:
    tfds = require("tensorflow_datasets", extra="data")
    known = set(tfds.list_builders(with_community_datasets=False))
    base = name.partition(":")[0].partition("/")[0]
    if base not in known:
        return InputError(f"there is no data set, folder or file {shortened(name)}; {suggest(name, known)}")
    return InputError(
        f"{name} is not in {data_dir}, and its preparation needs TensorFlow; run: pip install tensorflow, or copy a "
        f"folder that was prepared with file_format='array_record' to {data_dir}"
    )


@contextmanager
def _report_as_damaged(folder: Path) -> Iterator[None]:
    """Raise an InputError that names the folder for any exception: damaged files raise exceptions of many types."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise damaged(folder, error) from error


class _Progress:
    """Calls a function with a line if ten seconds have passed since the last line."""

    def __init__(self, notify: Notify) -> None:
        self.notify, self._last = notify, monotonic()

    def __call__(self, line: str) -> None:
        if monotonic() - self._last >= SECONDS_BETWEEN_LINES:
            self.notify(line)
            self._last = monotonic()


@contextmanager
def _silent_tensorflow_datasets() -> Iterator[None]:
    """Without a terminal each of its hundreds of updates of a progress bar would be a line."""
    bars = require("tensorflow_datasets.core.utils.tqdm_utils", extra="data")
    shown = bars._active
    bars.display_progress_bar(False)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        bars.display_progress_bar(shown)


def _prepare(name: str, data_dir: Path, source: str | Path | None, progress: _Progress) -> Path:
    if name not in CHECKSUMS and source is not None:
        raise InputError(
            f"source is available for {', '.join(sorted(CHECKSUMS))} only, got the data set {shortened(name)}"
        )
    if name not in CHECKSUMS:
        return _prepare_with_tensorflow(name, data_dir, progress)
    given = expand_path(source) if source is not None else None
    if given is not None and not given.exists():
        raise InputError(f"source must be an existing folder or archive, got {given}")
    progress.notify(f"preparing {name} in {data_dir}")
    with _downloaded(name, data_dir, progress) if given is None else nullcontext(given) as folder:
        splits = {split: read_original(name, folder, split) for split in ("train", "test")}
    return prepare_arrays(name, splits, data_dir, progress)


def _prepare_with_tensorflow(name: str, data_dir: Path, progress: _Progress) -> Path:
    if not importlib.util.find_spec("tensorflow"):
        raise _needs_tensorflow(name, data_dir)
    tfds = require("tensorflow_datasets", extra="data")
    base, _, chosen_version = name.partition(":")
    base, _, config = base.partition("/")
    # The name may be an entry of a run folder from elsewhere. Of the builders that are installed only those of
    # tensorflow-datasets are used, and the class directly: `tfds.builder` imports modules that files in data_dir name.
    if base not in tfds.list_builders(with_community_datasets=False):
        raise _needs_tensorflow(name, data_dir)
    try:
        builder = tfds.builder_cls(base)(data_dir=data_dir, config=config or None, version=chosen_version or None)
    except (ValueError, AssertionError) as error:
        raise InputError(f"{name} must have a configuration and a version that exist ({error})") from error
    progress.notify(f"preparing {name} in {data_dir}")
    builder.download_and_prepare(file_format="array_record")
    return Path(builder.data_dir)


@contextmanager
def _downloaded(name: str, data_dir: Path, progress: _Progress) -> Iterator[Path]:
    """Download the original files of a data set into a temporary folder beside the data sets."""
    urls = {
        info.filename: url
        for url, info in require("tensorflow_datasets", extra="data").builder_cls(name).url_infos.items()
    }
    data_dir.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=data_dir, prefix=f"{name}.download.") as folder:
        for file, url in urls.items():
            try:
                with urlopen(url, timeout=30) as response, Path(folder, file).open("wb") as target:
                    while part := response.read(DOWNLOADED_BYTES):
                        target.write(part)
                        progress(f"downloading {file}: {target.tell() / 1e6:.1f} MB")
            except (OSError, HTTPException) as error:
                raise InputError(
                    f"{url} cannot be downloaded ({error}); put {', '.join(urls)} into a folder and give the folder "
                    "as source"
                ) from error
        yield Path(folder)


def _png(image: np.ndarray) -> io.BytesIO:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image).save(file, "png")
    file.seek(0)
    return file


def _versions(folder: Path, version: str) -> list[Path]:
    """Folders of prepared versions; a folder left by an interrupted preparation is not named by a version number."""
    named = (path.parent for path in _glob(folder, "*/features.json") if version in ("", path.parent.name))
    return [path for path in named if re.fullmatch(VERSION, path.name)]


def _glob(folder: Path, pattern: str) -> list[Path]:
    """Paths in a folder; none if it cannot be listed, e.g. because its name is too long."""
    try:
        return list(folder.glob(pattern))
    except (OSError, ValueError):
        return []
