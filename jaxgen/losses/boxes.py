"""Bounding-box regression: boxes as deltas of proposals, the overlap of boxes, and the loss of a detector.

A box is (x1, y1, x2, y2), its lower and its upper corner, in any unit of length; its sides are x2 - x1 and y2 - y1,
without "+ 1" for pixels. A box whose corners are in the wrong order has area 0. Values and gradients are finite for
boxes without area as well: a side that is a divisor or the argument of a logarithm is at least `SMALLEST_SIDE`, and an
area that is a divisor is at least `SMALLEST_SIDE^2`. Where a bound applies, the side or area has gradient 0.
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
"""Lower bound of sides that are divisors, in the unit of the boxes; far below any side in pixels or in shares of 1."""

IouKind = Literal["iou", "giou", "diou", "ciou"]
"""Plain, generalized, distance and complete IoU."""


def encode_boxes(
    proposals: Float[Array, "*batch 4"],
    boxes: Float[Array, "*batch 4"],
    *,
    weights: Sequence[float] | Float[Array, "4"] = (1.0, 1.0, 1.0, 1.0),
) -> Float[Array, "*batch 4"]:
    """Compute the deltas (dx, dy, dw, dh) that map proposals to boxes, the regression targets of a detector.

    With centres (x, y), widths w and heights h, those of the proposals with an index p:
    `dx = (x - xp) / wp`, `dy = (y - yp) / hp`, `dw = log(w / wp)`, `dh = log(h / hp)`, each multiplied by its weight.
    The deltas do not depend on the unit of length. `decode_boxes` is the inverse.

    Args:
        proposals: boxes that the deltas are relative to, [..., 4].
        boxes: boxes to encode, of the same shape.
        weights: weights of dx, dy, dw and dh; with (10, 10, 5, 5) the deltas of good proposals have variances near 1.

    Returns:
        Four deltas per box, [..., 4], without unit. They are finite for boxes without area as well, but have no meaning
        where the proposal has no area. In float32 their error is below 1e-5 of the largest of the delta, the ratio of
        the sides, and 1.

    Raises:
        ValueError: if the shapes differ, the last axis does not hold four coordinates, or there are not four weights.

    Reference:
        Girshick et al. 2014, arXiv:1311.2524, appendix C, equations 6 to 9.

    Example:
        >>> encode_boxes(jnp.array([0.0, 0.0, 10.0, 10.0]), jnp.array([5.0, 0.0, 15.0, 20.0]))
        Array([0.5      , 0.5      , 0.       , 0.6931472], dtype=float32)
    """
    start, end = map(_corners, _wide_boxes(proposals=proposals, boxes=boxes))
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
    """Compute the boxes that deltas (dx, dy, dw, dh) map proposals to.

    With centres (x, y), widths w and heights h, those of the proposals with an index p, and deltas divided by their
    weights: `x = xp + wp dx`, `y = yp + hp dy`, `w = wp exp(dw)`, `h = hp exp(dh)`. Deltas of 0 give the proposal
    itself.

    Args:
        proposals: boxes that the deltas are relative to, [..., 4].
        deltas: deltas as computed by `encode_boxes`, of the same shape.
        weights: weights of dx, dy, dw and dh with which the deltas were encoded.
        max_log_scale: upper bound of dw and dh after division by their weights, which keeps the exponential from
            overflowing; beyond it their gradient is 0.

    Returns:
        One box per proposal, [..., 4], in the unit of the proposals. This is the inverse of `encode_boxes` for
        proposals that have area and for sides whose log-ratio is below max_log_scale. In float32 the error is below
        1e-5 of the largest coordinate or side.

    Raises:
        ValueError: if the shapes differ, the last axis does not hold four coordinates, or there are not four weights.
        InputError: if max_log_scale is not one number.

    Reference:
        Girshick et al. 2014, arXiv:1311.2524, appendix C, equations 1 to 4.

    Example:
        >>> decode_boxes(jnp.array([0.0, 0.0, 10.0, 10.0]), jnp.array([0.5, 0.5, 0.0, math.log(2.0)]))
        Array([ 5.,  0., 15., 20.], dtype=float32)
    """
    check_number("max_log_scale", max_log_scale)
    boxes, offsets = _wide_boxes(proposals=proposals, deltas=deltas)
    start, offsets = _corners(boxes), offsets / _weights(weights, offsets.dtype)
    size = _floored(start.sides)
    shift = size * offsets[..., :2]
    growth = 0.5 * size * jnp.expm1(jnp.minimum(offsets[..., 2:], max_log_scale))
    boxes = jnp.concatenate([start.low + shift - growth, start.high + shift + growth], axis=-1)
    return boxes.astype(float_dtype(proposals, deltas))


def box_iou(boxes_a: Float[Array, "*batch n 4"], boxes_b: Float[Array, "*batch m 4"]) -> Float[Array, "*batch n m"]:
    """Compute the intersection over union of every pair of boxes.

    `|A n B| / |A u B|`, areas of the intersection and of the union.

    Args:
        boxes_a: boxes, [..., n, 4].
        boxes_b: boxes, [..., m, 4], with the same leading axes.

    Returns:
        Values in [0, 1], [..., n, m]: 0 for boxes that do not overlap or have no area, 1 for equal boxes with an area
        of at least `SMALLEST_SIDE^2`.

    Raises:
        ValueError: if the leading axes differ, there is no axis of boxes, or the last axis does not hold four
            coordinates.

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
            "boxes_a and boxes_b must be [..., n, 4] and [..., m, 4] with equal leading axes, "
            f"got boxes_a {a.shape} and boxes_b {b.shape}"
        )
    overlap = _overlap(_corners(a[..., :, None, :]), _corners(b[..., None, :, :]))
    return overlap.iou.astype(float_dtype(boxes_a, boxes_b))


def iou_loss(
    predicted: Float[Array, "*batch 4"], target: Float[Array, "*batch 4"], *, kind: IouKind = "iou"
) -> Float[Array, "*batch"]:
    """Compute the loss of predicted boxes from their overlap with their targets, which does not depend on their size.

    With C the smallest box that encloses both, c its diagonal, and r the distance between the centres:

    - iou: `1 - IoU`. Its gradient vanishes where the boxes do not overlap.
    - giou: `1 - IoU + (|C| - |A u B|) / |C|`, whose gradient reduces the distance of boxes that do not overlap.
    - diou: `1 - IoU + r^2 / c^2`, which converges faster, and also where one box contains the other.
    - ciou: `1 - IoU + r^2 / c^2 + a v`, where `v = 4 / pi^2 (arctan(w / h) - arctan(w' / h'))^2` compares the aspect
      ratios and `a = v / (1 - IoU + v)` is a weight without gradient.

    Args:
        predicted: predicted boxes, [..., 4].
        target: true boxes, of the same shape.
        kind: "iou", "giou", "diou" or "ciou".

    Returns:
        One loss per box, [...], without unit. It is 0 for equal boxes with an area of at least `SMALLEST_SIDE^2`. For
        boxes whose corners are in the right order it is at most 1 (iou), 2 (giou, diou) or 2.5 (ciou). Value and
        gradient are finite for all boxes, but carry little information where both boxes have no area. In float32 the
        error is below 1e-6.

    Raises:
        ValueError: if the shapes differ, the last axis does not hold four coordinates, or the kind is not known.

    Reference:
        Rezatofighi et al. 2019, arXiv:1902.09630, algorithm 2 (iou, giou); Zheng et al. 2020, arXiv:1911.08287 (diou,
        ciou).

    Example:
        >>> predicted, target = jnp.array([0.0, 0.0, 2.0, 2.0]), jnp.array([3.0, 0.0, 4.0, 2.0])
        >>> iou_loss(predicted, target), iou_loss(predicted, target, kind="giou")
        (Array(1., dtype=float32), Array(1.25, dtype=float32))
    """
    check_known("kind of IoU", kind, get_args(IouKind))
    a, b = map(_corners, _wide_boxes(predicted=predicted, target=target))
    overlap = _overlap(a, b)
    loss = 1.0 - overlap.iou
    if kind == "giou":
        loss = loss + _enclosed_gap(a, b, overlap.union)
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
    """Compute the multi-task loss of a detector: classification of each proposal and regression of its box.

    `-log softmax(class_logits)[label] + box_weight [label > 0] sum(smooth L1(deltas - target_deltas))`. Label 0 is the
    background. A proposal with that label has no box: its deltas have loss 0 and gradient 0, and its target deltas may
    have any value.

    Args:
        class_logits: logits of the classes, the background first, [..., classes].
        deltas: predicted deltas, one set per proposal for all classes, [..., 4].
        labels: true classes, integers from 0 to classes - 1, [...].
        target_deltas: true deltas, as computed by `encode_boxes`, [..., 4].
        beta: threshold of `smooth_l1`.
        box_weight: weight of the box loss relative to the cross-entropy; not negative.

    Returns:
        One loss per proposal, [...], in nats. It is NaN where the label is negative or at least `classes`, so proposals
        to be ignored must be removed first. In float32 the error of the cross-entropy is below 1e-6 of the largest of
        the logits and 1.

    Raises:
        ValueError: if the shapes do not match.
        InputError: if the labels are not integers, beta or box_weight is negative or not one number, or box_weight is
            infinite.

    Reference:
        Girshick 2015, arXiv:1504.08083, equations 1 to 3.

    Example:
        >>> class_logits, labels = jnp.array([[100.0, 0.0], [0.0, 100.0]]), jnp.array([0, 1])
        >>> detection_loss(class_logits, jnp.full((2, 4), 2.0), labels, jnp.zeros((2, 4)))
        Array([0., 6.], dtype=float32)
    """
    check_number("box_weight", box_weight, at_least=0.0, finite=True)
    predictions, targets = _wide_boxes(deltas=deltas, target_deltas=target_deltas)
    logits, labels = widen(class_logits), jnp.asarray(labels)
    if not logits.ndim or not logits.shape[:-1] == predictions.shape[:-1] == labels.shape:
        raise ValueError(
            "class_logits, deltas and labels must be [..., classes], [..., 4] and [...], "
            f"got class_logits {logits.shape}, deltas {predictions.shape}, labels {labels.shape}"
        )
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise InputError(f"labels must be integers, got {labels.dtype}")
    foreground = (labels > 0)[..., None]
    # Masked before the loss, not after it: otherwise a NaN in a background row would have the gradient NaN.
    predictions, targets = (jnp.where(foreground, x, 0.0) for x in (predictions, targets))
    box_loss = jnp.sum(smooth_l1(predictions, targets, beta=beta), axis=-1)
    loss = _cross_entropy(logits, labels) + box_weight * box_loss
    return loss.astype(float_dtype(class_logits, deltas, target_deltas))


class _Corners(NamedTuple):
    """Boxes as their lower and upper corners, each `[..., 2]`."""

    low: Array
    high: Array

    @property
    def sides(self) -> Array:
        return self.high - self.low


class _Overlap(NamedTuple):
    """Area of the union of two boxes, and their intersection over union."""

    union: Array
    iou: Array


def _cross_entropy(logits: Float[Array, "*batch classes"], labels: Int[Array, "*batch"]) -> Float[Array, "*batch"]:
    """Return the cross-entropy in nats; NaN for labels outside the classes."""
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    # Optax returns NaN beyond the last class, but counts negative labels from the end, as indices do.
    return jnp.where(labels < 0, jnp.nan, loss)


def _corners(boxes: Float[Array, "*batch 4"]) -> _Corners:
    return _Corners(boxes[..., :2], boxes[..., 2:])


def _floored(sides: Float[Array, "*batch 2"]) -> Float[Array, "*batch 2"]:
    return jnp.maximum(sides, SMALLEST_SIDE)


def _product(sides: Float[Array, "*batch 2"]) -> Float[Array, "*batch"]:
    return sides[..., 0] * sides[..., 1]


def _area(box: _Corners) -> Float[Array, "*batch"]:
    """Return the area, 0 where the corners are in the wrong order."""
    return _product(jnp.maximum(box.sides, 0.0))


def _ratio(part: Float[Array, "*batch"], area: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """Return the quotient of two areas or squared lengths; 0 where both are 0."""
    return part / jnp.maximum(area, SMALLEST_SIDE**2)


def _overlap(a: _Corners, b: _Corners) -> _Overlap:
    shared = _area(_Corners(jnp.maximum(a.low, b.low), jnp.minimum(a.high, b.high)))
    union = _area(a) + _area(b) - shared
    return _Overlap(union, _ratio(shared, union))


def _hull(a: _Corners, b: _Corners) -> _Corners:
    """Return the smallest box that encloses both."""
    return _Corners(jnp.minimum(a.low, b.low), jnp.maximum(a.high, b.high))


def _enclosed_gap(a: _Corners, b: _Corners, union: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """Return the share of the smallest enclosing box that belongs to neither box."""
    around = _area(_hull(a, b))
    return _ratio(around - union, around)


def _centre_distance(a: _Corners, b: _Corners) -> Float[Array, "*batch"]:
    """Return the squared distance of the centres over the squared diagonal of the smallest enclosing box."""
    between = 0.5 * ((a.low - b.low) + (a.high - b.high))
    diagonal = jnp.sum(jnp.square(_hull(a, b).sides), axis=-1)
    return _ratio(jnp.sum(jnp.square(between), axis=-1), diagonal)


def _shape_difference(a: _Corners, b: _Corners, iou: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """Return the term of CIoU that compares aspect ratios; its weight grows with the overlap of the boxes."""
    sides_a, sides_b = _floored(a.sides), _floored(b.sides)
    angle_a, angle_b = (jnp.arctan2(sides[..., 0], sides[..., 1]) for sides in (sides_a, sides_b))
    difference = 4.0 / math.pi**2 * jnp.square(angle_a - angle_b)
    # Rounding may give an IoU slightly above 1.
    missing = jnp.maximum(1.0 - iou, 0.0)
    weight = difference / jnp.where(difference > 0.0, missing + difference, 1.0)
    return jax.lax.stop_gradient(weight) * difference


def _wide_boxes(**arrays: Float[Array, "*batch 4"]) -> list[Float[Array, "*batch 4"]]:
    """Return arrays of one shape, whose last axis has size four, in float32 or wider."""
    wide = {name: widen(array) for name, array in arrays.items()}
    check_same_shape(**wide)
    _check_coordinates(**wide)
    return list(wide.values())


def _check_coordinates(**boxes: Array) -> None:
    """Raise a ValueError with name and shape unless the last axis of every array has size four."""
    for name, array in boxes.items():
        if array.ndim == 0 or array.shape[-1] != 4:
            raise ValueError(f"the last axis of {name} must hold four numbers, got shape {array.shape}")


def _weights(weights: Sequence[float] | Float[Array, "4"], dtype: jnp.dtype) -> Float[Array, "4"]:
    array = jnp.asarray(weights, dtype)
    if array.shape != (4,):
        raise ValueError(f"weights must be four numbers, got shape {array.shape}")
    return array
