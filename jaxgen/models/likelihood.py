"""The distributions p(x|z) of the variational models, as functions of the decoder's output."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax

from jaxgen.game import unchanged
from jaxgen.losses import bernoulli_nll, gaussian_nll, laplace_nll
from jaxgen.typing import Array, Float

LikelihoodName = Literal["bernoulli", "gaussian", "laplace"]


class Likelihood(NamedTuple):
    """A distribution p(x|z), given the decoder's output for z.

    Attributes:
        nll: `(decoded, x, log_scale) -> -log p(x|z)` in nats per example, summed over the axes of an example.
        mean: `decoded -> E[x|z]`, which is returned as a sample.
        scaled: whether the distribution has a scale. Distributions without one are for values in [0, 1], i.e. images.
    """

    nll: Callable[[Array, Array, Array], Float[Array, " batch"]]
    mean: Callable[[Array], Array]
    scaled: bool


LIKELIHOODS: dict[str, Likelihood] = {
    "bernoulli": Likelihood(
        nll=lambda logits, x, _: bernoulli_nll(logits, x),
        mean=jax.nn.sigmoid,
        scaled=False,
    ),
    "gaussian": Likelihood(
        nll=lambda mean, x, log_scale: gaussian_nll(mean, x, log_scale=log_scale),
        mean=unchanged,
        scaled=True,
    ),
    "laplace": Likelihood(
        nll=lambda mean, x, log_scale: laplace_nll(mean, x, log_scale=log_scale),
        mean=unchanged,
        scaled=True,
    ),
}
"""Name -> distribution."""
