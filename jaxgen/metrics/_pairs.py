"""Distances of all pairs of two sets of features, tile by tile: nothing of the size n x m is in memory.

The features stay on the host, also memory-mapped ones, and blocks of them are copied to the devices. A tile of squared
distances is computed in single precision by a matrix product and reduced at once. Where its rounding errors could
change a result, because two distances to be compared are equal or nearly so, the distances are recomputed on the host
in double precision. Therefore the results do not depend on the size of the tiles, and equal distances, as those of
duplicates are, compare as equal.

If the features are divided among several devices, so are the rows of each tile.
"""

import functools
import math
from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import AxisType, NamedSharding, PartitionSpec, Sharding

from jaxgen._arrays import is_known
from jaxgen._pairwise_distances import CLOSE, FEW_DIMENSIONS, products, recompute_tiles, squared_distances
from jaxgen.errors import InputError
from jaxgen.typing import AnyArray, Array, Float, Int, Shaped

TILE = 2048
"""Largest side of a tile, in points."""

GROUP = 16
"""Number of distances of which at first only the smallest is compared; sides of tiles are multiples of it."""

NEARLY_EQUAL = 2e-5
"""Relative difference of two squared distances below which rounding in single precision may decide which is larger."""

SPARE = 2
"""Number of neighbours beyond the k nearest that are candidates for them, in case rounding errors changed their order.

Where more distances are nearly that of the k-th, the candidates of that point are found again, however many they are.
"""

PLAIN = (2.0**-40, 2.0**40)
"""Largest magnitudes of features whose squares need no other unit."""

CHUNK = 2**18
"""Number of features that are read at once on the host."""


class Points(NamedTuple):
    """A set of features, with what copies of its blocks are converted by.

    Attributes:
        values: the features on the host, [n, features].
        origin: a point among those of both sets, [features].
        unit: unit of distances in tiles, a power of two.
        devices: devices on which tiles are computed; empty for the default device.
    """

    values: Shaped[np.ndarray, "n features"]
    origin: Shaped[np.ndarray, " features"]
    unit: float
    devices: tuple[jax.Device, ...]

    def __len__(self) -> int:
        return len(self.values)

    def block(self, first: int, valid: int, size: int, sharding: Sharding | None) -> "Block":
        """Copy a block to the devices, in float32."""
        part, origin = self.values[first : first + size], self.origin
        if origin.dtype != np.float32 or self.unit != 1:
            part, origin = (part.astype(origin.dtype) - origin) / self.unit, np.zeros_like(origin)
        values = jax.device_put(np.asarray(part, np.float32), sharding)
        centred, norms = _centre(values, origin.astype(np.float32))
        return Block(values, centred, norms, first, valid)

    def squared(self, other: "Points", first: Int[np.ndarray, " p"], second: Int[np.ndarray, " p"]) -> np.ndarray:
        """Compute squared distances of a few pairs in double precision, in the unit of tiles, [p]."""
        result = np.empty(len(first))
        step = max(1, CHUNK // self.values.shape[1])
        for begin in range(0, len(first), step):
            part = slice(begin, begin + step)
            pairs = self.values[first[part]], other.values[second[part]]
            difference = np.subtract(*pairs, dtype=np.float64) / self.unit
            result[part] = np.einsum("ij,ij->i", difference, difference)
        return result


class Block(NamedTuple):
    """A block of points on the devices.

    The last block begins earlier than where the one before it ends, so that all have one size; its first points, below
    `valid`, are left out.

    Attributes:
        values: the points, [size, features].
        centred: the points minus the origin, [size, features], and `norms`, their squared norms, [size].
        first: index of the first point.
        valid: index of the first point that is not left out.
    """

    values: Array
    centred: Array
    norms: Array
    first: int
    valid: int

    @property
    def rows(self) -> slice:
        """The points of the block, including those that are left out."""
        return slice(self.first, self.first + len(self.values))


@jax.jit
def _centre(values: Float[Array, "n features"], origin: Float[Array, " features"]) -> tuple[Array, Array]:
    centred = values - origin
    return centred, jnp.sum(centred * centred, axis=1)


def points(**features: Shaped[AnyArray, "n features"]) -> list[Points]:
    """Check sets of features with equally many columns, and return them for `nearest_squared` and `tile`.

    Raises:
        InputError: if there are no features, or they are traced, not finite, or divided among processes.
    """
    devices: tuple[jax.Device, ...] = ()
    for name, array in features.items():
        if not is_known(array):
            raise InputError(f"{name} must be known, got a traced array; call this function outside of jit and vmap")
        if np.shape(array)[1] == 0:
            raise InputError(f"{name} must have at least one feature, got shape {np.shape(array)}")
        if isinstance(array, jax.Array):
            if not array.is_fully_addressable:
                raise InputError(f"{name} must be on devices of this process; gather the features before")
            if len(array.sharding.device_set) > len(devices):
                devices = tuple(sorted(array.sharding.device_set, key=lambda device: device.id))
    values = {name: np.asarray(array) for name, array in features.items()}
    largest = max(_largest_magnitude(name, array) for name, array in values.items())
    wide = np.result_type(np.float32, *(array.dtype for array in values.values()))
    few = np.concatenate([array[:: max(1, len(array) // 4)] for array in values.values()]).astype(wide)
    origin = np.sort(few, axis=0)[len(few) // 2]
    unit = 1.0 if largest == 0 or PLAIN[0] < largest < PLAIN[1] else math.ldexp(1.0, math.frexp(largest)[1])
    return [Points(array, origin, unit, devices) for array in values.values()]


def _largest_magnitude(name: str, values: np.ndarray) -> float:
    largest, step = 0.0, max(1, CHUNK // max(1, values.shape[1]))
    for begin in range(0, len(values), step):
        part = values[begin : begin + step]
        if part.dtype.kind not in "fiub":
            part = part.astype(np.float32)  # NumPy's extrema of bfloat16 ignore NaN.
        low, high = (float(bound) for bound in (part.min(initial=0), part.max(initial=0)))
        if not (math.isfinite(low) and math.isfinite(high)):
            raise InputError(f"{name} must be finite, got NaN or infinite values; leave these examples out")
        largest = max(largest, -low, high)
    return largest


class Grid(NamedTuple):
    """The sides of tiles, and where their rows and columns are stored."""

    height: int
    width: int
    row_sharding: Sharding | None
    column_sharding: Sharding | None


def grid(x: Points, y: Points) -> Grid:
    """Return the division of all pairs into tiles."""
    devices = x.devices or y.devices
    height, width = _side(len(x), GROUP * max(1, len(devices))), _side(len(y), GROUP)
    if not devices:
        return Grid(height, width, None, None)
    mesh = jax.make_mesh((len(devices),), ("rows",), axis_types=(AxisType.Auto,), devices=devices)
    complete = NamedSharding(mesh, PartitionSpec())
    rows = NamedSharding(mesh, PartitionSpec("rows")) if height % len(devices) == 0 else complete
    return Grid(height, width, rows, complete)


def _side(size: int, multiple: int) -> int:
    """Return the number of points of a block: a multiple, or all points if they are fewer."""
    side = math.ceil(size / math.ceil(size / TILE))
    return min(size, math.ceil(side / multiple) * multiple)


def blocks(x: Points, side: int, sharding: Sharding | None, *, begin: int = 0) -> Iterator[Block]:
    """Copy one block after the other to the devices, from the one that begins at a multiple of the side."""
    for valid in range(begin, len(x), side):
        yield x.block(min(valid, len(x) - side), valid, side, sharding)


def tile(x: Block, y: Block, *, within: bool, floor: Array | float = 0.0) -> Float[Array, "height width"]:
    """Compute squared distances of two blocks, infinite for pairs that are left out.

    As in `squared_distances`, which has the norms in the product instead, distances of close pairs are recomputed.

    Args:
        x: rows.
        y: columns.
        within: whether both are of one set; pairs of a point with itself are then left out.
        floor: bound below which distances are accurate relative to the bound only.
    """
    row, column = x.first + jnp.arange(len(x.values))[:, None], y.first + jnp.arange(len(y.values))
    out = (row < x.valid) | (column < y.valid)
    if within:
        out |= row == column
    if x.values.shape[1] <= FEW_DIMENSIONS:
        return jnp.where(out, jnp.inf, squared_distances(x.values, y.values))
    norms = x.norms[:, None] + y.norms
    squared = jnp.where(out, jnp.inf, jnp.maximum(norms - 2.0 * products(x.centred, y.centred), 0.0))
    close = jnp.maximum(squared, floor) <= CLOSE * norms
    recomputed = lax.cond(close.any(), recompute_tiles, lambda squared, *_: squared, squared, close, x.values, y.values)
    return jnp.where(out, jnp.inf, recomputed)


class Nearest(NamedTuple):
    """Squared distances of the nearest points, in ascending order and in the unit of tiles, and their indices."""

    squared: AnyArray
    indices: AnyArray


def nearest_squared(
    x: Points, of: Points | None, k: int, *, only_last: bool = False
) -> tuple[Float[np.ndarray, "n k"], Int[np.ndarray, "n k"]]:
    """Find the k nearest points of each point.

    Args:
        x: points.
        of: points among which to find neighbours; None for x, without the point itself.
        k: number of neighbours.
        only_last: whether only the k-th squared distance is needed.

    Returns:
        Squared distances in double precision, and indices, each [n, k], or [n, 1] if `only_last`.
    """
    y = x if of is None else of
    available = len(y) - 1 if of is None else len(y)
    count = min(k + SPARE, available)
    found = _within(x, count) if of is None else _between(x, of, count)
    squared, indices = np.asarray(found.squared, np.float64), np.asarray(found.indices)
    last = squared[:, k - 1 : k]
    bound = last * (1 + NEARLY_EQUAL)
    recomputed = squared <= bound
    too_few = np.flatnonzero(recomputed[:, -1] & (squared[:, -1] > 0) & (count < available))
    if only_last:
        recomputed &= squared >= last * (1 - NEARLY_EQUAL)
    recomputed[too_few] = False
    first, place = np.nonzero(recomputed & (squared > 0))
    squared[first, place] = x.squared(y, first, indices[first, place])
    order = np.argsort(squared, axis=1, kind="stable")[:, :k]
    squared, indices = np.take_along_axis(squared, order, axis=1), np.take_along_axis(indices, order, axis=1)
    for begin in range(0, len(too_few), TILE):
        rows = too_few[begin : begin + TILE]
        squared[rows], indices[rows] = _among_all(x, of, rows, bound[rows, 0], k)
    return (squared[:, -1:], indices[:, -1:]) if only_last else (squared, indices)


def _among_all(
    x: Points, of: Points | None, rows: Int[np.ndarray, " n"], bound: Float[np.ndarray, " n"], k: int
) -> tuple[Float[np.ndarray, "n k"], Int[np.ndarray, "n k"]]:
    """Find the k nearest points of a few points, at most a tile, in double precision.

    Args:
        x: points.
        of: points among which to find neighbours; None for x, without the point itself.
        rows: indices of the few points.
        bound: squared distance in single precision that those of the k nearest do not exceed.
        k: number of neighbours.
    """
    y = x if of is None else of
    few = Points(x.values[rows], x.origin, x.unit, x.devices)
    sides = grid(few, y)
    (block,) = blocks(few, sides.height, sides.row_sharding)
    near: list[tuple[np.ndarray, np.ndarray]] = []
    for columns in blocks(y, sides.width, sides.column_sharding):
        row, column = np.nonzero(np.asarray(_tile(block, columns)) <= bound[:, None])
        column += columns.first
        itself = rows[row] == column if of is None else np.zeros(len(row), bool)
        near.append((row[~itself], column[~itself]))
    row, column = (np.concatenate(parts) for parts in zip(*near, strict=True))
    squared = x.squared(y, rows[row], column)
    order = np.lexsort((column, squared, row))
    nearest = order[np.searchsorted(row[order], np.arange(len(rows)))[:, None] + np.arange(k)]
    return squared[nearest], column[nearest]


@jax.jit
def _tile(x: Block, y: Block) -> Float[Array, "height width"]:
    return tile(x, y, within=False)


def _between(x: Points, y: Points, count: int) -> Nearest:
    """Find candidates among the points of another set."""
    sides, result = grid(x, y), _unset(len(x), count)
    for rows in blocks(x, sides.height, sides.row_sharding):
        found = before = _unset(sides.height, count)
        for columns in blocks(y, sides.width, sides.column_sharding):
            found, before = _nearest_in_tile(rows, columns, found), found
            jax.block_until_ready(before)  # So that few blocks are in memory: calls return before they are computed.
        _store(result, rows, found)
    return result


def _within(x: Points, count: int) -> Nearest:
    """Find candidates within the set; of two tiles that are equal but for the order of each pair one is computed."""
    sides, result = grid(x, x), _unset(len(x), count)
    # Blocks of rows are blocks of columns, whose candidates are completed in the iterations before their own.
    side = sides.height
    partial = {begin: _unset(side, count) for begin in range(0, len(x), side)}
    for rows in blocks(x, side, sides.row_sharding):
        found = before = _nearest_in_tile(rows, rows, partial.pop(rows.valid), within=True)
        for columns in blocks(x, side, sides.column_sharding, begin=rows.valid + side):
            of_both = _nearest_in_both(rows, columns, found, partial[columns.valid])
            (found, partial[columns.valid]), before = of_both, found
            jax.block_until_ready(before)
        _store(result, rows, found)
    return result


def _unset(size: int, count: int) -> Nearest:
    return Nearest(np.full((size, count), np.inf, np.float32), np.zeros((size, count), np.int32))


def _store(result: Nearest, rows: Block, found: Nearest) -> None:
    """Store the candidates of the points of a block that are not left out."""
    skipped = rows.valid - rows.first
    for array, part in zip(result, found, strict=True):
        assert isinstance(array, np.ndarray)
        array[rows.valid : rows.first + len(part)] = np.asarray(part)[skipped:]


@functools.partial(jax.jit, static_argnames="within")
def _nearest_in_tile(x: Block, y: Block, found: Nearest, *, within: bool = False) -> Nearest:
    return _merge(found, tile(x, y, within=within), y.first)


@jax.jit
def _nearest_in_both(x: Block, y: Block, of_rows: Nearest, of_columns: Nearest) -> tuple[Nearest, Nearest]:
    squared = tile(x, y, within=False)
    return _merge(of_rows, squared, y.first), _merge(of_columns, squared.T, x.first)


def _merge(found: Nearest, squared: Float[Array, "n m"], first: Array | int) -> Nearest:
    """Merge the smallest distances of each row with those found before."""
    smallest, places = _smallest(squared, found.squared.shape[1])
    candidates = jnp.concatenate([found.squared, smallest], axis=1)
    indices = jnp.concatenate([found.indices, first + places], axis=1)
    negative, order = lax.top_k(-candidates, found.squared.shape[1])
    return Nearest(-negative, jnp.take_along_axis(indices, order, axis=1))


def _smallest(squared: Float[Array, "n m"], count: int) -> tuple[Float[Array, "n few"], Int[Array, "n few"]]:
    """Find the smallest numbers of each row: they are in the groups with the smallest minima."""
    rows, columns = squared.shape
    groups = columns // GROUP
    if columns % GROUP or groups < 2 * count:
        negative, places = lax.top_k(-squared, min(count, columns))
        return -negative, places
    grouped = squared.reshape(rows, GROUP, groups)
    _, chosen = lax.top_k(-grouped.min(axis=1), count)
    members = jnp.take_along_axis(grouped, chosen[:, None], axis=2).reshape(rows, -1)
    places = (chosen[:, None] + groups * jnp.arange(GROUP)[:, None]).reshape(rows, -1)
    negative, order = lax.top_k(-members, count)
    return -negative, jnp.take_along_axis(places, order, axis=1)
