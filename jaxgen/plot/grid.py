"""Grids of images without interpolation."""

import math
from typing import TYPE_CHECKING

import numpy as np

from jaxgen.typing import AnyArray, Shaped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GAP = 2
"""Number of background pixels between two images."""

MIN_WIDTH = 600
"""Minimum width of a grid in pixels; pixels of small images are repeated to reach it."""


def image_grid(images: Shaped[AnyArray, "n height width channels"], *, columns: int | None = None) -> "Figure":
    """Plot images in a grid, row by row.

    Args:
        images: images, [n, height, width, channels], with values in [0, 1] (clipped) or uint8, and one channel (grey)
            or three.
        columns: number of images per row; None for a square grid.

    Returns:
        Figure of the images without axes, enlarged by an integer factor.

    Example:
        >>> image_grid(np.zeros((10, 8, 8, 1)), columns=5).get_size_inches()
        array([6.24, 2.64])
    """
    from matplotlib.figure import Figure

    canvas = tile(images, columns or math.ceil(math.sqrt(len(images))))
    enlarged = canvas.repeat(factor := math.ceil(MIN_WIDTH / canvas.shape[1]), axis=0).repeat(factor, axis=1)
    figure = Figure(figsize=(enlarged.shape[1] / 100, enlarged.shape[0] / 100), dpi=100)
    figure.figimage(enlarged, cmap="gray", vmin=0, vmax=1)
    return figure


def tile(images: Shaped[AnyArray, "n height width channels"], columns: int) -> np.ndarray:
    """Arrange images in a grid in one array, on a white background.

    Args:
        images: images, [n, height, width, channels], with values in [0, 1] (clipped) or uint8.
        columns: number of images per row.

    Returns:
        Image, float32 `[rows * (height + 2) + 2, columns * (width + 2) + 2]`, with a last axis for three channels.

    Example:
        >>> tile(np.zeros((3, 8, 8, 3)), columns=2).shape
        (22, 22, 3)
    """
    images = np.asarray(images)
    images = images / 255 if images.dtype == np.uint8 else np.clip(images.astype(np.float32), 0, 1)
    count, height, width, channels = images.shape
    rows = math.ceil(count / columns)
    canvas = np.ones((rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, channels), np.float32)
    for i, image in enumerate(images):
        top, left = GAP + i // columns * (height + GAP), GAP + i % columns * (width + GAP)
        canvas[top : top + height, left : left + width] = image
    return canvas[..., 0] if channels == 1 else canvas
