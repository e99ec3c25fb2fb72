"""Points on the line and in the plane."""

from typing import TYPE_CHECKING

import numpy as np

from jaxgen.typing import AnyArray, Float

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
