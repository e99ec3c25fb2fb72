"""Tests of SNGAN's networks against table 3 of the paper and PyTorch in float64."""

from functools import partial
from typing import Any

import jax
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from jaxgen.errors import InputError
from jaxgen.nn.normalization import Normalization
from jaxgen.nn.sngan import PreactivatedBlock, ResidualDiscriminator, ResidualGenerator, double, smallest_map

EPSILON = 1e-5


class Twin:
    """PyTorch's layers with the variables of one of the networks; layers are called by name."""

    def __init__(self, normalization: Normalization, variables: Any) -> None:
        self.normalization = normalization
        self.params, self.stats = (to_torch(variables.get(name, {})) for name in ("params", "batch_stats"))

    def block(self, name: str) -> "Twin":
        return Twin(self.normalization, {"params": self.params[name], "batch_stats": self.stats.get(name, {})})

    def weights(self, name: str) -> tuple[Tensor, Tensor]:
        kernel, bias = self.params[name]["kernel"], self.params[name]["bias"]
        if self.normalization == "spectral":
            kernel = kernel / torch.linalg.svdvals(kernel.flatten(0, -2))[0]
        return kernel, bias

    def dense(self, name: str, x: Tensor) -> Tensor:
        kernel, bias = self.weights(name)
        return functional.linear(x, kernel.T, bias)

    def convolution(self, name: str, x: Tensor) -> Tensor:
        kernel, bias = self.weights(name)
        return functional.conv2d(x, kernel.permute(3, 2, 0, 1), bias, padding="same")

    def activation(self, i: int, x: Tensor) -> Tensor:
        """Apply normalization and ReLU."""
        if self.normalization == "batch":
            affine, running = self.params[f"BatchNorm_{i}"], self.stats[f"BatchNorm_{i}"]
            x = functional.batch_norm(x, running["mean"], running["var"], affine["scale"], affine["bias"], eps=EPSILON)
        return x.relu()

    def up(self, x: Tensor) -> Tensor:
        """Apply a block of the generator."""
        change = functional.interpolate(self.activation(0, x), scale_factor=2)
        change = self.convolution("Conv_1", self.activation(1, self.convolution("Conv_0", change)))
        return self.convolution("Conv_2", functional.interpolate(x, scale_factor=2)) + change

    def down(self, x: Tensor, *, first: bool, halved: bool) -> Tensor:
        """Apply a block of the discriminator."""
        change = self.convolution("Conv_0", x if first else self.activation(0, x))
        change = self.convolution("Conv_1", change.relu() if first else self.activation(1, change))
        if not halved:
            return x + change
        return functional.avg_pool2d(self.convolution("Conv_2", x) + change, 2)


def to_torch(variables: Any) -> Any:
    return jax.tree.map(lambda leaf: torch.tensor(np.asarray(leaf, np.float64)), variables)


def random_variables(network: Any, inputs: np.ndarray) -> Any:
    """Return random variables, and the singular vectors of the kernels where the normalization is spectral."""
    shapes = shapes_of(network, inputs.shape)
    random = np.random.default_rng(0)
    drawn = {"params": partial(random.normal, 0.05, 0.3), "batch_stats": partial(random.uniform, 0.5, 1.5)}
    variables = {
        name: jax.tree.map(lambda leaf, draw=draw: np.float32(draw(leaf.shape)), shapes.get(name, {}))
        for name, draw in drawn.items()
    }
    return variables | {"spectral": singular_vectors(variables["params"], shapes.get("spectral", {}))}


def singular_vectors(params: Any, names: Any) -> dict[str, Any]:
    """Return the vectors of the kernels of each block; Flax numbers them in the order in which layers are called."""
    kernels = [params[name]["kernel"] for name in ("Dense_0", "Conv_0", "Conv_1", "Conv_2") if name in params]
    vectors: dict[str, Any] = {}
    for name in names:
        if name.startswith("SpectralNorm"):
            kernel = np.asarray(kernels[int(name.rsplit("_")[-1])], np.float64)
            rows = np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]), full_matrices=False)[2]
            vectors[name] = {"U": np.float32(rows.T)}
        else:
            vectors[name] = singular_vectors(params[name], names[name])
    return vectors


def assert_close(actual: Any, expected: Any) -> None:
    expected = np.asarray(expected)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


each_normalization = pytest.mark.parametrize("normalization", ["none", "batch", "spectral"])


@each_normalization
def test_generator_matches_pytorch(normalization: Normalization) -> None:
    network = ResidualGenerator(shape=(16, 24, 3), width=4, normalization=normalization)
    latents = np.random.default_rng(1).normal(size=(3, 5))
    variables = random_variables(network, latents)
    images = jax.jit(partial(network.apply, train=False))(variables, np.float32(latents))

    twin = Twin(normalization, variables)
    x = twin.dense("Dense_0", torch.tensor(latents)).unflatten(1, (2, 3, 4)).permute(0, 3, 1, 2)
    for i in range(3):
        x = twin.block(f"PreactivatedBlock_{i}").up(x)
    x = twin.convolution("Conv_0", twin.activation(0, x))
    assert_close(images, x.permute(0, 2, 3, 1))


@each_normalization
def test_discriminator_matches_pytorch(normalization: Normalization) -> None:
    """The width is odd, so that halving drops the last column."""
    network = ResidualDiscriminator(width=4, shape=(2,), normalization=normalization)
    images = np.random.default_rng(1).normal(size=(3, 16, 11, 3))
    variables = random_variables(network, images)
    outputs = jax.jit(partial(network.apply, train=False))(variables, np.float32(images))

    twin = Twin(normalization, variables)
    x = torch.tensor(images).permute(0, 3, 1, 2)
    x = twin.block("_FirstBlock_0").down(x, first=True, halved=True)
    for i, halved in enumerate((True, False, False)):
        x = twin.block(f"PreactivatedBlock_{i}").down(x, first=False, halved=halved)
    assert_close(outputs, twin.dense("Dense_0", twin.activation(0, x).sum(dim=(2, 3))))


@pytest.mark.usefixtures("convolutions_by_xla")
def test_numbers_of_parameters_are_published_ones() -> None:
    """Every line of table 3, for images of 32x32x3, with the biases and the batch normalization of the text."""

    def convolution(window: int, channels: int, features: int) -> int:
        return window**2 * channels * features + features

    normalization = 2 * 256
    up = 2 * (normalization + convolution(3, 256, 256)) + convolution(1, 256, 256)
    dense = 128 * (4 * 4 * 256) + 4 * 4 * 256
    assert parameters(ResidualGenerator((32, 32, 3), width=256), (1, 128)) == (
        dense + 3 * up + normalization + convolution(3, 256, 3)
    )

    first = convolution(3, 3, 128) + convolution(3, 128, 128) + convolution(1, 3, 128)
    down = 2 * convolution(3, 128, 128) + convolution(1, 128, 128)
    unchanged = 2 * convolution(3, 128, 128)
    assert parameters(ResidualDiscriminator(width=128), (1, 32, 32, 3)) == (
        first + down + 2 * unchanged + 128 + 1  # The weights of the dense layer and its bias.
    )


def parameters(network: Any, inputs: tuple[int, ...]) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(shapes_of(network, inputs)["params"]))


def shapes_of(network: Any, inputs: tuple[int, ...]) -> Any:
    return jax.eval_shape(partial(network.init, train=False), jax.random.key(0), np.zeros(inputs, np.float32))


@pytest.mark.usefixtures("convolutions_by_xla")
def test_normalization_applies_to_all_layers_and_excludes_others() -> None:
    """Every kernel has singular vectors with spectral normalization, and none otherwise."""
    for network, inputs in (
        (partial(ResidualGenerator, (16, 16, 3), width=4), (1, 5)),
        (partial(ResidualDiscriminator, width=4), (1, 16, 16, 3)),
    ):
        for normalization in ("none", "batch", "layer", "spectral"):
            shapes = shapes_of(network(normalization=normalization), inputs)
            kernels = [leaf.shape for leaf in jax.tree.leaves(shapes["params"]) if leaf.ndim > 1]
            vectors = [len(leaf) for leaf in jax.tree.leaves(shapes.get("spectral", {}))]
            features = [kernel[-1] for kernel in kernels] if normalization == "spectral" else []
            assert sorted(vectors) == sorted(features)
            assert ("batch_stats" in shapes) == (normalization == "batch")
            has_scales = any("scale" in jax.tree_util.keystr(path) for path, _ in jax.tree.leaves_with_path(shapes))
            assert has_scales == (normalization in ("batch", "layer"))


@pytest.mark.usefixtures("convolutions_by_xla")
def test_initial_weights_have_published_distribution() -> None:
    """Uniform with variance 2 / (fan-in + fan-out) (Glorot), and twice that in the 3x3 convolutions of blocks."""
    generator = ResidualGenerator((8, 8, 3), width=16)
    discriminator = ResidualDiscriminator(width=16, normalization="none")

    @jax.jit
    def initialize(key: jax.Array) -> list[Any]:
        return [
            network.init(key, np.zeros(inputs, np.float32), train=False)["params"]
            for network, inputs in ((generator, (1, 100)), (discriminator, (1, 8, 8, 3)))
        ]

    for params in jax.device_get(initialize(jax.random.key(0))):
        for path, kernel in jax.tree.leaves_with_path(params):
            where = jax.tree_util.keystr(path)
            if kernel.ndim > 1:
                window = int(np.prod(kernel.shape[:-2]))
                in_block = window == 9 and "Block" in where
                variance = (4 if in_block else 2) / (window * (kernel.shape[-2] + kernel.shape[-1]))
                assert float(kernel.var()) == pytest.approx(variance, rel=4 * np.sqrt(0.8 / kernel.size)), where
                assert 0.8 * np.sqrt(3 * variance) < float(np.abs(kernel).max()) <= np.sqrt(3 * variance), where
            else:
                assert (kernel == (1 if "scale" in where else 0)).all(), where


def test_block_with_zero_residual_is_its_shortcut() -> None:
    """Negative inputs are kept too, because the block ends with a sum and not with a ReLU."""
    x = np.random.default_rng(1).normal(size=(2, 4, 4, 3)).astype(np.float32)
    for block, expected in (
        (PreactivatedBlock(3, "none"), x),
        (PreactivatedBlock(5, "none", resize=double), np.repeat(np.repeat(x[..., :1].repeat(5, axis=-1), 2, 1), 2, 2)),
    ):
        params = random_variables(block, x)["params"]
        params["Conv_1"] = jax.tree.map(np.zeros_like, params["Conv_1"])
        if "Conv_2" in params:  # A shortcut that takes the first channel.
            params["Conv_2"] = jax.tree.map(np.zeros_like, params["Conv_2"])
            params["Conv_2"]["kernel"][0, 0, 0] = 1
        y = jax.jit(partial(block.apply, train=False))({"params": params}, x)
        np.testing.assert_array_equal(y, expected)


def test_images_of_unsupported_sizes_are_rejected() -> None:
    assert smallest_map(32, 48) == (4, 6)
    message = (
        "height and width of the images must be multiples of 8 for the architecture 'resnet', got 28x28: "
        r"use images of 24x24 pixels \(--image-size 24\), or 'dcgan'"
    )
    with pytest.raises(InputError, match=f"^{message}$"):
        smallest_map(28, 28)
    with pytest.raises(InputError, match=message):
        shapes_of(ResidualGenerator((28, 28, 1), width=4), (1, 5))
    with pytest.raises(InputError, match=r"multiples of 8 .* got 32x12: use .* \(--image-size 8\), or 'dcgan'$"):
        smallest_map(32, 12)
    message = "at least 8x8 pixels for the architectures 'resnet' and 'dcgan', got 6x40: use 'mlp'"
    with pytest.raises(InputError, match=f"{message}$"):
        smallest_map(6, 40)
    with pytest.raises(InputError, match="at least 4x4 pixels to be halved 2 times, got 8x3"):
        shapes_of(ResidualDiscriminator(width=4), (1, 8, 3, 1))
