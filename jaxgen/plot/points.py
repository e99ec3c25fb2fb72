"""Plots of points in one and two dimensions."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from jaxgen._signatures import checked
from jaxgen.errors import InputError
from jaxgen.plot.class_names import label_texts
from jaxgen.plot.text import literal
from jaxgen.typing import AnyArray, Float, Int

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARGIN = 0.25
"""Margin between the data and the limits of the axes, as a fraction of the range of the data."""

BINS = 100
"""Number of bins of a histogram."""

RELATIVE_HEIGHT = 2.5
"""Upper limit of the density axis in units of the largest value of the histogram of the data."""

EQUAL_SCALES = 4
"""Largest ratio of the ranges of two coordinates that are drawn to the same scale: beyond it, points are a sliver."""

MAX_LEGEND_ENTRIES = 20
"""Largest number of labels that are listed in a legend; more labels are shown by a colour bar."""


LARGEST_POINTS = 2**20
"""Largest number of points of a figure, for each of which matplotlib needs some hundred bytes."""


@checked
def check_points(count: int) -> None:
    """Check that so many points can be drawn.

    Args:
        count: number of points, in all panels.

    Raises:
        InputError: if they are too many.

    Example:
        >>> check_points(10**9)
        Traceback (most recent call last):
        jaxgen.errors.InputError: a figure has at most 1,048,576 points, got 1,000,000,000: draw fewer of them, or write
        all to an .npz file
    """
    if count > LARGEST_POINTS:
        raise InputError(
            f"a figure has at most {LARGEST_POINTS:,} points, got {count:,}: draw fewer of them, or write all to an "
            ".npz file"
        )


@checked
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

    check_points(_count(generated, data))
    figure = Figure(figsize=(5, 5), dpi=120, layout="constrained")
    axes = figure.add_subplot(title=literal(title))
    _draw(axes, generated, data, _limits(generated if data is None else data))
    axes.legend(loc="upper right", markerscale=4)
    return figure


@checked
def scatter_panels(
    panels: Mapping[str, tuple[Float[AnyArray, "n dimensions"], Float[AnyArray, "m dimensions"] | None]],
    *,
    columns: int = 3,
) -> "Figure":
    """Plot the generated points of several models or seeds in separate panels, each over its data.

    Args:
        panels: name of the panel -> generated points and data to compare with, as in `scatter`. Panels without data
            have the limits of the generated points of all panels.
        columns: number of panels per row.

    Returns:
        Figure with one pair of axes per panel.

    Example:
        >>> figure = scatter_panels({"GAN": (np.zeros((5, 2)), np.ones((5, 2)))})
        >>> [axes.get_title() for axes in figure.axes]
        ['GAN']
    """
    from matplotlib.figure import Figure

    if not panels or columns < 1:
        raise InputError(f"panels and columns must be at least one, got {len(panels)} panels in {columns} columns")
    check_points(sum(_count(*layers) for layers in panels.values()))
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(3 * columns, 3.2 * rows), dpi=120, layout="constrained")
    common = _limits(np.concatenate([np.asarray(generated) for generated, _ in panels.values()]))
    for i, (name, (generated, data)) in enumerate(panels.items()):
        axes = figure.add_subplot(rows, columns, i + 1, title=literal(name))
        _draw(axes, generated, data, common if data is None else _limits(data))
    return figure


@checked
def scatter_by_label(
    points: Float[AnyArray, "n 2"],
    *,
    label: Int[AnyArray, " n"] | None = None,
    class_names: Sequence[str] = (),
    title: str = "",
) -> "Figure":
    """Plot points in two dimensions, coloured by label, in an order in which no label covers the others.

    Args:
        points: points, [n, 2].
        label: label of each point, [n]; None for one colour.
        class_names: name of each class in order of the labels; empty to show the labels.
        title: title of the axes.

    Returns:
        Figure with one pair of axes, and a legend or colour bar of the labels.

    Raises:
        InputError: if the shape of the points is not [n, 2], or that of the labels is not [n].

    Example:
        >>> figure = scatter_by_label(np.zeros((3, 2)), label=np.array([4, 7, 4]))
        >>> [text.get_text() for text in figure.legends[0].get_texts()]
        ['4', '7']
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    points, labels = np.asarray(points), None if label is None else np.asarray(label)
    check_points(len(points))
    figure = Figure(figsize=(6, 5), dpi=120, layout="constrained")
    axes = figure.add_subplot(title=literal(title), aspect=_aspect(_limits(points)), adjustable="datalim")
    style: dict[str, Any] = {"s": 9, "alpha": 0.7, "linewidths": 0}
    # In the order of the labels, the last class would cover the others.
    order = np.random.default_rng(0).permutation(len(points))
    x, y = points[order].T
    if labels is None:
        axes.scatter(x, y, color="tab:blue", **style)
    elif len(known := np.unique(labels)) > MAX_LEGEND_ENTRIES:
        collection = axes.scatter(x, y, c=labels[order], cmap="turbo", **style)
        figure.colorbar(collection, ax=axes, label="label")
    else:
        colours = colormaps["tab10" if len(known) <= 10 else "tab20"](range(len(known)))
        axes.scatter(x, y, c=colours[np.searchsorted(known, labels[order])], **style)
        entries = [
            Line2D([], [], color=colour, marker="o", linestyle="", label=literal(name))
            for name, colour in zip(label_texts(known, class_names), colours, strict=True)
        ]
        figure.legend(handles=entries, loc="outside right upper", title="label")
    return figure


def finite_range(values: Float[AnyArray, "..."]) -> tuple[float, float]:
    """Return the range of the finite values, which is never empty, for the edges of a histogram.

    Args:
        values: values of any shape, some of which may be NaN or infinite.

    Returns:
        The smallest and the largest; where these are equal, or so near that float32 has no numbers between them, they
        are moved apart; (-0.5, 0.5) without finite values.

    Example:
        >>> finite_range(np.array([1.0, np.nan, 3.0])), finite_range(np.array([2.0, 2.0])), finite_range(np.array([]))
        ((1.0, 3.0), (1.5, 2.5), (-0.5, 0.5))
    """
    values = np.asarray(values, np.float64)
    finite = values[np.isfinite(values)]
    if not finite.size:
        return -0.5, 0.5
    low, high = float(finite.min()), float(finite.max())
    smallest = 1e-4 * max(abs(low), abs(high))
    if low < high and high - low > smallest:
        return low, high
    half = max(0.5, smallest)
    return (low + high) / 2 - half, (low + high) / 2 + half


def _limits(points: Float[AnyArray, "n dimensions"]) -> Float[np.ndarray, "dimensions 2"]:
    """Lower and upper limit of each axis."""
    limits = []
    for values in np.asarray(points)[:, :2].T:
        low, high = finite_range(values)
        limits.append((low - MARGIN * (high - low), high + MARGIN * (high - low)))
    return np.array(limits)


def _aspect(limits: Float[np.ndarray, "dimensions 2"]) -> Literal["equal", "auto"]:
    """Whether both coordinates are drawn to the same scale: not if they are of unlike scales, as columns of a table."""
    ranges = limits[:, 1] - limits[:, 0]
    return "equal" if ranges.max() <= EQUAL_SCALES * ranges.min() else "auto"


def _count(generated: Float[AnyArray, "n dimensions"], data: Float[AnyArray, "m dimensions"] | None) -> int:
    """The number of points, all of the same dimension."""
    shapes = [np.shape(generated), *([] if data is None else [np.shape(data)])]
    if len({shape[1] for shape in shapes}) > 1 or not shapes[0][1]:
        raise InputError(f"points must have the same number of dimensions, at least 1, got shapes {shapes}")
    return len(generated) + (0 if data is None else len(data))


def _draw(
    axes: Any,
    generated: Float[AnyArray, "n dimensions"],
    data: Float[AnyArray, "m dimensions"] | None,
    limits: Float[np.ndarray, "dimensions 2"],
) -> None:
    """Plot generated points over the data."""
    layers = {"data": (data, "0.6"), "generated": (generated, "tab:red")}
    for label, (layer, colour) in layers.items():
        if layer is None:
            continue
        points = np.asarray(layer)
        if points.shape[1] == 1:
            bins = np.linspace(limits[0, 0], limits[0, 1], BINS + 1)
            finite = points[np.isfinite(points)]
            # Normalized by the number of all points, including those outside the axes.
            weights = np.full(len(finite), BINS / (bins[-1] - bins[0]) / len(points))
            heights, _, _ = axes.hist(finite, bins, weights=weights, histtype="step", color=colour, label=label)
            if label == "data":
                axes.set_ylim(0, RELATIVE_HEIGHT * (heights.max() or 1.0))
        else:
            axes.scatter(points[:, 0], points[:, 1], s=3, alpha=0.5, linewidths=0, color=colour, label=label)
            axes.set_aspect(_aspect(limits))
    axes.set(**dict(zip(("xlim", "ylim"), limits.tolist(), strict=False)))
    coordinates = np.asarray(generated)[:, :2]
    inside = np.all((limits[:, 0] <= coordinates) & (coordinates <= limits[:, 1]), axis=1)
    if outside := int(np.sum(~inside)):
        text = f"{outside} of {len(coordinates)} points outside the axes"
        # In one dimension the histograms are at the bottom.
        height, edge = (0.98, "top") if coordinates.shape[1] == 1 else (0.02, "bottom")
        axes.text(0.02, height, text, transform=axes.transAxes, fontsize="small", verticalalignment=edge)
