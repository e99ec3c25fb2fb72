"""Normalization against singular values by LAPACK, PyTorch, closed forms and finite differences, in float64."""

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
    """`normalize` alone."""

    normalization: Normalization

    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return normalize(self, self.normalization, x)


@pytest.fixture
def float64():
    with jax.enable_x64(True):
        yield


def arrays(*shapes: tuple[int, ...], seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.normal(size=shape) for shape in shapes]


def random_variables(network: Any, x: Any) -> Any:
    """In float64; biases too, which zeros would hide. So are the vectors: those of no kernel."""
    shapes = jax.eval_shape(network.init, jax.random.key(0), x)
    random = np.random.default_rng(1)
    return jax.tree.map(lambda leaf: jnp.asarray(random.normal(size=leaf.shape)), shapes)


def matrix_of(kernel: Any) -> np.ndarray:
    return np.asarray(kernel, np.float64).reshape(-1, kernel.shape[-1])


def singular_vectors(kernel: Any) -> Any:
    """The right ones, as columns, as many as are followed."""
    matrix = matrix_of(kernel)
    return jnp.asarray(np.linalg.svd(matrix)[2][: min(8, *matrix.shape)].T)


def settled(params: Any) -> dict[str, Any]:
    """Of an MLP, what the iteration ends at."""
    return {f"SpectralNorm_{i}": {"U": singular_vectors(params[f"Dense_{i}"]["kernel"])} for i in range(len(params))}


def applied(kernel: jax.Array, vectors: jax.Array) -> tuple[jax.Array, Any]:
    """The matrix that is applied in training, and the vectors that are left."""
    layer = SpectralNorm(linen.Dense(kernel.shape[-1], use_bias=False), vectors=vectors.shape[-1])
    variables = {"params": {"layer": {"kernel": kernel}}, "spectral": {"U": vectors}}
    matrix, moved = layer.apply(variables, jnp.eye(len(kernel)), mutable=["spectral"])
    return matrix, moved["spectral"]["U"]


def applied_at_rest(kernel: jax.Array, vectors: jax.Array, passes: int) -> jax.Array:
    """What is applied in each of so many passes in training while the weights do not move."""
    return jax.lax.scan(lambda vectors, _: applied(kernel, vectors)[::-1], vectors, length=passes)[1]


def largest(matrices: Any) -> np.ndarray:
    return np.linalg.svd(np.asarray(matrices, np.float64), compute_uv=False)[..., 0]


@pytest.mark.parametrize(("layer", "shape"), LAYERS.values(), ids=LAYERS)
def test_value_and_gradient_are_those_of_the_kernel_over_its_norm(float64, layer: Any, shape: tuple[int, ...]) -> None:
    x = jnp.asarray(arrays(shape)[0])
    params = random_variables(layer, x)["params"]
    vectors = singular_vectors(params["kernel"])

    def normalized(params: Any) -> jax.Array:
        return SpectralNorm(layer).apply({"params": {"layer": params}, "spectral": {"U": vectors}}, x)

    def divided(params: Any) -> jax.Array:
        kernel = params["kernel"]
        norm = jnp.linalg.norm(kernel.reshape(-1, kernel.shape[-1]), ord=2)
        return layer.apply({"params": params | {"kernel": kernel / norm}}, x)

    @partial(jax.jit, static_argnums=0)
    def value_and_gradient(apply: Any, params: Any) -> Any:
        return apply(params), jax.grad(lambda params: jnp.sum(jnp.sin(apply(params))))(params)

    got, expected = value_and_gradient(normalized, params), value_and_gradient(divided, params)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-12), got, expected)


def test_with_one_vector_value_gradient_and_vector_are_those_of_pytorch(float64) -> None:
    """On the way: with a vector that is no singular vector, and is a constant to the gradient nevertheless."""
    kernel, u, mix = arrays((7, 5), (5,), (7, 5))
    layer = spectral_norm(torch.nn.Linear(7, 5, bias=False).double())
    with torch.no_grad():
        layer.parametrizations.weight.original.copy_(torch.tensor(kernel.T))
        # PyTorch keeps the other vector too, and begins with it.
        layer.parametrizations.weight[0]._v.copy_(torch.tensor(kernel @ u / np.linalg.norm(kernel @ u)))

    @partial(jax.value_and_grad, has_aux=True)
    def mixed(kernel: jax.Array, vectors: jax.Array) -> tuple[jax.Array, Any]:
        matrix, moved = applied(kernel, vectors)
        return jnp.sum(matrix * mix), (matrix, moved)

    vectors = jnp.asarray(u)[:, None]
    for _ in range(2):
        layer.parametrizations.weight.original.grad = None
        expected = layer.weight
        (expected * torch.tensor(mix.T)).sum().backward()
        (_, (matrix, vectors)), gradient = jax.jit(mixed)(jnp.asarray(kernel), vectors)
        np.testing.assert_allclose(matrix.T, expected.detach(), rtol=1e-12)
        np.testing.assert_allclose(gradient.T, layer.parametrizations.weight.original.grad, rtol=1e-10, atol=1e-14)
        np.testing.assert_allclose(jnp.abs(vectors[:, 0] @ np.asarray(layer.parametrizations.weight[0]._u)), 1)


@pytest.mark.parametrize(
    ("second", "start", "first", "tenth"),
    [
        pytest.param(0.5, 1.0, 1.023, 1 + 1e-11, id="a large gap"),
        pytest.param(0.9, 1.0, 1.044, 1.002, id="a smaller gap"),
        pytest.param(0.99, 1.0, 1.005, 1.005, id="a small gap"),
        pytest.param(0.5, 1e-4, 2.0, 1.0001, id="a kernel that has turned"),
    ],
)
def test_with_one_vector_each_pass_makes_one_step_of_the_power_iteration(
    float64, second: float, start: float, first: float, tenth: float
) -> None:
    """Of a kernel with singular values 1 and s, from a start a u_1 + u_2, pass k applies one of norm

        sqrt((a^2 + s^(4k)) / (a^2 + s^(4k + 2))),

    at most 1 / s. From half-way, a = 1, it is below 1 + 0.07 / k whatever s is: a gap that is so small that the
    iteration is slow makes the error small as well.
    """
    left, right = (np.linalg.qr(array)[0] for array in arrays((6, 2), (2, 2)))
    kernel, vector = left * [1, second] @ right.T, right @ [start, 1]
    k = np.arange(1, 41)
    norms = largest(jax.jit(applied_at_rest, static_argnums=2)(kernel, jnp.asarray(vector)[:, None], len(k)))
    expected = np.sqrt((start**2 + second ** (4 * k)) / (start**2 + second ** (4 * k + 2)))
    np.testing.assert_allclose(norms, expected, rtol=1e-12)
    assert norms[0] == pytest.approx(first, rel=0.01)
    assert norms[9] < tenth
    if start == 1:
        assert (norms <= 1 + 0.07 / k).all()


@pytest.mark.parametrize("shape", [(20, 12), (12, 20)])
def test_several_vectors_find_the_largest_singular_value_in_their_span(float64, shape: tuple[int, int]) -> None:
    """Which is that of `(W'W)^k` on the first ones; from as many vectors as singular values, it is found at once."""
    kernel, few, all_of_them = arrays(shape, (shape[1], 3), (shape[1], 12))
    norms = largest(jax.jit(applied_at_rest, static_argnums=2)(kernel, jnp.asarray(few), 6))
    for k in range(1, 7):
        span = np.linalg.svd(np.linalg.matrix_power(kernel.T @ kernel, k) @ few, full_matrices=False)[0]
        assert norms[k - 1] == pytest.approx(largest(kernel) / largest(kernel @ span), rel=1e-9)
    at_once = largest(applied_at_rest(jnp.asarray(kernel), jnp.asarray(all_of_them), 1))
    np.testing.assert_allclose(at_once, 1, rtol=1e-12)


@pytest.mark.parametrize("shape", [(64, 64), (288, 32)])
def test_random_weights_whose_gaps_are_small_are_applied_with_a_norm_near_one(
    shape: tuple[int, int],
) -> None:
    """From the first pass on, in all of 16 draws: `WARM_UP` steps are enough, and later ones spoil nothing."""
    layer = SpectralNorm(linen.Dense(shape[1], use_bias=False, kernel_init=linen.initializers.normal()))

    @jax.jit
    @jax.vmap
    def matrices(key: jax.Array) -> jax.Array:
        variables = layer.init(key, jnp.zeros((1, shape[0])))
        return applied_at_rest(variables["params"]["layer"]["kernel"], variables["spectral"]["U"], 20)

    norms = largest(matrices(jax.random.split(jax.random.key(0), 16)))
    assert norms.min() > 1 - 1e-5
    assert norms.max() < 1 + 1e-4


NETWORKS = {
    "mlp": (MLP(hidden=(6, 5), shape=(2,), normalization="spectral"), (3, 4)),
    "dcgan, generator": (dcgan.Generator((8, 8, 1), 4, "spectral"), (3, 5)),
    "dcgan, discriminator": (dcgan.Discriminator(4, normalization="spectral"), (3, 8, 8, 1)),
    "resnet, generator": (sngan.ResidualGenerator((16, 16, 3), 4, "spectral"), (3, 5)),
    "resnet, discriminator": (sngan.ResidualDiscriminator(4), (3, 16, 16, 3)),
}
"""Networks and the shapes of their inputs."""


@pytest.mark.parametrize(("network", "shape"), NETWORKS.values(), ids=NETWORKS)
def test_applied_kernels_are_those_that_the_layers_find(network: Any, shape: tuple[int, ...]) -> None:
    """Within the network as it runs, with vectors that are no singular vectors: those of another layer would show."""
    x = jnp.zeros(shape)
    variables = jax.tree.map(jnp.float32, random_variables(network, x))
    seen = {}

    def look(apply: Any, args: Any, kwargs: Any, context: Any) -> Any:
        if isinstance(context.module, linen.Dense | Conv | ConvTranspose) and context.method_name == "__call__":
            seen["/".join(context.module.path)] = context.module.variables["params"]["kernel"]
        return apply(*args, **kwargs)

    with linen.intercept_methods(look):
        network.apply(variables, x)
    found = applied_kernels(variables["params"], variables["spectral"])
    assert found.keys() == seen.keys()
    for path, kernel in seen.items():
        np.testing.assert_allclose(found[path], kernel, rtol=1e-5, err_msg=path)


def test_a_zero_kernel_is_applied_as_it_is_and_learns() -> None:
    """No part of the gradient is so large that an optimizer, which squares it, has infinities from then on."""
    layer, optimizer = SpectralNorm(linen.Dense(12)), optax.adam(0.1)
    x, bias = (jnp.float32(array) for array in arrays((3, 10), (12,)))
    params = {"layer": {"kernel": jnp.zeros((10, 12)), "bias": bias}}
    vectors = jnp.float32(np.linalg.qr(arrays((12, 8))[0])[0])

    @jax.jit
    def move(params: Any, spectral: Any, state: Any) -> Any:
        def loss(params: Any) -> tuple[jax.Array, Any]:
            y, moved = layer.apply({"params": params, "spectral": spectral}, x, mutable=["spectral"])
            return jnp.sum(10 * y), (y, moved["spectral"])

        gradients, (y, moved) = jax.grad(loss, has_aux=True)(params)
        updates, state = optimizer.update(gradients, state)
        return y, gradients, optax.apply_updates(params, updates), moved, state

    y, gradients, *carried = move(params, {"U": vectors}, optimizer.init(params))
    np.testing.assert_array_equal(y, jnp.broadcast_to(bias, (3, 12)))
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves((gradients, carried)))
    # From then on it is a kernel like others.
    for _ in range(20):
        before, (y, gradients, *carried) = carried[0]["layer"], move(*carried)
        assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves((y, gradients, carried)))
    assert largest(before["kernel"]) > 1
    np.testing.assert_allclose(y, x @ before["kernel"] / largest(before["kernel"]) + before["bias"], rtol=1e-4)


def test_weights_start_as_the_layer_makes_them() -> None:
    """What is divided is the kernel that is applied; the one that is kept, and learns, is as large as it was made."""
    kernel, x = jnp.float32(arrays((7, 5))[0]), jnp.ones((3, 7))
    layer = SpectralNorm(linen.Dense(5, kernel_init=lambda *_: kernel))
    np.testing.assert_array_equal(layer.init(jax.random.key(0), x)["params"]["layer"]["kernel"], kernel)


def test_vectors_move_in_training_and_stay_in_evaluation() -> None:
    layer, (x,) = SpectralNorm(linen.Dense(5), vectors=1), arrays((3, 7))
    x = jnp.float32(x)
    variables = layer.init(jax.random.key(0), x)
    variables["spectral"] = {"U": jnp.full((5, 1), 5**-0.5)}
    train = jax.jit(partial(layer.apply, mutable=["spectral", "batch_stats"]))
    evaluate = jax.jit(partial(layer.apply, mutable=["batch_stats"]))
    first, after_first = train(variables, x)
    assert not np.allclose(after_first["spectral"]["U"], variables["spectral"]["U"], atol=1e-2)
    second, after_second = train(variables | after_first, x)
    assert not np.allclose(first, second, rtol=1e-3)
    assert not np.allclose(after_second["spectral"]["U"], after_first["spectral"]["U"], atol=1e-3)

    looked_at, nothing = evaluate(variables | after_first, x)
    assert not nothing
    np.testing.assert_array_equal(looked_at, evaluate(variables | after_first, x)[0])
    np.testing.assert_allclose(looked_at, second, rtol=1e-6)


def test_the_gradient_of_a_gradient_penalty_is_that_of_finite_differences(float64) -> None:
    """`mean (|| grad_x f(x) || - 1)^2` of a critic with spectral normalization, as a function of all its weights."""
    critic = MLP(hidden=(6, 5), shape=(), activation=jnp.tanh, normalization="spectral")
    (x,) = arrays((4, 3))
    params = random_variables(critic, x)["params"]
    spectral = settled(params)

    @jax.jit
    @jax.value_and_grad
    def penalty(params: Any) -> jax.Array:
        def slope(x: jax.Array) -> jax.Array:
            critic_at = partial(critic.apply, {"params": params, "spectral": spectral})
            return jnp.linalg.norm(jax.grad(lambda x: critic_at(x[None])[0])(x))

        return jnp.mean((jax.vmap(slope)(x) - 1) ** 2)

    _, gradient = penalty(params)
    for seed in range(3):
        random = np.random.default_rng(seed)
        way = jax.tree.map(lambda leaf, random=random: random.normal(size=leaf.shape), params)
        there, back = (
            penalty(jax.tree.map(lambda leaf, step, h=h: leaf + h * step, params, way))[0] for h in (1e-5, -1e-5)
        )
        along = sum(jax.tree.leaves(jax.tree.map(lambda a, b: jnp.sum(a * b), gradient, way)))
        assert float(along) == pytest.approx(float(there - back) / 2e-5, rel=1e-7)


def test_a_network_stretches_no_distance() -> None:
    network = MLP(hidden=(16, 16), shape=(3,), activation=partial(linen.leaky_relu, negative_slope=0.2))
    ratios = distance_ratios(network.clone(normalization="spectral"))
    assert 0.01 < ratios.max() <= 1 + 1e-9
    # The same weights undivided do.
    assert distance_ratios(network).max() > 2


def test_an_affine_one_keeps_the_distance_along_its_first_singular_vector() -> None:
    assert distance_ratios(MLP(hidden=(), shape=(3,), normalization="spectral")).max() == pytest.approx(1, abs=1e-4)


def distance_ratios(network: Any) -> np.ndarray:
    """`||f(x) - f(y)|| / ||x - y||` of 10,000 random pairs of points in the plane."""
    with jax.enable_x64(True):
        x, y = arrays((10_000, 2), (10_000, 2))
        params = random_variables(network, x)["params"]
        f = jax.jit(partial(network.apply, {"params": params, "spectral": settled(params)}))
        return np.linalg.norm(np.asarray(f(x) - f(y)), axis=1) / np.linalg.norm(x - y, axis=1)


def test_norms_stay_above_one_and_near_it_while_a_critic_trains(float64) -> None:
    """By Adam, with hinge losses, for several seeds at once. Training makes the first singular values nearly equal, and
    their vectors change places, which a single vector would lose: norms would go above 1.1 here.
    """
    critic = MLP(hidden=(16, 16), shape=(), activation=linen.leaky_relu, normalization="spectral")
    optimizer = optax.adam(1e-3, b1=0.5)
    real, fake = arrays((32, 2), (32, 2))
    both = np.concatenate([real, fake * 0.3 + [2, 0]])

    def loss(params: Any, spectral: Any) -> tuple[jax.Array, Any]:
        outputs, moved = critic.apply({"params": params, "spectral": spectral}, both, mutable=["spectral"])
        return jnp.mean(linen.relu(1 - outputs[:32])) + jnp.mean(linen.relu(1 + outputs[32:])), moved["spectral"]

    def move(carry: Any, _: None) -> tuple[Any, Any]:
        params, spectral, state = carry
        gradients, spectral = jax.grad(loss, has_aux=True)(params, spectral)
        updates, state = optimizer.update(gradients, state)
        params = optax.apply_updates(params, updates)
        return (params, spectral, state), applied(params["Dense_1"]["kernel"], spectral["SpectralNorm_1"]["U"])[0]

    def train(variables: Any) -> jax.Array:
        start = (variables["params"], variables["spectral"], optimizer.init(variables["params"]))
        return jax.lax.scan(move, start, length=200)[1]

    variables = jax.jit(jax.vmap(critic.init, (0, None)))(jax.random.split(jax.random.key(0), 3), real)
    variables = jax.tree.map(jnp.float64, variables)
    matrices = jax.jit(jax.vmap(train))(variables)
    assert largest(matrices).min() > 1 - 1e-9
    assert largest(matrices).max() < 1.001
    alone = jax.jit(train)(jax.tree.map(lambda leaf: leaf[1], variables))
    # Of values that are nearly equal the largest is a matter of rounding: later on the ways part.
    np.testing.assert_allclose(alone[:20], matrices[1, :20], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("shape", [(4, 3, 5, 2), (4, 6)])
def test_layer_normalization_is_that_of_pytorch(shape: tuple[int, ...]) -> None:
    """Over height, width and channels of each example; PyTorch is given the scales and biases at every pixel."""
    x, scale, bias = (jnp.float32(array) for array in arrays(shape, shape[-1:], shape[-1:]))
    y = Normalized("layer").apply({"params": {"LayerNorm_0": {"scale": scale, "bias": bias}}}, 3 * x + 2)
    at_pixels = [torch.tensor(np.broadcast_to(array, shape[1:]), dtype=torch.float64) for array in (scale, bias)]
    expected = functional.layer_norm(torch.tensor(np.asarray(3 * x + 2, np.float64)), shape[1:], *at_pixels, eps=1e-5)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("normalization", "meet", "changes"),
    [("none", False, False), ("spectral", False, False), ("layer", False, True), ("batch", True, True)],
)
def test_examples_meet_in_batch_normalization_alone(normalization: Normalization, meet: bool, changes: bool) -> None:
    network, (x,) = Normalized(normalization), arrays((4, 3, 3, 2))
    x = jnp.float32(x)
    variables = network.init(jax.random.key(0), x)
    apply = jax.jit(partial(network.apply, variables, mutable=["batch_stats"]))
    (y, _), (other, _) = apply(x), apply(x.at[1:].add(1.0))
    assert bool(jnp.abs(y[0] - other[0]).max() > 1e-3) == meet
    assert bool(jnp.abs(y - x).max() > 1e-3) == changes
