"""What the discriminator of a run has learned: against the best one on the line, its slope, and its weights."""

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen import plot
from jaxgen.analysis import AgainstOptimum, compare_with_optimum, optimal_discriminator
from jaxgen.callbacks.gan_1d import PLACES, Gan1D, why_not_gan_1d, without_averages
from jaxgen.errors import InputError
from jaxgen.game import State
from jaxgen.nn.normalization import applied_kernels
from jaxgen.report.section import (
    NotApplicable,
    ReportInput,
    Section,
    need_discriminator,
    png,
    single,
    values,
)
from jaxgen.runs.loading import Run, abstract_state, run_key
from jaxgen.training.checkpoint import completed, restore
from jaxgen.training.loop import initial_state
from jaxgen.typing import AnyArray, Array, Batch, Float

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GENERATED = 20_000
"""Points from which the generator's density is estimated."""

BANDWIDTH = 0.03
"""Of the kernel of that estimate, in standard deviations of the points: Scott's rule would blur several modes."""

TAIL = 5.0
"""Standard deviations of that kernel beyond the outermost points, within which all of the estimate is."""

COMPARED = 1000
"""Real and generated examples between which the slope is taken."""

NORM_BOUND = 1.01
"""Of the largest singular value of what spectral normalization has divided."""


def line_over_training(subject: ReportInput) -> Section:
    """Data, generator and discriminator on the line, from the beginning to the end."""
    game = _on_the_line(subject)
    moments = [game.moment(run.state, f"step {step}") for step, run in _kept(subject.run)]
    steps = ", ".join(moment.title.removeprefix("step ") for moment in moments)
    caption = (
        f"The game at the steps {steps}: the beginning, and the checkpoints that are kept. Dotted the density of the "
        "data, red a histogram of what is generated, dashed the discriminator's probability of being real; below, "
        "lines from noise to what the generator makes of it. In the end the two densities should be one and the "
        "discriminator 1/2 everywhere (Goodfellow et al. 2014, arXiv:1406.2661, figure 1)." + _of_average(subject)
    )
    return Section([png("gan_1d", game.draw(moments), caption)])


def optimum(subject: ReportInput) -> Section:
    """The trained discriminator against the best one, where both densities can be known."""
    game = _on_the_line(subject)
    found = [_against_optimum(subject, game, run) for run in subject.runs]
    first = found[0]
    densities = {"data": np.exp(first.log_data), "generated": np.exp(first.log_generated)}
    figure = plot.discriminators(first.places, densities, optimal=first.optimal, trained=first.trained)
    caption = (
        "The trained discriminator beside the best one for the generator that it plays against, p / (p + q), with the "
        f"generator's density q estimated from {GENERATED:,} points. Where there is data or a generated point, they "
        "should lie on each other; elsewhere nobody has told the discriminator anything. probability_error is their "
        "mean distance, weighted with (p + q) / 2, and log_ratio_error that of the logit from log(p / q), weighted "
        "with min(p, q). optimal_value, the value of the game at the best one, is 2 JS(p, q) - 2 log 2; the value at "
        "the trained one, integrated over the same densities, cannot be larger (Goodfellow et al. 2014, "
        "arXiv:1406.2661, proposition 1 and theorem 1)." + _of_average(subject)
    )
    numbers = {name: [float(getattr(one.compared, name)) for one in found] for name in AgainstOptimum._fields}
    return Section([png("optimal_discriminator", figure, caption)], numbers)


def slope(subject: ReportInput) -> Section:
    """How steep the discriminator is between real and generated examples."""
    gradient = _gradient(subject)
    slopes = [_slopes(subject, gradient, run) for run in subject.runs]
    units = ", in the units that it sees them in: values of pixels from -1 to 1" if subject.images else ""
    caption = (
        f"Length of the gradient of the discriminator's output at {len(slopes[0])} points between real and generated "
        f"examples{units}. With the gradient penalty it "
        "should be near 1 (Gulrajani et al. 2017, arXiv:1704.00028, figure 1), in an mlp under spectral normalization "
        "at most 1; nothing holds the slope of the other discriminators to a number." + _of_average(subject)
    )
    numbers = {
        "slope_mean": [float(slope.mean()) for slope in slopes],
        "slope_sd": [float(slope.std(ddof=1)) for slope in slopes],
    }
    return Section([png("slope", _draw_slopes(slopes[0]), caption)], numbers)


def norms(subject: ReportInput) -> Section:
    """How far the layers with spectral normalization stretch what they are given."""
    moments = [(step, _norms(run.state)) for step, run in _kept(subject.run)]
    if not moments[0][1]:
        raise NotApplicable("no layer has spectral normalization")
    caption = (
        "The largest singular value of every kernel as it is applied, at the beginning and at the checkpoints that are "
        "kept: divided by the estimate of its largest singular value that is followed during the training, and then "
        "decomposed by LAPACK. It is 1 where the estimate is right and larger where it lags behind the training; it "
        f"should stay below {NORM_BOUND} (dotted). A convolution counts as the matrix of its window and channels by "
        "its features, and may still stretch a picture (Miyato et al. 2018, arXiv:1802.05957, section 2)."
    )
    if subject.run.state.ema:
        caption += " The generator's kernels are those of its averaged weights, from which samples are drawn."
    largest = [max(_norms(run.state).values()) for run in subject.runs]
    return Section([png("spectral_norms", _draw_norms(moments), caption)], {"largest_singular_value": largest})


class _Optimum(NamedTuple):
    """A trained discriminator and the best one, at places on the line."""

    places: Float[np.ndarray, " places"]
    log_data: Float[np.ndarray, " places"]
    log_generated: Float[np.ndarray, " places"]
    optimal: Float[np.ndarray, " places"]
    trained: Float[np.ndarray, " places"]
    compared: AgainstOptimum


Gradient = Callable[[State, AnyArray, AnyArray | None], Float[Array, " n *event"]]
"""Of a state, examples (pictures from 0 to 1) and their classes: of D's output at each of them, by the example."""


def _gradient(subject: ReportInput) -> Gradient:
    """The gradient of the discriminator, as `evaluate` shows it."""
    run, key = subject.run, subject.key
    evaluate, name = run.model.evaluate, "image" if subject.images else "point"
    need_discriminator(subject)
    if evaluate is None:
        raise NotApplicable("the discriminator judges several examples at once")

    def output(x: AnyArray, state: State, label: AnyArray | None) -> Float[Array, ""]:
        batch: Batch = {name: jnp.asarray(x)} | ({} if label is None else {"label": label})
        return evaluate(key, state, batch)["real_output"].sum()

    compiled = jax.jit(jax.grad(output))
    return lambda state, x, label: compiled(x, state, label)


def _on_the_line(subject: ReportInput) -> Gan1D:
    run = subject.run
    if reason := why_not_gan_1d(run.model, run.config, run.example):
        raise NotApplicable(reason)
    return Gan1D(run.model, run.config, subject.training["point"], subject.key)


def _kept(run: Run) -> list[tuple[int, Run]]:
    """The first sound run at its beginning and at every checkpoint that is whole."""
    like = abstract_state(run.model, run.config, run.example)
    states = {0: initial_state(run.model, run_key(run.config), run.example)}
    for step in completed(run.folder / "checkpoints"):
        # In place of one that is damaged comes the one before it once more, if there is one.
        with contextlib.suppress(InputError):
            restored = restore(run.folder / "checkpoints", like, until=step)
            states[restored.step] = restored.state
    return [(step, single(run._replace(state=state), run.first_run)) for step, state in states.items()]


def _of_average(subject: ReportInput) -> str:
    """What is to be said of the generator if it is not the one from which samples are drawn elsewhere."""
    if not subject.run.state.ema:
        return ""
    return (
        " The generator is the one that the discriminator plays against, not the average of its weights, from which "
        "the samples of other sections are drawn."
    )


def _against_optimum(subject: ReportInput, game: Gan1D, run: Run) -> _Optimum:
    generated = _playing(run).sample(subject.key, GENERATED)
    places, volumes, log_generated = _density(np.asarray(generated, np.float64)[:, 0], game.line.places)
    log_data, logits = game.log_density(places), game.logits(run.state, places[:, None])
    log_p, log_q = jnp.asarray(log_data), jnp.asarray(log_generated)
    return _Optimum(
        places,
        log_data,
        log_generated,
        optimal=np.asarray(optimal_discriminator(log_p, log_q)),
        trained=np.asarray(jax.nn.sigmoid(logits)),
        compared=compare_with_optimum(logits, log_p, log_q, volumes=jnp.asarray(volumes)),
    )


def _playing(run: Run) -> Run:
    """The run whose samples are what its discriminator is shown."""
    return run._replace(state=without_averages(run.state))


def _density(
    points: Float[np.ndarray, " n"], line: Float[np.ndarray, " line"]
) -> tuple[Float[np.ndarray, " places"], Float[np.ndarray, " places"], Float[np.ndarray, " places"]]:
    """Places, what each of them stands for in an integral, and a kernel density estimate, -inf where no points are.

    To the places of the line come as many over the range of the points, which may be narrow or elsewhere.
    """
    from scipy.stats import gaussian_kde

    if np.ptp(points) == 0:
        raise NotApplicable("the generator makes a single point, which has no density")
    density = gaussian_kde(points, BANDWIDTH)
    tail = TAIL * np.sqrt(density.covariance.item())
    places = np.union1d(line, np.linspace(points.min() - tail, points.max() + tail, PLACES))
    gaps = np.diff(places)
    volumes = (np.append(gaps, 0.0) + np.insert(gaps, 0, 0.0)) / 2  # The trapezoidal rule.
    with np.errstate(divide="ignore"):
        log_density = np.log(density(places))
    return places.astype(np.float32), volumes.astype(np.float32), log_density.astype(np.float32)


def _slopes(subject: ReportInput, gradient: Gradient, run: Run) -> Float[np.ndarray, " n"]:
    """Length of the gradient at one random place between each real example and a generated one."""
    real = values(subject.training)[:COMPARED]
    label = np.asarray(subject.training["label"])[:COMPARED] if "label" in subject.training else None
    told = {"label": label} if run.model.conditions else {}
    fake = np.asarray(_playing(run).sample(subject.key, len(real), **told))
    weight = np.asarray(jax.random.uniform(subject.key, (len(real), *[1] * (real.ndim - 1))))
    slope = gradient(run.state, weight * real + (1 - weight) * fake, label)
    # Networks see pictures with values in [-1, 1], twice as wide.
    scale = 0.5 if subject.images else 1.0
    return scale * np.linalg.norm(np.asarray(slope).reshape(len(real), -1), axis=1)


def _norms(state: State) -> dict[str, float]:
    """Layer -> its largest singular value, of a single run; of averaged weights where samples are drawn from them."""
    found, params = {}, state.params | state.ema
    for network, collections in state.stats.items():
        if "spectral" not in collections:
            continue
        for layer, kernel in applied_kernels(params[network], collections["spectral"]).items():
            matrix = np.asarray(kernel, np.float64).reshape(-1, kernel.shape[-1])
            found[f"{network}/{layer}"] = float(np.linalg.norm(matrix, 2))
    return found


def _draw_norms(moments: list[tuple[int, dict[str, float]]]) -> "Figure":
    from matplotlib.figure import Figure

    steps, found = zip(*moments, strict=True)
    figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
    axes = figure.add_subplot(xlabel="step", ylabel="largest singular value")
    for layer in found[0]:
        axes.plot(steps, [norms[layer] for norms in found], marker=".", label=layer)
    axes.axhline(NORM_BOUND, color="0.35", linestyle=":")
    figure.legend(loc="outside right upper", fontsize="small")
    return figure


def _draw_slopes(slopes: Float[np.ndarray, " n"]) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.5), dpi=120, layout="constrained")
    axes = figure.add_subplot(xlabel="slope", ylabel="share of the points")
    axes.hist(slopes, bins=50, weights=np.full(len(slopes), 1 / len(slopes)), color="tab:blue")
    axes.axvline(1.0, color="0.35", linestyle=":")
    axes.set_xlim(left=0)
    return figure
