"""Divergences between distributions: pure functions, in nats unless stated otherwise."""

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
from jaxgen.divergences.gaussian import frechet_distance, kl_multivariate_normal, kl_normal, kl_standard_normal
from jaxgen.divergences.kernel import energy_distance, mmd
from jaxgen.divergences.sliced import sliced_wasserstein, wasserstein_1d
from jaxgen.divergences.transport import (
    Dual,
    Transport,
    earth_movers_distance,
    kantorovich_dual,
    sinkhorn_divergence,
)

__all__ = [
    "Dual",
    "Transport",
    "chi_square",
    "cross_entropy",
    "earth_movers_distance",
    "energy_distance",
    "entropy",
    "f_divergence",
    "frechet_distance",
    "hellinger",
    "js",
    "kantorovich_dual",
    "kl",
    "kl_multivariate_normal",
    "kl_normal",
    "kl_standard_normal",
    "mmd",
    "renyi",
    "sinkhorn_divergence",
    "sliced_wasserstein",
    "total_variation",
    "wasserstein_1d",
]
