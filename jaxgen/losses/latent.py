"""Penalties on the code of an autoencoder: on its size, its sensitivity to the input, and how often its units fire."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgen._arrays import check_batch, check_number, float_dtype, sum_events, widen
from jaxgen._numerics import relative_entropy
from jaxgen.losses.regression import absolute_error
from jaxgen.typing import Array, Float, KeyArray, Scalar

Encode = Callable[[Float[Array, " batch *event"]], Float[Array, " batch *code"]]
"""From a batch to one code per example, which must not depend on the other examples."""


def l1_latent(code: Float[Array, " batch *event"]) -> Float[Array, " batch"]:
    """L1 norm of the code, which favours codes of few units.

    `sum(|code|)`

    Args:
        code: one code per example.

    Returns:
        One norm per example, in the unit of the code. Its gradient at 0 is 0.

    Raises:
        ValueError: if there is no axis of examples.

    Example:
        >>> l1_latent(jnp.array([[3.0, -4.0]]))
        Array([7.], dtype=float32)
    """
    check_batch(code=code)
    return sum_events(absolute_error(widen(code), jnp.zeros_like(widen(code)))).astype(float_dtype(code))


def l2_latent(code: Float[Array, " batch *event"]) -> Float[Array, " batch"]:
    """Squared L2 norm of the code, which favours small codes.

    `sum(code^2)`

    Args:
        code: one code per example.

    Returns:
        One squared norm per example, in the squared unit of the code.

    Raises:
        ValueError: if there is no axis of examples.

    Example:
        >>> l2_latent(jnp.array([[3.0, -4.0]]))
        Array([25.], dtype=float32)
    """
    check_batch(code=code)
    return _squared_norm(code).astype(float_dtype(code))


def contractive_penalty(encode: Encode, x: Float[Array, " batch *event"]) -> Float[Array, " batch"]:
    """Squared Frobenius norm of the encoder's Jacobian, which favours codes that do not change with the input.

    `sum_ij (d code_i / d x_j)^2`

    It takes as many passes through the encoder as a code has units, or an example values, whichever are fewer, all of
    them at once; `contractive_penalty_estimate` takes a chosen number.

    Args:
        encode: from a batch to one code per example, each of which depends on its example alone.
        x: the examples.

    Returns:
        One squared norm per example, in the squared unit of the code over that of x.

    Raises:
        ValueError: if there is no axis of examples or encode does not return one code per example.

    Reference:
        Rifai et al. 2011, "Contractive auto-encoders: explicit invariance during feature extraction" (ICML), eq. 1.

    Example:
        >>> contractive_penalty(lambda x: x @ jnp.array([[3.0], [4.0]]), jnp.ones((2, 2)))
        Array([25., 25.], dtype=float32)
    """
    x = jnp.asarray(x, float_dtype(x))
    code = _code_shape(encode, x)
    if math.prod(code.shape[1:]) <= math.prod(x.shape[1:]):
        _, pull_back = jax.vjp(encode, x)
        rows = jax.vmap(lambda unit: pull_back(unit)[0])(_units(code))
    else:
        rows = jax.vmap(lambda direction: jax.jvp(encode, (x,), (direction,))[1])(_units(x))
    return jax.vmap(_squared_norm)(rows).sum(axis=0).astype(float_dtype(x))


def contractive_penalty_estimate(
    encode: Encode, key: KeyArray, x: Float[Array, " batch *event"], *, n_probes: int = 1
) -> Float[Array, " batch"]:
    """Estimate of `contractive_penalty` that takes `n_probes` passes however long the code is.

    `mean_k ||J' v_k||^2` over random vectors of signs v_k: its expectation is the squared Frobenius norm of J.

    Args:
        encode: from a batch to one code per example, each of which depends on its example alone.
        key: where the signs come from.
        x: the examples.
        n_probes: number of random vectors per example.

    Returns:
        One estimate per example, without bias, in the squared unit of the code over that of x. Of a code with one unit
        it is exact.

    Raises:
        ValueError: if there is no axis of examples or encode does not return one code per example.
        InputError: if n_probes is not positive.

    Reference:
        Hutchinson 1989, doi:10.1080/03610918908812806.

    Example:
        >>> encode = lambda x: x @ jnp.array([[3.0], [4.0]])
        >>> contractive_penalty_estimate(encode, jax.random.key(0), jnp.ones((2, 2)))
        Array([25., 25.], dtype=float32)
    """
    check_number("n_probes", n_probes, at_least=1)
    x = jnp.asarray(x, float_dtype(x))
    code = _code_shape(encode, x)
    _, pull_back = jax.vjp(encode, x)
    signs = jax.random.rademacher(key, (n_probes, *code.shape), code.dtype)
    gradients = jax.vmap(lambda sign: pull_back(sign)[0])(signs)
    return jax.vmap(_squared_norm)(gradients).mean(axis=0).astype(float_dtype(x))


def sparsity_penalty(activations: Float[Array, " batch *event"], *, rho: Scalar) -> Float[Array, ""]:
    """KL divergence of how often each unit is active from how often it should be, which favours codes of few units.

    `sum_j rho log(rho / m_j) + (1 - rho) log((1 - rho) / (1 - m_j))`, m_j = mean of unit j over the batch

    Args:
        activations: of units with values in [0, 1], such as sigmoids.
        rho: the wanted mean, between 0 and 1 (0.05 is usual).

    Returns:
        One number for the batch, in nats; 0 if all means are rho, infinite if a unit is 0, or 1, for all examples.

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
    # The two remainders cancel, since both sides have the sum 1.
    divergence = relative_entropy(jnp.full_like(active, rho), active)
    divergence += relative_entropy(jnp.full_like(active, 1.0 - rho), inactive)
    return divergence.sum().astype(float_dtype(activations))


def _code_shape(encode: Encode, x: Array) -> jax.ShapeDtypeStruct:
    """Shape and dtype of the codes, which must be one for each example."""
    check_batch(x=x)
    code = jax.eval_shape(encode, x)
    if not isinstance(code, jax.ShapeDtypeStruct):
        raise ValueError(f"encode must return one array of codes, got a {type(code).__name__}")
    if code.shape[:1] != x.shape[:1]:
        raise ValueError(f"encode must return one code per example, [{len(x)}, ...], got {code.shape}")
    return code


def _units(like: jax.ShapeDtypeStruct | Array) -> Float[Array, " size batch *event"]:
    """For each value of an event, a batch in which it is 1 and all others are 0."""
    size = math.prod(like.shape[1:])
    basis = jnp.eye(size, dtype=like.dtype).reshape(size, 1, *like.shape[1:])
    return jnp.broadcast_to(basis, (size, *like.shape))


def _squared_norm(x: Float[Array, " batch *event"]) -> Float[Array, " batch"]:
    return sum_events(jnp.square(widen(x)))
