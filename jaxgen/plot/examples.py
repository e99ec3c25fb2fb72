"""Figures of examples: samples, reconstructions below their originals, and examples in the style of others."""

from typing import TYPE_CHECKING

import numpy as np

from jaxgen.plot.grid import image_grid
from jaxgen.plot.points import scatter
from jaxgen.typing import AnyArray, Float, Shaped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAIRS = 16
"""Originals in a row, with their reconstructions below."""


def samples(
    examples: Shaped[AnyArray, "..."],
    *,
    data: Float[AnyArray, "n dim"] | None = None,
    several_seeds: bool = False,
    columns: int | None = None,
) -> "Figure":
    """Draw samples: images in a grid, points over those of the data.

    Args:
        examples: `[n, *event]`, or `[seeds, n, *event]`: each seed of images has a row, points are drawn together.
        data: points of the data, drawn below the samples.
        several_seeds: whether there is an axis of seeds.
        columns: images per row, for a single seed; None for a square grid.

    Returns:
        A figure.

    Example:
        >>> samples(np.zeros((4, 8, 8, 1))).get_size_inches()
        array([6.16, 6.16])
    """
    examples = np.asarray(examples)
    if examples.ndim - several_seeds == 4:
        columns = examples.shape[1] if several_seeds else columns
        return image_grid(examples.reshape(-1, *examples.shape[-3:]), columns=columns)
    return scatter(examples.reshape(-1, examples.shape[-1]), data=None if data is None else np.asarray(data))


def reconstructions(originals: Shaped[AnyArray, "n ..."], decoded: Shaped[AnyArray, "n ..."]) -> "Figure":
    """Draw examples and their reconstructions.

    Args:
        originals: `[n, *event]`; images have values in [0, 1], or are uint8.
        decoded: their reconstructions, `[n, *event]`.

    Returns:
        A figure: images in rows of originals with their reconstructions below, or points over points.

    Example:
        >>> reconstructions(np.zeros((16, 8, 8, 1)), np.ones((16, 8, 8, 1))).get_size_inches()
        array([6.48, 0.88])
    """
    originals, decoded = np.asarray(originals), np.asarray(decoded)
    if originals.ndim != 4:
        return scatter(decoded, data=originals)
    originals, decoded = _unit_values(originals), _unit_values(decoded)
    columns = min(PAIRS, len(originals))
    # White images fill the last row.
    fill = np.ones((-len(originals) % columns, *originals.shape[1:]))
    originals, decoded = np.concatenate([originals, fill]), np.concatenate([decoded, fill])
    rows = range(0, len(originals), columns)
    pairs = [part[i : i + columns] for i in rows for part in (originals, decoded)]
    return image_grid(np.concatenate(pairs), columns=columns)


def styles(originals: Shaped[AnyArray, "n ..."], restyled: Shaped[AnyArray, "n classes ..."]) -> "Figure":
    """Draw examples, and their styles transferred to all classes.

    Args:
        originals: `[n, *event]`; images have values in [0, 1], or are uint8.
        restyled: `[n, classes, *event]`.

    Returns:
        A figure: a row of images for each example, the original first, or points over points.

    Example:
        >>> styles(np.zeros((4, 8, 8, 1)), np.ones((4, 10, 8, 8, 1))).get_size_inches()
        array([6.72, 2.52])
    """
    originals, restyled = np.asarray(originals), np.asarray(restyled)
    if originals.ndim != 4:
        return scatter(restyled.reshape(-1, originals.shape[-1]), data=originals)
    rows = np.concatenate([_unit_values(originals)[:, None], _unit_values(restyled)], axis=1)
    return image_grid(rows.reshape(-1, *originals.shape[1:]), columns=rows.shape[1])


def _unit_values(images: Shaped[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Images with values in [0, 1]: an array of several images has one scale."""
    return images / 255 if images.dtype == np.uint8 else images
