"""What the codes of a run hold: how they are distributed, and what lies between and beyond them."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm

from jaxgen import plot
from jaxgen.analysis import (
    aggregate_posterior_mmd,
    arithmetic,
    fit_latent_density,
    interpolate,
    manifold_grid,
    traversals,
)
from jaxgen.callbacks.image_grid import draw_samples, draw_styles, layout
from jaxgen.callbacks.sample_metrics import COMPARED
from jaxgen.data.stacked import CLASSES as READABLE
from jaxgen.divergences import sliced_wasserstein
from jaxgen.report.section import (
    NotApplicable,
    ReportInput,
    Section,
    decode,
    need_images,
    need_latents,
    need_no_condition,
    png,
    posterior_latents,
    prior_latents,
    values,
)
from jaxgen.runs.loading import Run
from jaxgen.runs.sample_metrics import SURE, digit_classifier_of
from jaxgen.typing import AnyArray, Array, Batch, Float, Int

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS = 2000
"""Codes in a scatter plot, and in the estimate of the MMD."""

COMPONENTS = 10
"""Gaussians that are mixed."""

WAYS, STEPS = 4, 10
"""Pairs of codes between which ways are shown, and codes on each way."""

DIMENSIONS, TICKS = 10, 9
"""Coordinates of a code that are changed, at most, and values that each of them takes."""

RANGE = 3.0
"""Up to which a coordinate is changed to either side; of a prior that is not normal, as probable a value."""

SIDE = 20
"""Rows and columns of the grid over the plane of codes."""

DRAWS = 100_000
"""Codes from which the quantiles of the prior are taken."""

CLASSES = 8
"""Classes in one figure, at most."""

SAMPLES = 5000
"""Samples of a model without encoder whose classes are read."""

AVERAGED = 3
"""Samples of a class that are averaged, at least, as many as in Radford et al. 2016."""


def posterior(subject: ReportInput) -> Section:
    """Whether the codes of examples are distributed like the prior."""
    need_latents(subject)
    batch = {name: array[:POINTS] for name, array in subject.some.items()}
    # Different keys: a posterior that has become the prior would else draw the very codes that it is compared with.
    codes_key, prior_key, distance_key = jax.random.split(subject.key, 3)
    codes = [posterior_latents(run, codes_key, batch) for run in subject.runs]
    prior = prior_latents(subject.shown, prior_key, len(codes[0]))
    distances = [float(aggregate_posterior_mmd(distance_key, code)) for code in codes]
    plane = _principal_plane(np.asarray(codes[0]))
    overlay = (
        f"Codes of {len(codes[0])} test examples over draws from the prior N(0, I), in the plane in which the codes "
        "vary most. They should cover each other: where there are no codes, the decoder has learned nothing, and where "
        "there is no prior, nothing is ever drawn. A plain autoencoder has no reason to keep to the prior. Where the "
        "encoder gives a distribution q(z|x), the code of an example is one draw from it: it is draws, and not their "
        "means, that should be distributed like the prior (Kingma and Welling 2014, arXiv:1312.6114; MMD with the "
        "kernel of Tolstikhin et al. 2018, arXiv:1711.01558)."
    )
    images = [png("codes_and_prior", _draw_over(plane(codes[0]), plane(prior)), overlay)]
    if "label" in batch:
        figure = plot.scatter_by_label(plane(codes[0]), label=np.asarray(batch["label"]))
        caption = (
            "The same codes in the colours of their classes. Classes should lie apart if codes hold what an example "
            "is; the codes of a conditional model, which is told the class, should not show it."
        )
        images.append(png("codes_by_class", figure, caption))
    return Section(images, {"codes_prior_mmd": distances})


def density(subject: ReportInput) -> Section:
    """Samples from a mixture of Gaussians that is fitted to codes."""
    need_latents(subject)
    count, columns = layout(subject.run.model, subject.run.example)
    real = jnp.asarray(values(subject.training)[:COMPARED])
    total = max(count, len(real))
    drawn = [_through_mixture(subject, run, total) for run in subject.runs]
    usual = [run.sample(subject.key, total) for run in subject.runs]

    def distances(samples: Sequence[Array]) -> list[float]:
        return [float(sliced_wasserstein(subject.key, x[: len(real)], real)) for x in samples]

    numbers = {"sliced_wasserstein_prior": distances(usual), "sliced_wasserstein_mixture": distances(drawn)}
    data = None if subject.images else {"point": real[:count]}
    texts = {
        "prior": "Decoded draws from the prior N(0, I).",
        "mixture": (
            f"Decoded draws from a mixture of {COMPONENTS} Gaussians fitted to the codes of training examples. Those "
            "of a plain autoencoder should look far better than its draws from the prior, which fall between the "
            "codes; those of a VAE a little (Ghosh et al. 2020, arXiv:1903.12436)."
        ),
    }
    images = [
        png(f"samples_from_{name}", draw_samples(shown[:count], data=data, columns=columns), texts[name])
        for name, shown in (("prior", usual[0]), ("mixture", drawn[0]))
    ]
    return Section(images, numbers)


def interpolation(subject: ReportInput) -> Section:
    """What lies on the straight way and on the great circle between two codes."""
    need_images(subject)
    run = subject.shown
    if run.model.encode is None:
        codes, ends, label = prior_latents(run, subject.key, 2 * WAYS), "draws of noise", None
    else:
        batch = _rows(subject.some, _different(subject.some, 2 * WAYS))
        codes, ends = run.encode(batch), "codes of test examples"
        label = batch.get("label")
    rows: dict[str, np.ndarray] = {}
    told_class = _told(run)
    if run.model.conditions and label is not None:
        told_class = " The class stays that of the first."
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
    return Section([png("interpolation", plot.image_rows(rows), caption)])


class Labelled(NamedTuple):
    """Pictures of known class.

    Attributes:
        codes: of the pictures.
        pixels: of the same pictures, from 0 to 1.
        label: class of each.
        name: of one picture.
        origin: where they come from, as a sentence.
    """

    codes: Float[Array, "n latent"]
    pixels: Float[np.ndarray, "n height width channels"]
    label: Int[np.ndarray, " n"]
    name: str
    origin: str


def class_arithmetic(subject: ReportInput) -> Section:
    """Turning pictures of one class into another by adding and subtracting means of codes, and of pixels."""
    need_images(subject)
    need_no_condition(subject)
    if "label" not in subject.training:
        raise NotApplicable("the data have no classes")
    run = subject.shown
    codes, pixels, label, name, origin = _encoded(subject) if run.model.encode else _read(subject)
    known = [int(k) for k in np.unique(label)]
    pairs = list(pairwise(known))[:CLASSES]
    if not pairs:
        raise NotApplicable("the data have a single class")
    targets = [int(np.flatnonzero(label == b)[0]) for b, _ in pairs]

    def changed(x: Array) -> np.ndarray:
        moves = [
            arithmetic(x[label == a], x[label == b], x[target : target + 1])
            for (b, a), target in zip(pairs, targets, strict=True)
        ]
        return np.concatenate([np.asarray(move) for move in moves])

    rows = {f"{name} of b": pixels[targets]}
    if run.model.encode:  # What is sampled is decoded already.
        rows["its reconstruction"] = np.asarray(run.reconstruct(_rows(subject.training, targets)))
    rows |= {"+ a - b, in codes": decode(run, changed(codes)), "+ a - b, in pixels": changed(jnp.asarray(pixels))}
    caption = (
        f"Mean of class a, less the mean of class b, plus a single {name} of b (column 'b to a'): the sum of codes, "
        "decoded, should be a picture of a that keeps something of the style; the sum of pixels is three pictures one "
        f"over the other (Radford, Metz and Chintala 2016, arXiv:1511.06434, figure 7). {origin}"
    )
    figure = plot.image_rows(rows, columns=[f"{b} to {a}" for b, a in pairs])
    return Section([png("arithmetic", figure, caption)])


def coordinates(subject: ReportInput) -> Section:
    """What each coordinate of the code means."""
    need_images(subject)
    run = subject.shown
    if run.model.encode is None:
        return _coordinates_of_noise(subject)
    codes = run.encode(subject.some)
    most = np.argsort(-np.asarray(codes).var(axis=0), kind="stable")[:DIMENSIONS]
    ticks = np.linspace(-RANGE, RANGE, TICKS)
    label = subject.some["label"][0] if run.model.conditions else None
    rows = {
        f"z{dimension}": decode(run, way, label)
        for dimension, way in zip(most, traversals(codes[0], most.tolist(), ticks), strict=True)
    }
    caption = (
        "One coordinate of a test example's code changed at a time, from -3 to 3, those first in which codes vary "
        "most. A row that does not change is a coordinate that the model does not use, as a VAE leaves many; where "
        "coordinates are disentangled, each row changes one thing (Higgins et al. 2017, beta-VAE)."
    )
    return Section([png("traversals", plot.image_rows(rows, columns=_named(ticks)), caption)])


def manifold(subject: ReportInput) -> Section:
    """The whole plane of two-dimensional codes."""
    need_images(subject)
    run = subject.shown
    if prior_latents(run, subject.key, 1).shape[1] != 2:
        raise NotApplicable("the codes have not two dimensions")
    draws = np.asarray(prior_latents(run, subject.key, DRAWS))
    # The grid has quantiles of the normal distribution, which need not be the prior.
    levels = norm.cdf(manifold_grid(SIDE))
    codes = np.stack([np.quantile(of, level) for of, level in zip(draws.T, levels.T, strict=True)], axis=1)
    images = decode(run, codes, 0)
    caption = (
        f"Decoded codes of the whole plane, each standing for as much probability of the prior.{_told(run)} Neighbours "
        "should be alike, and every kind of example should have its place (Kingma and Welling 2014, arXiv:1312.6114, "
        "figure 4)."
    )
    return Section([png("manifold", plot.image_grid(images, columns=SIDE), caption)])


def styles(subject: ReportInput) -> Section:
    """Every example in its own style as a member of every class."""
    if "label" not in subject.run.model.conditions:
        raise NotApplicable("the model is not told the class")
    need_images(subject)
    if subject.run.model.encode is None:
        return _styles_of_noise(subject)
    batch = _rows(subject.some, _different(subject.some, CLASSES))
    figure = draw_styles(values(batch), subject.shown.restyle(batch))
    caption = (
        "Test examples (left) and their codes decoded as each class in turn. A row should keep its style, such as "
        "slant and weight, and a column its class (Kingma et al. 2014, arXiv:1406.5298, figure 1b)."
    )
    return Section([png("styles", figure, caption)])


def _through_mixture(subject: ReportInput, run: Run, count: int) -> Array:
    """Samples of a single run by way of a mixture of Gaussians fitted to codes of the training examples."""
    fit_key, draw_key = jax.random.split(subject.key)
    codes, seed = run.encode(subject.training), int(jax.random.bits(fit_key))
    mixture = fit_latent_density(codes, components=min(COMPONENTS, len(codes)), seed=seed)
    return jnp.asarray(decode(run, mixture.sample(draw_key, count)))


def _encoded(subject: ReportInput) -> Labelled:
    """The training examples and their codes."""
    codes, label = subject.shown.encode(subject.training), np.asarray(subject.training["label"])
    origin = f"Means are those of {len(label)} training examples."
    return Labelled(codes, values(subject.training), label, "example", origin)


def _read(subject: ReportInput) -> Labelled:
    """Samples, with the noise that they are made of, and the classes that a classifier of the data is sure to see.

    Raises:
        NotApplicable: if there is no classifier for such data, or it sees less than two classes.
    """
    run = subject.shown
    if run.example["image"].shape[-1] != 1 or run.classes > READABLE:
        raise NotApplicable(
            "no encoder finds codes of classes, and the classifier, which reads those of samples instead, is one of "
            f"grey pictures of {READABLE} classes"
        )
    codes = prior_latents(run, subject.key, SAMPLES)
    pixels = decode(run, codes)
    classifier = digit_classifier_of(run.config.data, run.config.data_dir, run.config.image_size)
    probabilities = np.asarray(classifier.probabilities(pixels))
    label = probabilities.argmax(axis=1)
    sure = probabilities.max(axis=1) >= SURE
    counts = np.bincount(label[sure], minlength=READABLE)
    kept = sure & (counts >= AVERAGED)[label]
    if len(np.unique(label[kept])) < 2:
        raise NotApplicable(f"of less than two classes the samples hold {AVERAGED} that are read with certainty")
    origin = (
        f"Noise is told no class: of {SAMPLES} samples those count whose class a classifier of the data reads with a "
        f"probability of {SURE} or more, {counts[counts >= AVERAGED].min()} or more of each class."
    )
    return Labelled(codes[kept], pixels[kept], label[kept], "sample", origin)


def _coordinates_of_noise(subject: ReportInput) -> Section:
    """What each coordinate means where codes are drawn, and none is found."""
    run = subject.shown
    [start] = prior_latents(run, subject.key, 1)
    draws = prior_latents(run, subject.key, DRAWS // len(start))
    # So many draws give a quantile to one decimal: 3 of a normal prior, 1 of a uniform one.
    limit = round(float(np.quantile(np.abs(draws), norm.cdf(RANGE) - norm.cdf(-RANGE))), 1)
    ticks = np.linspace(-limit, limit, TICKS)
    ways = traversals(start, range(len(start)), ticks)
    images = decode(run, ways.reshape(-1, len(start)), 0)
    images = images.reshape(*ways.shape[:2], *images.shape[1:])
    most = np.argsort(-images.var(axis=1).sum(axis=(1, 2, 3)), kind="stable")[:DIMENSIONS]
    caption = (
        f"One coordinate of a draw of noise changed at a time, from {-limit:g} to {limit:g}, those first that change "
        f"the picture most.{_told(run)} Nothing asks that a coordinate mean one thing: a row may change several at "
        "once, and where there are many coordinates each may change little (Chen et al. 2016, arXiv:1606.03657, "
        "section 1)."
    )
    rows = {f"z{dimension}": images[dimension] for dimension in most}
    return Section([png("traversals", plot.image_rows(rows, columns=_named(ticks)), caption)])


def _styles_of_noise(subject: ReportInput) -> Section:
    """The same draws of noise as members of every class."""
    run, classes = subject.shown, subject.run.classes
    codes = prior_latents(run, subject.key, CLASSES)
    images = decode(run, np.repeat(codes, classes, axis=0), np.tile(np.arange(classes), CLASSES))
    rows = {f"noise {i + 1}": images[i * classes : (i + 1) * classes] for i in range(CLASSES)}
    caption = (
        f"{CLASSES} draws of noise, each decoded as every class in turn. A column should keep its class. A row keeps a "
        "style, such as slant and weight, if the noise means the same in every class, which nothing in the game asks "
        "for (Mirza and Osindero 2014, arXiv:1411.1784)."
    )
    figure = plot.image_rows(rows, columns=[str(label) for label in range(classes)])
    return Section([png("styles", figure, caption)])


def _told(run: Run) -> str:
    """What is to be said where all codes are decoded under one label."""
    return " All are told the class 0." if run.model.conditions else ""


def _named(ticks: Float[np.ndarray, " n"]) -> list[str]:
    return [f"{tick:.3g}" for tick in ticks]


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
