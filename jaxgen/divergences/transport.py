"""Optimal transport: exact between histograms, and with entropic regularization between samples.

The exact problem is a linear program, which POT solves on the CPU in float64; the regularized problem is solved by
OTT-JAX. Both are installed by the extra `transport` and imported when used.

Derivatives follow from the envelope theorem: the plan and the potentials at which the optimal value is attained are
constants with respect to its derivative. They are available in forward and reverse mode. Second derivatives are not,
since they depend on the derivative of the plan.
"""

import functools
import math
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient

from jaxgen._arrays import check_number, flat_events, float_dtype, is_known, widen
from jaxgen._pairwise_distances import squared_distances
from jaxgen.divergences._samples import check_masses, check_samples, known_integer
from jaxgen.optional_imports import require
from jaxgen.typing import Array, Float, Scalar

ITERATIONS = 10**9
"""Limit of iterations of the network simplex, which terminates by itself.

POT's default of 100,000 stops before the optimum of large problems.
"""


class Transport(NamedTuple):
    """Optimal transport plan and its cost.

    Attributes:
        cost: `sum(plan * cost)`, in mass times the unit of the cost matrix.
        plan: mass transported from i to j, [n, m]; its rows sum to a, its columns to b. It has no derivative.
    """

    cost: Float[Array, ""]
    plan: Float[Array, "n m"]


class Dual(NamedTuple):
    """Optimal Kantorovich potentials and their value.

    Attributes:
        value: `sum(a * f) + sum(b * g)`, in mass times the unit of the cost matrix.
        f: potential of each source, [n]. It has no derivative, and neither has g.
        g: potential of each target, [m], with `f_i + g_j <= cost_ij` for all pairs.
    """

    value: Float[Array, ""]
    f: Float[Array, " n"]
    g: Float[Array, " m"]


def earth_movers_distance(a: Float[Array, " n"], b: Float[Array, " m"], cost: Float[Array, "n m"]) -> Transport:
    """Compute the minimal cost of transporting one histogram to another, exactly.

    `min over plans P >= 0 with P 1 = a and P' 1 = b of sum(P * cost)`

    If the cost is a distance and the masses sum to 1, this is the Wasserstein distance of order 1. Time grows about as
    (n + m)^3, memory as n m. The computation runs on the host, one problem after the other, also under `vmap`.

    Args:
        a: masses of the sources, not negative, [n].
        b: masses of the targets, of the same total, which need not be 1, [m]. Totals may differ by rounding, up to the
            square root of the dtype's epsilon (3e-4 in float32); b is scaled to the total of a.
        cost: cost of transporting a unit of mass from i to j, finite and of either sign, [n, m].

    Returns:
        The cost of the optimal plan, and an optimal plan, which may not be unique. Both are NaN if an argument has NaN
        or infinite values. The derivative of the cost with respect to the cost matrix is the plan; with respect to a
        and b it is the potentials of `kantorovich_dual`, up to a constant that has no effect since totals must stay
        equal. Costs are resolved to 1e-14 of the largest magnitude: pairs to be excluded should cost a million times
        the others, not more (from 1e12 times on, plans are wrong).

    Raises:
        ValueError: if the shape of the cost is not (n, m), a mass is negative, or the totals differ. Values are checked
            when the problem is solved: compiled functions raise a `jax.errors.JaxRuntimeError` that ends with the same
            sentence.
        RuntimeError: if POT finds no optimum; no such problem is known.
        InputError: if POT is not installed.

    Reference:
        Peyré and Cuturi 2019, arXiv:1803.00567, equation 2.11; Bonneel, van de Panne, Paris and Heidrich 2011,
        doi:10.1145/2070781.2024192 (the network simplex of POT).

    Example:
        >>> sources, targets = jnp.array([3.0, 1.0, 2.0]), jnp.array([1.0, 1.0, 2.0, 2.0])
        >>> distances = jnp.abs(jnp.array([1.0, 2.0, 3.0])[:, None] - jnp.array([7.0, 8.0, 9.0, 10.0]))
        >>> print(earth_movers_distance(sources, targets, distances).cost)
        42.0
    """
    solution = _solve(a, b, cost)
    value = _with_derivative(solution.primal, solution, a, b, cost)
    dtype = float_dtype(a, b, cost)
    return Transport(value.astype(dtype), solution.plan.astype(dtype))


def kantorovich_dual(a: Float[Array, " n"], b: Float[Array, " m"], cost: Float[Array, "n m"]) -> Dual:
    """Compute the value and the potentials of the dual problem of optimal transport.

    `max over f, g with f_i + g_j <= cost_ij of sum(a * f) + sum(b * g)`, which equals the cost of the optimal plan.

    For a cost that is a metric c, the function `h(z) = min over j of c(z, y_j) - g_j` is 1-Lipschitz, equal to f at the
    points x and at most -g at the points y, so that `E_a h - E_b h` attains the value: this is the
    Kantorovich-Rubinstein form, and h is the optimal critic of a Wasserstein GAN.

    Args:
        a: masses of the sources, not negative, [n].
        b: masses of the targets, of the same total as for `earth_movers_distance`, [m].
        cost: cost of transporting a unit of mass from i to j, finite and of either sign, [n, m].

    Returns:
        The value and optimal potentials, of which `f_i = min over j of cost_ij - g_j`: they satisfy the constraints, up
        to rounding, also where there is no mass. They are unique at best up to a constant added to f and subtracted
        from g. They are rounded to 1e-14 of the largest magnitude of the costs: where some pairs cost a million times
        the others, the relative error of the value is at most 1e-6.

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
    """Compute the Sinkhorn divergence, the debiased squared 2-Wasserstein distance with entropic regularization.

    `S(x, y) = OT(x, y) - OT(x, x) / 2 - OT(y, y) / 2`, where
    `OT(x, y) = min over plans P of sum(P * |x_i - y_j|^2) + epsilon KL(P || a b')`, a and b uniform. It is 0 for equal
    samples.

    As epsilon increases it changes from the squared Wasserstein distance (epsilon -> 0) to the squared distance between
    the means (epsilon -> inf). Memory grows as (n + m)^2. Time grows as (n + m)^2 dim plus n m per iteration; the
    number of iterations is about the largest squared distance divided by epsilon, or several times that.

    Args:
        x: examples of the first sample, of equal masses, [n, ...].
        y: examples of the second sample, of equal masses, [m, ...].
        epsilon: strength of the regularization, positive, in squared units of the examples. A hundredth to a tenth of
            the mean squared distance is usual; inf gives the limit.
        max_iterations: limit of iterations of each of the three problems, which is reached without a warning: if it
            was, value and gradient change when it is doubled. The default suffices down to an epsilon of about a
            thousandth of the mean squared distance. At a ten-thousandth, the error of the gradient for 100 random
            points is 4e-3 of its largest entry; after 2000 iterations it would be as large as that entry.

    Returns:
        The divergence, in squared units of the examples; never negative except by rounding. Iteration stops when the
        error of the masses of the plan is within 2e-5 in float32 (the dtype's epsilon to the power 2/3). If this was
        reached, the error of the gradient is within 1e-3 of its largest entry, and that of the value within 2e-6 of the
        mean squared distance. The unit of the examples has no effect as long as epsilon and the squared distances are
        above 1e-28 and the sum of the latter is below 1e38.

    Raises:
        ValueError: if the shapes of the events differ or a sample is empty.
        InputError: if epsilon is not positive, max_iterations is below 1, traced or not an integer, or OTT-JAX is not
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
    max_iterations = known_integer("max_iterations", max_iterations, at_least=1)
    dtype = float_dtype(x, y)
    wide = jnp.promote_types(dtype, jnp.float32)
    points_x, points_y = (flat_events(jnp.asarray(points, wide)) for points in (x, y))
    return _sinkhorn(points_x, points_y, jnp.asarray(epsilon, wide), max_iterations).astype(dtype)


class _Solution(NamedTuple):
    """Optimal values of the primal and dual linear program, which are equal, and where they are attained."""

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
    """Return the value, with the derivative `sum(f * da) + sum(g * db) + sum(plan * dcost)` of the envelope theorem."""
    sensitivities = ((solution.f, a), (solution.g, b), (solution.plan, cost))
    return value + sum(jnp.sum(rate * _zero(widen(argument))) for rate, argument in sensitivities)


def _zero(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return zeros whose derivative with respect to x is the identity."""
    return x - stop_gradient(x)


def _solve(a: Float[Array, " n"], b: Float[Array, " m"], cost: Float[Array, "n m"]) -> _Solution:
    """Solve the linear program on the host."""
    if jnp.ndim(a) != 1 or jnp.ndim(b) != 1 or jnp.shape(cost) != jnp.shape(a) + jnp.shape(b) or 0 in jnp.shape(cost):
        shapes = f"a {jnp.shape(a)}, b {jnp.shape(b)} and cost {jnp.shape(cost)}"
        raise ValueError(f"a, b and cost must be [n], [m] and [n, m] with positive n and m, got {shapes}")
    network_simplex = _imported("ot").emd
    tolerance = float(jnp.finfo(float_dtype(a, b)).eps) ** 0.5
    if is_known(a) and is_known(b):
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


def _solve_on_host(network_simplex: Callable[..., Any], tolerance: float, *arrays: Array) -> tuple[np.ndarray, ...]:
    """Return the parts of a `_Solution` in the dtype of the arrays; NaN if an array has values that are not finite."""
    a, b, cost = (np.asarray(array, np.float64) for array in arrays)
    if all(np.isfinite(array).all() for array in (a, b, cost)):
        _check_totals(a, b, tolerance)
        solution = _optimum(network_simplex, a, b, cost)
    else:
        solution = tuple(np.full(shape, np.nan) for shape in ((), (), cost.shape, a.shape, b.shape))
    with np.errstate(over="ignore"):  # A value that overflows the dtype becomes infinite.
        return tuple(np.asarray(part, arrays[0].dtype) for part in solution)


def _optimum(
    network_simplex: Callable[..., Any], a: np.ndarray, b: np.ndarray, cost: np.ndarray
) -> tuple[np.ndarray, ...]:
    plan, f, has_mass = np.zeros_like(cost), np.zeros_like(a), np.full_like(a, True, bool)
    # POT's tolerances are absolute, so costs and masses are scaled to about 1, by powers of two, which is exact.
    of_cost, of_mass = (np.frexp(size)[1] for size in (np.abs(cost).max(), a.sum()))
    a, b, cost = np.ldexp(a, -of_mass), np.ldexp(b, -of_mass), np.ldexp(cost, -of_cost)
    if a.any() and b.any():
        b = b * (a.sum() / b.sum())
        plan, log = network_simplex(a, b, cost, numItermax=ITERATIONS, check_marginals=False, log=True)
        if log["warning"]:
            raise RuntimeError(f"POT did not solve the transport problem: {log['warning']}")
        f, has_mass = log["u"], a > 0
    # Solvers leave the potentials of points without mass undetermined. So only the others are kept, and every potential
    # is recomputed from them as the largest feasible one, which changes none where the plan has mass.
    g = np.min(cost[has_mass] - f[has_mass, None], axis=0)
    f = np.min(cost - g, axis=1)
    primal, dual = np.ldexp([np.sum(plan * cost), a @ f + b @ g], of_cost + of_mass)
    return primal, dual, np.ldexp(plan, of_mass), np.ldexp(f, of_cost), np.ldexp(g, of_cost)


def _check_totals(a: np.ndarray, b: np.ndarray, tolerance: float) -> None:
    check_masses(a=a, b=b)
    with np.errstate(invalid="ignore"):  # Infinite totals give NaN here, and the result is NaN.
        apart = abs(a.sum() - b.sum())
    if apart > tolerance * max(a.sum(), b.sum()):
        raise ValueError(f"a and b must have the same total mass, got {a.sum():g} and {b.sum():g}")


# Compiled here: OTT-JAX would otherwise compile its loops at every call outside jit.
@functools.partial(jax.jit, static_argnames="max_iterations")
def _sinkhorn(
    x: Float[Array, "n dim"], y: Float[Array, "m dim"], epsilon: Float[Array, ""], max_iterations: int
) -> Float[Array, ""]:
    costs = squared_distances(x, y), squared_distances(x, x), squared_distances(y, y)
    # Beyond this epsilon, the rounding error exceeds the distance to the limit epsilon -> inf.
    precision = jnp.finfo(x.dtype)
    largest = stop_gradient(jnp.maximum(jnp.max(costs[0]), float(precision.tiny)))
    # Below the least epsilon, quotients of costs overflow.
    epsilon = jnp.clip(epsilon, largest * float(precision.tiny) ** 0.75, largest * 0.1 / float(precision.eps))
    _, solved = _imported("ott.tools.sinkhorn_divergence").sinkhorn_divergence(
        _imported("ott.geometry.geometry").Geometry,
        *map(stop_gradient, costs),
        epsilon=stop_gradient(epsilon),
        a=jnp.full(len(x), 1 / len(x), x.dtype),
        b=jnp.full(len(y), 1 / len(y), y.dtype),
        solve_kwargs={"threshold": float(precision.eps) ** (2 / 3), "max_iterations": max_iterations},
    )
    xy, xx, yy = (_regularized_cost(cost, f, g, epsilon) for cost, (f, g) in zip(costs, solved.potentials, strict=True))
    return xy - 0.5 * (xx + yy)


def _regularized_cost(
    cost: Float[Array, "n m"], f: Float[Array, " n"], g: Float[Array, " m"], epsilon: Float[Array, ""]
) -> Float[Array, ""]:
    """Return the dual value of regularized transport at fixed potentials, for uniform masses.

    `mean over i, j of f_i + g_j - epsilon (exp(excess_ij) - 1)`, where `excess_ij = (f_i + g_j - cost_ij) / epsilon`

    It is largest at the optimal potentials, so that errors in them have a quadratic effect. The potentials, which may
    be much larger than the cost, enter through the excess alone, so that a large epsilon does not cancel digits, as it
    does in the value that OTT-JAX returns.
    """
    # OTT-JAX's potentials contain epsilon times the logarithm of the masses.
    excess = (stop_gradient(f[:, None] + g + epsilon * math.log(cost.size)) - cost) / epsilon
    return jnp.mean(cost - epsilon * (jnp.expm1(excess) - excess))


def _imported(module: str) -> ModuleType:
    """Import a module that the extra `transport` installs."""
    # Outside the current trace, to which constants created by the import would otherwise belong.
    with jax.ensure_compile_time_eval(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # OTT-JAX imports jaxopt, which is deprecated.
        return require(module, extra="transport")
