"""The two sides of an adversarial game, as functions of the discriminator's logits.

Each pair is unreduced, one loss per example, and both sides are minimized.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax

from jaxgen.divergences._arrays import check_same_shape, float_dtype, widen
from jaxgen.typing import Array, Float

Logits = Float[Array, "*batch"]


class AdversarialLoss(NamedTuple):
    """What the discriminator minimizes, and what the generator does.

    Attributes:
        discriminator: `(real_logits, fake_logits) -> loss` per example; the two batches have one shape.
        generator: `(fake_logits, real_logits=None) -> loss` per example. Only relativistic losses use the real logits.

    Example:
        >>> import jax.numpy as jnp
        >>> non_saturating.discriminator(jnp.array([0.0, 1e4]), jnp.array([0.0, -1e4]))
        Array([1.3862944, 0. ], dtype=float32)
    """

    discriminator: Callable[[Logits, Logits], Logits]
    generator: Callable[..., Logits]


def _non_saturating_discriminator(real_logits: Logits, fake_logits: Logits) -> Logits:
    check_same_shape(real_logits=real_logits, fake_logits=fake_logits)
    loss = jax.nn.softplus(-widen(real_logits)) + jax.nn.softplus(widen(fake_logits))
    return loss.astype(float_dtype(real_logits, fake_logits))


def _non_saturating_generator(fake_logits: Logits, real_logits: Logits | None = None) -> Logits:
    return jax.nn.softplus(-widen(fake_logits)).astype(float_dtype(fake_logits))


non_saturating = AdversarialLoss(_non_saturating_discriminator, _non_saturating_generator)
"""The GAN as it is trained: D tells real from fake, G makes D say "real".

With D = sigmoid(logits), in nats:

    discriminator: -log D(real) - log(1 - D(fake))          generator: -log D(fake)

Reference: Goodfellow et al. 2014, arXiv:1406.2661, section 3.
"""


def _wasserstein_discriminator(real_logits: Logits, fake_logits: Logits) -> Logits:
    check_same_shape(real_logits=real_logits, fake_logits=fake_logits)
    return (widen(fake_logits) - widen(real_logits)).astype(float_dtype(real_logits, fake_logits))


def _wasserstein_generator(fake_logits: Logits, real_logits: Logits | None = None) -> Logits:
    return (-widen(fake_logits)).astype(float_dtype(fake_logits))


wasserstein = AdversarialLoss(_wasserstein_discriminator, _wasserstein_generator)
"""The critic's side of the earth mover's distance; the critic must be kept Lipschitz by other means.

With f = the critic's value ("logit"):

    discriminator: f(fake) - f(real)          generator: -f(fake)

If f is the best 1-Lipschitz function, the mean of `-discriminator` is the distance, in the unit of the data.

Reference: Arjovsky, Chintala and Bottou 2017, arXiv:1701.07875, equation 2 and algorithm 1.
"""
