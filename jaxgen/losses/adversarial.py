"""The two sides of an adversarial game, as functions of the discriminator's logits.

Each pair is unreduced, one loss per example, and both sides are minimized. D = sigmoid(logits) is the probability that
the discriminator gives to "real"; losses without a sigmoid call the same numbers values of a critic f::

    pair                  discriminator                            generator                      where D is sure
    minimax               -log D(real) - log(1 - D(fake))          log(1 - D(fake))               gradient vanishes
    non_saturating        -log D(real) - log(1 - D(fake))          -log D(fake)                   gradient stays
    least_squares         (f(real) - 1)^2 / 2 + f(fake)^2 / 2      (f(fake) - 1)^2 / 2            gradient grows
    hinge                 max(0, 1 - f(real)) + max(0, 1 + f(fake))   -f(fake)                    gradient stays
    wasserstein           f(fake) - f(real)                        -f(fake)                       gradient stays
    relativistic_average  non_saturating on logits minus the mean logit of the other side
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgen._arrays import check_same_shape, float_dtype, widen
from jaxgen.typing import Array, Float

Logits = Float[Array, "*batch"]


class AdversarialLoss(NamedTuple):
    """What the discriminator minimizes, and what the generator does.

    Attributes:
        discriminator: `(real_logits, fake_logits) -> loss` per example; the two batches have one shape.
        generator: `(fake_logits, real_logits=None) -> loss` per example. Only relativistic losses use the real logits.
        relativistic: whether they do.

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
    """The discriminator's loss is a sum over real and fake logits, and the generator's sees fake ones alone."""

    def discriminator(real_logits: Logits, fake_logits: Logits) -> Logits:
        check_same_shape(real_logits=real_logits, fake_logits=fake_logits)
        loss = real(widen(real_logits)) + fake(widen(fake_logits))
        return loss.astype(float_dtype(real_logits, fake_logits))

    def generator(fake_logits: Logits, real_logits: Logits | None = None) -> Logits:
        return generated(widen(fake_logits)).astype(float_dtype(fake_logits))

    return AdversarialLoss(discriminator, generator)


def _not_real(logits: Logits) -> Logits:
    """`-log D`."""
    return jax.nn.softplus(-logits)


def _not_fake(logits: Logits) -> Logits:
    """`-log(1 - D)`."""
    return jax.nn.softplus(logits)


minimax = _pair(_not_real, _not_fake, generated=lambda logits: -_not_fake(logits))
"""The zero-sum game: D tells real from fake, G makes D wrong::

    discriminator: -log D(real) - log(1 - D(fake))          generator: log(1 - D(fake))

In nats. At the best D, minus the mean discriminator loss is `2 JS(real, fake) - 2 log 2`. The gradient of the generator
is D(fake) times that of the logit, which vanishes where D is sure that a picture is generated.

Reference: Goodfellow et al. 2014, arXiv:1406.2661, equation 1 and theorem 1.
"""

non_saturating = _pair(_not_real, _not_fake, generated=_not_real)
"""The GAN as it is trained: D tells real from fake, G makes D say "real"::

    discriminator: -log D(real) - log(1 - D(fake))          generator: -log D(fake)

In nats. The gradient of the generator is 1 - D(fake) times that of the logit, which is largest where D is sure that a
picture is generated.

Reference: Goodfellow et al. 2014, arXiv:1406.2661, section 3.
"""

least_squares = _pair(
    real=lambda values: 0.5 * jnp.square(values - 1.0),
    fake=lambda values: 0.5 * jnp.square(values),
    generated=lambda values: 0.5 * jnp.square(values - 1.0),
)
"""Regression in place of classification: the discriminator's output f, without a sigmoid, is to be 1 or 0::

    discriminator: (f(real) - 1)^2 / 2 + f(fake)^2 / 2          generator: (f(fake) - 1)^2 / 2

Reference: Mao et al. 2017, arXiv:1611.04076, equation 9.
"""

hinge = _pair(
    real=lambda values: jax.nn.relu(1.0 - values),
    fake=lambda values: jax.nn.relu(1.0 + values),
    generated=lambda values: -values,
)
"""The margin of a support vector machine: values beyond 1 on the right side cost nothing and teach nothing::

    discriminator: max(0, 1 - f(real)) + max(0, 1 + f(fake))          generator: -f(fake)

Reference: Lim and Ye 2017, arXiv:1705.02894; Miyato et al. 2018, arXiv:1802.05957, equations 16 and 17.
"""

wasserstein = _pair(
    real=lambda values: -values,
    fake=lambda values: values,
    generated=lambda values: -values,
)
"""The critic's side of the earth mover's distance; the critic must be kept Lipschitz by other means.

With f = the critic's value ("logit")::

    discriminator: f(fake) - f(real)          generator: -f(fake)

If f is the best 1-Lipschitz function, the mean of `-discriminator` is the distance, in the unit of the data.

Reference: Arjovsky, Chintala and Bottou 2017, arXiv:1701.07875, equation 2 and algorithm 1.
"""


def _relativistic_discriminator(real_logits: Logits, fake_logits: Logits) -> Logits:
    check_same_shape(real_logits=real_logits, fake_logits=fake_logits)
    real, fake = widen(real_logits), widen(fake_logits)
    loss = _not_real(real - jnp.mean(fake)) + _not_fake(fake - jnp.mean(real))
    return loss.astype(float_dtype(real_logits, fake_logits))


def _relativistic_generator(fake_logits: Logits, real_logits: Logits | None = None) -> Logits:
    if real_logits is None:
        raise ValueError("the generator's loss of relativistic_average compares: it needs real_logits")
    check_same_shape(fake_logits=fake_logits, real_logits=real_logits)
    return _relativistic_discriminator(fake_logits, real_logits)


relativistic_average = AdversarialLoss(_relativistic_discriminator, _relativistic_generator, relativistic=True)
"""D says how much more real an example is than the average of the other side; G makes the fake ones the more real.

With `D(x, others) = sigmoid(logit(x) - mean(logit(others)))`, the mean over all of the batch::

    discriminator: -log D(real, fake) - log(1 - D(fake, real))
    generator:     -log D(fake, real) - log(1 - D(real, fake))

In nats. The one pair whose generator needs `real_logits`.

Reference: Jolicoeur-Martineau 2019, arXiv:1807.00734 (RaSGAN).
"""
