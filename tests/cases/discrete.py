"""References of `jaxgen/divergences/discrete.py`: SciPy, PyTorch, and the definitions in float64."""

import functools
import math

import jax.numpy as jnp
import numpy as np
import scipy.spatial.distance
import scipy.special
import scipy.stats
import torch
from jax.scipy.special import xlogy

from jaxgen import divergences
from tests.contract import Case, simplex

PAIR = {"p": simplex(), "q": simplex()}
SHAPES = [(2,), (5,), (3, 4)]
HALVES = [0.5, 0.5, 0.0]
# Distributions that are equal or share their support; for others the true gradient is infinite.
SHARED_SUPPORT = [(HALVES, HALVES), (HALVES, [0.25, 0.75, 0.0]), ([0.0, 1.0, 0.0], [0.0, 1.0, 0.0])]


def pointwise(term):
    """Return the sum of a term over outcomes; outcomes with p = q = 0, for which it is 0 / 0, contribute 0."""

    def divergence(p, q):
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where((p == 0) & (q == 0), 0.0, term(p, q)).sum(axis=-1)

    return divergence


def of_torch(loss):
    return lambda p, q: loss(torch.as_tensor(p), torch.as_tensor(q)).numpy()


def renyi(alpha):
    def divergence(p, q):
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            if alpha == math.inf:
                return np.log(np.where(p > 0, p / q, 0).max(axis=-1))
            total = np.where(p > 0, p**alpha * q ** (1 - alpha), 0).sum(axis=-1)
            return np.log(total) / (alpha - 1)

    return divergence


def logs(x):
    with np.errstate(divide="ignore"):
        return np.log(x)


GENERATORS = {
    "kl": (lambda t: xlogy(t, t), math.inf, lambda p, q: scipy.special.rel_entr(p, q).sum(-1)),
    "js": (
        lambda t: 0.5 * (xlogy(t, t) - (t + 1) * jnp.log((t + 1) / 2)),
        math.log(2) / 2,
        lambda p, q: scipy.spatial.distance.jensenshannon(p, q, axis=-1) ** 2,
    ),
    "total variation": (lambda t: abs(t - 1) / 2, 0.5, lambda p, q: np.abs(p - q).sum(-1) / 2),
    "squared hellinger": (
        lambda t: (jnp.sqrt(t) - 1) ** 2 / 2,
        0.5,
        pointwise(lambda p, q: (p**0.5 - q**0.5) ** 2 / 2),
    ),
    "chi square": (lambda t: (t - 1) ** 2, math.inf, pointwise(lambda p, q: (p - q) ** 2 / q)),
}

CASES = [
    Case(
        "divergences.kl",
        divergences.kl,
        PAIR,
        SHAPES,
        {
            "SciPy": lambda p, q: scipy.special.kl_div(p, q).sum(axis=-1),
            "PyTorch": of_torch(lambda p, q: (torch.xlogy(p, p) - torch.xlogy(p, q) - p + q).sum(-1)),
        },
        floor=1e-9,  # float64 cancels below
        finite_at=[*SHARED_SUPPORT, ([1.0, 1e-20, 1e-37], [1.0, 1e-37, 1e-20])],
    ),
    Case(
        "divergences.js",
        divergences.js,
        PAIR,
        SHAPES,
        {
            "SciPy": lambda p, q: scipy.spatial.distance.jensenshannon(p, q, axis=-1) ** 2,
            "formula": lambda p, q: (
                (scipy.special.rel_entr(p, (p + q) / 2) + scipy.special.rel_entr(q, (p + q) / 2)).sum(-1) / 2
            ),
        },
        floor=1e-9,
        finite_at=[*SHARED_SUPPORT, ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0]), ([1.0, 1e-20, 0.0], [1.0, 1e-37, 0.0])],
    ),
    Case(
        "divergences.total_variation",
        divergences.total_variation,
        PAIR,
        SHAPES,
        {
            "SciPy": lambda p, q: np.vectorize(scipy.spatial.distance.cityblock, signature="(n),(n)->()")(p, q) / 2,
        },
        finite_at=[*SHARED_SUPPORT, ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0])],
    ),
    Case(
        "divergences.hellinger",
        divergences.hellinger,
        PAIR,
        SHAPES,
        {"formula": lambda p, q: np.linalg.norm(np.sqrt(p) - np.sqrt(q), axis=-1) / math.sqrt(2)},
        finite_at=SHARED_SUPPORT,
    ),
    Case(
        "divergences.chi_square",
        divergences.chi_square,
        PAIR,
        SHAPES,
        {"formula": pointwise(lambda p, q: (p - q) ** 2 / q)},
        finite_at=SHARED_SUPPORT,
    ),
    *(
        Case(
            "divergences.renyi",
            functools.partial(divergences.renyi, alpha=alpha),
            PAIR,
            SHAPES,
            {"formula": renyi(alpha)},
            floor=0.03 / min(1.0, abs(alpha - 1)),
            finite_at=SHARED_SUPPORT,
            label=f"alpha={alpha}",
        )
        for alpha in (0.0, 0.5, 0.99, 2.0, 10.0, math.inf)
    ),
    Case(
        "divergences.entropy",
        divergences.entropy,
        {"p": simplex()},
        SHAPES,
        {"SciPy": lambda p: scipy.special.entr(p).sum(-1)},
        finite_at=[([0.5, 0.5],), ([1.0],)],
    ),
    Case(
        "divergences.cross_entropy",
        divergences.cross_entropy,
        PAIR,
        SHAPES,
        {
            "SciPy": lambda p, q: scipy.special.entr(p).sum(-1) + scipy.special.rel_entr(p, q).sum(-1),
            "PyTorch": of_torch(lambda p, q: -torch.xlogy(p, q).sum(-1)),
        },
        finite_at=[*SHARED_SUPPORT, ([1.0, 0.0, 0.0], [1.0, 0.0, 0.0])],
    ),
    *(
        Case(
            "divergences.f_divergence",
            functools.partial(divergences.f_divergence, generator=generator, derivative_at_infinity=limit),
            PAIR,
            SHAPES,
            {"SciPy" if name in ("kl", "js") else "formula": reference},
            floor=0.1,
            finite_at=[(HALVES[:2], HALVES[:2]), ([1.0, 1e-20], [1.0, 1e-20])],
            label=name,
        )
        for name, (generator, limit, reference) in GENERATORS.items()
    ),
]
