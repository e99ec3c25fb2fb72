"""Pictures in rows and columns with names."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from jaxgen.plot.grid import GAP, tile
from jaxgen.typing import AnyArray, Float, Shaped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE = 0.9
"""Inches a picture is wide."""


def image_rows(
    rows: Mapping[str, Shaped[AnyArray, "columns height width channels"]], *, columns: Sequence[str] = ()
) -> "Figure":
    """Show rows of pictures, each with its name: e.g. the same arithmetic with codes, and with pixels.

    Args:
        rows: name -> pictures of one size with values in [0, 1] or uint8, as many in each row.
        columns: names of the columns.

    Returns:
        A figure with one pair of axes.

    Raises:
        ValueError: if the rows differ in shape, or the columns are not as many as their names.

    Example:
        >>> zeros = np.zeros((3, 8, 8, 1))
        >>> figure = image_rows({"codes": zeros, "pixels": zeros}, columns=["a", "b", "a - b"])
        >>> [text.get_text() for text in figure.axes[0].get_yticklabels()]
        ['codes', 'pixels']
    """
    from matplotlib.figure import Figure

    shapes = {name: np.shape(images) for name, images in rows.items()}
    if len(set(shapes.values())) != 1:
        raise ValueError(f"there must be rows, all of one shape, got {shapes}")
    count, height, width, _ = next(iter(shapes.values()))
    if columns and len(columns) != count:
        raise ValueError(f"there must be a name for each of {count} columns, got {len(columns)}")
    canvas = tile(np.concatenate([np.asarray(images) for images in rows.values()]), count)
    inches = SIDE * canvas.shape[1] / (width + GAP), SIDE * canvas.shape[0] / (width + GAP)
    figure = Figure(figsize=(inches[0] + 1.2, inches[1] + 0.4), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(canvas, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_yticks([GAP + height / 2 + i * (height + GAP) for i in range(len(rows))], list(rows))
    axes.set_xticks([GAP + width / 2 + i * (width + GAP) for i in range(len(columns))], list(columns))
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)
    return figure


def twins(pairs: Shaped[AnyArray, "pairs 2 height width channels"], distances: Float[AnyArray, " pairs"]) -> "Figure":
    """Show pairs of pictures, one above the other, with their distance.

    Args:
        pairs: values in [0, 1] or uint8.
        distances: of each pair.

    Returns:
        A figure with one pair of axes.

    Raises:
        ValueError: if there is not one distance for each pair.

    Reference:
        Arora and Zhang 2017, arXiv:1706.08224, figures 1 and 2.

    Example:
        >>> figure = twins(np.zeros((2, 2, 8, 8, 1)), np.array([0.5, 1.25]))
        >>> [text.get_text() for text in figure.axes[0].get_xticklabels()]
        ['0.5', '1.25']
    """
    pairs = np.asarray(pairs)
    return image_rows(
        {"one": pairs[:, 0], "its twin": pairs[:, 1]}, columns=[f"{distance:.3g}" for distance in np.asarray(distances)]
    )
