"""Penalties on the gradient of a critic with respect to its input, and the clipping of weights that they replaced.

Where the slope is taken, and what it is held to::

    penalty            where the slope is taken           what it is held to
    gradient_penalty   between real and generated         a target, two-sided or from above
    dragan_penalty     around real examples               a target
    r1_penalty         at real examples                   0
    r2_penalty         at generated examples              0

None of them knows its weight: multiply the mean over the batch by it.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgen._arrays import check_batch, check_number, check_same_shape, float_dtype, sum_events, widen
from jaxgen._numerics import safe_sqrt
from jaxgen.typing import Array, Float, KeyArray, PyTree, Scalar

Critic = Callable[[Float[Array, " batch *event"]], Float[Array, " batch"]]
"""From a batch to one value per example.

The values must not depend on the other examples of the batch, so it may not contain batch normalization in training
mode.
"""


def gradient_penalty(
    critic: Critic,
    key: KeyArray,
    real: Float[Array, " batch *event"],
    fake: Float[Array, " batch *event"],
    *,
    target: Scalar = 1.0,
    one_sided: bool = False,
) -> Float[Array, " batch"]:
    """Penalty of WGAN-GP: the critic's slope between real and fake, held near a target.

    `(||grad f(x)|| - target)^2` at `x = u real + (1 - u) fake`, u uniform on [0, 1], one for each example. The norm is
    the Euclidean one over all axes of the example. One-sided, only slopes above the target cost: `max(0, ...)^2`.

    Args:
        critic: f, from a batch to one value per example, each of which depends on its example alone.
        key: where u comes from.
        real: real examples.
        fake: generated examples, as many.
        target: the wanted slope.
        one_sided: whether slopes below the target are free.

    Returns:
        One penalty per example, before its weight (10 in the paper). Where the slope is exactly 0 its gradient is 0.
        In float32 the slope has a relative error of some 1e-7, which near the target is more of the penalty.

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
    wide = widen(real)
    weight = _uniform_per_example(key, wide)
    between = (weight * wide + (1.0 - weight) * widen(fake)).astype(dtype)
    excess = _slope(critic, between) - target
    return jnp.square(jnp.maximum(excess, 0.0) if one_sided else excess).astype(dtype)


def dragan_penalty(
    critic: Critic,
    key: KeyArray,
    real: Float[Array, " batch *event"],
    *,
    scale: Scalar = 0.5,
    target: Scalar = 1.0,
) -> Float[Array, " batch"]:
    """Penalty of DRAGAN: the critic's slope around the real examples, held near a target.

    `(||grad f(x)|| - target)^2` at `x = real + scale s u e`, s being the standard deviation of all of the batch's
    values, e uniform on [0, 1] in every value and u uniform on [0, 1], one for each example: a point on the segment
    from an example to its noisy copy.

    Args:
        critic: f, from a batch to one value per example, each of which depends on its example alone.
        key: where u and e come from.
        real: real examples.
        scale: of the noise, in standard deviations of the data.
        target: the wanted slope.

    Returns:
        One penalty per example, before its weight (10 in the paper). Where the slope is exactly 0 its gradient is 0.

    Raises:
        ValueError: if there is no axis of examples or the critic does not return one value per example.

    Reference:
        Kodali et al. 2017, arXiv:1705.07215, algorithm 1, with the noise of the authors' code: the paper's is normal.

    Example:
        >>> dragan_penalty(lambda x: 2.0 * x[:, 0], jax.random.key(0), jnp.ones((2, 3)))
        Array([1., 1.], dtype=float32)
    """
    check_batch(real=real)
    noise_key, weight_key = jax.random.split(key)
    wide = widen(real)
    noise = scale * safe_sqrt(jnp.var(wide)) * jax.random.uniform(noise_key, wide.shape, wide.dtype)
    around = (wide + _uniform_per_example(weight_key, wide) * noise).astype(float_dtype(real))
    return jnp.square(_slope(critic, around) - target).astype(float_dtype(real))


def r1_penalty(critic: Critic, real: Float[Array, " batch *event"]) -> Float[Array, " batch"]:
    """Penalty R1: the squared slope of the discriminator at real examples.

    `||grad f(x)||^2`, f being the logit. It makes the game converge where generated and real examples are alike, which
    a slope held to 1 does not.

    Args:
        critic: f, from a batch to one value per example, each of which depends on its example alone.
        real: real examples.

    Returns:
        One penalty per example, before its weight (gamma / 2 in the paper, with gamma = 10).

    Raises:
        ValueError: if there is no axis of examples or the critic does not return one value per example.

    Reference:
        Mescheder, Geiger and Nowozin 2018, arXiv:1801.04406, equation 9.

    Example:
        >>> r1_penalty(lambda x: 2.0 * x[:, 0], jnp.ones((2, 3)))
        Array([4., 4.], dtype=float32)
    """
    check_batch(real=real)
    return sum_events(jnp.square(widen(_input_gradient(critic, real)))).astype(float_dtype(real))


def r2_penalty(critic: Critic, fake: Float[Array, " batch *event"]) -> Float[Array, " batch"]:
    """Penalty R2: the squared slope of the discriminator at generated examples.

    `||grad f(x)||^2`, f being the logit.

    Args:
        critic: f, from a batch to one value per example, each of which depends on its example alone.
        fake: generated examples.

    Returns:
        One penalty per example, before its weight (gamma / 2 in the paper, with gamma = 10).

    Raises:
        ValueError: if there is no axis of examples or the critic does not return one value per example.

    Reference:
        Mescheder, Geiger and Nowozin 2018, arXiv:1801.04406, equation 10.

    Example:
        >>> r2_penalty(lambda x: 2.0 * x[:, 0], jnp.zeros((2, 3)))
        Array([4., 4.], dtype=float32)
    """
    check_batch(fake=fake)
    return r1_penalty(critic, fake)


def clip_weights(params: PyTree, bound: Scalar) -> PyTree:
    """Every parameter held in a box, the first way to keep a critic Lipschitz.

    `max(-bound, min(bound, w))`

    As a `jaxgen.game.Player` has it after each of its moves: `project=lambda params: clip_weights(params, 0.01)`.

    Args:
        params: a pytree of arrays.
        bound: the largest magnitude, positive (0.01 in the paper).

    Returns:
        The same pytree with values in [-bound, bound]; arrays of whole numbers stay as they are.

    Raises:
        InputError: if bound is not positive.

    Reference:
        Arjovsky, Chintala and Bottou 2017, arXiv:1701.07875, algorithm 1.

    Example:
        >>> clip_weights({"kernel": jnp.array([0.5, -0.005])}, 0.01)
        {'kernel': Array([ 0.01 , -0.005], dtype=float32)}
    """
    check_number("bound", bound, above=0.0)

    def clip(weights: Array) -> Array:
        weights = jnp.asarray(weights)
        if not jnp.issubdtype(weights.dtype, jnp.floating):
            return weights
        return jnp.clip(weights, -bound, bound).astype(weights.dtype)

    return jax.tree.map(clip, params)


def _uniform_per_example(key: KeyArray, examples: Array) -> Array:
    """One number in [0, 1] for each example, in the shape that broadcasts over it."""
    return jax.random.uniform(key, (len(examples),) + (1,) * (examples.ndim - 1), examples.dtype)


def _slope(critic: Critic, inputs: Float[Array, " batch *event"]) -> Float[Array, " batch"]:
    """Euclidean norm of the gradient at each example, with gradient 0 where it is 0."""
    gradients = widen(_input_gradient(critic, inputs))
    return safe_sqrt(sum_events(jnp.square(gradients)))


def _input_gradient(critic: Critic, inputs: Float[Array, " batch *event"]) -> Float[Array, " batch *event"]:
    """The gradient of each example's value: that of their sum, since no value depends on another example."""

    def total(inputs: Array) -> Array:
        values = critic(inputs)
        if not isinstance(values, jax.Array):
            raise ValueError(f"the critic must return one array of values, got a {type(values).__name__}")
        if values.shape != inputs.shape[:1]:
            raise ValueError(f"the critic must return one value per example {inputs.shape[:1]}, got {values.shape}")
        return jnp.sum(values)

    return jax.grad(total)(jnp.asarray(inputs, float_dtype(inputs)))
