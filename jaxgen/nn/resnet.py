"""The residual networks for small pictures of He, Zhang, Ren & Sun 2016 (arXiv:1512.03385), section 4.2.

A layer that should change little is easier to learn as a change: a block adds to its input what two convolutions make
of it. 6n + 2 layers with weights: a 3x3 convolution; three stages of n blocks, with widths 16, 32 and 64, of which the
second and the third halve the picture; the mean over the picture; one affine map to the logits.

Batch normalization is in training mode where its statistics may change (`jaxgen.nn.normalization`).
"""

import flax.linen as linen
import jax.numpy as jnp

from jaxgen.nn.convolution import Conv
from jaxgen.nn.normalization import batch_norm
from jaxgen.typing import AnyArray, Array, Float

STAGES = 3
"""Each halves the picture and doubles the width of the one before."""


class ResNet(linen.Module):
    """A classifier of pictures, published for 32x32 pixels, n = 3, 5, 7, 9, 18 and 10 classes.

    Attributes:
        blocks: n, residual blocks a stage.
        classes: how many there are.
        width: channels of the first stage.

    Example:
        >>> import jax
        >>> images = jax.numpy.zeros((5, 32, 32, 3))
        >>> network = ResNet(blocks=1, classes=10)
        >>> variables = network.init(jax.random.key(0), images, train=False)
        >>> network.apply(variables, images, train=False).shape
        (5, 10)
    """

    blocks: int
    classes: int
    width: int = 16

    @linen.compact
    def __call__(
        self, inputs: Float[AnyArray, "batch height width channels"], *, train: bool
    ) -> Float[Array, "batch classes"]:
        """Map a batch of images to a batch of logits."""
        x = linen.relu(batch_norm(train=train)(_convolution(self.width)(inputs)))
        for stage in range(STAGES):
            for i in range(self.blocks):
                halve = stage > 0 and i == 0
                x = ResidualBlock(self.width * 2**stage, stride=2 if halve else 1)(x, train=train)
        return linen.Dense(self.classes)(x.mean(axis=(1, 2)))


class ResidualBlock(linen.Module):
    """`relu(x + F(x))`, F being two 3x3 convolutions with a ReLU in between, each followed by batch normalization.

    Where F changes the shape, x is taken at every stride-th pixel and given channels of zeros: option A of the paper,
    which needs no weights.

    Attributes:
        features: channels of the output, at least those of the input.
        stride: of the first convolution.

    Example:
        >>> import jax
        >>> x = jax.numpy.zeros((5, 32, 32, 16))
        >>> block = ResidualBlock(features=32, stride=2)
        >>> y, _ = block.init_with_output(jax.random.key(0), x, train=False)
        >>> y.shape
        (5, 16, 16, 32)
    """

    features: int
    stride: int = 1

    @linen.compact
    def __call__(
        self, inputs: Float[AnyArray, "batch height width channels"], *, train: bool
    ) -> Float[Array, "batch rows columns features"]:
        """Map a batch of feature maps to a batch of feature maps."""
        change = linen.relu(batch_norm(train=train)(_convolution(self.features, self.stride)(inputs)))
        change = batch_norm(train=train)(_convolution(self.features)(change))
        kept = inputs[:, :: self.stride, :: self.stride]
        kept = jnp.pad(kept, [(0, 0), (0, 0), (0, 0), (0, self.features - inputs.shape[-1])])
        return linen.relu(kept + change)


def _convolution(features: int, stride: int = 1) -> Conv:
    """A 3x3 convolution whose windows are centred, also where their stride is 2; "SAME" would shift them by a pixel.

    The weights start as He et al. 2015 (arXiv:1502.01852) have it, and batch normalization would subtract a bias again.
    """
    return Conv(
        features,
        kernel_size=(3, 3),
        strides=(stride, stride),
        padding=((1, 1), (1, 1)),
        use_bias=False,
        kernel_init=linen.initializers.he_normal(),
    )
