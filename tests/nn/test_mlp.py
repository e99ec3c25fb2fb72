import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.nn.mlp import MLP


def float64_layers(variables: dict, layers: int) -> list[tuple[np.ndarray, np.ndarray]]:
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), variables["params"])
    return [(params[f"Dense_{i}"]["kernel"], params[f"Dense_{i}"]["bias"]) for i in range(layers)]


def test_the_network_agrees_with_numpy() -> None:
    network = MLP(hidden=(7, 6), shape=(3, 2), activation=jnp.tanh)
    x = np.random.default_rng(0).normal(size=(4, 2, 3, 1)).astype(np.float32)
    variables = network.init(jax.random.key(0), x)
    h = x.reshape(4, 6).astype(np.float64)
    (w1, b1), (w2, b2), (w3, b3) = float64_layers(variables, 3)
    expected = (np.tanh(np.tanh(h @ w1 + b1) @ w2 + b2) @ w3 + b3).reshape(4, 3, 2)
    np.testing.assert_allclose(network.apply(variables, x), expected, rtol=1e-5, atol=1e-6)


def test_a_condition_is_one_more_part_of_the_input() -> None:
    network = MLP(hidden=(5,), shape=(2,))
    rng = np.random.default_rng(0)
    x, condition = rng.normal(size=(4, 3, 1)).astype(np.float32), rng.normal(size=(4, 6)).astype(np.float32)
    variables = network.init(jax.random.key(0), x, condition)
    together = np.concatenate([x.reshape(4, 3), condition], axis=1)
    np.testing.assert_array_equal(network.apply(variables, x, condition), network.apply(variables, together))


def test_without_hidden_layers_the_network_is_affine() -> None:
    network = MLP(hidden=(), shape=())
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    variables = network.init(jax.random.key(0), x)
    ((w, b),) = float64_layers(variables, 1)
    output = network.apply(variables, x)
    assert output.shape == (5,)
    np.testing.assert_allclose(output, (x @ w + b)[:, 0], rtol=1e-5, atol=1e-6)
