"""Grids of images: crisp pixels, enlarged by a whole factor, in one array of bytes."""

import math
from collections.abc import Sequence

import numpy as np

from jaxgen._signatures import checked
from jaxgen.batch_checks import LARGEST_PIXELS
from jaxgen.errors import InputError
from jaxgen.plot.text import draw_text
from jaxgen.typing import AnyArray, Shaped, UInt8

GAP = 2
"""Number of background pixels between two images; they are not enlarged."""

MIN_WIDTH = 600
"""Width in pixels to which small images are enlarged."""

MAX_FACTOR = 16
"""Largest factor by which an image is enlarged."""

TITLE_SIZE = 16
"""Size of the font of titles in pixels."""

WHITE = 255


class Grid:
    """Images in a near-square grid on white, filled part by part: only the bytes of the grid are in memory.

    Args:
        count: number of images of each panel.
        shape: height, width and channels (1 or 3) of an image.
        columns: number of columns; None for a near-square grid. Where a cycle of classes is drawn, a multiple of their
            number.
        titles: title of each panel, e.g. of each seed; empty for one panel without a title.
        min_width: width in pixels that the enlarged images of a row reach, as far as `MAX_FACTOR` allows.
        limit: largest number of pixels.

    Raises:
        InputError: if there are no images or no columns, the channels are neither one nor three, or the grid would have
            more pixels; the message has the largest number of images.

    Example:
        >>> grid = Grid(3, (8, 8, 1), columns=2)
        >>> grid.add(np.zeros((2, 8, 8, 1)))
        >>> grid.add(np.zeros((1, 8, 8, 1)))
        >>> grid.pixels.shape
        (262, 262)
    """

    def __init__(
        self,
        count: int,
        shape: tuple[int, int, int],
        *,
        columns: int | None = None,
        titles: Sequence[str] = (),
        min_width: int = MIN_WIDTH,
        limit: int = LARGEST_PIXELS,
    ) -> None:
        if count < 1 or min(shape) < 1 or shape[2] not in (1, 3):
            raise InputError(
                "images must be at least one, with pixels in one channel or three, got "
                f"{count} of height {shape[0]}, width {shape[1]} and {shape[2]} channels"
            )
        if columns is not None and columns < 1:
            raise InputError(f"columns must be at least 1, got {columns}")
        self._layout = _Layout(count, shape, columns, max(1, len(titles)), bool(titles), min_width)
        if self._layout.pixels > limit:
            largest = _largest_count(self._layout, limit)
            advice = f"draw at most {largest} of these images" if largest else "draw none of these images"
            raise InputError(
                f"a figure has at most {limit:,} pixels, and {count} images need {self._layout.pixels:,}: {advice}, or "
                "write all to an .npz file"
            )
        self._canvas = np.full((*self._layout.size, shape[2]), WHITE, np.uint8)
        self._added = 0
        for panel, title in enumerate(titles):
            top, left = self._layout.corner(panel)
            text = draw_text(title, size=TITLE_SIZE, width=self._layout.panel_size[1] - 2 * GAP)
            self._canvas[top + GAP : top + GAP + len(text), left + GAP : left + GAP + text.shape[1]] = text[..., None]

    def add(self, images: Shaped[AnyArray, "*panels n height width channels"]) -> None:
        """Draw the next images of every panel.

        Args:
            images: images with values in [0, 1] (clipped) or uint8, `[n, height, width, channels]`, or with a leading
                axis of panels if there are titles.
        """
        content = to_bytes(images)
        layout = self._layout
        factor, (height, width, _) = layout.factor, layout.shape
        for panel, of_panel in enumerate(content if content.ndim == 5 else content[None]):
            for number, image in enumerate(of_panel, self._added):
                top, left = layout.place(panel, number)
                enlarged = image.repeat(factor, axis=0).repeat(factor, axis=1)
                self._canvas[top : top + factor * height, left : left + factor * width] = enlarged
        self._added += content.shape[-4]

    @property
    def pixels(self) -> UInt8[np.ndarray, "..."]:
        """The grid, `[height, width]` for images of one channel, `[height, width, 3]` for images of three."""
        return self._canvas[..., 0] if self._layout.shape[2] == 1 else self._canvas


@checked
def image_grid(
    images: Shaped[AnyArray, "n height width channels"], *, columns: int | None = None
) -> UInt8[np.ndarray, "..."]:
    """Draw images in a grid, row by row.

    Args:
        images: images, [n, height, width, channels], with values in [0, 1] (clipped) or uint8, and one channel (grey)
            or three.
        columns: number of images per row; None for a near-square grid.

    Returns:
        The pixels, uint8 `[height, width]`, with a last axis for three channels, for `plot.save`: the images without
        axes, enlarged by an integer factor.

    Raises:
        InputError: if the grid would have more than `LARGEST_PIXELS`.

    Example:
        >>> image_grid(np.zeros((10, 8, 8, 1)), columns=5).shape
        (246, 612)
    """
    images = np.asarray(images)
    grid = Grid(len(images), images.shape[1:], columns=columns)
    grid.add(images)
    return grid.pixels


def near_square(count: int, *, height: int, width: int, multiple: int = 1) -> int:
    """Return the number of columns with which cells fill nearly a square.

    Args:
        count: number of cells.
        height: height of a cell.
        width: width of a cell.
        multiple: the number of columns is a multiple of this one.

    Returns:
        Number of columns.

    Example:
        >>> near_square(64, height=8, width=8), near_square(1000, height=8, width=8, multiple=10)
        (8, 30)
    """
    columns = math.sqrt(count * height / width)
    return multiple * max(1, round(columns / multiple)) if multiple > 1 else min(count, math.ceil(columns))


@checked
def to_bytes(images: Shaped[AnyArray, "..."]) -> UInt8[np.ndarray, "..."]:
    """Return images as bytes: values in [0, 1] are clipped and scaled; what is not a number is black.

    Args:
        images: images with values in [0, 1], or uint8.

    Returns:
        uint8 of the same shape.

    Raises:
        InputError: if they are integers of another type, or floats that are whole numbers up to 255.

    Example:
        >>> to_bytes(np.array([-1.0, 0.5, 2.0, np.nan])).tolist()
        [0, 128, 255, 0]
    """
    images = np.asarray(images)
    if images.dtype == np.uint8:
        return images
    whole = images.dtype.kind in "iu" or (images.dtype.kind == "f" and _are_bytes(images))
    if whole:
        raise InputError(
            f"images must be uint8 or floats in [0, 1], got {images.dtype} from {images.min()} to {images.max()}; "
            "convert values from 0 to 255 by x.astype('uint8')"
        )
    scaled = 255 * np.clip(np.nan_to_num(images.astype(np.float32), posinf=1.0), 0, 1)
    return (scaled + 0.5).astype(np.uint8)


def _are_bytes(images: np.ndarray) -> bool:
    """Whether floats are whole numbers from 0 to 255, which samples of a model beyond [0, 1] are not."""
    return bool(images.size and images.min() >= 0 and 1 < images.max() <= 255 and np.all(images == np.rint(images)))


class _Layout:
    """Where images are: a grid of panels, each with a title and a grid of images."""

    def __init__(
        self, count: int, shape: tuple[int, int, int], columns: int | None, panels: int, titled: bool, min_width: int
    ) -> None:
        height, width, _ = self.shape = shape
        self.count, self.further = count, (columns, panels, titled, min_width)
        self.columns = columns or near_square(count, height=height + GAP, width=width + GAP)
        self.rows = math.ceil(count / self.columns)
        panel = self.rows * height, self.columns * width
        self.panel_columns = near_square(panels, height=panel[0], width=panel[1])
        self.factor = max(1, min(MAX_FACTOR, math.ceil(min_width / (self.panel_columns * panel[1]))))
        self.title_height = TITLE_SIZE + 2 * GAP if titled else 0
        self.cell = self.factor * height + GAP, self.factor * width + GAP
        self.panel_size = self.title_height + self.rows * self.cell[0] + GAP, self.columns * self.cell[1] + GAP
        panel_rows = math.ceil(panels / self.panel_columns)
        self.size = panel_rows * self.panel_size[0], self.panel_columns * self.panel_size[1]
        self.pixels = math.prod(self.size)

    def corner(self, panel: int) -> tuple[int, int]:
        row, column = divmod(panel, self.panel_columns)
        return row * self.panel_size[0], column * self.panel_size[1]

    def place(self, panel: int, number: int) -> tuple[int, int]:
        (top, left), (row, column) = self.corner(panel), divmod(number, self.columns)
        return top + self.title_height + GAP + row * self.cell[0], left + GAP + column * self.cell[1]


def _largest_count(layout: _Layout, limit: int) -> int:
    """The largest number of images, at most that of the layout, that are within the limit, found by bisection."""
    low, high = 0, layout.count
    while high - low > 1:
        middle = (low + high) // 2
        fits = _Layout(middle, layout.shape, *layout.further).pixels <= limit
        low, high = (middle, high) if fits else (low, middle)
    return low
