from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from jaxgen.nn.mlp import MLP, Maxout


def float64_layers(variables: dict, layers: int) -> list[tuple[np.ndarray, np.ndarray]]:
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), variables["params"])
    return [(params[f"Dense_{i}"]["kernel"], params[f"Dense_{i}"]["bias"]) for i in range(layers)]


def test_outputs_match_numpy() -> None:
    network = MLP(hidden=(7, 6), shape=(3, 2), activation=jnp.tanh)
    x = np.random.default_rng(0).normal(size=(4, 2, 3, 1)).astype(np.float32)
    variables = network.init(jax.random.key(0), x, train=False)
    h = x.reshape(4, 6).astype(np.float64)
    (w1, b1), (w2, b2), (w3, b3) = float64_layers(variables, 3)
    expected = (np.tanh(np.tanh(h @ w1 + b1) @ w2 + b2) @ w3 + b3).reshape(4, 3, 2)
    np.testing.assert_allclose(network.apply(variables, x, train=False), expected, rtol=1e-5, atol=1e-6)


def test_condition_is_appended_to_inputs() -> None:
    network = MLP(hidden=(5,), shape=(2,))
    rng = np.random.default_rng(0)
    x, condition = rng.normal(size=(4, 3, 1)).astype(np.float32), rng.normal(size=(4, 6)).astype(np.float32)
    variables = network.init(jax.random.key(0), x, condition, train=False)
    together = np.concatenate([x.reshape(4, 3), condition], axis=1)
    output = network.apply(variables, x, condition, train=False)
    np.testing.assert_array_equal(output, network.apply(variables, together, train=False))


def test_network_without_hidden_layers_is_affine() -> None:
    network = MLP(hidden=(), shape=())
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    variables = network.init(jax.random.key(0), x, train=False)
    ((w, b),) = float64_layers(variables, 1)
    output = network.apply(variables, x, train=False)
    assert output.shape == (5,)
    np.testing.assert_allclose(output, (x @ w + b)[:, 0], rtol=1e-5, atol=1e-6)


def test_maxout_matches_numpy() -> None:
    """The three affine maps of a unit are adjacent outputs of the layer."""
    network = MLP(hidden=(4, 2), shape=(3,), activation=Maxout(3))
    x = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)
    variables = network.init(jax.random.key(0), x, train=False)
    layers = float64_layers(variables, 3)
    assert [kernel.shape for kernel, _ in layers] == [(6, 12), (4, 6), (2, 3)]
    h = x.astype(np.float64)
    for kernel, bias in layers[:2]:
        h = np.stack([h @ kernel[:, piece::3] + bias[piece::3] for piece in range(3)]).max(axis=0)
    kernel, bias = layers[2]
    np.testing.assert_allclose(network.apply(variables, x, train=False), h @ kernel + bias, rtol=1e-5, atol=1e-6)


def test_gradient_of_maxout_is_that_of_torch_also_for_ties() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(4, 6)).astype(np.float32)
    x[0, :3], x[1, 3:5] = 1.0, 2.0
    weights = random.normal(size=(4, 2)).astype(np.float32)
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(weights * Maxout(3)(x))))(x)
    expected = torch.tensor(x, requires_grad=True)
    (torch.tensor(weights) * expected.reshape(4, 2, 3).amax(dim=-1)).sum().backward()
    np.testing.assert_allclose(gradient, expected.grad, rtol=1e-6)


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("pieces", [1, 2])
def test_batch_normalization_matches_numpy(pieces: int, train: bool) -> None:
    """Outputs of hidden layers are normalized before the activation; only the last layer has a bias."""
    activation = Maxout(pieces) if pieces > 1 else jnp.tanh
    network = MLP(hidden=(4, 3), shape=(2,), activation=activation, normalization="batch")
    random = np.random.default_rng(0)
    x = random.normal(size=(6, 5)).astype(np.float32)
    shapes = jax.eval_shape(partial(network.init, train=False), jax.random.key(0), x)
    variables = jax.tree.map(lambda leaf: random.uniform(0.5, 1.5, leaf.shape).astype(np.float32), shapes)
    output, updated = jax.jit(partial(network.apply, train=train, mutable=["batch_stats"]))(variables, x)

    params, stats = (
        jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), variables[name]) for name in ("params", "batch_stats")
    )
    assert [sorted(params[f"Dense_{i}"]) for i in range(3)] == [["kernel"], ["kernel"], ["bias", "kernel"]]
    h, expected = x.astype(np.float64), {}
    for i in range(2):
        name, h = f"BatchNorm_{i}", h @ params[f"Dense_{i}"]["kernel"]
        batch = {"mean": h.mean(axis=0), "var": h.var(axis=0)}
        expected[name] = {key: 0.9 * stats[name][key] + 0.1 * batch[key] for key in batch}
        used = batch if train else stats[name]
        h = (h - used["mean"]) / np.sqrt(used["var"] + 1e-5) * params[name]["scale"] + params[name]["bias"]
        h = h.reshape(6, -1, pieces).max(axis=2) if pieces > 1 else np.tanh(h)
    h = h @ params["Dense_2"]["kernel"] + params["Dense_2"]["bias"]
    np.testing.assert_allclose(output, h, rtol=1e-4, atol=1e-5)
    if train:
        assert_allclose = partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
        jax.tree.map(assert_allclose, updated["batch_stats"], expected)
    else:
        jax.tree.map(np.testing.assert_array_equal, updated["batch_stats"], variables["batch_stats"])
