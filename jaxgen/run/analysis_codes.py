"""What the codes of a run hold: how they are distributed, and what lies between and beyond them."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm

from jaxgen import plot
from jaxgen.analysis import (
    aggregate_posterior_mmd,
    arithmetic,
    fit_code_density,
    interpolate,
    manifold_grid,
    traversals,
)
from jaxgen.divergences import sliced_wasserstein
from jaxgen.run.findings import (
    Inapplicable,
    Section,
    Subject,
    decode,
    need_codes,
    need_no_condition,
    need_pictures,
    png,
    prior_codes,
    values,
)
from jaxgen.run.judging import COMPARED
from jaxgen.run.pictures import draw_samples, draw_styles, layout
from jaxgen.run.trained import Run
from jaxgen.typing import AnyArray, Array, Batch, Float, Int

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS = 2000
"""Codes in a scatter plot, and in the estimate of the MMD."""

COMPONENTS = 10
"""Gaussians that are mixed."""

WAYS, STEPS = 4, 10
"""Pairs of codes between which ways are shown, and codes on each way."""

DIMENSIONS = 10
"""Coordinates of a code that are changed, at most."""

RANGE = 3.0
"""Standard deviations of the prior to either side that a coordinate is changed by."""

SIDE = 20
"""Rows and columns of the grid over the plane of codes."""

DRAWS = 100_000
"""Codes from which the quantiles of the prior are taken."""

CLASSES = 8
"""Classes in one figure, at most."""


def posterior(subject: Subject) -> Section:
    """Whether the codes of examples are distributed like the prior."""
    need_codes(subject)
    batch = {name: array[:POINTS] for name, array in subject.some.items()}
    codes = [run.encode(batch) for run in subject.runs]
    prior = prior_codes(subject.shown, subject.key, len(codes[0]))
    distances = [float(aggregate_posterior_mmd(subject.key, code)) for code in codes]
    plane = _principal_plane(np.asarray(codes[0]))
    overlay = (
        f"Codes of {len(codes[0])} test examples over draws from the prior N(0, I), in the plane in which the codes "
        "vary most. They should cover each other: where there are no codes, the decoder has learned nothing, and where "
        "there is no prior, nothing is ever drawn. A plain autoencoder has no reason to keep to the prior. Codes are "
        "the means of q(z|x), where the encoder gives a distribution; draws from it would lie a little wider (Kingma "
        "and Welling 2014, arXiv:1312.6114; MMD with the kernel of Tolstikhin et al. 2018, arXiv:1711.01558)."
    )
    pictures = [png("codes_and_prior", _draw_over(plane(codes[0]), plane(prior)), overlay)]
    if "label" in batch:
        figure = plot.scatter_by_label(plane(codes[0]), label=np.asarray(batch["label"]))
        caption = (
            "The same codes in the colours of their classes. Classes should lie apart if codes hold what an example "
            "is; the codes of a conditional model, which is told the class, should not show it."
        )
        pictures.append(png("codes_by_class", figure, caption))
    return Section(pictures, {"codes_prior_mmd": distances})


def density(subject: Subject) -> Section:
    """Samples from a mixture of Gaussians that is fitted to codes."""
    need_codes(subject)
    count, columns = layout(subject.run.model, subject.run.example)
    real = jnp.asarray(values(subject.training)[:COMPARED])
    total = max(count, len(real))
    drawn = [_through_mixture(subject, run, total) for run in subject.runs]
    usual = [run.sample(subject.key, total) for run in subject.runs]

    def distances(samples: Sequence[Array]) -> list[float]:
        return [float(sliced_wasserstein(subject.key, x[: len(real)], real)) for x in samples]

    numbers = {"sliced_wasserstein_prior": distances(usual), "sliced_wasserstein_mixture": distances(drawn)}
    data = None if subject.pictures else {"point": real[:count]}
    texts = {
        "prior": "Decoded draws from the prior N(0, I).",
        "mixture": (
            f"Decoded draws from a mixture of {COMPONENTS} Gaussians fitted to the codes of training examples. Those "
            "of a plain autoencoder should look far better than its draws from the prior, which fall between the "
            "codes; those of a VAE a little (Ghosh et al. 2020, arXiv:1903.12436)."
        ),
    }
    pictures = [
        png(f"samples_from_{name}", draw_samples(shown[:count], data=data, columns=columns), texts[name])
        for name, shown in (("prior", usual[0]), ("mixture", drawn[0]))
    ]
    return Section(pictures, numbers)


def interpolation(subject: Subject) -> Section:
    """What lies on the straight way and on the great circle between two codes."""
    need_pictures(subject)
    run = subject.shown
    if run.model.encode is None:
        codes, ends, label = prior_codes(run, subject.key, 2 * WAYS), "draws of noise", None
    else:
        batch = _rows(subject.some, _different(subject.some, 2 * WAYS))
        codes, ends = run.encode(batch), "codes of test examples"
        label = batch.get("label")
    rows, told_class = {}, ""
    if run.model.conditions:
        told_class = " All are told the class 0." if label is None else " The class stays that of the first."
    for i in range(WAYS):
        told = 0 if label is None else label[2 * i]
        for name, spherical in (("line", False), ("arc", True)):
            way = interpolate(codes[2 * i], codes[2 * i + 1], STEPS, spherical=spherical)
            rows[f"{name} {i + 1}"] = decode(run, way, told)
    caption = (
        f"From one code to another, decoded: {WAYS} pairs of {ends}, each on the straight line and on an arc of a "
        "great circle. One picture should turn into the other through pictures that could be data themselves. In many "
        "dimensions the straight way leads through codes that are shorter than any that are drawn, and its middle may "
        f"be blurred or odd (White 2016, arXiv:1609.04468, section 2.1).{told_class}"
    )
    return Section([png("interpolation", plot.picture_rows(rows), caption)])


def class_arithmetic(subject: Subject) -> Section:
    """Turning examples of one class into another by adding and subtracting means of codes, and of pixels."""
    need_codes(subject)
    need_pictures(subject)
    need_no_condition(subject)
    if "label" not in subject.training:
        raise Inapplicable("the data have no classes")
    run, label = subject.shown, np.asarray(subject.training["label"])
    codes, pixels = run.encode(subject.training), values(subject.training)
    known = [int(k) for k in np.unique(label)]
    pairs = list(pairwise(known))[:CLASSES]
    if not pairs:
        raise Inapplicable("the data have a single class")
    targets = [int(np.flatnonzero(label == b)[0]) for b, _ in pairs]

    def changed(x: Array) -> np.ndarray:
        moves = [
            arithmetic(x[label == a], x[label == b], x[target : target + 1])
            for (b, a), target in zip(pairs, targets, strict=True)
        ]
        return np.concatenate([np.asarray(move) for move in moves])

    rows = {
        "example of b": pixels[targets],
        "its reconstruction": np.asarray(run.reconstruct(_rows(subject.training, targets))),
        "+ a - b, in codes": decode(run, changed(codes)),
        "+ a - b, in pixels": changed(jnp.asarray(pixels)),
    }
    caption = (
        "Mean of class a, less the mean of class b, plus an example of b (column 'b to a'): the sum of codes, decoded, "
        "should be an example of a that keeps something of the style; the sum of pixels is three pictures one over the "
        "other (Radford, Metz and Chintala 2016, arXiv:1511.06434, figure 7)."
    )
    figure = plot.picture_rows(rows, columns=[f"{b} to {a}" for b, a in pairs])
    return Section([png("arithmetic", figure, caption)])


def coordinates(subject: Subject) -> Section:
    """What each coordinate of the code means."""
    need_codes(subject)
    need_pictures(subject)
    run = subject.shown
    codes = np.asarray(run.encode(subject.some))
    order = np.argsort(-codes.var(axis=0), kind="stable")[:DIMENSIONS]
    ticks = jnp.linspace(-RANGE, RANGE, 2 * 4 + 1)
    start = jnp.asarray(codes[0])
    label = subject.some["label"][0] if run.model.conditions else None
    rows = {
        f"z{dimension}": decode(run, row, label)
        for dimension, row in zip(order, traversals(start, order.tolist(), ticks), strict=True)
    }
    caption = (
        "One coordinate of a test example's code changed at a time, from -3 to 3, those first in which codes vary "
        "most. A row that does not change is a coordinate that the model does not use, as a VAE leaves many; where "
        "coordinates are disentangled, each row changes one thing (Higgins et al. 2017, beta-VAE)."
    )
    figure = plot.picture_rows(rows, columns=[f"{tick:.3g}" for tick in ticks.tolist()])
    return Section([png("traversals", figure, caption)])


def manifold(subject: Subject) -> Section:
    """The whole plane of two-dimensional codes."""
    need_pictures(subject)
    run = subject.shown
    if prior_codes(run, subject.key, 1).shape[1] != 2:
        raise Inapplicable("the codes have not two dimensions")
    draws = np.asarray(prior_codes(run, subject.key, DRAWS))
    # The grid has quantiles of the normal distribution, which need not be the prior.
    levels = norm.cdf(manifold_grid(SIDE))
    codes = np.stack([np.quantile(of, level) for of, level in zip(draws.T, levels.T, strict=True)], axis=1)
    pictures = decode(run, codes, 0)
    told = " All are told the class 0." if run.model.conditions else ""
    caption = (
        f"Decoded codes of the whole plane, each standing for as much probability of the prior.{told} Neighbours "
        "should be alike, and every kind of example should have its place (Kingma and Welling 2014, arXiv:1312.6114, "
        "figure 4)."
    )
    return Section([png("manifold", plot.picture_grid(pictures, columns=SIDE), caption)])


def styles(subject: Subject) -> Section:
    """Every example in its own style as a member of every class."""
    if "label" not in subject.run.model.conditions or subject.run.model.encode is None:
        raise Inapplicable("the model does not decode a code under the class it is told")
    need_pictures(subject)
    batch = _rows(subject.some, _different(subject.some, CLASSES))
    figure = draw_styles(values(batch), subject.shown.restyle(batch))
    caption = (
        "Test examples (left) and their codes decoded as each class in turn. A row should keep its style, such as "
        "slant and weight, and a column its class (Kingma et al. 2014, arXiv:1406.5298, figure 1b)."
    )
    return Section([png("styles", figure, caption)])


def _through_mixture(subject: Subject, run: Run, count: int) -> Array:
    """Samples of a single run by way of a mixture of Gaussians fitted to codes of the training examples."""
    codes = run.encode(subject.training)
    mixture = fit_code_density(codes, components=min(COMPONENTS, len(codes)))
    return jnp.asarray(decode(run, mixture.sample(subject.key, count)))


def _different(batch: Batch, count: int) -> Int[np.ndarray, " count"]:
    """Numbers of examples which are, one after the other, of different classes where there are classes."""
    if "label" not in batch:
        return np.arange(count) % len(values(batch))
    label = np.asarray(batch["label"])
    by_class: Sequence[np.ndarray] = [np.flatnonzero(label == k) for k in np.unique(label)]
    chosen = [by_class[i % len(by_class)] for i in range(count)]
    return np.array([numbers[i // len(by_class) % len(numbers)] for i, numbers in enumerate(chosen)])


def _rows(batch: Batch, numbers: Sequence[int] | Int[np.ndarray, " n"]) -> Batch:
    return {name: np.asarray(array)[np.asarray(numbers)] for name, array in batch.items()}


def _principal_plane(codes: Float[np.ndarray, "n dim"]) -> Callable[[AnyArray], np.ndarray]:
    """A map to the plane in which codes vary most; of the plane and the line to themselves."""
    if codes.shape[1] == 2:
        return np.asarray
    if codes.shape[1] == 1:
        return lambda x: np.concatenate([np.asarray(x), np.zeros_like(x)], axis=1)
    axes = np.linalg.svd(codes - codes.mean(axis=0), full_matrices=False)[2][:2]
    axes *= np.sign(axes[np.arange(2), np.abs(axes).argmax(axis=1)])[:, None]
    return lambda x: np.asarray(x) @ axes.T


def _draw_over(codes: Float[np.ndarray, "n 2"], prior: Float[np.ndarray, "n 2"]) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), dpi=120, layout="constrained")
    axes = figure.add_subplot(aspect="equal", adjustable="datalim")
    for points, colour, name in ((prior, "0.6", "prior"), (codes, "tab:blue", "codes")):
        axes.scatter(points[:, 0], points[:, 1], s=5, alpha=0.6, linewidths=0, color=colour, label=name)
    axes.legend(loc="upper right", markerscale=4)
    return figure
