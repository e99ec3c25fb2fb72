"""Sets of images to be compared: a folder, a file of an array, or a split of a data set, all of it."""

from typing import NamedTuple

from jaxgen.data.description import example
from jaxgen.data.folders import describe_skipped
from jaxgen.data.image_folder import ImageFolder
from jaxgen.data.image_size import resize_all
from jaxgen.data.own_arrays import read_images
from jaxgen.data.sources import DATASETS, SPLITS, Data, DataSource
from jaxgen.data.streaming import read_or_stream
from jaxgen.errors import InputError, shortened, suggest
from jaxgen.paths import expand_path

FILES = (".npz", ".npy")
"""Suffixes of files of arrays of images, in lower case."""


class ImageSet(NamedTuple):
    """A set of images.

    Attributes:
        data: the images, as arrays or a stream.
        name: data set and split, as `mnist:test`; of a folder or a file the last part of its path.
        is_data_set: whether the images are those of a data set, which the name determines.
        notice: what was not read, or is scaled; empty where nothing is to be said.
    """

    data: Data
    name: str
    is_data_set: bool = False
    notice: str = ""


def open_image_set(name: str, *, data_dir: str | None = None, image_size: int | None = None) -> ImageSet:
    """Open all images of a folder, a file, or a split of a data set; none is held out.

    Args:
        name: path of a folder of images, with or without subfolders; of an `.npz` or `.npy` file as
            `jaxgen.data.own_arrays.read_images` describes; or a data set with its split, as `mnist:test`, by default
            the training split.
        data_dir: folder of the data sets.
        image_size: height and width to which images are scaled and cropped; None where all have the same size.

    Returns:
        The images and what is known of them.

    Raises:
        InputError: if there are no images, they differ in size, or a file is damaged.

    Example:
        >>> open_image_set("digits:test").data["image"].shape
        (360, 8, 8, 1)
    """
    path = expand_path(name)
    if path.is_dir():
        images = ImageFolder(path, image_size)
        notice = describe_skipped(images.skipped, path) + images.depth_notice
        return ImageSet(read_or_stream(images, None), path.resolve().name, notice=notice)
    if path.suffix.lower() in FILES:
        if not path.is_file():
            raise InputError(f"images must be in a folder or a file, and there is no file '{path}'")
        arrays = read_images(path)
        if image_size is not None and arrays.shape[1:3] != (image_size, image_size):
            arrays = resize_all(arrays, image_size, str(path))
        return ImageSet({"image": arrays}, path.name)
    data, _, split = name.partition(":")
    if data not in DATASETS:
        raise InputError(
            f"images must be a folder, an .npz or .npy file, or a data set such as mnist:test, got {shortened(name)}: "
            f"{suggest(data, DATASETS)}"
        )
    if split and split not in SPLITS:
        raise InputError(f"the split of {data} must be one of {', '.join(SPLITS)}, got {shortened(split)}")
    opened = DataSource(data, data_dir, image_size).open(split or "train")
    if "image" not in example(opened.data):
        raise InputError(f"metrics of features are of images, and {data} are points")
    return ImageSet(opened.data, f"{data}:{split or 'train'}", True, opened.notice)
