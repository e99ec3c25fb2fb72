import functools
import itertools
import re
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.spatial.distance
import scipy.stats
from jax.test_util import check_grads

from jaxgen.divergences import earth_movers_distance, kantorovich_dual, sinkhorn_divergence, wasserstein_1d
from jaxgen.errors import InputError


def problem(n, m, seed=0):
    """Return masses, some of them 0, and the distances between random points of the plane."""
    generator = np.random.default_rng(seed)
    a, b = (generator.exponential(size=size) * (generator.uniform(size=size) < 0.7) for size in (n, m))
    x, y = generator.normal(size=(n, 2)), generator.normal(size=(m, 2))
    cost = scipy.spatial.distance.cdist(x, y)
    return tuple(np.float32(array) for array in (a / a.sum(), b / b.sum(), cost))


def sample(n, dim, seed=0, scale=1.0):
    return np.float32(np.random.default_rng(seed).normal(size=(n, dim), scale=scale))


def squared_distances(x, y):
    return scipy.spatial.distance.cdist(np.float64(x), np.float64(y), "sqeuclidean")


@jax.jit
def value_and_gradient(x, y, epsilon):
    """Return the Sinkhorn divergence and its gradient by x, in one program for all epsilons."""
    return jax.value_and_grad(sinkhorn_divergence)(x, y, epsilon=epsilon)


SOURCES, TARGETS = np.array([1.0, 1, 1, 2, 3, 3]), np.array([7.0, 8, 9, 9, 10, 10])


def test_integer_transport_problem_has_exact_cost():
    distances = jnp.abs(SOURCES[:, None] - TARGETS)
    cost, plan = earth_movers_distance(jnp.ones(6), jnp.ones(6), distances)
    assert cost == 42
    np.testing.assert_array_equal(plan.sum(axis=0), np.ones(6))
    np.testing.assert_array_equal(plan.sum(axis=1), np.ones(6))
    np.testing.assert_allclose(np.sum(plan * distances), 42)
    share = jnp.full(6, 1 / 6)
    np.testing.assert_allclose(earth_movers_distance(share, share, distances).cost, 7, rtol=1e-6)


@pytest.mark.parametrize("power", [1, 2])
def test_cost_is_minimal_over_all_permutations(power):
    distances = np.abs(SOURCES[:, None] - TARGETS) ** power
    costs = {distances[range(6), list(columns)].sum() for columns in itertools.permutations(range(6))}
    # All targets lie to the right of all sources, so all plans have equal total distance, but not squared distance.
    assert (costs == {42.0}) if power == 1 else (len(costs) > 10)
    assert earth_movers_distance(jnp.ones(6), jnp.ones(6), jnp.asarray(distances)).cost == min(costs)


@pytest.mark.parametrize("theta", [5.0, 4.0, 0.0])
def test_distance_of_parallel_segments_matches_closed_form(theta):
    heights = np.linspace(0.0, 1.0, 20)
    left, right = (np.stack([np.full(20, at), heights], axis=1) for at in (0.0, theta))
    distances = jnp.asarray(scipy.spatial.distance.cdist(left, right), jnp.float32)
    uniform = jnp.full(20, 1 / 20)
    np.testing.assert_allclose(earth_movers_distance(uniform, uniform, distances).cost, theta, rtol=1e-6)
    np.testing.assert_allclose(kantorovich_dual(uniform, uniform, distances).value, theta, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("seed", range(3))
def test_primal_cost_equals_supremum_over_lipschitz_functions(seed):
    a, b, _ = problem(6, 6, seed)
    points = np.random.default_rng(seed).normal(size=(6, 2))
    distances = jnp.asarray(scipy.spatial.distance.cdist(points, points), jnp.float32)
    infimum, supremum = earth_movers_distance(a, b, distances).cost, kantorovich_dual(a, b, distances)
    np.testing.assert_allclose(supremum.value, infimum, rtol=1e-6)

    # The supremum computed directly: a linear program over the values of a 1-Lipschitz function at the points.
    pairs = np.array([np.eye(6)[i] - np.eye(6)[j] for i, j in itertools.product(range(6), repeat=2)])
    lipschitz = scipy.optimize.linprog(
        np.float64(b - a), A_ub=pairs, b_ub=np.float64(distances).ravel(), bounds=[(0, 0), *[(None, None)] * 5]
    )
    np.testing.assert_allclose(-lipschitz.fun, infimum, rtol=1e-5)

    # The 1-Lipschitz function defined by the potentials, at the points and elsewhere.
    plane = np.concatenate([points, np.random.default_rng(9).normal(size=(50, 2), scale=3)])
    between = scipy.spatial.distance.cdist(plane, plane)
    h = np.min(between[:, :6] - np.asarray(supremum.g), axis=1)
    assert (np.abs(h[:, None] - h) <= between + 1e-6).all()
    np.testing.assert_allclose((a - b) @ h[:6], infimum, rtol=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_plan_and_potentials_satisfy_optimality_conditions(seed):
    a, b, cost = problem(9, 12, seed)
    plan, dual = earth_movers_distance(a, b, cost).plan, kantorovich_dual(a, b, cost)
    assert (plan >= 0).all()
    np.testing.assert_allclose(plan.sum(axis=1), a, atol=1e-7)
    np.testing.assert_allclose(plan.sum(axis=0), b, atol=1e-7)
    slack = cost - dual.f[:, None] - dual.g
    assert (slack >= -1e-6).all()
    assert np.abs(slack[plan > 0]).max() <= 1e-6
    np.testing.assert_allclose(a @ dual.f + b @ dual.g, dual.value, rtol=1e-5)
    np.testing.assert_allclose(jnp.min(cost - dual.g, axis=1), dual.f, atol=1e-6)


def test_unit_masses_match_linear_assignment():
    cost = np.random.default_rng(0).normal(size=(300, 300))
    rows, columns = scipy.optimize.linear_sum_assignment(cost)
    got, plan = earth_movers_distance(jnp.ones(300), jnp.ones(300), jnp.asarray(cost, jnp.float32))
    np.testing.assert_allclose(got, cost[rows, columns].sum(), rtol=1e-6)
    np.testing.assert_array_equal(plan[rows, columns], np.ones(300))


def test_one_dimensional_cost_matches_wasserstein_1d():
    a, b, _ = problem(20, 30)
    x, y = sample(20, 1)[:, 0], sample(30, 1, seed=1)[:, 0]
    for order in (1, 2):
        cost = jnp.abs(x[:, None] - y) ** order
        want = wasserstein_1d(x, y, order=order, x_weights=a, y_weights=b)
        np.testing.assert_allclose(earth_movers_distance(a, b, cost).cost ** (1 / order), want, rtol=1e-5)


def test_derivatives_are_plan_and_potentials():
    a, b, cost = problem(5, 6)
    plan, dual = earth_movers_distance(a, b, cost).plan, kantorovich_dual(a, b, cost)
    for function in (lambda *args: earth_movers_distance(*args).cost, lambda *args: kantorovich_dual(*args).value):
        of_a, of_b, of_cost = jax.jit(jax.grad(function, (0, 1, 2)))(a, b, cost)
        np.testing.assert_array_equal(of_cost, plan)
        np.testing.assert_array_equal(of_a, dual.f)
        np.testing.assert_array_equal(of_b, dual.g)


def test_plan_and_potentials_have_zero_derivatives():
    a, b, cost = problem(5, 6)
    fixed = lambda cost: (earth_movers_distance(a, b, cost).plan, kantorovich_dual(a, b, cost)[1:])  # noqa: E731
    for tangent in jax.tree.leaves(jax.jvp(fixed, (cost,), (jnp.ones_like(cost),))[1]):
        assert not tangent.any()


@pytest.mark.parametrize(("dtype", "tolerance"), [(jnp.float32, 1e-5), (jnp.bfloat16, 0.02)])
def test_totals_that_differ_by_rounding_are_accepted(dtype, tolerance):
    a, b = jax.nn.softmax(sample(2, 500, scale=4.0).astype(dtype), axis=1)
    assert np.float64(a).sum() != np.float64(b).sum()
    points = jnp.arange(500.0)
    got = earth_movers_distance(a, b, jnp.abs(points[:, None] - points)).cost
    want = scipy.stats.wasserstein_distance(points, points, np.float64(a), np.float64(b))
    np.testing.assert_allclose(np.float64(got), want, rtol=tolerance)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([1.0, 1.0], [1.0, 1.1], "a and b must have the same total mass, got 2 and 2.1"),
        ([0.0, 0.0], [1.0, 0.0], "a and b must have the same total mass, got 0 and 1"),
        ([2.0, -1.0], [1.0, 0.0], "a must not be negative, got a minimum of -1"),
    ],
)
@pytest.mark.parametrize("function", [earth_movers_distance, kantorovich_dual])
def test_invalid_masses_raise(function, a, b, message):
    a, b, cost = jnp.array(a), jnp.array(b), jnp.ones((2, 2))
    with pytest.raises(ValueError, match=message):
        function(a, b, cost)
    with pytest.raises(jax.errors.JaxRuntimeError, match=message):
        jax.block_until_ready(jax.jit(function)(a, b, cost))


@pytest.mark.parametrize(
    ("a", "b", "cost"), [((2,), (3,), (3, 2)), ((2, 1), (3,), (2, 1, 3)), ((2,), (3,), (2,)), ((0,), (3,), (0, 3))]
)
@pytest.mark.parametrize("function", [earth_movers_distance, kantorovich_dual])
def test_mismatched_shapes_raise(function, a, b, cost):
    with pytest.raises(ValueError, match=re.escape(f"got a {a}, b {b} and cost {cost}")):
        jax.eval_shape(function, jnp.ones(a), jnp.ones(b), jnp.ones(cost))


def test_non_finite_arguments_give_nan():
    a, b, cost = problem(3, 3)
    infinite = np.where(np.diag([0, 1, 0]), np.float32(np.inf), cost)
    for arguments in ((a * np.nan, b, cost), (a + np.inf, b + np.inf, cost), (a, b, infinite)):
        assert np.isnan(earth_movers_distance(*arguments).cost)
        for leaf in jax.tree.leaves(
            (jax.jit(earth_movers_distance)(*arguments), jax.jit(kantorovich_dual)(*arguments))
        ):
            assert np.isnan(leaf).all()


def test_zero_masses_have_zero_cost():
    cost = problem(3, 4)[2]
    arguments = jnp.zeros(3), jnp.zeros(4), cost
    transport, dual = (function(*arguments) for function in (earth_movers_distance, kantorovich_dual))
    assert transport.cost == dual.value == 0
    assert not transport.plan.any()
    assert (dual.f[:, None] + dual.g <= cost + 1e-6).all()


@pytest.mark.parametrize("of_masses", [1e-30, 1.0, 1e8, 1e12, 1e30])
@pytest.mark.parametrize("of_costs", [1e-30, 1e-14, 1e-12, 1.0, 1e30])
def test_results_scale_with_units_of_mass_and_cost(of_masses, of_costs):
    generator = np.random.default_rng(0)
    cost = generator.uniform(size=(60, 60))
    best = cost[scipy.optimize.linear_sum_assignment(cost)].sum()
    masses, costs = jnp.full(60, of_masses, jnp.float32), jnp.asarray(of_costs * cost, jnp.float32)
    transport, dual = earth_movers_distance(masses, masses, costs), kantorovich_dual(masses, masses, costs)
    # In float32 the value may overflow or underflow, but the plan and the potentials do not.
    plan = np.float64(transport.plan) / of_masses
    np.testing.assert_allclose(plan.sum(axis=1), np.ones(60), rtol=1e-6)
    np.testing.assert_allclose(np.sum(plan * cost), best, rtol=1e-6)
    np.testing.assert_allclose(np.sum(np.float64(dual.f) + np.float64(dual.g)) / of_costs, best, rtol=1e-5)
    if 1e-37 < of_masses * of_costs < 1e37:
        np.testing.assert_allclose([transport.cost, dual.value], best * of_masses * of_costs, rtol=1e-6)


def test_pairs_are_excluded_by_cost_a_million_times_the_others():
    for seed in range(5):
        generator = np.random.default_rng(seed)
        cost = generator.uniform(size=(100, 100))
        cost[generator.uniform(size=cost.shape) < 0.3] = 1e6
        best = cost[scipy.optimize.linear_sum_assignment(cost)].sum()
        arrays = jnp.ones(100), jnp.ones(100), jnp.asarray(cost, jnp.float32)
        np.testing.assert_allclose(earth_movers_distance(*arrays).cost, best, rtol=1e-6)
        np.testing.assert_allclose(kantorovich_dual(*arrays).value, best, rtol=1e-6)


def test_dtypes_are_preserved():
    a, b, cost = problem(3, 4)

    def dtypes(function, *arrays, **options):
        return {leaf.dtype for leaf in jax.tree.leaves(jax.eval_shape(functools.partial(function, **options), *arrays))}

    assert dtypes(earth_movers_distance, *(x.astype(jnp.bfloat16) for x in (a, b, cost))) == {jnp.dtype(jnp.bfloat16)}
    with jax.enable_x64(True):
        for dtype in (np.dtype("float32"), np.dtype("float64")):
            assert dtypes(kantorovich_dual, *(array.astype(dtype) for array in (a, b, cost))) == {dtype}
            assert dtypes(sinkhorn_divergence, cost.astype(dtype), cost.astype(dtype), epsilon=1.0) == {dtype}


@pytest.mark.parametrize("epsilon", [0.3, 1.0, 1e4])
def test_sinkhorn_divergence_of_shifted_sample_is_squared_shift(epsilon):
    """Shifting a sample changes the costs by terms of i and of j alone, which are the same for all plans."""
    x, shift = sample(20, 3), jnp.array([1.0, -2.0, 0.5])
    got, _ = value_and_gradient(x, x + shift, epsilon)
    np.testing.assert_allclose(got, np.sum(np.square(shift)), rtol=1e-5)
    far_away, _ = value_and_gradient(x + 100.0, x + 100.0 + shift, epsilon)
    np.testing.assert_allclose(far_away, got, rtol=1e-4)


def test_sinkhorn_divergence_converges_to_squared_wasserstein_distance():
    x, y = sample(20, 3), sample(20, 3, seed=1) + 1.0
    cost = squared_distances(x, y)
    want = cost[scipy.optimize.linear_sum_assignment(cost)].mean()
    errors = [abs(value_and_gradient(x, y, epsilon)[0] - want) for epsilon in (1.0, 0.1, 0.01)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.01 * want


def test_sinkhorn_divergence_for_large_epsilon_is_squared_distance_of_means():
    x, y = sample(20, 3), sample(15, 3, seed=1, scale=3.0)
    want = np.sum(np.square(np.mean(x, axis=0) - np.mean(y, axis=0)))
    rounding = 2e-6 * squared_distances(x, y).mean()
    np.testing.assert_allclose(value_and_gradient(x, y, 1e7)[0], want, atol=rounding)


@pytest.mark.parametrize("epsilon", [1e8, 1e20, np.inf])
def test_sinkhorn_divergence_and_gradient_for_extreme_epsilon(epsilon):
    for seed in range(4):
        x, y = sample(20, 3, seed), sample(15 + 5 * (seed % 2), 3, seed + 9, scale=3.0)
        difference = np.mean(x, axis=0, dtype=float) - np.mean(y, axis=0, dtype=float)
        want, gradient = np.sum(difference**2), np.broadcast_to(2 / len(x) * difference, x.shape)
        got = value_and_gradient(x, y, epsilon)
        rounding = 2e-6 * squared_distances(x, y).mean()
        np.testing.assert_allclose(got[0], want, atol=rounding)
        np.testing.assert_allclose(got[1], gradient, atol=1e-4 * np.abs(gradient).max())


@pytest.mark.parametrize("exponent", [-50, -30, 30, 50])
def test_sinkhorn_divergence_scales_with_unit_of_points(exponent):
    x, y, unit = sample(20, 3), 1.0 + sample(15, 3, seed=1), 2.0**exponent
    value, gradient = value_and_gradient(x, y, 1.0)
    scaled, of_scaled = value_and_gradient(unit * x, unit * y, unit**2)
    np.testing.assert_allclose(scaled / unit**2, value, rtol=1e-6)
    np.testing.assert_allclose(of_scaled / unit, gradient, rtol=1e-6, atol=1e-7)


def test_sinkhorn_divergence_of_coinciding_points_is_zero():
    for epsilon in (1e-3, 1.0, np.inf):
        value, gradient = value_and_gradient(np.full((20, 3), 7.0), np.full((15, 3), 7.0), epsilon)
        assert value == 0
        assert not gradient.any()


@pytest.mark.parametrize("seed", range(3))
def test_sinkhorn_divergence_converges_for_small_epsilon(seed):
    x, y = sample(20, 3, seed), 1.0 + sample(20, 3, seed=seed + 9)
    cost = squared_distances(x, y)
    rows, partners = scipy.optimize.linear_sum_assignment(cost)
    value, gradient = value_and_gradient(x, y, 1e-4 * cost.mean())
    np.testing.assert_allclose(value, cost[rows, partners].mean(), atol=2e-6 * cost.mean())
    want = 2 * (x - y[partners]) / 20
    np.testing.assert_allclose(gradient, want, atol=1e-2 * np.abs(want).max())


def test_sinkhorn_divergence_and_gradient_of_equal_samples_are_zero():
    with jax.enable_x64(True):
        x = np.random.default_rng(0).normal(size=(10, 2))
        value, gradient = value_and_gradient(x, x[::-1], 0.5)
    np.testing.assert_allclose(value, 0.0, atol=1e-12)
    np.testing.assert_allclose(gradient, 0.0, atol=1e-7)


def test_epsilon_may_be_traced():
    x, y = sample(20, 3), sample(15, 3, seed=1)
    for epsilon in (0.5, 5.0):
        of_traced, _ = value_and_gradient(x, y, epsilon)
        np.testing.assert_allclose(of_traced, sinkhorn_divergence(x, y, epsilon=epsilon), rtol=1e-6)


def test_sinkhorn_gradients_by_images_and_epsilon_match_finite_differences():
    with jax.enable_x64(True):
        x, y = (jnp.asarray(np.random.default_rng(s).normal(size=(3, 2, 2, 1))) for s in (0, 1))
        check_grads(lambda x, y, epsilon: sinkhorn_divergence(x, y, epsilon=epsilon), (x, y, 2.0), order=1)


@pytest.mark.parametrize(
    ("x", "y", "epsilon", "message"),
    [
        ((3, 2), (3, 4), 1.0, r"x and y must have events of the same shape, got x \(3, 2\) and y \(3, 4\)"),
        ((0, 2), (3, 2), 1.0, r"at least 1, got x \(0, 2\)"),
        ((3, 2), (3, 2), 0.0, "epsilon must be above 0, got 0.0"),
        ((3, 2), (3, 2), -1, "epsilon must be above 0, got -1"),
        ((3, 2), (3, 2), np.nan, "epsilon must be above 0, got nan"),
    ],
)
def test_invalid_samples_and_epsilons_raise(x, y, epsilon, message):
    with pytest.raises(ValueError, match=message):
        sinkhorn_divergence(jnp.zeros(x), jnp.zeros(y), epsilon=epsilon)


@pytest.mark.parametrize(
    ("max_iterations", "message"),
    [
        (0, "max_iterations must be at least 1, got 0"),
        (10.5, "max_iterations must be an integer, got 10.5"),
        (np.inf, "max_iterations must be an integer, got inf"),
    ],
)
def test_invalid_max_iterations_raises(max_iterations, message):
    with pytest.raises(InputError, match=message):
        sinkhorn_divergence(sample(3, 2), sample(3, 2), epsilon=1.0, max_iterations=max_iterations)


def test_missing_package_raises_with_install_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "ot", None)
    with pytest.raises(InputError, match=r"^ot must be installed; run: pip install 'jaxgen\[transport\]'$"):
        earth_movers_distance(*problem(2, 2))
    for name in {"ott", *(name for name in sys.modules if name.startswith("ott."))}:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=r"ott must be installed; .*'jaxgen\[transport\]'"):
        sinkhorn_divergence(jnp.ones((2, 7)), jnp.ones((3, 7)), epsilon=1.0)
