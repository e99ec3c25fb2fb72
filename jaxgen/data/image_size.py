"""Images of another size: resized to cover it, and cropped around their centre."""

from typing import TYPE_CHECKING

import numpy as np

from jaxgen.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image


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
