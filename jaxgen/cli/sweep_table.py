"""The table and the figures of a sweep, `jaxgen train MODEL --sweep NAME=VALUES`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table

from jaxgen import plot
from jaxgen.cli.output import print_line, print_table
from jaxgen.runs.sweep_runs import SweepResult, means

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def print_sweep(result: SweepResult, *, title: str) -> None:
    """Print the metrics of all points, for several seeds as mean ± standard deviation.

    Args:
        result: result of a sweep.
        title: line above the table.
    """
    metrics = list(dict.fromkeys(metric for test in result.tests for metric in test))
    table = Table(*result.axes, *metrics)
    for point, test in zip(result.points, result.tests, strict=True):
        cells = [_cell(test.get(metric)) for metric in metrics]
        table.add_row(*[f"{value:g}" for value in point.values()], *cells)
    print_line(title)
    print_table(table)


def sweep_figure(result: SweepResult, metric: str) -> "Figure | None":
    """Return a figure of a metric over one option or two; None for more options, or where no value is finite.

    Args:
        result: result of a sweep.
        metric: name of a metric.

    Returns:
        A curve with error bars, or a heat map.
    """
    mean, deviation = means(result, metric)
    axes = [(name, np.array(values)) for name, values in result.axes.items()]
    if not np.isfinite(mean).any() or len(axes) > 2:
        return None
    if len(axes) == 1:
        ((name, values),) = axes
        return plot.option_curve(values, mean, deviation, option=name, metric=metric)
    return plot.heat_map(mean, deviation, rows=axes[0], columns=axes[1], metric=metric)


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        mean, sd = value["mean"], value["sd"]
        return "-" if mean is None else f"{mean:.4g}" + ("" if sd is None else f" ± {sd:.2g}")
    return "-" if value is None else f"{value:.4g}"
