"""What every loss and divergence does to its arrays first: hold the shapes together, and compute wide enough."""

import math

import jax.numpy as jnp

from jaxgen.typing import Array, Float, Shaped


def check_same_shape(**arrays: Shaped[Array, "..."]) -> None:
    """Raise a ValueError with the names and shapes unless all shapes are equal: nothing is broadcast silently."""
    shapes = {name: jnp.shape(array) for name, array in arrays.items()}
    if len(set(shapes.values())) > 1:
        listed = " and ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"shapes must be equal, got {listed}")


def check_batch(**arrays: Shaped[Array, "..."]) -> None:
    """Raise a ValueError with the name where an array has no axis of examples."""
    for name, array in arrays.items():
        if jnp.ndim(array) == 0:
            raise ValueError(f"{name} must have a leading axis of examples, got shape ()")


def float_dtype(*arrays: Shaped[Array, "..."]) -> jnp.dtype:
    """The floating dtype that the arrays have together, which the result is to have."""
    dtype = jnp.result_type(*arrays)
    return dtype if jnp.issubdtype(dtype, jnp.floating) else jnp.result_type(float)


def widen(array: Shaped[Array, "*shape"]) -> Shaped[Array, "*shape"]:
    """The array in float32 or wider, in which sums are taken."""
    return jnp.asarray(array, jnp.promote_types(float_dtype(array), jnp.float32))


def flat_events(array: Shaped[Array, " batch *event"]) -> Shaped[Array, "batch size"]:
    """Every example as one row."""
    return array.reshape(array.shape[0], math.prod(array.shape[1:]))


def sum_events(array: Shaped[Array, " batch *event"]) -> Shaped[Array, " batch"]:
    """Sum over all axes but the first, that of the examples."""
    return flat_events(array).sum(axis=1)


def safe_sqrt(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The square root with the derivative 0 at 0, where a distance between coinciding points has none."""
    positive = x > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1.0)), 0.0)
