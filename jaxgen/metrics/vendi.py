"""The Vendi score: the effective number of different examples in a set."""

import math
from collections.abc import Callable

import numpy as np

from jaxgen._arrays import check_number, is_known
from jaxgen._signatures import checked
from jaxgen.errors import InputError
from jaxgen.memory import check_memory
from jaxgen.typing import AnyArray, Float

CHUNK = 1024
"""Number of examples whose products are added at once."""

TOLERANCE = 1e-3
"""Largest difference of a kernel's diagonal from 1, and of one half of the matrix from the other."""


@checked
def vendi_score(
    features: Float[AnyArray, "n features"],
    *,
    kernel: Callable[[np.ndarray, np.ndarray], AnyArray] | None = None,
    order: float = 1.0,
) -> float:
    """Compute the Vendi score, the effective number of different examples.

    `exp(-sum_i l_i log l_i)`, where l are the eigenvalues of `K / n` and K has the similarities of all pairs. Of other
    orders q it is `(sum_i l_i^q)^(1 / (1 - q))`: the number of eigenvalues above 0 for q = 0, and `1 / max_i l_i` for
    infinite q. Large orders count frequent kinds of examples, small ones also rare kinds.

    For the cosine similarity, eigenvalues other than 0 are also those of the covariance of normalized features, so that
    of n x n and features x features the smaller matrix is used: memory does not grow with n^2, nor time with n^3.

    Args:
        features: features of examples, [n, features].
        kernel: function `(x, y) -> [n, m]` of two sets of examples, positive semidefinite and 1 for an example with
            itself, such as `functools.partial(sklearn.metrics.pairwise.rbf_kernel, gamma=0.5)`; its n x n matrix is in
            memory. None for the cosine similarity.
        order: q, at least 0; may be infinite.

    Returns:
        The score, from 1, if all examples are equal, to n, if all have similarity 0. It is computed in float64.

    Raises:
        InputError: if there are no examples, one is 0 or not finite, the order is negative, the matrix of the kernel is
            not what it must be, or there is too little memory.

    Reference:
        Friedman and Dieng 2023, arXiv:2210.02410, definition 3.1; Pasarkar and Dieng 2024, arXiv:2310.12952 (orders).

    Example:
        >>> round(vendi_score(np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 3.0], [0.0, 1.0]])), 4)
        2.0
    """
    check_number("order", order, at_least=0)
    if not is_known(features):
        raise InputError("features must be known, got a traced array; call this function outside of jit and vmap")
    values = np.asarray(features)
    if len(values) == 0:
        raise InputError("features must have at least one example, got none")
    matrix = _cosines(values) if kernel is None else _similarities(kernel, values)
    eigenvalues = np.linalg.eigvalsh(matrix / len(values))
    # Rounding leaves eigenvalues of about this size, of both signs, in place of 0.
    eigenvalues = eigenvalues[eigenvalues > len(matrix) * np.finfo(np.float64).eps * eigenvalues[-1]]
    return _effective_number(eigenvalues, float(order))


def _effective_number(shares: np.ndarray, order: float) -> float:
    if order == 1:
        return math.exp(-float(np.sum(shares * np.log(shares))))
    if math.isinf(order):
        return 1 / float(shares.max())
    # In logarithms, since powers of high orders would underflow.
    logarithms = order * np.log(shares)
    largest = float(logarithms.max())
    return math.exp((largest + math.log(float(np.sum(np.exp(logarithms - largest))))) / (1 - order))


def _cosines(values: np.ndarray) -> np.ndarray:
    """Return the smaller of the matrices of all pairs of examples and of features, of normalized examples."""
    n, size = values.shape
    side = min(n, size)
    check_memory(f"a matrix of {side} x {side} similarities", 3 * 8 * side * side, "give fewer examples")
    if n <= size:
        normalized = _normalized(values)
        return normalized @ normalized.T
    total = np.zeros((size, size))
    for begin in range(0, n, CHUNK):
        normalized = _normalized(values[begin : begin + CHUNK])
        total += normalized.T @ normalized
    return total


def _normalized(values: np.ndarray) -> np.ndarray:
    wide = values.astype(np.float64)
    largest = np.abs(wide).max(axis=1, keepdims=True, initial=0.0)
    if not np.isfinite(largest).all():
        raise InputError("features must be finite, got NaN or infinite values; leave these examples out")
    if not largest.all():
        raise InputError(
            "features must not be 0 in all of an example, whose cosine similarity is not defined, "
            f"got {np.sum(largest == 0)} such examples; leave them out or give a kernel"
        )
    wide /= largest
    return wide / np.linalg.norm(wide, axis=1, keepdims=True)


def _similarities(kernel: Callable[[np.ndarray, np.ndarray], AnyArray], values: np.ndarray) -> np.ndarray:
    n = len(values)
    check_memory(f"a matrix of {n} x {n} similarities", 3 * 8 * n * n, "give fewer examples")
    matrix = np.asarray(kernel(values, values)).astype(np.float64)
    if matrix.shape != (n, n):
        raise InputError(f"kernel must return the similarities of all pairs, [{n}, {n}], got shape {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise InputError("kernel must return finite similarities, got NaN or infinite values")
    if (difference := float(np.abs(np.diagonal(matrix) - 1).max())) > TOLERANCE:
        raise InputError(
            f"kernel must be 1 for an example with itself, got a difference of {difference:.2g}; "
            "divide it by the square roots of its diagonal"
        )
    if (difference := float(np.abs(matrix - matrix.T).max())) > TOLERANCE:
        raise InputError(f"kernel must be symmetric, got a difference of {difference:.2g}")
    return matrix
