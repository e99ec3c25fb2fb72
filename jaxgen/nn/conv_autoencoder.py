"""Convolutional encoder and decoder: halve the picture until it is a code, double it until it is a picture again."""

from collections.abc import Callable, Sequence

import flax.linen as linen
import jax.numpy as jnp

from jaxgen.nn.convolution import Conv, ConvTranspose
from jaxgen.nn.resolution import resolutions
from jaxgen.typing import AnyArray, Array, Float

MOST_WIDTHS = 8
"""Deep layers grow to at most this many times the width of the first."""


def widths(width: int, layers: int) -> list[int]:
    """Channels of each layer: doubled at every halving of the picture, up to eight times the first.

    Args:
        width: channels of the first layer.
        layers: how many there are.

    Returns:
        Channels of each, from the picture down.

    Example:
        >>> widths(32, 5)
        [32, 64, 128, 256, 256]
    """
    return [width * min(2**i, MOST_WIDTHS) for i in range(layers)]


class ConvEncoder(linen.Module):
    """Stride-2 convolutions down to a map of at most 4x4, then one affine map to the output.

    A condition shifts the channels of the first map. Away from the borders this is the same as appending the condition
    to every pixel of the picture, at a fraction of the cost.

    Attributes:
        width: channels of the first convolution, doubled at every halving.
        features: width of the output.
        activation: applied after every convolution.

    Example:
        >>> import jax
        >>> images = jax.numpy.zeros((5, 28, 28, 1))
        >>> output, _ = ConvEncoder(width=8, features=2).init_with_output(jax.random.key(0), images, train=False)
        >>> output.shape
        (5, 2)
    """

    width: int
    features: int
    activation: Callable[[Array], Array] = linen.relu

    @linen.compact
    def __call__(
        self,
        inputs: Float[AnyArray, "batch height width channels"],
        condition: Float[AnyArray, "batch condition"] | None = None,
        *,
        train: bool,
    ) -> Float[Array, "batch features"]:
        """Map a batch of pictures to a batch of outputs."""
        x, sizes = inputs, resolutions(*inputs.shape[1:3])
        for i, channels in enumerate(widths(self.width, len(sizes) - 1)):
            x = Conv(channels, kernel_size=(4, 4), strides=(2, 2), padding="SAME")(x)
            if i == 0 and condition is not None:
                x = x + linen.Dense(channels, use_bias=False)(condition)[:, None, None, :]
            x = self.activation(x)
        return linen.Dense(self.features)(x.reshape(len(x), -1))


class ConvDecoder(linen.Module):
    """The mirror image of `ConvEncoder`: one affine map, then stride-2 transposed convolutions up to the picture.

    Attributes:
        shape: height, width and channels of the picture.
        width: channels before the last transposed convolution, doubled at every halving of the picture.
        activation: applied before every transposed convolution.

    Example:
        >>> import jax
        >>> latents = jax.numpy.zeros((5, 2))
        >>> decoder = ConvDecoder(shape=(28, 28, 1), width=8)
        >>> output, _ = decoder.init_with_output(jax.random.key(0), latents, train=False)
        >>> output.shape
        (5, 28, 28, 1)
    """

    shape: Sequence[int]
    width: int
    activation: Callable[[Array], Array] = linen.relu

    @linen.compact
    def __call__(
        self,
        inputs: Float[AnyArray, "batch latent"],
        condition: Float[AnyArray, "batch condition"] | None = None,
        *,
        train: bool,
    ) -> Float[Array, "batch height width channels"]:
        """Map a batch of codes to a batch of pictures, without a final nonlinearity; a condition extends the code."""
        if condition is not None:
            inputs = jnp.concatenate([inputs, condition], axis=-1)
        height, width, channels = self.shape
        sizes = resolutions(height, width)
        depths = [channels, *widths(self.width, len(sizes) - 1)]
        x = linen.Dense(sizes[-1][0] * sizes[-1][1] * depths[-1])(inputs)
        x = x.reshape(len(x), *sizes[-1], depths[-1])
        for (rows, columns), depth in zip(sizes[-2::-1], depths[-2::-1], strict=True):
            x = ConvTranspose(depth, kernel_size=(4, 4), strides=(2, 2), padding="SAME")(self.activation(x))
            x = x[:, :rows, :columns]  # doubling an odd side's half, rounded up, overshoots by one pixel
        return x
