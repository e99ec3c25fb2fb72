"""Adversarial losses: the discriminator's and the generator's loss as functions of the discriminator's output.

Every loss is unreduced, one value per example, and both players minimize theirs. `D = sigmoid(logit)` is the
probability that the discriminator assigns to "real"; losses without a sigmoid treat the output as the value f of a
critic. The last column describes the generator's gradient for samples that the discriminator confidently classifies as
generated::

    loss                  discriminator                            generator                      gradient
    minimax               -log D(real) - log(1 - D(fake))          log(1 - D(fake))               vanishes
    non_saturating        -log D(real) - log(1 - D(fake))          -log D(fake)                   constant
    least_squares         (f(real) - 1)^2 / 2 + f(fake)^2 / 2      (f(fake) - 1)^2 / 2            grows
    hinge                 max(0, 1 - f(real)) + max(0, 1 + f(fake))   -f(fake)                    constant
    wasserstein           f(fake) - f(real)                        -f(fake)                       constant
    relativistic_average  non_saturating, on each logit minus the mean logit of the other batch
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgen._arrays import centre, check_same_shape, float_dtype, widen
from jaxgen.typing import Array, Float

Logits = Float[Array, "*batch"]


class AdversarialLoss(NamedTuple):
    """Pair of functions that the discriminator and the generator minimize.

    Attributes:
        discriminator: `(real_logits, fake_logits) -> loss` per example; both batches have the same shape.
        generator: `(fake_logits, real_logits=None) -> loss` per example. Only relativistic losses use the real logits.
        relativistic: whether the generator's loss needs the real logits.

    Example:
        >>> non_saturating.discriminator(jnp.array([0.0, 1e4]), jnp.array([0.0, -1e4]))
        Array([1.3862944, 0. ], dtype=float32)
        >>> hinge.generator(jnp.array([0.5, -2.0]))
        Array([-0.5, 2. ], dtype=float32)
    """

    discriminator: Callable[[Logits, Logits], Logits]
    generator: Callable[..., Logits]
    relativistic: bool = False


def _pair(
    real: Callable[[Logits], Logits], fake: Callable[[Logits], Logits], generated: Callable[[Logits], Logits]
) -> AdversarialLoss:
    """Return a loss whose discriminator sums a real and a fake term, and whose generator uses the fake logits alone."""

    def discriminator(real_logits: Logits, fake_logits: Logits) -> Logits:
        check_same_shape(real_logits=real_logits, fake_logits=fake_logits)
        loss = real(widen(real_logits)) + fake(widen(fake_logits))
        return loss.astype(float_dtype(real_logits, fake_logits))

    def generator(fake_logits: Logits, real_logits: Logits | None = None) -> Logits:
        return generated(widen(fake_logits)).astype(float_dtype(fake_logits))

    return AdversarialLoss(discriminator, generator)


def _nll_of_real(logits: Logits) -> Logits:
    """Return `-log D`."""
    return jax.nn.softplus(-logits)


def _nll_of_fake(logits: Logits) -> Logits:
    """Return `-log(1 - D)`."""
    return jax.nn.softplus(logits)


minimax = _pair(_nll_of_real, _nll_of_fake, generated=lambda logits: -_nll_of_fake(logits))
"""Loss of the zero-sum game: the generator minimizes the log-probability that D classifies its samples correctly::

    discriminator: -log D(real) - log(1 - D(fake))          generator: log(1 - D(fake))

In nats. At the optimal D, minus the mean discriminator loss is `2 JS(real, fake) - 2 log 2`. The gradient of the
generator's loss with respect to the logit is -D(fake), which vanishes for samples that D confidently classifies as
generated.

Reference: Goodfellow et al. 2014, arXiv:1406.2661, equation 1 and theorem 1.
"""

non_saturating = _pair(_nll_of_real, _nll_of_fake, generated=_nll_of_real)
"""Loss used in practice: the generator maximizes the log-probability that D classifies its samples as real::

    discriminator: -log D(real) - log(1 - D(fake))          generator: -log D(fake)

In nats. The gradient of the generator's loss with respect to the logit is -(1 - D(fake)), whose magnitude is largest
for samples that D confidently classifies as generated.

Reference: Goodfellow et al. 2014, arXiv:1406.2661, section 3.
"""

least_squares = _pair(
    real=lambda values: 0.5 * jnp.square(values - 1.0),
    fake=lambda values: 0.5 * jnp.square(values),
    generated=lambda values: 0.5 * jnp.square(values - 1.0),
)
"""Least-squares loss: the discriminator's output f, without a sigmoid, is regressed to 1 (real) or 0 (fake)::

    discriminator: (f(real) - 1)^2 / 2 + f(fake)^2 / 2          generator: (f(fake) - 1)^2 / 2

Reference: Mao et al. 2017, arXiv:1611.04076, equation 9.
"""

hinge = _pair(
    real=lambda values: jax.nn.relu(1.0 - values),
    fake=lambda values: jax.nn.relu(1.0 + values),
    generated=lambda values: -values,
)
"""Hinge loss: the discriminator's loss and gradient are 0 beyond a margin of 1, as in support vector machines::

    discriminator: max(0, 1 - f(real)) + max(0, 1 + f(fake))          generator: -f(fake)

Reference: Lim and Ye 2017, arXiv:1705.02894; Miyato et al. 2018, arXiv:1802.05957, equations 16 and 17.
"""

wasserstein = _pair(
    real=lambda values: -values,
    fake=lambda values: values,
    generated=lambda values: -values,
)
"""Loss from the dual form of the Wasserstein-1 distance. The critic must be kept Lipschitz by other means.

With f = the critic value, which takes the place of the logit::

    discriminator: f(fake) - f(real)          generator: -f(fake)

If f is the optimal 1-Lipschitz function, the mean of `-discriminator` is the distance, in the unit of the data.

Reference: Arjovsky, Chintala and Bottou 2017, arXiv:1701.07875, equation 2 and algorithm 1.
"""


def _relativistic_discriminator(real_logits: Logits, fake_logits: Logits) -> Logits:
    check_same_shape(real_logits=real_logits, fake_logits=fake_logits)
    # Only differences of logits have an effect, so no loss keeps the logits themselves from becoming large.
    columns = centre(jnp.reshape(widen(real_logits), (-1, 1)), jnp.reshape(widen(fake_logits), (-1, 1)))
    real, fake = (jnp.reshape(logits, jnp.shape(real_logits)) for logits in columns)
    loss = _nll_of_real(real - jnp.mean(fake)) + _nll_of_fake(fake - jnp.mean(real))
    return loss.astype(float_dtype(real_logits, fake_logits))


def _relativistic_generator(fake_logits: Logits, real_logits: Logits | None = None) -> Logits:
    if real_logits is None:
        raise ValueError("real_logits must be given to the generator of relativistic_average, got None")
    check_same_shape(fake_logits=fake_logits, real_logits=real_logits)
    return _relativistic_discriminator(fake_logits, real_logits)


relativistic_average = AdversarialLoss(_relativistic_discriminator, _relativistic_generator, relativistic=True)
"""Relativistic average loss: D compares each example with the mean of the other batch.

With `D(x, others) = sigmoid(logit(x) - mean(logit(others)))`, the mean over all values of the batch::

    discriminator: -log D(real, fake) - log(1 - D(fake, real))
    generator:     -log D(fake, real) - log(1 - D(real, fake))

In nats. This is the only loss whose generator needs `real_logits`.

Reference: Jolicoeur-Martineau 2019, arXiv:1807.00734 (RaSGAN).
"""
