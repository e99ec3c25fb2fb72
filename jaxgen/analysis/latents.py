"""Latents for visualization: interpolation, traversal of one coordinate, grids over the prior, attribute arithmetic."""

from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen._arrays import centre, check_integers, check_same_shape, float_dtype, widen
from jaxgen._interpolation import Latents, lerp, slerp
from jaxgen._signatures import checked
from jaxgen.errors import InputError
from jaxgen.memory import check_memory
from jaxgen.typing import AnyArray, Array, Float, Int


def interpolate(
    start: Latents, end: Latents, steps: int, *, spherical: bool = False
) -> Float[Array, "*batch steps dim"]:
    """Compute equally spaced latents from one latent to another, including both.

    Args:
        start: first latents, `[*batch, dim]`.
        end: last latents, `[*batch, dim]`.
        steps: number of latents on each path, at least 2.
        spherical: whether to interpolate along a great circle (`slerp`), as suits a normal prior in many dimensions, or
            linearly (`lerp`).

    Returns:
        The latents on each path, `[*batch, steps, dim]`.

    Raises:
        ValueError: if the shapes differ.
        InputError: if steps is below 2, or there is too little memory.

    Example:
        >>> print(interpolate(jnp.array([0.0, 2.0]), jnp.array([1.0, 0.0]), 3))
        [[0.  2. ]
         [0.5 1. ]
         [1.  0. ]]
    """
    check_integers(steps=steps)
    if steps < 2:
        raise InputError(f"steps must be at least 2, got {steps}")
    check_same_shape(start=start, end=end)
    needed = steps * np.size(start) * float_dtype(start, end).itemsize
    check_memory(f"paths of {steps} latents", needed, "give fewer steps")
    return _interpolate(start, end, steps, slerp if spherical else lerp)


@checked
def class_means(examples: Float[Array, " n *event"], labels: Int[AnyArray, " n"]) -> Float[Array, " classes *event"]:
    """Compute the mean of the examples of each class.

    Args:
        examples: latents or, since the mean is taken elementwise, images, `[n, *event]`.
        labels: class of each example, from 0, [n]; for an attribute 0 (absent) and 1 (present).

    Returns:
        The means, `[largest label + 1, *event]`.

    Raises:
        InputError: if the number of labels is not that of examples, a class has no examples, or a label is negative.

    Example:
        >>> print(class_means(jnp.array([[0.0, 1.0], [2.0, 1.0], [5.0, 5.0]]), jnp.array([0, 0, 1])))
        [[1. 1.]
         [5. 5.]]
    """
    values, classes = widen(examples), np.asarray(labels)
    # With a label that large, classes are missing: their counts would be an array of that length.
    too_large = len(classes) == 0 or classes.max() >= len(classes)
    if too_large or classes.min() < 0 or not (counts := np.bincount(classes)).all():
        raise InputError(
            "labels must include every class from 0 to the largest label and must not be negative, "
            f"got the classes {np.unique(classes)}"
        )
    sums = jax.ops.segment_sum(values, jnp.asarray(classes), num_segments=len(counts))
    return (sums / jnp.reshape(counts, (-1, *[1] * (values.ndim - 1)))).astype(float_dtype(examples))


def arithmetic(
    with_attribute: Float[Array, " n *event"],
    without_attribute: Float[Array, " m *event"],
    target: Float[Array, " k *event"],
) -> Float[Array, " k *event"]:
    """Add the direction of an attribute in latent space to latents.

    `mean(with_attribute) - mean(without_attribute) + target`

    For example, latents of smiling women minus those of women plus those of men decode to smiling men. Images are
    accepted too; their sum is a superposition of three images.

    Args:
        with_attribute: latents of examples with the attribute, `[n, *event]`.
        without_attribute: latents of examples without the attribute that are otherwise similar, `[m, *event]`.
        target: latents to which the attribute is added, or their mean, `[k, *event]`.

    Returns:
        The new latents, `[k, *event]`.

    Raises:
        ValueError: if the event shapes differ, or one of the arrays is empty.

    Reference:
        Radford, Metz and Chintala 2016, arXiv:1511.06434, section 6.3.2; Larsen et al. 2016, arXiv:1512.09300,
        section 3.2.

    Example:
        >>> print(arithmetic(jnp.array([[1.0, 1.0], [1.0, 3.0]]), jnp.array([[1.0, 0.0]]), jnp.array([[5.0, 5.0]])))
        [[5. 7.]]
    """
    arrays = {"with_attribute": with_attribute, "without_attribute": without_attribute, "target": target}
    listed = " and ".join(f"{name} {np.shape(array)}" for name, array in arrays.items())
    shapes = [np.shape(array) for array in arrays.values()]
    if not all(shapes) or len({shape[1:] for shape in shapes}) > 1 or not min(shape[0] for shape in shapes):
        raise ValueError(f"latents must have the same event shape and at least one example each, got {listed}")
    present, absent = centre(widen(with_attribute), widen(without_attribute))
    change = jnp.mean(present, axis=0) - jnp.mean(absent, axis=0)
    return (widen(target) + change).astype(float_dtype(with_attribute, without_attribute, target))


def manifold_grid(side: int) -> Float[Array, "latents 2"]:
    """Compute a square grid of latents in which each represents the same probability of a two-dimensional normal prior.

    The coordinates are the inverse of the normal distribution function at `(i + 1/2) / side`.

    Args:
        side: number of rows, and of latents in a row.

    Returns:
        The latents, [side^2, 2], row by row from the upper left: decoded and laid out in `side` columns, the first
        coordinate increases to the right and the second upwards.

    Raises:
        InputError: if side is below 1, or there is too little memory.

    Reference:
        Kingma and Welling 2014, arXiv:1312.6114, figure 4.

    Example:
        >>> print(manifold_grid(2).round(4))
        [[-0.6745  0.6745]
         [ 0.6745  0.6745]
         [-0.6745 -0.6745]
         [ 0.6745 -0.6745]]
    """
    check_integers(side=side)
    if side < 1:
        raise InputError(f"side must be at least 1, got {side}")
    # The two coordinates by themselves, and as rows.
    check_memory(f"a grid of {side} x {side} latents", 16 * int(side) ** 2, "give a smaller side")
    ticks = jax.scipy.special.ndtri((jnp.arange(side) + 0.5) / side)
    down, right = jnp.meshgrid(ticks[::-1], ticks, indexing="ij")
    return jnp.stack([right.ravel(), down.ravel()], axis=1)


@checked
def traversals(
    latent: Float[Array, " dim"], dims: Sequence[int], values: Float[AnyArray, " steps"]
) -> Float[Array, "dims steps dim"]:
    """Vary one coordinate of a latent at a time.

    Args:
        latent: starting point, [dim].
        dims: indices of the coordinates to vary.
        values: values of the varied coordinate, [steps].

    Returns:
        The latents, [len(dims), steps, dim].

    Raises:
        InputError: if an index is not that of a coordinate, or there is too little memory.

    Example:
        >>> print(traversals(jnp.zeros(3), [2], jnp.array([-1.0, 1.0])))
        [[[ 0.  0. -1.]
          [ 0.  0.  1.]]]
    """
    if wrong := [dim for dim in dims if not 0 <= dim < len(latent)]:
        raise InputError(f"dims must be from 0 to {len(latent) - 1}, got {wrong[0]}")
    needed = len(dims) * np.size(values) * len(latent) * float_dtype(latent).itemsize
    check_memory(f"{len(dims)} x {np.size(values)} latents", needed, "give fewer values")
    changed = jnp.asarray(dims, jnp.int32)[:, None, None] == jnp.arange(len(latent))
    return jnp.where(changed, jnp.asarray(values, float_dtype(latent))[:, None], latent)


@partial(jax.jit, static_argnums=(2, 3))  # Without jit, each of about forty operations would be compiled separately.
def _interpolate(
    start: Latents, end: Latents, steps: int, interpolation: Callable[..., Latents]
) -> Float[Array, "*batch steps dim"]:
    return jax.vmap(lambda at: interpolation(start, end, at), out_axes=-2)(jnp.linspace(0.0, 1.0, steps))
