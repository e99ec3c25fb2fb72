"""Walks in the space of codes: from one code to another, along a coordinate, over the plane, and by an attribute."""

from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen._arrays import check_same_shape, float_dtype, widen
from jaxgen._numerics import safe_sqrt
from jaxgen.errors import InputError
from jaxgen.typing import AnyArray, Array, Float, Int, Scalar, Shaped

Codes = Float[Array, "*batch dim"]

OPPOSITE = 1e-3
"""Length of the sum of two unit vectors below which they count as opposite: rounding would decide on its direction."""


def lerp(start: Codes, end: Codes, at: Scalar) -> Codes:
    """Go straight from one code to another.

    `(1 - t) start + t end`

    Between two draws from a normal distribution in many dimensions, the way leads through shorter codes than are ever
    drawn: `slerp` does not.

    Args:
        start: codes.
        end: others, of the same shape.
        at: t, how far to go, from 0 (start) to 1 (end).

    Returns:
        The codes there.

    Raises:
        ValueError: if the shapes differ.

    Example:
        >>> print(lerp(jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0]), 0.5))
        [0.5 0.5]
    """
    check_same_shape(start=start, end=end)
    return ((1 - at) * widen(start) + at * widen(end)).astype(float_dtype(start, end))


def slerp(start: Codes, end: Codes, at: Scalar) -> Codes:
    """Go from one code to another along a great circle.

    With a the angle between the two, and for codes of one length::

        (sin((1 - t) a) start + sin(t a) end) / sin(a)

    The direction turns at constant speed, the length changes at constant speed. (For codes of different lengths the
    formula itself would overshoot, without bound where they are opposite.) Between opposite codes all ways round are
    equally short; one of them is taken, the same each time.

    Args:
        start: codes, along the last axis.
        end: others, of the same shape.
        at: t, how far to go, from 0 (start) to 1 (end).

    Returns:
        The codes there.

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
    first, second = widen(start), widen(end)
    one, other = _direction(first), _direction(second)
    middle = _middle(one, other)
    way = jnp.where(at < 0.5, _arc(one, middle, 2 * at), _arc(middle, other, 2 * at - 1))
    return (lerp(_length(first), _length(second), at) * way).astype(float_dtype(start, end))


def interpolate(start: Codes, end: Codes, steps: int, *, spherical: bool = False) -> Float[Array, "*batch steps dim"]:
    """Codes at equal distances on the way from one code to another, both ends among them.

    Args:
        start: codes.
        end: others, of the same shape.
        steps: codes on each way.
        spherical: along a great circle, as suits a normal prior in many dimensions, or straight.

    Returns:
        For each pair of codes, those on the way.

    Raises:
        ValueError: if the shapes differ.
        InputError: if there are less than two steps.

    Example:
        >>> print(interpolate(jnp.array([0.0, 2.0]), jnp.array([1.0, 0.0]), 3))
        [[0.  2. ]
         [0.5 1. ]
         [1.  0. ]]
    """
    if steps < 2:
        raise InputError(f"a way from one code to another has at least 2 steps, got {steps}")
    return _way(start, end, steps, slerp if spherical else lerp)


def class_means(examples: Float[Array, " n *event"], labels: Int[AnyArray, " n"]) -> Float[Array, " classes *event"]:
    """The mean code of each class.

    Args:
        examples: codes or, since the mean is taken number by number, pictures.
        labels: class of each, from 0 on; for an attribute 0 (without) and 1 (with).

    Returns:
        The means, as many as the largest label and one.

    Raises:
        ValueError: if there is not one label for each example.
        InputError: if a class has no examples.

    Example:
        >>> print(class_means(jnp.array([[0.0, 1.0], [2.0, 1.0], [5.0, 5.0]]), jnp.array([0, 0, 1])))
        [[1. 1.]
         [5. 5.]]
    """
    codes, classes = widen(examples), np.asarray(labels)
    if classes.shape != codes.shape[:1]:
        raise ValueError(f"there must be one label for each example, got {codes.shape} and labels {classes.shape}")
    if len(classes) == 0 or classes.min() < 0 or not (counts := np.bincount(classes)).all():
        raise InputError("every class from 0 to the largest label must have examples, and no label may be negative")
    sums = jax.ops.segment_sum(codes, jnp.asarray(classes), num_segments=len(counts))
    return (sums / jnp.reshape(counts, (-1, *[1] * (codes.ndim - 1)))).astype(float_dtype(examples))


def arithmetic(
    having: Float[Array, " n *event"], lacking: Float[Array, " m *event"], target: Float[Array, " k *event"]
) -> Float[Array, " k *event"]:
    """Give an attribute to examples: what those that have it are more than those that lack it, on average.

    `mean(having) - mean(lacking) + target`

    Decoded, codes of smiling women, less those of women, plus those of men, are smiling men. The same sum of pictures,
    which this also takes, shows three pictures one over the other.

    Args:
        having: codes of examples with the attribute.
        lacking: codes of examples without it that are otherwise alike.
        target: codes of examples that are to get it, or their mean.

    Returns:
        The new codes.

    Raises:
        ValueError: if the codes differ in shape, or one of the sets is empty.

    Reference:
        Radford, Metz and Chintala 2016, arXiv:1511.06434, section 6.3.2; Larsen et al. 2016, arXiv:1512.09300,
        section 3.2.

    Example:
        >>> print(arithmetic(jnp.array([[1.0, 1.0], [1.0, 3.0]]), jnp.array([[1.0, 0.0]]), jnp.array([[5.0, 5.0]])))
        [[5. 7.]]
    """
    sets = {"having": having, "lacking": lacking, "target": target}
    listed = " and ".join(f"{name} {np.shape(codes)}" for name, codes in sets.items())
    shapes = [np.shape(codes) for codes in sets.values()]
    if not all(shapes) or len({shape[1:] for shape in shapes}) > 1 or not min(shape[0] for shape in shapes):
        raise ValueError(f"codes must be of one shape, and at least one of each, got {listed}")
    change = jnp.mean(widen(having), axis=0) - jnp.mean(widen(lacking), axis=0)
    return (widen(target) + change).astype(float_dtype(having, lacking, target))


def manifold_grid(side: int) -> Float[Array, "pictures 2"]:
    """Codes that cover the plane of a two-dimensional normal prior, each standing for as much probability.

    The coordinates are the quantiles `(i + 1/2) / side` of the normal distribution, from which the inverse of its
    distribution function is taken.

    Args:
        side: codes in a row, and rows.

    Returns:
        The codes, row by row from the upper left: decoded and laid out in `side` columns, the first coordinate grows to
        the right and the second upwards.

    Raises:
        InputError: if there is no row.

    Reference:
        Kingma and Welling 2014, arXiv:1312.6114, figure 4.

    Example:
        >>> print(manifold_grid(2).round(4))
        [[-0.6745  0.6745]
         [ 0.6745  0.6745]
         [-0.6745 -0.6745]
         [ 0.6745 -0.6745]]
    """
    if side < 1:
        raise InputError(f"a grid has at least 1 row, got {side}")
    ticks = jax.scipy.special.ndtri((jnp.arange(side) + 0.5) / side)
    down, right = jnp.meshgrid(ticks[::-1], ticks, indexing="ij")
    return jnp.stack([right.ravel(), down.ravel()], axis=1)


def traversals(
    code: Float[Array, " dim"], dims: Sequence[int], values: Float[AnyArray, " steps"]
) -> Float[Array, "dims steps dim"]:
    """Change one coordinate of a code at a time.

    Args:
        code: to start from.
        dims: coordinates to change.
        values: that each of them takes in turn.

    Returns:
        A row of codes for each coordinate.

    Raises:
        InputError: if the code has no such coordinate.

    Example:
        >>> print(traversals(jnp.zeros(3), [2], jnp.array([-1.0, 1.0])))
        [[[ 0.  0. -1.]
          [ 0.  0.  1.]]]
    """
    if wrong := [dim for dim in dims if not 0 <= dim < len(code)]:
        raise InputError(f"the code has the coordinates 0 to {len(code) - 1}, there is no {wrong[0]}")
    changed = jnp.asarray(dims, jnp.int32)[:, None, None] == jnp.arange(len(code))
    return jnp.where(changed, jnp.asarray(values, float_dtype(code))[:, None], code)


@partial(jax.jit, static_argnums=(2, 3))  # Else each of its forty operations would be compiled by itself.
def _way(start: Codes, end: Codes, steps: int, move: Callable[..., Codes]) -> Float[Array, "*batch steps dim"]:
    return jax.vmap(lambda at: move(start, end, at), out_axes=-2)(jnp.linspace(0.0, 1.0, steps))


def _length(vectors: Shaped[Array, "*batch dim"]) -> Float[Array, "*batch 1"]:
    return safe_sqrt(jnp.sum(jnp.square(vectors), axis=-1, keepdims=True))


def _direction(vectors: Shaped[Array, "*batch dim"]) -> Float[Array, "*batch dim"]:
    """The vector of length 1, or 0 for 0."""
    length = _length(vectors)
    return vectors / jnp.where(length == 0, 1.0, length)


def _middle(one: Codes, other: Codes) -> Codes:
    """The direction halfway between two; where they are opposite, one at right angles, the same each time."""
    between = one + other
    axis = jax.nn.one_hot(jnp.argmin(jnp.abs(one), axis=-1), one.shape[-1], dtype=one.dtype)
    aside = axis - jnp.sum(one * axis, axis=-1, keepdims=True) * one
    return _direction(jnp.where(_length(between) > OPPOSITE, between, aside))


def _arc(one: Codes, other: Codes, at: Scalar) -> Codes:
    """The formula of Shoemake, for directions that are not opposite."""
    # The arc cosine of the inner product would lose the digits of small angles, and so would the quotient of two sines.
    angle = 2 * jnp.arctan2(_length(one - other), _length(one + other))

    def share(part: Scalar) -> Float[Array, "*batch 1"]:
        return part * jnp.sinc(part * angle / jnp.pi) / jnp.sinc(angle / jnp.pi)

    return share(1 - at) * one + share(at) * other
