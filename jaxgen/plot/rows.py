"""Images in rows and columns with names."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from jaxgen.plot.grid import GAP, tile
from jaxgen.typing import AnyArray, Float, Shaped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

IMAGE_WIDTH = 0.9
"""Width of an image in inches."""


def image_rows(
    rows: Mapping[str, Shaped[AnyArray, "columns height width channels"]], *, columns: Sequence[str] = ()
) -> "Figure":
    """Plot named rows of images, e.g. the same arithmetic of latents and of pixels.

    Args:
        rows: name of the row -> images, [columns, height, width, channels], with values in [0, 1] or uint8; all rows
            have the same shape.
        columns: names of the columns; empty for none.

    Returns:
        Figure with one pair of axes.

    Raises:
        ValueError: if there are no rows, the rows differ in shape, or the number of names differs from that of columns.

    Example:
        >>> zeros = np.zeros((3, 8, 8, 1))
        >>> figure = image_rows({"latents": zeros, "pixels": zeros}, columns=["a", "b", "a - b"])
        >>> [text.get_text() for text in figure.axes[0].get_yticklabels()]
        ['latents', 'pixels']
    """
    from matplotlib.figure import Figure

    shapes = {name: np.shape(images) for name, images in rows.items()}
    if len(set(shapes.values())) != 1:
        raise ValueError(f"rows must not be empty and must all have the same shape, got {shapes}")
    count, height, width, _ = next(iter(shapes.values()))
    if columns and len(columns) != count:
        raise ValueError(f"columns must have a name for each of {count} columns, got {len(columns)} names")
    canvas = tile(np.concatenate([np.asarray(images) for images in rows.values()]), count)
    inches = IMAGE_WIDTH * canvas.shape[1] / (width + GAP), IMAGE_WIDTH * canvas.shape[0] / (width + GAP)
    figure = Figure(figsize=(inches[0] + 1.2, inches[1] + 0.4), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(canvas, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_yticks([GAP + height / 2 + i * (height + GAP) for i in range(len(rows))], list(rows))
    axes.set_xticks([GAP + width / 2 + i * (width + GAP) for i in range(len(columns))], list(columns))
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)
    return figure


def nearest_pairs(
    pairs: Shaped[AnyArray, "pairs 2 height width channels"], distances: Float[AnyArray, " pairs"]
) -> "Figure":
    """Plot the nearest pairs of samples, one pair per column, with their distances.

    Args:
        pairs: pairs of images, [pairs, 2, height, width, channels], with values in [0, 1] or uint8.
        distances: distance of each pair, [pairs].

    Returns:
        Figure with one pair of axes.

    Raises:
        ValueError: if the number of distances differs from that of pairs.

    Reference:
        Arora and Zhang 2017, arXiv:1706.08224, figures 1 and 2.

    Example:
        >>> figure = nearest_pairs(np.zeros((2, 2, 8, 8, 1)), np.array([0.5, 1.25]))
        >>> [text.get_text() for text in figure.axes[0].get_xticklabels()]
        ['0.5', '1.25']
    """
    pairs = np.asarray(pairs)
    return image_rows(
        {"first": pairs[:, 0], "second": pairs[:, 1]}, columns=[f"{distance:.3g}" for distance in np.asarray(distances)]
    )
