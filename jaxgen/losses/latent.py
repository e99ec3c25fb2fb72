"""Penalties on the latents of an autoencoder: on their size, sensitivity to the input and unit activity."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgen._arrays import check_batch, check_key, check_number, float_dtype, sum_events, widen
from jaxgen._numerics import relative_entropy
from jaxgen.losses.regression import absolute_error
from jaxgen.typing import Array, Float, KeyArray, Scalar

Encode = Callable[[Float[Array, " batch *event"]], Float[Array, " batch *latent"]]
"""Function from a batch to one latent per example, which must not depend on the other examples."""


def l1_latent(latent: Float[Array, " batch *event"]) -> Float[Array, " batch"]:
    """Compute the L1 norm of each latent, a penalty that favours latents with few non-zero units.

    `sum(|latent|)`

    Args:
        latent: one latent per example, [batch, ...].

    Returns:
        One norm per example, [batch], in the unit of the latent. Its gradient at 0 is 0.

    Raises:
        ValueError: if there is no axis of examples.

    Example:
        >>> l1_latent(jnp.array([[3.0, -4.0]]))
        Array([7.], dtype=float32)
    """
    check_batch(latent=latent)
    return sum_events(absolute_error(widen(latent), jnp.zeros_like(widen(latent)))).astype(float_dtype(latent))


def l2_latent(latent: Float[Array, " batch *event"]) -> Float[Array, " batch"]:
    """Compute the squared L2 norm of each latent, a penalty that favours small latents.

    `sum(latent^2)`

    Args:
        latent: one latent per example, [batch, ...].

    Returns:
        One squared norm per example, [batch], in the squared unit of the latent.

    Raises:
        ValueError: if there is no axis of examples.

    Example:
        >>> l2_latent(jnp.array([[3.0, -4.0]]))
        Array([25.], dtype=float32)
    """
    check_batch(latent=latent)
    return _squared_norm(latent).astype(float_dtype(latent))


def contractive_penalty(encode: Encode, x: Float[Array, " batch *event"]) -> Float[Array, " batch"]:
    """Compute the squared Frobenius norm of the encoder's Jacobian, which favours latents insensitive to the input.

    `sum_ij (d z_i / d x_j)^2`, z being the latent of x

    The number of passes through the encoder is the number of units of a latent or of values of an example, whichever is
    smaller; all passes are computed at once. `contractive_penalty_estimate` takes a chosen number of passes.

    Args:
        encode: function from a batch to one latent per example, [batch, ...], which depends on that example alone.
        x: examples, [batch, ...].

    Returns:
        One squared norm per example, [batch], in the squared unit of the latent over that of x.

    Raises:
        ValueError: if there is no axis of examples or encode does not return one latent per example.

    Reference:
        Rifai et al. 2011, "Contractive auto-encoders: explicit invariance during feature extraction" (ICML), eq. 1.

    Example:
        >>> contractive_penalty(lambda x: x @ jnp.array([[3.0], [4.0]]), jnp.ones((2, 2)))
        Array([25., 25.], dtype=float32)
    """
    x = jnp.asarray(x, float_dtype(x))
    latent = _latent_shape(encode, x)
    if math.prod(latent.shape[1:]) <= math.prod(x.shape[1:]):
        _, pull_back = jax.vjp(encode, x)
        rows = jax.vmap(lambda unit: pull_back(unit)[0])(_units(latent))
    else:
        rows = jax.vmap(lambda direction: jax.jvp(encode, (x,), (direction,))[1])(_units(x))
    return jax.vmap(_squared_norm)(rows).sum(axis=0).astype(float_dtype(x))


def contractive_penalty_estimate(
    key: KeyArray, encode: Encode, x: Float[Array, " batch *event"], *, n_probes: int = 1
) -> Float[Array, " batch"]:
    """Estimate `contractive_penalty` with `n_probes` passes through the encoder, whatever the size of the latent.

    `mean_k ||J' v_k||^2` over random vectors v_k of signs, J being the Jacobian of the encoder. The expectation is the
    squared Frobenius norm of J.

    Args:
        key: PRNG key of the signs.
        encode: function from a batch to one latent per example, [batch, ...], which depends on that example alone.
        x: examples, [batch, ...].
        n_probes: number of random vectors per example.

    Returns:
        One unbiased estimate per example, [batch], in the squared unit of the latent over that of x. It is exact if the
        latent has one unit.

    Raises:
        ValueError: if there is no axis of examples or encode does not return one latent per example.
        InputError: if n_probes is not positive.

    Reference:
        Hutchinson 1989, doi:10.1080/03610918908812806.

    Example:
        >>> encode = lambda x: x @ jnp.array([[3.0], [4.0]])
        >>> contractive_penalty_estimate(jax.random.key(0), encode, jnp.ones((2, 2)))
        Array([25., 25.], dtype=float32)
    """
    check_key(key)
    check_number("n_probes", n_probes, at_least=1)
    x = jnp.asarray(x, float_dtype(x))
    latent = _latent_shape(encode, x)
    _, pull_back = jax.vjp(encode, x)
    signs = jax.random.rademacher(key, (n_probes, *latent.shape), latent.dtype)
    gradients = jax.vmap(lambda sign: pull_back(sign)[0])(signs)
    return jax.vmap(_squared_norm)(gradients).mean(axis=0).astype(float_dtype(x))


def sparsity_penalty(activations: Float[Array, " batch *event"], *, rho: Scalar) -> Float[Array, ""]:
    """Compute the KL divergence of the mean activation of each unit from a target, which favours sparse latents.

    `sum_j rho log(rho / m_j) + (1 - rho) log((1 - rho) / (1 - m_j))`, m_j = mean of unit j over the batch

    Args:
        activations: activations of units with values in [0, 1], such as sigmoids, [batch, ...].
        rho: target of the mean activation, between 0 and 1 (0.05 is usual).

    Returns:
        One number for the batch, in nats: 0 if all means are rho, infinite if a unit is 0 for all examples or 1 for all
        examples.

    Raises:
        ValueError: if there is no axis of examples.
        InputError: if rho is not between 0 and 1.

    Reference:
        Lee, Ekanadham and Ng 2007, "Sparse deep belief net model for visual area V2" (NIPS), for the idea; Ng 2011,
        "Sparse autoencoder" (CS294A lecture notes), for the divergence.

    Example:
        >>> sparsity_penalty(jnp.array([[0.5, 0.25], [0.5, 0.25]]), rho=0.25)
        Array(0.13081202, dtype=float32)
    """
    check_batch(activations=activations)
    check_number("rho", rho, above=0.0, below=1.0)
    wide = widen(activations)
    active, inactive = jnp.mean(wide, axis=0), jnp.mean(1.0 - wide, axis=0)
    # The terms `- p + q` of both relative entropies cancel, since both distributions have the sum 1.
    divergence = relative_entropy(jnp.full_like(active, rho), active)
    divergence += relative_entropy(jnp.full_like(active, 1.0 - rho), inactive)
    return divergence.sum().astype(float_dtype(activations))


def _latent_shape(encode: Encode, x: Array) -> jax.ShapeDtypeStruct:
    """Return the shape and dtype of the latents, of which there must be one per example."""
    check_batch(x=x)
    latent = jax.eval_shape(encode, x)
    if not isinstance(latent, jax.ShapeDtypeStruct):
        raise ValueError(f"encode must return one array of latents, got a {type(latent).__name__}")
    if latent.shape[:1] != x.shape[:1]:
        raise ValueError(f"encode must return one latent per example, [{len(x)}, ...], got {latent.shape}")
    return latent


def _units(like: jax.ShapeDtypeStruct | Array) -> Float[Array, " size batch *event"]:
    """Return, for each value of an event, a batch in which that value is 1 and all others are 0."""
    size = math.prod(like.shape[1:])
    basis = jnp.eye(size, dtype=like.dtype).reshape(size, 1, *like.shape[1:])
    return jnp.broadcast_to(basis, (size, *like.shape))


def _squared_norm(x: Float[Array, " batch *event"]) -> Float[Array, " batch"]:
    return sum_events(jnp.square(widen(x)))
