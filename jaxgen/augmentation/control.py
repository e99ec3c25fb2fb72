"""Control of the probability of augmentations by the signs of the discriminator's logits."""

import jax.numpy as jnp

from jaxgen._arrays import check_integers, check_number, is_known
from jaxgen.errors import InputError
from jaxgen.typing import Array, Float, Scalar


def adjusted_probability(
    p: Scalar,
    mean_sign: Scalar,
    *,
    batch_size: int,
    target: Scalar = 0.6,
    interval: int = 4,
    adjustment_images: int = 500_000,
) -> Float[Array, ""]:
    """Return the probability of augmentations after an interval of training steps.

        p' = max(0, p + sign(r - target) batch_size interval / adjustment_images),    r = mean of sign(D(x)), x real

    r measures how far the discriminator overfits: it is 1 where all logits of real images are positive, and 0 where the
    discriminator does not distinguish. There is no upper bound, as in the authors' program: above 1 the augmentations
    stay at the probability 1, and p has to return to 1 before they are applied less often. From about 0.8 on, generated
    images may show the augmentations.

    Args:
        p: probability during the interval.
        mean_sign: r, mean of the signs of the logits of augmented real images during the interval.
        batch_size: real images in a training step.
        target: r at which p stays.
        interval: training steps in an interval.
        adjustment_images: number of images after which p has changed by 1, if all adjustments have the same sign.

    Returns:
        p', NaN where a traced argument is NaN.

    Raises:
        InputError: if p is known and negative or not finite, r or the target is known and outside of [-1, 1], or a
            count is no positive integer.

    Reference:
        Karras et al. 2020, arXiv:2006.06676, section 3.

    Example:
        >>> print(adjusted_probability(0.5, 0.7, batch_size=64), adjusted_probability(0.0, 0.2, batch_size=64))
        0.500512 0.0
    """
    check_integers(batch_size=batch_size, interval=interval, adjustment_images=adjustment_images)
    for name, count in (("batch_size", batch_size), ("interval", interval), ("adjustment_images", adjustment_images)):
        if count < 1:
            raise InputError(f"{name} must be at least 1, got {count}")
    check_number("p", p, at_least=0, finite=True)
    for name, sign in (("mean_sign", mean_sign), ("target", target)):
        check_number(name, sign, at_least=-1)
        if is_known(sign) and sign > 1:
            raise InputError(f"{name} must be between -1 and 1, got {sign}")
    change = batch_size * interval / adjustment_images
    return jnp.maximum(p + jnp.sign(jnp.asarray(mean_sign) - target) * change, 0.0)
