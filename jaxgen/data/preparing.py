"""Preparing the best known data sets as tensorflow-datasets does, without TensorFlow.

Preparing a data set usually needs TensorFlow. For MNIST, Fashion-MNIST, Kuzushiji-MNIST and CIFAR-10 this module reads
the original files and passes the arrays to the builder of tensorflow-datasets; the result is the same folder as with
TensorFlow.
"""

import importlib.util
import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, redirect_stdout
from http.client import HTTPException
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

import numpy as np

from jaxgen._signatures import checked
from jaxgen.data.binarized import BINARY
from jaxgen.data.cifar import CLASSES
from jaxgen.data.included import INCLUDED
from jaxgen.data.originals import CHECKSUMS, read_original
from jaxgen.data.prepared_folders import default_data_dir, find_prepared, needs_tensorflow
from jaxgen.data.stacked import STACKED
from jaxgen.data.synthetic import SYNTHETIC
from jaxgen.errors import InputError, shortened
from jaxgen.optional_imports import require
from jaxgen.paths import expand_path

Arrays = Mapping[str, np.ndarray]

Notify = Callable[[str], None]
"""Function that shows one line to the user."""

SECONDS_BETWEEN_LINES = 10
"""Time in seconds after which a line about the progress of a preparation follows the previous one."""

DOWNLOADED_BYTES = 2**20
"""Number of bytes per read of a download."""


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
    made_of = STACKED | BINARY
    if name in INCLUDED or name in SYNTHETIC or made_of.get(name) in INCLUDED:
        raise InputError(f"{shortened(name)} is included in jaxgen and needs no preparation; load it by its name")
    if name in made_of:
        raise InputError(f"{name} is made of the images of {made_of[name]}; run: jaxgen data prepare {made_of[name]}")
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
        raise needs_tensorflow(name, data_dir)
    tfds = require("tensorflow_datasets", extra="data")
    base, _, chosen_version = name.partition(":")
    base, _, config = base.partition("/")
    # The name may be an entry of a run folder from elsewhere. Of the builders that are installed only those of
    # tensorflow-datasets are used, and the class directly: `tfds.builder` imports modules that files in data_dir name.
    if base not in tfds.list_builders(with_community_datasets=False):
        raise needs_tensorflow(name, data_dir)
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
    from urllib.request import urlopen

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
