"""Images in rows and columns with names, enlarged by a whole factor."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from jaxgen._signatures import checked
from jaxgen.plot.grid import GAP, MIN_WIDTH, WHITE, Grid
from jaxgen.plot.text import draw_text
from jaxgen.typing import AnyArray, Float, Shaped, UInt8

TEXT_SIZE = 16
"""Size of the font of names in pixels."""

MARGIN = 6
"""Pixels between a name and the images."""

MIN_COLUMN = 72
"""Width of a column in pixels, so that short names fit above it, unless all columns would be wider than this:"""

LARGEST_WIDTH = 1500

LARGEST_NAME = 240
"""Largest width of the name of a row in pixels; longer names are cut."""


@checked
def image_rows(
    rows: Mapping[str, Shaped[AnyArray, "columns height width channels"]],
    *,
    columns: Sequence[str] = (),
    title: str = "",
) -> UInt8[np.ndarray, "..."]:
    """Draw named rows of images, e.g. the same arithmetic of latents and of pixels.

    Args:
        rows: name of the row -> images, [columns, height, width, channels], with values in [0, 1] or uint8; all rows
            have the same shape.
        columns: names of the columns; empty for none.
        title: title above all; empty for none.

    Returns:
        The pixels, uint8 `[height, width]`, with a last axis for three channels, for `plot.save`. The images are in the
        lower right corner, as `image_grid` draws them.

    Raises:
        ValueError: if there are no rows, the rows differ in shape, or the number of names differs from that of columns.
        InputError: if there are too many images for a figure.

    Example:
        >>> zeros = np.zeros((3, 8, 8, 1))
        >>> image_rows({"latents": zeros, "pixels": zeros}, columns=["a", "b", "a - b"]).dtype
        dtype('uint8')
    """
    shapes = {name: np.shape(images) for name, images in rows.items()}
    if len(set(shapes.values())) != 1:
        raise ValueError(f"rows must not be empty and must all have the same shape, got {shapes}")
    return draw_rows(list(rows), list(rows.values()), columns=columns, title=title)


def draw_rows(
    names: Sequence[str],
    rows: Sequence[Shaped[AnyArray, "columns height width channels"]],
    *,
    columns: Sequence[str] = (),
    title: str = "",
) -> UInt8[np.ndarray, "..."]:
    """Draw rows of images whose names may repeat; otherwise like `image_rows`.

    Args:
        names: name of each row; all empty for no names.
        rows: images of each row.
        columns: names of the columns; empty for none.
        title: title above all; empty for none.

    Returns:
        The pixels.

    Raises:
        ValueError: if the number of names differs from that of columns.
        InputError: if there are too many images for a figure.

    Example:
        >>> draw_rows(["", ""], np.zeros((2, 3, 8, 8, 1))).shape
        (262, 392)
    """
    count, height, width, channels = np.shape(rows[0])
    if columns and len(columns) != count:
        raise ValueError(f"columns must have a name for each of {count} columns, got {len(columns)} names")
    min_width = max(MIN_WIDTH, min(MIN_COLUMN * count, LARGEST_WIDTH))
    grid = Grid(count * len(rows), (height, width, channels), columns=count, min_width=min_width)
    for images in rows:
        grid.add(images)
    images = grid.pixels.reshape(*grid.pixels.shape[:2], channels)
    cell = (images.shape[0] - GAP) / len(rows), (images.shape[1] - GAP) / count
    texts = [draw_text(name, size=TEXT_SIZE, width=LARGEST_NAME) for name in names]
    left = max(text.shape[1] for text in texts)
    left += 2 * MARGIN if left else 0
    lines = [draw_text(title, size=TEXT_SIZE, width=left + images.shape[1])] if title else []
    top = len(lines) * (TEXT_SIZE + MARGIN) + (TEXT_SIZE + MARGIN if any(columns) else 0)
    canvas = np.full((top + images.shape[0], left + images.shape[1], channels), WHITE, np.uint8)
    canvas[top:, left:] = images
    for line in lines:
        _put(canvas, line, 0, left or GAP)
    for i, text in enumerate(texts):
        middle = top + GAP / 2 + (i + 0.5) * cell[0]
        _put(canvas, text, math.floor(middle - TEXT_SIZE / 2), left - MARGIN - text.shape[1])
    for j, name in enumerate(columns):
        text = draw_text(name, size=TEXT_SIZE, width=math.floor(cell[1]) - 2)
        middle = left + GAP / 2 + (j + 0.5) * cell[1]
        _put(canvas, text, top - TEXT_SIZE - MARGIN // 2, math.floor(middle - text.shape[1] / 2))
    return canvas[..., 0] if channels == 1 else canvas


@checked
def nearest_pairs(
    pairs: Shaped[AnyArray, "pairs 2 height width channels"], distances: Float[AnyArray, " pairs"]
) -> UInt8[np.ndarray, "..."]:
    """Draw the nearest pairs of samples, one pair per column, with their distances.

    Args:
        pairs: pairs of images, [pairs, 2, height, width, channels], with values in [0, 1] or uint8.
        distances: distance of each pair, [pairs].

    Returns:
        The pixels, as those of `image_rows`.

    Raises:
        ValueError: if the number of distances differs from that of pairs.

    Reference:
        Arora and Zhang 2017, arXiv:1706.08224, figures 1 and 2.

    Example:
        >>> nearest_pairs(np.zeros((2, 2, 8, 8, 1)), np.array([0.5, 1.25])).ndim
        2
    """
    pairs = np.asarray(pairs)
    return image_rows(
        {"first": pairs[:, 0], "second": pairs[:, 1]}, columns=[f"{distance:.3g}" for distance in np.asarray(distances)]
    )


def _put(canvas: UInt8[np.ndarray, "..."], text: UInt8[np.ndarray, "..."], top: int, left: int) -> None:
    """Copy text into the canvas, as far as it lies within it."""
    top = max(0, top)
    area = canvas[top : top + text.shape[0], left : left + text.shape[1]]
    area[:] = text[: area.shape[0], : area.shape[1], None]
