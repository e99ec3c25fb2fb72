"""Divergences between distributions: pure functions, in nats unless they say otherwise."""

from jaxgen.divergences.discrete import (
    chi_square,
    cross_entropy,
    entropy,
    f_divergence,
    hellinger,
    js,
    kl,
    renyi,
    total_variation,
)
from jaxgen.divergences.gaussian import kl_standard_normal

__all__ = [
    "chi_square",
    "cross_entropy",
    "entropy",
    "f_divergence",
    "hellinger",
    "js",
    "kl",
    "kl_standard_normal",
    "renyi",
    "total_variation",
]
