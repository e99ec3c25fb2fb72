"""Mode coverage of generated samples, for the modes of a mixture or the classes of a classifier."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen._arrays import is_known
from jaxgen.errors import InputError
from jaxgen.typing import Array, Float, Int, Shaped


class ModeCoverage(NamedTuple):
    """Coverage of the modes by samples.

    Attributes:
        covered: number of modes with at least one high-quality sample, [].
        high_quality: share of the samples that are of high quality, in [0, 1], [].
        counts: number of samples assigned to each mode, of high quality or not, [modes].
        kl: KL divergence of the histogram `counts` from the uniform distribution, in nats, []: 0 if all modes have
            equally many samples, log(modes) if one mode has all.
    """

    covered: Int[Array, ""]
    high_quality: Float[Array, ""]
    counts: Int[Array, " modes"]
    kl: Float[Array, ""]


def mode_coverage(
    samples: Float[Array, "batch dim"],
    centers: Float[Array, "modes dim"],
    *,
    scale: float | Float[Array, ""] | Float[Array, " modes"],
    threshold: float = 3.0,
) -> ModeCoverage:
    """Compute the coverage of the modes of a mixture of isotropic Gaussians.

    A sample is assigned to its nearest centre. It is of high quality if its distance from the centre is at most
    `threshold` times the scale of that mode. A mode is covered if a high-quality sample is assigned to it. With p the
    shares of the modes, `kl = sum(p log(p * modes))`.

    Args:
        samples: generated samples, [batch, dim].
        centers: means of the mixture, [modes, dim].
        scale: standard deviation of the Gaussians, one number or one per mode, [modes].
        threshold: largest distance of a high-quality sample, in standard deviations.

    Returns:
        A `ModeCoverage`.

    Raises:
        ValueError: if samples and centers are not matrices with equally many columns, or there are no samples.

    Reference:
        Srivastava et al. 2017, arXiv:1705.07761 (covered modes, high quality); Lin et al. 2018, arXiv:1712.04086 (also
        the divergence, there from the shares of the modes among real samples, which are equal here).

    Example:
        >>> samples = jnp.array([[0.0, 0.1], [0.2, 0.0], [5.0, 0.9], [5.0, 0.0]])
        >>> coverage = mode_coverage(samples, jnp.array([[0.0, 0.0], [5.0, 0.0], [9.0, 9.0]]), scale=0.1)
        >>> int(coverage.covered), float(coverage.high_quality), coverage.counts.tolist()
        (2, 0.75, [2, 2, 0])
    """
    if samples.ndim != 2 or centers.ndim != 2 or samples.shape[1] != centers.shape[1] or len(samples) == 0:
        raise ValueError(
            f"samples must be [batch, dim] and centers [modes, dim], "
            f"got samples {samples.shape} and centers {centers.shape}"
        )
    modes = len(centers)
    distances = jnp.linalg.norm(samples[:, None] - centers[None], axis=-1)
    nearest = jnp.argmin(distances, axis=1)
    high_quality = jnp.min(distances, axis=1) <= threshold * jnp.broadcast_to(scale, (modes,))[nearest]
    return _coverage(nearest, high_quality, modes)


def label_coverage(
    labels: Int[Array, " batch"],
    modes: int,
    *,
    confidence: Float[Array, " batch"] | None = None,
    threshold: float = 0.9,
) -> ModeCoverage:
    """Compute the coverage of modes by samples that a classifier has assigned to modes.

    A sample is of high quality if the classifier's confidence in its label is at least `threshold`. A mode is covered
    if a high-quality sample is assigned to it. With p the shares of the modes, `kl = sum(p log(p * modes))`. For n
    samples that are uniform over the modes, of which few are empty, the mean of kl is `(modes - 1) / (2 n)`, not 0.

    Args:
        labels: mode of each sample, integers in [0, modes), [batch].
        modes: number of modes.
        confidence: probability that the label is right, in [0, 1], [batch]. If None, every sample is of high quality,
            as in the published counts of the modes of stacked MNIST.
        threshold: smallest confidence of a high-quality sample.

    Returns:
        A `ModeCoverage`.

    Raises:
        ValueError: if labels are not a non-empty vector of integers, or confidence has another shape.
        InputError: if labels are known and outside the range.

    Reference:
        Srivastava et al. 2017, arXiv:1705.07761, section 4.2 (covered modes and divergence of stacked MNIST, 26,000
        samples).

    Example:
        >>> labels, confidence = jnp.array([0, 0, 1, 2]), jnp.array([0.99, 0.95, 0.91, 0.4])
        >>> coverage = label_coverage(labels, 4, confidence=confidence)
        >>> int(coverage.covered), float(coverage.high_quality), coverage.counts.tolist()
        (2, 0.75, [2, 1, 1, 0])
    """
    check_labels(labels, modes, confidence)
    if confidence is None:
        return _coverage(labels, jnp.ones(labels.shape, bool), modes)
    return _coverage(labels, confidence >= threshold, modes)


def _coverage(belongs_to: Int[Array, " batch"], high_quality: Shaped[Array, " batch"], modes: int) -> ModeCoverage:
    counts = jnp.bincount(belongs_to, length=modes)
    reached = jnp.zeros(modes, bool).at[belongs_to].max(high_quality)
    shares = counts / len(belongs_to)
    return ModeCoverage(
        covered=jnp.sum(reached),
        high_quality=jnp.mean(high_quality),
        counts=counts,
        kl=jnp.sum(jax.scipy.special.rel_entr(shares, jnp.full_like(shares, 1 / modes))),
    )


def check_labels(labels: Int[Array, " batch"], modes: int, confidence: Float[Array, " batch"] | None = None) -> None:
    """Raise an error unless labels are integers in [0, modes); of traced ones only shape and dtype are checked."""
    if labels.ndim != 1 or len(labels) == 0 or not jnp.issubdtype(labels.dtype, jnp.integer):
        raise ValueError(f"labels must be integers [batch], got {labels.dtype} {labels.shape}")
    if confidence is not None and confidence.shape != labels.shape:
        raise ValueError(f"shapes must be equal, got labels {labels.shape} and confidence {confidence.shape}")
    if not is_known(labels):
        return
    known = np.asarray(labels)  # NumPy: under `jit`, even the minimum of a constant JAX array is traced.
    if known.min() < 0 or known.max() >= modes:
        wrong = known.min() if known.min() < 0 else known.max()
        raise InputError(f"labels must be in [0, {modes}), got {wrong}")
