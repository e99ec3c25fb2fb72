"""VGG-19 up to relu4_1 and its mirror image: the encoder and the decoder of arbitrary style transfer.

    encoder   1_1 1_2  pool  2_1 2_2  pool  3_1 3_2 3_3 3_4  pool  4_1
    decoder   1_1 1_2  up    2_1 2_2  up    3_1 3_2 3_3 3_4  up    4_1        from right to left

Every convolution has a window of 3x3 and is followed by a ReLU, but for the last one of the decoder. Borders are padded
by reflection in both networks, as in the paper; VGG-19 was trained with zeros there. The decoder has no normalization:
it decodes images of different styles, whose statistics it has to keep.
"""

import flax.linen as linen
import jax.numpy as jnp
import numpy as np

from jaxgen.nn.convolution import Conv
from jaxgen.nn.sngan import double
from jaxgen.nn.vgg16 import MEAN, SD
from jaxgen.typing import Array, Float

NAMES = ("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv3_3", "conv3_4", "conv4_1")
"""Names of the convolutions of the encoder: the stage, and the number within it. The decoder has their mirror images
under the same names. Pools stand between stages, and each stage has twice the channels."""

STAGES = 4
"""Number of stages; of the last one there is the first convolution alone."""

WIDTH = 64
"""Number of channels of the first stage of VGG-19."""


class VGG19Encoder(linen.Module):
    """VGG-19 up to relu4_1, for images of any size from 9x9 on (`smallest_size`).

    The first layer, a convolution with a window of one pixel, makes the colours that the weights are for: those of
    torchvision are for standardized RGB, and the normalised ones of the paper for BGR from 0 to 255 minus its mean.

    A pool covers the rest of an odd side (`ceil_mode` of PyTorch), so that n pixels give ceil(n / 8) features.

    Attributes:
        width: channels of the first stage; 64 in VGG-19.
        stages: number of stages, of which the last one has its first convolution alone: 4 for relu4_1.

    Reference:
        Simonyan & Zisserman 2015, arXiv:1409.1556, table 1, E; Huang & Belongie 2017, arXiv:1703.06868, section 6.

    Example:
        >>> import jax
        >>> images = jax.ShapeDtypeStruct((5, 32, 20, 3), jnp.float32)
        >>> found, _ = jax.eval_shape(VGG19Encoder().init_with_output, jax.random.key(0), images)
        >>> [x.shape for x in found]
        [(5, 32, 20, 64), (5, 16, 10, 128), (5, 8, 5, 256), (5, 4, 3, 512)]
    """

    width: int = WIDTH
    stages: int = STAGES

    @linen.compact
    def __call__(
        self, images: Float[Array, "batch height width 3"]
    ) -> list[Float[Array, "batch rows columns channels"]]:
        """Map RGB images in [0, 1] to the features relu1_1, relu2_1, relu3_1 and relu4_1, the first of each stage."""
        x = Conv(3, (1, 1), kernel_init=_standardizing_kernel, bias_init=_standardizing_bias, name="input")(images)
        outputs: list[Float[Array, "batch rows columns channels"]] = []
        # Random weights in place of published ones keep the scale of the features (He et al. 2015).
        init = linen.initializers.he_normal()
        for name in names_of(self.stages):
            stage, number = _place(name)
            x = linen.max_pool(x, (2, 2), (2, 2), "SAME") if number == 1 < stage else x
            layer = Conv(_channels(self.width, stage), (3, 3), padding="VALID", kernel_init=init, name=name)
            x = linen.relu(layer(reflected(x)))
            outputs += [x] if number == 1 else []
        return outputs


class StyleDecoder(linen.Module):
    """The mirror image of the encoder, from features relu4_1 to images.

    Images are not bounded, and 8 times as high and wide as the features of 4 stages. Random weights have the scale of
    He et al. 2015; the authors' were smaller, so that the first images were nearly black.

    Attributes:
        width: channels of the first stage of the encoder.
        stages: number of stages of the encoder.
        channels: channels of the images.

    Reference:
        Huang & Belongie 2017, arXiv:1703.06868, section 6.1.

    Example:
        >>> import jax
        >>> features = jax.ShapeDtypeStruct((5, 4, 3, 512), jnp.float32)
        >>> jax.eval_shape(StyleDecoder().init_with_output, jax.random.key(0), features)[0].shape
        (5, 32, 24, 3)
    """

    width: int = WIDTH
    stages: int = STAGES
    channels: int = 3

    @linen.compact
    def __call__(
        self, features: Float[Array, "batch rows columns features"]
    ) -> Float[Array, "batch height width channels"]:
        """Map features to images."""
        x = features
        for name in reversed(names_of(self.stages)[1:]):
            stage, number = _place(name)
            # The mirrored convolution has as many outputs as the encoder's has inputs.
            outputs = _channels(self.width, stage if number > 1 else stage - 1)
            layer = Conv(outputs, (3, 3), padding="VALID", kernel_init=linen.initializers.he_normal(), name=name)
            x = linen.relu(layer(reflected(x)))
            x = double(x) if number == 1 else x
        return Conv(self.channels, (3, 3), padding="VALID", name=NAMES[0])(reflected(x))


def names_of(stages: int) -> list[str]:
    """Return the names of the convolutions of an encoder.

    Args:
        stages: number of stages.

    Returns:
        The names.

    Example:
        >>> names_of(2)
        ['conv1_1', 'conv1_2', 'conv2_1']
    """
    return [name for name in NAMES if _place(name) <= (stages, 1)]


def smallest_size(stages: int = STAGES) -> int:
    """Return the smallest height and width of images: pools leave 2x2 features, the fewest that reflection pads.

    Args:
        stages: number of stages of the encoder.

    Returns:
        Number of pixels.

    Example:
        >>> smallest_size()
        9
    """
    return 2 ** (stages - 1) + 1


def reflected(
    x: Float[Array, "batch height width channels"],
) -> Float[Array, "batch rows columns channels"]:
    """Pad height and width by one pixel on each side, by reflection at the outermost pixel.

    Example:
        >>> reflected(jnp.arange(9.0).reshape(1, 3, 3, 1))[0, :, :, 0]
        Array([[4., 3., 4., 5., 4.],
               [1., 0., 1., 2., 1.],
               [4., 3., 4., 5., 4.],
               [7., 6., 7., 8., 7.],
               [4., 3., 4., 5., 4.]], dtype=float32)
    """
    return jnp.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], mode="reflect")


def _place(name: str) -> tuple[int, int]:
    """The stage of a convolution, and its number within it."""
    return int(name[4]), int(name[6])


def _channels(width: int, stage: int) -> int:
    return width * 2 ** (stage - 1)


def _standardizing_kernel(key: Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> Array:
    """The kernel that standardizes RGB images in [0, 1] by the statistics of ImageNet, as torchvision."""
    del key
    return jnp.asarray(np.diag(1 / np.array(SD)).reshape(shape), dtype)


def _standardizing_bias(key: Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> Array:
    del key
    return jnp.asarray((-np.array(MEAN) / np.array(SD)).reshape(shape), dtype)
