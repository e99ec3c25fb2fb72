"""Tests of the residual network against the published numbers of parameters and PyTorch in float64."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from jaxgen.nn.resnet import ResidualBlock, ResNet

IMAGES = (4, 32, 32, 3)
MOMENTUM, EPSILON = 0.9, 1e-5


@pytest.mark.parametrize(
    ("layers", "published"), [(20, "0.27M"), (32, "0.46M"), (44, "0.66M"), (56, "0.85M"), (110, "1.7M")]
)
def test_number_of_parameters_is_published_one(layers: int, published: str) -> None:
    """Table 6 of the paper."""
    network = ResNet(blocks=(layers - 2) // 6, classes=10)
    params = jax.eval_shape(partial(network.init, train=False), jax.random.key(0), jnp.zeros(IMAGES))["params"]
    millions = sum(leaf.size for leaf in jax.tree.leaves(params)) / 1e6
    assert f"{millions:.{len(published) - 3}f}M" == published
    # The layers with weights besides batch normalization: convolutions outside the shortcuts, and one affine map.
    assert sum(leaf.ndim > 1 for leaf in jax.tree.leaves(params)) == layers


@pytest.mark.parametrize("train", [True, False])
def test_logits_and_running_statistics_match_pytorch(train: bool) -> None:
    network = ResNet(blocks=2, classes=5, width=3)
    images = np.random.default_rng(1).normal(size=(4, 9, 12, 3))
    variables = random_variables(network, images)
    apply = jax.jit(partial(network.apply, train=train, mutable=["batch_stats"] if train else []))
    logits, updated = apply(variables, jnp.float32(images))

    tensors = jax.tree.map(lambda leaf: torch.tensor(np.asarray(leaf, np.float64)), variables)
    params, stats = tensors["params"], tensors["batch_stats"]
    x = torch.tensor(images).permute(0, 3, 1, 2)
    x = convolved_and_normalized(x, params, stats, 0, 1, train).relu()
    for i, (stride, features) in enumerate([(1, 3), (1, 3), (2, 6), (1, 6), (2, 12), (1, 12)]):
        block, block_stats = params[f"ResidualBlock_{i}"], stats[f"ResidualBlock_{i}"]
        change = convolved_and_normalized(x, block, block_stats, 0, stride, train).relu()
        change = convolved_and_normalized(change, block, block_stats, 1, 1, train)
        shortcut = torch.zeros_like(change)
        shortcut[:, : x.shape[1]] = x[:, :, ::stride, ::stride]
        assert change.shape[1] == features
        x = (shortcut + change).relu()
    expected = x.mean(dim=(2, 3)) @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"]
    assert_close(logits, expected)
    if train:
        jax.tree.map(assert_close, updated["batch_stats"], stats)
    else:
        assert not updated


def test_block_with_zero_residual_is_identity_on_nonnegative_inputs() -> None:
    """A block with stride 2 and more channels returns every other pixel, with zeros in the new channels."""
    x = jnp.abs(jax.random.normal(jax.random.key(0), (2, 8, 8, 4)))
    for block, expected in (
        (ResidualBlock(4), x),
        (ResidualBlock(8, stride=2), jnp.concatenate([x[:, ::2, ::2], jnp.zeros((2, 4, 4, 4))], axis=-1)),
    ):
        variables = block.init(jax.random.key(1), x, train=False)
        last = variables["params"]["BatchNorm_1"]
        variables["params"]["BatchNorm_1"] = jax.tree.map(jnp.zeros_like, last)
        for train in (True, False):
            y, _ = block.apply(variables, x, train=train, mutable=["batch_stats"])
            np.testing.assert_array_equal(y, expected)


def test_initial_weights_have_published_distribution() -> None:
    """Normal with variance 2 / fan-in (He et al. 2015), which keeps the scale of the activations across layers."""
    init = jax.jit(partial(ResNet(blocks=1, classes=10).init, train=False))
    params = init(jax.random.key(0), jnp.zeros(IMAGES))["params"]
    block = params["ResidualBlock_2"]
    for kernel in (block["Conv_0"]["kernel"], block["Conv_1"]["kernel"]):
        *window, channels, _ = kernel.shape
        assert float(jnp.mean(kernel)) == pytest.approx(0, abs=4 * float(jnp.std(kernel)) / np.sqrt(kernel.size))
        assert float(jnp.std(kernel)) == pytest.approx(np.sqrt(2 / (np.prod(window) * channels)), rel=0.05)


def convolved_and_normalized(x: Tensor, params: Any, stats: Any, layer: int, stride: int, train: bool) -> Tensor:
    """Apply a 3x3 convolution and batch normalization, and update the running statistics in place.

    Flax's running variance averages the variance of the batch, PyTorch's the unbiased estimate.
    """
    x = functional.conv2d(x, params[f"Conv_{layer}"]["kernel"].permute(3, 2, 0, 1), stride=stride, padding=1)
    norm, running = params[f"BatchNorm_{layer}"], stats[f"BatchNorm_{layer}"]
    normalized = functional.batch_norm(
        x, running["mean"].clone(), running["var"].clone(), norm["scale"], norm["bias"], training=train, eps=EPSILON
    )
    running["mean"].lerp_(x.mean(dim=(0, 2, 3)), 1 - MOMENTUM)
    running["var"].lerp_(x.var(dim=(0, 2, 3), correction=0), 1 - MOMENTUM)
    return normalized


def random_variables(network: Any, images: np.ndarray) -> Any:
    """Return random variables, because the initial zeros and ones would hide mistakes."""
    shapes = jax.eval_shape(partial(network.init, train=False), jax.random.key(0), jnp.float32(images))
    random = np.random.default_rng(0)
    drawn = {"params": partial(random.normal, 0.05, 0.3), "batch_stats": partial(random.uniform, 0.5, 1.5)}
    return {
        name: jax.tree.map(lambda leaf, draw=draw: jnp.float32(draw(leaf.shape)), shapes[name])
        for name, draw in drawn.items()
    }


def assert_close(actual: Any, expected: Any) -> None:
    expected = np.asarray(expected)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
