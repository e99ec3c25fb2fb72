"""Section "Optimal discriminator": the trained discriminator of a 1-D GAN beside the optimal one."""

from typing import NamedTuple

import jax
import numpy as np

from jaxgen import plot
from jaxgen.analysis import AgainstOptimum, compare_with_optimum
from jaxgen.analysis import optimal_discriminator as optimal_probability
from jaxgen.averaging import without_averages
from jaxgen.callbacks.gan_1d_figure import GRID, Gan1D
from jaxgen.report.gan_1d import average_note, make_gan_1d
from jaxgen.report.run_functions import state_of
from jaxgen.report.section import NotApplicable, ReportInput, Section, png
from jaxgen.runs.loading import Run
from jaxgen.typing import Array, Float

GENERATED = 20_000
"""Samples from which the density of the generator is estimated."""

BANDWIDTH = 0.03
"""Bandwidth of that kernel density estimate in standard deviations of the samples; Scott's rule oversmooths modes."""

TAIL = 5.0
"""Distance from the outermost samples beyond which the estimate is negligible, in standard deviations of the kernel."""


def optimal_discriminator(inputs: ReportInput) -> Section:
    """Compare the trained discriminator with the optimal one, p / (p + q)."""
    gan = make_gan_1d(inputs)
    compared = [_compare(inputs, gan, run) for run in inputs.runs]
    first = compared[inputs.shown]
    densities = {"data": np.exp(first.log_data), "generated": np.exp(first.log_generated)}
    figure = plot.discriminators(first.x, densities, optimal=first.optimal, trained=first.trained)
    caption = (
        "The trained discriminator beside the optimal one for the current generator, p / (p + q), with the density q "
        f"of the generator estimated from {GENERATED:,} samples. They should agree where there are real or generated "
        "points; elsewhere the discriminator is not trained. probability_error is their mean distance, weighted with "
        "(p + q) / 2, and log_ratio_error that of the logit from log(p / q), weighted with min(p, q). optimal_value, "
        "the value of the game with the optimal discriminator, is 2 JS(p, q) - 2 log 2; value, with the trained one "
        "and integrated over the same densities, is at most as large (Goodfellow et al. 2014, arXiv:1406.2661, "
        "proposition 1 and theorem 1)." + average_note(inputs)
    )
    metrics = {name: [float(getattr(result.errors, name)) for result in compared] for name in AgainstOptimum._fields}
    return Section([png("optimal_discriminator", figure, caption)], metrics)


class _Compared(NamedTuple):
    """A trained discriminator and the optimal one at points x."""

    x: Float[np.ndarray, " points"]
    log_data: Float[np.ndarray, " points"]
    log_generated: Float[np.ndarray, " points"]
    optimal: Float[np.ndarray, " points"]
    trained: Float[np.ndarray, " points"]
    errors: AgainstOptimum


def _compare(inputs: ReportInput, gan: Gan1D, run: Run) -> _Compared:
    generated = run._replace(state=without_averages(run.state)).sample(inputs.key, GENERATED)
    x, volumes, log_generated = _estimate_density(np.asarray(generated, np.float64)[:, 0], gan.axis.x)
    log_data, logits = gan.log_density(x), gan.logits(state_of(run), x[:, None])
    optimal, trained, errors = _probabilities_and_errors(logits, log_data, log_generated, volumes)
    return _Compared(x, log_data, log_generated, np.asarray(optimal), np.asarray(trained), errors)


@jax.jit  # Otherwise each of about forty operations would be compiled separately.
def _probabilities_and_errors(
    logits: Float[Array, " points"],
    log_p: Float[Array, " points"],
    log_q: Float[Array, " points"],
    volumes: Float[Array, " points"],
) -> tuple[Float[Array, " points"], Float[Array, " points"], AgainstOptimum]:
    errors = compare_with_optimum(logits, log_p, log_q, volumes=volumes)
    return optimal_probability(log_p, log_q), jax.nn.sigmoid(logits), errors


def _estimate_density(
    samples: Float[np.ndarray, " n"], axis: Float[np.ndarray, " grid"]
) -> tuple[Float[np.ndarray, " points"], Float[np.ndarray, " points"], Float[np.ndarray, " points"]]:
    """Points, their quadrature weights, and the log of a kernel density estimate, -inf where it is 0.

    The points are those of the axis and as many over the range of the samples, which may be narrow or elsewhere.
    """
    from scipy.stats import gaussian_kde

    if np.ptp(samples) == 0:
        raise NotApplicable("all samples of the generator are equal, so they have no density")
    density = gaussian_kde(samples, BANDWIDTH)
    tail = TAIL * np.sqrt(density.covariance.item())
    x = np.union1d(axis, np.linspace(samples.min() - tail, samples.max() + tail, GRID))
    gaps = np.diff(x)
    volumes = (np.append(gaps, 0.0) + np.insert(gaps, 0, 0.0)) / 2  # The trapezoidal rule.
    with np.errstate(divide="ignore"):
        log_density = np.log(density(x))
    return x.astype(np.float32), volumes.astype(np.float32), log_density.astype(np.float32)
