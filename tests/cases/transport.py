"""References of `jaxgen/divergences/transport.py`: linear programs of SciPy, and Sinkhorn's iteration in float64."""

import numpy as np
import ot
import scipy.optimize

from jaxgen import divergences
from tests.contract import Case, real, simplex, uniform

PROBLEM = {"a": simplex(), "b": simplex(), "cost": uniform(0.0, 10.0)}
SIZES = [((n,), (m,), (n, m)) for n, m in ((1, 1), (4, 4), (3, 6))]
EPSILON = 4.0


def normalized(function):
    """Return the function of masses normalized to sum 1, so that each mass can be perturbed alone."""
    return lambda a, b, cost: function(a / a.sum(), b / b.sum(), cost)


def primal(a, b, cost):
    n, m = cost.shape
    rows, columns = np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))
    # The last constraint follows from the others and is left out: with rounding, the program would be infeasible.
    constraints, masses = np.vstack([rows, columns])[:-1], np.concatenate([a, b])[:-1]
    return scipy.optimize.linprog(cost.ravel(), A_eq=constraints, b_eq=masses).fun


def dual(a, b, cost):
    n, m = cost.shape
    pairs = np.hstack([np.kron(np.eye(n), np.ones((m, 1))), np.kron(np.ones((n, 1)), np.eye(m))])
    # One potential is fixed to 0: otherwise, if rounding makes the totals differ, the program is unbounded.
    bounds = [(0.0, 0.0), *[(None, None)] * (n + m - 1)]
    return -scipy.optimize.linprog(-np.concatenate([a, b]), A_ub=pairs, b_ub=cost.ravel(), bounds=bounds).fun


def sinkhorn_divergence(regularized_cost):
    """Return the debiased divergence of samples for a function from squared distances to the regularized cost."""

    def divergence(x, y):
        xy, xx, yy = (regularized_cost(((p[:, None] - q) ** 2).sum(-1)) for p, q in ((x, y), (x, x), (y, y)))
        return xy - (xx + yy) / 2

    return divergence


def by_scaling(cost):
    """Compute the regularized cost by Sinkhorn's iteration of the scalings u and v of the plan u K v."""
    kernel = np.exp(-cost / EPSILON)
    a, b = (np.full(size, 1 / size) for size in cost.shape)
    u, before = np.ones(len(a)), np.zeros(len(a))
    while np.abs(u / np.where(before > 0, before, np.inf) - 1).max() > 1e-12:
        v = b / (kernel.T @ u)
        before, u = u, a / (kernel @ v)
    return regularized(u[:, None] * kernel * v, cost)


def by_pot(cost):
    a, b = (np.full(size, 1 / size) for size in cost.shape)
    plan = ot.bregman.sinkhorn_log(a, b, cost, EPSILON, stopThr=1e-12, numItermax=10_000)
    return regularized(plan, cost)


def regularized(plan, cost):
    """Return `sum(P C) + epsilon KL(P || a b')`; POT's own value leaves out the second term."""
    return (plan * cost).sum() + EPSILON * (plan * np.log(np.where(plan > 0, plan, 1) * plan.size)).sum()


CASES = [
    Case(
        "divergences.earth_movers_distance",
        normalized(lambda a, b, cost: divergences.earth_movers_distance(a, b, cost).cost),
        PROBLEM,
        SIZES,
        {"SciPy": normalized(primal), "SciPy's dual": normalized(dual), "POT": normalized(ot.emd2)},
        floor=1.0,  # masses are normalized in float32, and their rounding changes costs of up to 10
        rtol_bfloat16=2**-5,  # masses are normalized in bfloat16
        finite_at=[(np.ones(2), np.array([2.0, 0.0]), np.zeros((2, 2)))],
    ),
    Case(
        "divergences.kantorovich_dual",
        normalized(lambda a, b, cost: divergences.kantorovich_dual(a, b, cost).value),
        PROBLEM,
        SIZES,
        {"SciPy": normalized(primal), "SciPy's dual": normalized(dual), "POT": normalized(ot.emd2)},
        floor=1.0,
        rtol_bfloat16=2**-5,
        finite_at=[(np.ones(2), np.array([2.0, 0.0]), np.zeros((2, 2)))],
    ),
    Case(
        "divergences.sinkhorn_divergence",
        lambda x, y: divergences.sinkhorn_divergence(x, y, epsilon=EPSILON),
        {"x": real(2.0), "y": real(2.0)},
        [((1, 2), (3, 2)), ((4, 1), (4, 1)), ((5, 3), (4, 3))],
        {"formula": sinkhorn_divergence(by_scaling), "POT": sinkhorn_divergence(by_pot)},
        floor=1.0,  # a difference of costs, of squared distances up to 48
        equal=(),
        finite_at=[(np.ones((3, 2)), np.ones((3, 2))), (np.eye(3), np.eye(3)[::-1])],
    ),
]
