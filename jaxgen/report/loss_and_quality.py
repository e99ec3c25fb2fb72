"""Section "Loss and sample quality": correlation of the discriminator's loss with the distance of samples."""

from typing import NamedTuple

import numpy as np

from jaxgen import plot
from jaxgen.callbacks.sample_metrics import PREFIX
from jaxgen.report.section import ReportInput, Section, png, require_discriminator
from jaxgen.typing import Float, Int

MIN_PAIRS = 4
"""Smallest number of pairs for which a rank correlation is computed."""


def loss_and_quality(inputs: ReportInput) -> Section:
    """Plot the distance that the discriminator estimates against that of the samples, and correlate their ranks."""
    require_discriminator(inputs)
    critic = getattr(inputs.run.config.model_config, "loss", None) == "wasserstein"
    logged = logged_estimate(inputs, critic=critic)
    correlations = [rank_correlation(a, b) for a, b in zip(logged.estimate, logged.distance, strict=True)]
    shown = correlations[inputs.shown]
    figure = plot.loss_against_metric(
        logged.estimate[inputs.shown],
        logged.distance[inputs.shown],
        step=logged.steps,
        labels=(logged.label, "sliced Wasserstein distance"),
        title=f"rank correlation {shown:.2f}" if np.isfinite(shown) else "",
    )
    caption = (
        f"{logged.label.capitalize()} against the distance of samples from the data, one point for each of the "
        f"{len(logged.steps)} steps at which samples were measured; at least {MIN_PAIRS} are needed for a rank "
        "correlation. The difference of the mean outputs of a Wasserstein critic "
        "for real and for generated examples estimates a distance once the critic is near its optimum: its points "
        "should rise from left to right, with a rank correlation near 1. Minus the adversarial loss of a classifying "
        "discriminator, without penalties and class terms, estimates a divergence, which is at its maximum as long as "
        "the two distributions do not overlap, and is less informative about the samples (Arjovsky, Chintala and "
        "Bottou 2017, arXiv:1701.07875, figures 3 and 4)."
    )
    return Section([png("loss_and_quality", figure, caption)], {"rank_correlation": correlations})


class LoggedEstimate(NamedTuple):
    """Logged estimates of the distance between data and samples, beside a distance of the samples.

    Attributes:
        label: description of the estimate.
        steps: steps at which both were logged.
        estimate: estimate of the discriminator for each seed.
        distance: sliced Wasserstein distance of the samples for each seed.
    """

    label: str
    steps: Int[np.ndarray, " steps"]
    estimate: Float[np.ndarray, "seeds steps"]
    distance: Float[np.ndarray, "seeds steps"]


def logged_estimate(inputs: ReportInput, *, critic: bool) -> LoggedEstimate:
    """Return the distance that the discriminator estimates during training, without penalties and class terms.

    Args:
        inputs: run with its log.
        critic: whether the loss is that of a Wasserstein critic.

    Returns:
        The mean critic value of real minus that of generated examples; or minus the adversarial loss, which is the
        complete loss where it is not logged separately.

    Raises:
        NotApplicable: if these are not logged beside sample metrics.
    """
    distance = f"{PREFIX}sliced_wasserstein"
    if critic:
        names = ("discriminator/real_output", "discriminator/fake_output", distance)
        steps, (real, fake, metric) = inputs.history(*names)
        return LoggedEstimate("critic's estimate", steps, real - fake, metric)
    separate = any("discriminator/adversarial_loss" in line for line in inputs.log)
    name = "adversarial_loss" if separate else "loss"
    steps, (loss, metric) = inputs.history(f"discriminator/{name}", distance)
    return LoggedEstimate(f"minus the discriminator's {name.replace('_', ' ')}", steps, -loss, metric)


def rank_correlation(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]) -> float:
    """Compute Spearman's rank correlation of the pairs whose values are both finite.

    Args:
        x: first values.
        y: second values.

    Returns:
        A number in [-1, 1]; NaN for fewer than `MIN_PAIRS` pairs, or if either variable is constant.

    Example:
        >>> rank_correlation(np.array([1.0, 2.0, 3.0, np.nan, 5.0]), np.array([1.0, 4.0, 9.0, 0.0, 25.0]))
        1.0
    """
    from scipy.stats import spearmanr

    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if len(x) < MIN_PAIRS or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(spearmanr(x, y).statistic)
