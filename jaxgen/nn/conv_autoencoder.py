"""Convolutional encoder, which halves the image down to a small map, and the decoder that is its mirror image."""

from collections.abc import Callable, Sequence

import flax.linen as linen
import jax.numpy as jnp

from jaxgen.nn.convolution import Conv, ConvTranspose
from jaxgen.nn.halved_sizes import halved_sizes
from jaxgen.typing import AnyArray, Array, Float

MOST_WIDTHS = 8
"""Largest number of channels of a layer, in multiples of the channels of the first layer."""


def widths(width: int, layers: int) -> list[int]:
    """Return the channels of each layer: doubled at every halving of the image, up to eight times those of the first.

    Args:
        width: number of channels of the first layer.
        layers: number of layers.

    Returns:
        The numbers of channels, from the layer at the image on.

    Example:
        >>> widths(32, 5)
        [32, 64, 128, 256, 256]
    """
    return [width * min(2**i, MOST_WIDTHS) for i in range(layers)]


class ConvEncoder(linen.Module):
    """Encoder of stride-2 convolutions down to a map of at most 4x4, and an affine map to the output.

    A condition is mapped linearly to a shift of the channels of the first map. Away from the borders this equals
    appending the condition to every pixel of the image, at a fraction of the cost.

    Attributes:
        width: number of channels of the first convolution, doubled at every halving, up to eight times.
        features: length of the output vector.
        activation: activation after every convolution.

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
        """Map a batch of images to a batch of vectors."""
        x, sizes = inputs, halved_sizes(*inputs.shape[1:3])
        for i, channels in enumerate(widths(self.width, len(sizes) - 1)):
            x = Conv(channels, kernel_size=(4, 4), strides=(2, 2), padding="SAME")(x)
            if i == 0 and condition is not None:
                x = x + linen.Dense(channels, use_bias=False)(condition)[:, None, None, :]
            x = self.activation(x)
        return linen.Dense(self.features)(x.reshape(len(x), -1))


class ConvDecoder(linen.Module):
    """Decoder, the mirror image of `ConvEncoder`: an affine map, then stride-2 transposed convolutions up to the image.

    A condition is appended to the latent.

    Attributes:
        shape: height, width and channels of the image.
        width: number of channels before the last transposed convolution, doubled at every halving of the image, up to
            eight times.
        activation: activation before every transposed convolution.

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
        """Map a batch of latents to a batch of images, without a final nonlinearity."""
        if condition is not None:
            inputs = jnp.concatenate([inputs, condition], axis=-1)
        height, width, channels = self.shape
        sizes = halved_sizes(height, width)
        depths = [channels, *widths(self.width, len(sizes) - 1)]
        x = linen.Dense(sizes[-1][0] * sizes[-1][1] * depths[-1])(inputs)
        x = x.reshape(len(x), *sizes[-1], depths[-1])
        for (rows, columns), depth in zip(sizes[-2::-1], depths[-2::-1], strict=True):
            x = ConvTranspose(depth, kernel_size=(4, 4), strides=(2, 2), padding="SAME")(self.activation(x))
            x = x[:, :rows, :columns]  # Half of an odd side is rounded up, and its double is one pixel too long.
        return x
