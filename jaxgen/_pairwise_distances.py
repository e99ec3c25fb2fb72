"""Squared distances of all pairs of points: about at the cost of a matrix product, and right for near points too.

`|x|^2 + |y|^2 - 2 x.y` is one matrix product, but it loses the digits of points that lie closer to each other than to
the origin. So the points are centred first, and the tiles of the result in which a pair is still that close are
computed again, from the differences `x - y`. Where most tiles hold such a pair, that takes several times as long.
"""

import jax
import jax.numpy as jnp
from jax import lax

from jaxgen._arrays import spaced
from jaxgen.typing import Array, Float, Scalar, Shaped

FEW_DIMENSIONS = 16
"""Up to here differences are as fast as products, and near points are the rule."""

CLOSE = 1 / 16
"""Squared distance, as a part of `|x|^2 + |y|^2`, below which differences are taken.

Products are wrong by at most 5 units of float epsilon in `|x|^2 + |y|^2`, seen in 17 to 65,536 dimensions, so by
80 units (1e-5 in single precision) in a distance that is not close.
"""

TOUCHING = 1e-4
"""The same for derivatives, whose error is relative to the distance itself: products serve until much nearer."""

MIDDLE_SAMPLE = 4
"""Points of each set, at most, of which the median is taken."""

TILE = 64
"""Points a side of what is computed again at once: self-distances, whose diagonal is, should lose little."""


@jax.jit  # Without it, each eager call would compile the loop anew.
def squared_distances(
    x: Float[Array, "n dim"], y: Float[Array, "m dim"], *, floor: Scalar = 0.0
) -> Float[Array, "n m"]:
    """Squared Euclidean distance of every pair, `|x_i - y_j|^2`.

    Args:
        x: points, in float32 or wider.
        y: points, of the same dtype.
        floor: what is below it need be right relative to it alone, not to itself, which saves time where many points
            are near. It has no derivative.

    Returns:
        The squared distances, each within 1e-5 relative of the true one in single precision and, with no floor, exactly
        0 where points coincide. The derivative is 0 there.
    """
    if 0 in (x.shape[0], y.shape[0]):
        return jnp.zeros((x.shape[0], y.shape[0]), x.dtype)
    return _squared_distances(x, y, lax.stop_gradient(jnp.asarray(floor, x.dtype)))


def products(x: Float[Array, "n dim"], y: Float[Array, "m dim"]) -> Float[Array, "n m"]:
    """Inner product of every pair."""
    # An accelerator would multiply in fewer bits by default.
    return jnp.matmul(x, y.T, precision=lax.Precision.HIGHEST)


@jax.custom_jvp
def _squared_distances(
    x: Float[Array, "n dim"], y: Float[Array, "m dim"], floor: Float[Array, ""]
) -> Float[Array, "n m"]:
    if x.shape[1] <= FEW_DIMENSIONS:
        terms = (jnp.square(a[:, None] - b) for a, b in zip(x.T, y.T, strict=True))
        return sum(terms, jnp.zeros((x.shape[0], y.shape[0]), x.dtype))
    sides = _centre(x, y)
    # The norms are summed along with the products: to add `_spread` would be another walk through n x m numbers.
    norms_x, norms_y = (jnp.sum(points * points, axis=1, keepdims=True) for points in sides)
    ones_x, ones_y = jnp.ones_like(norms_x), jnp.ones_like(norms_y)
    columns_x = jnp.concatenate([-2.0 * sides[0], norms_x, ones_x], axis=1)
    columns_y = jnp.concatenate([sides[1], ones_y, norms_y], axis=1)
    squared = products(columns_x, columns_y)
    close = jnp.maximum(squared, floor) <= CLOSE * (norms_x + norms_y.T)
    return lax.cond(_anywhere(close), _repair, lambda squared, *_: squared, squared, close, x, y)


def _repair(
    squared: Float[Array, "n m"], close: Shaped[Array, "n m"], x: Float[Array, "n dim"], y: Float[Array, "m dim"]
) -> Float[Array, "n m"]:
    """Compute those tiles again, from differences, that hold a close pair."""
    rows, columns = (min(TILE, size) for size in squared.shape)
    # The last tiles may reach over the end here; below, dynamic slices begin earlier instead.
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
    """The tangent, `2 (x_i - y_j).(dx_i - dy_j)`: by products, unless two points nearly touch without coinciding."""
    x, y, floor = primals
    dx, dy, _ = tangents
    squared = _squared_distances(x, y, floor)
    apart = squared > 0
    touching = apart & (jnp.maximum(squared, floor) < TOUCHING * _spread(*_centre(x, y)))
    tangent = lax.cond(_anywhere(touching), _tangent_by_differences, _tangent_by_products, x, y, dx, dy)
    return squared, jnp.where(apart, tangent, 0.0)


@jax.custom_batching.custom_vmap
def _anywhere(flags: Shaped[Array, "n m"]) -> Shaped[Array, ""]:
    """Whether any flag is set; under `vmap` one answer for all, since a branch for each would be both for all."""
    return jnp.any(flags)


@_anywhere.def_vmap
def _anywhere_of_all(
    axis_size: int, in_batched: list[bool], flags: Shaped[Array, "batch n m"]
) -> tuple[Shaped[Array, ""], bool]:
    return _anywhere(flags), False


def _tangent_by_products(
    x: Float[Array, "n dim"], y: Float[Array, "m dim"], dx: Float[Array, "n dim"], dy: Float[Array, "m dim"]
) -> Float[Array, "n m"]:
    x, y = _centre(x, y)
    own = jnp.sum(x * dx, axis=1)[:, None] + jnp.sum(y * dy, axis=1)
    return 2.0 * (own - products(x, dy) - products(dx, y))


def _tangent_by_differences(
    x: Float[Array, "n dim"], y: Float[Array, "m dim"], dx: Float[Array, "n dim"], dy: Float[Array, "m dim"]
) -> Float[Array, "n m"]:
    # One coordinate after the other, and recomputed for the reverse mode: n x m numbers in memory, not n x m x dim.
    @jax.checkpoint
    def add(total: Array, coordinate: tuple[Array, ...]) -> tuple[Array, None]:
        x, y, dx, dy = coordinate
        return total + 2.0 * (x[:, None] - y) * (dx[:, None] - dy), None

    start = jnp.zeros((x.shape[0], y.shape[0]), x.dtype)
    return lax.scan(add, start, (x.T, y.T, dx.T, dy.T))[0]


def _centre(x: Float[Array, "n dim"], y: Float[Array, "m dim"]) -> tuple[Array, Array]:
    """Both sets of points, moved by the median of a few of them, which makes their squared norms small.

    Not by their mean: of points far from the origin its rounding may be more than their distances, and differs from use
    to use where XLA computes it anew; and it would follow a single point that is far out, infinite or NaN.
    """
    few = jnp.concatenate([spaced(points, MIDDLE_SAMPLE) for points in (x, y)])
    middle = lax.stop_gradient(jnp.sort(few, axis=0)[few.shape[0] // 2])
    return x - middle, y - middle


def _spread(x: Float[Array, "n dim"], y: Float[Array, "m dim"]) -> Float[Array, "n m"]:
    """`|x_i|^2 + |y_j|^2`, the size of what cancels in a squared distance."""
    # The maximum changes nothing; without it, XLA on the CPU merges sums and broadcast to what takes 10 times as long.
    norms_x, norms_y = (jnp.maximum(jnp.sum(points * points, axis=1), 0.0) for points in (x, y))
    return norms_x[:, None] + norms_y
