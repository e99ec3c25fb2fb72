"""References of `jaxgen/losses/metric_learning.py`: SciPy, scikit-learn and PyTorch, and loops over all triplets."""

import functools
import itertools

import hypothesis.extra.numpy as hnp
import jax
import numpy as np
import scipy.spatial.distance
import sklearn.metrics.pairwise
import torch
from hypothesis import strategies as st

from jaxgen import losses
from tests.contract import Case, Domain, integers, real

DISTANCES = ["euclidean", "squared_euclidean", "cosine"]
MARGIN = {"euclidean": 0.5, "squared_euclidean": 0.5, "cosine": 0.25}
# What errors of a difference of two distances are relative to.
SIZE = {"euclidean": 10.0, "squared_euclidean": 100.0, "cosine": 1.0}
COINCIDING = [(np.full((4, 4), value), np.int32([0, 0, 1, 1])) for value in (0.0, 1.0, -1e4)]
WITHOUT_TRIPLETS = [(np.eye(4), np.int32(labels)) for labels in ([0, 0, 0, 0], [0, 1, 2, 3])]


def grid() -> Domain:
    """Return the domain of points on a grid: many are equal or equidistant, and no distances differ by the margin."""
    integer_values = st.integers(-4, 4).map(float)
    return Domain(
        lambda shape: hnp.arrays(np.float64, shape, elements=integer_values),
        lambda rng, shape: rng.normal(size=shape),
    )


def scattered() -> Domain:
    """Return the domain of points in general position, for which rounding does not change which triplets are active."""

    def sample(rng, shape):
        return np.float64(np.float32(rng.normal(size=shape)))

    return Domain(
        lambda shape: st.integers(0, 2**32 - 1).map(lambda seed: sample(np.random.default_rng(seed), shape)), sample
    )


def distance_formula(x, y, distance):
    """Return the distance over the last axis."""
    if distance == "cosine":
        norms = np.linalg.norm(x, axis=-1) * np.linalg.norm(y, axis=-1)
        return 1 - np.sum(x * y, axis=-1) / np.where(norms > 0, norms, 1)
    squared = np.sum((x - y) ** 2, axis=-1)
    return squared if distance == "squared_euclidean" else np.sqrt(squared)


def distance_by_torch(x, y, distance):
    if distance == "cosine":
        return 1 - torch.nn.functional.cosine_similarity(x, y, dim=-1, eps=1e-300)
    euclidean = torch.nn.functional.pairwise_distance(x, y, eps=0.0)
    return euclidean**2 if distance == "squared_euclidean" else euclidean


def pairwise_by_scipy(x, y, distance):
    if distance == "cosine":  # SciPy's is NaN for zero vectors
        return sklearn.metrics.pairwise.cosine_distances(x, y)
    return scipy.spatial.distance.cdist(x, y, {"squared_euclidean": "sqeuclidean"}.get(distance, distance))


def triplet_by_torch(anchor, positive, negative, margin, distance):
    measure = functools.partial(distance_by_torch, distance=distance)
    tensors = map(torch.from_numpy, (anchor, positive, negative))
    loss = torch.nn.functional.triplet_margin_with_distance_loss
    return loss(*tensors, distance_function=measure, margin=margin, reduction="none").numpy()


def triplet_formula(anchor, positive, negative, margin, distance):
    to_positive, to_negative = (distance_formula(anchor, other, distance) for other in (positive, negative))
    return np.maximum(0, to_positive - to_negative + margin)


def kind_by_torch(anchor, positive, negative, margin, distance):
    anchor, positive, negative = map(torch.from_numpy, (anchor, positive, negative))
    to_positive, to_negative = (distance_by_torch(anchor, other, distance) for other in (positive, negative))
    return ((to_negative < to_positive + margin).int() + (to_negative <= to_positive).int()).numpy()


def kind_formula(anchor, positive, negative, margin, distance):
    to_positive, to_negative = (distance_formula(anchor, other, distance) for other in (positive, negative))
    return np.select([to_negative >= to_positive + margin, to_negative > to_positive], [0, 1], default=2)


def all_distances(embeddings, distance):
    return distance_formula(embeddings[:, None], embeddings[None], distance)


def triplets(labels):
    """Yield every anchor, positive and negative of a batch, found by exhaustive search."""
    for a, p, n in itertools.product(range(len(labels)), repeat=3):
        if a != p and labels[a] == labels[p] != labels[n]:
            yield a, p, n


def mean(values):
    values = list(values)
    return np.float64(sum(values) / len(values)) if values else np.float64(0.0)


def batch_all_by_loops(embeddings, labels, margin, distance):
    d = all_distances(embeddings, distance)
    losses_ = [d[a, p] - d[a, n] + margin for a, p, n in triplets(labels)]
    return mean(loss for loss in losses_ if loss > 0)


def batch_hard_by_loops(embeddings, labels, margin, distance):
    d = all_distances(embeddings, distance)
    hardest = {}
    for a, p, n in triplets(labels):
        hardest[a] = max(hardest.get(a, -np.inf), d[a, p] - d[a, n])
    return mean(max(0.0, difference + margin) for difference in hardest.values())


def semi_hard_by_loops(embeddings, labels, margin, distance):
    """Return the semi-hard loss if no pair has more than one semi-hard negative."""
    d = all_distances(embeddings, distance)
    differences = {(a, p): d[a, p] - d[a, n] for a, p, n in triplets(labels) if d[a, p] < d[a, n] < d[a, p] + margin}
    return mean(difference + margin for difference in differences.values())


def cube_by_torch(embeddings, labels, margin, distance):
    """Return the losses of all n^3 triplets before clipping, and which of them are valid."""
    x, labels = torch.as_tensor(embeddings), torch.as_tensor(labels)
    d = distance_by_torch(x[:, None], x[None], distance)
    same = labels[:, None] == labels
    valid = (same & ~torch.eye(len(x), dtype=bool))[:, :, None] & ~same[:, None]
    return d[:, :, None] - d[:, None] + margin, valid


def batch_all_by_torch(*arguments):
    loss, valid = cube_by_torch(*arguments)
    active = loss[valid & (loss > 0)]
    return (active.sum() / max(len(active), 1)).numpy()


def batch_hard_by_torch(*arguments):
    loss, valid = cube_by_torch(*arguments)
    hardest = torch.where(valid, loss, -torch.inf).amax(dim=(1, 2))
    hardest = hardest[hardest > -torch.inf].clamp(min=0)
    return (hardest.sum() / max(len(hardest), 1)).numpy()


def semi_hard_by_torch(embeddings, labels, margin, distance):
    loss, valid = cube_by_torch(embeddings, labels, margin, distance)
    semi_hard = loss[valid & (loss > 0) & (loss < margin)]
    return (semi_hard.sum() / max(len(semi_hard), 1)).numpy()


def loss_alone(mine, **options):
    return lambda embeddings, labels: mine(embeddings, labels, **options)[0]


def given(reference, **options):
    """Return the reference as a function of arrays alone."""
    return lambda *arrays: reference(*arrays, *options.values())


def mining_cases(name, mine, by_loops, by_torch, shapes, *distances):
    for distance in distances:
        options = {"margin": MARGIN[distance], "distance": distance}
        # By the cosine, parallel vectors of different lengths are equidistant except for rounding.
        points = scattered() if distance == "cosine" else grid()
        yield Case(
            f"losses.{name}", loss_alone(mine, **options), {"embeddings": points, "labels": integers(3)}, shapes,
            {"loops": given(by_loops, **options), "PyTorch": given(by_torch, **options)},
            floor=1.0, finite_at=[*COINCIDING, *WITHOUT_TRIPLETS], label=distance,
        )  # fmt: skip


TRIPLET = {"anchor": real(), "positive": real(), "negative": real()}
SHAPES = [(3,), (5, 2), (2, 4, 3)]
EDGES = [(np.zeros((3, 2)),) * 3, (np.ones((3, 2)),) * 3, (np.ones((3, 2)), np.zeros((3, 2)), np.full((3, 2), -1e4))]
ROWS = [((1, 2), (3, 2)), ((4, 3), (5, 3)), ((6, 24), (7, 24))]
CASES = [
    *(Case("losses.triplet", functools.partial(losses.triplet, margin=MARGIN[distance], distance=distance), TRIPLET,
           SHAPES,
           {"PyTorch": given(triplet_by_torch, margin=MARGIN[distance], distance=distance),
            "formula": given(triplet_formula, margin=MARGIN[distance], distance=distance)},
           floor=SIZE[distance], finite_at=EDGES, label=distance)
      for distance in DISTANCES),
    # The result of integers is cast to the dtype that the contract expects.
    Case("losses.triplet_kind", lambda *x: losses.triplet_kind(*x, margin=0.5).astype(x[0].dtype),
         dict.fromkeys(TRIPLET, grid()), SHAPES,
         {"PyTorch": given(kind_by_torch, margin=0.5, distance="euclidean"),
          "formula": given(kind_formula, margin=0.5, distance="euclidean")},
         differentiable=False),
    *(Case("losses.pairwise_distance", functools.partial(losses.pairwise_distance, distance=distance),
           {"x": real(), "y": real()}, ROWS,
           {"SciPy": given(pairwise_by_scipy, distance=distance),
            "formula": lambda x, y, d=distance: distance_formula(x[:, None], y[None], d)},
           floor=1e-3 if distance == "cosine" else 1e-30, equal=(), label=distance,
           finite_at=[(np.zeros((2, 3)), np.zeros((2, 3))), (np.ones((2, 3)), np.ones((2, 3))),
                      (np.full((2, 3), 1e4), np.full((2, 3), -1e-4))])
      for distance in DISTANCES),
    *mining_cases("triplet_batch_all", losses.triplet_batch_all, batch_all_by_loops, batch_all_by_torch,
                  [((3, 2), (3,)), ((12, 20), (12,))], "euclidean", "cosine"),
    *mining_cases("triplet_batch_hard", losses.triplet_batch_hard, batch_hard_by_loops, batch_hard_by_torch,
                  [((3, 2), (3,)), ((12, 20), (12,))], "euclidean"),
    # With three examples no pair has two negatives to choose from; the choice is tested in `test_metric_learning.py`.
    *mining_cases("triplet_semi_hard", functools.partial(losses.triplet_semi_hard, jax.random.key(0)),
                  semi_hard_by_loops, semi_hard_by_torch, [((3, 2), (3,)), ((3, 20), (3,))],
                  "squared_euclidean"),
]  # fmt: skip
