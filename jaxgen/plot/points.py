"""Plots of points in one and two dimensions."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxgen.plot.class_names import label_texts
from jaxgen.typing import AnyArray, Float, Int

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARGIN = 0.25
"""Margin between the data and the limits of the axes, as a fraction of the range of the data."""

BINS = 100
"""Number of bins of a histogram."""

RELATIVE_HEIGHT = 2.5
"""Upper limit of the density axis in units of the largest value of the histogram of the data."""

MAX_LEGEND_ENTRIES = 20
"""Largest number of labels that are listed in a legend; more labels are shown by a colour bar."""


def scatter(
    generated: Float[AnyArray, "n dimensions"], *, data: Float[AnyArray, "m dimensions"] | None = None, title: str = ""
) -> "Figure":
    """Plot generated points over the data: a scatter plot in two dimensions, histograms in one dimension.

    If data are given, the limits of the axes depend on the data alone, so that figures of one data set can be compared
    and can be the frames of an animation. The figure states the number of generated points outside the axes.

    Args:
        generated: generated points, [n, dimensions]; with more than two dimensions the first two are plotted.
        data: points to compare with, [m, dimensions]; None for no comparison.
        title: title of the axes.

    Returns:
        Figure with one pair of axes.

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


def scatter_panels(
    panels: Mapping[str, tuple[Float[AnyArray, "n dimensions"], Float[AnyArray, "m dimensions"]]], *, columns: int = 3
) -> "Figure":
    """Plot the generated points of several models in separate panels, each over its data.

    Args:
        panels: name of the model -> generated points and data to compare with, as in `scatter`.
        columns: number of panels per row.

    Returns:
        Figure with one pair of axes per model.

    Example:
        >>> figure = scatter_panels({"GAN": (np.zeros((5, 2)), np.ones((5, 2)))})
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
    points: Float[AnyArray, "n 2"],
    *,
    label: Int[AnyArray, " n"] | None = None,
    class_names: Sequence[str] = (),
    title: str = "",
) -> "Figure":
    """Plot points in two dimensions, coloured by label.

    Args:
        points: points, [n, 2].
        label: label of each point, [n]; None for one colour.
        class_names: name of each class in order of the labels; empty to show the labels.
        title: title of the axes.

    Returns:
        Figure with one pair of axes, and a legend or colour bar of the labels.

    Raises:
        ValueError: if the shape of the points is not [n, 2], or that of the labels is not [n].

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
    elif len(known := np.unique(labels)) > MAX_LEGEND_ENTRIES:
        collection = axes.scatter(points[:, 0], points[:, 1], c=labels, cmap="turbo", **style)
        figure.colorbar(collection, ax=axes, label="label")
    else:
        colours = colormaps["tab10" if len(known) <= 10 else "tab20"]
        for i, (value, name) in enumerate(zip(known, label_texts(known, class_names), strict=True)):
            of_label = points[labels == value]
            axes.scatter(of_label[:, 0], of_label[:, 1], color=colours(i), label=name, **style)
        figure.legend(loc="outside right upper", title="label", markerscale=3)
    return figure


def _limits(data: Float[np.ndarray, "n dimensions"]) -> Float[np.ndarray, "dimensions 2"]:
    """Lower and upper limit of each axis."""
    low, high = data.min(axis=0), data.max(axis=0)
    margin = np.where(high > low, MARGIN * (high - low), 1.0)
    return np.stack([low - margin, high + margin], axis=1)


def _draw(axes: Any, generated: Float[AnyArray, "n dimensions"], data: Float[AnyArray, "m dimensions"] | None) -> None:
    """Plot generated points over the data."""
    limits = None if data is None else _limits(np.asarray(data)[:, :2])
    layers = {"data": (data, "0.6"), "generated": (generated, "tab:red")}
    for label, (layer, colour) in layers.items():
        if layer is None:
            continue
        points = np.asarray(layer)
        if points.shape[1] == 1:
            bins = np.histogram_bin_edges(points if limits is None else limits, BINS)
            # Normalized by the number of all points, including those outside the axes.
            weights = np.full(len(points), BINS / (bins[-1] - bins[0]) / len(points))
            style = {"histtype": "step", "color": colour, "label": label}
            heights, _, _ = axes.hist(points[:, 0], bins, weights=weights, **style)
            if label == "data":
                axes.set_ylim(0, RELATIVE_HEIGHT * heights.max())
        else:
            axes.scatter(points[:, 0], points[:, 1], s=3, alpha=0.5, linewidths=0, color=colour, label=label)
            axes.set_aspect("equal")
    if limits is not None:
        axes.set(**dict(zip(("xlim", "ylim"), limits.tolist(), strict=False)))
        coordinates = np.asarray(generated)[:, :2]
        inside = np.all((limits[:, 0] <= coordinates) & (coordinates <= limits[:, 1]), axis=1)
        if outside := int(np.sum(~inside)):
            text = f"{outside} of {len(coordinates)} points outside the axes"
            # In one dimension the histograms are at the bottom.
            height, edge = (0.98, "top") if coordinates.shape[1] == 1 else (0.02, "bottom")
            axes.text(0.02, height, text, transform=axes.transAxes, fontsize="small", verticalalignment=edge)
