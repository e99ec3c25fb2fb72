"""References of `jaxgen/losses/boxes.py`: Matplotlib's boxes, PyTorch, and the published formulas."""

import functools
import math

import hypothesis.extra.numpy as hnp
import numpy as np
import scipy.special
import torch
from hypothesis import strategies as st
from matplotlib.transforms import Bbox, BboxTransformFrom, BboxTransformTo

from jaxgen import losses
from tests.contract import Case, Domain, integers, real

WEIGHTS = (10.0, 10.0, 5.0, 5.0)
BIG, INSIDE, BESIDE = [0.0, 0.0, 10.0, 8.0], [2.0, 2.0, 4.0, 3.0], [20.0, 1.0, 24.0, 3.0]
TOUCHING, TOUCHING_CORNER = [10.0, 0.0, 12.0, 8.0], [10.0, 8.0, 11.0, 9.0]
LINE, POINT, REVERSED = [1.0, 3.0, 9.0, 3.0], [5.0, 5.0, 5.0, 5.0], [6.0, 7.0, 2.0, 3.0]
SMALL, HUGE = [3.0, 3.0, 3.0 + 1e-6, 3.0 + 1e-6], [-1e4, -1e4, 1e4, 1e4]
EVERY_BOX = np.array(
    [BIG, INSIDE, BESIDE, TOUCHING, TOUCHING_CORNER, LINE, POINT, REVERSED, SMALL, HUGE, [0.0] * 4, [1e-30] * 4]
)
EVERY_PAIR = (np.repeat(EVERY_BOX, len(EVERY_BOX), axis=0), np.tile(EVERY_BOX, (len(EVERY_BOX), 1)))


def boxes() -> Domain:
    """Return the domain of boxes with area; some lie on a grid, so that sides and corners meet."""

    def elements(low, high):
        return st.one_of(st.integers(int(low), int(high)).map(float), st.floats(low, high, width=16))

    def assembled(corner, sides):
        return np.float64(np.concatenate([corner, np.float32(corner + sides)], axis=-1))

    def strategy(shape):
        half = (*shape[:-1], 2)
        corners = hnp.arrays(np.float32, half, elements=elements(-8.0, 8.0))
        return st.builds(assembled, corners, hnp.arrays(np.float32, half, elements=elements(1.0, 16.0)))

    def sample(rng, shape):
        corner = rng.uniform(-4, 4, size=(*shape[:-1], 2))
        return np.concatenate([corner, corner + rng.uniform(1, 9, size=corner.shape)], axis=-1)

    return Domain(strategy, sample)


def box_by_box(function):
    """Return the function of two boxes, vectorized."""
    return np.vectorize(lambda *pair: np.asarray(function(*pair)), signature="(a),(b)->(b)")


def pair_by_pair(function):
    """Return the function of two boxes to a number, vectorized."""
    return np.vectorize(lambda *pair: float(function(*pair)), signature="(a),(b)->()")


def matplotlib_box(box):
    return Bbox(np.reshape(box, (2, 2)))


def encoded_by_matplotlib(proposal, box, weights=(1, 1, 1, 1)):
    low, high = BboxTransformFrom(matplotlib_box(proposal)).transform(np.reshape(box, (2, 2)))
    return np.array([*((low + high) / 2 - 0.5), *np.log(high - low)]) * weights


def decoded_by_matplotlib(proposal, deltas, weights=(1, 1, 1, 1)):
    shift, log_scale = np.split(deltas / np.asarray(weights), 2)
    half = np.exp(np.minimum(log_scale, math.log(1000 / 16))) / 2
    corners = np.array([0.5 + shift - half, 0.5 + shift + half])
    return BboxTransformTo(matplotlib_box(proposal)).transform(corners).ravel()


def by_centre(box):
    """Return centre, width and height."""
    x1, y1, x2, y2 = np.moveaxis(box, -1, 0)
    return (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1


def encode_formula(proposals, boxes, weights=(1, 1, 1, 1)):
    (px, py, pw, ph), (x, y, w, h) = by_centre(proposals), by_centre(boxes)
    return np.stack([(x - px) / pw, (y - py) / ph, np.log(w / pw), np.log(h / ph)], axis=-1) * weights


def decode_formula(proposals, deltas, weights=(1, 1, 1, 1)):
    (px, py, pw, ph), (dx, dy, dw, dh) = by_centre(proposals), np.moveaxis(deltas / np.asarray(weights), -1, 0)
    x, y = px + pw * dx, py + ph * dy
    w, h = pw * np.exp(np.minimum(dw, math.log(1000 / 16))), ph * np.exp(np.minimum(dh, math.log(1000 / 16)))
    return np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], axis=-1)


def areas_by_matplotlib(a, b):
    """Return the areas of intersection and union, and the smallest box that encloses both."""
    a, b = matplotlib_box(a), matplotlib_box(b)
    shared = Bbox.intersection(a, b)
    area = lambda box: 0.0 if box is None else box.width * box.height  # noqa: E731
    return area(shared), area(a) + area(b) - area(shared), Bbox.union([a, b])


def loss_by_matplotlib(a, b, kind):
    shared, union, around = areas_by_matplotlib(a, b)
    loss = 1 - shared / union
    if kind == "giou":
        loss += 1 - union / (around.width * around.height)
    if kind in ("diou", "ciou"):
        (ax, ay), (bx, by) = (matplotlib_box(box).corners().mean(axis=0) for box in (a, b))
        loss += math.dist((ax, ay), (bx, by)) ** 2 / math.hypot(around.width, around.height) ** 2
    if kind == "ciou":
        shapes = [math.atan(matplotlib_box(box).width / matplotlib_box(box).height) for box in (a, b)]
        v = 4 / math.pi**2 * (shapes[0] - shapes[1]) ** 2
        loss += v * v / (1 - shared / union + v) if v else 0.0
    return loss


def loss_by_torch(a, b, kind):
    """Return the loss by the published formulas on tensors; `losses/test_boxes.py` takes its gradient."""
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    (wa, ha), (wb, hb) = ((box[..., 2:] - box[..., :2]).unbind(-1) for box in (a, b))
    union = wa * ha + wb * hb - shared
    loss = 1 - shared / union
    around = torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])
    if kind == "giou":
        loss = loss + (around.prod(-1) - union) / around.prod(-1)
    if kind in ("diou", "ciou"):
        centres = [(box[..., :2] + box[..., 2:]) / 2 for box in (a, b)]
        loss = loss + (centres[0] - centres[1]).square().sum(-1) / around.square().sum(-1)
    if kind == "ciou":
        v = 4 / math.pi**2 * (torch.atan(wa / ha) - torch.atan(wb / hb)).square()
        loss = loss + (v / (1 - shared / union + v).clamp(min=1e-300)).detach() * v
    return loss


def by_torch(function):
    return lambda *arrays: function(*map(torch.from_numpy, arrays)).numpy()


def detection_by_torch(class_logits, deltas, labels, target_deltas, beta=1.0, box_weight=1.0):
    logits, deltas, targets = (torch.from_numpy(x) for x in (class_logits, deltas, target_deltas))
    labels = torch.from_numpy(labels).long()
    box_loss = torch.nn.functional.smooth_l1_loss(deltas, targets, beta=beta, reduction="none").sum(-1)
    class_loss = torch.nn.functional.cross_entropy(logits.movedim(-1, 1 % logits.ndim), labels, reduction="none")
    return (class_loss + box_weight * (labels > 0) * box_loss).numpy()


def detection_formula(class_logits, deltas, labels, target_deltas, beta=1.0, box_weight=1.0):
    chosen = np.take_along_axis(scipy.special.log_softmax(class_logits, axis=-1), labels[..., None], axis=-1)[..., 0]
    e = np.abs(deltas - target_deltas)
    return -chosen + box_weight * (labels > 0) * np.where(e < beta, e**2 / (2 * beta), e - beta / 2).sum(axis=-1)


ENCODE = {"proposals": boxes(), "boxes": boxes()}
DECODE = {"proposals": boxes(), "deltas": real(2.0)}
PAIR = {"predicted": boxes(), "target": boxes()}
DETECTION = {"class_logits": real(20.0), "deltas": real(), "labels": integers(3), "target_deltas": real()}
SHAPES = [(4,), (3, 4), (2, 5, 4)]
PAIRS = [((3, 4), (2, 4)), ((2, 3, 4), (2, 5, 4))]
BATCHES = [((3,), (4,), (), (4,)), ((6, 3), (6, 4), (6,), (6, 4)), ((2, 5, 3), (2, 5, 4), (2, 5), (2, 5, 4))]
# Where terms cancel, errors are relative to 1 or more, as the docstrings state.
CASES = [
    Case("losses.encode_boxes", losses.encode_boxes, ENCODE, SHAPES,
         {"Matplotlib": box_by_box(encoded_by_matplotlib), "formula": encode_formula},
         floor=1.0, finite_at=[EVERY_PAIR]),
    Case("losses.encode_boxes", functools.partial(losses.encode_boxes, weights=WEIGHTS), ENCODE, SHAPES,
         {"Matplotlib": box_by_box(functools.partial(encoded_by_matplotlib, weights=WEIGHTS)),
          "formula": functools.partial(encode_formula, weights=WEIGHTS)},
         floor=10.0, finite_at=[EVERY_PAIR], label="weights"),
    Case("losses.decode_boxes", losses.decode_boxes, DECODE, SHAPES,
         {"Matplotlib": box_by_box(decoded_by_matplotlib), "formula": decode_formula},
         floor=10.0,
         finite_at=[(EVERY_BOX, np.full_like(EVERY_BOX, delta)) for delta in (0.0, 1e4, -1e4, math.log(1000 / 16))]),
    Case("losses.decode_boxes", functools.partial(losses.decode_boxes, weights=WEIGHTS), DECODE, SHAPES,
         {"Matplotlib": box_by_box(functools.partial(decoded_by_matplotlib, weights=WEIGHTS)),
          "formula": functools.partial(decode_formula, weights=WEIGHTS)},
         floor=10.0, label="weights"),
    Case("losses.box_iou", losses.box_iou, {"boxes_a": boxes(), "boxes_b": boxes()}, PAIRS,
         {"Matplotlib": lambda a, b: 1 - pair_by_pair(functools.partial(loss_by_matplotlib, kind="iou"))(
             a[..., :, None, :], b[..., None, :, :]),
          "formula": lambda a, b: 1 - by_torch(functools.partial(loss_by_torch, kind="iou"))(
             a[..., :, None, :], b[..., None, :, :])},
         equal=(), finite_at=[(EVERY_BOX, EVERY_BOX)]),
    *(Case("losses.iou_loss", functools.partial(losses.iou_loss, kind=kind), PAIR, SHAPES,
           {"Matplotlib": pair_by_pair(functools.partial(loss_by_matplotlib, kind=kind)),
            "formula": by_torch(functools.partial(loss_by_torch, kind=kind))},
           floor=0.1, differentiable=kind != "ciou", finite_at=[EVERY_PAIR], label=kind)
      for kind in ("iou", "giou", "diou", "ciou")),
    Case("losses.detection_loss", losses.detection_loss, DETECTION, BATCHES,
         {"PyTorch": detection_by_torch, "formula": detection_formula},
         floor=1.0, equal=("deltas", "target_deltas"),
         finite_at=[([[1e4, -1e4]] * 4, np.diag([0.0, 1.0, 1e4, 1e4]), np.int32([0, 1, 1, 0]), np.zeros((4, 4)))]),
    Case("losses.detection_loss", functools.partial(losses.detection_loss, beta=0.25, box_weight=2.0), DETECTION,
         BATCHES,
         {"PyTorch": functools.partial(detection_by_torch, beta=0.25, box_weight=2.0),
          "formula": functools.partial(detection_formula, beta=0.25, box_weight=2.0)},
         floor=1.0, equal=("deltas", "target_deltas"), label="weighted"),
]  # fmt: skip
