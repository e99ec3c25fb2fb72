"""References of `jaxgen/divergences/gaussian.py`: PyTorch, POT, and the formulas in float64."""

import hypothesis.extra.numpy as hnp
import numpy as np
import ot
import torch
from hypothesis import strategies as st
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from jaxgen import divergences
from tests.contract import Case, Domain, real

SHAPES_OF_EVENTS = [(1,), (2, 3), (2, 3, 2)]
SHAPES_OF_GAUSSIANS = [((k,), (k, k), (k,), (k, k)) for k in (1, 3)] + [((2, 3), (2, 3, 3), (2, 3), (2, 3, 3))]
GAUSSIANS = ("mean_p", "cov_p", "mean_q", "cov_q")
NO_EVENTS = np.zeros((1, 2))
ZERO, ONE, TWO = np.zeros((2, 2)), np.eye(2), np.diag([1.0, 2.0])
LINE, OTHER_LINE = np.ones((2, 2)), np.diag([0.0, 1.0])


def covariances(*, least):
    """Return the domain of matrices `F F' + least I` with F of small integers.

    They are exact in float32, and so are their zero eigenvalues. Samples are covariances of twice as many normal
    vectors as there are dimensions.
    """

    def of(factors):
        return np.float64(factors @ np.swapaxes(factors, -1, -2) + least * np.eye(factors.shape[-2], dtype=int))

    def sample(rng, shape):
        vectors = rng.normal(size=(*shape[:-1], 2 * shape[-1]))
        return vectors @ np.swapaxes(vectors, -1, -2) / (2 * shape[-1])

    return Domain(lambda shape: hnp.arrays(np.int64, shape, elements=st.integers(-2, 2)).map(of), sample)


def gaussians(*, least):
    return dict(zip(GAUSSIANS, [real(), covariances(least=least)] * 2, strict=True))


def per_gaussian(reference):
    return np.vectorize(reference, signature="(k),(k,k),(k),(k,k)->()")


def of_torch(family):
    def divergence(*arrays):
        p_1, p_2, q_1, q_2 = map(torch.as_tensor, arrays)
        return kl_divergence(family(p_1, p_2), family(q_1, q_2))

    return divergence


def kl_of_torch(mean_p, log_var_p, mean_q, log_var_q):
    terms = of_torch(Normal)(mean_p, np.exp(log_var_p / 2), mean_q, np.exp(log_var_q / 2))
    return terms.reshape(len(mean_p), -1).sum(1).numpy()


def kl_by_formula(mean_p, log_var_p, mean_q, log_var_q):
    var_p, var_q = np.exp(log_var_p), np.exp(log_var_q)
    terms = var_p / var_q + (mean_p - mean_q) ** 2 / var_q - 1 + log_var_q - log_var_p
    return terms.reshape(len(mean_p), -1).sum(axis=1) / 2


@per_gaussian
def multivariate_kl_by_formula(mean_p, cov_p, mean_q, cov_q):
    distance = mean_p - mean_q
    quadratic = np.trace(np.linalg.solve(cov_q, cov_p)) + distance @ np.linalg.solve(cov_q, distance)
    return (quadratic - len(mean_p) + np.linalg.slogdet(cov_q)[1] - np.linalg.slogdet(cov_p)[1]) / 2


@per_gaussian
def frechet_by_formula(mean_p, cov_p, mean_q, cov_q):
    of_product = np.maximum(np.linalg.eigvals(cov_p @ cov_q).real, 0)
    return np.sum((mean_p - mean_q) ** 2) + np.trace(cov_p + cov_q) - 2 * np.sqrt(of_product).sum()


@per_gaussian
def frechet_of_pot(mean_p, cov_p, mean_q, cov_q):
    return ot.gaussian.bures_wasserstein_distance(mean_p, mean_q, cov_p, cov_q) ** 2


CASES = [
    Case(
        "divergences.kl_standard_normal",
        divergences.kl_standard_normal,
        {"mean": real(), "log_var": real()},
        SHAPES_OF_EVENTS,
        {
            "PyTorch": lambda mean, log_var: kl_of_torch(mean, log_var, 0 * mean, 0 * mean),
            "formula": lambda mean, log_var: kl_by_formula(mean, log_var, 0 * mean, 0 * mean),
        },
        floor=1e-9,
        finite_at=[(NO_EVENTS, NO_EVENTS), (NO_EVENTS, [[-1e4, 80.0]]), ([[1e4, -1e4]], NO_EVENTS)],
    ),
    Case(
        "divergences.kl_normal",
        divergences.kl_normal,
        {"mean_p": real(), "log_var_p": real(), "mean_q": real(), "log_var_q": real()},
        SHAPES_OF_EVENTS,
        {"PyTorch": kl_of_torch, "formula": kl_by_formula},
        floor=1e-9,
        finite_at=[
            (NO_EVENTS, NO_EVENTS, NO_EVENTS, NO_EVENTS),
            (NO_EVENTS, [[-1e4, -1e4]], NO_EVENTS, [[-1e4, 1e4]]),
            ([[1e4, -1e4]], NO_EVENTS, NO_EVENTS, NO_EVENTS),
        ],
    ),
    Case(
        "divergences.kl_multivariate_normal",
        divergences.kl_multivariate_normal,
        gaussians(least=1),
        SHAPES_OF_GAUSSIANS,
        {"PyTorch": of_torch(MultivariateNormal), "formula": multivariate_kl_by_formula},
        equal=GAUSSIANS,
        floor=1e-2,
        finite_at=[(ONE[0], ONE, ONE[0], ONE), (ONE[0], TWO, ZERO[0], ONE)],
    ),
    Case(
        "divergences.frechet_distance",
        divergences.frechet_distance,
        gaussians(least=1),
        SHAPES_OF_GAUSSIANS,
        {"POT": frechet_of_pot, "formula": frechet_by_formula},
        equal=GAUSSIANS,
        floor=1e-2,
        finite_at=[(ONE[0], ONE, ONE[0], ONE), (ONE[0], TWO, ZERO[0], ONE)],
    ),
    Case(
        "divergences.frechet_distance",
        divergences.frechet_distance,
        gaussians(least=0),
        SHAPES_OF_GAUSSIANS,
        {"formula": frechet_by_formula},
        floor=1e-2,
        finite_at=[(ONE[0], p, ZERO[0], q) for p in (ZERO, LINE, OTHER_LINE, TWO) for q in (ZERO, LINE, TWO)],
        label="singular",
    ),
]
