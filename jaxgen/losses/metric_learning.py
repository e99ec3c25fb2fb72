"""Triplet losses: an anchor nearer to an example of its own label than to one of another, by a margin.

`triplet` is the loss of given triplets. Three functions mine a labelled batch for triplets: `triplet_batch_all` takes
all of them, `triplet_batch_hard` the hardest of each anchor, `triplet_semi_hard` one of middling difficulty for each
anchor and positive. They work on the n^2 distances of a batch of n, never on its n^3 triplets. The choice has no
gradient, the chosen distances have; a batch without any triplet has loss and gradient 0. With a distance that is NaN
the loss of a batch is NaN, whether that pair was chosen or not, and what is told of the batch means nothing.
"""

import functools
from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jax import lax

from jaxgen._arrays import check_number, check_same_shape, float_dtype, widen
from jaxgen._numerics import safe_sqrt
from jaxgen._pairwise_distances import squared_distances
from jaxgen.errors import check_known
from jaxgen.typing import Array, Float, Int, KeyArray, Scalar

Distance = Literal["euclidean", "squared_euclidean", "cosine"]
"""`|x - y|`, `|x - y|^2`, and `1 - x y / (|x| |y|)`, in which a zero vector is at right angles to all vectors."""


class TripletInfo(NamedTuple):
    """What mining found in a batch: scalars to plot. A mean or share of nothing is 0.

    Attributes:
        triplets: how many the batch holds: an anchor, another example of its label, and one of another label.
        easy: share of these whose loss is 0.
        semi_hard: share whose negative is farther than the positive, by less than the margin.
        hard: share whose negative is no farther than the positive.
        mined: how many triplets were chosen.
        active: how many of the chosen have a positive loss.
        positive_distance: mean distance of the pairs of one label.
        negative_distance: mean distance of the pairs of two labels.
    """

    triplets: Array
    easy: Array
    semi_hard: Array
    hard: Array
    mined: Array
    active: Array
    positive_distance: Array
    negative_distance: Array


def triplet(
    anchor: Float[Array, "*batch dim"],
    positive: Float[Array, "*batch dim"],
    negative: Float[Array, "*batch dim"],
    *,
    margin: Scalar = 1.0,
    distance: Distance = "euclidean",
) -> Float[Array, "*batch"]:
    """How far each negative is from being farther than the positive by the margin.

    `max(0, d(anchor, positive) - d(anchor, negative) + margin)`

    Args:
        anchor: embeddings.
        positive: embeddings of the same labels.
        negative: embeddings of other labels.
        margin: by how much negatives should be farther, in the unit of the distance; not negative.
        distance: d.

    Returns:
        One loss per triplet, in the unit of the distance. Its gradient is 0 at and beyond the margin, and finite for
        embeddings that coincide. In float32 the error is below 1e-5 of the largest of the distances and the margin.

    Raises:
        ValueError: if the shapes differ.
        InputError: if the margin is negative or not one number, or the distance is not known.

    Reference:
        Schroff et al. 2015, arXiv:1503.03832, equation 3 (with the squared Euclidean distance).

    Example:
        >>> anchor, positive, negative = jnp.zeros((1, 2)), jnp.array([[3.0, 4.0]]), jnp.array([[0.0, 5.5]])
        >>> triplet(anchor, positive, negative)
        Array([0.5], dtype=float32)
    """
    check_number("margin", margin, at_least=0.0)
    to_positive, to_negative = _both_distances(anchor, positive, negative, distance)
    return _loss(to_positive, to_negative, margin).astype(float_dtype(anchor, positive, negative))


def triplet_kind(
    anchor: Float[Array, "*batch dim"],
    positive: Float[Array, "*batch dim"],
    negative: Float[Array, "*batch dim"],
    *,
    margin: Scalar = 1.0,
    distance: Distance = "euclidean",
) -> Int[Array, "*batch"]:
    """How difficult each triplet is.

    0, easy: `d(anchor, positive) + margin <= d(anchor, negative)`, the loss is 0. 2, hard: the negative is no farther
    than the positive. 1, semi-hard: it is farther, but not by the margin.

    Args:
        anchor: embeddings.
        positive: embeddings of the same labels.
        negative: embeddings of other labels.
        margin: by how much negatives should be farther, in the unit of the distance; not negative.
        distance: d.

    Returns:
        One whole number per triplet.

    Raises:
        ValueError: if the shapes differ.
        InputError: if the margin is negative or not one number, or the distance is not known.

    Reference:
        Schroff et al. 2015, arXiv:1503.03832, section 3.2.

    Example:
        >>> anchor, positive = jnp.zeros((3, 1)), jnp.ones((3, 1))
        >>> triplet_kind(anchor, positive, jnp.array([[2.5], [1.5], [0.5]]))
        Array([0, 1, 2], dtype=int32)
    """
    check_number("margin", margin, at_least=0.0)
    to_positive, to_negative = _both_distances(anchor, positive, negative, distance)
    active = to_negative < to_positive + margin
    hard = active & (to_negative <= to_positive)
    return active.astype(jnp.int32) + hard


def pairwise_distance(
    x: Float[Array, "n dim"], y: Float[Array, "m dim"], *, distance: Distance = "euclidean"
) -> Float[Array, "n m"]:
    """Distance of every x from every y.

    Args:
        x: n points.
        y: m points.
        distance: "euclidean", `|x - y|`; "squared_euclidean", its square; or "cosine", `1 - x y / (|x| |y|)`, in which
            a zero vector is at right angles to all vectors.

    Returns:
        The distances, in the unit of the points, in its square, or without unit (cosine; from 0 to 2). The gradient is
        finite everywhere: 0 for points that coincide and, by the cosine, for zero vectors. In float32 the error of a
        small cosine distance d is about 1e-7 sqrt(d).

    Raises:
        ValueError: if the points are no rows of one length.
        InputError: if the distance is not known.

    Example:
        >>> pairwise_distance(jnp.array([[0.0, 0.0], [3.0, 0.0]]), jnp.array([[3.0, 4.0]]))
        Array([[5.],
               [4.]], dtype=float32)
    """
    wide_x, wide_y = widen(x), widen(y)
    if not (wide_x.ndim == wide_y.ndim == 2 and wide_x.shape[1] == wide_y.shape[1]):
        raise ValueError(f"points must be rows of one length, got x {wide_x.shape} and y {wide_y.shape}")
    return _distance(wide_x, wide_y, squared_distances, distance).astype(float_dtype(x, y))


def triplet_batch_all(
    embeddings: Float[Array, "n dim"],
    labels: Int[Array, " n"],
    *,
    margin: Scalar = 1.0,
    distance: Distance = "euclidean",
) -> tuple[Float[Array, ""], TripletInfo]:
    """Mean loss of all triplets of a batch that have a positive loss.

    Triplets whose loss is 0 do not count: they would soon be most of all, and make the mean vanish.

    Args:
        embeddings: one point per example.
        labels: what each example is.
        margin: by how much negatives should be farther, in the unit of the distance; not negative.
        distance: of two embeddings.

    Returns:
        The loss, in the unit of the distance, and what the batch held, where `active / mined` is the share of triplets
        that the mean is over. Time grows with n^2 log n. In float32 the error is below 1e-5 of the largest of the
        distances and the margin.

    Raises:
        ValueError: if there is not one label per embedding.
        InputError: if the margin is negative or not one number, or the distance is not known.

    Reference:
        Hermans et al. 2017, arXiv:1703.07737, section 2 ("batch all"; in its experiments, averaged over those of
        non-zero loss).

    Example:
        >>> embeddings, labels = jnp.array([[0.0], [1.0], [1.5], [9.0]]), jnp.array([0, 0, 1, 2])
        >>> loss, info = triplet_batch_all(embeddings, labels)
        >>> float(loss), int(info.active), int(info.triplets)
        (1.0, 2, 4)
    """
    check_number("margin", margin, at_least=0.0)
    batch = _batch(embeddings, labels, distance)
    weights = _in_active_triplets(batch, margin)
    active = jnp.sum(jnp.where(batch.positive, weights, 0.0))
    excess = jnp.sum(weights * batch.distances) / jnp.maximum(active, 1.0)
    loss = _or_nan(jnp.where(active > 0, excess + margin, 0.0), batch, margin)
    triplets = jnp.sum(_triplets_of_anchors(batch))
    return loss.astype(float_dtype(embeddings)), _info(batch, margin, mined=triplets, active=active)


def triplet_batch_hard(
    embeddings: Float[Array, "n dim"],
    labels: Int[Array, " n"],
    *,
    margin: Scalar = 1.0,
    distance: Distance = "euclidean",
) -> tuple[Float[Array, ""], TripletInfo]:
    """Mean loss of the hardest triplet of each anchor: its farthest positive and its nearest negative.

    Args:
        embeddings: one point per example.
        labels: what each example is.
        margin: by how much negatives should be farther, in the unit of the distance; not negative.
        distance: of two embeddings.

    Returns:
        The loss, in the unit of the distance, a mean over the anchors that have a positive and a negative, and what the
        batch held. Equally hard examples share the gradient. In float32 the error is below 1e-5 of the largest of the
        distances and the margin.

    Raises:
        ValueError: if there is not one label per embedding.
        InputError: if the margin is negative or not one number, or the distance is not known.

    Reference:
        Hermans et al. 2017, arXiv:1703.07737, section 2 ("batch hard").

    Example:
        >>> embeddings, labels = jnp.array([[0.0], [1.0], [1.5], [9.0]]), jnp.array([0, 0, 1, 2])
        >>> loss, info = triplet_batch_hard(embeddings, labels)
        >>> float(loss), int(info.mined)
        (1.0, 2)
    """
    check_number("margin", margin, at_least=0.0)
    batch = _batch(embeddings, labels, distance)
    farthest_positive = jnp.max(batch.distances, axis=1, where=batch.positive, initial=-jnp.inf)
    nearest_negative = jnp.min(batch.distances, axis=1, where=batch.negative, initial=jnp.inf)
    chosen = _triplets_of_anchors(batch) > 0
    return _mean_loss(batch, chosen, farthest_positive, nearest_negative, margin, float_dtype(embeddings))


def triplet_semi_hard(
    key: KeyArray,
    embeddings: Float[Array, "n dim"],
    labels: Int[Array, " n"],
    *,
    margin: Scalar = 1.0,
    distance: Distance = "euclidean",
) -> tuple[Float[Array, ""], TripletInfo]:
    """Mean loss of every anchor and positive with one random semi-hard negative.

    Semi-hard are the negatives that are farther from the anchor than the positive, by less than the margin; each is as
    likely as the others. A pair without one gives no triplet: its easy negatives would have no loss, and its hard ones,
    as the paper found, would drive all embeddings to one point.

    Args:
        key: where the choice comes from.
        embeddings: one point per example.
        labels: what each example is.
        margin: by how much negatives should be farther, in the unit of the distance; not negative.
        distance: of two embeddings; "squared_euclidean", of embeddings of length 1, in the paper.

    Returns:
        The loss, in the unit of the distance, a mean over the pairs that have a semi-hard negative, and what the batch
        held. Time grows with n^2 log n. In float32 the error is below 1e-5 of the largest of the distances and the
        margin.

    Raises:
        ValueError: if there is not one label per embedding.
        InputError: if the margin is negative or not one number, or the distance is not known.

    Reference:
        Schroff et al. 2015, arXiv:1503.03832, section 3.2, equation 4.

    Example:
        >>> embeddings, labels = jnp.array([[0.0], [1.0], [1.5], [9.0]]), jnp.array([0, 0, 1, 2])
        >>> loss, info = triplet_semi_hard(jax.random.key(0), embeddings, labels)
        >>> float(loss), int(info.mined)
        (0.5, 1)
    """
    check_number("margin", margin, at_least=0.0)
    batch = _batch(embeddings, labels, distance)
    negative, found = _random_semi_hard(key, batch, margin)
    to_negative = jnp.take_along_axis(batch.distances, negative, axis=1)
    return _mean_loss(batch, batch.positive & found, batch.distances, to_negative, margin, float_dtype(embeddings))


class _Batch(NamedTuple):
    """All pairs of a batch, `[n, n]`: a row for each anchor.

    Attributes:
        distances: how far they are apart.
        positive: whether it is two examples of one label.
        negative: whether it is two examples of different labels.
    """

    distances: Array
    positive: Array
    negative: Array


def _batch(embeddings: Float[Array, "n dim"], labels: Int[Array, " n"], distance: Distance) -> _Batch:
    points, labels = widen(embeddings), jnp.asarray(labels)
    if points.ndim != 2 or labels.shape != points.shape[:1]:
        raise ValueError(f"each label must have a row, got embeddings {points.shape} and labels {labels.shape}")
    same = labels[:, None] == labels
    distances = pairwise_distance(points, points, distance=distance)
    return _Batch(distances, positive=same & ~jnp.eye(len(labels), dtype=bool), negative=~same)


def _triplets_of_anchors(batch: _Batch) -> Float[Array, " n"]:
    """How many triplets each anchor has; not in whole numbers, which a few thousand examples would overflow."""
    dtype = batch.distances.dtype
    return jnp.sum(batch.positive, axis=1, dtype=dtype) * jnp.sum(batch.negative, axis=1, dtype=dtype)


def _in_active_triplets(batch: _Batch, margin: Scalar) -> Float[Array, "n n"]:
    """The gradient of the sum of all triplets' losses by the distances.

    In how many triplets of positive loss each pair of an anchor and a positive is, and, with a minus, each pair of an
    anchor and a negative. Counting by ranks in sorted rows costs n^2 log n where trying all triplets costs n^3.
    """
    distances = lax.stop_gradient(batch.distances)
    reach = distances + margin
    reaches = _sorted(jnp.where(batch.positive, reach, -jnp.inf))
    nearer_negatives = _rank(_sorted_negatives(batch), reach, "left")
    farther_positives = len(distances) - _rank(reaches, distances, "right")
    signed = jnp.where(batch.positive, nearer_negatives, jnp.where(batch.negative, -farther_positives, 0))
    return signed.astype(distances.dtype)


def _random_semi_hard(key: KeyArray, batch: _Batch, margin: Scalar) -> tuple[Int[Array, "n n"], Array]:
    """For each anchor, in its row, and each positive: a semi-hard negative, and whether there is one."""
    distances = lax.stop_gradient(batch.distances)
    apart = jnp.where(batch.negative, distances, jnp.inf)
    order = jnp.argsort(apart, axis=1)
    nearest_first = jnp.take_along_axis(apart, order, axis=1)
    # Those that are semi-hard for one positive follow each other.
    first, end = _rank(nearest_first, distances, "right"), _rank(nearest_first, distances + margin, "left")
    choice = jax.random.randint(key, distances.shape, first, jnp.maximum(end, first + 1))
    return jnp.take_along_axis(order, jnp.minimum(choice, len(distances) - 1), axis=1), first < end


def _sorted_negatives(batch: _Batch) -> Float[Array, "n n"]:
    """The distances of each anchor's negatives from the nearest on, filled up with infinity."""
    return _sorted(jnp.where(batch.negative, lax.stop_gradient(batch.distances), jnp.inf))


def _sorted(rows: Float[Array, "n m"]) -> Float[Array, "n m"]:
    """Each row of distances and infinities in ascending order.

    By their bits, which are in the order of the numbers, where these are not negative: a CPU sorts whole numbers five
    times faster.
    """
    bits = lax.bitcast_convert_type(rows, {4: jnp.int32, 8: jnp.int64}[rows.dtype.itemsize])
    return lax.bitcast_convert_type(jnp.sort(bits, axis=1), rows.dtype)


def _rank(rows: Float[Array, "n m"], values: Float[Array, "n m"], side: str) -> Int[Array, "n m"]:
    """How many of its sorted row each value exceeds ("left"), or equals or exceeds ("right")."""
    return jax.vmap(functools.partial(jnp.searchsorted, side=side))(rows, values)


def _mean_loss(
    batch: _Batch, chosen: Array, to_positive: Array, to_negative: Array, margin: Scalar, dtype: jnp.dtype
) -> tuple[Float[Array, ""], TripletInfo]:
    """Mean loss of the chosen triplets, each given by its two distances."""
    losses = _loss(to_positive, to_negative, margin)
    active = jnp.sum(chosen & (losses > 0), dtype=losses.dtype)
    info = _info(batch, margin, mined=jnp.sum(chosen, dtype=losses.dtype), active=active)
    return _or_nan(_mean(losses, chosen), batch, margin).astype(dtype), info


def _or_nan(loss: Float[Array, ""], batch: _Batch, margin: Scalar) -> Float[Array, ""]:
    """The loss, or NaN where a distance or the margin is: mining compares, and no comparison holds for NaN."""
    return jnp.where(jnp.isnan(batch.distances + margin).any(), jnp.nan, loss)


def _info(batch: _Batch, margin: Scalar, mined: Array, active: Array) -> TripletInfo:
    """Under `jit`, what is not used of this costs nothing."""
    distances, negatives = lax.stop_gradient(batch.distances), _sorted_negatives(batch)
    within_margin = _rank(negatives, distances + margin, "left")
    nearer = jnp.minimum(_rank(negatives, distances, "right"), within_margin)
    count = functools.partial(jnp.sum, where=batch.positive, dtype=distances.dtype)
    triplets = jnp.sum(_triplets_of_anchors(batch))
    shares = jnp.stack([triplets - count(within_margin), count(within_margin - nearer), count(nearer)])
    easy, semi_hard, hard = shares / jnp.maximum(triplets, 1.0)
    means = _mean(distances, batch.positive), _mean(distances, batch.negative)
    return TripletInfo(triplets, easy, semi_hard, hard, mined, active, *means)


def _mean(values: Array, chosen: Array) -> Float[Array, ""]:
    """The mean of those chosen, 0 if there are none."""
    return jnp.sum(values, where=chosen) / jnp.maximum(jnp.sum(chosen, dtype=values.dtype), 1.0)


def _loss(to_positive: Array, to_negative: Array, margin: Scalar) -> Array:
    # In this order the loss is positive exactly where the negative is nearer than the positive and the margin.
    return jax.nn.relu((to_positive + margin) - to_negative)


def _both_distances(anchor: Array, positive: Array, negative: Array, distance: Distance) -> tuple[Array, Array]:
    """From anchors to positives, and from anchors to negatives."""
    anchor, positive, negative = map(widen, (anchor, positive, negative))
    check_same_shape(anchor=anchor, positive=positive, negative=negative)
    if anchor.ndim == 0:
        raise ValueError("anchor must have an axis of coordinates, got shape ()")

    def squared(x: Array, y: Array) -> Array:
        return jnp.sum(jnp.square(x - y), axis=-1)

    return _distance(anchor, positive, squared, distance), _distance(anchor, negative, squared, distance)


def _distance(x: Array, y: Array, squared: Callable[[Array, Array], Array], distance: Distance) -> Array:
    """The named distance, by the squared Euclidean distance of the wanted pairs: row by row, or of all with all."""
    check_known("distance", distance, get_args(Distance))
    if distance == "squared_euclidean":
        return squared(x, y)
    if distance == "euclidean":
        return safe_sqrt(squared(x, y))
    # Of directions, |x - y|^2 = 2 (1 - x y), in which no digits are lost where they nearly agree.
    return 0.5 * squared(_directions(x, 0), _directions(y, 1))


def _directions(x: Float[Array, "*batch dim"], axis: int) -> Float[Array, "*batch dim+2"]:
    """The points at length 1. A zero vector, without gradient, goes along one of two axes of its own.

    By the choice of that axis zero vectors among the x are at right angles to those among the y, too.
    """
    norm = safe_sqrt(jnp.sum(jnp.square(x), axis=-1, keepdims=True))
    zero = norm == 0
    unit = jnp.where(zero, 0.0, x / jnp.where(zero, 1.0, norm))
    own = jnp.where(zero, jax.nn.one_hot(axis, 2, dtype=x.dtype), 0.0)
    return jnp.concatenate([unit, own], axis=-1)
