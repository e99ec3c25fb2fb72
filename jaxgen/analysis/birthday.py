"""How many different examples can a generator make? The birthday paradox answers without looking at all of them.

Among 23 people two probably share a birthday, although there are 365 days: a batch of about sqrt(N) examples from a
support of size N probably holds a duplicate. So batches are drawn, the pairs that are most alike are found in each, and
from how often two examples are the same follows how many there are.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen._arrays import check_number, flat_events, spaced, widen
from jaxgen._pairwise_distances import squared_distances
from jaxgen.errors import InputError
from jaxgen.typing import AnyArray, Array, Float, Int, KeyArray, Shaped

Features = Callable[[Shaped[Array, " n *event"]], Shaped[Array, " n *feature"]]
"""What examples are compared by: examples -> features, of which the Euclidean distance is taken."""

SIZES = (50, 100, 200, 400, 800)
"""Batches of these sizes are judged if nothing is said."""

MOST_REAL = 10_000
"""Real examples, at most, among which the smallest distance is looked for."""

BLOCK = 1024
"""Examples whose distances to all others are in memory at once."""


class NearestPairs(NamedTuple):
    """The pairs of a batch that are most alike.

    Attributes:
        distances: Euclidean, in increasing order.
        indices: of the two examples of each pair, the earlier one first.
    """

    distances: Float[np.ndarray, " pairs"]
    indices: Int[np.ndarray, "pairs 2"]


class SupportSize(NamedTuple):
    """How many different examples there are.

    Attributes:
        estimate: the most likely number; infinite where no duplicate was seen.
        low: lower end of the confidence interval.
        high: upper end; infinite where no duplicate was seen.
    """

    estimate: float
    low: float
    high: float


class BirthdayTest(NamedTuple):
    """What the birthday test found.

    Attributes:
        sizes: of batches.
        probability: for each size, the share of the batches that hold a duplicate.
        half: the size from which on at least half of the batches hold one; infinite where less than half do.
        collisions: pairs that are duplicates, in all batches together.
        pairs: that were compared.
        support: size of the support, from the share of those pairs, with its confidence interval.
        threshold: the distance up to which two examples count as the same.
        distances: of the pairs that are most alike, in increasing order.
        twins: the examples of those pairs, in the dtype they were drawn in.
    """

    sizes: Int[np.ndarray, " sizes"]
    probability: Float[np.ndarray, " sizes"]
    half: float
    collisions: int
    pairs: int
    support: SupportSize
    threshold: float
    distances: Float[np.ndarray, " twins"]
    twins: Shaped[np.ndarray, "twins 2 *event"]

    @property
    def heuristic(self) -> float:
        """The size of the support by the rule of thumb of the paper: the square of `half`.

        For a uniform distribution on N examples it is about `2 log(2) N`, which is 1.4 times too many.
        """
        return self.half**2


def birthday_test(
    key: KeyArray,
    sample: Callable[[KeyArray, int], Shaped[AnyArray, " n *event"]],
    *,
    threshold: float | None = None,
    real: Shaped[AnyArray, " m *event"] | None = None,
    features: Features = flat_events,
    sizes: Sequence[int] = SIZES,
    trials: int = 20,
    twins: int = 8,
) -> BirthdayTest:
    """Estimate how many different examples a generator can make, from the duplicates in batches of growing size.

    In each trial a batch grows to the largest size; it holds a duplicate from the size on at which the first appears.
    Of a uniform distribution on N examples a pair is a duplicate with probability `1 / N`, so the most likely N is the
    number of pairs over that of the duplicates among them. Of any other distribution this estimates `1 / sum(p^2)`: the
    number of equally probable examples that repeat as often, at most the true number.

    Where no threshold is given, two examples are the same if they are no farther apart than the two most similar real
    ones that differ. Draws from the data's own distribution, be it continuous, are then the same about once in as many
    pairs as there are of real examples, and an estimate near that number means no fewer examples than the data have.
    Real examples that are nearly the same make the threshold small and the estimate large: look at the twins, and give
    a threshold if those beyond it are duplicates too.

    Args:
        key: of the draws.
        sample: `(key, n) -> examples`, which are drawn independently.
        threshold: the distance up to which two examples count as the same, in the unit of the features.
        real: examples that find the threshold where none is given; of more than 10,000, as many evenly spaced ones.
        features: examples -> what they are compared by, e.g. the last hidden layer of a classifier; where nothing is
            given, all their numbers, for pictures the pixels.
        sizes: of the batches that `probability` is told for.
        trials: batches drawn of the largest size.
        twins: pairs to show, those of all batches that are most alike.

    Returns:
        A `BirthdayTest`.

    Raises:
        InputError: if there is neither threshold nor real examples, a size below 2, no trial, or samples hold NaN.

    Reference:
        Arora and Zhang 2017, "Do GANs actually learn the distribution? An empirical study", arXiv:1706.08224; Arora,
        Risteski and Zhang 2018, "Do GANs learn the distribution? Some theory and empirics", ICLR.

    Example:
        >>> days = lambda key, n: jax.random.randint(key, (n, 1), 0, 365)
        >>> found = birthday_test(jax.random.key(0), days, threshold=0.5, sizes=(10, 23, 50), trials=100)
        >>> found.support.low < 365 < found.support.high, 15 < found.half < 30
        (True, True)
    """
    _check_plan(sizes, trials, twins)
    if threshold is None:
        if real is None:
            raise InputError("the birthday test needs a threshold, or real examples to find one from")
        threshold = smallest_distance(real, features=features)
    check_number("threshold", threshold, at_least=0)
    largest = max(sizes)
    draws = (np.asarray(sample(jax.random.fold_in(key, trial), largest)) for trial in range(trials))
    surveys, examples = zip(*(_look(batch, features, threshold, twins) for batch in draws), strict=True)
    first = np.array([survey.first for survey in surveys])
    collisions, pairs = sum(survey.collisions for survey in surveys), trials * math.comb(largest, 2)
    distances = np.concatenate([survey.nearest.distances for survey in surveys])
    closest = np.argsort(distances, kind="stable")[:twins]
    return BirthdayTest(
        sizes=np.sort(np.asarray(sizes)),
        probability=np.mean(first[:, None] <= np.sort(np.asarray(sizes)), axis=0),
        half=float(np.sort(first)[(trials - 1) // 2]),
        collisions=collisions,
        pairs=pairs,
        support=support_size(collisions, pairs),
        threshold=float(threshold),
        distances=distances[closest],
        twins=np.concatenate(examples)[closest],
    )


def support_size(collisions: int, pairs: int, *, confidence: float = 0.95) -> SupportSize:
    """The size of a support, from how many pairs of examples are duplicates.

    `N = pairs / collisions`, the maximum of the likelihood. The interval is that of a Poisson number of collisions.
    Pairs that share an example are independent of each other where the distribution is uniform; where it is not, the
    number of collisions varies more than this interval says.

    Args:
        collisions: pairs that are duplicates.
        pairs: all pairs.
        confidence: probability with which the interval holds the truth, at least.

    Returns:
        A `SupportSize`; with no collision all of it is infinite but the lower end.

    Raises:
        InputError: if the numbers are no counts, or the confidence is no probability.

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
        raise InputError(f"collisions must be among at least one pair, got {collisions} of {pairs}")
    check_number("confidence", confidence, above=0, below=1)
    outside = (1 - confidence) / 2
    most = chi2.ppf(1 - outside, 2 * collisions + 2) / 2
    if collisions == 0:
        return SupportSize(math.inf, float(pairs / most), math.inf)
    least = chi2.ppf(outside, 2 * collisions) / 2
    return SupportSize(pairs / collisions, float(pairs / most), float(pairs / least))


def nearest_pairs(
    examples: Shaped[AnyArray, " n *event"], count: int, *, features: Features = flat_events
) -> NearestPairs:
    """Find the pairs of examples that are most alike.

    All pairs are compared, in time that grows with n^2 times the number of features, and memory with n.

    Args:
        examples: in a batch, two at least.
        count: pairs to find; all, where there are fewer.
        features: examples -> what they are compared by; where nothing is given, all their numbers.

    Returns:
        A `NearestPairs`.

    Raises:
        InputError: if there are less than two examples, or the features hold NaN.

    Example:
        >>> nearest_pairs(np.array([[0.0], [5.0], [5.5], [9.0]]), 2)
        NearestPairs(distances=array([0.5, 3.5], dtype=float32), indices=array([[1, 2], [2, 3]]))
    """
    return _survey(_described(examples, features), threshold=-math.inf, count=count).nearest


def smallest_distance(examples: Shaped[AnyArray, " n *event"], *, features: Features = flat_events) -> float:
    """The distance of the two most similar examples that differ.

    Args:
        examples: of more than 10,000, as many evenly spaced ones are compared.
        features: examples -> what they are compared by; where nothing is given, all their numbers.

    Returns:
        The distance, above 0.

    Raises:
        InputError: if no two examples differ, or the features hold NaN.

    Example:
        >>> smallest_distance(np.array([[0.0], [5.0], [5.5], [5.0]]))
        0.5
    """
    rows = _described(spaced(jnp.asarray(examples), MOST_REAL), features)
    smallest = min((distances[distances > 0].min(initial=np.inf) for _, distances in _distances(rows)), default=np.inf)
    if smallest == np.inf:
        raise InputError("no two of the examples differ, so they tell no distance at which examples are the same")
    return float(smallest)


class _Survey(NamedTuple):
    """What one walk over all pairs of a batch finds: duplicates, the size from which on there is one, near pairs."""

    collisions: int
    first: float
    nearest: NearestPairs


def _look(
    batch: Shaped[np.ndarray, " n *event"], features: Features, threshold: float, count: int
) -> tuple[_Survey, Shaped[np.ndarray, "pairs 2 *event"]]:
    """Survey a batch, and keep of its examples those of the near pairs."""
    survey = _survey(_described(batch, features), threshold, count)
    return survey, batch[survey.nearest.indices]


def _survey(rows: Float[Array, "n dim"], threshold: float, count: int) -> _Survey:
    collisions, first, found = 0, math.inf, []
    for top, distances in _distances(rows):
        same = distances <= threshold
        collisions += int(np.count_nonzero(same))
        # A pair is in the batch as soon as the later one of its examples is.
        later = np.flatnonzero(same.any(axis=0))
        first = min([first, *(later[:1] + 1.0)])
        found.append(_smallest(distances, top, count))
    distances, indices = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.argsort(distances, kind="stable")[:count]
    return _Survey(collisions, float(first), NearestPairs(distances[order], indices[order]))


def _distances(rows: Float[Array, "n dim"]) -> Iterator[tuple[int, Float[np.ndarray, "block n"]]]:
    """The distances of a block of examples to all later ones, infinite to the others, and where the block begins."""
    for top in range(0, len(rows), BLOCK):
        # Squares of differences, not of what products leave of them: duplicates are what matters here.
        distances = np.sqrt(np.asarray(squared_distances(rows[top : top + BLOCK], rows)))
        earlier = np.arange(len(rows)) <= np.arange(top, top + len(distances))[:, None]
        yield top, np.where(earlier, np.inf, distances)


def _smallest(distances: Float[np.ndarray, "block n"], top: int, count: int) -> NearestPairs:
    flat = distances.ravel()
    chosen = np.argpartition(flat, count)[:count] if count < flat.size else np.arange(flat.size)
    chosen = np.sort(chosen[np.isfinite(flat[chosen])])
    rows, columns = np.unravel_index(chosen, distances.shape)
    return NearestPairs(flat[chosen], np.stack([rows + top, columns], axis=1))


def _described(examples: Shaped[AnyArray, " n *event"], features: Features) -> Float[Array, "n dim"]:
    rows = widen(flat_events(features(jnp.asarray(examples))))
    if len(rows) < 2:
        raise InputError(f"pairs need at least two examples, got {len(rows)}")
    if not bool(jnp.all(jnp.isfinite(rows))):
        raise InputError("the examples to compare hold NaN or infinite numbers: did the run diverge?")
    return rows


def _check_plan(sizes: Sequence[int], trials: int, twins: int) -> None:
    if not sizes or min(sizes) < 2:
        raise InputError(f"sizes of batches must be at least 2, got {tuple(sizes)}")
    if trials < 1 or twins < 1:
        raise InputError(f"trials and twins must be at least 1, got {trials} and {twins}")
