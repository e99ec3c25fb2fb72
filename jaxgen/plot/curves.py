"""Plots of metrics: over training, over seeds, against each other, and against published numbers."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxgen._signatures import checked
from jaxgen.errors import InputError
from jaxgen.plot.text import literal
from jaxgen.typing import AnyArray, Float, Int, Shaped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_COLUMNS = 4
"""Largest number of axes in a row."""

LEGEND_MARKER, LEGEND_CHARACTER = 0.6, 0.085
"""Width in inches of an entry of a legend: of its marker and the space around it, and of each of its characters."""

MAX_MARKERS = 30
"""Largest number of steps for which each point of a curve has a marker."""


class Comparison(NamedTuple):
    """A published number and our number.

    Attributes:
        published: published mean.
        ours: our mean over seeds.
        published_error: standard error of the published mean, in the same unit; None if unknown.
        our_error: standard error of our mean, in the same unit; None if unknown.
    """

    published: float
    ours: float
    published_error: float | None = None
    our_error: float | None = None


@checked
def generator_gradients(confidence: Float[AnyArray, " n"], gradients: Mapping[str, Float[AnyArray, " n"]]) -> "Figure":
    """Plot the magnitude of the generator's gradient for each loss against D(G(z)).

    Args:
        confidence: values of D(G(z)) in increasing order, [n].
        gradients: name of the loss -> derivative of the loss with respect to the logit, [n]; its absolute value is
            plotted.

    Returns:
        Figure with one pair of axes.

    Reference:
        Goodfellow 2016, "NIPS 2016 tutorial: generative adversarial networks", arXiv:1701.00160, figure 16.

    Example:
        >>> d = np.linspace(0.1, 0.9, 5)
        >>> axes = generator_gradients(d, {"minimax": -d, "non_saturating": d - 1}).axes[0]
        >>> [text.get_text() for text in axes.get_legend().get_texts()]
        ['minimax', 'non_saturating']
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4), dpi=120, layout="constrained")
    axes = figure.add_subplot(xlabel="D(G(z))", ylabel="|gradient at the logit|", xlim=(0, 1))
    for name, gradient in gradients.items():
        axes.plot(confidence, np.abs(gradient), label=name)
    axes.set_ylim(bottom=0)
    axes.legend()
    return figure


@checked
def training_curves(
    step: Shaped[AnyArray, " steps"] | Mapping[str, Shaped[AnyArray, " steps"]],
    metrics: Mapping[str, Mapping[str, Float[AnyArray, "seeds steps"]]],
    *,
    titles: Mapping[str, Sequence[str]] | None = None,
    xlabel: str = "step",
) -> "Figure":
    """Plot metrics over training: the mean over seeds as a line, plus and minus one standard deviation as a band.

    Args:
        step: steps at which the metrics were computed, [steps]; or name of the run -> its steps, where they differ.
        metrics: name of the metric -> name of the run -> values of all seeds, [seeds, steps]; one seed has no band, and
            NaN is left out.
        titles: name of the metric -> lines above its axes; by default there are none.
        xlabel: label of the horizontal axes.

    Returns:
        Figure with one pair of axes per metric, at most four in a row, and one legend.

    Example:
        >>> figure = training_curves(np.arange(3), {"modes": {"gan": np.ones((5, 3))}, "kl": {"gan": np.ones((5, 3))}})
        >>> [axes.get_ylabel() for axes in figure.axes]
        ['modes', 'kl']
    """
    from matplotlib.figure import Figure

    if not metrics:
        raise InputError("metrics must be at least one, got none")
    if isinstance(step, Mapping) and (missing := {run for runs in metrics.values() for run in runs} - set(step)):
        raise InputError(f"step must have the steps of every run, got none of '{min(missing)}'")
    columns = min(len(metrics), MAX_COLUMNS)
    rows = -(-len(metrics) // columns)
    # The layout makes room below for the legend, but not beside it: what is wider than the figure would be cut off.
    entry = LEGEND_MARKER + LEGEND_CHARACTER * max((len(run) for runs in metrics.values() for run in runs), default=0)
    width = max(4.0 * columns, entry)
    figure = Figure(figsize=(width, 3.5 * rows), dpi=120, layout="constrained")
    colours: dict[str, Any] = {}
    for number, (metric, runs) in enumerate(metrics.items(), start=1):
        axes = figure.add_subplot(rows, columns, number, xlabel=xlabel, ylabel=literal(metric))
        if titles and metric in titles:
            axes.set_title("\n".join(map(literal, titles[metric])), fontsize="small")
        for run, values in runs.items():
            colours.setdefault(run, f"C{len(colours) % 10}")
            _plot_curve(
                axes, step[run] if isinstance(step, Mapping) else step, np.asarray(values), literal(run), colours[run]
            )
    handles = {line.get_label(): line for axes in figure.axes for line in axes.lines}
    ncols = max(1, min(5, int(width / entry)))
    figure.legend(handles=list(handles.values()), loc="outside lower center", ncols=ncols, fontsize="small")
    return figure


@checked
def loss_against_metric(
    loss: Float[AnyArray, " steps"],
    metric: Float[AnyArray, " steps"],
    *,
    step: Int[AnyArray, " steps"],
    labels: tuple[str, str] = ("critic loss", "metric"),
    title: str = "",
) -> "Figure":
    """Plot a sample metric against a loss, one point per step, to show their correlation during training.

    Args:
        loss: loss at each step, [steps].
        metric: metric of samples at each step, [steps].
        step: training steps, [steps], shown as the colours of the points.
        labels: labels of the x axis and the y axis.
        title: title of the axes, e.g. with the rank correlation.

    Returns:
        Figure with one pair of axes and a colour bar.

    Reference:
        Arjovsky, Chintala and Bottou 2017, arXiv:1701.07875, figures 3 and 4.

    Example:
        >>> figure = loss_against_metric(np.arange(3), np.arange(3) ** 2, step=np.arange(3))
        >>> [axes.get_ylabel() for axes in figure.axes]
        ['metric', 'step']
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4), dpi=120, layout="constrained")
    axes = figure.add_subplot(xlabel=labels[0], ylabel=labels[1], title=title)
    points = axes.scatter(loss, metric, c=np.asarray(step), s=16, cmap="viridis", linewidths=0)
    figure.colorbar(points, ax=axes, label="step")
    return figure


@checked
def collisions(
    sizes: Int[AnyArray, " sizes"], probability: Float[AnyArray, " sizes"], *, support: float | None = None
) -> "Figure":
    """Plot the probability that a batch contains a duplicate (birthday test) against the batch size.

    Args:
        sizes: batch sizes, [sizes].
        probability: fraction of the batches of each size that contain a duplicate, [sizes].
        support: support size N; the probability for a uniform distribution on N examples,
            `1 - exp(-s (s - 1) / (2 N))` in a batch of size s, is drawn as a line. None or infinity for no line.

    Returns:
        Figure with one pair of axes.

    Reference:
        Arora and Zhang 2017, arXiv:1706.08224, section 2.

    Example:
        >>> figure = collisions(np.array([10, 20, 40]), np.array([0.1, 0.4, 0.9]), support=365)
        >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
        ['samples', 'uniform on 365']
    """
    from matplotlib.figure import Figure

    if support is not None and not support > 0:
        raise InputError(f"support must be positive, got {support:g}")
    figure = Figure(figsize=(5, 4), dpi=120, layout="constrained")
    axes = figure.add_subplot(xlabel="batch size", ylabel="probability of a duplicate", ylim=(-0.03, 1.03))
    axes.axhline(0.5, color="0.8", linewidth=1)
    axes.plot(sizes, probability, "o", color="tab:red", label="samples")
    if support is not None and np.isfinite(support):
        s = np.linspace(1, np.max(sizes), 200)
        expected = -np.expm1(-s * (s - 1) / (2 * support))
        axes.plot(s, expected, color="0.35", label=f"uniform on {support:,.0f}")
    axes.legend()
    return figure


@checked
def published_against_ours(rows: Mapping[str, Comparison], *, unit: str, title: str = "") -> "Figure":
    """Plot our numbers beside the published ones: points with bars of two standard errors, one row per experiment.

    Args:
        rows: name of the experiment -> its two numbers.
        unit: unit of the numbers.
        title: title of the axes.

    Returns:
        Figure with one pair of axes.

    Example:
        >>> figure = published_against_ours({"GAN": Comparison(17.3, 18.0, 0.8, 0.5)}, unit="modes of 25")
        >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
        ['published', 'ours']
    """
    from matplotlib.figure import Figure

    if not rows:
        raise InputError("rows must be at least one, got none")
    figure = Figure(figsize=(6, 1.6 + 0.45 * len(rows)), dpi=120, layout="constrained")
    axes = figure.add_subplot(title=title)
    figure.supxlabel(f"{unit}\n(bars: two standard errors)", fontsize="medium")
    positions = np.arange(len(rows))
    numbers = {
        "published": [(row.published, row.published_error) for row in rows.values()],
        "ours": [(row.ours, row.our_error) for row in rows.values()],
    }
    styles = (("0.35", "s", -0.12), ("tab:red", "o", 0.12))
    for (name, pairs), (colour, marker, offset) in zip(numbers.items(), styles, strict=True):
        means = [mean for mean, _ in pairs]
        if not np.isfinite(means).any():
            continue
        errors = [2 * (error or 0.0) for _, error in pairs]
        axes.errorbar(means, positions + offset, xerr=errors, fmt=marker, color=colour, capsize=3, label=name)
    axes.set_yticks(positions, list(rows))
    axes.invert_yaxis()
    axes.margins(y=0.5 / len(rows))
    axes.grid(axis="x", color="0.9")
    axes.legend(loc="best", fontsize="small")
    return figure


def _plot_curve(axes: "Axes", step: AnyArray, values: np.ndarray, label: str, colour: Any) -> None:
    computed = np.isfinite(values).any(axis=0)  # Some metrics are computed at some of the steps.
    step, values = np.asarray(step)[computed], values[:, computed]
    mean = np.nanmean(values, axis=0)
    # A curve of one step is visible only as a marker.
    axes.plot(step, mean, label=label, color=colour, marker="." if len(mean) <= MAX_MARKERS else "")
    if len(values) > 1:
        deviation = np.array([np.std(x[np.isfinite(x)], ddof=1) if np.isfinite(x).sum() > 1 else 0 for x in values.T])
        axes.fill_between(step, mean - deviation, mean + deviation, color=colour, alpha=0.2, linewidth=0)
