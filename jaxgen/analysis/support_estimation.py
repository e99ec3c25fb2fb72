"""Estimate the support size of a generator with the birthday paradox, without enumerating the support.

Among 23 people two probably share a birthday, although there are 365 days: a batch of about sqrt(N) samples from a
support of size N probably contains a duplicate. The test samples batches, finds the nearest pairs of each, and
estimates the support size from the frequency of duplicates.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen._arrays import check_key, check_number, flat_events, spaced, widen
from jaxgen._pairwise_distances import squared_distances
from jaxgen._signatures import checked
from jaxgen.errors import InputError
from jaxgen.typing import AnyArray, Array, Float, Int, KeyArray, Shaped

Features = Callable[[Shaped[Array, " n *event"]], Shaped[Array, " n *feature"]]
"""Examples -> features. Examples are compared by the Euclidean distance of their features."""

SIZES = (50, 100, 200, 400, 800)
"""Default batch sizes of the birthday test."""

MAX_REAL = 10_000
"""Maximum number of real examples whose smallest distance is computed."""

BLOCK = 1024
"""Number of examples whose distances to all others are in memory at once."""


class NearestPairs(NamedTuple):
    """The pairs of examples of a batch with the smallest distances.

    Attributes:
        distances: Euclidean distance of each pair, in increasing order.
        indices: indices of the two examples of each pair, the smaller index first.
    """

    distances: Float[np.ndarray, " pairs"]
    indices: Int[np.ndarray, "pairs 2"]


class SupportSize(NamedTuple):
    """Estimated number of distinct examples.

    Attributes:
        estimate: maximum-likelihood estimate; infinite if there is no duplicate.
        low: lower end of the confidence interval.
        high: upper end of the confidence interval; infinite if there is no duplicate.
    """

    estimate: float
    low: float
    high: float


class BirthdayTest(NamedTuple):
    """Result of the birthday test.

    Attributes:
        sizes: batch sizes, in increasing order.
        probability: share of the batches of each size that contain a duplicate.
        half: smallest size at which at least half of the batches contain a duplicate; infinite if fewer than half of
            the largest batches do.
        collisions: number of pairs that are duplicates, over all batches.
        pairs: number of pairs that are compared, over all batches.
        support: size of the support with its confidence interval, from `collisions` and `pairs`.
        threshold: distance up to which two examples are duplicates.
        distances: distances of the nearest pairs over all batches, in increasing order.
        nearest_pairs: examples of those pairs, in the dtype of the samples.
    """

    sizes: Int[np.ndarray, " sizes"]
    probability: Float[np.ndarray, " sizes"]
    half: float
    collisions: int
    pairs: int
    support: SupportSize
    threshold: float
    distances: Float[np.ndarray, " nearest"]
    nearest_pairs: Shaped[np.ndarray, "nearest 2 *event"]

    @property
    def heuristic(self) -> float:
        """Support size by the rule of thumb of the paper: the square of `half`.

        For a uniform distribution on N examples it is about `2 log(2) N`, 1.4 times the true size.
        """
        return self.half**2


@checked
def birthday_test(
    key: KeyArray,
    sample: Callable[[KeyArray, int], Shaped[AnyArray, " n *event"]],
    *,
    threshold: float | None = None,
    real: Shaped[AnyArray, " m *event"] | None = None,
    features: Features = flat_events,
    sizes: Sequence[int] = SIZES,
    trials: int = 20,
    nearest_pairs: int = 8,
) -> BirthdayTest:
    """Estimate the number of distinct examples that a generator produces, from duplicates in batches of growing size.

    In each trial a batch grows to the largest size. It contains a duplicate from the size on at which the first one
    appears. For a uniform distribution on N examples a pair is a duplicate with probability `1 / N`, so the maximum-
    likelihood estimate of N is the number of pairs divided by the number of duplicates. For any other distribution the
    same number estimates `1 / sum(p^2)`: the number of equally probable examples with as many duplicates, at most the
    true number.

    Without a threshold, two examples are duplicates if their distance is at most the smallest nonzero distance between
    real examples. Samples of the data distribution itself, even a continuous one, then contain about one duplicate in
    as many pairs as there are pairs of real examples. An estimate near that number means that the generator produces as
    many distinct examples as the data contain. Near-duplicates among the real examples make the threshold small and the
    estimate large: inspect the nearest pairs, and give a threshold if pairs beyond it are duplicates too.

    Args:
        key: PRNG key of the samples.
        sample: function `(key, n) -> examples` that returns independent samples.
        threshold: distance up to which two examples are duplicates, in the unit of the features.
        real: real examples that determine the threshold if none is given; at most 10,000 of them, evenly spaced, are
            compared.
        features: function from examples to features, e.g. the last hidden layer of a classifier; by default all
            values of an example, for images the pixels.
        sizes: batch sizes for which `probability` is estimated.
        trials: number of batches of the largest size.
        nearest_pairs: number of nearest pairs to return, over all batches.

    Returns:
        A `BirthdayTest`.

    Raises:
        InputError: if neither threshold nor real examples are given, a size is below 2, trials or nearest_pairs is
            below 1, or samples are not finite.

    Reference:
        Arora and Zhang 2017, "Do GANs actually learn the distribution? An empirical study", arXiv:1706.08224; Arora,
        Risteski and Zhang 2018, "Do GANs learn the distribution? Some theory and empirics", ICLR.

    Example:
        >>> days = lambda key, n: jax.random.randint(key, (n, 1), 0, 365)
        >>> result = birthday_test(jax.random.key(0), days, threshold=0.5, sizes=(10, 23, 50), trials=100)
        >>> result.support.low < 365 < result.support.high, 15 < result.half < 30
        (True, True)
    """
    check_key(key)
    _check_arguments(sizes, trials, nearest_pairs)
    if threshold is None:
        if real is None:
            raise InputError("threshold or real must be given, got neither: give a distance, or real examples")
        threshold = smallest_distance(real, features=features)
    check_number("threshold", threshold, at_least=0)
    largest = max(sizes)
    draws = (np.asarray(sample(jax.random.fold_in(key, trial), largest)) for trial in range(trials))
    compared, examples = zip(
        *(_compare_batch(batch, features, threshold, nearest_pairs) for batch in draws), strict=True
    )
    first = np.array([batch.first for batch in compared])
    collisions, pairs = sum(batch.collisions for batch in compared), trials * math.comb(largest, 2)
    distances = np.concatenate([batch.nearest.distances for batch in compared])
    closest = np.argsort(distances, kind="stable")[:nearest_pairs]
    return BirthdayTest(
        sizes=np.sort(np.asarray(sizes)),
        probability=np.mean(first[:, None] <= np.sort(np.asarray(sizes)), axis=0),
        half=float(np.sort(first)[(trials - 1) // 2]),
        collisions=collisions,
        pairs=pairs,
        support=support_size(collisions, pairs),
        threshold=float(threshold),
        distances=distances[closest],
        nearest_pairs=np.concatenate(examples)[closest],
    )


@checked
def support_size(collisions: int, pairs: int, *, confidence: float = 0.95) -> SupportSize:
    """Estimate the size of a support from the number of pairs of examples that are duplicates.

    `N = pairs / collisions`, the maximum-likelihood estimate. The interval is that of a Poisson number of collisions.
    For a uniform distribution, pairs that share an example are independent of each other; for any other distribution
    the number of collisions varies more than the interval accounts for.

    Args:
        collisions: number of pairs that are duplicates.
        pairs: number of all pairs.
        confidence: minimum probability that the interval contains the true size.

    Returns:
        A `SupportSize`; with 0 collisions only its lower end is finite.

    Raises:
        InputError: if collisions is not between 0 and pairs, pairs is below 1, or confidence is not in (0, 1).

    Reference:
        Garwood 1936, "Fiducial limits for the Poisson distribution", Biometrika 28 (the interval).

    Example:
        >>> [round(number) for number in support_size(10, 5000)]
        [500, 272, 1043]
        >>> print(support_size(0, 5000).estimate, round(support_size(0, 5000).low))
        inf 1355
    """
    from scipy.stats import chi2

    if not 0 <= collisions <= pairs or pairs < 1:
        raise InputError(f"collisions must be from 0 to pairs, and pairs at least 1, got {collisions} of {pairs}")
    check_number("confidence", confidence, above=0, below=1)
    outside = (1 - confidence) / 2
    most = chi2.ppf(1 - outside, 2 * collisions + 2) / 2
    if collisions == 0:
        return SupportSize(math.inf, float(pairs / most), math.inf)
    least = chi2.ppf(outside, 2 * collisions) / 2
    return SupportSize(pairs / collisions, float(pairs / most), float(pairs / least))


@checked
def nearest_pairs(
    examples: Shaped[AnyArray, " n *event"], count: int, *, features: Features = flat_events
) -> NearestPairs:
    """Find the pairs of examples with the smallest distances.

    All pairs are compared. Time grows with n^2 times the number of features, and memory with n.

    Args:
        examples: batch of at least 2 examples, `[n, *event]`.
        count: number of pairs to find; all pairs if there are fewer.
        features: function from examples to the features that are compared; by default all values of an example.

    Returns:
        A `NearestPairs`.

    Raises:
        InputError: if there are fewer than 2 examples, or the features are not finite.

    Example:
        >>> nearest_pairs(np.array([[0.0], [5.0], [5.5], [9.0]]), 2)
        NearestPairs(distances=array([0.5, 3.5], dtype=float32), indices=array([[1, 2], [2, 3]]))
    """
    return _compare_pairs(_feature_rows(examples, features), threshold=-math.inf, count=count).nearest


@checked
def smallest_distance(examples: Shaped[AnyArray, " n *event"], *, features: Features = flat_events) -> float:
    """Compute the smallest nonzero distance between two examples.

    Args:
        examples: batch of examples, `[n, *event]`; of more than 10,000, at most that many, evenly spaced, are compared.
        features: function from examples to the features that are compared; by default all values of an example.

    Returns:
        The distance, above 0, in the unit of the features.

    Raises:
        InputError: if all examples are equal, there are fewer than 2, or the features are not finite.

    Example:
        >>> smallest_distance(np.array([[0.0], [5.0], [5.5], [5.0]]))
        0.5
    """
    rows = _feature_rows(spaced(jnp.asarray(examples), MAX_REAL), features)
    smallest = min((distances[distances > 0].min(initial=np.inf) for _, distances in _distances(rows)), default=np.inf)
    if smallest == np.inf:
        raise InputError(f"examples must include two that differ, got {len(rows)} equal ones: give a threshold instead")
    return float(smallest)


class _ComparedBatch(NamedTuple):
    """Result of comparing all pairs of a batch: number of duplicates, smallest size with a duplicate, nearest pairs."""

    collisions: int
    first: float
    nearest: NearestPairs


def _compare_batch(
    batch: Shaped[np.ndarray, " n *event"], features: Features, threshold: float, count: int
) -> tuple[_ComparedBatch, Shaped[np.ndarray, "pairs 2 *event"]]:
    """Compare all pairs of a batch, and keep only the examples of its nearest pairs."""
    compared = _compare_pairs(_feature_rows(batch, features), threshold, count)
    return compared, batch[compared.nearest.indices]


def _compare_pairs(rows: Float[Array, "n dim"], threshold: float, count: int) -> _ComparedBatch:
    collisions, first, found = 0, math.inf, []
    for top, distances in _distances(rows):
        same = distances <= threshold
        collisions += int(np.count_nonzero(same))
        # A growing batch contains a pair as soon as it contains the later example of the pair.
        later = np.flatnonzero(same.any(axis=0))
        first = min([first, *(later[:1] + 1.0)])
        found.append(_smallest_of_block(distances, top, count))
    distances, indices = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.argsort(distances, kind="stable")[:count]
    return _ComparedBatch(collisions, float(first), NearestPairs(distances[order], indices[order]))


def _distances(rows: Float[Array, "n dim"]) -> Iterator[tuple[int, Float[np.ndarray, "block n"]]]:
    """Yield the index of the first example of each block, and distances to all later examples; infinity elsewhere."""
    for top in range(0, len(rows), BLOCK):
        # From differences where points are near: the digits of small distances decide which pairs are duplicates.
        distances = np.sqrt(np.asarray(squared_distances(rows[top : top + BLOCK], rows)))
        earlier = np.arange(len(rows)) <= np.arange(top, top + len(distances))[:, None]
        yield top, np.where(earlier, np.inf, distances)


def _smallest_of_block(distances: Float[np.ndarray, "block n"], top: int, count: int) -> NearestPairs:
    flat = distances.ravel()
    chosen = np.argpartition(flat, count)[:count] if count < flat.size else np.arange(flat.size)
    chosen = np.sort(chosen[np.isfinite(flat[chosen])])
    rows, columns = np.unravel_index(chosen, distances.shape)
    return NearestPairs(flat[chosen], np.stack([rows + top, columns], axis=1))


def _feature_rows(examples: Shaped[AnyArray, " n *event"], features: Features) -> Float[Array, "n dim"]:
    rows = widen(flat_events(features(jnp.asarray(examples))))
    if len(rows) < 2:
        raise InputError(f"examples must be at least 2 to form a pair, got {len(rows)}")
    if not bool(jnp.all(jnp.isfinite(rows))):
        raise InputError("features must be finite, got NaN or infinity: check that the run has not diverged")
    return rows


def _check_arguments(sizes: Sequence[int], trials: int, nearest_pairs: int) -> None:
    if not sizes or min(sizes) < 2:
        raise InputError(f"sizes must be one or more batch sizes of at least 2, got {tuple(sizes)}")
    if trials < 1 or nearest_pairs < 1:
        raise InputError(f"trials and nearest_pairs must be at least 1, got {trials} and {nearest_pairs}")
