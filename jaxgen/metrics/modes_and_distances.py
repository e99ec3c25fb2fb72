"""Numbers about samples that no player minimizes: how many modes are covered, and how evenly.

They take points, logits or labels, not models: who samples and who classifies is the caller's business.

In every function `mode_kl_all` counts all samples, each for its nearest mode or its most probable class, as published.
A mode is covered, and counted in `modes`, if a sample of high quality belongs to it; only for the many modes of stacked
digits the published number counts the modes of all samples.
"""

import jax
import jax.numpy as jnp

from jaxgen._signatures import checked
from jaxgen.metrics.modes import ModeCoverage, label_coverage, mode_coverage
from jaxgen.typing import Array, Float, Int

CONFIDENT = 0.9
"""Smallest probability of its class for a sample of high quality."""


@checked
def mixture_metrics(
    samples: Float[Array, "n dim"],
    centers: Float[Array, "modes dim"],
    scales: Float[Array, " modes"],
    weights: Float[Array, " modes"],
) -> dict[str, Array]:
    """Compute how well samples cover the modes of a mixture of Gaussians.

    Args:
        samples: samples [n, dim].
        centers: means of the mixture.
        scales: standard deviations of its components.
        weights: probabilities of its components.

    Returns:
        `modes`, the number of modes that are the nearest one of at least one sample of high quality; `high_quality`,
        the share of samples within three standard deviations of their nearest mode; `mode_kl_all`, the KL divergence of
        the modes' shares from the true ones, in nats, where each of all samples counts for its nearest mode, of high
        quality or not: a generator may have a `mode_kl_all` near 0 and few covered modes.

    Reference:
        Srivastava et al. 2017, arXiv:1705.07761, section 4.1.

    Example:
        >>> centers = jnp.array([[0.0, 0.0], [4.0, 0.0]])
        >>> found = mixture_metrics(centers[:1], centers, jnp.ones(2), jnp.array([0.5, 0.5]))
        >>> {name: round(float(value), 4) for name, value in found.items()}
        {'modes': 1.0, 'high_quality': 1.0, 'mode_kl_all': 0.6931}
    """
    coverage = mode_coverage(samples, centers, scale=scales)
    kl = jnp.sum(jax.scipy.special.rel_entr(coverage.counts / coverage.counts.sum(), weights))
    return {"modes": coverage.covered, "high_quality": coverage.high_quality, "mode_kl_all": kl}


@checked
def class_metrics(logits: Float[Array, "n classes"]) -> dict[str, Array]:
    """Compute how well samples cover the classes of a classifier; only confident samples cover a class.

    Args:
        logits: logits of the classes of each sample.

    Returns:
        `modes`, the number of classes of at least one sample of high quality; `high_quality`, the share of samples
        whose class has a probability of at least `CONFIDENT`; `mode_kl_all`, the KL divergence of the classes' shares
        from the uniform distribution, in nats, of all samples, of high quality or not.

    Example:
        >>> {name: float(value) for name, value in class_metrics(20.0 * jnp.eye(4)).items()}
        {'modes': 4.0, 'high_quality': 1.0, 'mode_kl_all': 0.0}
    """
    confidence = jax.nn.softmax(logits).max(axis=-1)
    coverage = label_coverage(logits.argmax(axis=-1), logits.shape[-1], confidence=confidence, threshold=CONFIDENT)
    return _named(coverage, coverage.high_quality)


@checked
def label_metrics(labels: Int[Array, " n"], confidence: Float[Array, " n"], modes: int) -> dict[str, Array]:
    """Compute how many of many modes samples cover; every sample covers the mode of its label.

    Args:
        labels: label of each sample, in [0, modes).
        confidence: probability of that label.
        modes: number of modes, e.g. 1,000 for stacked digits.

    Returns:
        `modes`, the number of labels of at least one sample, of high quality or not, as published; `high_quality` and
        `mode_kl_all`, as for `class_metrics`.

    Reference:
        Srivastava et al. 2017, arXiv:1705.07761, section 4.2.

    Example:
        >>> found = label_metrics(jnp.array([0, 1]), jnp.array([0.99, 0.5]), 2)
        >>> {name: float(value) for name, value in found.items()}
        {'modes': 2.0, 'high_quality': 0.5, 'mode_kl_all': 0.0}
    """
    return _named(label_coverage(labels, modes), jnp.mean(confidence >= CONFIDENT))


def _named(coverage: ModeCoverage, high_quality: Float[Array, ""]) -> dict[str, Array]:
    return {"modes": coverage.covered, "high_quality": high_quality, "mode_kl_all": coverage.kl}
