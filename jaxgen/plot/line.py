"""Games on the line, where data, generator and discriminator can all be seen at once."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxgen.typing import AnyArray, Float

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEADROOM = 1.6
"""Height of the axes, in units of the highest density of the data."""

BINS = 60
"""Of the histogram of what is generated."""

REAL, GENERATED, DISCRIMINATOR, OTHER = "0.35", "tab:red", "tab:blue", "tab:green"
"""Colours, the same in all pictures."""


class Moment(NamedTuple):
    """A generative adversarial network on the line at one moment of its training.

    Attributes:
        title: e.g. the step.
        generated: samples, for a histogram.
        discriminator: its probabilities at the places where the density of the data is given.
        noise: some noise of the generator, in increasing order.
        mapped: what the generator makes of it.
    """

    title: str
    generated: Float[AnyArray, " n"]
    discriminator: Float[AnyArray, " places"]
    noise: Float[AnyArray, " lines"]
    mapped: Float[AnyArray, " lines"]


def gan_1d(
    places: Float[AnyArray, " places"],
    density: Float[AnyArray, " places"],
    moments: Sequence[Moment],
    *,
    noise_range: tuple[float, float] = (-3.0, 3.0),
) -> "Figure":
    """Show data, generator and discriminator at some moments of the training, side by side.

    Above: the density of the data, a histogram of what is generated, and the discriminator's probability, which in the
    end is 1/2 everywhere. Below: lines from noise to what the generator makes of it; they are dense where it puts much
    probability. The axes are the same at all moments, so that pictures of single moments are the frames of an
    animation.

    Args:
        places: on the line, in increasing order.
        density: of the data, there.
        moments: a column each; four make the figure of the paper.
        noise_range: ends of the axis that the noise lies on.

    Returns:
        A figure with three pairs of axes for each moment: densities, the discriminator over them, and lines.

    Reference:
        Goodfellow et al. 2014, arXiv:1406.2661, figure 1.

    Example:
        >>> line = np.linspace(-1, 1, 5)
        >>> now = Moment("step 0", generated=line, discriminator=np.full(5, 0.5), noise=line, mapped=line / 2)
        >>> len(gan_1d(line, np.ones(5), [now]).axes)
        3
    """
    from matplotlib.figure import Figure

    places, density = np.asarray(places), np.asarray(density)
    figure = Figure(figsize=(3.4 * max(len(moments), 1.3), 3.8), dpi=120, layout="constrained")
    rows = figure.subplots(2, len(moments), height_ratios=(2, 1), squeeze=False, sharex=True, sharey="row")
    for column, (upper, lower, moment) in enumerate(zip(*rows, moments, strict=True)):
        upper.set(title=moment.title, xlim=(places[0], places[-1]), ylim=(0, HEADROOM * density.max()))
        upper.plot(places, density, color=REAL, linestyle=":", label="data")
        edges = np.linspace(places[0], places[-1], BINS + 1)
        counts = np.histogram(np.asarray(moment.generated), edges)[0]
        # Shares of all samples: those that lie beyond the axes are not spread over the others.
        shares = counts / (np.size(moment.generated) * np.diff(edges))
        upper.stairs(shares, edges, color=GENERATED, label="generated")
        last = column == len(moments) - 1
        probability = _probability_axes(upper, label="D" if last else "", ticks=last)
        probability.plot(places, moment.discriminator, color=DISCRIMINATOR, linestyle="--", label="discriminator")
        _draw_lines(lower, moment, noise_range)
    rows[0, 0].set_ylabel("density")
    # Noise has no axis of its own: it is stretched to the width of the one above.
    rows[1, 0].set(yticks=(0, 1), yticklabels=(f"z ({noise_range[0]:.1f} to {noise_range[1]:.1f})", "x"))
    handles = [handle for axes in (rows[0, 0], figure.axes[-1]) for handle in axes.get_legend_handles_labels()[0]]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize="small")
    return figure


def discriminators(
    places: Float[AnyArray, " places"],
    densities: Mapping[str, Float[AnyArray, " places"]],
    *,
    optimal: Float[AnyArray, " places"],
    trained: Float[AnyArray, " places"],
    title: str = "",
) -> "Figure":
    """Show a trained discriminator beside the optimal one, over the densities that it tells apart.

    Args:
        places: on the line, in increasing order.
        densities: name -> density there, of the data first and then of what is generated.
        optimal: the best probabilities of being real.
        trained: those that the network learned.
        title: over the axes.

    Returns:
        A figure with a pair of axes for the densities, and one for the discriminators over it.

    Example:
        >>> line = np.linspace(-1, 1, 5)
        >>> densities = {"p": (1 + line) / 2, "q": (1 - line) / 2}
        >>> figure = discriminators(line, densities, optimal=densities["p"], trained=0.5 + line / 3)
        >>> [drawn.get_label() for drawn in figure.axes[1].lines]
        ['optimal D', 'trained D']
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), dpi=120, layout="constrained")
    axes = figure.add_subplot(title=title, xlabel="x", ylabel="density", xlim=(places[0], places[-1]))
    _draw_densities(axes, places, densities)
    probability = _probability_axes(axes, label="D")
    probability.plot(places, optimal, color="black", linewidth=3, alpha=0.35, label="optimal D")
    probability.plot(places, trained, color=DISCRIMINATOR, linestyle="--", label="trained D")
    figure.legend(loc="outside lower center", ncols=4, fontsize="small")
    return figure


def saturation(
    places: Float[AnyArray, " places"],
    densities: Mapping[str, Float[AnyArray, " places"]],
    *,
    discriminator: Float[AnyArray, " places"],
    critic: Float[AnyArray, " places"],
) -> "Figure":
    """Show a discriminator that saturates and a critic that does not, both trained between the same two densities.

    Where the discriminator is flat it tells the generator nothing; the critic's slope leads to the data from anywhere.

    Args:
        places: on the line, in increasing order.
        densities: name -> density there, of the data first and then of what is generated.
        discriminator: its probabilities of being real.
        critic: its values, of which a constant is subtracted for the picture: only differences mean anything.

    Returns:
        A figure with three pairs of axes, one below the other.

    Reference:
        Arjovsky, Chintala and Bottou 2017, arXiv:1701.07875, figure 2.

    Example:
        >>> line = np.linspace(-1, 1, 5)
        >>> densities = {"real": 1 - line, "generated": 1 + line}
        >>> figure = saturation(line, densities, discriminator=line < 0, critic=7 - line)
        >>> [axes.get_ylabel() for axes in figure.axes]
        ['density', 'D', 'critic']
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 5), dpi=120, layout="constrained")
    panels = figure.subplots(3, 1, sharex=True)
    _draw_densities(panels[0], places, densities)
    panels[0].set(ylabel="density", xlim=(places[0], places[-1]))
    panels[0].legend(fontsize="small")
    panels[1].plot(places, discriminator, color=DISCRIMINATOR)
    panels[1].set(ylabel="D", ylim=(-0.05, 1.05))
    panels[2].plot(places, np.asarray(critic) - np.mean(critic), color=OTHER)
    panels[2].set(ylabel="critic", xlabel="x")
    return figure


def _draw_densities(
    axes: "Axes", places: Float[AnyArray, " places"], densities: Mapping[str, Float[AnyArray, " places"]]
) -> None:
    for (name, density), colour in zip(densities.items(), (REAL, GENERATED), strict=True):
        axes.fill_between(np.asarray(places), np.asarray(density), color=colour, alpha=0.3, linewidth=0, label=name)
    axes.set_ylim(bottom=0)


def _probability_axes(axes: "Axes", *, label: str, ticks: bool = True) -> "Axes":
    """A second axis of the same places, for probabilities."""
    probability = axes.twinx()
    probability.set(ylim=(0, 1.02), ylabel=label, yticks=(0, 0.5, 1) if ticks else ())
    return probability


def _draw_lines(axes: "Axes", moment: Moment, noise_range: tuple[float, float]) -> None:
    """A line for each draw of noise, from its place on the lower axis to that of what is made of it on the upper."""
    low, high = axes.get_xlim()
    start = low + (np.asarray(moment.noise) - noise_range[0]) / (noise_range[1] - noise_range[0]) * (high - low)
    axes.plot(np.stack([start, np.asarray(moment.mapped)]), [[0], [1]], color="black", linewidth=0.5)
    axes.axhline(0, color="black", linewidth=1)
    axes.set(ylim=(0, 1), yticks=(0, 1), yticklabels=("z", "x"))
