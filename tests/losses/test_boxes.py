import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch

from jaxgen import losses
from jaxgen.errors import InputError
from tests.cases.boxes import EVERY_BOX, EVERY_PAIR, LINE, POINT, REVERSED, boxes, loss_by_torch

# Jitted: running operation by operation would take most of the time of these tests.
box_iou = jax.jit(losses.box_iou)
iou_loss = jax.jit(losses.iou_loss, static_argnames="kind")
encode_boxes, decode_boxes = jax.jit(losses.encode_boxes), jax.jit(losses.decode_boxes)
detection_loss = jax.jit(losses.detection_loss)
KINDS = ["iou", "giou", "diou", "ciou"]
FINE_WEIGHTS = (10.0, 10.0, 5.0, 5.0)


def some_boxes(n, seed=0):
    return boxes().sample(np.random.default_rng(seed), (n, 4))


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0, 1.0), FINE_WEIGHTS])
def test_decode_boxes_inverts_encode_boxes(weights):
    proposals, targets = some_boxes(100), some_boxes(100, seed=1)
    with jax.enable_x64(True):
        deltas = encode_boxes(proposals, targets, weights=weights)
        np.testing.assert_allclose(decode_boxes(proposals, deltas, weights=weights), targets, rtol=0, atol=1e-13)
        wanted = np.random.default_rng(2).normal(size=(100, 4))
        decoded = decode_boxes(proposals, wanted, weights=weights)
        np.testing.assert_allclose(encode_boxes(proposals, decoded, weights=weights), wanted, rtol=0, atol=1e-12)


def test_boxes_without_area_are_recovered_from_deltas():
    proposals, targets = np.float32(EVERY_PAIR)
    valid = (proposals[:, 2:] - proposals[:, :2] > 0).all(axis=1)
    # A side of 1e4 encoded relative to 1e-6 exceeds the default max_log_scale of `decode_boxes`.
    back = decode_boxes(proposals, encode_boxes(proposals, targets), max_log_scale=math.inf)
    reversed_ = (targets[:, 2:] < targets[:, :2]).any(axis=1)
    scale = np.abs(EVERY_PAIR).max(axis=(0, 2))
    error = np.abs(back - targets).max(axis=1)
    assert (error[valid & ~reversed_] <= 2e-6 + 1e-6 * scale[valid & ~reversed_]).all()


def test_zero_deltas_decode_to_proposals():
    proposals = np.float32(EVERY_BOX)
    assert decode_boxes(proposals, np.zeros_like(proposals)).tolist() == proposals.tolist()


def test_decoded_sides_are_bounded_by_max_log_scale():
    proposal = np.float32([0.0, 0.0, 2.0, 2.0])
    grown = decode_boxes(proposal, np.float32([0.0, 0.0, 1e4, 10.0]))
    np.testing.assert_allclose(grown, [1 - 62.5, 1 - 62.5, 1 + 62.5, 1 + 62.5], rtol=1e-6)
    weighted = decode_boxes(proposal, np.float32([0.0, 0.0, 4.0, 4.0]), weights=(1, 1, 4, 8), max_log_scale=0.75)
    weighted = np.asarray(weighted)
    np.testing.assert_allclose(weighted[2:] - weighted[:2], 2 * np.exp([0.75, 0.5]), rtol=1e-6)
    jacobian = jax.jit(jax.jacobian(lambda deltas: decode_boxes(proposal, deltas)))(np.float32([0.0, 0.0, 5.0, 0.0]))
    assert jacobian[:, 2].tolist() == [0.0] * 4


def test_deltas_and_losses_are_scale_invariant():
    a, b = np.float32(some_boxes(50)), np.float32(some_boxes(50, seed=1))
    np.testing.assert_array_equal(encode_boxes(a * 64, b * 64), encode_boxes(a, b))
    for kind in KINDS:
        np.testing.assert_array_equal(iou_loss(a * 64, b * 64, kind=kind), iou_loss(a, b, kind=kind))


def test_box_iou_matches_pixel_counts():
    corners = np.random.default_rng(0).integers(0, 12, size=(60, 2, 2))
    pixels = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    columns, rows = np.meshgrid(np.arange(12), np.arange(12))
    x1, y1, x2, y2 = (pixels[:, i, None, None] for i in range(4))
    covered = (x1 <= columns) & (columns < x2) & (y1 <= rows) & (rows < y2)
    shared = np.einsum("nij,mij->nm", covered, covered, dtype=int)
    union = covered.sum(axis=(1, 2))[:, None] + covered.sum(axis=(1, 2)) - shared
    np.testing.assert_allclose(box_iou(pixels, pixels), shared / np.maximum(union, 1), rtol=1e-6)


def test_iou_loss_matches_box_iou_of_all_pairs():
    a, b = some_boxes(5), some_boxes(7, seed=1)
    pairs = np.broadcast_to(a[:, None], (5, 7, 4)), np.broadcast_to(b, (5, 7, 4))
    np.testing.assert_allclose(iou_loss(*pairs), 1 - np.asarray(box_iou(a, b)), rtol=1e-6)
    with jax.disable_jit():  # A compiler may fuse a product with one or the other term of a sum.
        exchanged = np.asarray(box_iou(b[:5], a)).T
        np.testing.assert_array_equal(box_iou(a, b[:5]), exchanged)


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("iou", [0.0, 0.75, 1.0, 1.0, 1.0]),
        ("giou", [0.0, 0.75, 1 + 1 / 6, 1 + 4 / 9, 1.5]),
        ("diou", [0.0, 0.75 + 1 / 16, 1 + 2.5 / 13, 1.25, 1.25]),
        ("ciou", [0.0, 0.75 + 1 / 16, 1 + 2.5 / 13, 1.25, 1.25]),
    ],
)
def test_iou_losses_match_closed_form_for_squares(kind, wanted):
    big, quarter, above, corner = [-1.0, -1, 1, 1], [0.0, 0, 1, 1], [0.0, 1, 1, 2], [1.0, 1, 2, 2]
    predicted = np.float32([big, big, big, big, quarter])
    target = np.float32([big, quarter, above, corner, corner])
    np.testing.assert_allclose(iou_loss(predicted, target, kind=kind), wanted, atol=1e-6)


def test_ciou_compares_aspect_ratios():
    tall, wide = np.float32([-1.0, -2.0, 1.0, 2.0]), np.float32([-2.0, -1.0, 2.0, 1.0])
    v = 4 / math.pi**2 * (math.atan(2) - math.atan(0.5)) ** 2
    wanted = 1 - 1 / 3 + v**2 / (1 - 1 / 3 + v)
    np.testing.assert_allclose(iou_loss(tall, wide, kind="ciou"), wanted, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_match_pytorch(kind):
    a, b = some_boxes(200), some_boxes(200, seed=1)
    tensors = [torch.tensor(x, requires_grad=True) for x in (a, b)]
    loss_by_torch(*tensors, kind).sum().backward()
    got = jax.jit(jax.grad(lambda *pair: iou_loss(*pair, kind=kind).sum(), argnums=(0, 1)))(a, b)
    for gradient, tensor in zip(got, tensors, strict=True):
        np.testing.assert_allclose(gradient, tensor.grad, atol=2e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_direction_for_boxes_that_do_not_overlap(kind):
    target = np.float32([0.0, 0.0, 3.0, 2.0])
    far = jnp.array(
        [[x, y, x + 2.0, y + 1.0] for x in (-20.0, 0.5, 7.0) for y in (-9.0, 0.5, 4.0) if (x, y) != (0.5, 0.5)]
    )
    shifted = lambda shift: iou_loss(far + jnp.tile(shift, 2), np.broadcast_to(target, far.shape), kind=kind)  # noqa: E731
    gradients = np.asarray(jax.jit(jax.jacobian(shifted))(np.zeros(2, np.float32)))
    towards = (target[:2] + target[2:] - far[:, :2] - far[:, 2:]) / 2
    if kind == "iou":
        assert not gradients.any()
    else:
        assert (np.sum(gradients * towards, axis=1) < -0.01).all()


@pytest.mark.parametrize("kind", ["giou", "diou", "ciou"])
def test_gradient_descent_matches_distant_box_to_target(kind):
    target = np.float32([4.0, 4.0, 6.0, 7.0])

    optimizer = optax.adam(optax.linear_schedule(0.1, 0.0, 1000))

    def step(carry, _):
        box, state = carry
        updates, state = optimizer.update(jax.grad(lambda box: iou_loss(box, target, kind=kind))(box), state)
        return (box + updates, state), None

    @jax.jit
    def descend(start):
        return jax.lax.scan(step, (start, optimizer.init(start)), length=1000)[0][0]

    box = descend(np.float32([-3.0, -2.0, -1.0, -1.0]))
    assert iou_loss(box, target) < 0.01


@pytest.mark.parametrize("empty", [POINT, LINE, REVERSED])
def test_box_without_area_has_zero_iou(empty):
    others = np.float32([empty, [0.0, 0.0, 10.0, 10.0]])
    assert box_iou(np.float32([empty]), others).tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("side", [1e-8, 1e-7, 9e-7, 1.1e-6, 1e-3])
def test_equal_boxes_have_iou_one_above_smallest_area(side):
    for box in (np.float32([0.0, 0.0, side, side]), np.float32([0.0, 0.0, side**2, 1.0])):
        wanted = min(side**2 / 1e-12, 1.0)
        np.testing.assert_allclose(box_iou(box[None], box[None]), [[wanted]], rtol=1e-5)
        for kind in KINDS:
            np.testing.assert_allclose(iou_loss(box, box, kind=kind), 1 - wanted, atol=1e-6)


@pytest.mark.parametrize(("kind", "most"), [("iou", 1.0), ("giou", 2.0), ("diou", 2.0), ("ciou", 2.5)])
def test_documented_upper_bounds_hold_and_are_attained(kind, most):
    in_order = np.all([boxes[:, :2] <= boxes[:, 2:] for boxes in EVERY_PAIR], axis=(0, 2))
    tall, wide = np.array([0.0, 0.0, 1e-6, 100.0]), np.array([1e10, 1e10, 1e10 + 1e4, 1e10])
    a, b = (np.float32([*boxes[in_order], box]) for boxes, box in zip(EVERY_PAIR, (tall, wide), strict=True))
    loss = iou_loss(a, b, kind=kind)
    assert loss.max() <= most
    np.testing.assert_allclose(loss[-1], most, rtol=1e-6)


@pytest.mark.parametrize("kind", ["giou", "diou", "ciou"])
def test_gradient_of_box_without_area_points_to_target(kind):
    point, target = np.float32([5.0, 5.0, 5.0, 5.0]), np.float32([6.0, 6.0, 9.0, 9.0])
    downhill = -np.asarray(jax.jit(jax.grad(lambda box: iou_loss(box, target, kind=kind)))(point))
    assert (downhill[:2] + downhill[2:] > 0.01).all()


def test_background_has_zero_box_loss_and_gradient_for_any_deltas():
    logits = np.float32([[2.0, 1.0], [2.0, 1.0]])
    labels = np.int32([0, 1])
    deltas = np.float32([[np.nan, np.inf, 1e4, 0.0], [3.0, 0.0, 0.0, 0.0]])
    targets = np.float32([[np.nan, np.nan, -np.inf, 1.0], [1.0, 0.0, 0.0, 0.0]])
    loss = detection_loss(logits, deltas, labels, targets, box_weight=10.0)
    np.testing.assert_allclose(loss, [math.log1p(math.exp(-1)), math.log1p(math.e) + 10 * 1.5], rtol=1e-6)
    gradients = jax.jit(jax.grad(lambda *x: detection_loss(x[0], x[1], labels, x[2]).sum(), argnums=(0, 1, 2)))(
        logits, deltas, targets
    )
    assert np.isfinite(np.concatenate([np.ravel(g) for g in gradients])).all()
    assert gradients[1].tolist() == [[0.0] * 4, [1.0, 0.0, 0.0, 0.0]]


def test_detection_loss_is_continuous_at_threshold():
    around = np.float32([[0.25 - 1e-4] * 4, [0.25 + 1e-4] * 4])
    below, above = detection_loss(np.float32([[0.0, 100.0]] * 2), around, np.ones(2, int), np.zeros((2, 4)), beta=0.25)
    np.testing.assert_allclose([below, above], 4 * 0.125, atol=1e-3)


def test_detection_loss_vmaps_over_threshold_and_box_weight():
    generator = np.random.default_rng(0)
    logits, labels = generator.normal(size=(6, 3)), np.array([0, 1, 2, 0, 1, 2])
    deltas, targets = generator.normal(size=(2, 6, 4))
    betas, weights = np.float32([0.1, 0.5, 2.0]), np.float32([0.0, 1.0, 3.0])

    def loss(beta, weight):
        return losses.detection_loss(logits, deltas, labels, targets, beta=beta, box_weight=weight)

    @jax.jit
    def all_losses(mapped_betas, mapped_weights):
        one_by_one = [loss(float(beta), float(weight)) for beta, weight in zip(betas, weights, strict=True)]
        return jax.vmap(loss)(mapped_betas, mapped_weights), one_by_one

    mapped, one_by_one = all_losses(betas, weights)
    np.testing.assert_allclose(mapped, one_by_one, rtol=1e-6)


@pytest.mark.parametrize("label", [-1, -2, 3, 100])
def test_loss_of_invalid_label_is_nan(label):
    loss = detection_loss(np.zeros((2, 3)), np.ones((2, 4)), np.int32([label, 1]), np.zeros((2, 4)))
    np.testing.assert_allclose(loss, [math.nan, math.log(3) + 2.0], rtol=1e-6)


@pytest.mark.parametrize("labels", [np.zeros(2), [1.0, 0.0], np.array([True, False])])
def test_non_integer_labels_raise(labels):
    with pytest.raises(InputError, match=r"labels must be integers, got (float|bool)"):
        losses.detection_loss(np.zeros((2, 3)), np.zeros((2, 4)), labels, np.zeros((2, 4)))


@pytest.mark.parametrize("kind", KINDS)
def test_nan_coordinates_give_nan(kind):
    box, where = np.array([0.0, 0.0, 2.0, 1.0]), np.eye(4, dtype=bool)
    broken, finite = np.where(where, np.nan, box), np.broadcast_to(box, (4, 4))
    for pair in ((broken, finite), (finite, broken)):
        assert np.isnan(iou_loss(*pair, kind=kind)).all()
        assert np.isnan(box_iou(*pair)).all()
        # Each coordinate affects the delta of a centre and that of a side.
        assert np.isnan(encode_boxes(*pair)).sum(axis=1).tolist() == [2] * 4
        assert np.isnan(decode_boxes(*pair)).sum(axis=1).tolist() == [2] * 4
    loss = detection_loss(broken[:, :3], finite, np.ones(4, int), broken)
    assert np.isnan(loss).all()


@pytest.mark.parametrize("given", [np.asarray, np.ndarray.tolist], ids=["NumPy", "lists"])
def test_array_likes_are_accepted(given):
    a, b = np.array([[0, 0, 10, 10], [1, 2, 3, 5]]), np.array([[5, 0, 15, 20], [0, 2, 4, 3]])
    labels = np.array([0, 3])

    def values(a, b, labels):
        functions = (losses.encode_boxes, losses.decode_boxes, losses.box_iou, losses.iou_loss)
        return [function(a, b) for function in functions], losses.detection_loss(a, b, labels, a)

    # A function of nothing, because `jit` makes arrays of what is given to the function.
    got = jax.jit(lambda: values(given(a), given(b), given(labels)))()
    assert {value.dtype for value in got[0]} == {np.dtype(np.float32)}
    jax.tree.map(np.testing.assert_array_equal, got, jax.jit(values)(np.float32(a), np.float32(b), labels))


@pytest.mark.parametrize("function", [losses.encode_boxes, losses.decode_boxes], ids=["encode", "decode"])
def test_weights_must_be_four_numbers(function):
    given = np.float32([[0.0, 0.0, 2.0, 2.0], [0.0, 1.0, 2.0, 4.0]])
    for weights, shape in (((1.0, 1.0), "(2,)"), (2.0, "()"), (np.ones((4, 1)), "(4, 1)"), (np.ones((2, 4)), "(2, 4)")):
        with pytest.raises(ValueError, match=f"weights must be four numbers, got shape {re.escape(shape)}"):
            function(given, given, weights=weights)
    for weights in ([10, 10, 5, 5], np.array(FINE_WEIGHTS), jnp.array(FINE_WEIGHTS)):
        np.testing.assert_array_equal(
            function(given, given, weights=weights), function(given, given, weights=FINE_WEIGHTS)
        )


def test_unknown_kind_raises():
    with pytest.raises(ValueError, match="there is no kind of IoU 'gious': did you mean 'giou'"):
        iou_loss(np.zeros(4), np.zeros(4), kind="gious")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: iou_loss(np.zeros((2, 5)), np.zeros((2, 5))),
            r"predicted must hold four numbers, got shape \(2, 5\)",
        ),
        (lambda: encode_boxes(np.zeros(()), np.zeros(())), r"proposals must hold four numbers, got shape \(\)"),
        (lambda: decode_boxes(np.zeros(3), np.zeros(3)), r"proposals must hold four numbers, got shape \(3,\)"),
        (
            lambda: box_iou(np.zeros((2, 3, 4)), np.zeros((1, 3, 4))),
            r"equal leading axes, got boxes_a \(2, 3, 4\) and boxes_b \(1, 3, 4\)",
        ),
        (lambda: box_iou(np.zeros(4), np.zeros(4)), r"got boxes_a \(4,\) and boxes_b \(4,\)"),
        (lambda: box_iou(np.zeros((2, 4)), np.zeros((2, 3))), r"boxes_b must hold four numbers, got shape \(2, 3\)"),
        (
            lambda: detection_loss(np.zeros((3, 2)), np.zeros((2, 4)), np.zeros(2, int), np.zeros((2, 4))),
            r"got class_logits \(3, 2\), deltas \(2, 4\), labels \(2,\)",
        ),
        (
            lambda: detection_loss(np.zeros((2, 2)), np.zeros((2, 4)), np.zeros((2, 1), int), np.zeros((2, 4))),
            r"got class_logits \(2, 2\), deltas \(2, 4\), labels \(2, 1\)",
        ),
    ],
)
def test_mismatched_shapes_raise(call, message):
    with pytest.raises(ValueError, match=message):
        call()
