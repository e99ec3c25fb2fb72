"""The generator and the discriminator of DCGAN (Radford, Metz & Chintala 2016, arXiv:1511.06434).

Strided convolutions instead of pooling, no hidden dense layer, batch normalization (or another one) except where
pictures enter or leave. Every layer doubles or halves the picture; pictures of any size from 8x8 on work.

Batch normalization is in training mode where its statistics may change (`jaxgen.nn.normalization`).
"""

import math
from collections.abc import Sequence

import flax.linen as linen
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxgen.errors import InputError
from jaxgen.nn.conv_autoencoder import widths
from jaxgen.nn.convolution import Conv, ConvTranspose
from jaxgen.nn.normalization import Normalization, apply_layer, normalize
from jaxgen.nn.resolution import resolutions
from jaxgen.typing import AnyArray, Array, Float, KeyArray

WEIGHT_SCALE = 0.02
"""Standard deviation of all initial weights (section 4 of the paper)."""

LEAK = 0.2
"""Slope of the discriminator's LeakyReLU below zero (section 3 of the paper)."""


class Generator(linen.Module):
    """A code is a picture of 1x1 pixels; transposed convolutions enlarge it to a picture.

    Attributes:
        shape: height, width and channels of the picture.
        width: channels before the last layer, doubled at every halving of the picture, up to eight times.
        normalization: of what the layers before the last one put out, or of all weights.
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
        # Batch normalization would subtract a bias again: then only the last layer has one.
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
    """Strided convolutions reduce a picture to a map of at most 4x4, a last one to the output.

    Attributes:
        width: channels of the first layer, doubled at every halving of the picture, up to eight times.
        shape: of one output; `()` is a single logit, `(n,)` makes the network an encoder.
        normalization: of what the hidden layers after the first put out, or of all weights. A critic with a gradient
            penalty must not normalize by the batch: the penalty is one example's, and the batch would mix the examples.
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
    """Sizes of the feature maps from the picture down, as `resolutions` has them, but halved at least twice.

    With a single hidden layer, which is what 8x8 pictures would get, a discriminator sees no more than strokes.

    Example:
        >>> map_sizes(28, 28), map_sizes(8, 8)
        ([(28, 28), (14, 14), (7, 7), (4, 4)], [(8, 8), (4, 4), (2, 2)])
    """
    sizes = resolutions(height, width)
    if len(sizes) == 2:
        sizes.append((sizes[1][0] // 2, sizes[1][1] // 2))
    return sizes


def normal(scale: float) -> linen.initializers.Initializer:
    """The initializer of weights from N(0, scale^2).

    They are drawn as one long vector: the numbers are those of the full shape, but XLA takes seconds on the CPU to
    compile a draw of four axes.

    Args:
        scale: the standard deviation.

    Returns:
        `(key, shape, dtype) -> weights`.

    Example:
        >>> import jax
        >>> round(float(normal(0.02)(jax.random.key(0), (50, 40), jnp.float32).std()), 3)
        0.02
    """

    def draw(key: KeyArray, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> Array:
        return scale * jax.random.normal(key, (math.prod(shape),), dtype).reshape(shape)

    return draw


def _scales(key: KeyArray, shape: Sequence[int], dtype: DTypeLike) -> Array:
    """Draw scales of a normalization from N(1, 0.02^2)."""
    return 1 + normal(WEIGHT_SCALE)(key, shape, dtype)
