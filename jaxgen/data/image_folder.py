"""The user's images: a folder of image files, whose subfolders are classes or splits.

Where no subfolders are splits, a tenth of each class belongs to the test split (`jaxgen.data.holdout`).
"""

import hashlib
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxgen.batch_checks import LARGEST_PIXELS
from jaxgen.data.folders import SUFFIXES, describe_skipped, find_splits, list_files, list_others
from jaxgen.data.holdout import describe_splits, holdout_split
from jaxgen.data.image_size import check_size, resize_and_crop
from jaxgen.data.streaming import Source
from jaxgen.errors import InputError, shortened
from jaxgen.typing import Int, UInt8

if TYPE_CHECKING:
    from PIL.Image import Image

DARKEST = 257
"""Level of 16 bits that is the darkest grey of 8 bits."""

CHANNELS = {"L": 1, "RGB": 3}

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
"""Formats that are decoded, whatever the suffix of the file. Pillow would start other programs for some others."""

MAX_FILE_BYTES = 2**29
"""Largest size of a file of one image: 512 MiB, more than `LARGEST_PIXELS` pixels take without compression."""

HASHED_BYTES = 2**16
"""Number of bytes at the beginning and at the end of a larger file that represent its content in its digest."""


def folder_splits(path: Path, image_size: int | None) -> Callable[[str], Source]:
    """Return a function that opens a split of a folder of images; its files are looked at once for all splits.

    The splits "train", "test" and "validation" are the subfolders `train`, `val` and `test`, or similar names in any
    case; without `test`, `val` is the test split. Without such subfolders, a tenth of each class belongs to the test
    split.

    Args:
        path: path of a folder of images.
        image_size: height and width in pixels. The shorter side of an image is resized to it and the image is cropped
            around its centre. None keeps the size, which must be the same for all images.

    Returns:
        Function of the name of a split. It returns the source of its images, whose `notice` says what was read, and
        raises an InputError if there are none, or an image is unreadable, too small, too large, or differs in size from
        the others.

    Raises:
        InputError: if the folder cannot be read, or two of its subfolders are the same split.
    """
    folders = find_splits(path)
    if "test" not in folders and "validation" in folders:
        folders["test"] = folders.pop("validation")

    @cache
    def opened() -> dict[str, ImageFolder]:
        train = ImageFolder(folders.get("train", path), image_size)
        others = {split: folder for split, folder in folders.items() if split != "train"}
        all_splits = {"train": train} | {
            split: ImageFolder(folder, image_size, class_names=train.class_names) for split, folder in others.items()
        }
        if "RGB" in [images.mode for images in all_splits.values()]:
            for images in all_splits.values():
                images.use_colours()
        return all_splits

    def open_split(split: str) -> Source:
        if split == "validation" and split not in folders:
            raise InputError(f"{path} must have the subfolders train, val and test for a validation split")
        if "test" in folders:
            return _folder_split(path, folders, opened(), split)
        images = opened()["train"]
        selected = holdout_split(images, split, str(path))
        counts = len(selected), len(images) - len(selected)
        train, test = counts if split == "train" else counts[::-1]
        skipped = [*images.skipped, *(list_others(path, folders.values()) if folders else ())]
        selected.notice = describe_splits(train, test, "images", images.classes) + describe_skipped(skipped, path)
        selected.notice += images.depth_notice
        return selected

    return open_split


class ImageFolder(Source):
    """Image files of a folder, in order of their paths; the names of its subfolders are the class names.

    The header of every file is read once. The images are grey if all files are grey, otherwise RGB. Transparent images
    are composited on white. Of several frames the first is read. Of 16 bits, 65535 is white, as PNG defines it; values
    whose range no format defines, floats and integers of 32 bits, are refused.

    Args:
        folder: path of a folder that contains images, or subfolders of images.
        image_size: height and width of the resized images in pixels; None if all images have the same size.
        class_names: names of the subfolders in order of their labels; None for the sorted names of the subfolders.

    Raises:
        InputError: if there are no images, or an image is unreadable, too small, too large, or differs in size from the
            others.
    """

    def __init__(self, folder: Path, image_size: int | None, class_names: Sequence[str] | None = None) -> None:
        _ignore_warnings()
        self._paths, self.skipped = list_files(folder)
        if not self._paths:
            raise InputError(
                f"{folder} must contain images: files that end in {', '.join(SUFFIXES)}"
                f"{describe_skipped(self.skipped, folder)}"
            )
        names = [path.relative_to(folder).parts[0] for path in self._paths if path.parent != folder]
        if names and len(names) < len(self._paths):
            raise InputError(f"{folder} must have all images in subfolders (the labels) or none, got both")
        self.class_names = tuple(sorted(set(names)) if class_names is None else class_names)
        if self.class_names and not names:
            raise InputError(
                f"the images of {folder} must have labels as the training images have: use subfolders, or put them "
                f"elsewhere, and a part of the training images is held out in their place"
            )
        if unknown := set(names) - set(self.class_names):
            raise InputError(f"labels in {folder} must be labels of the training images, got {shortened(min(unknown))}")
        label_of = {name: label for label, name in enumerate(self.class_names)}
        self._labels = np.array([label_of[name] for name in names], np.int32)
        self.classes = len(self.class_names) or None
        self._size, self.mode, self.deep = _common_size_and_mode(self._paths, image_size)
        self.shape = (self._size[1], self._size[0], CHANNELS[self.mode])

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._paths)

    @property
    def depth_notice(self) -> str:
        """A clause about images whose values are scaled, empty where there are none."""
        return f", {self.deep} of 16 bits, whose white is 65535" if self.deep else ""

    def use_colours(self) -> None:
        """Read all images as RGB, as those of another split that has colours."""
        self.mode, self.shape = "RGB", (*self.shape[:2], CHANNELS["RGB"])

    def read(self, indices: Sequence[int]) -> dict[str, np.ndarray]:
        """Decode images."""
        arrays = {"image": np.stack([self._decode(i) for i in indices])}
        return arrays | ({"label": self._labels[np.asarray(indices)]} if self.class_names else {})

    def digests(self) -> tuple[list[bytes], Int[np.ndarray, " n"] | None]:
        """Return the SHA-256 of each file, of which the middle is left out if it is large, and the labels."""
        return self._digests, self._labels if self.class_names else None

    @cached_property
    def _digests(self) -> list[bytes]:
        with ThreadPoolExecutor() as pool:
            return list(pool.map(_digest, self._paths))

    def _decode(self, index: int) -> np.ndarray:
        with _opened(self._paths[index]) as image:
            flat = _flatten(_upright(image), self.mode)
        return resize_and_crop(flat, self._size).reshape(self.shape)


def read_image(path: Path, *, shorter_side: int | None = None) -> UInt8[np.ndarray, "height width channels"]:
    """Decode one image file, as those of a folder: grey if it is grey, otherwise RGB.

    Args:
        path: path of the file.
        shorter_side: pixels to which the shorter side is reduced, with the aspect ratio kept; None keeps the size.

    Returns:
        The image.

    Raises:
        InputError: if it is no image, too large, or smaller than `shorter_side`.

    Example:
        >>> read_image(Path("absent.png"))
        Traceback (most recent call last):
        jaxgen.errors.InputError: there is no image file 'absent.png'
    """
    if not path.is_file():
        raise InputError(f"there is no image file '{path}'")
    _ignore_warnings()
    mode = "L" if _header(path, upright=False).is_grey else "RGB"
    with _opened(path) as image:
        flat = _flatten(_upright(image), mode)
    width, height = flat.size
    if shorter_side is not None:
        check_size(str(path), flat.size, shorter_side)
        width, height = (max(shorter_side, round(shorter_side / min(flat.size) * side)) for side in flat.size)
    pixels = resize_and_crop(flat, (width, height))
    return pixels.reshape(*pixels.shape[:2], CHANNELS[mode])


def _folder_split(path: Path, folders: dict[str, Path], opened: dict[str, ImageFolder], split: str) -> Source:
    found, train = opened[split], opened["train"]
    if found.shape != train.shape:
        raise InputError(
            f"images of {folders[split]} must have the shape of those in {folders['train'].name} {train.shape}, got "
            f"{found.shape}; give an image size to resize them"
        )
    kept = f", {len(opened['validation'])} for validation" if "validation" in opened else ""
    skipped = [skipped for images in opened.values() for skipped in images.skipped]
    skipped += list_others(path, folders.values())
    read = describe_splits(len(train), len(opened["test"]), "images", train.classes)
    found.notice = f"{read}{kept}{describe_skipped(skipped, path)}"
    found.notice += found.depth_notice
    return found


class _Header(NamedTuple):
    """Width and height of an image, after the rotation of its EXIF orientation, whether it is grey, and of 16 bits."""

    size: tuple[int, int]
    is_grey: bool
    is_deep: bool


def _common_size_and_mode(paths: Sequence[Path], image_size: int | None) -> tuple[tuple[int, int], str, int]:
    """Size and mode of all images, and the number of those of 16 bits."""
    with ThreadPoolExecutor() as pool:  # Most of the time is that of the disk.
        headers = list(pool.map(partial(_header, upright=image_size is None), paths))
    mode = "L" if all(header.is_grey for header in headers) else "RGB"
    deep = sum(header.is_deep for header in headers)
    if image_size is not None:
        for path, (size, *_) in zip(paths, headers, strict=True):
            check_size(str(path), size, image_size)
        return (image_size, image_size), mode, deep
    first = headers[0].size
    for path, (size, *_) in zip(paths, headers, strict=True):
        if size != first:
            raise InputError(
                f"all images must have the size of {paths[0].name}, {first[0]}x{first[1]} pixels, "
                f"got {size[0]}x{size[1]} for {path}; give an image size to resize them"
            )
    return first, mode, deep


def _header(path: Path, *, upright: bool) -> _Header:
    size_in_bytes = path.stat().st_size
    if size_in_bytes > MAX_FILE_BYTES:
        raise InputError(f"{path} must have at most {MAX_FILE_BYTES} bytes, got {size_in_bytes}")
    with _opened(path) as image:
        width, height = image.size
        if width * height > LARGEST_PIXELS:
            raise InputError(f"{path} must have at most {LARGEST_PIXELS} pixels, got {width} x {height}")
        _check_range(image)
        # Of the file: Pillow itself reads colours of 16 bits as their upper 8 bits.
        is_deep = image.format in ("PNG", "TIFF") and ";16" in _layout(image)
        # Where it cannot matter, it is not looked for: to find it, Pillow may have to decode the image.
        if upright and width != height and _orientation(image) in TRANSPOSING:
            width, height = _upright(image).size
        return _Header((width, height), image.mode in {"1", "L", "LA"} or image.mode.startswith("I"), is_deep)


def _check_range(image: "Image") -> None:
    """Refuse values whose range is not defined: what would be black, and what white?"""
    if image.mode == "F" or (image.mode == "I" and image.format != "PNG"):
        kind = "floats" if image.mode == "F" else "integers of 32 bits, or with a sign"
        raise ValueError(f"its values are {kind}, of which no value is defined as white; 8 or 16 bits are read")
    if "I;12" in _layout(image):
        raise ValueError("its values have 12 bits; 8 or 16 bits are read")


def _layout(image: "Image") -> str:
    """How the values lie in the file, in Pillow's words; known before the image is decoded."""
    return str(getattr(image, "tile", ""))


def _ignore_warnings() -> None:
    """Keep Pillow from warning of metadata that are not used, and of sizes, which are compared with a limit here."""
    from PIL import Image

    warnings.filterwarnings("ignore", "Corrupt EXIF data|Truncated File Read|Metadata Warning", UserWarning)
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


@contextmanager
def _opened(path: Path) -> "Iterator[Image]":
    """Open an image file; any exception while it is used becomes an InputError that names the file."""
    from PIL import Image

    try:
        with Image.open(path, formats=FORMATS) as image:
            yield image
    except InputError:
        raise
    except Exception as error:  # Pillow raises many types of exceptions for damaged files.
        raise InputError(f"{path} cannot be read as an image ({error})") from error


ORIENTATIONS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""EXIF orientation -> name of Pillow's operation that makes the image upright."""

TRANSPOSING = (5, 6, 7, 8)
"""Orientations that exchange width and height."""


def _orientation(image: "Image") -> int:
    """The EXIF orientation; 1, upright, where it is missing, of another type or unknown, or EXIF is damaged."""
    from PIL import ExifTags

    try:
        value = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # Pillow raises many types of exceptions for damaged EXIF.
        return 1
    return value if isinstance(value, int) and value in ORIENTATIONS else 1


def _upright(image: "Image") -> "Image":
    from PIL import Image

    image.load()  # First: of some formats, Pillow rotates the image here and removes the orientation.
    name = ORIENTATIONS.get(_orientation(image))
    return image if name is None else image.transpose(Image.Transpose[name])


def _flatten(image: "Image", mode: str) -> "Image":
    """Convert an image of any mode to 8-bit grey or RGB, composited on white if it is transparent."""
    from PIL import Image

    transparent = image.info.get("transparency")
    if image.mode.startswith("I"):  # 16-bit grey; Pillow's own conversion clips the values
        levels = np.asarray(image, np.int64)
        if 0 < levels.max() < DARKEST:
            raise ValueError(
                f"its values of 16 bits are at most {levels.max()}, which is black, as white is 65535: save it with 8 "
                "bits, or multiply its values"
            )
        grey = np.rint(levels / 257).astype(np.uint8)
        if isinstance(transparent, int):  # The level that is transparent.
            grey[levels == transparent] = 255
        return Image.fromarray(grey).convert(mode)
    if image.mode == "RGB" and isinstance(transparent, tuple) and max(transparent) > 255:
        image.info["transparency"] = tuple(level >> 8 for level in transparent)  # As Pillow reads 16-bit colours.
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert(mode)


def _digest(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            content = file.read(HASHED_BYTES)
            if size > HASHED_BYTES:
                file.seek(max(HASHED_BYTES, size - HASHED_BYTES))
                content += file.read(HASHED_BYTES)
    except OSError as error:
        raise InputError(f"{path} cannot be read as an image ({error})") from error
    return hashlib.sha256(content).digest()
