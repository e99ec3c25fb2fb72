"""Directions of styles that change an image most, in closed form (Shen & Zhou 2021)."""

from collections.abc import Sequence

import jax.numpy as jnp

from jaxgen._arrays import check_integers, float_dtype, widen
from jaxgen.errors import InputError
from jaxgen.typing import Array, Float


def closed_form_directions(
    modulations: Sequence[Float[Array, "style channels"]], count: int = 5, *, normalized: bool = True
) -> Float[Array, "count style"]:
    """Compute the directions of a style along which the factors of the channels change most.

        n_1, n_2, ... = orthonormal eigenvectors of A A^T with the largest eigenvalues,    A = [A_1, A_2, ...]

    A layer has the factors `w A_i + bias`: a step n changes them by `n A`, whose norm is largest for n_1.

    Args:
        modulations: matrix of each layer, [style, channels]; those of all layers, or of a few for what these determine.
        count: number of directions.
        normalized: whether every column of A is divided by its norm, as in the authors' code and not in the paper: all
            channels count alike.

    Returns:
        The directions, each of norm 1, that with the largest change first, [count, style]. The coordinate of each with
        the largest absolute value is positive, as the sign is arbitrary.

    Raises:
        InputError: if there is no matrix, they are not for the same styles, or have fewer dimensions than `count`.

    Reference:
        Shen & Zhou 2021, arXiv:2007.06600, equations 5 to 7.

    Example:
        >>> print([f"{x:.2f}" for x in closed_form_directions([jnp.array([[3.0, 6.0], [4.0, 8.0]])], 1)[0]])
        ['0.60', '0.80']
    """
    check_integers(count=count)
    shapes = [jnp.shape(matrix) for matrix in modulations]
    if not shapes or {(len(shape), shape[0] if shape else 0) for shape in shapes} != {(2, shapes[0][0])}:
        raise InputError(f"modulations must be matrices [style, channels] for the same styles, got shapes {shapes}")
    if not 1 <= count <= shapes[0][0]:
        raise InputError(f"count must be from 1 to the dimension of the styles, {shapes[0][0]}, got {count}")
    matrix = jnp.concatenate([widen(x) for x in modulations], axis=1)
    if normalized:
        norms = jnp.linalg.norm(matrix, axis=0)
        matrix = matrix / jnp.where(norms > 0, norms, 1)  # A channel without a style stays one.
    directions = jnp.linalg.svd(matrix, full_matrices=True)[0].T[:count]
    largest = jnp.take_along_axis(directions, jnp.abs(directions).argmax(axis=1)[:, None], axis=1)
    return (directions * jnp.sign(largest)).astype(float_dtype(*modulations))
