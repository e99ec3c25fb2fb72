import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
import scipy.stats

from jaxgen.divergences import frechet_distance, kl_multivariate_normal, kl_normal, kl_standard_normal

compiled = functools.cache(jax.jit)


def in_float64(function, *inputs):
    with jax.enable_x64(True):
        return np.asarray(compiled(function)(*inputs))


def in_float32(function, *inputs):
    return np.float64(compiled(function)(*map(np.float32, inputs)))


@pytest.mark.parametrize(("mean", "log_var"), [(0.0, 0.0), (1.5, 0.0), (0.0, -2.0), (-0.7, 1.2), (3.0, -4.0)])
def test_kl_standard_normal_matches_integral(mean, log_var):
    p, q = scipy.stats.norm(mean, np.exp(log_var / 2)), scipy.stats.norm(0, 1)
    integral, _ = scipy.integrate.quad(
        lambda x: p.pdf(x) * (p.logpdf(x) - q.logpdf(x)), mean - 12 * p.std(), mean + 12 * p.std(), epsabs=1e-12
    )
    got = in_float32(kl_standard_normal, [[mean]], [[log_var]])
    np.testing.assert_allclose(got[0], integral, rtol=1e-5, atol=1e-9)


def test_kl_standard_normal_sums_over_event():
    mean, log_var = np.random.default_rng(0).normal(size=(2, 5, 4, 3)).astype(np.float32)
    m, v = np.float64(mean), np.exp(np.float64(log_var))
    want = 0.5 * (m**2 + v - 1 - np.log(v)).sum(axis=(1, 2))
    np.testing.assert_allclose(in_float32(kl_standard_normal, mean, log_var), want, rtol=1e-5)


@pytest.mark.parametrize("log_var", [1e-12, 1e-6, -1e-4, 3e-3, -0.1, 0.499, 0.501, -0.6])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-14)])
def test_kl_standard_normal_is_accurate_near_prior(log_var, dtype, tolerance):
    exact_log_var = float(dtype(log_var))
    # The Taylor series of exp(x) - 1 - x in extended precision: forty terms, smallest first.
    terms = np.cumprod([exact_log_var / n for n in range(1, 41)], dtype=np.longdouble)[1:]
    want = 0.5 * float(np.sum(terms[::-1]))
    with jax.enable_x64(True):
        got = compiled(kl_standard_normal)(np.zeros((1, 1), dtype), np.full((1, 1), log_var, dtype))
    np.testing.assert_allclose(np.float64(got[0]), want, rtol=tolerance, atol=0)


def test_kl_standard_normal_at_extreme_variances():
    log_var = np.float32([[-1e4, 0.0, 80.0]])
    value, gradient = jax.jit(jax.value_and_grad(lambda v: kl_standard_normal(jnp.zeros((1, 3)), v).sum()))(log_var)
    np.testing.assert_allclose(value, 0.5 * (1e4 - 1 + np.exp(80.0) - 81), rtol=1e-5)
    np.testing.assert_allclose(gradient, [[-0.5, 0.0, 0.5 * np.exp(80.0)]], rtol=1e-5)


def test_hessian_of_kl_standard_normal_matches_closed_form():
    mean, log_var = np.random.default_rng(1).normal(size=(2, 1, 4))
    with jax.enable_x64(True):
        hessian = jax.jit(jax.hessian(lambda *arguments: kl_standard_normal(*arguments)[0], (0, 1)))(mean, log_var)
    (by_mean, mixed), (also_mixed, by_log_var) = (np.reshape(blocks, (2, 4, 4)) for blocks in hessian)
    np.testing.assert_allclose(by_mean, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(by_log_var, np.diag(np.exp(log_var[0]) / 2), atol=1e-12)
    np.testing.assert_array_equal([mixed, also_mixed], 0.0)


NEAR = [1e-6, -1e-4, 3e-3, -0.1, 0.499, -0.6]


@pytest.mark.parametrize(
    ("p", "q"), [((0.0, 0.0), (1.0, 0.5)), ((1.5, -2.0), (1.0, 1.2)), ((-3.0, 0.4), (0.5, -1.0))], ids=str
)
def test_kl_normal_matches_integral(p, q):
    density_p, density_q = (scipy.stats.norm(mean, np.exp(log_var / 2)) for mean, log_var in (p, q))
    integral, _ = scipy.integrate.quad(
        lambda x: density_p.pdf(x) * (density_p.logpdf(x) - density_q.logpdf(x)), -40, 40, points=[p[0]], epsabs=1e-12
    )
    got = in_float32(kl_normal, *([[x]] for x in (*p, *q)))
    np.testing.assert_allclose(got[0], integral, rtol=1e-5)


@pytest.mark.parametrize("change", NEAR)
def test_kl_normal_is_accurate_for_near_gaussians(change):
    log_var_q = np.float32(3.0)
    log_var_p = log_var_q + np.float32(change)
    exact = float(log_var_p) - float(log_var_q)
    terms = np.cumprod([exact / n for n in range(1, 41)], dtype=np.longdouble)[1:]
    got = in_float32(kl_normal, *([[x]] for x in (7.0, log_var_p, 7.0, log_var_q)))
    np.testing.assert_allclose(got[0], 0.5 * float(np.sum(terms[::-1])), rtol=1e-6, atol=0)


def test_hessian_of_kl_normal_at_equality_is_fisher_information():
    # With respect to mean and log-variance of one component: 1 / variance and 1/2.
    log_var = 1.2
    with jax.enable_x64(True):

        def divergence(parameters):
            return kl_normal(parameters[:1, None], parameters[1:, None], jnp.array([[0.3]]), jnp.array([[log_var]]))[0]

        hessian = jax.jit(jax.hessian(divergence))(np.array([0.3, log_var]))
    np.testing.assert_allclose(hessian, np.diag([np.exp(-log_var), 0.5]), atol=1e-12)


def test_kl_normal_is_zero_for_equal_means_at_vanishing_variance():
    log_var = np.full((1, 2), -1e4, np.float32)
    mean = np.float32([[1.0, -2.0]])
    np.testing.assert_array_equal(in_float32(kl_normal, mean, log_var, mean, log_var), [0.0])
    np.testing.assert_array_equal(in_float32(kl_normal, mean, log_var, -mean, log_var), [np.inf])
    gradients = jax.jit(jax.grad(lambda *p: kl_normal(*p).sum(), (0, 1)))(mean, log_var, mean, log_var)
    np.testing.assert_array_equal(gradients, np.zeros((2, 1, 2)))


@jax.jit
@jax.value_and_grad
def kl_from_zero_mean(mean, log_var):
    return kl_normal(mean, log_var, 0 * mean, log_var)[0]


@pytest.mark.parametrize("scale", [1e-30, 1e-19, 1e19, 1e30])
def test_kl_normal_does_not_depend_on_unit(scale):
    value, gradient = kl_from_zero_mean(*(np.full((1, 1), x, np.float32) for x in (3 * scale, 2 * np.log(scale))))
    np.testing.assert_allclose(value, 4.5, rtol=3e-5)  # the size of the rounding error of log_var
    np.testing.assert_allclose(gradient, [[3 / scale]], rtol=3e-5)


def covariance(rng, dim, condition=10.0):
    """Return a covariance with rotated axes and variances from 1 down to 1 / condition."""
    axes = np.linalg.qr(rng.normal(size=(dim, dim)))[0]
    variances = condition ** -np.append(rng.uniform(size=dim - 2), [0.0, 1.0])
    cov = np.float64(np.float32((axes * variances) @ axes.T))
    return (cov + cov.T) / 2


def random_gaussians(seed, dim=3, condition=10.0):
    rng = np.random.default_rng(seed)
    mean_p, mean_q = np.float64(np.float32(rng.normal(size=(2, dim))))
    return mean_p, covariance(rng, dim, condition), mean_q, covariance(rng, dim, condition)


@functools.cache
def value_and_gradients(function):
    return jax.jit(jax.value_and_grad(function, (0, 1, 2, 3)))


def test_multivariate_kl_of_diagonal_covariances_matches_kl_normal():
    rng = np.random.default_rng(2)
    mean_p, log_var_p, mean_q, log_var_q = rng.normal(size=(4, 5, 3))
    diagonal = np.vectorize(np.diag, signature="(k)->(k,k)")
    full = in_float64(kl_multivariate_normal, mean_p, diagonal(np.exp(log_var_p)), mean_q, diagonal(np.exp(log_var_q)))
    np.testing.assert_allclose(full, in_float64(kl_normal, mean_p, log_var_p, mean_q, log_var_q), rtol=1e-12)


def test_multivariate_kl_from_standard_normal_matches_published_formula():
    mean, cov, *_ = random_gaussians(3)
    want = 0.5 * (np.trace(cov) + mean @ mean - 3 - np.log(np.linalg.det(cov)))
    np.testing.assert_allclose(in_float64(kl_multivariate_normal, mean, cov, 0 * mean, np.eye(3)), want, rtol=1e-12)


def test_multivariate_kl_matches_integral():
    mean_p, cov_p, mean_q, cov_q = random_gaussians(4, dim=2)
    p, q = scipy.stats.multivariate_normal(mean_p, cov_p), scipy.stats.multivariate_normal(mean_q, cov_q)
    # The trapezoidal rule converges faster than any power for a smooth function that vanishes at the ends.
    side = np.linspace(-9, 9, 301)
    points = mean_p + np.stack(np.meshgrid(side, side), axis=-1)
    integral = np.sum(p.pdf(points) * (p.logpdf(points) - q.logpdf(points))) * (side[1] - side[0]) ** 2
    np.testing.assert_allclose(in_float64(kl_multivariate_normal, mean_p, cov_p, mean_q, cov_q), integral, rtol=1e-9)


def test_multivariate_kl_is_invariant_to_affine_maps():
    mean_p, cov_p, mean_q, cov_q = random_gaussians(5)
    change, shift = np.random.default_rng(6).normal(size=(3, 3)), 5.0
    changed = (change @ mean_p + shift, change @ cov_p @ change.T, change @ mean_q + shift, change @ cov_q @ change.T)
    want = in_float64(kl_multivariate_normal, mean_p, cov_p, mean_q, cov_q)
    np.testing.assert_allclose(in_float64(kl_multivariate_normal, *changed), want, rtol=1e-10)


def test_multivariate_kl_at_equality_is_zero_with_fisher_information_as_hessian():
    mean, cov, *_ = random_gaussians(7)
    np.testing.assert_allclose(in_float32(kl_multivariate_normal, mean, cov, mean, cov), 0.0, atol=1e-12)
    hessian_by_mean = in_float64(jax.hessian(kl_multivariate_normal), mean, cov, mean, cov)
    np.testing.assert_allclose(hessian_by_mean, np.linalg.inv(cov), rtol=1e-10)


@pytest.mark.parametrize(
    ("cov_p", "cov_q"),
    [([1.0, 0.0], [1.0, 1.0]), ([1.0, 1.0], [1.0, 0.0]), ([0.0, 0.0], [1.0, 1.0]), ([1.0, 0.0], [0.0, 1.0])],
    ids=["p singular", "q singular", "p a point", "disjoint supports"],
)
def test_multivariate_kl_of_singular_gaussian_is_infinite_with_zero_gradient(cov_p, cov_q):
    mean = np.float32([1.0, 2.0])
    rotation = np.float32([[0.6, -0.8], [0.8, 0.6]])
    for axes in (np.eye(2, dtype=np.float32), rotation):
        p, q = (axes @ np.diag(np.float32(variances)) @ axes.T for variances in (cov_p, cov_q))
        value, gradients = value_and_gradients(kl_multivariate_normal)(mean, p, 0 * mean, q)
        assert value > 1e6
        # Rounding may leave a singular covariance with a tiny positive variance.
        assert np.isinf(value) or axes is rotation
        for gradient in gradients:
            assert not np.isnan(gradient).any()
            assert np.isfinite(value) or not gradient.any()


def test_multivariate_kl_of_equal_singular_gaussians_is_zero_and_nan_propagates():
    mean, line = np.array([1.0, 2.0]), np.diag([1.0, 0.0])
    assert in_float32(kl_multivariate_normal, mean, line, mean, line) == 0
    assert in_float32(kl_multivariate_normal, mean, line, mean + 1.0, line) == np.inf
    assert np.isnan(in_float32(kl_multivariate_normal, mean, line, mean, np.diag([np.nan, 0.0])))
    assert np.isnan(in_float32(kl_multivariate_normal, mean * np.nan, np.eye(2), mean, np.eye(2)))


@pytest.mark.parametrize("condition", [1e1, 1e3, 1e5])
@pytest.mark.parametrize("apart", [1e-3, 1e-1, 1.0])
def test_multivariate_kl_has_documented_accuracy_in_single_precision(condition, apart):
    for seed in range(3):
        mean_p, cov_p, mean_q, other = random_gaussians(seed, 8, condition)
        cov_q = np.float64(np.float32((1 - apart) * cov_p + apart * other))
        inputs = (mean_p, cov_p, np.float64(np.float32(mean_p + apart * mean_q)), cov_q)
        want = in_float64(kl_multivariate_normal, *inputs)
        error = abs(in_float32(kl_multivariate_normal, *inputs) - want)
        assert error <= 1e-7 * condition * (want + np.sqrt(want) + 1e-7 * condition)


def test_frechet_distance_of_commuting_covariances_matches_closed_form():
    mean_p, mean_q = np.random.default_rng(8).normal(size=(2, 4))
    axes = np.linalg.qr(np.random.default_rng(9).normal(size=(4, 4)))[0]
    deviations_p, deviations_q = np.array([[2.0, 1.0, 0.5, 0.0], [1.0, 1.0, 0.0, 0.3]])
    cov_p, cov_q = (axes @ np.diag(deviations**2) @ axes.T for deviations in (deviations_p, deviations_q))
    want = np.sum((mean_p - mean_q) ** 2) + np.sum((deviations_p - deviations_q) ** 2)
    np.testing.assert_allclose(in_float64(frechet_distance, mean_p, cov_p, mean_q, cov_q), want, rtol=1e-9)
    np.testing.assert_allclose(in_float32(frechet_distance, mean_p, cov_p, mean_q, cov_q), want, rtol=1e-5)


def test_frechet_distance_is_cost_of_optimal_map():
    # The optimal map is T = P^-1/2 (P^1/2 Q P^1/2)^1/2 P^-1/2; its cost is tr((I - T) P (I - T)).
    mean_p, cov_p, mean_q, cov_q = random_gaussians(10)
    root = scipy.linalg.sqrtm(cov_p)
    inverse = np.linalg.inv(root)
    optimal = inverse @ scipy.linalg.sqrtm(root @ cov_q @ root) @ inverse
    np.testing.assert_allclose(optimal @ cov_p @ optimal, cov_q, rtol=1e-9)
    remainder = np.eye(3) - optimal
    want = np.sum((mean_p - mean_q) ** 2) + np.trace(remainder @ cov_p @ remainder)
    np.testing.assert_allclose(in_float64(frechet_distance, mean_p, cov_p, mean_q, cov_q), want, rtol=1e-10)
    with jax.enable_x64(True):
        gradients = jax.jit(jax.grad(frechet_distance, (0, 1, 2, 3)))(mean_p, cov_p, mean_q, cov_q)
    back = np.eye(3) - np.linalg.inv(optimal)
    for got, want in zip(gradients, (2 * (mean_p - mean_q), remainder, 2 * (mean_q - mean_p), back), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("variances", [[3.0, 1.0, 0.2], [3.0, 1.0, 0.0], [2.0, 2.0, 2.0], [0.0, 0.0, 0.0]], ids=str)
def test_frechet_distance_and_gradient_of_equal_gaussians_are_exactly_zero(variances):
    axes = np.linalg.qr(np.random.default_rng(11).normal(size=(3, 3)))[0]
    cov = np.float32(axes @ np.diag(variances) @ axes.T)
    mean = np.float32([1.0, 2.0, 3.0])
    for function in (jax.value_and_grad(frechet_distance, (0, 1, 2, 3)), value_and_gradients(frechet_distance)):
        value, gradients = function(mean, cov, mean, cov)
        assert value == 0
        for gradient in gradients:
            np.testing.assert_array_equal(gradient, 0.0)


@jax.jit
@jax.value_and_grad
def distance_from_root(root, cov):
    mean = jnp.zeros(len(cov))
    return frechet_distance(mean, root.T @ root, mean, cov)


@pytest.mark.parametrize("examples", [(20, 200), (20, 30), (200, 20), (1, 200)], ids=str)
@pytest.mark.parametrize("decay", [0.0, 1.0])
def test_frechet_distance_with_fewer_examples_than_dimensions(examples, decay):
    # The centred examples, divided by the root of their number, are roots of their covariance, so no root is computed.
    dim, rng = 64, np.random.default_rng(12)
    root_p, root_q = (rng.normal(size=(n, dim)) * np.arange(1, dim + 1) ** -decay for n in examples)
    root_p, root_q = (np.float64(np.float32((x - x.mean(axis=0)) / np.sqrt(len(x)))) for x in (root_p, root_q))
    left, overlap, right = np.linalg.svd(root_p @ root_q.T, full_matrices=False)
    value, gradient = distance_from_root(np.float32(root_p), np.float32(root_q.T @ root_q))
    np.testing.assert_allclose(value, np.sum(root_p**2) + np.sum(root_q**2) - 2 * overlap.sum(), rtol=3e-6)
    # With respect to the root of P the gradient is `2 root (I - T)`, which needs T only in directions that P has.
    shared = overlap > 1e-6
    np.testing.assert_allclose(gradient, 2 * (root_p - left[:, shared] @ right[shared] @ root_q), atol=1e-5)


@pytest.mark.parametrize("condition", [1e1, 1e3, 1e5])
@pytest.mark.parametrize("apart", [1e-3, 1e-1, 1.0])
def test_frechet_distance_has_documented_accuracy_in_single_precision(condition, apart):
    for seed in range(3):
        mean, cov_p, _, other = random_gaussians(seed, 8, condition)
        cov_q = np.float64(np.float32((1 - apart) * cov_p + apart * other))
        want = in_float64(frechet_distance, mean, cov_p, mean, cov_q)
        got = in_float32(frechet_distance, mean, cov_p, mean, cov_q)
        assert abs(np.sqrt(got) - np.sqrt(want)) <= 1e-7 * np.sqrt(condition * np.trace(cov_p + cov_q))


def test_gradient_step_by_root_reaches_target_covariance():
    # The gradient with respect to A, with P = A A', is 2 (I - T) A: subtracting half of it gives T A.
    _, cov_p, _, cov_q = random_gaussians(13)
    root, target = np.float32(np.linalg.cholesky(cov_p)), np.float32(cov_q)
    updated = root - 0.5 * np.asarray(distance_from_root(root.T, target)[1]).T
    np.testing.assert_allclose(updated @ updated.T, target, atol=1e-5)


@pytest.mark.parametrize("function", [kl_multivariate_normal, frechet_distance])
def test_only_symmetric_part_of_covariance_is_used(function):
    mean_p, cov_p, mean_q, cov_q = random_gaussians(14)
    skew = np.triu(np.ones((3, 3)), 1) - np.tril(np.ones((3, 3)), -1)
    want = in_float64(function, mean_p, cov_p, mean_q, cov_q)
    np.testing.assert_allclose(in_float64(function, mean_p, cov_p + 0.1 * skew, mean_q, cov_q - 0.2 * skew), want)


@pytest.mark.parametrize("function", [kl_multivariate_normal, frechet_distance])
@pytest.mark.parametrize(("mean", "cov"), [((3,), (2, 2)), ((3,), (3,)), ((2, 3), (3, 3)), ((), (1, 1))], ids=str)
def test_mismatched_covariance_shapes_raise(function, mean, cov):
    mean, cov = np.zeros(mean), np.zeros(cov)
    with pytest.raises(ValueError, match=re.escape(f"got mean_p {mean.shape} and cov_p {cov.shape}")):
        function(mean, cov, mean, cov)


def test_scalars_in_place_of_batches_raise():
    with pytest.raises(ValueError, match="mean_p must have a leading axis"):
        kl_normal(*(jnp.float32(0.0),) * 4)
