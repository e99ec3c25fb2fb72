"""Interpolation between latents, linear and along great circles."""

import jax
import jax.numpy as jnp

from jaxgen._arrays import check_number, check_same_shape, float_dtype, widen
from jaxgen._numerics import safe_sqrt
from jaxgen.typing import Array, Float, Scalar, Shaped

Latents = Float[Array, "*batch dim"]

OPPOSITE = 1e-3
"""Norm of the sum of two unit vectors below which they count as opposite: rounding would determine its direction."""


def lerp(start: Latents, end: Latents, at: Scalar) -> Latents:
    """Interpolate linearly between latents.

    `(1 - t) start + t end`

    Between two samples of a normal distribution in many dimensions, the path passes through latents of a smaller norm
    than samples have; `slerp` avoids this.

    Args:
        start: latents at t = 0, `[*batch, dim]`.
        end: latents at t = 1, `[*batch, dim]`.
        at: t, position on the path from 0 (start) to 1 (end).

    Returns:
        The latents at t, `[*batch, dim]`.

    Raises:
        ValueError: if the shapes differ.

    Example:
        >>> print(lerp(jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0]), 0.5))
        [0.5 0.5]
    """
    check_same_shape(start=start, end=end)
    check_number("at", at)
    return ((1 - at) * widen(start) + at * widen(end)).astype(float_dtype(start, end))


def slerp(start: Latents, end: Latents, at: Scalar) -> Latents:
    """Interpolate between latents along a great circle.

    With a the angle between the two, for latents of equal norm::

        (sin((1 - t) a) start + sin(t a) end) / sin(a)

    The direction rotates at constant angular speed, and the norm is interpolated linearly. (For latents of different
    norms the formula itself would overshoot, without bound where they are opposite.) Between opposite latents all
    great circles are equally short; one of them is chosen deterministically.

    Args:
        start: latents at t = 0, `[*batch, dim]`.
        end: latents at t = 1, `[*batch, dim]`.
        at: t, position on the path from 0 (start) to 1 (end).

    Returns:
        The latents at t, `[*batch, dim]`.

    Raises:
        ValueError: if the shapes differ.

    Reference:
        Shoemake 1985, "Animating rotation with quaternion curves", doi:10.1145/325165.325242; White 2016,
        arXiv:1609.04468, section 2.1.

    Example:
        >>> print(slerp(jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0]), 0.5))
        [0.70710677 0.70710677]
    """
    check_same_shape(start=start, end=end)
    check_number("at", at)
    first, second = widen(start), widen(end)
    one, other = _direction(first), _direction(second)
    middle = _middle(one, other)
    direction = jnp.where(at < 0.5, _arc(one, middle, 2 * at), _arc(middle, other, 2 * at - 1))
    return (lerp(_norm(first), _norm(second), at) * direction).astype(float_dtype(start, end))


def _norm(vectors: Shaped[Array, "*batch dim"]) -> Float[Array, "*batch 1"]:
    return safe_sqrt(jnp.sum(jnp.square(vectors), axis=-1, keepdims=True))


def _direction(vectors: Shaped[Array, "*batch dim"]) -> Float[Array, "*batch dim"]:
    """Normalize vectors to norm 1; the zero vector stays 0."""
    norm = _norm(vectors)
    return vectors / jnp.where(norm == 0, 1.0, norm)


def _middle(one: Latents, other: Latents) -> Latents:
    """Return the direction halfway between two; for opposite directions one orthogonal to them, deterministically."""
    between = one + other
    axis = jax.nn.one_hot(jnp.argmin(jnp.abs(one), axis=-1), one.shape[-1], dtype=one.dtype)
    aside = axis - jnp.sum(one * axis, axis=-1, keepdims=True) * one
    return _direction(jnp.where(_norm(between) > OPPOSITE, between, aside))


def _arc(one: Latents, other: Latents, at: Scalar) -> Latents:
    """Apply the formula of Shoemake to directions that are not opposite."""
    # The arc cosine of the inner product would lose the digits of small angles, and so would the quotient of two sines.
    angle = 2 * jnp.arctan2(_norm(one - other), _norm(one + other))

    def share(part: Scalar) -> Float[Array, "*batch 1"]:
        return part * jnp.sinc(part * angle / jnp.pi) / jnp.sinc(angle / jnp.pi)

    return share(1 - at) * one + share(at) * other
