"""References of `jaxgen/divergences/kernel.py`: scikit-learn, SciPy, and complete kernel matrices in NumPy."""

import functools

import numpy as np
import scipy.stats
from scipy.spatial.distance import cdist
from sklearn.metrics import pairwise

from jaxgen import divergences
from tests.contract import Case, real

BANDWIDTH = 2.0
# One dimension, events of two axes, and more dimensions than distances are computed by differences in.
MANY_DIMENSIONS = ((5, 20), (4, 20))
SHAPES = [((4, 1), (2, 1)), ((3, 2, 2), (6, 2, 2)), MANY_DIMENSIONS]
COINCIDING = [(np.full((3, 2), value), np.full((4, 2), value)) for value in (0.0, 1.0, -1e3)]


def flat(x):
    return x.reshape(len(x), -1)


def discrepancy(kernel, unbiased):
    """Return `mean k(x, x') + mean k(y, y') - 2 mean k(x, y)` from the three complete matrices."""

    def within(x):
        matrix = kernel(x, x)
        return matrix[~np.eye(len(x), dtype=bool)].mean() if unbiased else matrix.mean()

    return lambda x, y: within(flat(x)) + within(flat(y)) - 2 * kernel(flat(x), flat(y)).mean()


def median_distance(x, y):
    """Return the median distance of the pairs that do not coincide."""
    both = np.concatenate([flat(x), flat(y)])
    distances = cdist(both, both)
    distances = distances[distances > 0]
    return np.quantile(distances, 0.5, method="inverted_cdf") if distances.size else 1.0


def by_median(kernel):
    return lambda x, y: discrepancy(functools.partial(kernel, bandwidth=median_distance(x, y)), True)(x, y)


def rbf(x, y, bandwidth=BANDWIDTH):
    return np.exp(-cdist(x, y, "sqeuclidean") / (2 * bandwidth**2))


def rbf_by_sklearn(x, y):
    return pairwise.rbf_kernel(x, y, gamma=1 / (2 * BANDWIDTH**2))


def imq(x, y, bandwidth=BANDWIDTH):
    return 1 / (1 + cdist(x, y, "sqeuclidean") / bandwidth**2)


def polynomial(x, y):
    return (np.einsum("ik,jk->ij", x, y) / x.shape[1] + 1) ** 3


def polynomial_by_sklearn(x, y):
    return pairwise.polynomial_kernel(x, y, degree=3, gamma=1 / x.shape[1], coef0=1)


KERNELS = {
    "rbf": {"scikit-learn": rbf_by_sklearn, "formula": rbf},
    "imq": {"formula": imq},
    "polynomial": {"scikit-learn": polynomial_by_sklearn, "formula": polynomial},
}
# What errors are relative to: the mean kernel; for the polynomial, that of |x| |y|, since inner products cancel.
SIZE = {"rbf": 1.0, "imq": 1.0, "polynomial": (3.0**2 + 1) ** 3}


def mmd_case(kernel, unbiased, shapes=SHAPES):
    options = {} if kernel == "polynomial" else {"bandwidth": BANDWIDTH}
    return Case(
        "divergences.mmd",
        functools.partial(divergences.mmd, kernel=kernel, unbiased=unbiased, **options),
        {"x": real(3.0), "y": real(3.0)},
        shapes,
        {who: discrepancy(function, unbiased) for who, function in KERNELS[kernel].items()},
        floor=SIZE[kernel],
        finite_at=COINCIDING,
        label=f"{kernel}, {'unbiased' if unbiased else 'biased'}",
    )


# Programs of distances in many dimensions take long to compile. The other kernels of distances have them too, but not
# as their last shape, of which derivatives, batches and bfloat16 are tested.
FEW_DIMENSIONS_LAST = [MANY_DIMENSIONS, ((4, 1), (2, 1)), ((3, 2, 2), (6, 2, 2))]
CASES = [
    mmd_case("rbf", unbiased=True),
    mmd_case("rbf", unbiased=False, shapes=FEW_DIMENSIONS_LAST),
    mmd_case("imq", unbiased=True, shapes=FEW_DIMENSIONS_LAST),
    mmd_case("polynomial", unbiased=True),
    Case(
        "divergences.mmd",
        divergences.mmd,
        {"x": real(3.0), "y": real(3.0)},
        FEW_DIMENSIONS_LAST,
        {"formula": by_median(rbf)},
        floor=SIZE["rbf"],
        differentiable=False,  # the bandwidth is a constant for gradients, but not for finite differences
        finite_at=COINCIDING,
        label="median",
    ),
    Case(
        "divergences.energy_distance",
        divergences.energy_distance,
        {"x": real(), "y": real()},
        [*SHAPES, ((1, 3), (1, 3))],
        {"formula": discrepancy(lambda x, y: -cdist(x, y), False)},
        floor=10.0,
        finite_at=COINCIDING,
    ),
    Case(
        "divergences.energy_distance",
        divergences.energy_distance,
        {"x": real(), "y": real()},
        [((7,), (4,)), ((1,), (3,))],
        {"SciPy": lambda x, y: scipy.stats.energy_distance(x, y) ** 2},
        floor=10.0,
        label="in one dimension",
    ),
]
