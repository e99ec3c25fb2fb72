"""Fréchet distance of features, in double precision on the host, from features at once or from moments of chunks.

The Fréchet distance of features is that of Gaussians with their means and covariances; of Inception features it is the
FID. A feature may have a mean far above its deviation, and a covariance eigenvalues near 0, whose square roots enter:
sums of products in single precision lose the digits of both. Therefore moments are centred before they are multiplied,
and products and the trace are computed in float64. On graphics cards the products are computed there.
"""

import warnings
from collections.abc import Iterator, Sequence
from functools import reduce
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen._arrays import centre, float_dtype, is_known, widen
from jaxgen._signatures import checked
from jaxgen.divergences import frechet_distance
from jaxgen.errors import InputError, shortened
from jaxgen.typing import AnyArray, Array, Float, KeyArray, Scalar

CHUNK = 4096
"""Number of examples whose features are converted to float64 at once."""

POINTS = 15
"""Number of sample sizes of an extrapolated distance (Chong and Forsyth 2020)."""

SMALLEST = 5000
"""Smallest of these sample sizes where there are more samples, as in the authors' program.

Below the number of features, 2,048 of Inception, the covariance is singular and the distance is not linear in 1 / n, so
that the line misses the value at infinity. Of at most this many samples, the smallest size is half of them.
"""


class Moments(NamedTuple):
    """Sufficient statistics of features for the Fréchet distance, in float64 on the host.

    Attributes:
        n: number of examples.
        mean: mean of each feature, [features].
        scatter: sum over the examples of the products of deviations from the mean, [features, features]: the covariance
            times `n - 1`, or times `n` for the biased form.
    """

    n: int
    mean: np.ndarray
    scatter: np.ndarray


class ExtrapolatedDistance(NamedTuple):
    """A Fréchet distance extrapolated to infinitely many samples.

    Attributes:
        distance: value of the fitted line at `1 / n = 0`; it may be negative.
        counts: numbers n of samples, [points].
        distances: Fréchet distance of each number of samples, [points].
    """

    distance: float
    counts: np.ndarray
    distances: np.ndarray


@checked
def frechet_distance_of_features(
    real: Float[AnyArray, "n features"], fake: Float[AnyArray, "m features"], *, biased: bool = False
) -> Scalar:
    """Compute the Fréchet distance between Gaussians fitted to features of real and of generated examples.

    `|mean - mean'|^2 + tr(C + C' - 2 (C^1/2 C' C^1/2)^1/2)`

    The estimate is biased upwards, by an amount of about a constant over the number of examples: compare distances of
    equal numbers of examples only, or see `extrapolated_frechet_distance`. Time grows with `(n + m) features^2 +
    features^3`. Under `jit`, `vmap` or `grad` it is computed by `jaxgen.divergences.frechet_distance`, whose errors and
    derivatives are documented there.

    Args:
        real: features of real examples, at least two, [n, features].
        fake: features of generated examples, at least two, [m, features].
        biased: whether covariances have the divisor n, as in StyleGAN's metrics of NVIDIA, instead of n - 1, as in
            `np.cov` and the original.

    Returns:
        The distance, in squared units of the features: a float whose error is at most 1e-5 of `tr C + tr C'`, or under
        `jit` an array in float32 or wider.

    Raises:
        InputError: if the features are not matrices with equally many columns and at least two rows, or not finite.

    Warns:
        UserWarning: if there are fewer examples than features, so that a covariance is singular.

    Reference:
        Heusel et al. 2017, arXiv:1706.08500, equation 6; Karras et al. 2020, arXiv:2006.06676, for the biased form.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (100, 2))
        >>> round(float(frechet_distance_of_features(x, x + 1.0)), 4)
        2.0
    """
    _check_examples("real", *np.shape(real))
    _check_examples("fake", *np.shape(fake))
    if not (is_known(real) and is_known(fake)):
        return _traced(jnp.asarray(real), jnp.asarray(fake), biased)
    return _distance(_Gaussian.of(moments_of(real), biased), _Gaussian.of(moments_of(fake), biased))


@checked
def frechet_distance_of_moments(real: Moments, fake: Moments, *, biased: bool = False) -> float:
    """Compute the Fréchet distance between Gaussians with given moments, as `frechet_distance_of_features` does.

    Args:
        real: moments of the features of real examples.
        fake: moments of the features of generated examples.
        biased: whether covariances have the divisor n instead of n - 1.

    Returns:
        The distance, in squared units of the features, in float64.

    Raises:
        InputError: if the numbers of features differ, or there are fewer than two examples.

    Warns:
        UserWarning: if there are fewer examples than features, so that a covariance is singular.

    Reference:
        Heusel et al. 2017, arXiv:1706.08500, equation 6.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(100, 2))
        >>> round(frechet_distance_of_moments(moments_of(x), moments_of(x + 1.0)), 4)
        2.0
    """
    _check_equal_features(real, fake, "real and fake")
    _check_examples("real", real.n, len(real.mean))
    _check_examples("fake", fake.n, len(fake.mean))
    return _distance(_Gaussian.of(real, biased), _Gaussian.of(fake, biased))


@checked
def moments_of(features: Float[AnyArray, "n features"]) -> Moments:
    """Compute the moments of features.

    Args:
        features: features of any number of examples, on the host, a device, or with the examples sharded over devices,
            [n, features].

    Returns:
        Their moments.

    Raises:
        InputError: if the features are not a matrix, are not finite, or are partly on devices of other processes.

    Reference:
        Chan, Golub and LeVeque 1983, "Algorithms for computing the sample variance", for the sum over chunks.

    Example:
        >>> moments = moments_of(np.array([[0.0, 0.0], [2.0, 4.0]]))
        >>> moments.n, moments.mean.tolist(), moments.scatter.tolist()
        (2, [1.0, 2.0], [[2.0, 4.0], [4.0, 8.0]])
    """
    features = features if isinstance(features, jax.Array) else np.asarray(features)
    size = features.shape[1]
    moments = Moments(0, np.zeros(size), np.zeros((size, size)))
    for chunk in _chunks(features):
        moments = merge_moments(moments, _moments_of_chunk(chunk))
    return moments


@checked
def update_moments(moments: Moments, features: Float[AnyArray, "n features"]) -> Moments:
    """Return the moments of all examples so far and of further ones.

    Args:
        moments: moments of the examples so far.
        features: features of further examples, as for `moments_of`, [n, features].

    Returns:
        Moments of all of them; equal to those of all examples at once but for rounding in float64.

    Raises:
        InputError: if the features have another size than those of the moments, or `moments_of` refuses them.

    Example:
        >>> from functools import reduce
        >>> chunks = (np.full((2, 1), x) for x in [1.0, 3.0])
        >>> reduce(update_moments, chunks, moments_of(np.zeros((0, 1))))
        Moments(n=4, mean=array([2.]), scatter=array([[4.]]))
    """
    further = moments_of(features)
    _check_equal_features(moments, further, "moments and features")
    return merge_moments(moments, further)


@checked
def merge_moments(first: Moments, second: Moments) -> Moments:
    """Return the moments of two sets of examples together, of which moments are known.

    Args:
        first: moments of one set.
        second: moments of the other.

    Returns:
        Moments of the examples of both sets.

    Raises:
        InputError: if the numbers of features differ.

    Reference:
        Chan, Golub and LeVeque 1983, "Algorithms for computing the sample variance", equation 1.5.

    Example:
        >>> merge_moments(moments_of(np.array([[1.0]])), moments_of(np.array([[3.0]])))
        Moments(n=2, mean=array([2.]), scatter=array([[2.]]))
    """
    _check_equal_features(first, second, "first and second")
    if 0 in (first.n, second.n):
        return first if first.n else second
    n = first.n + second.n
    share = second.n / n
    shift = second.mean - first.mean
    scatter = np.outer(first.n * share * shift, shift)
    scatter += first.scatter
    scatter += second.scatter
    return Moments(n, first.mean + share * shift, scatter)


@checked
def extrapolated_frechet_distance(
    key: KeyArray,
    real: Moments,
    fake: Float[AnyArray, "n features"],
    *,
    counts: Sequence[int] | None = None,
    biased: bool = False,
) -> ExtrapolatedDistance:
    """Extrapolate the Fréchet distance of features to infinitely many generated examples (FID_inf).

    The distance of n examples exceeds that of infinitely many by about a constant over n. Distances of random subsets
    of several sizes are fitted by a line in `1 / n`, whose value at 0 is returned.

    Args:
        key: PRNG key of the subsets.
        real: moments of the features of real examples, as of `moments_of`.
        fake: features of n generated examples, [n, features].
        counts: sizes of the subsets, each at least 2 and at most n, at least two different ones. None selects 15 sizes,
            evenly spaced to n from 5,000, or from n / 2 if n is at most 5,000. Those below the number of features make
            the line meaningless.
        biased: whether covariances have the divisor n instead of n - 1.

    Returns:
        The extrapolated distance, and the points from which it comes.

    Raises:
        InputError: if the sizes are not valid, or the features are not.

    Warns:
        UserWarning: if there are fewer examples than features, so that a covariance is singular.

    Reference:
        Chong and Forsyth 2020, arXiv:1911.07023, section 4.

    Example:
        >>> real, fake = np.random.default_rng(0).normal(size=(2, 4000, 2))
        >>> found = extrapolated_frechet_distance(jax.random.key(0), moments_of(real), fake + 2.0)
        >>> f"{found.distance:.0f}", found.counts[[0, -1]].tolist()
        ('8', [2000, 4000])
    """
    fake = fake if isinstance(fake, jax.Array) else np.asarray(fake)
    sizes = _subset_sizes(counts, len(fake))
    _check_equal_features(real, moments_of(fake[:1]), "real and fake")
    _check_examples("real", real.n, len(real.mean))
    _check_examples("fake", int(sizes.min()), fake.shape[1])
    target = _Gaussian.of(real, biased)
    distances = []
    for number, size in enumerate(sizes.tolist()):
        chosen = np.asarray(jax.random.permutation(jax.random.fold_in(key, number), len(fake))[:size])
        parts = (moments_of(fake[chosen[at : at + CHUNK]]) for at in range(0, size, CHUNK))
        distances.append(_distance(target, _Gaussian.of(reduce(merge_moments, parts), biased)))
    line = np.polyfit(1.0 / sizes, distances, 1)
    return ExtrapolatedDistance(float(line[1]), sizes, np.asarray(distances))


class _Gaussian(NamedTuple):
    """A mean, the trace of a covariance, and a root A of the covariance `A A'`."""

    mean: np.ndarray
    variance: float
    root: np.ndarray

    @classmethod
    def of(cls, moments: Moments, biased: bool) -> "_Gaussian":
        covariance = moments.scatter / (moments.n if biased else moments.n - 1)
        return cls(moments.mean, float(np.trace(covariance)), _root(covariance))


def _root(covariance: np.ndarray) -> np.ndarray:
    """Return an A with as many columns as the covariance has rank, and `covariance = A A'`.

    It is the Cholesky factor of the correlations, in which directions that are only rounding errors are recognized
    whatever the scales of the features are.
    """
    from scipy.linalg import lapack

    deviations = np.sqrt(np.diagonal(covariance))
    inverse = 1.0 / np.where(deviations > 0, deviations, 1.0)
    correlations = covariance * inverse * inverse[:, None]
    noise = len(deviations) * np.finfo(np.float64).eps
    factor, failed = lapack.dpotrf(correlations.T, lower=1)
    if not failed and np.square(np.diagonal(factor)).min() > noise:
        return factor * deviations[:, None]
    # Pivoting, which reveals the rank, takes seven times as long.
    factor, pivots, rank, _ = lapack.dpstrf(correlations.T, tol=noise, lower=0, overwrite_a=1)
    rows = np.tril(factor.T[:, :rank])
    return rows[np.argsort(pivots)] * deviations[:, None]


def _distance(p: _Gaussian, q: _Gaussian) -> float:
    """Return the Fréchet distance: the last trace is the sum of the singular values of `A' B`."""
    overlap = p.root.T @ q.root
    if overlap.shape[0] > overlap.shape[1]:
        overlap = overlap.T
    squares = np.linalg.eigvalsh(overlap @ overlap.T)
    trace = p.variance + q.variance - 2.0 * np.sqrt(np.maximum(squares, 0.0)).sum()
    return float(np.square(p.mean - q.mean).sum() + max(trace, 0.0))


def _traced(real: Float[Array, "n features"], fake: Float[Array, "m features"], biased: bool) -> Float[Array, ""]:
    """Return the distance as a part of a larger program, in the dtype of the features."""
    moments = [
        (x.mean(axis=0), jnp.cov(x, rowvar=False, bias=biased).reshape(x.shape[1], x.shape[1]))
        for x in centre(widen(real), widen(fake))
    ]
    return frechet_distance(*moments[0], *moments[1]).astype(float_dtype(real, fake))


def _chunks(features: AnyArray) -> Iterator[AnyArray]:
    """Yield the rows in parts, of a sharded array from one device after the other."""
    parts: list[AnyArray] = [features]
    if isinstance(features, jax.Array):
        if not features.is_fully_addressable:
            raise InputError("features must be on devices of this process, got those of several; use merge_moments")
        if all(shard.data.shape[1] == features.shape[1] for shard in features.addressable_shards):
            parts = [shard.data for shard in features.addressable_shards if shard.replica_id == 0]
    for part in parts:
        for start in range(0, len(part), CHUNK):
            yield part[start : start + CHUNK]


def _moments_of_chunk(chunk: AnyArray) -> Moments:
    with np.errstate(invalid="ignore"):  # Of infinite features, which are refused below.
        if isinstance(chunk, jax.Array) and {device.platform for device in chunk.devices()} == {"gpu"}:
            with jax.enable_x64(True):
                mean, scatter = jax.device_get(_moments_on_device(chunk))
        else:
            rows = np.asarray(chunk, np.float64)
            mean = rows.mean(axis=0)
            rows = rows - mean
            scatter = rows.T @ rows
    if not np.isfinite(mean).all():
        raise InputError("features must be finite, got NaN or infinite values; leave diverged samples out")
    return Moments(len(chunk), mean, scatter)


@jax.jit
def _moments_on_device(chunk: Float[Array, "n features"]) -> tuple[Array, Array]:
    rows = chunk.astype(jnp.float64)
    mean = rows.mean(axis=0)
    return mean, jnp.matmul((rows - mean).T, rows - mean, precision=jax.lax.Precision.HIGHEST)


def _subset_sizes(counts: Sequence[int] | None, n: int) -> np.ndarray:
    smallest = SMALLEST if n > SMALLEST else max(2, n // 2)
    sizes = np.linspace(smallest, n, POINTS).astype(int) if counts is None else np.asarray(counts, int)
    if len(np.unique(sizes)) < 2 or sizes.min() < 2 or sizes.max() > n:
        got = f"{n} examples" if counts is None else shortened(list(counts))
        raise InputError(
            f"counts must be at least two different sizes from 2 to the number of generated examples, {n}, got {got}"
        )
    return sizes


def _check_equal_features(first: Moments, second: Moments, names: str) -> None:
    if first.mean.shape != second.mean.shape:
        sizes = f"{len(first.mean)} and {len(second.mean)}"
        raise InputError(f"{names} must have equally many features, got {sizes}; use one extractor for both")


def _check_examples(name: str, examples: int, features: int) -> None:
    """Raise an error if the examples have no covariance, and warn if it is singular; called by public functions."""
    if examples < 2 or features < 1:
        raise InputError(
            f"{name} must have at least two examples and one feature, got {examples} examples of {features} features"
        )
    if examples < features:
        warnings.warn(
            f"{name} has {examples} examples of {features} features: their covariance is singular, and the distance "
            "depends on the number of examples; compare distances of equally many examples only",
            stacklevel=4,  # Where the public function is called, outside of the checks of its arguments.
        )
