"""Losses: pure functions, elementwise or per example and unreduced, so that the caller takes the mean."""

from jaxgen.losses.adversarial import AdversarialLoss, non_saturating, wasserstein
from jaxgen.losses.latent import l1_code, l2_code
from jaxgen.losses.penalties import gradient_penalty
from jaxgen.losses.reconstruction import bernoulli_nll, gaussian_nll, laplace_nll
from jaxgen.losses.regression import absolute_error, squared_error
from jaxgen.losses.similarity import feature_similarity

__all__ = [
    "AdversarialLoss",
    "absolute_error",
    "bernoulli_nll",
    "feature_similarity",
    "gaussian_nll",
    "gradient_penalty",
    "l1_code",
    "l2_code",
    "laplace_nll",
    "non_saturating",
    "squared_error",
    "wasserstein",
]
