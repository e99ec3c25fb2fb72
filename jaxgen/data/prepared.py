"""Data sets prepared by tensorflow-datasets: reading them, and preparing the best known ones, without TensorFlow.

A prepared data set is a folder `data_dir/name/version` of array_record files, which can be read without TensorFlow.
Preparing a data set usually needs TensorFlow. For MNIST, Fashion-MNIST, Kuzushiji-MNIST and CIFAR-10 this module reads
the original files and passes the arrays to the builder of tensorflow-datasets; the result is the same folder as with
TensorFlow.
"""

import importlib.util
import io
import logging
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import urlopen

import numpy as np

from jaxgen.data.cifar import ARCHIVE, CLASSES
from jaxgen.data.holdout import holdout_split
from jaxgen.data.image_folder import resize_all
from jaxgen.data.originals import CHECKSUMS, IDX_FILES, read_original
from jaxgen.data.streaming import Source
from jaxgen.data.synthetic import SYNTHETIC
from jaxgen.errors import InputError, suggest
from jaxgen.optional_imports import require

Arrays = Mapping[str, np.ndarray]


def default_data_dir() -> Path:
    """Return the data folder of tensorflow-datasets: `$TFDS_DATA_DIR`, or `~/tensorflow_datasets`.

    Returns:
        Absolute path of the folder, which may not exist.

    Example:
        >>> default_data_dir().is_absolute()
        True
    """
    return Path(os.environ.get("TFDS_DATA_DIR") or Path("~", "tensorflow_datasets")).expanduser().absolute()


def prepare(name: str, *, data_dir: str | Path | None = None, source: str | Path | None = None) -> Path:
    """Prepare a data set for `load`; return its folder unchanged if it exists.

    Args:
        name: "mnist", "fashion_mnist", "kmnist" or "cifar10"; any other tensorflow-datasets name requires TensorFlow.
        data_dir: folder of prepared data sets; None for `default_data_dir()`.
        source: for those four data sets, folder with the original files (the four idx files, gzipped or not; the binary
            archive of CIFAR-10 or its extracted files), or the path of that archive. None downloads the files.

    Returns:
        Folder of the prepared data set.

    Raises:
        InputError: if the data set is unknown, a file is missing, truncated, not the published file or cannot be
            downloaded, or a required package is not installed. An error leaves no incomplete files.
    """
    data_dir = Path(data_dir).expanduser() if data_dir is not None else default_data_dir()
    if name == "digits" or name in SYNTHETIC:
        raise InputError(f"{name!r} is included in jaxgen and needs no preparation; load it by its name")
    if folder := find_prepared(name, data_dir):
        return folder
    require("tensorflow_datasets", extra="data")
    try:
        if name in CHECKSUMS:
            return _prepare_without_tensorflow(name, data_dir, source)
        if source is not None:
            raise InputError(f"source is available for {', '.join(sorted(CHECKSUMS))} only, got the data set {name!r}")
        return _prepare_with_tensorflow(name, data_dir)
    except OSError as error:
        raise InputError(f"{name} cannot be prepared in {data_dir} ({error})") from error


def prepare_arrays(name: str, splits: Mapping[str, Arrays], data_dir: Path) -> Path:
    """Write arrays as a prepared data set, in the format of a builder of tensorflow-datasets.

    tensorflow-datasets writes to a temporary folder and renames it when it is complete.

    Args:
        name: name of a tensorflow-datasets builder with the features `image` and `label`.
        splits: name of a split -> `image`, uint8 [n, h, w, c], and `label`, integers [n].
        data_dir: folder of prepared data sets.

    Returns:
        Folder of the prepared data set.
    """
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
    base, _, version = name.partition(":")
    if versions := _versions(data_dir / base, version):
        return max(versions, key=lambda folder: [int(number) for number in folder.name.split(".")])
    configs = sorted(path.name for path in (data_dir / base).glob("*") if _versions(path, version))
    if not configs:
        return None
    if len(configs) == 1:
        return find_prepared(f"{base}/{configs[0]}" + (f":{version}" if version else ""), data_dir)
    raise InputError(
        f"the configuration of {base!r} must be one of {', '.join(configs)}, got none; "
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
    tfds = require("tensorflow_datasets", extra="data")
    with _report_as_damaged(folder):
        builder = tfds.builder_from_directory(folder)
    for stored in ("test", "validation"):
        if split == "test" and stored in builder.info.splits:
            return PreparedImages(builder, stored, image_size)
    if "train" not in builder.info.splits:
        raise InputError(f"{folder} must have the split 'train', got {', '.join(builder.info.splits)}")
    train = PreparedImages(builder, "train", image_size)
    if split == "train" and {"test", "validation"} & set(builder.info.splits):
        return train
    return holdout_split(train, split, name)


class PreparedImages(Source):
    """One split of a prepared data set.

    Args:
        builder: builder of tensorflow-datasets.
        split: name of the split in the data set.
        image_size: height and width of the resized images in pixels; None if all images have the same size.

    Raises:
        InputError: if the data set has no images, if their sizes differ and `image_size` is None, or if it is stored in
            a format that needs TensorFlow.
    """

    def __init__(self, builder: Any, split: str, image_size: int | None) -> None:
        features, self._name = builder.info.features, builder.name
        if "image" not in features or features["image"].np_dtype != np.uint8:
            raise InputError(f"{self._name!r} must have a feature 'image' of dtype uint8, got {', '.join(features)}")
        if builder.info.file_format.value != "array_record":
            raise InputError(
                f"the file format of {builder.data_dir} must be array_record, got {builder.info.file_format.value}; "
                "prepare it with file_format='array_record'"
            )
        height, width, channels = features["image"].shape
        if image_size is None and None in (height, width):
            raise InputError(f"image_size must be given for {self._name!r}, as its images differ in size, got None")
        self.shape = (image_size or height, image_size or width, channels or 3)
        self._image_size = image_size
        self.classes = getattr(features["label"], "num_classes", None) if "label" in features else None
        self._folder = Path(builder.data_dir)
        with _report_as_damaged(self._folder):
            self._records = builder.as_data_source(split=split)
        logging.getLogger("absl").addFilter(_is_not_about_opencv)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._records)

    def read(self, indices: Sequence[int]) -> dict[str, np.ndarray]:
        """Decode images."""
        with _report_as_damaged(self._folder):
            records = self._records.__getitems__(list(indices))
        arrays = {"image": np.stack([self._fit(record["image"]) for record in records])}
        if self.classes is not None:
            arrays["label"] = np.array([record["label"] for record in records], np.int32)
        return arrays

    def _fit(self, image: np.ndarray) -> np.ndarray:
        if self._image_size is None or image.shape == self.shape:
            return image
        return resize_all(image[np.newaxis], self._image_size, repr(self._name))[0]


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
        return InputError(f"there is no data set, folder or file {name!r}; {suggest(name, known)}")
    return InputError(
        f"{name} is not in {data_dir}, and its preparation needs TensorFlow; run: pip install tensorflow, or copy a "
        f"folder that was prepared with file_format='array_record' to {data_dir}"
    )


@contextmanager
def _report_as_damaged(folder: Path) -> Iterator[None]:
    """Raise an InputError that names the folder for any exception: damaged files raise exceptions of many types."""
    try:
        yield
    except Exception as error:
        raise InputError(f"{folder} is damaged ({error}); delete it and prepare it again") from error


def _prepare_without_tensorflow(name: str, data_dir: Path, source: str | Path | None) -> Path:
    with nullcontext(Path(source).expanduser()) if source is not None else _downloaded(name, data_dir) as folder:
        if not folder.exists():
            raise InputError(f"source must be an existing folder or archive, got {folder}")
        splits = {split: read_original(name, folder, split) for split in ("train", "test")}
    return prepare_arrays(name, splits, data_dir)


def _prepare_with_tensorflow(name: str, data_dir: Path) -> Path:
    if not importlib.util.find_spec("tensorflow"):
        raise _needs_tensorflow(name, data_dir)
    tfds = require("tensorflow_datasets", extra="data")
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except tfds.core.registered.DatasetNotFoundError as error:
        raise _needs_tensorflow(name, data_dir) from error
    builder.download_and_prepare(file_format="array_record")
    return Path(builder.data_dir)


@contextmanager
def _downloaded(name: str, data_dir: Path) -> Iterator[Path]:
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
                    shutil.copyfileobj(response, target)
            except (OSError, HTTPException) as error:
                raise InputError(
                    f"{url} cannot be downloaded ({error}); put {', '.join(urls)} into a folder and give the folder "
                    "as source"
                ) from error
        yield Path(folder)


def _is_not_about_opencv(record: logging.LogRecord) -> bool:
    """Keep all log records except the recommendation of OpenCV as the image decoder."""
    return "OpenCV is not installed" not in record.getMessage()


def _png(image: np.ndarray) -> io.BytesIO:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image).save(file, "png")
    file.seek(0)
    return file


def _versions(folder: Path, version: str) -> list[Path]:
    """Folders of prepared versions; a folder left by an interrupted preparation is not named by a version number."""
    named = (path.parent for path in folder.glob("*/features.json") if version in ("", path.parent.name))
    return [path for path in named if re.fullmatch(r"\d+\.\d+\.\d+", path.name)]
