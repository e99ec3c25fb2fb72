"""Plots of a metric over the options of a sweep."""

from typing import TYPE_CHECKING

import numpy as np

from jaxgen._signatures import checked
from jaxgen.plot.text import literal
from jaxgen.typing import Float

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@checked
def option_curve(
    values: Float[np.ndarray, " points"],
    means: Float[np.ndarray, " points"],
    deviations: Float[np.ndarray, " points"],
    *,
    option: str,
    metric: str,
) -> "Figure":
    """Plot a metric against an option, with bars of one standard deviation over seeds.

    Args:
        values: values of the option, [points].
        means: mean of the metric over seeds, [points].
        deviations: standard deviation over seeds, [points]; NaN for a single seed.
        option: name of the option.
        metric: name of the metric.

    Returns:
        Figure with one pair of axes; the option has a logarithmic axis if its values differ by a factor of ten.

    Example:
        >>> x = np.array([1e-4, 1e-3])
        >>> option_curve(x, x, x / 2, option="learning_rate", metric="elbo").axes[0].get_xscale()
        'log'
    """
    from matplotlib.figure import Figure

    order = np.argsort(values)
    figure = Figure(figsize=(5, 4), dpi=120, layout="constrained")
    axes = figure.add_subplot(xlabel=literal(option), ylabel=literal(metric))
    axes.errorbar(values[order], means[order], yerr=np.nan_to_num(deviations[order]), marker="o", capsize=3)
    if values.min() > 0 and values.max() >= 10 * values.min():
        axes.set_xscale("log")
    return figure


@checked
def heat_map(
    means: Float[np.ndarray, "rows columns"],
    deviations: Float[np.ndarray, "rows columns"],
    *,
    rows: tuple[str, Float[np.ndarray, " rows"]],
    columns: tuple[str, Float[np.ndarray, " columns"]],
    metric: str,
) -> "Figure":
    """Plot a metric over two options as colours, with the numbers in the cells.

    Args:
        means: mean of the metric over seeds.
        deviations: standard deviation over seeds; NaN for a single seed.
        rows: name and values of the option of the rows.
        columns: name and values of the option of the columns.
        metric: name of the metric.

    Returns:
        Figure with one pair of axes and a colour bar.

    Example:
        >>> means = np.array([[1.0, 2.0, 3.0]])
        >>> rows, columns = ("beta", np.array([1.0])), ("b1", np.array([0.0, 0.5, 0.9]))
        >>> figure = heat_map(means, 0 * means, rows=rows, columns=columns, metric="elbo")
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['1 ± 0', '2 ± 0', '3 ± 0']
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2 + 1.1 * means.shape[1], 1.5 + 0.8 * means.shape[0]), dpi=120, layout="constrained")
    axes = figure.add_subplot(xlabel=literal(columns[0]), ylabel=literal(rows[0]))
    image = axes.imshow(means, aspect="auto", cmap="viridis")
    axes.set_xticks(range(means.shape[1]), [f"{value:g}" for value in columns[1]])
    axes.set_yticks(range(means.shape[0]), [f"{value:g}" for value in rows[1]])
    middle = (np.nanmin(means) + np.nanmax(means)) / 2 if np.isfinite(means).any() else 0.0
    for (row, column), mean in np.ndenumerate(means):
        deviation = deviations[row, column]
        text = "-" if np.isnan(mean) else f"{mean:.3g}" + ("" if np.isnan(deviation) else f" ± {deviation:.1g}")
        axes.text(column, row, text, ha="center", va="center", color="black" if mean > middle else "white", fontsize=8)
    figure.colorbar(image, ax=axes, label=literal(metric))
    return figure
