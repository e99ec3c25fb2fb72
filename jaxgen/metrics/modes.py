"""Which modes of a known mixture a generator covers."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.typing import Array, Float, Int


class ModeCoverage(NamedTuple):
    """How well samples cover the modes of a mixture.

    Attributes:
        covered: number of modes with at least one high-quality sample.
        high_quality: share of the samples that are of high quality, in [0, 1].
        counts: samples nearest to each mode, of high quality or not.
        kl: divergence of that histogram from the uniform one, in nats: 0 if all modes get as many samples, log(modes)
            if a single one gets all.
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
    """Count the modes of a mixture of isotropic Gaussians that samples reach.

    A sample belongs to its nearest centre; it is of high quality if that is at most `threshold` times the scale of that
    mode away; a mode is covered if a high-quality sample belongs to it. With p the shares of the modes,
    `kl = sum(p log(p * modes))`.

    Args:
        samples: what the generator made.
        centers: means of the mixture.
        scale: standard deviation of its Gaussians, one for all or one for each.
        threshold: how many standard deviations away a sample may be.

    Returns:
        A `ModeCoverage`.

    Raises:
        ValueError: if samples and centres are not two matrices of as many columns, or there are no samples.

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
    counts = jnp.bincount(nearest, length=modes)
    reached = jnp.zeros(modes, bool).at[nearest].max(high_quality)
    shares = counts / len(samples)
    return ModeCoverage(
        covered=jnp.sum(reached),
        high_quality=jnp.mean(high_quality),
        counts=counts,
        kl=jnp.sum(jax.scipy.special.rel_entr(shares, jnp.full_like(shares, 1 / modes))),
    )
