"""Points on the line and in the plane."""

from typing import TYPE_CHECKING, Any

import numpy as np

from jaxgen.typing import AnyArray, Float, Int

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LARGEST_LEGEND = 20
"""Labels that have a colour and a line of the legend each; of more a bar shows the colours."""


def scatter(
    generated: Float[AnyArray, "n dimensions"], *, data: Float[AnyArray, "m dimensions"] | None = None, title: str = ""
) -> "Figure":
    """Show generated points over the data.

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
    shown = {"data": (data, "0.6"), "generated": (generated, "tab:red")}
    for label, (points, colour) in shown.items():
        if points is None:
            continue
        points = np.asarray(points)
        if points.shape[1] == 1:
            axes.hist(points[:, 0], bins=100, density=True, histtype="step", color=colour, label=label)
        else:
            axes.scatter(points[:, 0], points[:, 1], s=3, alpha=0.5, linewidths=0, color=colour, label=label)
    if np.asarray(generated).shape[1] > 1:
        axes.set_aspect("equal")
    axes.legend(loc="upper right", markerscale=4)
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
