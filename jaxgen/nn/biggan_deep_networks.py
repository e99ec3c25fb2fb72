"""The generator and the discriminator of BigGAN-deep (Brock, Donahue & Simonyan 2019, arXiv:1809.11096), appendix B.

They are those of the authors' PyTorch code, ajbrock/BigGAN-PyTorch (`BigGANdeep.py`), which has them for 32 to 256
pixels; the widths for 512 pixels are those of DeepMind's generator and of the discriminator in PyTorch-StudioGAN. Two
differences from `jaxgen.nn.biggan_networks`: blocks are bottlenecks of four convolutions and their shortcuts have few
weights or none; and the whole latent, with the embedding of the class, is the input of the first layer and the
condition of every block.

DeepMind's published networks differ in details: their last convolution has 128 outputs, of which the first 3 are used,
and the latent precedes the embedding of the class.
"""

from collections.abc import Sequence

import flax.linen as linen
import jax.numpy as jnp

from jaxgen.batch_checks import check_labels
from jaxgen.errors import InputError
from jaxgen.nn.biggan_networks import (
    GENERATOR_WIDTHS,
    Halving,
    check_attention,
    halvings,
    project,
    sizes_of_maps,
    to_feature_map,
    to_image,
    widths_of,
)
from jaxgen.nn.conditional_batch_norm import ConditionalBatchNorm
from jaxgen.nn.self_attention import SelfAttention
from jaxgen.nn.sngan import double, halve, unchanged
from jaxgen.nn.spectral_layers import SpectralConv, SpectralDense, Weights
from jaxgen.typing import AnyArray, Array, Float, Int

BOTTLENECK = 4
"""Number of channels outside a block per channel of its 3x3 convolutions."""

STEM_WIDTHS = {8: 4, 16: 4, 28: 4, 32: 4, 64: 1, 128: 1, 256: 1, 512: 1}
"""Size of the image -> channels of the first convolution of the discriminator, in multiples of the width."""

DISCRIMINATOR_STAGES = {
    8: (Halving(4, True, 4), Halving(4, False, 4)),
    16: (Halving(4, True, 8), Halving(4, True, 4), Halving(4, False, 4)),
    28: (Halving(4, True, 14), Halving(4, True, 7), Halving(4, False, 7)),
    # As in `biggan_networks`, the authors' table calls the last feature maps 16x16, though they have 8x8 pixels.
    32: (Halving(4, True, 16), Halving(4, True, 16), Halving(4, False, 16)),
    64: halvings(64, (2, 4, 8, 16), last=True),
    128: halvings(128, (2, 4, 8, 16, 16), last=True),
    256: halvings(256, (2, 4, 8, 8, 16, 16), last=True),
    512: halvings(512, (1, 2, 4, 8, 8, 16, 16), last=True),
}
"""Size of the image -> stages of the discriminator, whose first block halves the image."""


class DeepGenerator(linen.Module):
    """Generator: a dense layer to 4x4 (or 7x7) pixels, stages of residual blocks, and a tanh.

    The last block of a stage doubles the image. The condition of all blocks, and the input of the dense layer, is
    [embedding of the class, z].

    Attributes:
        shape: height, width and channels of the image.
        width: number of channels to which the multiples in `jaxgen.nn.biggan_networks.GENERATOR_WIDTHS` refer (128).
        classes: number of classes.
        embedding_dim: dimension of the embedding of classes (128).
        depth: number of blocks of a stage, at least 2.
        attention: heights of the feature maps after which self-attention follows ((64,) at 128 pixels).
        weights: initializer and spectral normalization of the weights.

    Example:
        >>> import jax
        >>> from functools import partial
        >>> latents, labels = jnp.zeros((2, 8)), jnp.array([0, 1])
        >>> generator = DeepGenerator(shape=(32, 32, 3), width=2, classes=10, embedding_dim=4)
        >>> init = partial(generator.init_with_output, train=False)
        >>> jax.eval_shape(init, jax.random.key(0), latents, labels)[0].shape
        (2, 32, 32, 3)
    """

    shape: Sequence[int]
    width: int
    classes: int
    embedding_dim: int = 128
    depth: int = 2
    attention: Sequence[int] = ()
    weights: Weights = Weights()

    @linen.compact
    def __call__(
        self, inputs: Float[AnyArray, "batch latent"], label: Int[AnyArray, " batch"], *, train: bool
    ) -> Float[Array, "batch height width channels"]:
        """Map a batch of latents and labels to a batch of images in [-1, 1]."""
        height, width, channels = self.shape
        first, *widths = widths_of(GENERATOR_WIDTHS, height, width)
        bottom, *sizes = sizes_of_maps(height, len(widths))
        check_attention(self.attention, sizes)
        if self.depth < 2:
            raise InputError(f"depth must be at least 2, as only later blocks of a stage narrow it, got {self.depth}")
        embed = linen.Embed(self.classes, self.embedding_dim, embedding_init=self.weights.of_embedding, name="shared")
        condition = jnp.concatenate([embed(check_labels(label)), jnp.asarray(inputs)], axis=-1)
        x = SpectralDense(first * self.width * bottom**2, weights=self.weights, name="linear")(condition, train=train)
        x = to_feature_map(x, bottom)
        for i, (multiple, size) in enumerate(zip(widths, sizes, strict=True)):
            for j in range(self.depth):
                # The first block of a stage keeps the channels, also where it is the only one.
                features, number = x.shape[-1] if j == 0 else multiple * self.width, i * self.depth + j
                block = DeepGeneratorBlock(features, j == self.depth - 1, self.weights, name=f"blocks_{number}_0")
                x = block(x, condition, train=train)
            if size in self.attention:
                x = SelfAttention(self.weights, name=f"blocks_{number}_1")(x, train=train)
        return to_image(x, channels, self.weights, train=train)


class DeepDiscriminator(linen.Module):
    """Discriminator with projection: a convolution, stages of residual blocks, and a logit as in BigGAN.

    The first block of a stage halves the image and widens the feature map.

    Attributes:
        width: number of channels to which the multiples in `DISCRIMINATOR_STAGES` refer (128).
        classes: number of classes.
        depth: number of blocks of a stage.
        attention: heights of the feature maps after which self-attention follows ((64,) at 128 pixels).
        weights: initializer and spectral normalization of the weights.

    Example:
        >>> import jax
        >>> from functools import partial
        >>> images, labels = jnp.zeros((2, 32, 32, 3)), jnp.array([0, 1])
        >>> discriminator = DeepDiscriminator(width=2, classes=10)
        >>> init = partial(discriminator.init_with_output, train=False)
        >>> jax.eval_shape(init, jax.random.key(0), images, labels)[0].shape
        (2,)
    """

    width: int
    classes: int
    depth: int = 2
    attention: Sequence[int] = ()
    weights: Weights = Weights()

    @linen.compact
    def __call__(
        self, inputs: Float[AnyArray, "batch height width channels"], label: Int[AnyArray, " batch"], *, train: bool
    ) -> Float[Array, " batch"]:
        """Map a batch of images and labels to a batch of logits."""
        stages = widths_of(DISCRIMINATOR_STAGES, *inputs.shape[1:3])
        check_attention(self.attention, [size for _, _, size in stages])
        stem = STEM_WIDTHS[inputs.shape[1]] * self.width
        x = SpectralConv(stem, (3, 3), weights=self.weights, name="stem")(jnp.asarray(inputs), train=train)
        for i, (multiple, halved, size) in enumerate(stages):
            for j in range(self.depth):
                features = multiple * self.width
                block = DeepDiscriminatorBlock(features, halved and j == 0, self.weights, name=f"blocks_{i}_{j}")
                x = block(x, train=train)
            if size in self.attention:
                x = SelfAttention(self.weights, name=f"blocks_{i}_{self.depth}")(x, train=train)
        return project(x, label, self.classes, self.weights, train=train)


class DeepGeneratorBlock(linen.Module):
    """Residual block with a bottleneck that may double the image.

        y = double(x[first channels]) + F(x),    F = 1x1, 3x3, 3x3, 1x1 convolutions, each after norm and ReLU

    The image is doubled before the first 3x3 convolution. The shortcut drops channels where the output has fewer.

    Attributes:
        features: number of channels of the output, at most that of the input.
        doubled: whether the image is doubled.
        weights: initializer and spectral normalization of the weights.

    Example:
        >>> import jax
        >>> from functools import partial
        >>> x, condition = jnp.zeros((2, 4, 4, 8)), jnp.zeros((2, 5))
        >>> init = partial(DeepGeneratorBlock(6, True).init_with_output, train=False)
        >>> jax.eval_shape(init, jax.random.key(0), x, condition)[0].shape
        (2, 8, 8, 6)
    """

    features: int
    doubled: bool
    weights: Weights = Weights()

    @linen.compact
    def __call__(
        self,
        inputs: Float[Array, "batch height width channels"],
        condition: Float[Array, "batch inputs"],
        *,
        train: bool,
    ) -> Float[Array, "batch rows columns features"]:
        """Map a batch of feature maps and conditions to a batch of feature maps."""

        def activate(i: int, x: Array) -> Array:
            return linen.relu(ConditionalBatchNorm(weights=self.weights, name=f"bn{i}")(x, condition, train=train))

        def convolve(i: int, features: int, size: int, x: Array) -> Array:
            return SpectralConv(features, (size, size), weights=self.weights, name=f"conv{i}")(x, train=train)

        resize = double if self.doubled else unchanged
        hidden = _hidden(inputs.shape[-1])
        x = convolve(1, hidden, 1, activate(1, inputs))
        x = convolve(2, hidden, 3, resize(activate(2, x)))
        x = convolve(3, hidden, 3, activate(3, x))
        x = convolve(4, self.features, 1, activate(4, x))
        return x + resize(inputs[..., : self.features])


class DeepDiscriminatorBlock(linen.Module):
    """Residual block with a bottleneck that may halve the image.

        y = [halve(x), conv_1x1(halve(x))] + F(x),    F = 1x1, 3x3, 3x3 and 1x1 convolutions, each after ReLU

    The image is halved before the last convolution. The shortcut has a convolution for the further channels where the
    output has more.

    Attributes:
        features: number of channels of the output, at least that of the input.
        halved: whether the image is halved.
        weights: initializer and spectral normalization of the weights.

    Example:
        >>> import jax
        >>> from functools import partial
        >>> x = jnp.zeros((2, 8, 8, 4))
        >>> init = partial(DeepDiscriminatorBlock(8, True).init_with_output, train=False)
        >>> jax.eval_shape(init, jax.random.key(0), x)[0].shape
        (2, 4, 4, 8)
    """

    features: int
    halved: bool
    weights: Weights = Weights()

    @linen.compact
    def __call__(
        self, inputs: Float[Array, "batch height width channels"], *, train: bool
    ) -> Float[Array, "batch rows columns features"]:
        """Map a batch of feature maps to a batch of feature maps."""

        def convolve(name: str, features: int, size: int, x: Array) -> Array:
            return SpectralConv(features, (size, size), weights=self.weights, name=name)(x, train=train)

        resize = halve if self.halved else unchanged
        hidden = _hidden(self.features)
        x = convolve("conv1", hidden, 1, linen.relu(inputs))
        x = convolve("conv2", hidden, 3, linen.relu(x))
        x = convolve("conv3", hidden, 3, linen.relu(x))
        x = convolve("conv4", self.features, 1, resize(linen.relu(x)))
        shortcut = resize(inputs)
        if further := self.features - inputs.shape[-1]:
            shortcut = jnp.concatenate([shortcut, convolve("shortcut", further, 1, shortcut)], axis=-1)
        return x + shortcut


def _hidden(channels: int) -> int:
    """Return the number of channels within a bottleneck."""
    if channels < BOTTLENECK:
        raise InputError(
            f"blocks of BigGAN-deep need at least {BOTTLENECK} channels, got {channels}: give a larger width"
        )
    return channels // BOTTLENECK
