"""The generator and the discriminator of DCGAN (Radford, Metz & Chintala 2016, arXiv:1511.06434).

They have strided convolutions instead of pooling, no hidden dense layer, and batch normalization (or another one)
except in the last layer of the generator and in the first and the last layer of the discriminator. Every layer doubles
or halves the image. Images may have any size from 8x8 pixels on.
"""

import math
from collections.abc import Sequence
from functools import partial

import flax.linen as linen
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxgen.errors import InputError
from jaxgen.nn.conv_autoencoder import widths
from jaxgen.nn.convolution import Conv, ConvTranspose
from jaxgen.nn.halved_sizes import halved_sizes
from jaxgen.nn.normalization import Normalization, apply_layer, normalize
from jaxgen.typing import AnyArray, Array, Float, KeyArray, Scalar

WEIGHT_SCALE = 0.02
"""Standard deviation of all initial weights (section 4 of the paper)."""

LEAK = 0.2
"""Derivative of the discriminator's LeakyReLU below zero (section 3 of the paper)."""


class Generator(linen.Module):
    """Generator of transposed convolutions, the first of which takes the latent as an image of 1x1 pixels.

    Attributes:
        shape: height, width and channels of the image.
        width: number of channels before the last layer, doubled at every halving of the image, up to eight times.
        normalization: normalization of the outputs of all layers but the last, or of all weights.
        weight_scale: standard deviation of the initial weights.

    Example:
        >>> import jax
        >>> latents = jax.numpy.zeros((5, 100))
        >>> generator = Generator(shape=(28, 28, 1), width=8)
        >>> images, _ = generator.init_with_output(jax.random.key(0), latents, train=False)
        >>> images.shape
        (5, 28, 28, 1)
    """

    shape: Sequence[int]
    width: int
    normalization: Normalization = "batch"
    weight_scale: float = WEIGHT_SCALE

    @linen.compact
    def __call__(
        self, inputs: Float[AnyArray, "batch latent"], *, train: bool
    ) -> Float[Array, "batch height width channels"]:
        """Map a batch of latents to a batch of images, without the final tanh."""
        height, width, channels = self.shape
        sizes = map_sizes(height, width)
        depths = [channels, *widths(self.width, len(sizes) - 1)]
        # Batch normalization subtracts the mean, and with it any bias: only the last layer has one then.
        bias = self.normalization != "batch"
        kernel_init = normal(self.weight_scale)
        x = jnp.asarray(inputs)[:, None, None, :]
        first = ConvTranspose(depths[-1], sizes[-1], padding="VALID", use_bias=bias, kernel_init=kernel_init)
        x = apply_layer(self.normalization, first, x, train=train)
        for i in reversed(range(len(sizes) - 1)):
            x = linen.relu(normalize(self.normalization, x, train=train, scale_init=_scales))
            layer = ConvTranspose(
                depths[i], (4, 4), strides=(2, 2), padding="SAME", use_bias=bias or i == 0, kernel_init=kernel_init
            )
            rows, columns = sizes[i]
            x = apply_layer(self.normalization, layer, x, train=train)[:, :rows, :columns]
        return x


class Discriminator(linen.Module):
    """Discriminator of strided convolutions down to a map of at most 4x4, and a last convolution to the output.

    Attributes:
        width: number of channels of the first layer, doubled at every halving of the image, up to eight times.
        shape: shape of one output; `()` is a single logit, `(n,)` makes the network an encoder.
        normalization: normalization of the outputs of the hidden layers after the first, or of all weights. A critic
            with a gradient penalty must not use batch normalization, because the penalty is defined per example and
            the statistics of the batch depend on all examples.
        weight_scale: standard deviation of the initial weights.
        feature_layer: hidden layer, counted from 1, whose output, after normalization and activation, is returned as
            well; with None only the outputs of the network are returned.

    Example:
        >>> import jax
        >>> images = jax.numpy.zeros((5, 28, 28, 1))
        >>> discriminator = Discriminator(width=8)
        >>> variables = discriminator.init(jax.random.key(0), images, train=False)
        >>> discriminator.apply(variables, images, train=False).shape
        (5,)
        >>> logits, features = discriminator.clone(feature_layer=3).apply(variables, images, train=False)
        >>> features.shape
        (5, 4, 4, 32)
    """

    width: int
    shape: Sequence[int] = ()
    normalization: Normalization = "batch"
    weight_scale: float = WEIGHT_SCALE
    feature_layer: int | None = None

    @linen.compact
    def __call__(
        self, inputs: Float[AnyArray, "batch height width channels"], *, train: bool
    ) -> (
        Float[Array, " batch *output"]
        | tuple[Float[Array, " batch *output"], Float[Array, "batch rows columns features"]]
    ):
        """Map a batch of images to a batch of outputs, or to (outputs, features)."""
        y, sizes = jnp.asarray(inputs), map_sizes(*inputs.shape[1:3])
        layers = len(sizes) - 1
        if self.feature_layer is not None and not 1 <= self.feature_layer <= layers:
            raise InputError(
                f"feature_layer must be from 1 to {layers}, the number of hidden layers for images of "
                f"{inputs.shape[1]}x{inputs.shape[2]} pixels, got {self.feature_layer}"
            )
        kernel_init = normal(self.weight_scale)
        for i, channels in enumerate(widths(self.width, layers)):
            bias = self.normalization != "batch" or i == 0
            layer = Conv(channels, (4, 4), strides=(2, 2), padding="SAME", use_bias=bias, kernel_init=kernel_init)
            y = apply_layer(self.normalization, layer, y, train=train)
            if i > 0:
                y = normalize(self.normalization, y, train=train, scale_init=_scales)
            y = linen.leaky_relu(y, LEAK)
            if self.feature_layer == i + 1:
                features = y
        last = Conv(math.prod(self.shape), sizes[-1], padding="VALID", kernel_init=kernel_init)
        y = apply_layer(self.normalization, last, y, train=train)
        outputs = y.reshape(len(y), *self.shape)
        return outputs if self.feature_layer is None else (outputs, features)


def map_sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Return the sizes of the feature maps as `halved_sizes` does, but with at least two halvings.

    With one halving, which `halved_sizes` gives for 8x8 pixels, the only hidden layer of a discriminator would have a
    receptive field of 4x4 pixels.

    Example:
        >>> map_sizes(28, 28), map_sizes(8, 8)
        ([(28, 28), (14, 14), (7, 7), (4, 4)], [(8, 8), (4, 4), (2, 2)])
    """
    sizes = halved_sizes(height, width)
    if len(sizes) == 2:
        sizes.append((sizes[1][0] // 2, sizes[1][1] // 2))
    return sizes


def normal(scale: Scalar) -> linen.initializers.Initializer:
    """Return the initializer of weights from N(0, scale^2).

    The weights are drawn as one vector and reshaped. The numbers are the same as for the full shape, but on the CPU XLA
    takes seconds to compile a draw with four axes.

    Args:
        scale: standard deviation.

    Returns:
        A function `(key, shape, dtype) -> weights`.

    Example:
        >>> import jax
        >>> round(float(normal(0.02)(jax.random.key(0), (50, 40), jnp.float32).std()), 3)
        0.02
    """
    return partial(_draw, scale)


def _draw(scale: Scalar, key: KeyArray, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> Array:
    return scale * jax.random.normal(key, (math.prod(shape),), dtype).reshape(shape)


def _scales(key: KeyArray, shape: Sequence[int], dtype: DTypeLike) -> Array:
    """Draw scales of a normalization from N(1, 0.02^2)."""
    return 1 + normal(WEIGHT_SCALE)(key, shape, dtype)
