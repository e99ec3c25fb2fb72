"""Figures of 1-D GANs: densities, samples, generator and discriminator as functions of one variable."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxgen._signatures import checked
from jaxgen.errors import InputError
from jaxgen.typing import AnyArray, Float

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RELATIVE_HEIGHT = 1.6
"""Upper limit of the density axis in units of the largest density of the data."""

BINS = 60
"""Number of bins of the histogram of generated samples."""

REAL, GENERATED, DISCRIMINATOR, CRITIC = "0.35", "tab:red", "tab:blue", "tab:green"
"""Colours of the curves, the same in all figures."""


class Snapshot(NamedTuple):
    """A 1-D GAN at one step of its training.

    Attributes:
        title: title of the snapshot, e.g. the step.
        generated: generated samples for a histogram, [n].
        discriminator: D(x), probabilities of being real at the points x of the figure, [points].
        latents: latents z of the generator in increasing order, [lines].
        outputs: outputs G(z) of the generator for these latents, [lines].
    """

    title: str
    generated: Float[AnyArray, " n"]
    discriminator: Float[AnyArray, " points"]
    latents: Float[AnyArray, " lines"]
    outputs: Float[AnyArray, " lines"]


@checked
def gan_1d(
    x: Float[AnyArray, " points"],
    density: Float[AnyArray, " points"],
    snapshots: Sequence[Snapshot],
    *,
    latent_range: tuple[float, float] = (-3.0, 3.0),
) -> "Figure":
    """Plot data, generator and discriminator of a 1-D GAN at some steps of the training, side by side.

    Above: the density of the data, a histogram of generated samples, and D(x), which is 1/2 everywhere at the optimum
    of the game. Below: lines from latents z to outputs G(z); the lines are dense where the density of the generator is
    large. The limits of the axes do not depend on the snapshots, so that figures of single snapshots can be the frames
    of an animation.

    Args:
        x: points in increasing order, [points].
        density: density of the data at these points, [points].
        snapshots: snapshots of the training, one column each; the figure of the reference has four.
        latent_range: limits of the axis of the latents.

    Returns:
        Figure with three pairs of axes per snapshot: densities, the discriminator over them, and lines.

    Reference:
        Goodfellow et al. 2014, arXiv:1406.2661, figure 1.

    Example:
        >>> x = np.linspace(-1, 1, 5)
        >>> snapshot = Snapshot("step 0", generated=x, discriminator=np.full(5, 0.5), latents=x, outputs=x / 2)
        >>> len(gan_1d(x, np.ones(5), [snapshot]).axes)
        3
    """
    from matplotlib.figure import Figure

    x, density = np.asarray(x), np.asarray(density)
    figure = Figure(figsize=(3.4 * max(len(snapshots), 1.3), 3.8), dpi=120, layout="constrained")
    rows = figure.subplots(2, len(snapshots), height_ratios=(2, 1), squeeze=False, sharex=True, sharey="row")
    for column, (upper, lower, snapshot) in enumerate(zip(*rows, snapshots, strict=True)):
        upper.set(title=snapshot.title, xlim=(x[0], x[-1]), ylim=(0, RELATIVE_HEIGHT * density.max()))
        upper.plot(x, density, color=REAL, linestyle=":", label="data")
        edges = np.linspace(x[0], x[-1], BINS + 1)
        counts = np.histogram(np.asarray(snapshot.generated), edges)[0]
        # Normalized by the number of all samples, including those outside the axes.
        histogram = counts / (np.size(snapshot.generated) * np.diff(edges))
        upper.stairs(histogram, edges, color=GENERATED, label="generated")
        last = column == len(snapshots) - 1
        probability = _probability_axes(upper, label="D" if last else "", ticks=last)
        probability.plot(x, snapshot.discriminator, color=DISCRIMINATOR, linestyle="--", label="discriminator")
        _draw_lines(lower, snapshot, latent_range)
    rows[0, 0].set_ylabel("density")
    # The latents share the x-axis of the data and are rescaled to its width, so their range is in the label.
    rows[1, 0].set(yticks=(0, 1), yticklabels=(f"z ({latent_range[0]:.1f} to {latent_range[1]:.1f})", "x"))
    handles = [handle for axes in (rows[0, 0], figure.axes[-1]) for handle in axes.get_legend_handles_labels()[0]]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize="small")
    return figure


@checked
def discriminators(
    x: Float[AnyArray, " points"],
    densities: Mapping[str, Float[AnyArray, " points"]],
    *,
    optimal: Float[AnyArray, " points"],
    trained: Float[AnyArray, " points"],
    title: str = "",
) -> "Figure":
    """Plot a trained discriminator and the optimal one, over the two densities between which they discriminate.

    Args:
        x: points in increasing order, [points].
        densities: name -> density at these points, [points]: the data first, the generator second.
        optimal: optimal probabilities of being real, [points].
        trained: probabilities of being real from the trained discriminator, [points].
        title: title of the axes.

    Returns:
        Figure with one pair of axes for the densities, and one for the discriminators over it.

    Example:
        >>> x = np.linspace(-1, 1, 5)
        >>> densities = {"p": (1 + x) / 2, "q": (1 - x) / 2}
        >>> figure = discriminators(x, densities, optimal=densities["p"], trained=0.5 + x / 3)
        >>> [line.get_label() for line in figure.axes[1].lines]
        ['optimal D', 'trained D']
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), dpi=120, layout="constrained")
    axes = figure.add_subplot(title=title, xlabel="x", ylabel="density", xlim=(x[0], x[-1]))
    _draw_densities(axes, x, densities)
    probability = _probability_axes(axes, label="D")
    probability.plot(x, optimal, color="black", linewidth=3, alpha=0.35, label="optimal D")
    probability.plot(x, trained, color=DISCRIMINATOR, linestyle="--", label="trained D")
    figure.legend(loc="outside lower center", ncols=4, fontsize="small")
    return figure


@checked
def saturation(
    x: Float[AnyArray, " points"],
    densities: Mapping[str, Float[AnyArray, " points"]],
    *,
    discriminator: Float[AnyArray, " points"],
    critic: Float[AnyArray, " points"],
) -> "Figure":
    """Plot a discriminator that saturates and a critic that does not, both trained between the same two densities.

    Where the discriminator is constant, the gradient for the generator vanishes; the critic has a gradient towards the
    data everywhere.

    Args:
        x: points in increasing order, [points].
        densities: name -> density at these points, [points]: the data first, the generator second.
        discriminator: probabilities of being real, [points].
        critic: critic values, [points]; their mean is subtracted, as only differences are meaningful.

    Returns:
        Figure with three pairs of axes, one below the other.

    Reference:
        Arjovsky, Chintala and Bottou 2017, arXiv:1701.07875, figure 2.

    Example:
        >>> x = np.linspace(-1, 1, 5)
        >>> densities = {"real": 1 - x, "generated": 1 + x}
        >>> figure = saturation(x, densities, discriminator=x < 0, critic=7 - x)
        >>> [axes.get_ylabel() for axes in figure.axes]
        ['density', 'D', 'critic']
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 5), dpi=120, layout="constrained")
    panels = figure.subplots(3, 1, sharex=True)
    _draw_densities(panels[0], x, densities)
    panels[0].set(ylabel="density", xlim=(x[0], x[-1]))
    panels[0].legend(fontsize="small")
    panels[1].plot(x, discriminator, color=DISCRIMINATOR)
    panels[1].set(ylabel="D", ylim=(-0.05, 1.05))
    panels[2].plot(x, np.asarray(critic) - np.mean(critic), color=CRITIC)
    panels[2].set(ylabel="critic", xlabel="x")
    return figure


def _draw_densities(
    axes: "Axes", x: Float[AnyArray, " points"], densities: Mapping[str, Float[AnyArray, " points"]]
) -> None:
    if len(densities) != 2:
        raise InputError(f"densities must be those of the data and of the generator, got {len(densities)}")
    for (name, density), colour in zip(densities.items(), (REAL, GENERATED), strict=True):
        axes.fill_between(np.asarray(x), np.asarray(density), color=colour, alpha=0.3, linewidth=0, label=name)
    axes.set_ylim(bottom=0)


def _probability_axes(axes: "Axes", *, label: str, ticks: bool = True) -> "Axes":
    """A second y-axis for probabilities, with the same x-axis."""
    probability = axes.twinx()
    probability.set(ylim=(0, 1.02), ylabel=label, yticks=(0, 0.5, 1) if ticks else ())
    return probability


def _draw_lines(axes: "Axes", snapshot: Snapshot, latent_range: tuple[float, float]) -> None:
    """One line per latent z, from z on the lower edge to G(z) on the upper edge."""
    low, high = axes.get_xlim()
    start = low + (np.asarray(snapshot.latents) - latent_range[0]) / (latent_range[1] - latent_range[0]) * (high - low)
    axes.plot(np.stack([start, np.asarray(snapshot.outputs)]), [[0], [1]], color="black", linewidth=0.5)
    axes.axhline(0, color="black", linewidth=1)
    axes.set(ylim=(0, 1), yticks=(0, 1), yticklabels=("z", "x"))
