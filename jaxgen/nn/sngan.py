"""The residual generator and discriminator of SNGAN (Miyato et al. 2018, arXiv:1802.05957), table 4, for 32x32 pixels.

Both consist of residual blocks in full pre-activation order (He et al. 2016, arXiv:1603.05027): y = shortcut(x) + F(x),
where F applies its activation before each of its two 3x3 convolutions. The three blocks of the generator double the
image, the first two of the four blocks of the discriminator halve it. Where the table has batch normalization or
spectral normalization, any other normalization can be chosen.
"""

import math
from collections.abc import Callable, Sequence

import flax.linen as linen
import jax.numpy as jnp

from jaxgen.errors import InputError
from jaxgen.nn.convolution import Conv
from jaxgen.nn.normalization import Normalization, apply_layer, normalize
from jaxgen.typing import AnyArray, Array, Float

DOUBLINGS = 3
"""Number of blocks of the generator, each of which doubles the image."""

DISCRIMINATOR_BLOCKS = 4
"""Number of blocks of the discriminator."""

HALVINGS = 2
"""Number of blocks of the discriminator that halve the image, the first ones."""

IN_BLOCKS = linen.initializers.variance_scaling(2.0, "fan_avg", "uniform")
"""Initializer of the 3x3 convolutions within blocks: Glorot's, larger by the square root of 2."""

ELSEWHERE = linen.initializers.glorot_uniform()
"""Initializer of shortcuts and of the first and the last layer."""


def smallest_map(height: int, width: int) -> tuple[int, int]:
    """Return the size of the first feature map of the generator.

    Args:
        height: height of the image, in pixels.
        width: width of the image, in pixels.

    Returns:
        An eighth of the height and an eighth of the width.

    Raises:
        InputError: if height or width is not a multiple of 8; the message names a smaller size that is.

    Example:
        >>> smallest_map(32, 32)
        (4, 4)
    """
    factor, shorter = 2**DOUBLINGS, min(height, width)
    if shorter < factor:
        raise InputError(
            f"images must have at least {factor}x{factor} pixels for the architectures 'resnet' and 'dcgan', "
            f"got {height}x{width}: use 'mlp'"
        )
    if height % factor or width % factor:
        # Images are only reduced in size, never enlarged.
        largest = shorter - shorter % factor
        raise InputError(
            f"height and width of the images must be multiples of {factor} for the architecture 'resnet', "
            f"got {height}x{width}: use images of {largest}x{largest} pixels (--image-size {largest}), or 'dcgan'"
        )
    return height // factor, width // factor


class ResidualGenerator(linen.Module):
    """Generator: an affine map to a small feature map, and residual blocks that double it.

    Attributes:
        shape: height, width and channels of the image.
        width: number of channels of all blocks, 256 in the paper.
        normalization: normalization before every activation, or of all weights.

    Example:
        >>> import jax
        >>> latents = jax.numpy.zeros((5, 128))
        >>> generator = ResidualGenerator(shape=(32, 32, 3), width=8)
        >>> images, _ = generator.init_with_output(jax.random.key(0), latents, train=False)
        >>> images.shape
        (5, 32, 32, 3)
    """

    shape: Sequence[int]
    width: int
    normalization: Normalization = "batch"

    @linen.compact
    def __call__(
        self, inputs: Float[AnyArray, "batch latent"], *, train: bool
    ) -> Float[Array, "batch height width channels"]:
        """Map a batch of latents to a batch of images, without the final tanh."""
        height, width, channels = self.shape
        rows, columns = smallest_map(height, width)
        first = linen.Dense(rows * columns * self.width, kernel_init=ELSEWHERE)
        x = apply_layer(self.normalization, first, jnp.asarray(inputs), train=train)
        x = x.reshape(-1, rows, columns, self.width)
        for _ in range(DOUBLINGS):
            x = PreactivatedBlock(self.width, self.normalization, resize=double)(x, train=train)
        x = linen.relu(normalize(self.normalization, x, train=train))
        last = Conv(channels, (3, 3), kernel_init=ELSEWHERE)
        return apply_layer(self.normalization, last, x, train=train)


class ResidualDiscriminator(linen.Module):
    """Discriminator: residual blocks, of which the first two halve the image, a sum over pixels, and an affine map.

    Attributes:
        width: number of channels of all blocks, 128 in the paper.
        shape: shape of one output; `()` is a single logit.
        normalization: normalization before every activation except those of the first block, or of all weights, as in
            the paper.

    Example:
        >>> import jax
        >>> images = jax.numpy.zeros((5, 32, 32, 3))
        >>> logits, _ = ResidualDiscriminator(width=8).init_with_output(jax.random.key(0), images, train=False)
        >>> logits.shape
        (5,)
    """

    width: int
    shape: Sequence[int] = ()
    normalization: Normalization = "spectral"

    @linen.compact
    def __call__(
        self, inputs: Float[AnyArray, "batch height width channels"], *, train: bool
    ) -> Float[Array, " batch *output"]:
        """Map a batch of images to a batch of outputs."""
        height, width = inputs.shape[1:3]
        if min(height, width) < 2**HALVINGS:
            smallest = 2**HALVINGS
            raise InputError(
                f"images must have at least {smallest}x{smallest} pixels to be halved {HALVINGS} times, "
                f"got {height}x{width}: use 'mlp'"
            )
        y = _FirstBlock(self.width, self.normalization)(jnp.asarray(inputs), train=train)
        for i in range(1, DISCRIMINATOR_BLOCKS):
            resize = halve if i < HALVINGS else unchanged
            y = PreactivatedBlock(self.width, self.normalization, resize=resize, before=False)(y, train=train)
        y = linen.relu(normalize(self.normalization, y, train=train)).sum(axis=(1, 2))
        last = linen.Dense(math.prod(self.shape), kernel_init=ELSEWHERE)
        y = apply_layer(self.normalization, last, y, train=train)
        return y.reshape(len(y), *self.shape)


def double(x: Float[Array, "batch height width channels"]) -> Float[Array, "batch rows columns channels"]:
    """Double height and width by nearest-neighbour upsampling.

    Example:
        >>> double(jnp.ones((1, 2, 3, 1))).shape
        (1, 4, 6, 1)
    """
    return x.repeat(2, axis=1).repeat(2, axis=2)


def halve(x: Float[Array, "batch height width channels"]) -> Float[Array, "batch rows columns channels"]:
    """Halve height and width by the mean over 2x2 pixels; the last row or column of an odd side is dropped.

    Example:
        >>> halve(jnp.ones((1, 4, 6, 1))).shape
        (1, 2, 3, 1)
    """
    return linen.avg_pool(x, (2, 2), strides=(2, 2))


def unchanged(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return the images as they are.

    Example:
        >>> unchanged(jnp.ones((1, 4, 6, 1))).shape
        (1, 4, 6, 1)
    """
    return x


class PreactivatedBlock(linen.Module):
    """Residual block with pre-activation and a change of resolution.

        y = shortcut(x) + conv(relu(norm(conv(relu(norm(x))))))

    Doubling comes before the first convolution, halving after the second. The shortcut is a 1x1 convolution where the
    size or the number of channels changes, and the identity where they do not.

    Attributes:
        features: number of channels of the output.
        normalization: normalization before the activations, or of all weights.
        resize: change of resolution: `double`, `halve` or `unchanged`.
        before: whether the feature maps are resized before the convolutions or after them.

    Example:
        >>> import jax
        >>> x = jax.numpy.zeros((5, 8, 8, 4))
        >>> block = PreactivatedBlock(6, "batch", resize=double)
        >>> y, _ = block.init_with_output(jax.random.key(0), x, train=False)
        >>> y.shape
        (5, 16, 16, 6)
    """

    features: int
    normalization: Normalization
    resize: Callable[[Array], Array] = unchanged
    before: bool = True

    @linen.compact
    def __call__(
        self, inputs: Float[Array, "batch height width channels"], *, train: bool
    ) -> Float[Array, "batch rows columns features"]:
        """Map a batch of feature maps to a batch of feature maps."""
        enlarge, reduce = (self.resize, unchanged) if self.before else (unchanged, self.resize)
        change = enlarge(linen.relu(normalize(self.normalization, inputs, train=train)))
        change = _convolve(self.normalization, self.features, change, train=train)
        change = linen.relu(normalize(self.normalization, change, train=train))
        change = reduce(_convolve(self.normalization, self.features, change, train=train))
        if change.shape == inputs.shape:
            return inputs + change
        return reduce(_shortcut(self.normalization, self.features, enlarge(inputs), train=train)) + change


class _FirstBlock(linen.Module):
    """First block of the discriminator, without normalization and ReLU of its input, which is an image."""

    features: int
    normalization: Normalization

    @linen.compact
    def __call__(
        self, inputs: Float[Array, "batch height width channels"], *, train: bool
    ) -> Float[Array, "batch rows columns features"]:
        change = linen.relu(_convolve(self.normalization, self.features, inputs, train=train))
        change = halve(_convolve(self.normalization, self.features, change, train=train))
        return _shortcut(self.normalization, self.features, halve(inputs), train=train) + change


def _convolve(normalization: Normalization, features: int, x: Array, *, train: bool) -> Array:
    return apply_layer(normalization, Conv(features, (3, 3), kernel_init=IN_BLOCKS), x, train=train)


def _shortcut(normalization: Normalization, features: int, x: Array, *, train: bool) -> Array:
    return apply_layer(normalization, Conv(features, (1, 1), kernel_init=ELSEWHERE), x, train=train)
