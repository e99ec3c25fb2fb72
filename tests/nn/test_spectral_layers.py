"""Tests of the spectral normalization of BigGAN against LAPACK, closed forms and NumPy, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.nn.precision import mixed_precision
from jaxgen.nn.spectral_layers import SpectralConv, SpectralDense, SpectralEmbed, Weights, power_iteration
from tests.references import arrays

X = np.random.default_rng(0).normal(size=(3, 4, 4, 5)).astype(np.float32)
LAYERS = {
    "dense": (SpectralDense(6), X[:, 0, 0]),
    "convolution": (SpectralConv(6, (3, 3)), X),
    "embedding": (SpectralEmbed(4, 7), np.array([3, 0, 1], np.int32)),
}
every_layer = pytest.mark.parametrize(("layer", "x"), LAYERS.values(), ids=LAYERS)


def rows_of(params: dict[str, np.ndarray]) -> np.ndarray:
    """Return the matrix with one row per output: per feature, or per class."""
    if "embedding" in params:
        return np.asarray(params["embedding"], np.float64)
    kernel = np.asarray(params["kernel"], np.float64)
    return kernel.reshape(-1, kernel.shape[-1]).T


@pytest.fixture
def float64():
    with jax.enable_x64(True):
        yield


@every_layer
def test_every_pass_makes_one_step_and_only_training_stores_it(layer, x):
    variables = layer.init(jax.random.key(0), x, train=False)
    rows, spectral = rows_of(variables["params"]), variables["spectral"]
    v = np.asarray(spectral["u"], np.float64) @ rows
    v /= np.linalg.norm(v)
    u = rows @ v / np.linalg.norm(rows @ v)
    trained, new = layer.apply(variables, x, train=True, mutable=["spectral"])
    np.testing.assert_allclose(new["spectral"]["u"], u, atol=1e-6)
    np.testing.assert_allclose(new["spectral"]["sigma"], u @ rows @ v, rtol=1e-5)
    evaluated, kept = layer.apply(variables, x, train=False, mutable=["spectral"])
    np.testing.assert_array_equal(evaluated, trained)
    assert jax.tree.map(np.array_equal, kept["spectral"], spectral) == {"u": True, "sigma": True}


def test_step_is_that_of_the_authors_code():
    """Every layer of two generators and discriminators."""
    found = arrays("biggan_pytorch")
    layers = [name.removesuffix(".u0") for name in found if name.endswith(".u0") and "after" not in name]
    assert len(layers) == 27 + 28 + 11 + 12
    for layer in layers:
        case, network, name = layer.split("/")
        weight, u = found[f"{layer}.weight"], found[f"{layer}.u0"]
        new_u, sigma = (found[f"{case}/train/{network}_after_one_call/{name}.{each}"] for each in ("u0", "sv0"))
        step = power_iteration(weight.reshape(len(weight), -1), u[0], epsilon=1e-6)
        np.testing.assert_allclose(step[0], sigma[0], rtol=1e-5)
        np.testing.assert_allclose(step[1], new_u[0], rtol=1e-4, atol=1e-6)


@every_layer
def test_sigma_becomes_the_largest_singular_value(layer, x):
    variables = layer.init(jax.random.key(0), x, train=False)
    random = np.random.default_rng(1)
    params = jax.tree.map(lambda leaf: random.normal(size=leaf.shape).astype(np.float32), variables["params"])
    step = jax.jit(lambda spectral: layer.apply({"params": params, **spectral}, x, train=True, mutable=["spectral"])[1])
    spectral = {"spectral": variables["spectral"]}
    for _ in range(200):
        spectral = step(spectral)
    largest = np.linalg.norm(rows_of(params), 2)
    np.testing.assert_allclose(spectral["spectral"]["sigma"], largest, rtol=1e-4)


def test_gradient_treats_both_vectors_as_constants(float64):
    """d <G, W / sigma> = G / sigma - <G, W> u v' / sigma^2, which depends on u and v alone."""
    random = np.random.default_rng(0)
    matrix, weights, u = random.normal(size=(4, 3)), random.normal(size=(4, 3)), random.normal(size=4)
    v = u @ matrix / np.linalg.norm(u @ matrix)
    left = matrix @ v / np.linalg.norm(matrix @ v)
    sigma = left @ matrix @ v
    wanted = weights / sigma - (weights * matrix).sum() * np.outer(left, v) / sigma**2
    found = jax.grad(lambda w: (weights * w / power_iteration(w, jnp.asarray(u), epsilon=1e-6)[0]).sum())(
        jnp.asarray(matrix)
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_epsilon_is_the_smallest_norm_that_vectors_are_divided_by(float64):
    """A kernel of norm a and u of length 1 with a < epsilon: v = a / epsilon, u = a v / epsilon, sigma = u a v."""
    matrix, u, a = jnp.array([[1e-7]]), jnp.ones(1), 1e-7
    for epsilon, expected in ((1e-6, (a / 1e-6) ** 2 * a * a / 1e-6), (1e-12, a)):
        np.testing.assert_allclose(power_iteration(matrix, u, epsilon=epsilon)[0], expected, rtol=1e-12)
    assert Weights().epsilon == 1e-6


@every_layer
def test_weights_are_orthogonal_vectors_normal_and_biases_those_of_pytorch_at_the_start(layer, x):
    variables = layer.init(jax.random.key(3), x, train=False)
    rows = rows_of(variables["params"])
    short = rows if len(rows) <= rows.shape[1] else rows.T
    np.testing.assert_allclose(short @ short.T, np.eye(len(short)), atol=1e-5)
    assert variables["spectral"]["sigma"] == 1
    if "bias" in variables["params"]:
        bound = rows.shape[1] ** -0.5
        assert 0.3 * bound < np.abs(variables["params"]["bias"]).max() <= bound


def test_initial_vectors_are_standard_normal():
    table = SpectralEmbed(4000, 1, Weights(init=jax.nn.initializers.ones))
    u = table.init(jax.random.key(0), np.zeros(1, np.int32), train=False)["spectral"]["u"]
    assert abs(float(u.mean())) < 0.06
    assert abs(float(u.std()) - 1) < 0.04


@pytest.mark.parametrize(("layer", "x"), [LAYERS["dense"], LAYERS["convolution"]], ids=["dense", "convolution"])
def test_mixed_precision_multiplies_rounded_numbers(layer, x):
    variables = layer.init(jax.random.key(0), x, train=False)
    with mixed_precision():
        got = layer.apply(variables, x, train=False)
    want = layer.clone(dtype=jnp.bfloat16).apply(variables, x, train=False)
    np.testing.assert_array_equal(got, np.asarray(want, np.float32))


def test_label_that_is_no_class_has_no_finite_vector():
    layer = SpectralEmbed(2, 3)
    y, _ = layer.init_with_output(jax.random.key(0), np.array([1, 2], np.int32), train=False)
    assert np.isfinite(y[0]).all()
    assert np.isnan(y[1]).all()
