"""Tests of normalization against LAPACK, PyTorch, closed forms and finite differences, in float64."""

from functools import partial
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from jaxgen.errors import InputError
from jaxgen.nn import dcgan, sngan
from jaxgen.nn.convolution import Conv, ConvTranspose
from jaxgen.nn.mlp import MLP
from jaxgen.nn.normalization import Normalization, SpectralNorm, applied_kernels, normalize

LAYERS = {
    "dense": (linen.Dense(5), (3, 7)),
    "a single output": (linen.Dense(1), (3, 7)),
    "convolution 3x3": (Conv(6, (3, 3)), (2, 5, 5, 4)),
    "convolution 4x4, stride 2": (Conv(6, (4, 4), strides=(2, 2)), (2, 6, 6, 3)),
    "transposed convolution": (ConvTranspose(3, (4, 4), strides=(2, 2)), (2, 3, 3, 5)),
}
"""Layers and the shapes of their inputs."""


class Normalized(linen.Module):
    """A network of `normalize` alone."""

    normalization: Normalization

    @linen.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        return normalize(self.normalization, x, train=train)


@pytest.fixture
def float64():
    with jax.enable_x64(True):
        yield


def arrays(*shapes: tuple[int, ...], seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.normal(size=shape) for shape in shapes]


def random_variables(network: Any, x: Any) -> Any:
    """Return variables in float64, all random: also biases, and vectors, which are not singular vectors then."""
    shapes = jax.eval_shape(partial(network.init, train=False), jax.random.key(0), x)
    random = np.random.default_rng(1)
    return jax.tree.map(lambda leaf: random.normal(size=leaf.shape), shapes)


def matrix_of(kernel: Any) -> np.ndarray:
    return np.asarray(kernel, np.float64).reshape(-1, kernel.shape[-1])


def singular_vectors(kernel: Any) -> Any:
    """Return the right singular vectors as columns, at most as many as `SpectralNorm` has."""
    matrix = matrix_of(kernel)
    return np.linalg.svd(matrix)[2][: min(8, *matrix.shape)].T


def converged_vectors(params: Any) -> dict[str, Any]:
    """Return the collection "spectral" of an MLP at the fixed point of the iteration."""
    return {f"SpectralNorm_{i}": {"U": singular_vectors(params[f"Dense_{i}"]["kernel"])} for i in range(len(params))}


def applied(kernel: jax.Array, vectors: jax.Array) -> tuple[jax.Array, Any]:
    """Return the matrix that is applied in training, and the stored vectors."""
    layer = SpectralNorm(linen.Dense(kernel.shape[-1], use_bias=False), vectors=vectors.shape[-1])
    variables = {"params": {"layer": {"kernel": kernel}}, "spectral": {"U": vectors}}
    matrix, updated = layer.apply(variables, jnp.eye(len(kernel)), train=True, mutable=["spectral"])
    return matrix, updated["spectral"]["U"]


@partial(jax.jit, static_argnames="passes")
def applied_with_constant_weights(kernel: jax.Array, vectors: jax.Array, passes: int) -> jax.Array:
    """Return the matrix that is applied in each forward pass in training while the weights are constant."""
    return jax.lax.scan(lambda vectors, _: applied(kernel, vectors)[::-1], vectors, length=passes)[1]


def largest(matrices: Any) -> np.ndarray:
    return np.linalg.svd(np.asarray(matrices, np.float64), compute_uv=False)[..., 0]


@pytest.mark.parametrize(("layer", "shape"), LAYERS.values(), ids=LAYERS)
def test_value_and_gradient_match_kernel_divided_by_norm(float64, layer: Any, shape: tuple[int, ...]) -> None:
    (x,) = arrays(shape)
    params = random_variables(SpectralNorm(layer), x)["params"]["layer"]
    vectors = singular_vectors(params["kernel"])

    def normalized(params: Any, x: jax.Array, vectors: jax.Array) -> jax.Array:
        variables = {"params": {"layer": params}, "spectral": {"U": vectors}}
        return SpectralNorm(layer).apply(variables, x, train=False)

    def divided(params: Any, x: jax.Array, _: Any) -> jax.Array:
        kernel = params["kernel"]
        norm = jnp.linalg.norm(kernel.reshape(-1, kernel.shape[-1]), ord=2)
        return layer.apply({"params": params | {"kernel": kernel / norm}}, x)

    @jax.jit
    def values_and_gradients(*args: Any) -> Any:
        def value_and_gradient(apply: Any) -> Any:
            return apply(*args), jax.grad(lambda *args: jnp.sum(jnp.sin(apply(*args))))(*args)

        return [value_and_gradient(apply) for apply in (normalized, divided)]

    got, expected = values_and_gradients(params, x, vectors)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-12), got, expected)


def test_value_gradient_and_vector_match_pytorch_with_one_vector(float64) -> None:
    """Before convergence: the vector is not a singular vector, and the gradient treats it as a constant."""
    kernel, u, mix = arrays((7, 5), (5,), (7, 5))
    layer = spectral_norm(torch.nn.Linear(7, 5, bias=False).double())
    with torch.no_grad():
        layer.parametrizations.weight.original.copy_(torch.tensor(kernel.T))
        # PyTorch also stores the left vector, and starts the iteration with it.
        layer.parametrizations.weight[0]._v.copy_(torch.tensor(kernel @ u / np.linalg.norm(kernel @ u)))

    @jax.jit
    @partial(jax.value_and_grad, has_aux=True)
    def mixed(kernel: jax.Array, vectors: jax.Array) -> tuple[jax.Array, Any]:
        matrix, updated = applied(kernel, vectors)
        return jnp.sum(matrix * mix), (matrix, updated)

    vectors = u[:, None]
    for _ in range(2):
        layer.parametrizations.weight.original.grad = None
        expected = layer.weight
        (expected * torch.tensor(mix.T)).sum().backward()
        (_, (matrix, vectors)), gradient = jax.device_get(mixed(kernel, vectors))
        np.testing.assert_allclose(matrix.T, expected.detach(), rtol=1e-12)
        np.testing.assert_allclose(gradient.T, layer.parametrizations.weight.original.grad, rtol=1e-10, atol=1e-14)
        np.testing.assert_allclose(np.abs(vectors[:, 0] @ np.asarray(layer.parametrizations.weight[0]._u)), 1)


@pytest.mark.parametrize(
    ("second", "start", "first", "tenth"),
    [
        pytest.param(0.5, 1.0, 1.023, 1 + 1e-11, id="a large gap"),
        pytest.param(0.9, 1.0, 1.044, 1.002, id="a smaller gap"),
        pytest.param(0.99, 1.0, 1.005, 1.005, id="a small gap"),
        pytest.param(0.5, 1e-4, 2.0, 1.0001, id="a start far from the singular vector"),
    ],
)
def test_each_pass_makes_one_step_of_power_iteration_with_one_vector(
    float64, second: float, start: float, first: float, tenth: float
) -> None:
    """For a kernel with singular values 1 and s, and a start a u_1 + u_2, pass k applies a matrix of norm

        sqrt((a^2 + s^(4k)) / (a^2 + s^(4k + 2))) <= 1 / s.

    For a = 1 it is below 1 + 0.07 / k for every s: a small gap makes the iteration slow, but the error small as well.
    """
    left, right = (np.linalg.qr(array)[0] for array in arrays((6, 2), (2, 2)))
    kernel, vector = left * [1, second] @ right.T, right @ [start, 1]
    k = np.arange(1, 41)
    norms = largest(applied_with_constant_weights(kernel, vector[:, None], len(k)))
    expected = np.sqrt((start**2 + second ** (4 * k)) / (start**2 + second ** (4 * k + 2)))
    np.testing.assert_allclose(norms, expected, rtol=1e-12)
    assert norms[0] == pytest.approx(first, rel=0.01)
    assert norms[9] < tenth
    if start == 1:
        assert (norms <= 1 + 0.07 / k).all()


@pytest.mark.parametrize("shape", [(20, 12), (12, 20)])
def test_several_vectors_give_largest_singular_value_in_their_span(float64, shape: tuple[int, int]) -> None:
    """The span is that of `(W'W)^k` times the first vectors; with as many as singular values, k = 1 is exact."""
    kernel, few, all_of_them = arrays(shape, (shape[1], 3), (shape[1], 12))
    norms = largest(applied_with_constant_weights(kernel, few, 6))
    for k in range(1, 7):
        span = np.linalg.svd(np.linalg.matrix_power(kernel.T @ kernel, k) @ few, full_matrices=False)[0]
        assert norms[k - 1] == pytest.approx(largest(kernel) / largest(kernel @ span), rel=1e-9)
    at_once = largest(applied_with_constant_weights(kernel, all_of_them, 1))
    np.testing.assert_allclose(at_once, 1, rtol=1e-12)


@pytest.mark.parametrize("shape", [(64, 64), (288, 32)])
def test_norm_of_random_kernels_with_small_gaps_is_near_one_from_first_pass_on(shape: tuple[int, int]) -> None:
    """In all of 16 draws: `WARM_UP` steps are enough, and later steps do not increase the error."""
    layer = SpectralNorm(linen.Dense(shape[1], use_bias=False, kernel_init=linen.initializers.normal()))

    @jax.jit
    @jax.vmap
    def matrices(key: jax.Array) -> jax.Array:
        variables = layer.init(key, jnp.zeros((1, shape[0])), train=False)
        return applied_with_constant_weights(variables["params"]["layer"]["kernel"], variables["spectral"]["U"], 20)

    norms = largest(matrices(jax.random.split(jax.random.key(0), 16)))
    assert norms.min() > 1 - 1e-5
    assert norms.max() < 1 + 1e-4


class Named(linen.Module):
    """A network whose layers with spectral normalization have these names, beside a parameter of its own."""

    names: tuple[str | None, ...] = (None, "head")
    features: tuple[int, ...] = (5, 2)

    @linen.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        x = x * self.param("scale", linen.initializers.ones, (x.shape[-1],))
        for name, features in zip(self.names, self.features, strict=True):
            x = SpectralNorm(linen.Dense(features, name=name))(x, train=train)
        return x


class SetUp(linen.Module):
    """A network with layers of the same shape that are created in `setup`."""

    def setup(self) -> None:
        self.first = SpectralNorm(linen.Dense(4))
        self.second = SpectralNorm(linen.Dense(4, name="named"))

    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        return self.second(self.first(x, train=train), train=train)


NETWORKS = {
    "mlp": (MLP(hidden=(6, 5), shape=(2,), normalization="spectral"), (3, 4)),
    "dcgan, generator": (dcgan.Generator((8, 8, 1), 4, "spectral"), (3, 5)),
    "dcgan, discriminator": (dcgan.Discriminator(4, normalization="spectral"), (3, 8, 8, 1)),
    "resnet, generator": (sngan.ResidualGenerator((16, 16, 3), 4, "spectral"), (3, 5)),
    "resnet, discriminator": (sngan.ResidualDiscriminator(4), (3, 16, 16, 3)),
    "names of the user's own": (Named(), (3, 4)),
    "a name that ends in a digit": (Named(("layer2",), (5,)), (3, 4)),
    "layers in setup": (SetUp(), (3, 4)),
    "a single layer": (SpectralNorm(linen.Dense(5)), (3, 4)),
}
"""Networks and the shapes of their inputs."""


@pytest.mark.parametrize(("network", "shape"), NETWORKS.values(), ids=NETWORKS)
def test_applied_kernels_match_kernels_within_forward_pass(network: Any, shape: tuple[int, ...]) -> None:
    """The vectors are random and not singular vectors, so that the vectors of another layer give another kernel."""
    x = np.zeros(shape, np.float32)
    variables = jax.tree.map(np.float32, random_variables(network, x))

    @jax.jit
    def kernels(variables: Any, x: jax.Array) -> tuple[Any, Any]:
        used = {}

        def record(apply: Any, args: Any, kwargs: Any, context: Any) -> Any:
            if isinstance(context.module, linen.Dense | Conv | ConvTranspose) and context.method_name == "__call__":
                used["/".join(context.module.path)] = context.module.variables["params"]["kernel"]
            return apply(*args, **kwargs)

        with linen.intercept_methods(record):
            network.apply(variables, x, train=False)
        return applied_kernels(variables["params"], variables["spectral"]), used

    found, used = kernels(variables, x)
    assert found.keys() == used.keys()
    for path, kernel in used.items():
        np.testing.assert_allclose(found[path], kernel, rtol=1e-5, err_msg=path)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("second", "first"), "and 4 features must have the names that Flax gives, or be a single one, got first, sec"),
        ((None, "first"), "got Dense_0, first for SpectralNorm_0, SpectralNorm_1"),
    ],
)
def test_named_layers_of_the_same_number_of_features_are_ambiguous(names: tuple[str | None, ...], message: str) -> None:
    variables = random_variables(Named(names, (4, 4)), np.zeros((3, 4)))
    with pytest.raises(InputError, match=message):
        applied_kernels(variables["params"], variables["spectral"])


def test_collection_of_another_module_is_no_spectral_normalization() -> None:
    assert applied_kernels({"own": {"kernel": np.ones((2, 2))}}, {"own": np.ones(2), "other": {"x": np.ones(2)}}) == {}


def test_zero_kernel_is_applied_undivided_and_can_be_trained() -> None:
    """The gradient is small enough that its square in the state of the optimizer is finite."""
    layer, optimizer = SpectralNorm(linen.Dense(12)), optax.adam(0.1)
    x, bias = (jnp.float32(array) for array in arrays((3, 10), (12,)))
    params = {"layer": {"kernel": np.zeros((10, 12), np.float32), "bias": bias}}
    vectors = np.float32(np.linalg.qr(arrays((12, 8))[0])[0])

    @jax.jit
    def update(params: Any, spectral: Any, state: Any) -> Any:
        def loss(params: Any) -> tuple[jax.Array, Any]:
            y, updated = layer.apply({"params": params, "spectral": spectral}, x, train=True, mutable=["spectral"])
            return jnp.sum(10 * y), (y, updated["spectral"])

        gradients, (y, spectral) = jax.grad(loss, has_aux=True)(params)
        updates, state = optimizer.update(gradients, state)
        return y, gradients, optax.apply_updates(params, updates), spectral, state

    y, gradients, *carried = update(params, {"U": vectors}, jax.jit(optimizer.init)(params))
    np.testing.assert_array_equal(y, np.broadcast_to(bias, (3, 12)))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((gradients, carried)))
    # After the first update the kernel is not zero and is normalized.
    for _ in range(20):
        before, (y, gradients, *carried) = carried[0]["layer"], update(*carried)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((y, gradients, carried)))
    assert largest(before["kernel"]) > 1
    before = jax.device_get(before)
    np.testing.assert_allclose(y, x @ before["kernel"] / largest(before["kernel"]) + before["bias"], rtol=1e-4)


def test_stored_kernel_is_not_normalized() -> None:
    """Only the kernel that is applied is divided; the parameter is that of the initializer of the layer."""
    kernel, x = np.float32(arrays((7, 5))[0]), np.ones((3, 7), np.float32)
    layer = SpectralNorm(linen.Dense(5, kernel_init=lambda *_: jnp.asarray(kernel)))
    variables = jax.jit(partial(layer.init, train=False))(jax.random.key(0), x)
    np.testing.assert_array_equal(variables["params"]["layer"]["kernel"], kernel)


def test_vectors_are_stored_in_training_only() -> None:
    layer, (x,) = SpectralNorm(linen.Dense(5), vectors=1), arrays((3, 7))
    x = np.float32(x)
    variables = jax.tree.map(np.float32, random_variables(layer, x))
    variables["spectral"] = {"U": np.full((5, 1), 5**-0.5, np.float32)}
    train = jax.jit(partial(layer.apply, train=True, mutable=["spectral", "batch_stats"]))
    evaluate = jax.jit(partial(layer.apply, train=False, mutable=["spectral", "batch_stats"]))
    first, after_first = train(variables, x)
    assert not np.allclose(after_first["spectral"]["U"], variables["spectral"]["U"], atol=1e-2)
    second, after_second = train(variables | after_first, x)
    assert not np.allclose(first, second, rtol=1e-3)
    assert not np.allclose(after_second["spectral"]["U"], after_first["spectral"]["U"], atol=1e-3)

    evaluated, stored = evaluate(variables | after_first, x)
    np.testing.assert_array_equal(stored["spectral"]["U"], after_first["spectral"]["U"])
    np.testing.assert_array_equal(evaluated, evaluate(variables | after_first, x)[0])
    np.testing.assert_allclose(evaluated, second, rtol=1e-6)
    without_storing = jax.jit(partial(layer.apply, train=False))
    np.testing.assert_array_equal(evaluated, without_storing(variables | after_first, x))


def test_gradient_of_gradient_penalty_matches_finite_differences(float64) -> None:
    """The penalty is `mean (|| grad_x f(x) || - 1)^2` of a critic with spectral normalization."""
    critic = MLP(hidden=(6, 5), shape=(), activation=jnp.tanh, normalization="spectral")
    (x,) = arrays((4, 3))
    params = random_variables(critic, x)["params"]
    spectral = converged_vectors(params)

    @jax.jit
    @jax.value_and_grad
    def penalty(params: Any) -> jax.Array:
        def gradient_norm(x: jax.Array) -> jax.Array:
            f = partial(critic.apply, {"params": params, "spectral": spectral}, train=False)
            return jnp.linalg.norm(jax.grad(lambda x: f(x[None])[0])(x))

        return jnp.mean((jax.vmap(gradient_norm)(x) - 1) ** 2)

    gradient = jax.device_get(penalty(params)[1])
    for seed in range(3):
        random = np.random.default_rng(seed)
        direction = jax.tree.map(lambda leaf, random=random: random.normal(size=leaf.shape), params)
        forward, backward = (
            penalty(jax.tree.map(lambda leaf, step, h=h: leaf + h * step, params, direction))[0] for h in (1e-5, -1e-5)
        )
        derivative = sum(jax.tree.leaves(jax.tree.map(lambda a, b: np.sum(a * b), gradient, direction)))
        assert float(derivative) == pytest.approx(float(forward - backward) / 2e-5, rel=1e-7)


def test_lipschitz_constant_of_network_is_at_most_one() -> None:
    network = MLP(hidden=(16, 16), shape=(3,), activation=partial(linen.leaky_relu, negative_slope=0.2))
    ratios = distance_ratios(network.clone(normalization="spectral"))
    assert 0.01 < ratios.max() <= 1 + 1e-9
    # Without normalization the same weights give larger ratios.
    assert distance_ratios(network).max() > 2


def test_lipschitz_constant_of_affine_network_is_one() -> None:
    assert distance_ratios(MLP(hidden=(), shape=(3,), normalization="spectral")).max() == pytest.approx(1, abs=1e-4)


def distance_ratios(network: Any) -> np.ndarray:
    """Return `||f(x) - f(y)|| / ||x - y||` of 10,000 random pairs of points in the plane."""
    with jax.enable_x64(True):
        x, y = arrays((10_000, 2), (10_000, 2))
        params = random_variables(network, x)["params"]
        variables = {"params": params, "spectral": converged_vectors(params)}
        f = partial(jax.jit(partial(network.apply, train=False)), variables)
        return np.linalg.norm(np.asarray(f(x)) - np.asarray(f(y)), axis=1) / np.linalg.norm(x - y, axis=1)


def test_norms_stay_within_a_thousandth_above_one_while_critic_is_trained(float64) -> None:
    """The critic is trained by Adam on hinge losses, for several seeds at once.

    Training makes the first singular values nearly equal and changes their order. A single vector converges too slowly
    for this: the norms would exceed 1.1 here.
    """
    critic = MLP(hidden=(16, 16), shape=(), activation=linen.leaky_relu, normalization="spectral")
    optimizer = optax.adam(1e-3, b1=0.5)
    real, fake = arrays((32, 2), (32, 2))
    both = np.concatenate([real, fake * 0.3 + [2, 0]])

    def loss(params: Any, spectral: Any) -> tuple[jax.Array, Any]:
        variables = {"params": params, "spectral": spectral}
        outputs, updated = critic.apply(variables, both, train=True, mutable=["spectral"])
        return jnp.mean(linen.relu(1 - outputs[:32])) + jnp.mean(linen.relu(1 + outputs[32:])), updated["spectral"]

    def update(carry: Any, _: None) -> tuple[Any, Any]:
        params, spectral, state = carry
        gradients, spectral = jax.grad(loss, has_aux=True)(params, spectral)
        updates, state = optimizer.update(gradients, state)
        params = optax.apply_updates(params, updates)
        return (params, spectral, state), applied(params["Dense_1"]["kernel"], spectral["SpectralNorm_1"]["U"])[0]

    def train(variables: Any) -> jax.Array:
        start = (variables["params"], variables["spectral"], optimizer.init(variables["params"]))
        return jax.lax.scan(update, start, length=200)[1]

    @jax.jit
    @jax.vmap
    def init(key: jax.Array) -> Any:
        return jax.tree.map(jnp.float64, critic.init(key, real, train=False))

    variables = jax.device_get(init(jax.random.split(jax.random.key(0), 3)))
    matrices = np.asarray(jax.jit(jax.vmap(train))(variables))
    assert largest(matrices).min() > 1 - 1e-9
    assert largest(matrices).max() < 1.001
    single = np.asarray(jax.jit(train)(jax.tree.map(lambda leaf: leaf[1], variables)))
    # Rounding decides which of nearly equal singular values is the largest, so that later steps differ.
    np.testing.assert_allclose(single[:20], matrices[1, :20], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("shape", [(4, 3, 5, 2), (4, 6)])
def test_layer_normalization_matches_pytorch(shape: tuple[int, ...]) -> None:
    """Over height, width and channels of each example; PyTorch takes the scales and biases of every pixel."""
    x, scale, bias = (np.float32(array) for array in arrays(shape, shape[-1:], shape[-1:]))
    variables = {"params": {"LayerNorm_0": {"scale": scale, "bias": bias}}}
    y = jax.jit(partial(Normalized("layer").apply, train=True))(variables, 3 * x + 2)
    at_pixels = [torch.tensor(np.broadcast_to(array, shape[1:]), dtype=torch.float64) for array in (scale, bias)]
    expected = functional.layer_norm(torch.tensor(np.asarray(3 * x + 2, np.float64)), shape[1:], *at_pixels, eps=1e-5)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("normalization", "depends", "changes"),
    [("none", False, False), ("spectral", False, False), ("layer", False, True), ("batch", True, True)],
)
def test_only_batch_normalization_makes_output_depend_on_other_examples(
    normalization: Normalization, depends: bool, changes: bool
) -> None:
    network, (x,) = Normalized(normalization), arrays((4, 3, 3, 2))
    x = np.float32(x)

    @jax.jit
    def outputs(*batches: Any) -> Any:
        variables = network.init(jax.random.key(0), batches[0], train=False)
        return [network.apply(variables, batch, train=True, mutable=["batch_stats"])[0] for batch in batches]

    y, other = map(np.asarray, outputs(x, np.concatenate([x[:1], x[1:] + 1])))
    assert (np.abs(y[0] - other[0]).max() > 1e-3) == depends
    assert (np.abs(y - x).max() > 1e-3) == changes


SHAPES = {"a vector": (64, 16), "an image": (16, 4, 4, 8)}


@pytest.mark.parametrize("offset", [0.0, 2e3, -3e4])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("normalization", ["batch", "layer"])
def test_value_and_gradients_keep_their_digits_far_from_the_origin(
    normalization: Normalization, shape: tuple[int, ...], offset: float
) -> None:
    """Against PyTorch in float64 on the same float32 inputs; the tolerance does not depend on the offset."""
    x, scale, bias, mix = (np.float32(array) for array in arrays(shape, shape[-1:], shape[-1:], shape))
    x = x + np.float32(offset)
    layer = {"batch": "BatchNorm_0", "layer": "LayerNorm_0"}[normalization]
    params = {layer: {"scale": scale, "bias": bias}}
    stats = {layer: {"mean": np.zeros(shape[-1:], np.float32), "var": np.ones(shape[-1:], np.float32)}}

    @jax.jit
    @partial(jax.value_and_grad, has_aux=True)
    def mixed(x: jax.Array) -> Any:
        variables = {"params": params} | ({"batch_stats": stats} if normalization == "batch" else {})
        y, updated = Normalized(normalization).apply(variables, x, train=True, mutable=["batch_stats"])
        return jnp.sum(jnp.sin(y) * mix), (y, updated)

    (_, (y, updated)), of_x = jax.device_get(mixed(x))
    wide, wide_scale, wide_bias = (torch.tensor(np.float64(array), requires_grad=True) for array in (x, scale, bias))
    last_first = wide.movedim(-1, 1)
    mean, variance = (torch.tensor(value, dtype=torch.float64) for value in (np.zeros(shape[-1]), np.ones(shape[-1])))
    if normalization == "batch":
        expected = functional.batch_norm(
            last_first, mean, variance, wide_scale, wide_bias, training=True, momentum=0.1, eps=1e-5
        ).movedim(1, -1)
    else:
        expected = functional.layer_norm(wide, shape[1:], eps=1e-5) * wide_scale + wide_bias
    (torch.sin(expected) * torch.tensor(np.float64(mix))).sum().backward()
    # The mean is rounded to a few units in the last place of the inputs.
    rounding = np.spacing(np.float32(max(abs(offset), 1)))
    np.testing.assert_allclose(y, expected.detach(), atol=5e-6 + 8 * rounding, rtol=1e-5)
    np.testing.assert_allclose(of_x, wide.grad, atol=5e-6 + 50 * rounding)
    if normalization == "batch":
        found = updated["batch_stats"][layer]
        np.testing.assert_allclose(found["mean"], mean, rtol=1e-6, atol=1e-6)
        n = x.size // shape[-1]  # PyTorch records the unbiased variance.
        np.testing.assert_allclose(found["var"], 0.9 + (variance - 0.9) * (n - 1) / n, rtol=1e-5)


@pytest.mark.parametrize("shape", [(1, 3), (1, 1, 1, 3)])
def test_batch_normalization_of_one_value_per_feature_is_refused_in_training_alone(shape: tuple[int, ...]) -> None:
    """The same shapes as those that PyTorch refuses."""
    x = jnp.ones(shape)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        functional.batch_norm(torch.ones(shape).movedim(-1, 1), None, None, training=True)
    network = Normalized("batch")
    variables = network.init(jax.random.key(0), x, train=False)
    with pytest.raises(InputError, match="at least 2 values of each feature"):
        network.apply(variables, x, train=True, mutable=["batch_stats"])
    assert np.isfinite(network.apply(variables, x, train=False)).all()
    assert np.isfinite(network.apply(variables, jnp.ones((1, 1, 2, 3)), train=True, mutable=["batch_stats"])[0]).all()
