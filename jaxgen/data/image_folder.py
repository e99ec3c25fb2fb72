"""A user's own pictures: a folder of PNG and JPEG files, or the arrays of an `.npz` file.

Every tenth picture belongs to the test split, unless the folder has the subfolders `train` and `test`.
"""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxgen.data.streaming import Held, Source, Subset
from jaxgen.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = {".png", ".jpg", ".jpeg"}
TEST_EVERY = 10
CHANNELS = {"L": 1, "RGB": 3}


def own_images(path: Path, split: str, image_size: int | None) -> Source:
    """Find one split of a user's pictures.

    Args:
        path: a folder of pictures, or an `.npz` file.
        split: "train" or "test".
        image_size: height and width to which pictures are resized (the shorter side) and cropped around their centre;
            None keeps the size that all of them have.

    Returns:
        The pictures as a source.

    Raises:
        InputError: if there are no pictures, or one of them is unreadable, too small or of another size than the rest.
    """
    if path.is_dir():
        if all(_find(path / name) for name in ("train", "test")):
            return _folder_split(path, split, image_size)
        return held_out(PictureFolder(path, image_size), split, str(path))
    return held_out(Held(read_npz(path, image_size)), split, str(path))


def held_out(source: Source, split: str, name: str) -> Source:
    """Divide a source that comes without splits: every tenth example, the tenth, twentieth and so on, is for testing.

    Args:
        source: all examples.
        split: "train" or "test".
        name: of the data, for the message.

    Returns:
        The examples of the split.

    Raises:
        InputError: if there are too few for a test split.
    """
    chosen = [i for i in range(len(source)) if (i % TEST_EVERY == TEST_EVERY - 1) == (split == "test")]
    if not chosen:
        raise InputError(f"{name} has {len(source)} pictures, a test split needs at least {TEST_EVERY}")
    if isinstance(source, Held):
        return Held(source.read(chosen))
    return Subset(source, chosen)


class PictureFolder(Source):
    """The PNG and JPEG files of a folder, in order of their names; the names of its subfolders are the labels.

    The header of every file is looked at once: grey if all are grey, else colour; transparency is laid on white.

    Args:
        folder: holds pictures, or subfolders that do.
        image_size: height and width that the pictures get, or None if all have one size.
        labels: the names of the subfolders in order of their labels; None takes the sorted names of those in `folder`.

    Raises:
        InputError: if there are no pictures, or one is unreadable, too small, or of another size than the rest.
    """

    def __init__(self, folder: Path, image_size: int | None, labels: Sequence[str] | None = None) -> None:
        self._paths = _find(folder)
        if not self._paths:
            raise InputError(f"{folder} holds no pictures; they end in {', '.join(sorted(SUFFIXES))}")
        names = [path.relative_to(folder).parts[0] for path in self._paths if path.parent != folder]
        if names and len(names) < len(self._paths):
            raise InputError(f"{folder} holds pictures both in itself and in subfolders; the subfolders are the labels")
        self.labels = sorted(set(names)) if labels is None else list(labels)
        if self.labels and not names:
            raise InputError(f"the pictures of {folder} have no labels, and those for training have: use subfolders")
        if unknown := set(names) - set(self.labels):
            raise InputError(f"{folder} has the label {min(unknown)!r}, which the training pictures have not")
        self._numbers = np.array([self.labels.index(name) for name in names], np.int32)
        self.classes = len(self.labels) or None
        self._size, self._mode = _common_size_and_mode(self._paths, image_size)
        self.shape = (self._size[1], self._size[0], CHANNELS[self._mode])

    def __len__(self) -> int:
        """Count the pictures."""
        return len(self._paths)

    def read(self, indices: Sequence[int]) -> dict[str, np.ndarray]:
        """Decode pictures."""
        arrays = {"image": np.stack([self._decode(i) for i in indices])}
        return arrays | ({"label": self._numbers[np.asarray(indices)]} if self.labels else {})

    def _decode(self, index: int) -> np.ndarray:
        from PIL import Image, ImageOps

        path = self._paths[index]
        try:
            with Image.open(path) as opened:
                image = _flatten(ImageOps.exif_transpose(opened), self._mode)
        except Exception as error:  # Pillow raises whatever its decoders meet in a damaged file.
            raise _unreadable(path, error) from error
        return resize_and_crop(image, self._size).reshape(self.shape)


def resize_and_crop(image: "Image", size: tuple[int, int]) -> np.ndarray:
    """Resize a picture until it covers the size, and cut off what sticks out, evenly at both ends.

    Args:
        image: grey or colour, at least as large as the size.
        size: width and height in pixels.

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
    """Refuse a picture that is smaller than the size asked for.

    Args:
        name: of the picture.
        size: its width and height.
        image_size: the size asked for.

    Raises:
        InputError: if one side of it is shorter.
    """
    if min(size) < image_size:
        raise InputError(
            f"{name} is {size[0]}x{size[1]} pixels, smaller than the image size {image_size}; give at most {min(size)}"
        )


def read_npz(path: Path, image_size: int | None) -> dict[str, np.ndarray]:
    """Read pictures from an `.npz` file.

    Args:
        path: the file; it holds `image`, uint8 or floats in [0, 1], [n, h, w] or [n, h, w, 1 or 3], and perhaps
            `label`, integers from 0 on, [n].
        image_size: height and width that the pictures get, None to keep them.

    Returns:
        `image`, uint8 [n, h, w, c], and `label`, int32 [n], if the file has it.

    Raises:
        InputError: if the file is damaged or holds anything else.
    """
    try:
        # Opened here, because NumPy leaves a damaged file open.
        with path.open("rb") as file, zipfile.ZipFile(file), np.load(file, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in ("image", "label") if name in arrays.files}
    except (OSError, EOFError, ValueError, KeyError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path} cannot be read as an .npz file of plain arrays ({error})") from error
    if "image" not in found:
        raise InputError(f"{path} holds no array named 'image'")
    images = _as_uint8(path, found["image"])
    if image_size is not None and images.shape[1:3] != (image_size, image_size):
        images = resize_all(images, image_size, str(path))
    return {"image": images} | ({"label": _as_labels(path, found["label"], len(images))} if "label" in found else {})


def resize_all(images: np.ndarray, image_size: int, name: str) -> np.ndarray:
    """Resize and crop pictures that are in memory.

    Args:
        images: uint8 [n, h, w, c].
        image_size: the new height and width, at most the old ones.
        name: of the data, for the message.

    Returns:
        uint8 [n, image_size, image_size, c].

    Raises:
        InputError: if the pictures are smaller.

    Example:
        >>> resize_all(np.zeros((2, 20, 40, 3), np.uint8), 10, "zeros").shape
        (2, 10, 10, 3)
    """
    from PIL import Image

    check_size(f"a picture of {name}", (images.shape[2], images.shape[1]), image_size)
    images = (Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image) for image in images)
    resized = np.stack([resize_and_crop(image, (image_size, image_size)) for image in images])
    return resized.reshape(len(images), image_size, image_size, images.shape[-1])


def _folder_split(path: Path, split: str, image_size: int | None) -> Source:
    train = PictureFolder(path / "train", image_size)
    if split == "train":
        return train
    test = PictureFolder(path / "test", image_size, labels=train.labels)
    if test.shape != train.shape:
        raise InputError(f"the pictures of {path / 'test'} have the shape {test.shape}, those in train {train.shape}")
    return test


def _find(folder: Path) -> list[Path]:
    """All pictures under a folder, by name; hidden files are not meant."""
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
                f"{path} is {size[0]}x{size[1]} pixels, but {paths[0].name} is {first[0]}x{first[1]}; "
                "give an image size for all"
            )
    return first, mode


def _header(path: Path) -> tuple[tuple[int, int], bool]:
    """Width and height of a picture as it is to be seen, and whether it is grey."""
    from PIL import ExifTags, Image

    try:
        with Image.open(path) as image:
            turned = image.getexif().get(ExifTags.Base.Orientation, 1) >= 5
            size = image.size[::-1] if turned else image.size
            return size, image.mode in {"1", "L", "LA"} or image.mode.startswith("I")
    except Exception as error:  # Pillow raises whatever its decoders meet in a damaged file.
        raise _unreadable(path, error) from error


def _flatten(image: "Image", mode: str) -> "Image":
    """Turn a picture of any mode into 8-bit grey or colour, with transparency laid on white."""
    from PIL import Image

    if image.mode.startswith("I"):  # 16-bit grey, which Pillow would clip
        image = Image.fromarray((np.asarray(image, np.int64) // 257).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert(mode)


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(f"{path} cannot be read as a picture ({error})")


def _as_uint8(path: Path, images: np.ndarray) -> np.ndarray:
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if images.ndim != 4 or images.shape[-1] not in CHANNELS.values() or not images.size:
        raise InputError(f"'image' in {path} has the shape {images.shape}, not [n, h, w] or [n, h, w, 1 or 3]")
    if images.dtype == np.uint8:
        return images
    if not np.issubdtype(images.dtype, np.floating):
        raise InputError(f"'image' in {path} is {images.dtype}, not uint8 or floats in [0, 1]")
    if not np.all((images >= 0) & (images <= 1)):
        raise InputError(f"'image' in {path} has floats outside [0, 1]")
    return np.rint(images * 255).astype(np.uint8)


def _as_labels(path: Path, labels: np.ndarray, examples: int) -> np.ndarray:
    if labels.shape != (examples,):
        raise InputError(f"'label' in {path} has the shape {labels.shape}, but there are {examples} pictures")
    if not np.issubdtype(labels.dtype, np.integer):
        raise InputError(f"'label' in {path} is {labels.dtype}, not integers")
    if labels.min() < 0 or labels.max() >= 2**31 - 1:
        raise InputError(f"'label' in {path} goes from {labels.min()} to {labels.max()}; labels count from 0 on")
    return labels.astype(np.int32)
