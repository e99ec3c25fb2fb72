"""References of `jaxgen/divergences/sliced.py`: SciPy, POT, and sorting of equally many points in float64."""

from unittest import mock

import hypothesis.extra.numpy as hnp
import jax
import jax.numpy as jnp
import numpy as np
import ot
import scipy.stats
from hypothesis import strategies as st

from jaxgen import divergences
from jaxgen.divergences import sliced as implementation
from tests.contract import Case, Domain, real

LINE = {"x": real(), "y": real()}
SIZES = [((3,), (1,)), ((7,), (7,)), ((6,), (9,))]
TIES = [([1.0, 1.0, 1.0], [1.0, 1.0, 1.0]), ([0.0, 0.0, 2.0], [0.0, 2.0, 2.0]), ([3.0, 3.0], [1.0, 3.0, 3.0])]
KEY = jax.random.key(7)


def counts() -> Domain:
    """Return the domain of masses that are integers, some of them 0; samples are any positive numbers."""

    def with_mass(masses: np.ndarray) -> np.ndarray:
        return masses + (masses.sum() == 0)

    return Domain(
        lambda shape: hnp.arrays(np.float64, shape, elements=st.integers(0, 20).map(float)).map(with_mass),
        lambda rng, shape: rng.exponential(size=shape) + 0.1,
    )


def repeated(x, y, order):
    """Return the distance of samples of equal size, which sorting matches.

    Each point is repeated as often as the other sample has points.
    """
    gaps = np.repeat(np.sort(x, axis=0), len(y), axis=0) - np.repeat(np.sort(y, axis=0), len(x), axis=0)
    return (np.abs(gaps) ** order).mean(axis=0) ** (1 / order)


def directions(size):
    normal = np.float64(jax.random.normal(KEY, (17, size), jnp.float32)).T
    return normal / np.linalg.norm(normal, axis=0)


def of_order(order):
    return lambda x, y: divergences.wasserstein_1d(x, y, order=order)


def with_weights(order):
    return lambda x, y, u, v: divergences.wasserstein_1d(x, y, order=order, x_weights=u, y_weights=v)


def sliced(order):
    def distance(x, y):
        # Four blocks and a remainder, as with more directions: blocks are unrolled, and smaller ones compile faster.
        with mock.patch.object(implementation, "BLOCK", 4):
            return divergences.sliced_wasserstein(KEY, x, y, n_projections=17, order=order)

    return distance


def sliced_by_pot(order):
    return lambda x, y: ot.sliced_wasserstein_distance(x, y, projections=directions(x.shape[1]), p=order)


def sliced_by_formula(order):
    def formula(x, y):
        of_lines = repeated(x @ directions(x.shape[1]), y @ directions(y.shape[1]), order)
        return (of_lines**order).mean() ** (1 / order)

    return formula


POINTS = {"x": real(), "y": real()}
SETS = [((6, 3), (6, 3)), ((5, 2), (8, 2))]
CASES = [
    Case(
        "divergences.wasserstein_1d",
        of_order(1),
        LINE,
        SIZES,
        {"SciPy": scipy.stats.wasserstein_distance, "formula": lambda x, y: repeated(x, y, 1)},
        finite_at=TIES,
    ),
    Case(
        "divergences.wasserstein_1d",
        of_order(2),
        LINE,
        SIZES,
        {"POT": lambda x, y: ot.emd2_1d(x, y) ** 0.5, "formula": lambda x, y: repeated(x, y, 2)},
        floor=1e-2,  # POT's cumulative masses of 1 / n do not coincide: the error of its square is 1e-15 of the range's
        finite_at=TIES,
        label="order 2",
    ),
    Case(
        "divergences.wasserstein_1d",
        of_order(3.5),
        LINE,
        SIZES,
        {"formula": lambda x, y: repeated(x, y, 3.5)},
        floor=1e-6,  # the powers of the formula underflow below
        finite_at=TIES,
        label="order 3.5",
    ),
    Case(
        "divergences.wasserstein_1d",
        with_weights(1),
        LINE | {"x_weights": counts(), "y_weights": counts()},
        [(x, y, x, y) for x, y in SIZES],
        {
            "SciPy": scipy.stats.wasserstein_distance,
            "POT": lambda x, y, u, v: ot.emd2_1d(x, y, *shares(u, v), "euclidean"),
        },
        floor=1e-7,  # rounding errors of SciPy and POT
        finite_at=[(*points, np.ones(len(points[0])), np.ones(len(points[1]))) for points in TIES],
        label="weights",
    ),
    Case(
        "divergences.wasserstein_1d",
        with_weights(2),
        LINE | {"x_weights": counts(), "y_weights": counts()},
        [(x, y, x, y) for x, y in SIZES],
        {"POT": lambda x, y, u, v: ot.emd2_1d(x, y, *shares(u, v)) ** 0.5},
        floor=1e-2,
        finite_at=[(*points, np.ones(len(points[0])), np.ones(len(points[1]))) for points in TIES],
        label="order 2, weights",
    ),
    *(
        Case(
            "divergences.sliced_wasserstein",
            sliced(order),
            POINTS,
            SETS,
            {"POT": sliced_by_pot(order), "formula": sliced_by_formula(order)},
            floor=1.0,  # projections of points up to 10 long are rounded to 1e-6
            equal=(),
            finite_at=[(np.ones((3, 2)), np.ones((3, 2))), (np.ones((3, 2)), np.zeros((4, 2)))],
            label=f"order {order}",
        )
        for order in (1, 2)
    ),
]


def shares(*masses):
    return tuple(mass / mass.sum() for mass in masses)
