"""Penalties on the gradient of a critic with respect to its input."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from jaxgen.divergences._arrays import check_batch, check_same_shape, float_dtype, widen
from jaxgen.typing import Array, Float, KeyArray


def gradient_penalty(
    critic: Callable[[Float[Array, " batch *event"]], Float[Array, " batch"]],
    key: KeyArray,
    real: Float[Array, " batch *event"],
    fake: Float[Array, " batch *event"],
    *,
    target: float = 1.0,
    one_sided: bool = False,
) -> Float[Array, " batch"]:
    """Penalty of WGAN-GP: the critic's slope between real and fake, held near a target.

    `(||grad f(x)|| - target)^2` at `x = u real + (1 - u) fake`, u uniform on [0, 1], one for each example. The norm is
    the Euclidean one over all axes of the example. One-sided, only slopes above the target cost: `max(0, ...)^2`.

    Args:
        critic: f, from a batch to one value per example. The values must not depend on the other examples of the
            batch, so it may not contain batch normalization in training mode.
        key: where u comes from.
        real: real examples.
        fake: generated examples, as many.
        target: the wanted slope.
        one_sided: whether slopes below the target are free.

    Returns:
        One penalty per example, before its weight (10 in the paper). Where the slope is exactly 0 its gradient is 0.

    Raises:
        ValueError: if the shapes of real and fake differ, or the critic does not return one value per example.

    Reference:
        Gulrajani et al. 2017, arXiv:1704.00028, equation 3 and section 4.

    Example:
        >>> real, fake = jnp.ones((2, 3)), jnp.zeros((2, 3))
        >>> gradient_penalty(lambda x: 2.0 * x[:, 0], jax.random.key(0), real, fake)
        Array([1., 1.], dtype=float32)
    """
    check_same_shape(real=real, fake=fake)
    check_batch(real=real)
    dtype = float_dtype(real, fake)
    weight = jax.random.uniform(key, (len(real),) + (1,) * (real.ndim - 1), widen(real).dtype)
    between = (weight * widen(real) + (1.0 - weight) * widen(fake)).astype(dtype)
    gradients = widen(_input_gradient(critic, between))
    slopes = optax.safe_norm(gradients.reshape(len(real), -1), min_norm=0.0, axis=1)
    excess = slopes - target
    return jnp.square(jnp.maximum(excess, 0.0) if one_sided else excess).astype(dtype)


def _input_gradient(critic: Callable[[Array], Array], inputs: Array) -> Array:
    """The gradient of each example's value: that of their sum, since no value depends on another example."""

    def total(inputs: Array) -> Array:
        values = critic(inputs)
        if values.shape != inputs.shape[:1]:
            raise ValueError(f"the critic must return one value per example {inputs.shape[:1]}, got {values.shape}")
        return jnp.sum(values)

    return jax.grad(total)(inputs)
