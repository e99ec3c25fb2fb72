"""Squared distances of all pairs of points, at about the cost of a matrix product and accurate for near points as well.

`|x|^2 + |y|^2 - 2 x.y` is one matrix product, but it loses the digits of points that are closer to each other than to
the origin. Therefore the points are centred first, and the tiles of the result in which a pair is still that close are
recomputed from the differences `x - y`. If most tiles contain such a pair, this takes several times as long.
"""

import jax
import jax.numpy as jnp
from jax import lax

from jaxgen._arrays import centre
from jaxgen.typing import Array, Float, Scalar, Shaped

FEW_DIMENSIONS = 16
"""Largest dimension in which only differences are used: they are as fast as products, and near points are common."""

CLOSE = 1 / 16
"""Squared distance, as a fraction of `|x|^2 + |y|^2`, below which differences are used.

The error of products is at most 5 units of float epsilon in `|x|^2 + |y|^2`, measured in 17 to 65,536 dimensions, and
so at most 80 units (1e-5 in single precision) in a distance that is not close.
"""

TOUCHING = 1e-4
"""The same fraction for derivatives, whose error is relative to the distance itself: products suffice down to it."""

TILE = 64
"""Side of a recomputed tile, in points; small, since distances of a set to itself recompute the diagonal tiles."""


@jax.jit  # Otherwise each eager call would compile the loop again.
def squared_distances(
    x: Float[Array, "n dim"], y: Float[Array, "m dim"], *, floor: Scalar = 0.0
) -> Float[Array, "n m"]:
    """Compute the squared Euclidean distance of every pair, `|x_i - y_j|^2`.

    Args:
        x: points in float32 or wider, [n, dim].
        y: points of the same dtype, [m, dim].
        floor: bound below which distances are accurate relative to the bound only, which saves time where many points
            are near. It has no derivative.

    Returns:
        The squared distances, [n, m], with a relative error of at most 1e-5 in single precision. Without a floor they
        are exactly 0 where points coincide; the derivative is 0 there.
    """
    if 0 in (x.shape[0], y.shape[0]):
        return jnp.zeros((x.shape[0], y.shape[0]), x.dtype)
    return _squared_distances(x, y, lax.stop_gradient(jnp.asarray(floor, x.dtype)))


def products(x: Float[Array, "n dim"], y: Float[Array, "m dim"]) -> Float[Array, "n m"]:
    """Return the inner product of every pair."""
    # By default, an accelerator multiplies with fewer bits.
    return jnp.matmul(x, y.T, precision=lax.Precision.HIGHEST)


@jax.custom_jvp
def _squared_distances(
    x: Float[Array, "n dim"], y: Float[Array, "m dim"], floor: Float[Array, ""]
) -> Float[Array, "n m"]:
    if x.shape[1] <= FEW_DIMENSIONS:
        terms = (jnp.square(a[:, None] - b) for a, b in zip(x.T, y.T, strict=True))
        return sum(terms, jnp.zeros((x.shape[0], y.shape[0]), x.dtype))
    sides = centre(x, y)
    # The product includes the norms: adding `_spread` would be another pass over n x m numbers.
    norms_x, norms_y = (jnp.sum(points * points, axis=1, keepdims=True) for points in sides)
    ones_x, ones_y = jnp.ones_like(norms_x), jnp.ones_like(norms_y)
    columns_x = jnp.concatenate([-2.0 * sides[0], norms_x, ones_x], axis=1)
    columns_y = jnp.concatenate([sides[1], ones_y, norms_y], axis=1)
    squared = products(columns_x, columns_y)
    close = jnp.maximum(squared, floor) <= CLOSE * (norms_x + norms_y.T)
    return lax.cond(_anywhere(close), recompute_tiles, lambda squared, *_: squared, squared, close, x, y)


def recompute_tiles(
    squared: Float[Array, "n m"], close: Shaped[Array, "n m"], x: Float[Array, "n dim"], y: Float[Array, "m dim"]
) -> Float[Array, "n m"]:
    """Recompute, from differences, the tiles of `squared` that contain a pair that is `close`."""
    rows, columns = (min(TILE, size) for size in squared.shape)
    # The last tiles are padded here; below, dynamic slices begin earlier instead.
    padded = jnp.pad(close, [(0, -size % side) for size, side in zip(close.shape, (rows, columns), strict=True)])
    flags = padded.reshape(padded.shape[0] // rows, rows, -1, columns).any(axis=(1, 3))
    (flagged,) = jnp.nonzero(flags.ravel(), size=flags.size, fill_value=0)

    def compute(k: Array, squared: Float[Array, "n m"]) -> Float[Array, "n m"]:
        row, column = flagged[k] // flags.shape[1] * rows, flagged[k] % flags.shape[1] * columns
        difference = lax.dynamic_slice_in_dim(x, row, rows)[:, None] - lax.dynamic_slice_in_dim(y, column, columns)
        return lax.dynamic_update_slice(squared, jnp.square(difference).sum(axis=-1), (row, column))

    return lax.fori_loop(0, flags.sum(), compute, squared)


@_squared_distances.defjvp
def _squared_distances_jvp(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
    """Return the tangent, `2 (x_i - y_j).(dx_i - dy_j)`.

    It is computed by products unless two points nearly touch without coinciding.
    """
    x, y, floor = primals
    dx, dy, _ = tangents
    squared = _squared_distances(x, y, floor)
    apart = squared > 0
    touching = apart & (jnp.maximum(squared, floor) < TOUCHING * _spread(*centre(x, y)))
    tangent = lax.cond(_anywhere(touching), _tangent_by_differences, _tangent_by_products, x, y, dx, dy)
    return squared, jnp.where(apart, tangent, 0.0)


@jax.custom_batching.custom_vmap
def _anywhere(flags: Shaped[Array, "n m"]) -> Shaped[Array, ""]:
    """Return whether any flag is set.

    Under `vmap` the result is one flag for the whole batch: with a batched predicate, `cond` would execute both
    branches.
    """
    return jnp.any(flags)


@_anywhere.def_vmap
def _anywhere_of_all(
    axis_size: int, in_batched: list[bool], flags: Shaped[Array, "batch n m"]
) -> tuple[Shaped[Array, ""], bool]:
    return _anywhere(flags), False


def _tangent_by_products(
    x: Float[Array, "n dim"], y: Float[Array, "m dim"], dx: Float[Array, "n dim"], dy: Float[Array, "m dim"]
) -> Float[Array, "n m"]:
    x, y = centre(x, y)
    own = jnp.sum(x * dx, axis=1)[:, None] + jnp.sum(y * dy, axis=1)
    return 2.0 * (own - products(x, dy) - products(dx, y))


def _tangent_by_differences(
    x: Float[Array, "n dim"], y: Float[Array, "m dim"], dx: Float[Array, "n dim"], dy: Float[Array, "m dim"]
) -> Float[Array, "n m"]:
    # A scan over coordinates, recomputed in reverse mode, keeps n x m numbers in memory instead of n x m x dim.
    @jax.checkpoint
    def add(total: Array, coordinate: tuple[Array, ...]) -> tuple[Array, None]:
        x, y, dx, dy = coordinate
        return total + 2.0 * (x[:, None] - y) * (dx[:, None] - dy), None

    start = jnp.zeros((x.shape[0], y.shape[0]), x.dtype)
    return lax.scan(add, start, (x.T, y.T, dx.T, dy.T))[0]


def _spread(x: Float[Array, "n dim"], y: Float[Array, "m dim"]) -> Float[Array, "n m"]:
    """Return `|x_i|^2 + |y_j|^2`, the magnitude of the terms that cancel in a squared distance."""
    # The maximum has no effect but to keep XLA on the CPU from fusing sums and broadcast, which takes 10 times as long.
    norms_x, norms_y = (jnp.maximum(jnp.sum(points * points, axis=1), 0.0) for points in (x, y))
    return norms_x[:, None] + norms_y
