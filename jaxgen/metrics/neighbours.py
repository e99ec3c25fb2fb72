"""Metrics of nearest neighbours: precision and recall, density and coverage, realism.

Each real example has a ball around it that reaches to its k-th nearest neighbour among the real examples; their union
estimates where real examples are. Features of 50,000 x 2,048 numbers take some hundred MB beyond the features.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen._arrays import check_integers, check_number
from jaxgen._signatures import checked
from jaxgen.errors import InputError
from jaxgen.metrics import _pairs
from jaxgen.metrics._pairs import NEARLY_EQUAL, Block, Points
from jaxgen.typing import AnyArray, Array, Float, Int

REALISM_OFFSET = 1e-5
"""Distance that is added to the denominator of the realism, as in the authors' program."""


class Neighbours(NamedTuple):
    """Nearest neighbours of each point.

    Attributes:
        distances: Euclidean distances in ascending order, [n, k].
        indices: indices of the neighbours, [n, k].
    """

    distances: Float[np.ndarray, "n k"]
    indices: Int[np.ndarray, "n k"]


class PrecisionRecall(NamedTuple):
    """Improved precision and recall.

    Attributes:
        precision: share of the generated examples that are in the ball of a real one, in [0, 1].
        recall: share of the real examples that are in the ball of a generated one, in [0, 1].
    """

    precision: float
    recall: float


class DensityCoverage(NamedTuple):
    """Precision, recall, density and coverage, of open balls.

    Attributes:
        precision: share of the generated examples that are in the ball of a real one, in [0, 1].
        recall: share of the real examples that are in the ball of a generated one, in [0, 1].
        density: mean number of balls of real examples that contain a generated one, divided by k; may exceed 1.
        coverage: share of the real examples whose ball contains a generated one, in [0, 1].
    """

    precision: float
    recall: float
    density: float
    coverage: float


@checked
def nearest_neighbours(
    points: Float[AnyArray, "n features"], of: Float[AnyArray, "m features"] | None = None, *, k: int = 1
) -> Neighbours:
    """Find the nearest neighbours of each point by Euclidean distance.

    Args:
        points: points on the host, such as a memory-mapped array, or on one or several devices, [n, features].
        of: points among which neighbours are found, [m, features]; None for `points`, without the point itself, so that
            a duplicate has the distance 0.
        k: number of neighbours.

    Returns:
        The distances and indices, on the host, in float64 and int32: distances of float64 accuracy, of the features as
        they are given. Points closer than 1e-19 of the largest feature coincide.

    Raises:
        InputError: if shapes do not match, features are not finite, or there are fewer than k neighbours.

    Example:
        >>> found = nearest_neighbours(np.array([[0.0], [5.0]]), np.array([[1.0], [7.0], [9.0]]))
        >>> found.distances.tolist(), found.indices.tolist()
        ([[1.0], [2.0]], [[0], [1]])
    """
    _check_k(k, of=points if of is None else of, name="points" if of is None else "of", itself=of is None)
    if of is None:
        x, y = *_pairs.points(points=points), None
    else:
        x, y = _pairs.points(points=points, of=of)
    if len(x) == 0:
        return Neighbours(np.zeros((0, k)), np.zeros((0, k), np.int32))
    squared, indices = _pairs.nearest_squared(x, y, k)
    return Neighbours(x.unit * np.sqrt(squared), indices)


@checked
def precision_recall(
    real: Float[AnyArray, "n features"], fake: Float[AnyArray, "m features"], *, k: int = 3
) -> PrecisionRecall:
    """Compute improved precision and recall.

    With `r_k(x)` the distance of x to its k-th nearest neighbour in its own set, without x itself::

        precision = share of fake x with |x - y| <= r_k(y) for a real y
        recall    = share of real y with |y - x| <= r_k(x) for a fake x

    The balls are closed, as published: of two sets of identical points both are 1 (`density_coverage` has open balls,
    and both are 0). Values depend on the sizes of the sets, 50,000 each in the paper, and on k.

    Args:
        real: features of real examples, on the host or on one or several devices, [n, features].
        fake: features of generated examples, [m, features].
        k: number of the neighbour that determines the radius.

    Returns:
        Precision and recall, equal to those computed in float64 unless distances of different pairs are equal within
        float64 rounding.

    Raises:
        InputError: if shapes do not match, features are not finite, or a set has at most k examples.

    Reference:
        Kynkäänniemi et al. 2019, arXiv:1904.06991, equations 1 to 3.

    Example:
        >>> real, fake = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([[0.5], [1.0], [1.5], [9.0]])
        >>> precision_recall(real, fake, k=1)
        PrecisionRecall(precision=0.75, recall=1.0)
    """
    inside = _balls(real, fake, k, closed=True)
    return PrecisionRecall(float(np.mean(inside.balls_of_real > 0)), float(np.mean(inside.recalled)))


@checked
def density_coverage(
    real: Float[AnyArray, "n features"], fake: Float[AnyArray, "m features"], *, k: int = 5
) -> DensityCoverage:
    """Compute density and coverage, and precision and recall of open balls.

    With `r_k(y)` the distance of y to its k-th nearest neighbour in its own set, without y itself, for n real y and m
    fake x::

        density  = number of pairs with |x - y| < r_k(y), divided by k m
        coverage = share of real y with |x - y| < r_k(y) for a fake x

    Precision and recall are those of `precision_recall` but for `<` in place of `<=`, as in the authors' program. Real
    examples that coincide with k others have empty balls.

    Args:
        real: features of real examples, on the host or on one or several devices, [n, features].
        fake: features of generated examples, [m, features].
        k: number of the neighbour that determines the radius.

    Returns:
        The four numbers, equal to those computed in float64 unless distances of different pairs are equal within
        float64 rounding.

    Raises:
        InputError: if shapes do not match, features are not finite, or a set has at most k examples.

    Reference:
        Naeem et al. 2020, arXiv:2002.09797, equations 4 and 5.

    Example:
        >>> real, fake = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([[0.5], [1.0], [1.5], [9.0]])
        >>> density_coverage(real, fake, k=1)
        DensityCoverage(precision=0.75, recall=0.75, density=1.25, coverage=0.75)
    """
    inside = _balls(real, fake, k, closed=False)
    return DensityCoverage(
        precision=float(np.mean(inside.balls_of_real > 0)),
        recall=float(np.mean(inside.recalled)),
        density=float(np.sum(inside.balls_of_real)) / (k * len(inside.balls_of_real)),
        coverage=float(np.mean(inside.covered)),
    )


@checked
def realism(
    real: Float[AnyArray, "n features"], fake: Float[AnyArray, "m features"], *, k: int = 3, quantile: float = 0.5
) -> Float[np.ndarray, " m"]:
    """Compute the realism of each generated example.

    `max over real y of r_k(y) / (|x - y| + 1e-5)`, where `r_k(y)` is the distance of y to its k-th nearest neighbour
    among the real examples, without y itself. It is at least 1 within a ball of a real example, but for the offset. The
    balls of the real examples with the largest radii, isolated ones, are left out.

    The authors' program divides squared distances, so that it prints about the square of this number.

    Args:
        real: features of real examples, on the host or on one or several devices, [n, features].
        fake: features of generated examples, [m, features].
        k: number of the neighbour that determines the radius.
        quantile: share of the balls that are used, those with the smallest radii, in (0, 1]: half, as published.

    Returns:
        The realism of each generated example, [m], float32.

    Raises:
        InputError: if shapes do not match, features are not finite, real has at most k examples, fake has none, or
            quantile is not in (0, 1].

    Reference:
        Kynkäänniemi et al. 2019, arXiv:1904.06991, where it is called the realism score.

    Example:
        >>> real, fake = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([[0.5], [13.0]])
        >>> realism(real, fake, k=1).round(3)
        array([2. , 0.1], dtype=float32)
    """
    check_number("quantile", quantile, above=0)
    if quantile > 1:
        raise InputError(f"quantile must be above 0 and at most 1, got {quantile:g}")
    _check_k(k, of=real, name="real", itself=True)
    if len(fake) == 0:
        raise InputError("fake must have at least one example, got none")
    y, x = _pairs.points(real=real, fake=fake)
    radii = np.sqrt(_pairs.nearest_squared(y, None, k, only_last=True)[0][:, 0])
    radii[radii > np.quantile(radii, quantile)] = 0.0
    sides, result = _pairs.grid(x, y), np.zeros(len(x), np.float32)
    for rows in _pairs.blocks(x, sides.height, sides.row_sharding):
        largest = jnp.zeros(sides.height)
        for columns in _pairs.blocks(y, sides.width, sides.column_sharding):
            radius = radii[columns.rows].astype(np.float32)
            largest = _largest_ratio(rows, columns, radius, REALISM_OFFSET / x.unit, largest)
        result[rows.rows] = largest
    return result


@jax.jit
def _largest_ratio(x: Block, y: Block, radii: Array, offset: Array, before: Array) -> Float[Array, " n"]:
    # Points that blocks share are left out of neither: a maximum may contain a pair twice.
    distances = jnp.sqrt(_pairs.tile(x._replace(valid=x.first), y._replace(valid=y.first), within=False))
    return jnp.maximum(before, jnp.max(radii / (distances + offset), axis=1))


def _check_k(k: int, *, of: AnyArray, name: str, itself: bool) -> None:
    """Raise an InputError unless each point has k neighbours in a set, without itself if it belongs to it."""
    check_integers(k=k)
    if k < 1:
        raise InputError(f"k must be at least 1, got {k}")
    if len(of) < k + itself:
        besides = "more than k" if itself else "at least k"
        raise InputError(
            f"{name} must have {besides} = {k} examples, got {len(of)}; add examples or choose a smaller k"
        )


class _Inside(NamedTuple):
    """Which examples are in which balls.

    Attributes:
        balls_of_real: number of balls of real examples that contain each generated example, [m].
        covered: whether the ball of each real example contains a generated one, [n].
        recalled: whether each real example is in the ball of a generated one, [n].
    """

    balls_of_real: np.ndarray
    covered: np.ndarray
    recalled: np.ndarray


def _balls(real: AnyArray, fake: AnyArray, k: int, *, closed: bool) -> _Inside:
    """Compare the distances of all pairs with the radii of both."""
    for name, features in (("real", real), ("fake", fake)):
        _check_k(k, of=features, name=name, itself=True)
    y, x = _pairs.points(real=real, fake=fake)
    of_real, of_fake = (_pairs.nearest_squared(z, None, k, only_last=True)[0][:, 0] for z in (y, x))
    inside = _Inside(np.zeros(len(x), np.int64), np.zeros(len(y), bool), np.zeros(len(y), bool))
    decide = functools.partial(_decide, inside, y, x, of_real, of_fake, closed=closed)
    before: tuple[Block, Block, _Counted] | None = None
    sides = _pairs.grid(y, x)
    for rows in _pairs.blocks(y, sides.height, sides.row_sharding):
        for columns in _pairs.blocks(x, sides.width, sides.column_sharding):
            radii = of_real[rows.rows].astype(np.float32), of_fake[columns.rows].astype(np.float32)
            counted = _compare(rows, columns, *radii, closed=closed)
            if before:  # While the devices compute this tile.
                decide(*before)
            before = rows, columns, counted
    if before:
        decide(*before)
    return inside


class _Counted(NamedTuple):
    """What is certain in single precision of the pairs of one tile, as in `_Inside`, and what is not.

    Attributes:
        balls_of_real: as there.
        covered: as there.
        recalled: as there.
        uncertain: whether there are pairs whose distance is nearly a radius.
        near: 1 for pairs whose distance is nearly the radius of the real example, 2 of the generated one, 3 of both,
            otherwise 0, [height, width].
    """

    balls_of_real: Array
    covered: Array
    recalled: Array
    uncertain: Array
    near: Array


@functools.partial(jax.jit, static_argnames="closed")
def _compare(y: Block, x: Block, of_real: Array, of_fake: Array, *, closed: bool) -> _Counted:
    real, fake = of_real[:, None], of_fake[None]
    squared = _pairs.tile(y, x, within=False, floor=jnp.minimum(real, fake))

    def compare(radii: Array) -> tuple[Array, Array]:
        near = (jnp.abs(squared - radii) <= NEARLY_EQUAL * radii) & (radii > 0)
        return (squared <= radii if closed else squared < radii) & ~near, near

    (in_real, near_real), (in_fake, near_fake) = compare(real), compare(fake)
    near = (near_real + 2 * near_fake).astype(jnp.uint8)
    # A product, since XLA's sums along the first axis take several times as long on the CPU.
    counts = jnp.ones(len(in_real)) @ in_real.astype(jnp.float32)
    return _Counted(counts, in_real.any(axis=1), in_fake.any(axis=1), near.any(), near)


def _decide(
    inside: _Inside,
    y: Points,
    x: Points,
    of_real: np.ndarray,
    of_fake: np.ndarray,
    rows: Block,
    columns: Block,
    counted: _Counted,
    *,
    closed: bool,
) -> None:
    """Add the pairs of a tile; distances that are nearly a radius are compared in double precision."""
    inside.balls_of_real[columns.rows] += np.asarray(counted.balls_of_real).astype(np.int64)
    inside.covered[rows.rows] |= np.asarray(counted.covered)
    inside.recalled[rows.rows] |= np.asarray(counted.recalled)
    if not counted.uncertain:
        return
    near = np.asarray(counted.near)
    row, column = np.nonzero(near != 0)  # Much faster than of integers.
    of, real, fake = near[row, column], row + rows.first, column + columns.first
    squared = y.squared(x, real, fake)
    test = np.less_equal if closed else np.less
    in_real = (of & 1).astype(bool) & test(squared, of_real[real])
    in_fake = (of & 2).astype(bool) & test(squared, of_fake[fake])
    np.add.at(inside.balls_of_real, fake[in_real], 1)
    inside.covered[real[in_real]] = True
    inside.recalled[real[in_fake]] = True
