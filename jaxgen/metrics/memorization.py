"""Memorization: whether samples are nearer to the training examples than other examples of the data are.

Both metrics compare distances to the nearest training example: of samples, and of held-out examples, which a model that
generalizes resembles. A further sign needs no function: a Fréchet distance to the training set that is smaller than
that to the test set, `frechet_distance_of_features(train, fake)` and `frechet_distance_of_features(test, fake)` with
equally many examples in `train` and `test`.
"""

import math
from typing import NamedTuple

import jax
import numpy as np

from jaxgen._arrays import check_number
from jaxgen._signatures import checked
from jaxgen.errors import InputError
from jaxgen.metrics.neighbours import Neighbours, nearest_neighbours
from jaxgen.typing import AnyArray, Float


class TrainingDistances(NamedTuple):
    """Distances of samples to training examples, relative to those of held-out examples.

    Attributes:
        ratio: median distance of the samples divided by that of the held-out examples: about 1 if samples are as near
            to the training examples as new examples of the data are, 0 if at least half of them are copies.
        ratios: distance of each sample, divided by the same median of the held-out examples, [m].
        indices: index of the nearest training example of each sample, [m].
    """

    ratio: float
    ratios: Float[np.ndarray, " m"]
    indices: np.ndarray


class DataCopying(NamedTuple):
    """Test of whether samples are nearer to the training examples than held-out examples are.

    Attributes:
        score: C_T, the mean of the scores of the cells: far below 0 if samples copy training examples, about 0 if they
            are as near as held-out examples, far above 0 if they are farther away (underfitting).
        scores: z-score of each cell, about standard normal if both distances have the same distribution, [cells]; NaN
            for cells that are left out.
    """

    score: float
    scores: Float[np.ndarray, " cells"]


class MemorizationMetrics(NamedTuple):
    """Both metrics of memorization.

    Attributes:
        distances: result of `training_distances`.
        copying: result of `data_copying` with one cell.
    """

    distances: TrainingDistances
    copying: DataCopying


@checked
def memorization_metrics(
    samples: Float[AnyArray, "m features"],
    train: Float[AnyArray, "n features"],
    held_out: Float[AnyArray, "h features"],
) -> MemorizationMetrics:
    """Compute `training_distances` and `data_copying` of one cell from one search of the nearest training examples.

    Args:
        samples: features of generated examples, [m, features].
        train: features of the examples that the model was trained on, [n, features].
        held_out: features of other examples of the data, [h, features].

    Returns:
        The results of both functions.

    Raises:
        InputError: as `training_distances`.

    Reference:
        Meehan, Chaudhuri and Dasgupta 2020, arXiv:2004.05675, sections 2 to 4.

    Example:
        >>> train, held_out = np.array([[0.0], [4.0]]), np.array([[1.0], [3.0]])
        >>> found = memorization_metrics(np.array([[0.1], [4.0], [0.2]]), train, held_out)
        >>> round(found.distances.ratio, 3), round(found.copying.score, 3)
        (0.1, -1.732)
    """
    _check_sizes(samples=samples, train=train, held_out=held_out)
    of_samples, of_held_out = _nearest(samples, train, held_out)
    return MemorizationMetrics(_relative(of_samples, of_held_out), _of_one_cell(of_samples, of_held_out))


@checked
def training_distances(
    samples: Float[AnyArray, "m features"],
    train: Float[AnyArray, "n features"],
    held_out: Float[AnyArray, "h features"],
) -> TrainingDistances:
    """Compare the distances of samples to the nearest training example with those of held-out examples.

    `min over train t of |x - t|` of each sample x, divided by the median of that of held-out examples.

    Args:
        samples: features of generated examples, [m, features].
        train: features of the examples that the model was trained on, [n, features].
        held_out: features of other examples of the data, [h, features].

    Returns:
        The ratio of the medians, and the ratio and the nearest training example of each sample.

    Raises:
        InputError: if shapes do not match, a set is empty, features are not finite, or at least half of the held-out
            examples coincide with training examples.

    Reference:
        The median in place of the rank test of Meehan et al. 2020, arXiv:2004.05675, section 2.

    Example:
        >>> train, held_out = np.array([[0.0], [4.0]]), np.array([[1.0], [3.0]])
        >>> training_distances(np.array([[0.1], [4.0], [0.2]]), train, held_out).ratios.round(3)
        array([0.1, 0. , 0.2])
    """
    _check_sizes(samples=samples, train=train, held_out=held_out)
    return _relative(*_nearest(samples, train, held_out))


@checked
def data_copying(
    samples: Float[AnyArray, "m features"],
    train: Float[AnyArray, "n features"],
    held_out: Float[AnyArray, "h features"],
    *,
    centers: Float[AnyArray, "cells features"] | None = None,
    least_share: float = 0.0,
) -> DataCopying:
    """Compute the data-copying score C_T of a three-sample test.

    Within each cell, of m samples and h held-out examples, distances to the nearest training example of that cell are
    ranked: with U the number of pairs of a sample and a held-out example in which the sample is farther away, ties
    counting one half, the z-score is `(U - m h / 2) / sqrt(m h (m + h + 1) / 12)`. C_T is the mean over the cells,
    weighted by their shares of held-out examples.

    Args:
        samples: features of generated examples, [m, features].
        train: features of the examples that the model was trained on, [n, features].
        held_out: features of other examples of the data, [h, features].
        centers: centres of the cells, such as those of k-means of the training examples,
            `sklearn.cluster.KMeans(cells).fit(train).cluster_centers_`; each example belongs to the cell of the nearest
            centre, [cells, features]. None for one cell.
        least_share: share of the samples that a cell must exceed; others are left out, as are cells without held-out
            examples.

    Returns:
        C_T, and the z-scores of the cells. The authors' program adds 0.5 to the numerator of each z-score.

    Raises:
        InputError: if shapes do not match, a set is empty, features are not finite, a cell with samples and held-out
            examples has no training examples, or no cell remains.

    Reference:
        Meehan, Chaudhuri and Dasgupta 2020, arXiv:2004.05675, sections 3 and 4.

    Example:
        >>> train, held_out = np.array([[0.0], [4.0]]), np.array([[1.0], [3.0]])
        >>> copied = data_copying(np.array([[0.1], [4.0], [0.2]]), train, held_out)
        >>> round(copied.score, 3)
        -1.732
    """
    check_number("least_share", least_share, at_least=0, below=1)
    sets = {
        name: features if isinstance(features, jax.Array) else np.asarray(features)
        for name, features in (("samples", samples), ("train", train), ("held_out", held_out))
    }
    _check_sizes(**sets)
    if centers is None:
        return _of_one_cell(*_nearest(samples, train, held_out))
    _check_sizes(centers=centers)
    cells = [nearest_neighbours(features, centers).indices[:, 0] for features in sets.values()]
    scores = np.full(len(centers), np.nan)
    weights = np.zeros(len(scores))
    for cell in range(len(scores)):
        inside = [np.flatnonzero(of == cell) for of in cells]
        if len(inside[0]) <= least_share * len(samples) or len(inside[2]) == 0:
            continue
        if len(inside[1]) == 0:
            raise InputError(f"each cell must have training examples, got none in cell {cell}; choose fewer centers")
        ours, members, theirs = (features[place] for features, place in zip(sets.values(), inside, strict=True))
        scores[cell] = _of_one_cell(*_nearest(ours, members, theirs)).score
        weights[cell] = len(inside[2])
    if not weights.any():
        raise InputError(
            f"a cell must have more than {least_share:g} of the samples, and held-out examples, got none; "
            "choose fewer centers or a smaller least_share"
        )
    return DataCopying(float(np.nansum(scores * weights) / weights.sum()), scores)


def _nearest(samples: AnyArray, train: AnyArray, held_out: AnyArray) -> tuple[Neighbours, Neighbours]:
    """Find the nearest training example of each sample and of each held-out example."""
    return nearest_neighbours(samples, train), nearest_neighbours(held_out, train)


def _relative(of_samples: Neighbours, of_held_out: Neighbours) -> TrainingDistances:
    unit = float(np.median(of_held_out.distances))
    if unit == 0:
        raise InputError(
            "held_out must differ from train, got at least half of its examples at distance 0; "
            "give examples that the model was not trained on"
        )
    ratios = of_samples.distances[:, 0] / unit
    return TrainingDistances(float(np.median(ratios)), ratios, of_samples.indices[:, 0])


def _of_one_cell(of_samples: Neighbours, of_held_out: Neighbours) -> DataCopying:
    score = _rank_score(of_samples.distances[:, 0], of_held_out.distances[:, 0])
    return DataCopying(score, np.array([score]))


def _rank_score(x: np.ndarray, y: np.ndarray) -> float:
    """Return the z-score of the number of pairs in which x is larger than y."""
    ordered = np.sort(y)
    larger = sum(float(np.searchsorted(ordered, x, side).sum()) for side in ("left", "right")) / 2
    n, m = len(x), len(y)
    return (larger - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)


def _check_sizes(**sets: AnyArray) -> None:
    for name, features in sets.items():
        if len(features) == 0:
            raise InputError(f"{name} must have at least one example, got none")
