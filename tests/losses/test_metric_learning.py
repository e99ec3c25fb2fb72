import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
import torch

from jaxgen import losses
from jaxgen.errors import InputError
from jaxgen.losses import triplet_batch_all, triplet_batch_hard, triplet_semi_hard
from tests.cases.metric_learning import (
    DISTANCES,
    MARGIN,
    all_distances,
    batch_all_by_loops,
    batch_hard_by_loops,
    cube_by_torch,
    distance_by_torch,
    triplets,
)

# Jitted: running operation by operation would take most of the time of these tests.
pairwise_distance = jax.jit(losses.pairwise_distance, static_argnames="distance")
triplet, triplet_kind = (
    jax.jit(function, static_argnames="distance") for function in (losses.triplet, losses.triplet_kind)
)
# Labels 3 and 4 occur once, so these examples are negatives and never anchors.
LABELS = np.int32([0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 4])
EMBEDDINGS = np.float64(np.float32(np.random.default_rng(0).normal(size=(11, 3))))
batch_semi_hard = functools.partial(triplet_semi_hard, jax.random.key(0))
every_distance = pytest.mark.parametrize("distance", DISTANCES)
every_miner = pytest.mark.parametrize(
    "mine", [triplet_batch_all, triplet_batch_hard, batch_semi_hard], ids=["batch all", "batch hard", "semi-hard"]
)


@functools.cache
def compiled(mine, distance):
    function = functools.partial(mine, margin=MARGIN[distance], distance=distance)
    return jax.jit(jax.value_and_grad(function, has_aux=True))


def mined(mine, embeddings, labels, distance="euclidean"):
    """Return loss, statistics and gradient, at the margin of that distance."""
    (loss, info), gradient = jax.device_get(compiled(mine, distance)(np.float32(embeddings), labels))
    return loss, info, gradient


def gradient_by_torch(loss, embeddings):
    """Return the gradient of a loss of a tensor."""
    tensor = torch.tensor(embeddings, requires_grad=True)
    loss(tensor).backward()
    return tensor.grad.numpy()


@every_distance
def test_pairwise_distance_matches_distances_of_single_pairs(distance):
    x = np.float32(np.concatenate([EMBEDDINGS, EMBEDDINGS[:2], 2 * EMBEDDINGS[:2]]))
    rows, columns = (np.broadcast_to(points, (len(x), len(x), 3)) for points in (x[:, None], x))
    one_by_one = triplet(rows, columns, rows, margin=0.0, distance=distance)
    np.testing.assert_allclose(pairwise_distance(x, x, distance=distance), one_by_one, rtol=1e-5, atol=1e-7)


@every_distance
@pytest.mark.parametrize("dim", [3, 40])
def test_distance_to_itself_is_zero_far_from_origin(distance, dim):
    points = np.float32(np.random.default_rng(0).normal(size=(9, dim)) + 100.0)
    assert not np.diagonal(pairwise_distance(points, points, distance=distance)).any()


@every_distance
def test_gradients_of_distances_match_pytorch(distance):
    x, y = np.random.default_rng(0).normal(size=(2, 6, 24))
    weights = np.random.default_rng(1).normal(size=(6, 6))
    tensors = [torch.tensor(points, requires_grad=True) for points in (x, y)]
    (distance_by_torch(tensors[0][:, None], tensors[1], distance) * torch.tensor(weights)).sum().backward()

    def total(x, y):
        return jnp.sum(weights * pairwise_distance(x, y, distance=distance))

    with jax.enable_x64(True):
        gradients = jax.jit(jax.grad(total, argnums=(0, 1)))(x, y)
    for gradient, tensor in zip(gradients, tensors, strict=True):
        np.testing.assert_allclose(gradient, tensor.grad, rtol=1e-9, atol=1e-12)


def test_cosine_distance_is_accurate_for_nearly_parallel_vectors():
    angles = np.array([1e-3, 1e-2, 0.1])
    x, y = np.array([[3.0, 0.0]]), 5.0 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    got = np.asarray(pairwise_distance(np.float32(x), np.float32(y), distance="cosine"))
    # `1 - x y / (|x| |y|)` in single precision has an error of 6e-8.
    wanted = 2 * np.sin(angles / 2) ** 2
    assert (np.abs(got[0] - wanted) <= 2e-7 * np.sqrt(wanted)).all()


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_gradient_is_zero_for_coinciding_points_and_zero_vectors(distance):
    ones = np.ones((1, 3), np.float32)
    point = 0 * ones if distance == "cosine" else ones
    gradient = jax.jit(jax.grad(lambda x: pairwise_distance(x, ones, distance=distance).sum()))(point)
    assert not np.any(gradient)


def test_cosine_distance_of_zero_vector_is_one():
    rows = np.float32([[0.0, 0.0], [2.0, 1.0]])
    np.testing.assert_allclose(pairwise_distance(rows, rows, distance="cosine"), [[1, 1], [1, 0]], atol=1e-7)


def test_triplet_loss_and_gradient_are_zero_at_and_beyond_margin():
    anchor, positive, negative = np.float32([[[0.0]] * 3, [[1.0]] * 3, [[1.5], [2.0], [2.5]]])
    loss = triplet(anchor, positive, negative)
    gradient = jax.jit(jax.grad(lambda n: triplet(anchor, positive, n).sum()))(negative)
    assert loss.tolist() == [0.5, 0.0, 0.0]
    assert np.ravel(gradient).tolist() == [-1.0, 0.0, 0.0]


def test_triplet_kind_agrees_with_loss():
    anchor, positive, negative = np.random.default_rng(0).normal(size=(3, 1000, 2)).astype(np.float32)
    for distance in DISTANCES:
        kind = triplet_kind(anchor, positive, negative, margin=MARGIN[distance], distance=distance)
        loss = triplet(anchor, positive, negative, margin=MARGIN[distance], distance=distance)
        kind, loss = np.asarray(kind), np.asarray(loss)
        assert kind.dtype == np.int32
        np.testing.assert_array_equal(kind == 0, loss == 0)
        np.testing.assert_array_equal(kind == 2, loss >= MARGIN[distance])
        assert len(np.unique(kind)) == 3


@pytest.mark.parametrize(
    ("negative", "margin", "kind"), [(2.0, 1.0, 0), (1.0, 1.0, 2), (1.0, 0.0, 0), (0.5, 0.0, 2), (0.0, 1.0, 2)]
)
def test_triplet_kind_at_ties(negative, margin, kind):
    assert triplet_kind(*np.float32([[0.0], [1.0], [negative]]), margin=margin) == kind


@every_distance
def test_batch_all_matches_loops_and_pytorch(distance):
    margin = MARGIN[distance]
    loss, info, gradient = mined(triplet_batch_all, EMBEDDINGS, LABELS, distance)
    np.testing.assert_allclose(loss, batch_all_by_loops(EMBEDDINGS, LABELS, margin, distance), rtol=1e-5)

    def reference(tensor):
        losses, valid = cube_by_torch(tensor, LABELS, margin, distance)
        return losses[valid & (losses > 0)].mean()

    np.testing.assert_allclose(gradient, gradient_by_torch(reference, EMBEDDINGS), rtol=1e-4, atol=1e-6)
    assert info.mined == info.triplets


@every_distance
def test_batch_hard_matches_loops_and_pytorch(distance):
    margin = MARGIN[distance]
    loss, info, gradient = mined(triplet_batch_hard, EMBEDDINGS, LABELS, distance)
    np.testing.assert_allclose(loss, batch_hard_by_loops(EMBEDDINGS, LABELS, margin, distance), rtol=1e-5)

    def reference(tensor):
        losses, valid = cube_by_torch(tensor, LABELS, margin, distance)
        hardest = torch.where(valid, losses, -torch.inf).flatten(1).amax(dim=1)
        return hardest[hardest > -torch.inf].clamp(min=0).mean()

    np.testing.assert_allclose(gradient, gradient_by_torch(reference, EMBEDDINGS), rtol=1e-4, atol=1e-6)
    assert info.mined == np.sum(LABELS <= 2)


@every_distance
@every_miner
def test_triplet_info_matches_loops(mine, distance):
    margin = MARGIN[distance]
    _, info, _ = mined(mine, EMBEDDINGS, LABELS, distance)
    d = all_distances(EMBEDDINGS, distance)
    excess = np.array([d[a, n] - d[a, p] for a, p, n in triplets(LABELS)])
    assert info.triplets == len(excess)
    shares = [(excess >= margin).mean(), ((excess > 0) & (excess < margin)).mean(), (excess <= 0).mean()]
    np.testing.assert_allclose([info.easy, info.semi_hard, info.hard], shares, atol=1e-6)
    if mine is triplet_batch_all:
        assert info.active == np.sum(excess < margin)
    pairs = list(itertools.combinations(range(len(LABELS)), 2))
    for same, got in ((True, info.positive_distance), (False, info.negative_distance)):
        wanted = np.mean([d[i, j] for i, j in pairs if (LABELS[i] == LABELS[j]) == same])
        np.testing.assert_allclose(got, wanted, rtol=1e-5)


# For the anchor at 0 and the positive at 1, with a margin of 1/2, the semi-hard negatives are at 1.1, 1.2, 1.3 and 1.4.
# For the reversed pair all negatives are nearer than 1 or farther than 3/2.
LINE = np.array([0.0, 1.0, 0.2, 1.0, 1.1, 1.2, 1.3, 1.4, 2.6])
LINE_LABELS = np.int32([0, 0, 1, 2, 3, 4, 5, 6, 7])


def test_semi_hard_negatives_are_chosen_uniformly():
    keys = jax.random.split(jax.random.key(0), 4000)
    mine = functools.partial(triplet_semi_hard, labels=LINE_LABELS, margin=0.5)
    loss, info = jax.jit(jax.vmap(mine, in_axes=(0, None)))(keys, np.float32(LINE[:, None]))
    info = jax.device_get(info)
    assert (info.mined == 1).all()
    assert (info.active == 1).all()
    chosen, counts = np.unique(np.round(1.5 - np.asarray(loss), 3), return_counts=True)
    np.testing.assert_allclose(chosen, [1.1, 1.2, 1.3, 1.4], atol=1e-5)
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_semi_hard_negatives_of_pairs_are_independent():
    # Two distant anchors, each with one pair and three semi-hard negatives, encoded in the loss by powers of 4.
    offsets = np.array([0.0, 1.0, 1.0 + 1 / 64, 1.0 + 2 / 64, 1.0 + 3 / 64])
    line = np.concatenate([offsets, 1000.0 + np.array([0.0, 1.0, 1.0 + 4 / 64, 1.0 + 8 / 64, 1.0 + 12 / 64])])
    labels = np.int32([0, 0, 1, 2, 3, 4, 4, 5, 6, 7])
    keys = jax.random.split(jax.random.key(1), 4000)
    mine = functools.partial(triplet_semi_hard, embeddings=np.float32(line[:, None]), labels=labels)
    loss, info = jax.jit(jax.vmap(lambda key: mine(key, margin=0.25)))(keys)
    info = jax.device_get(info)
    assert (info.mined == 2).all()
    choice = np.round((0.25 - np.asarray(loss)) * 2 * 64).astype(int)
    counts = np.array([[np.sum(choice == i + 4 * j) for i in (1, 2, 3)] for j in (1, 2, 3)])
    assert counts.sum() == len(keys)
    assert scipy.stats.chisquare(counts.ravel()).pvalue > 1e-3


@every_distance
def test_semi_hard_mining_uses_every_pair_with_semi_hard_negative(distance):
    margin = MARGIN[distance]
    d = all_distances(EMBEDDINGS, distance)
    semi_hard = {}
    for a, p, n in triplets(LABELS):
        if d[a, p] < d[a, n] < d[a, p] + margin:
            semi_hard.setdefault((a, p), []).append(d[a, p] - d[a, n] + margin)
    loss, info, gradient = mined(batch_semi_hard, EMBEDDINGS, LABELS, distance)
    assert info.mined == info.active == len(semi_hard) > 5
    lowest, highest = (np.mean([best(found) for found in semi_hard.values()]) for best in (min, max))
    assert lowest - 1e-6 <= loss <= highest + 1e-6
    assert (gradient != 0).any()


def test_semi_hard_gradient_is_that_of_chosen_distances():
    loss, _, gradient = mined(batch_semi_hard, LINE[:, None], LINE_LABELS)
    wanted = np.zeros(len(LINE))
    wanted[1] = 1.0
    wanted[np.flatnonzero(np.isclose(LINE, 1.5 - loss))] = -1.0
    np.testing.assert_allclose(gradient.ravel(), wanted, atol=1e-6)


@every_miner
@pytest.mark.parametrize("labels", [[0], [0] * 11, range(11)], ids=["alone", "one label", "no pair"])
def test_batch_without_triplets_has_zero_loss(mine, labels):
    loss, info, gradient = mined(mine, EMBEDDINGS[: len(labels)], np.int32(labels))
    assert loss == 0.0
    assert not gradient.any()
    assert np.isfinite(info).all()
    assert info.triplets == info.mined == info.active == info.easy == info.semi_hard == info.hard == 0


@every_miner
def test_empty_batch_has_zero_loss(mine):
    loss, info, gradient = mined(mine, np.zeros((0, 3)), np.zeros(0, np.int32))
    assert loss == 0.0
    assert gradient.shape == (0, 3)
    assert info == (0.0,) * len(info)


@every_distance
def test_collapsed_embeddings_have_loss_margin_and_no_semi_hard_negative(distance):
    collapsed, margin = np.ones_like(EMBEDDINGS), MARGIN[distance]
    for mine, wanted in ((triplet_batch_all, margin), (triplet_batch_hard, margin), (batch_semi_hard, 0.0)):
        loss, info, gradient = mined(mine, collapsed, LABELS, distance)
        np.testing.assert_allclose(loss, wanted, rtol=1e-6)
        assert info.hard == 1.0
        assert np.isfinite(gradient).all()


def test_equally_hard_negatives_share_gradient():
    # The first anchor has both negatives at distance 2, the second anchor has the last one at distance 1.
    embeddings, labels = np.float32([[0.0], [1.0], [-2.0], [2.0]]), np.int32([0, 0, 1, 2])
    gradient = jax.jit(jax.grad(lambda x: triplet_batch_hard(x, labels, margin=3.0)[0]))(embeddings)
    np.testing.assert_allclose(np.ravel(gradient), [-1.0, 1.5, 0.25, -0.75])


@every_distance
@pytest.mark.parametrize("broken", [[0], [10], range(11)], ids=["an anchor", "a mere negative", "all"])
def test_nan_embeddings_give_nan(distance, broken):
    points = EMBEDDINGS.copy()
    points[list(broken), 1] = np.nan
    x, y = np.float32(points), np.float32(EMBEDDINGS[:5])
    wanted = np.isin(np.arange(11), broken)
    missing = np.isnan(pairwise_distance(x, y, distance=distance))
    np.testing.assert_array_equal(missing, wanted[:, None].repeat(5, axis=1))
    for arguments in itertools.permutations([x, x[::-1] + 1.0, x[::-1]]):
        got = triplet(*arguments, margin=0.5, distance=distance)
        np.testing.assert_array_equal(np.isnan(got), wanted | wanted[::-1])
    for mine in (triplet_batch_all, triplet_batch_hard, batch_semi_hard):
        assert np.isnan(mined(mine, points, LABELS, distance)[0])


@pytest.mark.parametrize("mine", [triplet_batch_all, triplet_batch_hard], ids=["batch all", "batch hard"])
def test_batch_losses_are_invariant_to_order_relabelling_and_rotation(mine):
    generator = np.random.default_rng(1)
    order, (rotation, _) = generator.permutation(11), np.linalg.qr(generator.normal(size=(3, 3)))
    transformed = mined(mine, (EMBEDDINGS @ rotation + 2.0)[order], 7 - 3 * LABELS[order])
    for got, wanted in zip(transformed[:2], mined(mine, EMBEDDINGS, LABELS)[:2], strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-5)


def test_triplet_counts_of_large_batches_do_not_overflow():
    labels = np.arange(2100) % 2
    count = jax.jit(lambda x: triplet_batch_all(x, labels)[1].triplets)(np.zeros((2100, 1), np.float32))
    np.testing.assert_allclose(count, 2100 * 1049 * 1050, rtol=1e-6)


@every_miner
def test_memory_grows_with_square_of_batch_size(mine):
    n = 512
    shapes = jax.ShapeDtypeStruct((n, 8), jnp.float32), jax.ShapeDtypeStruct((n,), jnp.int32)
    compiled = jax.jit(jax.value_and_grad(mine, has_aux=True)).lower(*shapes).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 40 * 4 * n**2 < 4 * n**3


THREE_TRIPLETS = EMBEDDINGS[[[0, 1, 2], [6, 7, 8], [3, 4, 5]]]


def batch_loss(mine):
    return lambda embeddings, labels, margin: mine(embeddings, labels, margin=margin)[0]


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (losses.triplet, THREE_TRIPLETS),
        (losses.triplet_kind, THREE_TRIPLETS),
        (batch_loss(triplet_batch_all), (EMBEDDINGS, LABELS)),
        (batch_loss(triplet_batch_hard), (EMBEDDINGS, LABELS)),
        (batch_loss(batch_semi_hard), (EMBEDDINGS, LABELS)),
    ],
    ids=["triplet", "kind", "batch all", "batch hard", "semi-hard"],
)
def test_triplet_losses_vmap_over_margin(function, arguments):
    margins = np.float32([0.0, 0.1, 0.5, 2.0])

    @jax.jit
    def losses_at(margins_to_map):
        mapped = jax.vmap(lambda margin: function(*arguments, margin=margin))(margins_to_map)
        return mapped, [function(*arguments, margin=float(margin)) for margin in margins]

    mapped, one_by_one = losses_at(margins)
    assert len(np.unique(one_by_one, axis=0)) > 1
    np.testing.assert_allclose(mapped, one_by_one, rtol=1e-6)


def values_of_all(points, labels, rows):
    """Return distances, the losses of triplets, and those of mined triplets."""
    mined_losses = [mine(points, labels)[0] for mine in (triplet_batch_all, triplet_batch_hard, batch_semi_hard)]
    distances = losses.pairwise_distance(points, points)
    return distances, [function(*rows) for function in (losses.triplet, losses.triplet_kind)], mined_losses


compiled_values_of_all = jax.jit(values_of_all)


@pytest.mark.parametrize("given", [np.asarray, np.ndarray.tolist], ids=["NumPy", "lists"])
def test_array_likes_are_accepted(given):
    points, labels = np.array([[0, 0], [3, 4], [6, 0], [0, 1]]), np.array([0, 0, 1, 1])
    arrays, given_points, given_labels = np.float32(points), given(points), given(labels)
    rows = [arrays, arrays[::-1], arrays[1:2].repeat(4, 0)]
    given_rows = [given(x.astype(int)) for x in rows]

    # A function of nothing, because `jit` makes arrays of what is given to the function.
    got = jax.jit(lambda: values_of_all(given_points, given_labels, given_rows))()
    wanted = compiled_values_of_all(arrays, labels, rows)
    for distance in (got[0], wanted[0]):
        np.testing.assert_allclose(distance[0], [0.0, 5.0, 6.0, 1.0])
    jax.tree.map(np.testing.assert_array_equal, got[1:], wanted[1:])
    assert all(loss.dtype == jnp.float32 for loss in got[2])


def test_unknown_distance_raises():
    with pytest.raises(ValueError, match="there is no distance 'euclidian': did you mean 'euclidean'"):
        pairwise_distance(np.zeros((1, 2)), np.zeros((1, 2)), distance="euclidian")
    with pytest.raises(ValueError, match="there is no distance 'manhattan'"):
        triplet_batch_all(np.zeros((1, 2)), np.zeros(1, int), distance="manhattan")


@every_miner
def test_invalid_margins_and_label_shapes_raise(mine):
    not_one = r"one number, got shape \(2,\)"
    for margin, message in (
        (-1.0, "finite and at least 0, got -1"),
        (math.nan, "finite and at least 0, got nan"),
        (np.ones(2), not_one),
    ):
        with pytest.raises(InputError, match=f"margin must be {message}"):
            mine(np.zeros((2, 3)), np.zeros(2, int), margin=margin)
    with pytest.raises(ValueError, match=r"got embeddings \(2, 3\) and labels \(3,\)"):
        mine(np.zeros((2, 3)), np.zeros(3, int))
    with pytest.raises(ValueError, match=r"got embeddings \(2, 3, 1\) and labels \(2,\)"):
        mine(np.zeros((2, 3, 1)), np.zeros(2, int))


def test_invalid_point_shapes_raise():
    with pytest.raises(ValueError, match=r"got x \(2, 3\) and y \(2, 4\)"):
        pairwise_distance(np.zeros((2, 3)), np.zeros((2, 4)))
    with pytest.raises(ValueError, match=r"got x \(3,\) and y \(2, 3\)"):
        pairwise_distance(np.zeros(3), np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"axis of coordinates, got shape \(\)"):
        triplet(np.zeros(()), np.zeros(()), np.zeros(()))
