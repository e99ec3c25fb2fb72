"""Divergences from all pairs of two samples: maximum mean discrepancy and energy distance.

Both are `mean k(x, x') + mean k(y, y') - 2 mean k(x, y)` for a kernel k; for the energy distance k is `-|x - y|`. The
n x m matrices of kernel values are never in memory as a whole: they and their gradients are summed tile by tile.
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

from jaxgen._arrays import check_number, flat_events, float_dtype, spaced, widen
from jaxgen._numerics import power_of_two, safe_sqrt
from jaxgen._pairwise_distances import products, squared_distances
from jaxgen.divergences._samples import check_samples
from jaxgen.errors import InputError, check_known
from jaxgen.typing import Array, Float, Scalar

Kernel = Callable[[Float[Array, "n dim"], Float[Array, "m dim"], Float[Array, ""]], Float[Array, "n m"]]
"""Function `(points, points, number) -> kernel` of every pair.

The number is the bandwidth or, for the energy distance, the unit of length of the computation. The polynomial kernel
does not use it.
"""

TILE = 1024
"""Largest side of a tile, in points: the part of a kernel matrix that is in memory at once."""

MEDIAN_SAMPLE = 500
"""Largest number of points of each sample from which the median distance is computed."""

SHIFT_SAMPLE = 64
"""Largest number of points of each sample from which the magnitude of the kernel is estimated."""


def mmd(
    x: Float[Array, " n *event"],
    y: Float[Array, " m *event"],
    *,
    kernel: str = "rbf",
    bandwidth: Scalar | None = None,
    unbiased: bool = True,
) -> Float[Array, ""]:
    """Compute the squared maximum mean discrepancy between two samples.

    `mean k(x, x') + mean k(y, y') - 2 mean k(x, y)`, where the kernel k is, with bandwidth b and events of d numbers::

        rbf           exp(-|x - y|^2 / (2 b^2))     Gretton et al. 2012
        imq           b^2 / (b^2 + |x - y|^2)       Tolstikhin et al. 2018, whose C is b^2
        polynomial    (x.y / d + 1)^3               Bińkowski et al. 2018; unbiased, on Inception features, this is KID

    Time grows with (n + m)^2 d, memory with n + m: the kernels are summed in tiles of 1,024 x 1,024. For events of more
    than 16 numbers, second derivatives require forward mode over reverse mode, as in `jax.hessian`.

    Args:
        x: first sample, one event per example, [n, ...].
        y: second sample, with events of the same shape, [m, ...].
        kernel: "rbf", "imq" or "polynomial".
        bandwidth: b, the length scale of the kernel, positive; it must be None for the polynomial kernel. None selects
            the median heuristic: the smallest distance that at least half of all pairs of different points do not
            exceed, over both samples together, or over 500 evenly spaced points of a larger sample. In float32, points
            closer than 1e-19 of the largest number coincide. The median is treated as a constant: no gradient flows
            through it. Values for different bandwidths are not comparable, so set it to compare models.
        unbiased: whether pairs of a point with itself are left out. The estimate is then unbiased and may be negative;
            otherwise it is never negative, and 0 for equal samples.

    Returns:
        One number, in the unit of the kernel. It is a difference of nearly equal means, and its error is relative to
        these: in float32 at most 1e-5 of the mean kernel, and 1e-8 for large samples and a bandwidth of the scale of
        the data. Where inner products of the polynomial kernel cancel, the mean kernel is that of
        `(|x| |y| / d + 1)^3`.

    Raises:
        ValueError: if the events differ in shape, or a sample has less than two points (one, if biased).
        InputError: if the kernel is not known, or the bandwidth is not valid for it.

    Reference:
        Gretton et al. 2012, "A kernel two-sample test", JMLR 13, equation 3 (unbiased), square of equation 5 (biased).
        Tolstikhin et al. 2018, arXiv:1711.01558, section 4. Bińkowski et al. 2018, arXiv:1801.01401, section 4.

    Example:
        >>> x, y = jnp.array([[0.0], [2.0]]), jnp.array([[1.0], [3.0]])
        >>> print(f"{mmd(x, y, kernel='imq', bandwidth=1.0, unbiased=False):.4f}")
        0.4000
    """
    check_known("kernel", kernel, MMD_KERNELS)
    check_samples(x=x, y=y, smallest=2 if unbiased else 1)
    _check_bandwidth(kernel, bandwidth)
    return _discrepancy(MMD_KERNELS[kernel], unbiased, x, y, bandwidth if kernel in WITH_BANDWIDTH else 1.0)


def energy_distance(x: Float[Array, " n *event"], y: Float[Array, " m *event"]) -> Float[Array, ""]:
    """Compute the energy distance between two samples.

    `2 mean |x - y| - mean |x - x'| - mean |y - y'|`, each mean over all pairs including those of a point with itself (a
    V-statistic), so that the distance is never negative, and 0 for equal samples. In one dimension it is twice the
    integral of the squared difference of the distribution functions; `scipy.stats.energy_distance` returns its square
    root. The gradient of a pair that coincides is 0.

    Time grows with (n + m)^2 d, memory with n + m: the distances are summed in tiles of 1,024 x 1,024. For events of
    more than 16 numbers, second derivatives require forward mode over reverse mode, as in `jax.hessian`.

    Args:
        x: first sample, one event per example, [n, ...].
        y: second sample, with events of the same shape, [m, ...].

    Returns:
        One number, in the unit of the arguments. It is a difference of nearly equal means, and its error is relative to
        these: in float32 at most 1e-5 of the mean distance, and 1e-8 for large samples. In float32, points closer than
        1e-19 of the largest number coincide.

    Raises:
        ValueError: if the events differ in shape, or a sample is empty.

    Reference:
        Székely and Rizzo 2013, "Energy statistics: a class of statistics based on distances", JSPI 143(8).

    Example:
        >>> energy_distance(jnp.array([[0.0, 0.0]]), jnp.array([[3.0, 4.0]]))
        Array(10., dtype=float32)
    """
    check_samples(x=x, y=y)
    return _discrepancy(_negative_distance, False, x, y, power_of_two(_largest_magnitude(x, y)))


def _largest_magnitude(x: Float[Array, " n *event"], y: Float[Array, " m *event"]) -> Float[Array, ""]:
    return lax.stop_gradient(jnp.max(jnp.asarray([jnp.max(jnp.abs(widen(z)), initial=0.0) for z in (x, y)])))


def _rbf(x: Float[Array, "n dim"], y: Float[Array, "m dim"], bandwidth: Float[Array, ""]) -> Float[Array, "n m"]:
    return jnp.exp(-0.5 * _squared_in_bandwidths(x, y, bandwidth))


def _imq(x: Float[Array, "n dim"], y: Float[Array, "m dim"], bandwidth: Float[Array, ""]) -> Float[Array, "n m"]:
    return 1.0 / (1.0 + _squared_in_bandwidths(x, y, bandwidth))


def _squared_in_bandwidths(
    x: Float[Array, "n dim"], y: Float[Array, "m dim"], bandwidth: Float[Array, ""]
) -> Float[Array, "n m"]:
    """Return `|x - y|^2 / bandwidth^2`, in a unit in which no square leaves the float range."""
    unit = power_of_two(bandwidth)
    near = jnp.square(bandwidth / unit)
    return squared_distances(x / unit, y / unit, floor=near) / near


def _polynomial(x: Float[Array, "n dim"], y: Float[Array, "m dim"], _: Float[Array, ""]) -> Float[Array, "n m"]:
    return (products(x, y) / x.shape[1] + 1.0) ** 3


def _negative_distance(
    x: Float[Array, "n dim"], y: Float[Array, "m dim"], unit: Float[Array, ""]
) -> Float[Array, "n m"]:
    return -unit * safe_sqrt(squared_distances(x / unit, y / unit))


MMD_KERNELS: dict[str, Kernel] = {"rbf": _rbf, "imq": _imq, "polynomial": _polynomial}
WITH_BANDWIDTH = ("rbf", "imq")


def _check_bandwidth(kernel: str, bandwidth: Scalar | None) -> None:
    if bandwidth is None:
        return
    if kernel not in WITH_BANDWIDTH:
        raise InputError(
            f"bandwidth must be None for kernel {kernel!r}, got {bandwidth}; the kernels {WITH_BANDWIDTH} have one"
        )
    check_number("bandwidth", bandwidth, above=0)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _discrepancy(
    kernel: Kernel,
    unbiased: bool,
    x: Float[Array, " n *event"],
    y: Float[Array, " m *event"],
    bandwidth: Scalar | None,
) -> Float[Array, ""]:
    dtype = float_dtype(x, y)
    x, y = flat_events(x), flat_events(y)
    if bandwidth is None:
        bandwidth = lax.stop_gradient(_median_distance(x, y))
    bandwidth = jnp.asarray(bandwidth, jnp.promote_types(dtype, jnp.float32))
    # Of so small a bandwidth all kernels of different points are 0, but their quotients with it would overflow.
    tiny = float(jnp.finfo(bandwidth.dtype).tiny)
    bandwidth = jnp.maximum(bandwidth, jnp.maximum(_largest_magnitude(x, y) * tiny**0.75, 4 * tiny))
    return _sum_of_pairs(kernel, unbiased, x, y, bandwidth).astype(dtype)


def _median_distance(x: Float[Array, "n dim"], y: Float[Array, "m dim"]) -> Float[Array, ""]:
    """Return the median distance of the pairs that do not coincide; 1 if all coincide."""
    sample = jnp.concatenate([widen(spaced(points, MEDIAN_SAMPLE)) for points in (x, y)])
    unit = power_of_two(jnp.max(jnp.abs(sample), initial=0.0))
    squared = squared_distances(sample / unit, sample / unit)
    # The bits of positive floats are in the order of the floats. Bisection over them by counting, since XLA's sort
    # takes 30 times as long on the CPU.
    bits = lax.bitcast_convert_type(squared, jnp.dtype(f"int{8 * squared.dtype.itemsize}"))
    apart = jnp.sum(bits > 0)

    def halve(_: int, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bounds
        middle = low + (high - low) // 2
        enough = 2 * jnp.sum((bits > 0) & (bits <= middle)) >= apart
        return jnp.where(enough, low, middle + 1), jnp.where(enough, middle, high)

    bounds = (jnp.zeros((), bits.dtype), jnp.full((), jnp.iinfo(bits.dtype).max, bits.dtype))
    median, _ = lax.fori_loop(0, jnp.iinfo(bits.dtype).bits - 1, halve, bounds)
    return jnp.where(median > 0, unit * jnp.sqrt(lax.bitcast_convert_type(median, squared.dtype)), 1.0)


class _Total(NamedTuple):
    """Partial sum: the value, and its gradient with respect to the arguments that need one."""

    value: Array
    gradients: dict[str, Array]


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _sum_of_pairs(
    kernel: Kernel, unbiased: bool, x: Float[Array, "n dim"], y: Float[Array, "m dim"], bandwidth: Float[Array, ""]
) -> Float[Array, ""]:
    """Return `mean k(x, x') + mean k(y, y') - 2 mean k(x, y)`."""
    return _total(kernel, unbiased, {"x": x, "y": y, "bandwidth": bandwidth}, wanted=[]).value


@functools.partial(_sum_of_pairs.defjvp, symbolic_zeros=True)
def _sum_of_pairs_jvp(
    kernel: Kernel, unbiased: bool, primals: tuple[Array, ...], tangents: tuple[Array, ...]
) -> tuple[Array, Array]:
    """Sum the gradient together with the value: differentiating the loop over tiles would store all of them."""
    arguments = dict(zip(("x", "y", "bandwidth"), primals, strict=True))
    wide_tangents = {
        name: widen(tangent)
        for name, tangent in zip(arguments, tangents, strict=True)
        if not isinstance(tangent, SymbolicZero)
    }
    value, gradients = _total(kernel, unbiased, arguments, wanted=list(wide_tangents))
    terms = (jnp.vdot(gradients[name], tangent) for name, tangent in wide_tangents.items())
    return value, sum(terms, jnp.zeros_like(value))


def _total(kernel: Kernel, unbiased: bool, arguments: dict[str, Array], wanted: list[str]) -> _Total:
    """Return the sum of the three means, each over its own pairs, and its gradient."""
    x, y, bandwidth = arguments.values()
    n, m = x.shape[0], y.shape[0]
    # A constant added to the kernel does not change the result, and sums of small numbers have small errors.
    shift = kernel(widen(spaced(x, SHIFT_SAMPLE)), widen(spaced(y, SHIFT_SAMPLE)), bandwidth).mean()
    total = _Total(jnp.zeros_like(shift), {name: jnp.zeros_like(widen(arguments[name])) for name in wanted})
    for first, second, weight in (
        ("x", "x", 1.0 / (n * (n - 1) if unbiased else n * n)),
        ("y", "y", 1.0 / (m * (m - 1) if unbiased else m * m)),
        ("x", "y", -2.0 / (n * m)),
    ):
        term = functools.partial(_weighted_sum, lambda *pairs: kernel(*pairs) - shift, weight)
        total = _add_tiles(total, term, arguments, first, second, with_itself=not unbiased)
    return total


def _weighted_sum(
    kernel: Kernel,
    weight: float,
    x: Float[Array, "n dim"],
    y: Float[Array, "m dim"],
    bandwidth: Float[Array, ""],
    times: Float[Array, "n m"],
) -> Float[Array, ""]:
    """Return `weight sum(times k(x, y))`, in which pairs with `times` 0 add 0, even if their kernel is not finite."""
    # Not times * kernel alone: XLA on the CPU fuses it into the product of the points, which takes twice as long.
    return weight * jnp.sum(jnp.where(times > 0, times * kernel(x, y, bandwidth), 0.0))


def _add_tiles(
    total: _Total, term: Callable[..., Array], arguments: dict[str, Array], first: str, second: str, with_itself: bool
) -> _Total:
    """Add the terms of all pairs of a point of the first and a point of the second sample, which may be the same."""
    within = first == second
    (height, tops), (width, lefts) = (_tiles(arguments[name].shape[0]) for name in (first, second))
    wanted = [i for i, name in enumerate((first, second, "bandwidth")) if name in total.gradients]

    def add(total: _Total, corner: Array) -> tuple[_Total, None]:
        # The last tile begins earlier, so that all tiles have one size; pairs that it repeats are counted 0 times.
        top = jnp.minimum(corner[0], arguments[first].shape[0] - height)
        left = jnp.minimum(corner[1], arguments[second].shape[0] - width)
        row, column = top + jnp.arange(height)[:, None], left + jnp.arange(width)
        times = (row >= corner[0]) & (column >= corner[1])
        if within:  # Only one order of a pair is visited, so it is counted twice.
            times = times * (2 * (row < column) + with_itself * (row == column))
        x = widen(lax.dynamic_slice_in_dim(arguments[first], top, height))
        y = widen(lax.dynamic_slice_in_dim(arguments[second], left, width))
        given = (x, y, arguments["bandwidth"], times.astype(total.value.dtype))
        if not wanted:
            return total._replace(value=total.value + term(*given)), None
        value, parts = jax.value_and_grad(term, wanted)(*given)
        gradients = dict(total.gradients)
        for i, part in zip(wanted, parts, strict=True):
            name, begin = ((first, top), (second, left), ("bandwidth", None))[i]
            gradients[name] = _add_at(gradients[name], begin, part)
        return _Total(total.value + value, gradients), None

    corners = [(top, left) for top in tops for left in lefts if not within or top <= left]
    return lax.scan(add, total, jnp.asarray(corners))[0]


def _tiles(size: int) -> tuple[int, range]:
    """Return the number of points of a tile, and where each tile begins."""
    side = math.ceil(size / math.ceil(size / TILE))
    return side, range(0, size, side)


def _add_at(array: Float[Array, "*shape"], begin: Array | None, part: Float[Array, "..."]) -> Float[Array, "*shape"]:
    """Add the part to the rows from `begin` on, or to the whole array if `begin` is None."""
    if begin is None:
        return array + part
    rows = lax.dynamic_slice_in_dim(array, begin, part.shape[0])
    return lax.dynamic_update_slice_in_dim(array, rows + part, begin, axis=0)
