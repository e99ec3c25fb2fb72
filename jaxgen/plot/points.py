"""Points on the line and in the plane."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxgen.typing import AnyArray, Float, Int

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARGIN = 0.25
"""Between the data and the edge of a picture, in parts of the range of the data."""

BINS = 100
"""Of a histogram."""

HIGHEST = 2.5
"""How many times as high as the histogram of the data a picture of histograms is."""

LARGEST_LEGEND = 20
"""Labels that have a colour and a line of the legend each; of more a bar shows the colours."""


def scatter(
    generated: Float[AnyArray, "n dimensions"], *, data: Float[AnyArray, "m dimensions"] | None = None, title: str = ""
) -> "Figure":
    """Show generated points over the data.

    Where there are data, they alone decide what part of the line or the plane is seen: pictures of one data set can be
    compared, and shown one after the other. Of generated points that lie elsewhere, the picture says how many there
    are.

    Args:
        generated: one or two coordinates a point; of more the first two are shown. On the line, histograms are drawn.
        data: points to compare with.
        title: over the axes.

    Returns:
        A figure with one pair of axes.

    Example:
        >>> figure = scatter(np.zeros((5, 2)), data=np.ones((5, 2)))
        >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
        ['data', 'generated']
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), dpi=120, layout="constrained")
    axes = figure.add_subplot(title=title)
    _draw(axes, generated, data)
    axes.legend(loc="upper right", markerscale=4)
    return figure


def scatters(
    panels: Mapping[str, tuple[Float[AnyArray, "n dimensions"], Float[AnyArray, "m dimensions"]]], *, columns: int = 3
) -> "Figure":
    """Show the points that several models have generated, each over its data and under its name.

    Args:
        panels: name -> generated points and data to compare with, as `scatter` takes them.
        columns: in a row.

    Returns:
        A figure with a pair of axes for each name.

    Example:
        >>> figure = scatters({"GAN": (np.zeros((5, 2)), np.ones((5, 2)))})
        >>> [axes.get_title() for axes in figure.axes]
        ['GAN']
    """
    from matplotlib.figure import Figure

    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(3 * columns, 3.2 * rows), dpi=120, layout="constrained")
    for i, (name, (generated, data)) in enumerate(panels.items()):
        _draw(figure.add_subplot(rows, columns, i + 1, title=name), generated, data)
    return figure


def scatter_by_label(
    points: Float[AnyArray, "n 2"], *, label: Int[AnyArray, " n"] | None = None, title: str = ""
) -> "Figure":
    """Show points of the plane, each in the colour of its label.

    Args:
        points: two coordinates a point.
        label: of every point; where nothing is given all points have one colour.
        title: over the axes.

    Returns:
        A figure with one pair of axes, and beside them which colour is which label.

    Raises:
        ValueError: if the points are not in the plane, or there is not one label for each.

    Example:
        >>> figure = scatter_by_label(np.zeros((3, 2)), label=np.array([4, 7, 4]))
        >>> [text.get_text() for text in figure.legends[0].get_texts()]
        ['4', '7']
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    points, labels = np.asarray(points), None if label is None else np.asarray(label)
    if points.ndim != 2 or points.shape[1] != 2 or (labels is not None and labels.shape != points.shape[:1]):
        found = "none" if labels is None else labels.shape
        raise ValueError(f"points must be [n, 2] and label [n], got points {points.shape}, label {found}")
    figure = Figure(figsize=(6, 5), dpi=120, layout="constrained")
    axes = figure.add_subplot(title=title, aspect="equal", adjustable="datalim")
    style: dict[str, Any] = {"s": 9, "alpha": 0.7, "linewidths": 0}
    if labels is None:
        axes.scatter(points[:, 0], points[:, 1], color="tab:blue", **style)
    elif len(known := np.unique(labels)) > LARGEST_LEGEND:
        drawn = axes.scatter(points[:, 0], points[:, 1], c=labels, cmap="turbo", **style)
        figure.colorbar(drawn, ax=axes, label="label")
    else:
        colours = colormaps["tab10" if len(known) <= 10 else "tab20"]
        for i, value in enumerate(known):
            of_label = points[labels == value]
            axes.scatter(of_label[:, 0], of_label[:, 1], color=colours(i), label=str(value), **style)
        figure.legend(loc="outside right upper", title="label", markerscale=3)
    return figure


def _limits(data: Float[np.ndarray, "n dimensions"]) -> Float[np.ndarray, "dimensions 2"]:
    """Where the axes begin and end."""
    low, high = data.min(axis=0), data.max(axis=0)
    margin = np.where(high > low, MARGIN * (high - low), 1.0)
    return np.stack([low - margin, high + margin], axis=1)


def _draw(axes: Any, generated: Float[AnyArray, "n dimensions"], data: Float[AnyArray, "m dimensions"] | None) -> None:
    """Draw generated points over the data."""
    limits = None if data is None else _limits(np.asarray(data)[:, :2])
    shown = {"data": (data, "0.6"), "generated": (generated, "tab:red")}
    for label, (of, colour) in shown.items():
        if of is None:
            continue
        points = np.asarray(of)
        if points.shape[1] == 1:
            bins = np.histogram_bin_edges(points if limits is None else limits, BINS)
            # The density of all points, also of those that lie elsewhere.
            weights = np.full(len(points), BINS / (bins[-1] - bins[0]) / len(points))
            style = {"histtype": "step", "color": colour, "label": label}
            heights, _, _ = axes.hist(points[:, 0], bins, weights=weights, **style)
            if label == "data":
                axes.set_ylim(0, HIGHEST * heights.max())
        else:
            axes.scatter(points[:, 0], points[:, 1], s=3, alpha=0.5, linewidths=0, color=colour, label=label)
            axes.set_aspect("equal")
    if limits is not None:
        axes.set(**dict(zip(("xlim", "ylim"), limits.tolist(), strict=False)))
        shown_at = np.asarray(generated)[:, :2]
        elsewhere = int(np.sum(~np.all((limits[:, 0] <= shown_at) & (shown_at <= limits[:, 1]), axis=1)))
        if elsewhere:
            told = f"{elsewhere} of {len(shown_at)} points elsewhere"
            # On the line the bottom is where the curves are.
            height, edge = (0.98, "top") if shown_at.shape[1] == 1 else (0.02, "bottom")
            axes.text(0.02, height, told, transform=axes.transAxes, fontsize="small", verticalalignment=edge)
