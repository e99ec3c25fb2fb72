"""Wasserstein distances in one dimension, and their average over one-dimensional projections.

In one dimension the optimal plan maps quantiles to quantiles in ascending order, so it follows from sorting and is
never stored.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen._arrays import centre, check_key, check_same_shape, flat_events, float_dtype, widen
from jaxgen._numerics import absolute, largest, power_of_two
from jaxgen.divergences._samples import check_masses, check_samples, known_integer, known_number
from jaxgen.typing import Array, Float, Int, KeyArray


def wasserstein_1d(
    x: Float[Array, " n"],
    y: Float[Array, " m"],
    *,
    order: float = 1,
    x_weights: Float[Array, " n"] | None = None,
    y_weights: Float[Array, " m"] | None = None,
) -> Float[Array, ""]:
    """Compute the Wasserstein distance between two distributions of points in one dimension.

    `W_p = (integral over q in [0, 1] of |F^-1(q) - G^-1(q)|^p)^(1/p)`, F^-1 and G^-1 being the quantile functions. For
    equally many unweighted points x and y: `(mean |sort(x) - sort(y)|^p)^(1/p)`. Time grows as n log n, memory as n.

    Args:
        x: points of the first distribution, [n].
        y: points of the second distribution, [m].
        order: p, at least 1; inf gives the largest difference. It cannot be traced.
        x_weights: masses of the points x, not negative, of which only the ratios matter, [n]. None gives equal masses.
        y_weights: masses of the points y, likewise, [m].

    Returns:
        The distance itself, not its power, in the unit of the points; NaN if the masses of a distribution sum to 0. Its
        gradient is 0 where all quantiles agree. Points that tie share it equally, unless they have weights. In float32,
        masses that are integers, such as counts, are exact as long as the product of both totals is below 2^24. With
        other masses, up to 3e-7 of the total is assigned to a neighbouring point at each quantile. That is 1e-6 of a
        distance that is as large as the spread of the points, but a larger share of a smaller one: between n random
        points and n others of the same distribution, up to 2e-6 for n = 1e3, 7e-6 for 1e4, 1e-4 for 1e5 and 1e-3 for
        1e6.

    Raises:
        ValueError: if an array is not one-dimensional or is empty, the numbers of weights and points differ, or a
            weight is negative, which is not checked in compiled functions.
        InputError: if the order is below 1, or traced.

    Reference:
        Peyré and Cuturi 2019, arXiv:1803.00567, remark 2.30.

    Example:
        >>> wasserstein_1d(jnp.array([0.0, 1.0]), jnp.array([6.0, 5.0]))
        Array(5., dtype=float32)
        >>> wasserstein_1d(jnp.array([0.0, 1.0]), jnp.array([0.0]), order=2, x_weights=jnp.array([3.0, 1.0]))
        Array(0.5, dtype=float32)
    """
    _check_points(x, y)
    order = known_number("order", order, at_least=1)
    if x_weights is None and y_weights is None:
        return _distance(widen(x), widen(y), order).astype(float_dtype(x, y))
    x_weights = jnp.ones_like(x) if x_weights is None else x_weights
    y_weights = jnp.ones_like(y) if y_weights is None else y_weights
    check_same_shape(x=x, x_weights=x_weights)
    check_same_shape(y=y, y_weights=y_weights)
    check_masses(x_weights=x_weights, y_weights=y_weights)
    distance = _weighted_distance(widen(x), widen(x_weights), widen(y), widen(y_weights), order)
    return distance.astype(float_dtype(x, x_weights, y, y_weights))


def sliced_wasserstein(
    key: KeyArray,
    x: Float[Array, " n *event"],
    y: Float[Array, " m *event"],
    *,
    n_projections: int = 128,
    order: float = 2,
) -> Float[Array, ""]:
    """Compute the sliced Wasserstein distance between two samples, that of their projections onto random directions.

    `SW_p = (mean over t of W_p(x t, y t)^p)^(1/p)` with directions t uniform on the unit sphere: the normalized rows of
    `jax.random.normal(key, (n_projections, dim))`, dim being the size of an event. Its power p is an unbiased estimate
    of the mean over the sphere. Time grows as `n_projections * n * (dim + log n)`; memory as n for the value and
    as `n_projections * n` for a gradient.

    Args:
        key: PRNG key of the directions; a key gives the same directions in every precision.
        x: examples of the first sample, [n, ...].
        y: examples of the second sample, [m, ...].
        n_projections: number of directions.
        order: p, at least 1; inf gives the largest difference. It cannot be traced.

    Returns:
        The distance itself, not its power, in the unit of the examples. It is at most the Wasserstein distance; for
        order 2 and over all directions, it is at most `1 / sqrt(dim)` of that. Its gradient is 0 where all quantiles
        agree. In float32, projections are rounded to 1e-7 of the largest distance between examples, so distances much
        smaller than that have fewer digits.

    Raises:
        ValueError: if the shapes of the events differ or a sample is empty.
        InputError: if order or n_projections is below 1 or traced, or n_projections is not an integer.

    Reference:
        Bonneel, Rabin, Peyré and Pfister 2015, "Sliced and Radon Wasserstein barycenters of measures",
        doi:10.1007/s10851-014-0506-3.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (100, 3))
        >>> distance = sliced_wasserstein(jax.random.key(1), x, x + jnp.array([0.0, 0.0, 6.0]), n_projections=1000)
        >>> print(f"{distance:.1f}, over all directions {6 / 3**0.5:.1f}")
        3.5, over all directions 3.5
    """
    check_key(key)
    check_samples(x=x, y=y)
    order = known_number("order", order, at_least=1)
    n_projections = known_integer("n_projections", n_projections, at_least=1)
    points_x, points_y = centre(flat_events(widen(x)), flat_events(widen(y)))
    # Drawn in float32 for points of any dtype, so that a key gives the same directions in every precision.
    directions = jax.random.normal(key, (n_projections, points_x.shape[1]), jnp.float32).astype(points_x.dtype)
    directions = directions / jnp.linalg.norm(directions, axis=1, keepdims=True)
    distances = _distances_along(directions, points_x, points_y, order, BLOCK)
    return _power_mean(distances, jnp.ones_like(distances), order).astype(float_dtype(x, y))


LARGE_ORDER = 1e15
"""Order from which on distances are computed as those of order inf: the relative difference for n points is at most
`log(n) / order`, and the derivatives of larger powers overflow."""

BLOCK = 16
"""Number of directions that are projected onto at once: enough to use all cores, and few enough to bound the memory."""

_compiled = functools.partial(jax.jit, static_argnames="order")
"""Decorator that compiles: outside a user's jit, loops would otherwise be compiled at every call."""


@functools.partial(jax.jit, static_argnames=("order", "block"))
def _distances_along(
    directions: Float[Array, "projections dim"],
    x: Float[Array, "n dim"],
    y: Float[Array, "m dim"],
    order: float,
    block: int,
) -> Float[Array, " projections"]:
    def along(part: Float[Array, "block dim"]) -> Float[Array, " block"]:
        # By default, accelerators multiply float32 with fewer digits.
        x_lines, y_lines = (jnp.matmul(part, points.T, precision=jax.lax.Precision.HIGHEST) for points in (x, y))
        # One sort per line instead of one for all: XLA on the CPU runs them on different cores.
        return jnp.stack([_distance(*lines, order) for lines in zip(x_lines, y_lines, strict=True)])

    in_blocks = len(directions) // block * block
    distances = []
    if in_blocks:
        blocks = directions[:in_blocks].reshape(in_blocks // block, block, directions.shape[1])
        distances.append(jax.lax.map(along, blocks).ravel())
    if in_blocks < len(directions):
        distances.append(along(directions[in_blocks:]))
    return jnp.concatenate(distances)


@_compiled
def _distance(x: Float[Array, " n"], y: Float[Array, " m"], order: float) -> Float[Array, ""]:
    """Return the Wasserstein distance in one dimension between points of equal mass."""
    n, m = len(x), len(y)
    x, y = _sort(x), _sort(y)
    if n == m:
        return _power_mean(x - y, jnp.ones_like(x), order)
    # Where the two quantile functions jump, as integer multiples of 1 / (n m): known while tracing, and exact.
    ends = np.union1d(np.arange(1, n + 1) * m, np.arange(1, m + 1) * n)
    starts = np.concatenate([[0], ends[:-1]])
    return _power_mean(x[starts // m] - y[starts // n], jnp.asarray(ends - starts, x.dtype), order)


@_compiled
def _weighted_distance(
    x: Float[Array, " n"],
    x_weights: Float[Array, " n"],
    y: Float[Array, " m"],
    y_weights: Float[Array, " m"],
    order: float,
) -> Float[Array, ""]:
    """Return the Wasserstein distance in one dimension between points with weights.

    The integral is a sum over the intervals on which both quantile functions are constant.
    """
    # Only ratios matter: with masses divided by a power of two near the largest, products neither overflow nor
    # underflow.
    x_weights, y_weights = (weights / power_of_two(jnp.max(weights)) for weights in (x_weights, y_weights))
    x_order, y_order = jnp.argsort(x), jnp.argsort(y)
    x_ends, y_ends = jnp.cumsum(x_weights[x_order]), jnp.cumsum(y_weights[y_order])
    # Each cumulative mass is multiplied by the other total, not divided by its own: products of integers are exact and
    # quotients are not. Jumps of both functions at the same quantile must coincide exactly.
    ends = jnp.concatenate([x_ends * y_ends[-1], y_ends * x_ends[-1]])
    merged = jnp.argsort(ends)
    ends = ends[merged]
    masses = jnp.diff(ends, prepend=jnp.zeros_like(ends[:1]))
    # The quantile of an interval belongs to the point whose index is the number of points that ended before.
    from_x = merged < len(x)
    x_used, y_used = jnp.cumsum(from_x) - from_x, jnp.cumsum(~from_x) - ~from_x
    x_quantiles = x[x_order[jnp.minimum(x_used, len(x) - 1)]]
    y_quantiles = y[y_order[jnp.minimum(y_used, len(y) - 1)]]
    return _power_mean(x_quantiles - y_quantiles, masses, order)


def _power_mean(gaps: Float[Array, " n"], masses: Float[Array, " n"], order: float) -> Float[Array, ""]:
    """Return `(sum(masses |gaps|^order) / sum(masses))^(1/order)`, with gradient 0 where all gaps are 0."""
    magnitudes = absolute(gaps)
    if order == 1:
        return jnp.sum(masses * magnitudes) / jnp.sum(masses)
    if order > LARGE_ORDER:
        return largest(jnp.where(masses > 0, magnitudes, 0.0), 0)
    # Powers of ratios neither overflow nor all underflow. The unit cancels, also from the gradient.
    maximum = jax.lax.stop_gradient(jnp.max(magnitudes))
    unit = jnp.where((maximum > 0) & jnp.isfinite(maximum), maximum, 1.0)
    exponent = int(order) if order == int(order) else order  # Integer powers are products, others need a logarithm.
    power = jnp.sum(masses * (magnitudes / unit) ** exponent) / jnp.sum(masses)
    zero = power == 0
    return unit * jnp.where(zero, 0.0, jnp.where(zero, 1.0, power) ** (1.0 / order))


@jax.custom_jvp
def _sort(x: Float[Array, " n"]) -> Float[Array, " n"]:
    """Sort by integer keys, which XLA does four times as fast on a CPU as with floats."""
    return _values(jax.lax.sort(_keys(x), is_stable=False), x.dtype)


@_sort.defjvp
def _sort_jvp(
    primals: tuple[Float[Array, " n"]], tangents: tuple[Float[Array, " n"]]
) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """Return the tangents in sorted order.

    Positions are found by binary search: sorting the tangents with the points would take five times as long. Points
    that tie share one position, the first of their run, and each of them receives the mean of their tangents.
    """
    (x,), (tangent,) = primals, tangents
    ordered = _sort(x)
    keys, in_order = _keys(x), _keys(ordered)
    place, first_of_run = jnp.searchsorted(in_order, keys), jnp.searchsorted(in_order, in_order)
    total = jnp.zeros_like(tangent).at[place].add(tangent)
    ties = jnp.zeros_like(tangent).at[place].add(1.0)
    return ordered, total[first_of_run] / ties[first_of_run]


def _keys(x: Float[Array, " n"]) -> Int[Array, " n"]:
    """Return integers in the order of the floats: their bits, with all but the sign bit flipped in negative ones."""
    bits = jax.lax.bitcast_convert_type(x, jnp.int32 if x.dtype == jnp.float32 else jnp.int64)
    return jnp.where(bits < 0, bits ^ jnp.iinfo(bits.dtype).max, bits)


def _values(keys: Int[Array, " n"], dtype: jnp.dtype) -> Float[Array, " n"]:
    """Return the floats to which the integers of `_keys` belong."""
    return jax.lax.bitcast_convert_type(jnp.where(keys < 0, keys ^ jnp.iinfo(keys.dtype).max, keys), dtype)


def _check_points(x: Array, y: Array) -> None:
    check_samples(x=x, y=y)
    if jnp.ndim(x) != 1:
        raise ValueError(f"x and y must be one-dimensional, got x {jnp.shape(x)} and y {jnp.shape(y)}")
