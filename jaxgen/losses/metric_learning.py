"""Metric learning: distances between embeddings, and triplet losses with triplets given or mined from a labelled batch.

A triplet loss is 0 if an anchor is nearer to a positive, an example of its own label, than to a negative, an example
of another label, by a margin. `triplet` is the loss of given triplets. Three functions mine triplets from a labelled
batch: `triplet_batch_all` takes all triplets, `triplet_batch_hard` the hardest triplet of each anchor, and
`triplet_semi_hard` a semi-hard negative for each pair of anchor and positive. They compute the n^2 distances of a batch
of n examples and never enumerate its n^3 triplets. The selection of triplets has no gradient; the selected distances
do. A batch without triplets has loss 0 and gradient 0. If any distance is NaN, the loss of the batch is NaN, whether or
not that pair was selected, and the statistics of the batch have no meaning.
"""

import functools
from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jax import lax

from jaxgen._arrays import check_key, check_number, check_same_shape, float_dtype, widen
from jaxgen._numerics import largest, safe_sqrt
from jaxgen._pairwise_distances import squared_distances
from jaxgen.errors import check_known
from jaxgen.typing import Array, Float, Int, KeyArray, Scalar

Distance = Literal["euclidean", "squared_euclidean", "cosine"]
"""`|x - y|`, `|x - y|^2`, and `1 - x y / (|x| |y|)`, which is 1 where x or y is a zero vector."""


class TripletInfo(NamedTuple):
    """Statistics of the triplets of a batch: scalars. A mean or share of an empty set is 0.

    Attributes:
        triplets: number of triplets in the batch: an anchor, another example of its label, and one of another label.
        easy: share of these triplets whose loss is 0.
        semi_hard: share whose negative is farther from the anchor than the positive, by less than the margin.
        hard: share whose negative is no farther from the anchor than the positive.
        mined: number of selected triplets.
        active: number of selected triplets with a positive loss.
        positive_distance: mean distance of pairs with the same label.
        negative_distance: mean distance of pairs with different labels.
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
    """Compute the triplet loss of given anchors, positives and negatives.

    `max(0, d(anchor, positive) - d(anchor, negative) + margin)`

    Args:
        anchor: embeddings, [..., dim].
        positive: embeddings with the labels of the anchors, of the same shape.
        negative: embeddings with other labels, of the same shape.
        margin: required difference of the two distances, in the unit of the distance; not negative.
        distance: d, one of "euclidean", "squared_euclidean" and "cosine".

    Returns:
        One loss per triplet, [...], in the unit of the distance. Its gradient is 0 at and beyond the margin, and finite
        for embeddings that coincide. In float32 the error is below 1e-5 of the largest of the distances and the margin.

    Raises:
        ValueError: if the shapes differ.
        InputError: if the margin is negative, infinite or not one number, or the distance is not known.

    Reference:
        Schroff et al. 2015, arXiv:1503.03832, equation 3 (with the squared Euclidean distance).

    Example:
        >>> anchor, positive, negative = jnp.zeros((1, 2)), jnp.array([[3.0, 4.0]]), jnp.array([[0.0, 5.5]])
        >>> triplet(anchor, positive, negative)
        Array([0.5], dtype=float32)
    """
    check_number("margin", margin, at_least=0.0, finite=True)
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
    """Classify each triplet as easy (0), semi-hard (1) or hard (2).

    A triplet is easy if `d(anchor, positive) + margin <= d(anchor, negative)`: its loss is 0. It is hard if the
    negative is no farther from the anchor than the positive, and semi-hard if the negative is farther, but by less than
    the margin.

    Args:
        anchor: embeddings, [..., dim].
        positive: embeddings with the labels of the anchors, of the same shape.
        negative: embeddings with other labels, of the same shape.
        margin: required difference of the two distances, in the unit of the distance; not negative.
        distance: d, one of "euclidean", "squared_euclidean" and "cosine".

    Returns:
        One integer per triplet, [...].

    Raises:
        ValueError: if the shapes differ.
        InputError: if the margin is negative, infinite or not one number, or the distance is not known.

    Reference:
        Schroff et al. 2015, arXiv:1503.03832, section 3.2.

    Example:
        >>> anchor, positive = jnp.zeros((3, 1)), jnp.ones((3, 1))
        >>> triplet_kind(anchor, positive, jnp.array([[2.5], [1.5], [0.5]]))
        Array([0, 1, 2], dtype=int32)
    """
    check_number("margin", margin, at_least=0.0, finite=True)
    to_positive, to_negative = _both_distances(anchor, positive, negative, distance)
    active = to_negative < to_positive + margin
    hard = active & (to_negative <= to_positive)
    return active.astype(jnp.int32) + hard


def pairwise_distance(
    x: Float[Array, "n dim"], y: Float[Array, "m dim"], *, distance: Distance = "euclidean"
) -> Float[Array, "n m"]:
    """Compute the distance between every x and every y.

    Args:
        x: points, [n, dim].
        y: points, [m, dim].
        distance: "euclidean", `|x - y|`; "squared_euclidean", its square; or "cosine", `1 - x y / (|x| |y|)`, which is
            1 where x or y is a zero vector.

    Returns:
        The distances, [n, m], in the unit of the points, in its square, or without unit (cosine, from 0 to 2). The
        gradient is finite everywhere: 0 for points that coincide and, for the cosine distance, for zero vectors. In
        float32 the error of a small cosine distance d is about 1e-7 sqrt(d).

    Raises:
        ValueError: if x and y are not matrices with equally many columns.
        InputError: if the distance is not known.

    Example:
        >>> pairwise_distance(jnp.array([[0.0, 0.0], [3.0, 0.0]]), jnp.array([[3.0, 4.0]]))
        Array([[5.],
               [4.]], dtype=float32)
    """
    wide_x, wide_y = widen(x), widen(y)
    if not (wide_x.ndim == wide_y.ndim == 2 and wide_x.shape[1] == wide_y.shape[1]):
        raise ValueError(f"x and y must be [n, dim] and [m, dim], got x {wide_x.shape} and y {wide_y.shape}")
    return _distance(wide_x, wide_y, squared_distances, distance).astype(float_dtype(x, y))


def triplet_batch_all(
    embeddings: Float[Array, "n dim"],
    labels: Int[Array, " n"],
    *,
    margin: Scalar = 1.0,
    distance: Distance = "euclidean",
) -> tuple[Float[Array, ""], TripletInfo]:
    """Compute the mean loss of all triplets of a batch that have a positive loss.

    Triplets whose loss is 0 are excluded from the mean: they soon are the majority, and the mean over all triplets
    would vanish.

    Args:
        embeddings: one embedding per example, [n, dim].
        labels: label of each example, [n].
        margin: required difference of the two distances, in the unit of the distance; not negative.
        distance: distance between two embeddings, one of "euclidean", "squared_euclidean" and "cosine".

    Returns:
        The loss, in the unit of the distance, and the statistics of the batch, of which `active / mined` is the share
        of triplets in the mean. Time grows with n^2 log n. In float32 the error is below 1e-5 of the largest of the
        distances and the margin.

    Raises:
        ValueError: if there is not one label per embedding.
        InputError: if the margin is negative, infinite or not one number, or the distance is not known.

    Reference:
        Hermans et al. 2017, arXiv:1703.07737, section 2 ("batch all"; in its experiments, averaged over those of
        non-zero loss).

    Example:
        >>> embeddings, labels = jnp.array([[0.0], [1.0], [1.5], [9.0]]), jnp.array([0, 0, 1, 2])
        >>> loss, info = triplet_batch_all(embeddings, labels)
        >>> float(loss), int(info.active), int(info.triplets)
        (1.0, 2, 4)
    """
    check_number("margin", margin, at_least=0.0, finite=True)
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
    """Compute the mean loss of the hardest triplet of each anchor: its farthest positive and its nearest negative.

    Args:
        embeddings: one embedding per example, [n, dim].
        labels: label of each example, [n].
        margin: required difference of the two distances, in the unit of the distance; not negative.
        distance: distance between two embeddings, one of "euclidean", "squared_euclidean" and "cosine".

    Returns:
        The loss, in the unit of the distance, a mean over the anchors that have a positive and a negative, and the
        statistics of the batch. Equally hard examples share the gradient. In float32 the error is below 1e-5 of the
        largest of the distances and the margin.

    Raises:
        ValueError: if there is not one label per embedding.
        InputError: if the margin is negative, infinite or not one number, or the distance is not known.

    Reference:
        Hermans et al. 2017, arXiv:1703.07737, section 2 ("batch hard").

    Example:
        >>> embeddings, labels = jnp.array([[0.0], [1.0], [1.5], [9.0]]), jnp.array([0, 0, 1, 2])
        >>> loss, info = triplet_batch_hard(embeddings, labels)
        >>> float(loss), int(info.mined)
        (1.0, 2)
    """
    check_number("margin", margin, at_least=0.0, finite=True)
    batch = _batch(embeddings, labels, distance)
    farthest_positive = largest(jnp.where(batch.positive, batch.distances, -jnp.inf), 1)
    nearest_negative = -largest(jnp.where(batch.negative, -batch.distances, -jnp.inf), 1)
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
    """Compute the mean loss of all pairs of anchor and positive, each with one random semi-hard negative.

    A negative is semi-hard if it is farther from the anchor than the positive, by less than the margin. One of them is
    chosen uniformly. A pair without a semi-hard negative gives no triplet: its easy negatives would have loss 0, and
    its hard negatives, according to the paper, can collapse all embeddings to one point.

    Args:
        key: PRNG key of the choice of negatives.
        embeddings: one embedding per example, [n, dim].
        labels: label of each example, [n].
        margin: required difference of the two distances, in the unit of the distance; not negative.
        distance: distance between two embeddings, one of "euclidean", "squared_euclidean" and "cosine"; the paper uses
            "squared_euclidean" on embeddings of length 1.

    Returns:
        The loss, in the unit of the distance, a mean over the pairs that have a semi-hard negative, and the statistics
        of the batch. Time grows with n^2 log n. In float32 the error is below 1e-5 of the largest of the distances and
        the margin.

    Raises:
        ValueError: if there is not one label per embedding.
        InputError: if the margin is negative, infinite or not one number, or the distance is not known.

    Reference:
        Schroff et al. 2015, arXiv:1503.03832, section 3.2, equation 4.

    Example:
        >>> embeddings, labels = jnp.array([[0.0], [1.0], [1.5], [9.0]]), jnp.array([0, 0, 1, 2])
        >>> loss, info = triplet_semi_hard(jax.random.key(0), embeddings, labels)
        >>> float(loss), int(info.mined)
        (0.5, 1)
    """
    check_key(key)
    check_number("margin", margin, at_least=0.0, finite=True)
    batch = _batch(embeddings, labels, distance)
    negative, found = _random_semi_hard(key, batch, margin)
    to_negative = jnp.take_along_axis(batch.distances, negative, axis=1)
    return _mean_loss(batch, batch.positive & found, batch.distances, to_negative, margin, float_dtype(embeddings))


class _Batch(NamedTuple):
    """All pairs of a batch, each array `[n, n]` with one row per anchor.

    Attributes:
        distances: distance of the pair.
        positive: whether the pair is two different examples with the same label.
        negative: whether the two examples have different labels.
    """

    distances: Array
    positive: Array
    negative: Array


def _batch(embeddings: Float[Array, "n dim"], labels: Int[Array, " n"], distance: Distance) -> _Batch:
    points, labels = widen(embeddings), jnp.asarray(labels)
    if points.ndim != 2 or labels.shape != points.shape[:1]:
        raise ValueError(
            f"embeddings and labels must be [n, dim] and [n], got embeddings {points.shape} and labels {labels.shape}"
        )
    same = labels[:, None] == labels
    distances = pairwise_distance(points, points, distance=distance)
    return _Batch(distances, positive=same & ~jnp.eye(len(labels), dtype=bool), negative=~same)


def _triplets_of_anchors(batch: _Batch) -> Float[Array, " n"]:
    """Return the number of triplets of each anchor, as a float: integers overflow for a few thousand examples."""
    dtype = batch.distances.dtype
    return jnp.sum(batch.positive, axis=1, dtype=dtype) * jnp.sum(batch.negative, axis=1, dtype=dtype)


def _in_active_triplets(batch: _Batch, margin: Scalar) -> Float[Array, "n n"]:
    """Return the gradient of the sum of the losses of all triplets with respect to the distances.

    For a pair of anchor and positive it is the number of triplets of positive loss that contain the pair; for a pair of
    anchor and negative, minus that number. Counting by ranks in sorted rows takes n^2 log n operations, where trying
    all triplets takes n^3.
    """
    distances = lax.stop_gradient(batch.distances)
    reach = distances + margin
    reaches = _sorted(jnp.where(batch.positive, reach, -jnp.inf))
    nearer_negatives = _rank(_sorted_negatives(batch), reach, "left")
    farther_positives = len(distances) - _rank(reaches, distances, "right")
    signed = jnp.where(batch.positive, nearer_negatives, jnp.where(batch.negative, -farther_positives, 0))
    return signed.astype(distances.dtype)


def _random_semi_hard(key: KeyArray, batch: _Batch, margin: Scalar) -> tuple[Int[Array, "n n"], Array]:
    """Return, for each anchor (row) and positive (column), a semi-hard negative and whether there is one."""
    distances = lax.stop_gradient(batch.distances)
    apart = jnp.where(batch.negative, distances, jnp.inf)
    order = jnp.argsort(apart, axis=1)
    nearest_first = jnp.take_along_axis(apart, order, axis=1)
    # In a sorted row, the semi-hard negatives of one positive are consecutive.
    first, end = _rank(nearest_first, distances, "right"), _rank(nearest_first, distances + margin, "left")
    choice = jax.random.randint(key, distances.shape, first, jnp.maximum(end, first + 1))
    return jnp.take_along_axis(order, jnp.minimum(choice, len(distances) - 1), axis=1), first < end


def _sorted_negatives(batch: _Batch) -> Float[Array, "n n"]:
    """Return the distances of each anchor's negatives in ascending order, padded with infinity."""
    return _sorted(jnp.where(batch.negative, lax.stop_gradient(batch.distances), jnp.inf))


def _sorted(rows: Float[Array, "n m"]) -> Float[Array, "n m"]:
    """Return each row of distances and infinities in ascending order.

    The bits of non-negative floats are in the order of the floats, and sorting integers is five times faster on a CPU.
    """
    bits = lax.bitcast_convert_type(rows, {4: jnp.int32, 8: jnp.int64}[rows.dtype.itemsize])
    return lax.bitcast_convert_type(jnp.sort(bits, axis=1), rows.dtype)


def _rank(rows: Float[Array, "n m"], values: Float[Array, "n m"], side: str) -> Int[Array, "n m"]:
    """Return how many elements of its sorted row each value exceeds ("left"), or equals or exceeds ("right")."""
    return jax.vmap(functools.partial(jnp.searchsorted, side=side))(rows, values)


def _mean_loss(
    batch: _Batch, chosen: Array, to_positive: Array, to_negative: Array, margin: Scalar, dtype: jnp.dtype
) -> tuple[Float[Array, ""], TripletInfo]:
    """Return the mean loss of the chosen triplets, each given by its two distances, and the statistics of the batch."""
    losses = _loss(to_positive, to_negative, margin)
    active = jnp.sum(chosen & (losses > 0), dtype=losses.dtype)
    info = _info(batch, margin, mined=jnp.sum(chosen, dtype=losses.dtype), active=active)
    return _or_nan(_mean(losses, chosen), batch, margin).astype(dtype), info


def _or_nan(loss: Float[Array, ""], batch: _Batch, margin: Scalar) -> Float[Array, ""]:
    """Return the loss, or NaN if a distance or the margin is NaN, for which all comparisons during mining are false."""
    return jnp.where(jnp.isnan(batch.distances + margin).any(), jnp.nan, loss)


def _info(batch: _Batch, margin: Scalar, mined: Array, active: Array) -> TripletInfo:
    """Return the statistics of a batch; under `jit`, unused ones are not computed."""
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
    """Return the mean of the chosen values, 0 if there are none."""
    return jnp.sum(values, where=chosen) / jnp.maximum(jnp.sum(chosen, dtype=values.dtype), 1.0)


def _loss(to_positive: Array, to_negative: Array, margin: Scalar) -> Array:
    # In this order the loss is positive exactly where the negative is nearer than the positive plus the margin.
    return jax.nn.relu((to_positive + margin) - to_negative)


def _both_distances(anchor: Array, positive: Array, negative: Array, distance: Distance) -> tuple[Array, Array]:
    """Return the distances from anchors to positives and from anchors to negatives."""
    anchor, positive, negative = map(widen, (anchor, positive, negative))
    check_same_shape(anchor=anchor, positive=positive, negative=negative)
    if anchor.ndim == 0:
        raise ValueError("anchor must have an axis of coordinates, got shape ()")

    def squared(x: Array, y: Array) -> Array:
        return jnp.sum(jnp.square(x - y), axis=-1)

    return _distance(anchor, positive, squared, distance), _distance(anchor, negative, squared, distance)


def _distance(x: Array, y: Array, squared: Callable[[Array, Array], Array], distance: Distance) -> Array:
    """Return the named distance; `squared` computes squared Euclidean distances, row by row or of all pairs."""
    check_known("distance", distance, get_args(Distance))
    if distance == "squared_euclidean":
        return squared(x, y)
    if distance == "euclidean":
        return safe_sqrt(squared(x, y))
    # Of unit vectors, |x - y|^2 = 2 (1 - x y), which keeps its digits where directions nearly agree.
    return 0.5 * squared(_directions(x, 0), _directions(y, 1))


def _directions(x: Float[Array, "*batch dim"], axis: int) -> Float[Array, "*batch dim+2"]:
    """Return the points normalized to length 1, with two more axes for zero vectors.

    A zero vector is mapped, without gradient, to the unit vector of one of the two additional axes. With different axes
    for x and y, the cosine distance of two zero vectors is 1, too.
    """
    norm = safe_sqrt(jnp.sum(jnp.square(x), axis=-1, keepdims=True))
    zero = norm == 0
    unit = jnp.where(zero, 0.0, x / jnp.where(zero, 1.0, norm))
    own = jnp.where(zero, jax.nn.one_hot(axis, 2, dtype=x.dtype), 0.0)
    return jnp.concatenate([unit, own], axis=-1)
