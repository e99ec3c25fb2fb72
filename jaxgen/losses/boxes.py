"""Bounding-box regression: boxes as deltas of proposals, the overlap of boxes, and the loss of a detector.

A box is (x1, y1, x2, y2), its lower and its upper corner, in any unit of length; its sides are x2 - x1 and y2 - y1,
with no "+ 1" for pixels. A box whose corners are in the wrong order has no area. For boxes without area, values and
gradients are finite everywhere: a side that something is divided by, or whose logarithm is taken, counts as
`SMALLEST_SIDE` where it is shorter, an area that something is divided by as its square where it is smaller, and then
has no gradient.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import optax

from jaxgen._arrays import check_number, check_same_shape, float_dtype, widen
from jaxgen.errors import InputError, check_known
from jaxgen.losses.regression import smooth_l1
from jaxgen.typing import Array, Float, Int, Scalar

SMALLEST_SIDE = 1e-6
"""What a shorter side counts as where it divides; far below what a box can be seen by, in pixels or in shares of 1."""

IouKind = Literal["iou", "giou", "diou", "ciou"]
"""Plain, generalized, distance and complete IoU."""


def encode_boxes(
    proposals: Float[Array, "*batch 4"],
    boxes: Float[Array, "*batch 4"],
    *,
    weights: Sequence[float] | Float[Array, "4"] = (1.0, 1.0, 1.0, 1.0),
) -> Float[Array, "*batch 4"]:
    """Deltas (dx, dy, dw, dh) that lead from proposals to boxes: what a detector regresses.

    With centres (x, y), widths w and heights h, those of the proposals with an index p:
    `dx = (x - xp) / wp`, `dy = (y - yp) / hp`, `dw = log(w / wp)`, `dh = log(h / hp)`, each times its weight. They do
    not depend on the unit of length. `decode_boxes` is the inverse.

    Args:
        proposals: where the detector looks.
        boxes: what it should find there.
        weights: of dx, dy, dw and dh; with (10, 10, 5, 5) deltas of good proposals have variances near 1.

    Returns:
        Four deltas per box, without unit. They are finite for boxes without area too, but of a size that means nothing
        where the proposal has none. In float32 their error is below 1e-5 of the largest of the delta, the ratio of the
        sides, and 1.

    Raises:
        ValueError: if the shapes differ, the last axis is not of four coordinates, or there are not four weights.

    Reference:
        Girshick et al. 2014, arXiv:1311.2524, appendix C, equations 6 to 9.

    Example:
        >>> encode_boxes(jnp.array([0.0, 0.0, 10.0, 10.0]), jnp.array([5.0, 0.0, 15.0, 20.0]))
        Array([0.5      , 0.5      , 0.       , 0.6931472], dtype=float32)
    """
    start, end = map(_corners, _wide_fours(proposals=proposals, boxes=boxes))
    size = _floored(start.sides)
    shift = 0.5 * ((end.low - start.low) + (end.high - start.high)) / size
    deltas = jnp.concatenate([shift, jnp.log(_floored(end.sides) / size)], axis=-1)
    return (deltas * _weights(weights, deltas.dtype)).astype(float_dtype(proposals, boxes))


def decode_boxes(
    proposals: Float[Array, "*batch 4"],
    deltas: Float[Array, "*batch 4"],
    *,
    weights: Sequence[float] | Float[Array, "4"] = (1.0, 1.0, 1.0, 1.0),
    max_log_scale: float = math.log(1000 / 16),
) -> Float[Array, "*batch 4"]:
    """Boxes that deltas (dx, dy, dw, dh) lead to from proposals.

    With centres (x, y), widths w and heights h, those of the proposals with an index p, and deltas divided by their
    weights: `x = xp + wp dx`, `y = yp + hp dy`, `w = wp exp(dw)`, `h = hp exp(dh)`. Deltas of 0 give the
    proposal itself.

    Args:
        proposals: where the detector looks.
        deltas: as `encode_boxes` makes them.
        weights: of dx, dy, dw and dh, those that they were encoded with.
        max_log_scale: what dw and dh, without their weights, are cut off at, so that no exponential overflows; beyond
            it their gradient is 0.

    Returns:
        One box per proposal, in the unit of the proposals; the inverse of `encode_boxes` for proposals that have area
        and grow less than max_log_scale. In float32 the error is below 1e-5 of the largest coordinate or side.

    Raises:
        ValueError: if the shapes differ, the last axis is not of four coordinates, or there are not four weights.
        InputError: if max_log_scale is not one number.

    Reference:
        Girshick et al. 2014, arXiv:1311.2524, appendix C, equations 1 to 4.

    Example:
        >>> decode_boxes(jnp.array([0.0, 0.0, 10.0, 10.0]), jnp.array([0.5, 0.5, 0.0, math.log(2.0)]))
        Array([ 5.,  0., 15., 20.], dtype=float32)
    """
    check_number("max_log_scale", max_log_scale)
    boxes, moves = _wide_fours(proposals=proposals, deltas=deltas)
    start, moves = _corners(boxes), moves / _weights(weights, moves.dtype)
    size = _floored(start.sides)
    shift = size * moves[..., :2]
    growth = 0.5 * size * jnp.expm1(jnp.minimum(moves[..., 2:], max_log_scale))
    boxes = jnp.concatenate([start.low + shift - growth, start.high + shift + growth], axis=-1)
    return boxes.astype(float_dtype(proposals, deltas))


def box_iou(boxes_a: Float[Array, "*batch n 4"], boxes_b: Float[Array, "*batch m 4"]) -> Float[Array, "*batch n m"]:
    """Intersection over union of every pair of boxes.

    `|A n B| / |A u B|`, areas of the intersection and of the union.

    Args:
        boxes_a: n boxes.
        boxes_b: m boxes, of the same leading axes.

    Returns:
        Shares in [0, 1]: 0 without overlap or without area, 1 for equal boxes of an area of at least
        `SMALLEST_SIDE^2`.

    Raises:
        ValueError: if the leading axes differ, there is no axis of boxes, or the last axis is not of four coordinates.

    Example:
        >>> a = jnp.array([[0.0, 0.0, 2.0, 2.0]])
        >>> b = jnp.array([[0.0, 0.0, 2.0, 2.0], [1.0, 0.0, 3.0, 2.0], [2.0, 0.0, 4.0, 2.0]])
        >>> box_iou(a, b)
        Array([[1.        , 0.33333334, 0.        ]], dtype=float32)
    """
    a, b = widen(boxes_a), widen(boxes_b)
    _check_coordinates(boxes_a=a, boxes_b=b)
    if min(a.ndim, b.ndim) < 2 or a.shape[:-2] != b.shape[:-2]:
        raise ValueError(
            "boxes must be [..., n, 4] and [..., m, 4] with equal leading axes, "
            f"got boxes_a {a.shape} and boxes_b {b.shape}"
        )
    overlap = _overlap(_corners(a[..., :, None, :]), _corners(b[..., None, :, :]))
    return overlap.iou.astype(float_dtype(boxes_a, boxes_b))


def iou_loss(
    predicted: Float[Array, "*batch 4"], target: Float[Array, "*batch 4"], *, kind: IouKind = "iou"
) -> Float[Array, "*batch"]:
    """How far each predicted box is from its target, by their overlap: the same for boxes of any size.

    With C the smallest box around both, c its diagonal, and r the distance of the centres:

    - iou: `1 - IoU`. Its gradient vanishes where the boxes do not overlap.
    - giou: `1 - IoU + (|C| - |A u B|) / |C|`, which pulls boxes that do not overlap together.
    - diou: `1 - IoU + r^2 / c^2`, which does so faster, and also where one box contains the other.
    - ciou: `1 - IoU + r^2 / c^2 + a v`, where `v = 4 / pi^2 (arctan(w / h) - arctan(w' / h'))^2` compares the shapes
      and `a = v / (1 - IoU + v)` is a weight without gradient.

    Args:
        predicted: boxes of the model.
        target: true boxes.
        kind: which one.

    Returns:
        One loss per box, without unit: 0 for equal boxes of an area of at least `SMALLEST_SIDE^2`; for boxes whose
        corners are in the right order at most 1 (iou), 2 (giou, diou) or 2.5 (ciou). Value and gradient are finite for
        all boxes, but tell little of two that both have no area. In float32 the error is below 1e-6.

    Raises:
        ValueError: if the shapes differ, the last axis is not of four coordinates, or the kind is not known.

    Reference:
        Rezatofighi et al. 2019, arXiv:1902.09630, algorithm 2 (iou, giou); Zheng et al. 2020, arXiv:1911.08287 (diou,
        ciou).

    Example:
        >>> predicted, target = jnp.array([0.0, 0.0, 2.0, 2.0]), jnp.array([3.0, 0.0, 4.0, 2.0])
        >>> iou_loss(predicted, target), iou_loss(predicted, target, kind="giou")
        (Array(1., dtype=float32), Array(1.25, dtype=float32))
    """
    check_known("kind of IoU", kind, get_args(IouKind))
    a, b = map(_corners, _wide_fours(predicted=predicted, target=target))
    overlap = _overlap(a, b)
    loss = 1.0 - overlap.iou
    if kind == "giou":
        loss = loss + _empty_share(a, b, overlap.union)
    if kind in ("diou", "ciou"):
        loss = loss + _centre_distance(a, b)
    if kind == "ciou":
        loss = loss + _shape_difference(a, b, overlap.iou)
    return loss.astype(float_dtype(predicted, target))


def detection_loss(
    class_logits: Float[Array, "*batch classes"],
    deltas: Float[Array, "*batch 4"],
    labels: Int[Array, "*batch"],
    target_deltas: Float[Array, "*batch 4"],
    *,
    beta: Scalar = 1.0,
    box_weight: Scalar = 1.0,
) -> Float[Array, "*batch"]:
    """Multi-task loss of a detector: what is in each proposal, and where exactly.

    `-log softmax(class_logits)[label] + box_weight [label > 0] sum(smooth L1(deltas - target_deltas))`. Label 0 is the
    background: it has no box, so its deltas cost nothing and have no gradient, and its target deltas may be anything.

    Args:
        class_logits: scores of the classes, that of the background first.
        deltas: predicted deltas, one set per proposal, whatever its class.
        labels: true classes, from 0 to classes - 1.
        target_deltas: true deltas, as `encode_boxes` makes them.
        beta: threshold of `smooth_l1`.
        box_weight: how much the boxes count beside the classes; not negative.

    Returns:
        One loss per proposal, in nats: NaN where the label is negative or no class, so leave out what is to be ignored.
        In float32 the error of the cross-entropy is below 1e-6 of the largest of the logits and 1.

    Raises:
        ValueError: if the shapes do not match.
        InputError: if the labels are not whole numbers, or beta or box_weight is negative or not one number.

    Reference:
        Girshick 2015, arXiv:1504.08083, equations 1 to 3.

    Example:
        >>> class_logits, labels = jnp.array([[100.0, 0.0], [0.0, 100.0]]), jnp.array([0, 1])
        >>> detection_loss(class_logits, jnp.full((2, 4), 2.0), labels, jnp.zeros((2, 4)))
        Array([0., 6.], dtype=float32)
    """
    check_number("box_weight", box_weight, at_least=0.0)
    predictions, targets = _wide_fours(deltas=deltas, target_deltas=target_deltas)
    logits, labels = widen(class_logits), jnp.asarray(labels)
    if not logits.ndim or not logits.shape[:-1] == predictions.shape[:-1] == labels.shape:
        raise ValueError(
            "there must be logits, four deltas and a label for each box, "
            f"got class_logits {logits.shape}, deltas {predictions.shape}, labels {labels.shape}"
        )
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise InputError(f"labels must be whole numbers, got {labels.dtype}")
    foreground = (labels > 0)[..., None]
    # Zeros before the loss and not after it: the gradient of a NaN in a background row would be NaN.
    predictions, targets = (jnp.where(foreground, x, 0.0) for x in (predictions, targets))
    box_loss = jnp.sum(smooth_l1(predictions, targets, beta=beta), axis=-1)
    loss = _cross_entropy(logits, labels) + box_weight * box_loss
    return loss.astype(float_dtype(class_logits, deltas, target_deltas))


class _Corners(NamedTuple):
    """Boxes, cut into their lower and upper corners, each `[..., 2]`."""

    low: Array
    high: Array

    @property
    def sides(self) -> Array:
        return self.high - self.low


class _Overlap(NamedTuple):
    """What two boxes share: the area of their union, and what part of it is in both."""

    union: Array
    iou: Array


def _cross_entropy(logits: Float[Array, "*batch classes"], labels: Int[Array, "*batch"]) -> Float[Array, "*batch"]:
    """In nats, NaN for labels that are no class."""
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    # It is NaN beyond the last class, but negative labels count back from there, as indices do.
    return jnp.where(labels < 0, jnp.nan, loss)


def _corners(boxes: Float[Array, "*batch 4"]) -> _Corners:
    return _Corners(boxes[..., :2], boxes[..., 2:])


def _floored(sides: Float[Array, "*batch 2"]) -> Float[Array, "*batch 2"]:
    return jnp.maximum(sides, SMALLEST_SIDE)


def _product(sides: Float[Array, "*batch 2"]) -> Float[Array, "*batch"]:
    return sides[..., 0] * sides[..., 1]


def _area(box: _Corners) -> Float[Array, "*batch"]:
    """Area, 0 where the corners are in the wrong order."""
    return _product(jnp.maximum(box.sides, 0.0))


def _share(part: Float[Array, "*batch"], area: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """The part of an area, or of a squared length; 0 of what is 0."""
    return part / jnp.maximum(area, SMALLEST_SIDE**2)


def _overlap(a: _Corners, b: _Corners) -> _Overlap:
    shared = _area(_Corners(jnp.maximum(a.low, b.low), jnp.minimum(a.high, b.high)))
    union = _area(a) + _area(b) - shared
    return _Overlap(union, _share(shared, union))


def _hull(a: _Corners, b: _Corners) -> _Corners:
    """The smallest box around both."""
    return _Corners(jnp.minimum(a.low, b.low), jnp.maximum(a.high, b.high))


def _empty_share(a: _Corners, b: _Corners, union: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """What part of the smallest box around both belongs to neither."""
    around = _area(_hull(a, b))
    return _share(around - union, around)


def _centre_distance(a: _Corners, b: _Corners) -> Float[Array, "*batch"]:
    """Squared distance of the centres in units of the diagonal of the smallest box around both."""
    between = 0.5 * ((a.low - b.low) + (a.high - b.high))
    diagonal = jnp.sum(jnp.square(_hull(a, b).sides), axis=-1)
    return _share(jnp.sum(jnp.square(between), axis=-1), diagonal)


def _shape_difference(a: _Corners, b: _Corners, iou: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """The term of CIoU that compares the ratios of width to height; it weighs more, the more the boxes overlap."""
    sides_a, sides_b = _floored(a.sides), _floored(b.sides)
    angle_a, angle_b = (jnp.arctan2(sides[..., 0], sides[..., 1]) for sides in (sides_a, sides_b))
    difference = 4.0 / math.pi**2 * jnp.square(angle_a - angle_b)
    # Rounding may leave an IoU a little above 1.
    missing = jnp.maximum(1.0 - iou, 0.0)
    weight = difference / jnp.where(difference > 0.0, missing + difference, 1.0)
    return jax.lax.stop_gradient(weight) * difference


def _wide_fours(**arrays: Float[Array, "*batch 4"]) -> list[Float[Array, "*batch 4"]]:
    """Arrays of one shape and of four numbers, in float32 or wider."""
    wide = {name: widen(array) for name, array in arrays.items()}
    check_same_shape(**wide)
    _check_coordinates(**wide)
    return list(wide.values())


def _check_coordinates(**boxes: Array) -> None:
    """Raise a ValueError with name and shape where the last axis is not of four numbers."""
    for name, array in boxes.items():
        if array.ndim == 0 or array.shape[-1] != 4:
            raise ValueError(f"the last axis of {name} must hold four numbers, got shape {array.shape}")


def _weights(weights: Sequence[float] | Float[Array, "4"], dtype: jnp.dtype) -> Float[Array, "4"]:
    array = jnp.asarray(weights, dtype)
    if array.shape != (4,):
        raise ValueError(f"weights must be four numbers, got shape {array.shape}")
    return array
