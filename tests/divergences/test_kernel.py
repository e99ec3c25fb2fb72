"""Properties of discrepancies between samples beyond values: tiles, memory, expectations, bandwidths, errors."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.distance import cdist

from jaxgen.divergences import energy_distance, mmd
from jaxgen.divergences.kernel import MEDIAN_SAMPLE, TILE, _median_distance
from jaxgen.errors import InputError


def samples(n, m, dimension, *, shift=0.3, seed=0):
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(n, dimension))
    y = shift + generator.normal(size=(m, dimension))
    return np.float32(x), np.float32(y)


def check_jvp(function, arguments, *, reverse=False):
    """Compare derivatives along a random direction with finite differences, all of them in one program."""
    generator, step = np.random.default_rng(3), 1e-6
    tangents = tuple(generator.normal(size=np.shape(x)) for x in arguments)

    @jax.jit
    def evaluate(arguments, tangents):
        signs = np.array([0.0, 1.0, -1.0])
        moved = tuple(x + step * jnp.multiply.outer(signs, t) for x, t in zip(arguments, tangents, strict=True))
        value, after, before = jax.lax.map(lambda point: function(*point), moved)
        same, forward = jax.jvp(function, arguments, tangents)
        backward = []
        if reverse:
            gradients = jax.grad(function, range(len(arguments)))(*arguments)
            backward = [sum(jnp.vdot(t, g) for t, g in zip(tangents, gradients, strict=True))]
        return (value, same), (after - before) / (2 * step), forward, backward

    (value, same), numerical, forward, backward = evaluate(arguments, tangents)
    np.testing.assert_allclose(same, value, rtol=1e-9)
    for derivative in (forward, *backward):
        np.testing.assert_allclose(derivative, numerical, rtol=1e-5, atol=1e-5)


def rbf(x, y, bandwidth):
    return np.exp(-cdist(x, y, "sqeuclidean") / (2 * bandwidth**2))


def mmd_formula(x, y, bandwidth):
    """Return the unbiased MMD in float64, from the three complete kernel matrices."""
    x, y = np.float64(x), np.float64(y)
    n, m = len(x), len(y)
    within = (rbf(x, x, bandwidth).sum() - n) / (n * (n - 1)) + (rbf(y, y, bandwidth).sum() - m) / (m * (m - 1))
    return within - 2 * rbf(x, y, bandwidth).mean()


def mmd_gradient_formula(x, y, bandwidth):
    """Return the gradient of `mmd_formula` by x.

    The gradient of `k(x_i, z)` by `x_i` is `k(x_i, z) (z - x_i) / bandwidth^2`.
    """
    x, y = np.float64(x), np.float64(y)
    n, m = len(x), len(y)

    def weighted_differences(points):
        kernel = rbf(x, points, bandwidth)
        return kernel @ points - kernel.sum(axis=1, keepdims=True) * x

    return (2 * weighted_differences(x) / (n * (n - 1)) - 2 * weighted_differences(y) / (n * m)) / bandwidth**2


# Several tiles, of which the last repeats points of the previous one, in few and in many dimensions.
SIZES = [(TILE + 77, 2 * TILE + 253, 3), (TILE + 1, 5, 40), (2, 2 * TILE, 3)]


@pytest.mark.parametrize(("n", "m", "dimension"), SIZES)
def test_sum_of_mmd_tiles_covers_all_pairs(n, m, dimension):
    x, y = samples(n, m, dimension)
    bandwidth = dimension**0.5
    value, gradients = jax.jit(jax.value_and_grad(mmd, (0, 1)))(x, y, bandwidth=bandwidth)
    assert abs(float(value) - mmd_formula(x, y, bandwidth)) < 1e-6
    for gradient, pair in zip(gradients, ((x, y), (y, x)), strict=True):
        want = mmd_gradient_formula(*pair, bandwidth)
        assert np.max(np.abs(gradient - want)) < 1e-5 * np.max(np.abs(want))


def test_sum_of_energy_distance_tiles_covers_all_pairs():
    x, y = samples(TILE + 77, TILE + 300, 20)
    mean = lambda a, b: cdist(np.float64(a), np.float64(b)).mean()  # noqa: E731
    assert abs(float(jax.jit(energy_distance)(x, y)) - (2 * mean(x, y) - mean(x, x) - mean(y, y))) < 1e-6


def test_mmd_is_accurate_for_small_differences_of_large_means():
    # The result, 1e-5, is a difference of means of about 0.6, which single precision resolves to 6e-8.
    x, y = samples(2000, 2000, 64, shift=0.003)
    want = mmd_formula(x, y, 8.0)
    assert 1e-6 < abs(want) < 1e-4
    assert abs(float(mmd(x, y, bandwidth=8.0)) - want) < 1e-8


@pytest.mark.parametrize("offset", [1e3, 1e4, 1e5])
def test_mmd_is_accurate_far_from_origin(offset):
    x, y = samples(7, 40, 300, shift=1.0)
    x, y = np.float32(offset) + x / 100, np.float32(offset) + y / 100
    bandwidth = np.float32(0.25)
    assert abs(float(mmd(x, y, bandwidth=bandwidth)) - mmd_formula(x, y, bandwidth)) < 1e-6


@jax.jit
def of_three_discrepancies(x, y, bandwidth):
    """Values and gradients by x, in one program for all units."""
    functions = (mmd, functools.partial(mmd, kernel="imq", bandwidth=bandwidth), energy_distance)
    return [jax.value_and_grad(function)(x, y) for function in functions]


@pytest.mark.parametrize("unit", [1e-30, 1e-22, 1e-18, 1e18, 1e22, 1e30])
@pytest.mark.parametrize("dimension", [3, 20])
def test_values_and_gradients_scale_with_unit_of_points(unit, dimension):
    x, y = samples(9, 8, dimension)

    def values_and_gradients(unit):
        return of_three_discrepancies(x * np.float32(unit), y * np.float32(unit), 2 * unit)

    for (value, gradient), (want, gradient_want), power in zip(
        values_and_gradients(unit), values_and_gradients(1.0), (0, 0, 1), strict=True
    ):
        np.testing.assert_allclose(value, want * unit**power, rtol=1e-4)
        # Multiplied by the unit in float64, in which gradients do not leave the float range.
        np.testing.assert_allclose(np.float64(gradient) * unit ** (1 - power), gradient_want, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("function", [mmd, energy_distance])
def test_forward_over_reverse_second_derivatives_match_finite_differences(function):
    with jax.enable_x64(True):
        x, y = (np.float64(sample) for sample in samples(5, 6, 20))
        bandwidth = {"bandwidth": 3.0} if function is mmd else {}
        check_jvp(jax.grad(lambda x: function(x, y, **bandwidth)), (x,))


def test_mmd_is_accurate_for_bandwidth_far_below_spread():
    # Ten distant clusters of near points: products of 20 coordinates alone would have an error of 1e-2 in the exponent.
    generator = np.random.default_rng(0)
    centres = 10 * generator.normal(size=(10, 20))
    x, y = (np.float32(centres[np.arange(100) % 10] + 0.01 * generator.normal(size=(100, 20))) for _ in range(2))
    want = mmd_formula(x, y, 0.05)
    mean = rbf(x, y, 0.05).mean()
    assert abs(float(mmd(x, y, bandwidth=0.05)) - want) < 1e-5 * mean


@pytest.mark.parametrize("function", [mmd, energy_distance])
@pytest.mark.parametrize("derivative", [False, True], ids=["value", "gradient"])
def test_memory_does_not_grow_with_number_of_pairs(function, derivative):
    def temporary(n):
        points = jax.ShapeDtypeStruct((n, 16), np.float32)
        compiled = jax.jit(jax.grad(function, (0, 1)) if derivative else function).lower(points, points).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    few, many = 4 * TILE, 32 * TILE
    # Twice the memory of the points, for their gradients; a matrix of all pairs would take 4 GiB.
    assert temporary(many) - temporary(few) <= 4 * 16 * 4 * (many - few)
    assert temporary(many) < 100 * 2**20


def gaussian_kernel_mean(distance, variance, bandwidth, dimension):
    """Return the mean rbf kernel of two Gaussians whose difference has this mean distance and variance."""
    total = bandwidth**2 + variance
    return (bandwidth**2 / total) ** (dimension / 2) * np.exp(-(distance**2) / (2 * total))


estimate_all = jax.jit(jax.vmap(lambda x, y, bandwidth: mmd(x, y, bandwidth=bandwidth), (0, 0, None)))
"""The unbiased MMD of each of many pairs of samples."""


@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (0.5, 1.0), (0.2, 1.5)])
def test_mean_mmd_of_gaussians_matches_closed_form(shift, scale):
    dimension, bandwidth = 3, 1.2
    x, y = np.random.default_rng(0).normal(size=(2, 400, 30, dimension)).astype(np.float32)
    estimates = np.float64(estimate_all(x, np.float32(shift + scale * y), bandwidth))
    mean = functools.partial(gaussian_kernel_mean, bandwidth=bandwidth, dimension=dimension)
    want = mean(0, 2) + mean(0, 2 * scale**2) - 2 * mean(shift * dimension**0.5, 1 + scale**2)
    assert abs(estimates.mean() - want) < 4 * estimates.std() / 20


@pytest.mark.parametrize("kernel", ["rbf", "imq", "polynomial"])
def test_mean_unbiased_mmd_of_equal_distributions_is_zero(kernel):
    x, y = np.random.default_rng(1).normal(size=(2, 400, 20, 5)).astype(np.float32)

    @jax.jit
    @jax.vmap
    def estimates(x, y):
        return [mmd(x, y, kernel=kernel, unbiased=unbiased) for unbiased in (True, False)]

    unbiased, biased = np.float64(estimates(x, y[:, :13]))
    assert abs(unbiased.mean()) < 4 * unbiased.std() / 20
    assert np.all(biased > 0)


@pytest.mark.parametrize("kernel", ["rbf", "imq", "polynomial", None])
def test_discrepancy_of_permuted_sample_is_zero(kernel):
    x, _ = samples(300, 0, 20)
    y = np.random.default_rng(1).permutation(x)
    value = mmd(x, y, kernel=kernel, unbiased=False) if kernel else jax.jit(energy_distance)(x, y)
    assert abs(float(value)) < 1e-6


def test_energy_distance_of_single_points_matches_closed_form():
    x, y = np.float32([[1.0, 2.0]]), np.float32([[4.0, -2.0]])
    value_and_gradient = jax.jit(jax.value_and_grad(energy_distance))
    value, gradient = value_and_gradient(x, y)
    np.testing.assert_allclose(value, 10.0, rtol=1e-6)
    np.testing.assert_allclose(gradient, [[-1.2, 1.6]], rtol=1e-6)
    np.testing.assert_allclose(jax.jit(jax.grad(energy_distance, 1))(x, y), [[1.2, -1.6]], rtol=1e-6)
    value, gradient = value_and_gradient(x, x)
    assert value == 0
    np.testing.assert_array_equal(gradient, 0.0)


def test_energy_distance_is_homogeneous_and_invariant_to_rigid_motions():
    x, y = samples(40, 30, 4)
    rotation, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(4, 4)))
    distance = jax.jit(energy_distance)
    want = distance(x, y)
    np.testing.assert_allclose(distance(3 * x, 3 * y), 3 * want, rtol=1e-5)
    np.testing.assert_allclose(distance(np.float32(x @ rotation) + 5, np.float32(y @ rotation) + 5), want, rtol=1e-5)


median_distance = jax.jit(_median_distance)


def median_by_numpy(points):
    distances = cdist(points, points)
    return np.quantile(distances[distances > 0], 0.5, method="inverted_cdf")


def test_median_distance_is_over_all_pairs_of_different_points():
    x, y = samples(41, 30, 3, shift=2.0)
    y[:20] = x[0]  # pairs that coincide are left out
    np.testing.assert_allclose(median_distance(x, y), median_by_numpy(np.concatenate([x, y])), rtol=1e-6)
    with jax.enable_x64(True):
        x, y = np.float64(x), np.float64(y)
        np.testing.assert_allclose(median_distance(x, y), median_by_numpy(np.concatenate([x, y])), rtol=1e-14)
    assert median_distance(np.ones((3, 2)), np.ones((2, 2))) == 1


def test_median_distance_of_large_samples_uses_evenly_spaced_points():
    x, y = samples(2 * MEDIAN_SAMPLE, 2 * MEDIAN_SAMPLE + 1, 3, shift=2.0)
    want = median_by_numpy(np.concatenate([x[::2], y[::3]]))
    np.testing.assert_allclose(median_distance(x, y), want, rtol=1e-6)
    np.testing.assert_allclose(want, median_by_numpy(np.concatenate([x, y])), rtol=0.05)


@pytest.mark.parametrize("kernel", ["rbf", "imq"])
def test_median_bandwidth_has_no_gradient(kernel):
    @jax.jit
    def without_and_with_bandwidth(x, y):
        bandwidths = (None, _median_distance(x, y))
        return [jax.value_and_grad(functools.partial(mmd, kernel=kernel, bandwidth=b))(x, y) for b in bandwidths]

    (value, gradient), (want, gradient_want) = without_and_with_bandwidth(*samples(12, 9, 3))
    np.testing.assert_allclose(value, want, rtol=1e-6)
    np.testing.assert_allclose(gradient, gradient_want, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("kernel", ["rbf", "imq"])
def test_gradient_by_bandwidth_matches_finite_differences(kernel):
    x, y = samples(7, 5, 3)
    with jax.enable_x64(True):
        function = functools.partial(mmd, y=np.float64(y), kernel=kernel)
        check_jvp(lambda x, bandwidth: function(x, bandwidth=bandwidth), (np.float64(x), 1.5), reverse=True)


def test_concrete_bandwidth_is_accepted_inside_jit():
    x, y = samples(4, 5, 2)
    bandwidth = jnp.float32(1.5)
    np.testing.assert_allclose(
        jax.jit(lambda x: mmd(x, y, bandwidth=bandwidth))(x), mmd(x, y, bandwidth=1.5), rtol=1e-5
    )


@pytest.mark.parametrize("function", [mmd, energy_distance])
def test_empty_events_have_zero_discrepancy(function):
    assert function(jnp.zeros((3, 0)), jnp.zeros((2, 0))) == 0


def test_double_precision_bandwidth_does_not_change_dtype():
    x, y = samples(7, 5, 3)
    with jax.enable_x64(True):
        assert mmd(jnp.asarray(x), jnp.asarray(y), bandwidth=jnp.float64(2.0)).dtype == jnp.float32


def test_numpy_images_are_accepted():
    generator = np.random.default_rng(0)
    x, y = generator.integers(256, size=(2, 6, 4, 4, 3), dtype=np.uint8)
    want = mmd(np.float32(x).reshape(6, 48), np.float32(y).reshape(6, 48))
    np.testing.assert_allclose(mmd(x, y), want, rtol=1e-6)


@pytest.mark.parametrize("function", [mmd, energy_distance])
def test_mismatched_samples_raise(function):
    with pytest.raises(ValueError, match=r"x \(5, 3\) and y \(5, 4\)"):
        function(np.zeros((5, 3)), np.zeros((5, 4)))
    with pytest.raises(ValueError, match=r"x \(5, 12\) and y \(5, 3, 4\)"):
        function(np.zeros((5, 12)), np.zeros((5, 3, 4)))
    with pytest.raises(ValueError, match=r"x .* got shape \(\)"):
        function(np.float32(0.0), np.zeros((5, 4)))
    with pytest.raises(ValueError, match=r"x \(0, 4\) and y \(5, 4\)"):
        function(np.zeros((0, 4)), np.zeros((5, 4)))


def test_unbiased_mmd_requires_two_points_and_biased_one():
    x, y = np.zeros((1, 3)), np.ones((2, 3))
    with pytest.raises(ValueError, match=r"at least 2, got x \(1, 3\) and y \(2, 3\)"):
        mmd(x, y)
    assert mmd(x, y, unbiased=False) > 0


def test_invalid_kernels_and_bandwidths_raise():
    x, y = samples(3, 3, 2)
    with pytest.raises(InputError, match="did you mean 'polynomial'"):
        mmd(x, y, kernel="polynomal")
    with pytest.raises(InputError, match="bandwidth must be None for kernel 'polynomial', got 1"):
        mmd(x, y, kernel="polynomial", bandwidth=1.0)
    for bandwidth in (-1.0, jnp.float32(-1.0), 0, np.nan):
        with pytest.raises(InputError, match="bandwidth must be above 0"):
            mmd(x, y, bandwidth=bandwidth)
    with pytest.raises(InputError, match=r"bandwidth must be one number, got shape \(2,\)"):
        mmd(x, y, bandwidth=np.ones(2))
    with pytest.raises(InputError, match="bandwidth must be a number, got 'median'"):
        mmd(x, y, bandwidth="median")
