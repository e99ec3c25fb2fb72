"""How likely a decoder's output makes an example: the choices that the variational models share."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax

from jaxgen.losses import bernoulli_nll, gaussian_nll, laplace_nll
from jaxgen.typing import Array, Float

LikelihoodName = Literal["bernoulli", "gaussian", "laplace"]


class Likelihood(NamedTuple):
    """p(x|z), given what the decoder says of z.

    Attributes:
        nll: `(decoded, x, log_scale) -> -log p(x|z)` in nats per example.
        mean: `decoded -> E[x|z]`, what is shown as a sample.
        scaled: whether the distribution has a scale. One without covers [0, 1] only, which is for pictures.
    """

    nll: Callable[[Array, Array, Array], Float[Array, " batch"]]
    mean: Callable[[Array], Array]
    scaled: bool


def _identity(decoded: Array) -> Array:
    return decoded


LIKELIHOODS: dict[str, Likelihood] = {
    "bernoulli": Likelihood(
        nll=lambda logits, x, _: bernoulli_nll(logits, x),
        mean=jax.nn.sigmoid,
        scaled=False,
    ),
    "gaussian": Likelihood(
        nll=lambda mean, x, log_scale: gaussian_nll(mean, x, log_scale=log_scale),
        mean=_identity,
        scaled=True,
    ),
    "laplace": Likelihood(
        nll=lambda mean, x, log_scale: laplace_nll(mean, x, log_scale=log_scale),
        mean=_identity,
        scaled=True,
    ),
}
"""Name of a likelihood -> what it is."""
