"""Optimal transport between histograms, exact, and between samples, smoothed by entropy.

The exact problem is a linear program, which POT solves on the CPU, in float64; the smoothed one is solved by OTT-JAX.
Both come with the extra `transport` and are imported where they are used.

Derivatives follow from the envelope theorem: to that of the optimal value, the plan and the potentials which attain it
are constants. They hold in forward and in reverse mode. Second derivatives do not: they would have to move the plan.
"""

import functools
import math
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient

from jaxgen._arrays import check_number, flat_events, float_dtype, widen
from jaxgen._pairwise_distances import squared_distances
from jaxgen.divergences._samples import check_masses, check_samples, whole_number
from jaxgen.optional_imports import require
from jaxgen.typing import Array, Float, Scalar

ITERATIONS = 10**9
"""Of the network simplex, which ends by itself. POT would stop at 100,000, short of the optimum of large problems."""


class Transport(NamedTuple):
    """An optimal transport plan and what it costs.

    Attributes:
        cost: `sum(plan * cost)`, in mass times the unit of the cost matrix.
        plan: [n, m], how much mass goes from i to j; its rows sum to a, its columns to b. A constant to derivatives.
    """

    cost: Float[Array, ""]
    plan: Float[Array, "n m"]


class Dual(NamedTuple):
    """Optimal Kantorovich potentials: prices of picking up and of setting down mass.

    Attributes:
        value: `sum(a * f) + sum(b * g)`, in mass times the unit of the cost matrix.
        f: [n], the price of picking up at i. A constant to derivatives, as is g.
        g: [m], the price of setting down at j. No pair is dearer than its transport: `f_i + g_j <= cost_ij`.
    """

    value: Float[Array, ""]
    f: Float[Array, " n"]
    g: Float[Array, " m"]


def earth_movers_distance(a: Float[Array, " n"], b: Float[Array, " m"], cost: Float[Array, "n m"]) -> Transport:
    """The cheapest way to turn one histogram into another, exactly.

    `min over plans P >= 0 with P 1 = a and P' 1 = b of sum(P * cost)`

    If the cost is a distance and the masses sum to 1, this is the Wasserstein distance of order 1. Time grows about as
    (n + m)^3, memory as n m; the work is done on the host, one problem after the other, also under `vmap`.

    Args:
        a: masses to pick up, not negative.
        b: masses to set down, of the same total, which need not be 1. Totals may differ by rounding, up to the square
            root of the dtype's epsilon (3e-4 in float32); b is scaled to that of a.
        cost: of moving a unit of mass from i to j; finite, of either sign.

    Returns:
        The cost of the best plan, and a best plan; if several are, any of them. NaN where anything given is NaN or
        infinite. The derivative of the cost with respect to the cost matrix is the plan, and to a and b the potentials
        of `kantorovich_dual`, up to a constant that means nothing since totals must stay equal. Costs are told apart
        to 1e-14 of the largest in size: pairs that are to be forbidden should cost a million times the others, not more
        (from 1e12 times on, plans are wrong).

    Raises:
        ValueError: if the shape of the cost is not (n, m), a mass is negative, or the totals differ. What is wrong with
            values is found when the problem is solved: compiled functions raise a `jax.errors.JaxRuntimeError` that
            ends with the same sentence.
        RuntimeError: if POT finds no optimum, which no problem tried has made it say.
        InputError: if POT is not installed.

    Reference:
        Peyré and Cuturi 2019, arXiv:1803.00567, equation 2.11; Bonneel, van de Panne, Paris and Heidrich 2011,
        doi:10.1145/2070781.2024192 (the network simplex of POT).

    Example:
        >>> boxes, places = jnp.array([3.0, 1.0, 2.0]), jnp.array([1.0, 1.0, 2.0, 2.0])
        >>> distances = jnp.abs(jnp.array([1.0, 2.0, 3.0])[:, None] - jnp.array([7.0, 8.0, 9.0, 10.0]))
        >>> print(earth_movers_distance(boxes, places, distances).cost)
        42.0
    """
    solution = _solve(a, b, cost)
    value = _with_derivative(solution.primal, solution, a, b, cost)
    dtype = float_dtype(a, b, cost)
    return Transport(value.astype(dtype), solution.plan.astype(dtype))


def kantorovich_dual(a: Float[Array, " n"], b: Float[Array, " m"], cost: Float[Array, "n m"]) -> Dual:
    """The dual of optimal transport: the most that prices can earn without any pair being dearer than its transport.

    `max over f, g with f_i + g_j <= cost_ij of sum(a * f) + sum(b * g)`, which equals the cost of the best plan.

    For a cost that is a metric c, `h(z) = min over j of c(z, y_j) - g_j` has slope 1 at most, is f at the points x and
    at most -g at the points y, so that `E_a h - E_b h` reaches the value: the Kantorovich-Rubinstein form, and h the
    critic that a Wasserstein GAN is looking for.

    Args:
        a: masses to pick up, not negative.
        b: masses to set down, of the same total, as for `earth_movers_distance`.
        cost: of moving a unit of mass from i to j; finite, of either sign.

    Returns:
        The value and optimal potentials, of which `f_i = min over j of cost_ij - g_j`: they keep below the cost, up to
        rounding, also where there is no mass. They are unique up to a constant that goes from f to g, at best. They
        are rounded to 1e-14 of the cost that is largest in size: where some pairs cost a million times the others, the
        value is right within 1e-6.

    Raises:
        ValueError, RuntimeError: as `earth_movers_distance` does.
        InputError: if POT is not installed.

    Reference:
        Peyré and Cuturi 2019, arXiv:1803.00567, proposition 2.4 and section 6.1; Villani 2009, "Optimal Transport: Old
        and New", theorem 5.10 and particular case 5.16.

    Example:
        >>> dual = kantorovich_dual(jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0]), jnp.array([[0.0, 5.0], [5.0, 0.0]]))
        >>> print(dual.value, dual.f[0] - dual.f[1])
        5.0 5.0
    """
    solution = _solve(a, b, cost)
    value = _with_derivative(solution.dual, solution, a, b, cost)
    dtype = float_dtype(a, b, cost)
    return Dual(value.astype(dtype), solution.f.astype(dtype), solution.g.astype(dtype))


def sinkhorn_divergence(
    x: Float[Array, " n *event"],
    y: Float[Array, " m *event"],
    *,
    epsilon: Scalar,
    max_iterations: int = 20_000,
) -> Float[Array, ""]:
    """Squared Wasserstein distance of order 2, smoothed by entropy, and 0 for equal samples nevertheless.

    `S(x, y) = OT(x, y) - OT(x, x) / 2 - OT(y, y) / 2`, where
    `OT(x, y) = min over plans P of sum(P * |x_i - y_j|^2) + epsilon KL(P || a b')`, a and b uniform.

    With epsilon it goes from the squared Wasserstein distance (epsilon -> 0) to the squared distance between the means
    (epsilon -> inf). Memory grows as (n + m)^2, time as (n + m)^2 dim and n m an iteration, of which there are more the
    smaller epsilon is: about the largest squared distance divided by it, or several times that.

    Args:
        x: examples of one sample, of equal masses.
        y: examples of the other, as many or not.
        epsilon: the strength of smoothing, positive, in squared units of the examples. A hundredth to a tenth of the
            mean squared distance is usual; inf is the limit.
        max_iterations: where each of the three problems gives up, without saying so: if it did, value and gradient
            change when this is doubled. The default is enough down to an epsilon of about a thousandth of the mean
            squared distance. At a ten-thousandth, gradients of 100 random points are off by 4e-3 of their largest
            entry, and would be by all of it after 2000.

    Returns:
        The divergence, in squared units of the examples; never negative but for rounding. Iteration stops when the
        masses of the plan are right within 2e-5 in float32 (the dtype's epsilon to the power 2/3). Where it came to
        that, the gradient is right within 1e-3 of its largest entry, and the value within 2e-6 of the mean squared
        distance. The unit of the examples does not matter as long as epsilon and the squared distances are above 1e-28
        and the sum of the latter is below 1e38.

    Raises:
        ValueError: if the shapes of the events differ or a sample has none.
        InputError: if epsilon is not positive, max_iterations is below 1, traced or not whole, or OTT-JAX is not
            installed.

    Reference:
        Genevay, Peyré and Cuturi 2018, arXiv:1706.00292; Feydy et al. 2019, arXiv:1810.08278, equation 3.

    Example:
        >>> x = jnp.array([[0.0, 0.0], [1.0, 0.0]])
        >>> print(f"{sinkhorn_divergence(x, x + jnp.array([0.0, 2.0]), epsilon=0.1):.4f}")
        4.0000
    """
    check_samples(x=x, y=y)
    check_number("epsilon", epsilon, above=0)
    max_iterations = whole_number("max_iterations", max_iterations, at_least=1)
    dtype = float_dtype(x, y)
    wide = jnp.promote_types(dtype, jnp.float32)
    points_x, points_y = (flat_events(jnp.asarray(points, wide)) for points in (x, y))
    return _sinkhorn(points_x, points_y, jnp.asarray(epsilon, wide), max_iterations).astype(dtype)


class _Solution(NamedTuple):
    """Both optimal values of the linear program, which are equal, and where they are attained."""

    primal: Float[Array, ""]
    dual: Float[Array, ""]
    plan: Float[Array, "n m"]
    f: Float[Array, " n"]
    g: Float[Array, " m"]


def _with_derivative(
    value: Float[Array, ""],
    solution: _Solution,
    a: Float[Array, " n"],
    b: Float[Array, " m"],
    cost: Float[Array, "n m"],
) -> Float[Array, ""]:
    """The value, with the derivative `sum(f * da) + sum(g * db) + sum(plan * dcost)` of the envelope theorem."""
    sensitivities = ((solution.f, a), (solution.g, b), (solution.plan, cost))
    return value + sum(jnp.sum(rate * _zero(widen(argument))) for rate, argument in sensitivities)


def _zero(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Zeros whose derivative with respect to x is that of x."""
    return x - stop_gradient(x)


def _solve(a: Float[Array, " n"], b: Float[Array, " m"], cost: Float[Array, "n m"]) -> _Solution:
    """Solve the linear program on the host."""
    if jnp.ndim(a) != 1 or jnp.ndim(b) != 1 or jnp.shape(cost) != jnp.shape(a) + jnp.shape(b) or 0 in jnp.shape(cost):
        shapes = f"a {jnp.shape(a)}, b {jnp.shape(b)} and cost {jnp.shape(cost)}"
        raise ValueError(f"shapes must be a [n], b [m] and cost [n, m], none of them empty, got {shapes}")
    network_simplex = _imported("ot").emd
    tolerance = float(jnp.finfo(float_dtype(a, b)).eps) ** 0.5
    if not isinstance(a, jax.core.Tracer) and not isinstance(b, jax.core.Tracer):
        _check_totals(np.asarray(a, np.float64), np.asarray(b, np.float64), tolerance)
    wide = jnp.promote_types(float_dtype(a, b, cost), jnp.float32)
    n, m = jnp.shape(cost)
    solution = jax.pure_callback(
        functools.partial(_solve_on_host, network_simplex, tolerance),
        tuple(jax.ShapeDtypeStruct(shape, wide) for shape in ((), (), (n, m), (n,), (m,))),
        *(stop_gradient(jnp.asarray(array, wide)) for array in (a, b, cost)),
        vmap_method="sequential",
    )
    return _Solution(*solution)


def _solve_on_host(network_simplex: Callable, tolerance: float, *arrays: Array) -> tuple[np.ndarray, ...]:
    """The parts of a `_Solution`, in the dtype of the arrays; NaN if something in these is not finite."""
    a, b, cost = (np.asarray(array, np.float64) for array in arrays)
    if all(np.isfinite(array).all() for array in (a, b, cost)):
        _check_totals(a, b, tolerance)
        solution = _optimum(network_simplex, a, b, cost)
    else:
        solution = tuple(np.full(shape, np.nan) for shape in ((), (), cost.shape, a.shape, b.shape))
    with np.errstate(over="ignore"):  # A value beyond the dtype is infinite there.
        return tuple(np.asarray(part, arrays[0].dtype) for part in solution)


def _optimum(network_simplex: Callable, a: np.ndarray, b: np.ndarray, cost: np.ndarray) -> tuple[np.ndarray, ...]:
    plan, f, has_mass = np.zeros_like(cost), np.zeros_like(a), np.full_like(a, True, bool)
    # POT's tolerances are absolute, so costs and masses go in near 1. Scaling by powers of two changes no digit.
    of_cost, of_mass = (np.frexp(size)[1] for size in (np.abs(cost).max(), a.sum()))
    a, b, cost = np.ldexp(a, -of_mass), np.ldexp(b, -of_mass), np.ldexp(cost, -of_cost)
    if a.any() and b.any():
        b = b * (a.sum() / b.sum())
        plan, log = network_simplex(a, b, cost, numItermax=ITERATIONS, check_marginals=False, log=True)
        if log["warning"]:
            raise RuntimeError(f"POT has not solved the transport problem: {log['warning']}")
        f, has_mass = log["u"], a > 0
    # Solvers leave open the potentials of points without mass, which nothing bounds. So only the others are kept, and
    # from them every potential is the largest that the pairs allow, which changes none where the plan has mass.
    g = np.min(cost[has_mass] - f[has_mass, None], axis=0)
    f = np.min(cost - g, axis=1)
    primal, dual = np.ldexp([np.sum(plan * cost), a @ f + b @ g], of_cost + of_mass)
    return primal, dual, np.ldexp(plan, of_mass), np.ldexp(f, of_cost), np.ldexp(g, of_cost)


def _check_totals(a: np.ndarray, b: np.ndarray, tolerance: float) -> None:
    check_masses(a=a, b=b)
    with np.errstate(invalid="ignore"):  # What is infinite has NaN for an answer.
        apart = abs(a.sum() - b.sum())
    if apart > tolerance * max(a.sum(), b.sum()):
        raise ValueError(f"a and b must have the same total mass, got {a.sum():g} and {b.sum():g}")


# Compiled here: OTT-JAX would otherwise compile its loops at every call outside of jit.
@functools.partial(jax.jit, static_argnames="max_iterations")
def _sinkhorn(
    x: Float[Array, "n dim"], y: Float[Array, "m dim"], epsilon: Float[Array, ""], max_iterations: int
) -> Float[Array, ""]:
    costs = squared_distances(x, y), squared_distances(x, x), squared_distances(y, y)
    # With more smoothing, rounding would be more than what is left to go to the limit of epsilon -> inf.
    precision = jnp.finfo(x.dtype)
    largest = stop_gradient(jnp.maximum(jnp.max(costs[0]), float(precision.tiny)))
    epsilon = jnp.minimum(epsilon, largest * 0.1 / float(precision.eps))
    _, solved = _imported("ott.tools.sinkhorn_divergence").sinkhorn_divergence(
        _imported("ott.geometry.geometry").Geometry,
        *map(stop_gradient, costs),
        epsilon=stop_gradient(epsilon),
        a=jnp.full(len(x), 1 / len(x), x.dtype),
        b=jnp.full(len(y), 1 / len(y), y.dtype),
        solve_kwargs={"threshold": float(precision.eps) ** (2 / 3), "max_iterations": max_iterations},
    )
    xy, xx, yy = (_smoothed_cost(cost, f, g, epsilon) for cost, (f, g) in zip(costs, solved.potentials, strict=True))
    return xy - 0.5 * (xx + yy)


def _smoothed_cost(
    cost: Float[Array, "n m"], f: Float[Array, " n"], g: Float[Array, " m"], epsilon: Float[Array, ""]
) -> Float[Array, ""]:
    """Dual value of smoothed transport at potentials that are held fixed, masses being uniform.

    `mean over i, j of f_i + g_j - epsilon (exp(excess_ij) - 1)`, where `excess_ij = (f_i + g_j - cost_ij) / epsilon`

    It is largest at the best potentials, so that errors in them count quadratically, and written so that a large
    epsilon does not swallow its digits, as it does in the value that OTT-JAX returns: the potentials, which may be
    much larger than the cost, enter by the excess alone.
    """
    # OTT-JAX's potentials contain epsilon times the logarithm of the masses.
    excess = (stop_gradient(f[:, None] + g + epsilon * math.log(cost.size)) - cost) / epsilon
    return jnp.mean(cost - epsilon * (jnp.expm1(excess) - excess))


def _imported(module: str) -> ModuleType:
    """A module of the extra `transport`."""
    # Outside of what is being traced, which constants of the module would else belong to.
    with jax.ensure_compile_time_eval(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # OTT-JAX imports jaxopt, which deprecates itself.
        return require(module, extra="transport")
