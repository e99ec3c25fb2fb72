"""The user's images: a folder of PNG and JPEG files, or the arrays of an `.npz` file.

Every tenth image belongs to the test split, unless the folder has the subfolders `train` and `test`.
"""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxgen.data.streaming import ArraySource, Source, Subset
from jaxgen.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = {".png", ".jpg", ".jpeg"}
TEST_EVERY = 10
CHANNELS = {"L": 1, "RGB": 3}


def open_images(path: Path, split: str, image_size: int | None) -> Source:
    """Open one split of the user's images.

    Args:
        path: path of a folder of images, or of an `.npz` file.
        split: "train" or "test".
        image_size: height and width in pixels. The shorter side of an image is resized to it and the image is cropped
            around its centre. None keeps the size, which must be the same for all images.

    Returns:
        Source of the images of the split.

    Raises:
        InputError: if there are no images, or an image is unreadable, too small, or differs in size from the others.
    """
    if path.is_dir():
        if all(_find(path / name) for name in ("train", "test")):
            return _folder_split(path, split, image_size)
        return holdout_split(ImageFolder(path, image_size), split, str(path))
    return holdout_split(ArraySource(read_npz(path, image_size)), split, str(path))


def holdout_split(source: Source, split: str, name: str) -> Source:
    """Split a source without a test split: every tenth example (the 10th, 20th, ...) belongs to the test split.

    Args:
        source: source of all examples.
        split: "train" or "test".
        name: name of the data for the error message.

    Returns:
        Source of the examples of the split.

    Raises:
        InputError: if there are too few examples for a test split.
    """
    selected = [i for i in range(len(source)) if (i % TEST_EVERY == TEST_EVERY - 1) == (split == "test")]
    if not selected:
        raise InputError(f"{name} must have at least {TEST_EVERY} images for a test split, got {len(source)}")
    if isinstance(source, ArraySource):
        return ArraySource(source.read(selected))
    return Subset(source, selected)


class ImageFolder(Source):
    """PNG and JPEG files of a folder, in order of their names; the names of its subfolders are the class names.

    The header of every file is read once. The images are grey if all files are grey, otherwise RGB. Transparent images
    are composited on white.

    Args:
        folder: path of a folder that contains images, or subfolders of images.
        image_size: height and width of the resized images in pixels; None if all images have the same size.
        labels: names of the subfolders in order of their labels; None for the sorted names of the subfolders.

    Raises:
        InputError: if there are no images, or an image is unreadable, too small, or differs in size from the others.
    """

    def __init__(self, folder: Path, image_size: int | None, labels: Sequence[str] | None = None) -> None:
        self._paths = _find(folder)
        if not self._paths:
            raise InputError(f"{folder} must contain images: files that end in {', '.join(sorted(SUFFIXES))}")
        names = [path.relative_to(folder).parts[0] for path in self._paths if path.parent != folder]
        if names and len(names) < len(self._paths):
            raise InputError(f"{folder} must have all images in subfolders (the labels) or none, got both")
        self.labels = sorted(set(names)) if labels is None else list(labels)
        if self.labels and not names:
            raise InputError(f"the images of {folder} must have labels as the training images have: use subfolders")
        if unknown := set(names) - set(self.labels):
            raise InputError(f"labels in {folder} must be labels of the training images, got {min(unknown)!r}")
        self._label_indices = np.array([self.labels.index(name) for name in names], np.int32)
        self.classes = len(self.labels) or None
        self._size, self._mode = _common_size_and_mode(self._paths, image_size)
        self.shape = (self._size[1], self._size[0], CHANNELS[self._mode])

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._paths)

    def read(self, indices: Sequence[int]) -> dict[str, np.ndarray]:
        """Decode images."""
        arrays = {"image": np.stack([self._decode(i) for i in indices])}
        return arrays | ({"label": self._label_indices[np.asarray(indices)]} if self.labels else {})

    def _decode(self, index: int) -> np.ndarray:
        from PIL import Image, ImageOps

        path = self._paths[index]
        try:
            with Image.open(path) as opened:
                image = _flatten(ImageOps.exif_transpose(opened), self._mode)
        except Exception as error:  # Pillow raises many types of exceptions for damaged files.
            raise _unreadable(path, error) from error
        return resize_and_crop(image, self._size).reshape(self.shape)


def resize_and_crop(image: "Image", size: tuple[int, int]) -> np.ndarray:
    """Resize an image to the smallest size that covers the target, and crop it around its centre.

    Args:
        image: image in mode L or RGB, at least as large as the target.
        size: width and height of the target in pixels.

    Returns:
        uint8 [height, width] or [height, width, 3].

    Example:
        >>> from PIL import Image
        >>> resize_and_crop(Image.new("L", (40, 20)), (10, 10)).shape
        (10, 10)
    """
    from PIL import Image, ImageOps

    if image.size != size:
        image = ImageOps.fit(image, size, Image.Resampling.LANCZOS)
    return np.asarray(image, np.uint8)


def check_size(name: str, size: tuple[int, int], image_size: int) -> None:
    """Raise an error if an image is smaller than the requested size.

    Args:
        name: name of the image for the error message.
        size: width and height of the image in pixels.
        image_size: requested height and width in pixels.

    Raises:
        InputError: if the width or the height is smaller than `image_size`.
    """
    if min(size) < image_size:
        raise InputError(
            f"image_size must be at most {min(size)} for {name} of {size[0]}x{size[1]} pixels, got {image_size}"
        )


def read_npz(path: Path, image_size: int | None) -> dict[str, np.ndarray]:
    """Read images from an `.npz` file.

    Args:
        path: path of the file. It contains `image`, uint8 or floats in [0, 1], [n, h, w] or [n, h, w, 1 or 3], and
            optionally `label`, non-negative integers [n].
        image_size: height and width of the resized images in pixels; None keeps the size.

    Returns:
        `image`, uint8 [n, h, w, c], and `label`, int32 [n], if the file contains it.

    Raises:
        InputError: if the file is damaged or its arrays differ from this description.
    """
    try:
        # The file is opened here because NumPy does not close it when it is damaged.
        with path.open("rb") as file, zipfile.ZipFile(file), np.load(file, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in ("image", "label") if name in arrays.files}
    except (OSError, EOFError, ValueError, KeyError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path} cannot be read as an .npz file without pickled objects ({error})") from error
    if "image" not in found:
        raise InputError(f"{path} must contain an array named 'image', got {sorted(arrays.files)}")
    images = _as_uint8(path, found["image"])
    if image_size is not None and images.shape[1:3] != (image_size, image_size):
        images = resize_all(images, image_size, str(path))
    return {"image": images} | ({"label": _as_labels(path, found["label"], len(images))} if "label" in found else {})


def resize_all(images: np.ndarray, image_size: int, name: str) -> np.ndarray:
    """Resize and crop images in memory.

    Args:
        images: images, uint8 [n, h, w, c].
        image_size: height and width of the resized images in pixels, at most h and w.
        name: name of the data for the error message.

    Returns:
        Resized images, uint8 [n, image_size, image_size, c].

    Raises:
        InputError: if the images are smaller than `image_size`.

    Example:
        >>> resize_all(np.zeros((2, 20, 40, 3), np.uint8), 10, "zeros").shape
        (2, 10, 10, 3)
    """
    from PIL import Image

    check_size(f"an image of {name}", (images.shape[2], images.shape[1]), image_size)
    pil_images = (Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image) for image in images)
    resized = np.stack([resize_and_crop(image, (image_size, image_size)) for image in pil_images])
    return resized.reshape(len(images), image_size, image_size, images.shape[-1])


def _folder_split(path: Path, split: str, image_size: int | None) -> Source:
    train = ImageFolder(path / "train", image_size)
    if split == "train":
        return train
    test = ImageFolder(path / "test", image_size, labels=train.labels)
    if test.shape != train.shape:
        raise InputError(
            f"images of {path / 'test'} must have the shape of those in train {train.shape}, got {test.shape}"
        )
    return test


def _find(folder: Path) -> list[Path]:
    """Image files in a folder and its subfolders in order of their names, without hidden files."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def _common_size_and_mode(paths: Sequence[Path], image_size: int | None) -> tuple[tuple[int, int], str]:
    headers = [_header(path) for path in paths]
    mode = "L" if all(grey for _, grey in headers) else "RGB"
    if image_size is not None:
        for path, (size, _) in zip(paths, headers, strict=True):
            check_size(str(path), size, image_size)
        return (image_size, image_size), mode
    first = headers[0][0]
    for path, (size, _) in zip(paths, headers, strict=True):
        if size != first:
            raise InputError(
                f"all images must have the size of {paths[0].name}, {first[0]}x{first[1]} pixels, "
                f"got {size[0]}x{size[1]} for {path}; give an image size to resize them"
            )
    return first, mode


def _header(path: Path) -> tuple[tuple[int, int], bool]:
    """Width and height of an image after the rotation of its EXIF orientation, and whether it is grey."""
    from PIL import ExifTags, Image

    try:
        with Image.open(path) as image:
            transposed = image.getexif().get(ExifTags.Base.Orientation, 1) >= 5
            size = image.size[::-1] if transposed else image.size
            return size, image.mode in {"1", "L", "LA"} or image.mode.startswith("I")
    except Exception as error:  # Pillow raises many types of exceptions for damaged files.
        raise _unreadable(path, error) from error


def _flatten(image: "Image", mode: str) -> "Image":
    """Convert an image of any mode to 8-bit grey or RGB, composited on white if it is transparent."""
    from PIL import Image

    if image.mode.startswith("I"):  # 16-bit grey; Pillow's own conversion clips the values
        image = Image.fromarray((np.asarray(image, np.int64) // 257).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert(mode)


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(f"{path} cannot be read as an image ({error})")


def _as_uint8(path: Path, images: np.ndarray) -> np.ndarray:
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if images.ndim != 4 or images.shape[-1] not in CHANNELS.values() or not images.size:
        raise InputError(f"'image' in {path} must have the shape [n, h, w] or [n, h, w, 1 or 3], got {images.shape}")
    if images.dtype == np.uint8:
        return images
    if not np.issubdtype(images.dtype, np.floating):
        raise InputError(f"'image' in {path} must be uint8 or floats in [0, 1], got {images.dtype}")
    if not np.all((images >= 0) & (images <= 1)):
        raise InputError(f"floats of 'image' in {path} must be in [0, 1], got {images.min()} to {images.max()}")
    return np.rint(images * 255).astype(np.uint8)


def _as_labels(path: Path, labels: np.ndarray, examples: int) -> np.ndarray:
    if labels.shape != (examples,):
        raise InputError(f"'label' in {path} must have one label for each of {examples} images, got {labels.shape}")
    if not np.issubdtype(labels.dtype, np.integer):
        raise InputError(f"'label' in {path} must have an integer dtype, got {labels.dtype}")
    if labels.min() < 0 or labels.max() >= 2**31 - 1:
        raise InputError(f"'label' in {path} must be in [0, 2**31 - 2], got {labels.min()} to {labels.max()}")
    return labels.astype(np.int32)
