"""Penalties on the gradient of a critic with respect to its input, and on weights; clipping, which the former replaced.

Where each penalty evaluates the gradient norm, and the value that it drives the norm to::

    penalty            evaluated at                             value
    gradient_penalty   points between real and generated        a target, two-sided or from above
    dragan_penalty     points around real examples              a target
    r1_penalty         real examples                            0
    r2_penalty         generated examples                       0

The penalties are unweighted: the caller multiplies the mean over the batch by the weight. `orthogonal_penalty` depends
on the weights of a layer alone.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgen._arrays import check_batch, check_key, check_number, check_same_shape, float_dtype, sum_events, widen
from jaxgen._numerics import safe_sqrt
from jaxgen.typing import Array, Float, KeyArray, PyTree, Scalar

Critic = Callable[[Float[Array, " batch *event"]], Float[Array, " batch"]]
"""Function from a batch to one value per example.

The value of an example must not depend on the other examples of the batch, so the function must not use batch
normalization in training mode.
"""


def gradient_penalty(
    key: KeyArray,
    critic: Critic,
    real: Float[Array, " batch *event"],
    fake: Float[Array, " batch *event"],
    *,
    target: Scalar = 1.0,
    one_sided: bool = False,
) -> Float[Array, " batch"]:
    """Compute the penalty of WGAN-GP on gradient norms between real and generated examples.

    `(||grad f(x)|| - target)^2` at `x = u real + (1 - u) fake`, u uniform on [0, 1] and drawn once per example. The
    norm is the Euclidean norm over all axes of an example. If `one_sided`, only gradient norms above the target are
    penalized: `max(0, ||grad f(x)|| - target)^2`.

    Args:
        key: PRNG key of u.
        critic: f, from a batch to one value per example, [batch], which depends on that example alone.
        real: real examples, [batch, ...].
        fake: generated examples, of the same shape.
        target: gradient norm whose penalty is 0.
        one_sided: whether gradient norms below the target have penalty 0 as well.

    Returns:
        One penalty per example, [batch], without its weight (10 in the paper). Where the gradient norm is exactly 0,
        its derivative is 0. In float32 the gradient norm has a relative error of about 1e-7, which near the target is a
        larger share of the penalty.

    Raises:
        ValueError: if the shapes of real and fake differ, or the critic does not return one value per example.
        InputError: if the target is negative or not finite.

    Reference:
        Gulrajani et al. 2017, arXiv:1704.00028, equation 3 and section 4.

    Example:
        >>> real, fake = jnp.ones((2, 3)), jnp.zeros((2, 3))
        >>> gradient_penalty(jax.random.key(0), lambda x: 2.0 * x[:, 0], real, fake)
        Array([1., 1.], dtype=float32)
    """
    check_key(key)
    check_number("target", target, at_least=0.0, finite=True)
    check_same_shape(real=real, fake=fake)
    check_batch(real=real)
    dtype = float_dtype(real, fake)
    wide = widen(real)
    weight = _uniform_per_example(key, wide)
    between = (weight * wide + (1.0 - weight) * widen(fake)).astype(dtype)
    excess = _gradient_norm(critic, between) - target
    return jnp.square(jnp.maximum(excess, 0.0) if one_sided else excess).astype(dtype)


def dragan_penalty(
    key: KeyArray,
    critic: Critic,
    real: Float[Array, " batch *event"],
    *,
    scale: Scalar = 0.5,
    target: Scalar = 1.0,
) -> Float[Array, " batch"]:
    """Compute the penalty of DRAGAN on gradient norms around the real examples.

    `(||grad f(x)|| - target)^2` at `x = real + scale s u e`: a random point on the segment from an example to its noisy
    copy. s is the standard deviation of all values of the batch, e is uniform on [0, 1] and drawn for every value, and
    u is uniform on [0, 1] and drawn once per example.

    Args:
        key: PRNG key of u and e.
        critic: f, from a batch to one value per example, [batch], which depends on that example alone.
        real: real examples, [batch, ...].
        scale: size of the noise, in standard deviations of the data.
        target: gradient norm whose penalty is 0.

    Returns:
        One penalty per example, [batch], without its weight (10 in the paper). Where the gradient norm is exactly 0,
        its derivative is 0.

    Raises:
        ValueError: if there is no axis of examples or the critic does not return one value per example.
        InputError: if the scale or the target is negative or not finite.

    Reference:
        Kodali et al. 2017, arXiv:1705.07215, algorithm 1, with the uniform noise of the authors' implementation; the
        paper's noise is normal.

    Example:
        >>> dragan_penalty(jax.random.key(0), lambda x: 2.0 * x[:, 0], jnp.ones((2, 3)))
        Array([1., 1.], dtype=float32)
    """
    check_key(key)
    check_number("scale", scale, at_least=0.0, finite=True)
    check_number("target", target, at_least=0.0, finite=True)
    check_batch(real=real)
    noise_key, weight_key = jax.random.split(key)
    wide = widen(real)
    noise = scale * safe_sqrt(jnp.var(wide)) * jax.random.uniform(noise_key, wide.shape, wide.dtype)
    around = (wide + _uniform_per_example(weight_key, wide) * noise).astype(float_dtype(real))
    return jnp.square(_gradient_norm(critic, around) - target).astype(float_dtype(real))


def r1_penalty(critic: Critic, real: Float[Array, " batch *event"]) -> Float[Array, " batch"]:
    """Compute the penalty R1: the squared gradient norm of the discriminator at real examples.

    `||grad f(x)||^2`, f being the logit. With this penalty, training converges where the generated and the real
    distribution are equal; with gradient norms driven to 1 it does not.

    Args:
        critic: f, from a batch to one value per example, [batch], which depends on that example alone.
        real: real examples, [batch, ...].

    Returns:
        One penalty per example, [batch], without its weight (gamma / 2 in the paper, with gamma = 10).

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
    """Compute the penalty R2: the squared gradient norm of the discriminator at generated examples.

    `||grad f(x)||^2`, f being the logit.

    Args:
        critic: f, from a batch to one value per example, [batch], which depends on that example alone.
        fake: generated examples, [batch, ...].

    Returns:
        One penalty per example, [batch], without its weight (gamma / 2 in the paper, with gamma = 10).

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


def orthogonal_penalty(kernel: Float[Array, "*inputs outputs"], *, diagonal: bool = False) -> Float[Array, ""]:
    """Compute BigGAN's penalty on cosines between the weights of different outputs of a layer.

    `||W W' * (1 - I)||^2`, W having one row per output, `*` elementwise: the sum of the squared inner products of
    different rows. The norms of the rows are free. If `diagonal`, they are driven to 1: `||W W' - I||^2`, the penalty
    from which BigGAN's was derived.

    The gradient is `4 (W W' * (1 - I)) W`. The authors' PyTorch code adds half of it, `2 (W W' * (1 - I)) W`, so that
    its weight of 1e-4 is one of 5e-5 here.

    Args:
        kernel: weights of a dense layer or a convolution, [*inputs, outputs].
        diagonal: whether rows whose norm is not 1 are penalized as well.

    Returns:
        The penalty, without its weight (1e-4 in the paper). A layer with more than twice as many outputs as inputs
        needs memory for [inputs, inputs] only; its rounding error in float32 is then relative to `||W W'||^2`.

    Raises:
        ValueError: if the kernel has no axis of inputs.

    Reference:
        Brock et al. 2019, arXiv:1809.11096, equation 3; equation 2 with `diagonal` (Brock et al. 2017,
        arXiv:1609.07093).

    Example:
        >>> orthogonal_penalty(jnp.array([[1.0, 2.0], [0.0, 5.0]]))
        Array(8., dtype=float32)
    """
    if jnp.ndim(kernel) < 2:
        raise ValueError(f"kernel must be [*inputs, outputs], got shape {jnp.shape(kernel)}")
    columns = widen(kernel).reshape(-1, jnp.shape(kernel)[-1])
    inputs, outputs = columns.shape
    if outputs <= 2 * inputs:
        products = columns.T @ columns
        kept = products - jnp.eye(outputs) if diagonal else products * (1 - jnp.eye(outputs))
        return jnp.square(kept).sum().astype(float_dtype(kernel))
    squares = jnp.square(columns).sum(axis=0)
    on_diagonal = 2 * squares.sum() - outputs if diagonal else jnp.square(squares).sum()
    return (jnp.square(columns @ columns.T).sum() - on_diagonal).astype(float_dtype(kernel))


def clip_weights(params: PyTree, bound: Scalar) -> PyTree:
    """Clip every parameter to [-bound, bound], the first method to keep a critic Lipschitz.

    `max(-bound, min(bound, w))`

    A `jaxgen.game.Player` applies it after each of its updates: `project=lambda params: clip_weights(params, 0.01)`.

    Args:
        params: pytree of arrays.
        bound: largest magnitude, positive (0.01 in the paper).

    Returns:
        The same pytree with values in [-bound, bound]; arrays of integers are returned unchanged.

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
    """Return one number in [0, 1] per example, in the shape that broadcasts over the example."""
    return jax.random.uniform(key, (len(examples),) + (1,) * (examples.ndim - 1), examples.dtype)


def _gradient_norm(critic: Critic, inputs: Float[Array, " batch *event"]) -> Float[Array, " batch"]:
    """Return the Euclidean norm of the gradient at each example; its derivative is 0 where the norm is 0."""
    gradients = widen(_input_gradient(critic, inputs))
    return safe_sqrt(sum_events(jnp.square(gradients)))


def _input_gradient(critic: Critic, inputs: Float[Array, " batch *event"]) -> Float[Array, " batch *event"]:
    """Return the gradient of each example's value.

    It is computed as the gradient of the sum of all values, since no value depends on another example.
    """

    def total(inputs: Array) -> Array:
        values = critic(inputs)
        if not isinstance(values, jax.Array):
            raise ValueError(f"the critic must return one array of values, got a {type(values).__name__}")
        if values.shape != inputs.shape[:1]:
            raise ValueError(f"the critic must return one value per example {inputs.shape[:1]}, got {values.shape}")
        return jnp.sum(values)

    return jax.grad(total)(jnp.asarray(inputs, float_dtype(inputs)))
