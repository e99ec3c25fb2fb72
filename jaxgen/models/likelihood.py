"""The distributions p(x|z) of the variational models, as functions of the decoder's output."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax

from jaxgen.errors import InputError, check_known
from jaxgen.game import unchanged
from jaxgen.losses import bernoulli_nll, gaussian_nll, laplace_nll
from jaxgen.models.preprocessing import is_image
from jaxgen.typing import Array, Batch, Float

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


def choose_likelihood(name: LikelihoodName, example: Batch, *, learn_scale: bool, binarize: bool) -> Likelihood:
    """Return the distribution of a name, if it fits the data and the other options.

    Args:
        name: name of the distribution.
        example: batch that shows the shape of the data.
        learn_scale: whether its scale is learned.
        binarize: whether images are binarized.

    Returns:
        The distribution.

    Raises:
        InputError: if there is no such distribution, or it does not fit.

    Example:
        >>> choose_likelihood("bernoulli", {"point": jax.numpy.zeros((1, 2))}, learn_scale=False, binarize=False)
        Traceback (most recent call last):
        jaxgen.errors.InputError: the bernoulli likelihood is for images: choose gaussian or laplace for points
    """
    check_known("likelihood", name, LIKELIHOODS)
    likelihood = LIKELIHOODS[name]
    if learn_scale and not likelihood.scaled:
        raise InputError(f"the {name} likelihood has no scale to learn: choose gaussian or laplace")
    if not likelihood.scaled and not is_image(example):
        raise InputError(f"the {name} likelihood is for images: choose gaussian or laplace for points")
    if likelihood.scaled and binarize:
        raise InputError(f"binarize must be False for the {name} likelihood, which is not one of 0 and 1")
    return likelihood
