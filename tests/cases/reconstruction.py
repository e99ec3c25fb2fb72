"""References of `jaxgen/losses/reconstruction.py`: distributions of SciPy and PyTorch."""

import numpy as np
import scipy.special
import scipy.stats
import torch

from jaxgen import losses
from tests.contract import Case, Domain, integers, real, uniform

SHAPES = [(3,), (2, 4), (3, 2, 2)]
PAIR = {"mean": real(10.0), "targets": real(10.0)}
SCALED = {**PAIR, "log_scale": real(3.0)}


def summed(terms):
    """Return the sum over the event of elementwise terms."""
    return lambda *arrays: np.asarray(terms(*arrays)).reshape(len(arrays[0]), -1).sum(axis=1)


def by_scipy(distribution):
    return summed(lambda mean, targets, log_scale=0.0: -distribution.logpdf(targets, mean, np.exp(log_scale)))


def by_torch(distribution):
    def terms(mean, targets, log_scale=0.0):
        mean, targets = torch.as_tensor(mean), torch.as_tensor(targets)
        scale = torch.as_tensor(np.exp(np.broadcast_to(log_scale, mean.shape)))
        return -distribution(mean, scale, validate_args=False).log_prob(targets).numpy()

    return summed(terms)


def levels(n):
    """Return the domain of the values of a pixel with n levels, rounded to float32."""
    indices = integers(n)

    def values(i):
        return np.float64(np.float32(i / (n - 1)))

    return Domain(
        lambda shape: indices.strategy(shape).map(values), lambda rng, shape: values(indices.sample(rng, shape))
    )


def logistic_mass(n):
    """Return the probability of an interval, on the side of the mean where SciPy's distribution function is small."""

    def terms(mean, targets, log_scale=0.0):
        scale, half = np.exp(log_scale), 0.5 / (n - 1)
        lower = np.where(targets < half, -np.inf, (targets - mean - half) / scale)
        upper = np.where(targets > 1 - half, np.inf, (targets - mean + half) / scale)
        flip = lower + upper > 0
        low, high = np.where(flip, -upper, lower), np.where(flip, -lower, upper)
        inside = scipy.special.expit(high) - scipy.special.expit(low)
        outside = scipy.special.expit(-high) + scipy.special.expit(low)
        return np.where(inside < 0.5, -np.log(inside), -np.log1p(-np.minimum(outside, 0.5)))

    return summed(terms)


CASES = [
    Case(
        "losses.bernoulli_nll",
        losses.bernoulli_nll,
        {"logits": real(100.0), "targets": uniform()},
        SHAPES,
        {
            "SciPy": summed(
                lambda logits, t: -t * scipy.special.log_expit(logits) - (1 - t) * scipy.special.log_expit(-logits)
            ),
            "PyTorch": summed(
                lambda logits, t: (
                    -torch.distributions.Bernoulli(logits=torch.as_tensor(logits), validate_args=False)
                    .log_prob(torch.as_tensor(t))
                    .numpy()
                )
            ),
        },
        floor=1e-7,  # PyTorch's cross-entropy is not accurate below
        finite_at=[([[0.0, 1e4, -1e4, 1e4, -1e4]], [[0.5, 1.0, 0.0, 0.0, 1.0]])],
    ),
    *(
        Case(
            f"losses.{name}",
            lambda mean, targets, log_scale=0.0, nll=nll: nll(mean, targets, log_scale=log_scale),
            arguments,
            SHAPES,
            {"SciPy": by_scipy(scipy_distribution), "PyTorch": by_torch(torch_distribution)},
            floor=1e-2,  # terms of both signs may cancel, as the module states
            finite_at=[([[0.0, 1.0, 1e4]], [[0.0, 1.0, -1e4]], [[-100.0, 100.0, 0.0]])[: len(arguments)]],
            label=", ".join(arguments),
        )
        for name, nll, scipy_distribution, torch_distribution in (
            ("gaussian_nll", losses.gaussian_nll, scipy.stats.norm, torch.distributions.Normal),
            ("laplace_nll", losses.laplace_nll, scipy.stats.laplace, torch.distributions.Laplace),
        )
        for arguments in (PAIR, SCALED)
    ),
    *(
        Case(
            "losses.discretized_logistic_nll",
            lambda mean, targets, log_scale, n=n: losses.discretized_logistic_nll(
                mean, targets, log_scale=log_scale, n_levels=n
            ),
            {"mean": uniform(-0.5, 1.5), "targets": levels(n), "log_scale": uniform(-5.0, 1.0)},
            SHAPES,
            {"SciPy": logistic_mass(n)},
            rtol_double=1e-8,
            finite_at=[
                ([[0.0, 1.0, -1e4, 1e4]], [[0.0, 1.0, 1.0, 0.0]], [[-5.0, 0.0, 0.0, -5.0]]),
                ([[0.5, 0.0, 1.0, 0.5]], [[1.0, 0.0, 1.0, 0.0]], [[100.0, 100.0, -80.0, 100.0]]),
            ],
            label=f"n_levels={n}",
        )
        for n in (2, 256)
    ),
]
