"""Figures of examples: samples, reconstructions below their originals, and examples in the style of others."""

import math
from collections.abc import Sequence

import numpy as np

from jaxgen._signatures import checked
from jaxgen.plot.class_names import label_texts
from jaxgen.plot.figure_files import Drawing
from jaxgen.plot.grid import Grid, near_square
from jaxgen.plot.points import scatter, scatter_panels
from jaxgen.plot.rows import draw_rows
from jaxgen.typing import AnyArray, Float, Shaped

PAIRS = 16
"""Originals in a row, with their reconstructions below; more where there are so many that it would become a column."""


@checked
def samples(
    examples: Shaped[AnyArray, "..."],
    *,
    data: Float[AnyArray, "n dim"] | None = None,
    titles: Sequence[str] = (),
    columns: int | None = None,
) -> Drawing:
    """Draw samples: images in a grid, points over those of the data; a panel with a title for each of several seeds.

    Args:
        examples: `[n, *event]`, or `[panels, n, *event]` if there are titles.
        data: points of the data, drawn below the samples.
        titles: title of each panel; empty for no axis of panels and no title.
        columns: images per row of a panel; None for a near-square grid.

    Returns:
        Pixels of images, or a figure of points.

    Raises:
        InputError: if there are too many images for a figure.

    Example:
        >>> samples(np.zeros((4, 8, 8, 1))).shape, samples(np.zeros((2, 4, 8, 8, 1)), titles=["seed 0", "seed 1"]).shape
        ((262, 262), (282, 524))
    """
    examples = np.asarray(examples)
    panels = examples if titles else examples[None]
    if panels.ndim == 5:
        grid = Grid(panels.shape[1], panels.shape[2:], columns=columns, titles=titles)
        grid.add(panels)
        return grid.pixels
    data = None if data is None else np.asarray(data)
    if len(panels) == 1:
        return scatter(panels[0], data=data, title=titles[0] if titles else "")
    named = {title: (points, data) for title, points in zip(titles, panels, strict=True)}
    return scatter_panels(named, columns=math.ceil(math.sqrt(len(named))))


@checked
def reconstructions(
    originals: Shaped[AnyArray, "n ..."], decoded: Shaped[AnyArray, "n ..."], *, title: str = ""
) -> Drawing:
    """Draw examples and their reconstructions.

    Args:
        originals: `[n, *event]`; images have values in [0, 1], or are uint8.
        decoded: their reconstructions, `[n, *event]`.
        title: title of the figure, e.g. the seed that is shown.

    Returns:
        Pixels of images in rows of originals with their reconstructions below, or a figure of points over points.

    Raises:
        InputError: if there are too many images for a figure.

    Example:
        >>> reconstructions(np.zeros((16, 8, 8, 1)), np.ones((16, 8, 8, 1))).ndim
        2
    """
    originals, decoded = np.asarray(originals), np.asarray(decoded)
    if originals.ndim != 4:
        return scatter(decoded, data=originals, title=title)
    originals, decoded = _unit_values(originals), _unit_values(decoded)
    height, width = originals.shape[1:3]
    columns = min(len(originals), max(PAIRS, near_square(len(originals), height=2 * height, width=width)))
    # White images fill the last row.
    fill = np.ones((-len(originals) % columns, *originals.shape[1:]), np.float32)
    originals, decoded = np.concatenate([originals, fill]), np.concatenate([decoded, fill])
    firsts = range(0, len(originals), columns)
    rows = [part[i : i + columns] for i in firsts for part in (originals, decoded)]
    return draw_rows(["original", "reconstruction"] * len(firsts), rows, title=title)


@checked
def styles(
    originals: Shaped[AnyArray, "n ..."],
    restyled: Shaped[AnyArray, "n classes ..."],
    *,
    class_names: Sequence[str] = (),
    title: str = "",
) -> Drawing:
    """Draw examples, and their styles transferred to all classes.

    Args:
        originals: `[n, *event]`; images have values in [0, 1], or are uint8.
        restyled: `[n, classes, *event]`.
        class_names: name of each class in order of the labels; empty to show the labels.
        title: title of the figure, e.g. the seed that is shown.

    Returns:
        Pixels of a row of images for each example, the original first and then one column for each class; or a figure
        of points over points.

    Raises:
        InputError: if there are too many images for a figure.

    Example:
        >>> styles(np.zeros((4, 8, 8, 1)), np.ones((4, 10, 8, 8, 1))).ndim
        2
    """
    originals, restyled = np.asarray(originals), np.asarray(restyled)
    if originals.ndim != 4:
        return scatter(restyled.reshape(-1, originals.shape[-1]), data=originals, title=title)
    rows = np.concatenate([_unit_values(originals)[:, None], _unit_values(restyled)], axis=1)
    columns = ["original", *label_texts(range(restyled.shape[1]), class_names)]
    return draw_rows([""] * len(rows), list(rows), columns=columns, title=title)


@checked
def style_grid(
    contents: Shaped[AnyArray, "n height width channels"],
    styles: Shaped[AnyArray, "k height width channels"],
    stylized: Shaped[AnyArray, "n k height width channels"],
    *,
    title: str = "",
) -> Drawing:
    """Draw images in the styles of others.

    Args:
        contents: images with values in [0, 1], or uint8.
        styles: images with the styles, of the same size.
        stylized: each content in each style.
        title: title of the figure, e.g. the seed that is shown.

    Returns:
        Pixels: the styles in the first row, and a row for each content, which is its first image.

    Raises:
        InputError: if there are too many images for a figure.

    Example:
        >>> style_grid(np.zeros((2, 8, 8, 3)), np.zeros((3, 8, 8, 3)), np.zeros((2, 3, 8, 8, 3))).ndim
        3
    """
    contents, styles, stylized = (_unit_values(np.asarray(images)) for images in (contents, styles, stylized))
    first = np.concatenate([np.ones_like(styles[:1]), styles])
    rows = np.concatenate([contents[:, None], stylized], axis=1)
    return draw_rows(["style", *["content"] * len(rows)], [first, *rows], title=title)


def _unit_values(images: Shaped[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Images with values in [0, 1]: an array of several images has one scale."""
    return images / np.float32(255) if images.dtype == np.uint8 else images
