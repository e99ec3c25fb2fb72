"""The residual network against the published parameter counts and against PyTorch in float64, layer by layer."""

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
def test_it_has_the_published_number_of_parameters(layers: int, published: str) -> None:
    """Table 6 of the paper."""
    network = ResNet(blocks=(layers - 2) // 6, classes=10)
    params = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros(IMAGES))["params"]
    millions = sum(leaf.size for leaf in jax.tree.leaves(params)) / 1e6
    assert f"{millions:.{len(published) - 3}f}M" == published
    # What has weights besides batch normalization: convolutions, none of them in a shortcut, and one affine map.
    assert sum(leaf.ndim > 1 for leaf in jax.tree.leaves(params)) == layers


@pytest.mark.parametrize("training", [True, False])
def test_it_computes_what_pytorch_does(training: bool) -> None:
    network = ResNet(blocks=2, classes=5, width=3)
    images = np.random.default_rng(1).normal(size=(4, 9, 12, 3))
    variables = random_variables(network, images)
    apply = jax.jit(partial(network.apply, mutable=["batch_stats"] if training else []))
    logits, updated = apply(variables, jnp.float32(images))

    tensors = jax.tree.map(lambda leaf: torch.tensor(np.asarray(leaf, np.float64)), variables)
    params, stats = tensors["params"], tensors["batch_stats"]
    x = torch.tensor(images).permute(0, 3, 1, 2)
    x = convolved_and_normalized(x, params, stats, 0, 1, training).relu()
    for i, (stride, features) in enumerate([(1, 3), (1, 3), (2, 6), (1, 6), (2, 12), (1, 12)]):
        block, block_stats = params[f"ResidualBlock_{i}"], stats[f"ResidualBlock_{i}"]
        change = convolved_and_normalized(x, block, block_stats, 0, stride, training).relu()
        change = convolved_and_normalized(change, block, block_stats, 1, 1, training)
        shortcut = torch.zeros_like(change)
        shortcut[:, : x.shape[1]] = x[:, :, ::stride, ::stride]
        assert change.shape[1] == features
        x = (shortcut + change).relu()
    expected = x.mean(dim=(2, 3)) @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"]
    assert_close(logits, expected)
    if training:
        jax.tree.map(assert_close, updated["batch_stats"], stats)
    else:
        assert not updated


def test_a_block_that_changes_nothing_is_the_identity() -> None:
    """Of what comes out of a ReLU; where it widens and halves, of every other pixel, the new channels being black."""
    x = jnp.abs(jax.random.normal(jax.random.key(0), (2, 8, 8, 4)))
    for block, expected in (
        (ResidualBlock(4), x),
        (ResidualBlock(8, stride=2), jnp.concatenate([x[:, ::2, ::2], jnp.zeros((2, 4, 4, 4))], axis=-1)),
    ):
        variables = block.init(jax.random.key(1), x)
        last = variables["params"]["BatchNorm_1"]
        variables["params"]["BatchNorm_1"] = jax.tree.map(jnp.zeros_like, last)
        for mutable in (["batch_stats"], []):
            y, _ = block.apply(variables, x, mutable=mutable)
            np.testing.assert_array_equal(y, expected)


def test_weights_start_as_published() -> None:
    """Normal with variance 2 / fan-in (He et al. 2015), so that layer by layer the activations keep their size."""
    params = jax.jit(ResNet(blocks=1, classes=10).init)(jax.random.key(0), jnp.zeros(IMAGES))["params"]
    block = params["ResidualBlock_2"]
    for kernel in (block["Conv_0"]["kernel"], block["Conv_1"]["kernel"]):
        *window, channels, _ = kernel.shape
        assert float(jnp.mean(kernel)) == pytest.approx(0, abs=4 * float(jnp.std(kernel)) / np.sqrt(kernel.size))
        assert float(jnp.std(kernel)) == pytest.approx(np.sqrt(2 / (np.prod(window) * channels)), rel=0.05)


def convolved_and_normalized(x: Tensor, params: Any, stats: Any, layer: int, stride: int, training: bool) -> Tensor:
    """A 3x3 convolution and batch normalization; the running averages move in place.

    Those of Flax are of the variance of the batch itself, where PyTorch takes the estimate of the population's.
    """
    x = functional.conv2d(x, params[f"Conv_{layer}"]["kernel"].permute(3, 2, 0, 1), stride=stride, padding=1)
    norm, moving = params[f"BatchNorm_{layer}"], stats[f"BatchNorm_{layer}"]
    normalized = functional.batch_norm(
        x, moving["mean"].clone(), moving["var"].clone(), norm["scale"], norm["bias"], training=training, eps=EPSILON
    )
    moving["mean"].lerp_(x.mean(dim=(0, 2, 3)), 1 - MOMENTUM)
    moving["var"].lerp_(x.var(dim=(0, 2, 3), correction=0), 1 - MOMENTUM)
    return normalized


def random_variables(network: Any, images: np.ndarray) -> Any:
    """Variables with numbers of ordinary size everywhere: zeros and ones at the start would hide mistakes."""
    shapes = jax.eval_shape(network.init, jax.random.key(0), jnp.float32(images))
    random = np.random.default_rng(0)
    drawn = {"params": partial(random.normal, 0.05, 0.3), "batch_stats": partial(random.uniform, 0.5, 1.5)}
    return {
        name: jax.tree.map(lambda leaf, draw=draw: jnp.float32(draw(leaf.shape)), shapes[name])
        for name, draw in drawn.items()
    }


def assert_close(actual: Any, expected: Any) -> None:
    expected = np.asarray(expected)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
