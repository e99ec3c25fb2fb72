"""The residual networks for small images of He, Zhang, Ren & Sun 2016 (arXiv:1512.03385), section 4.2.

A block adds the outputs of two convolutions to its input, because a mapping close to the identity is easier to learn as
a residual. The network has 6n + 2 layers with weights: a 3x3 convolution; three stages of n blocks, with widths 16, 32
and 64, of which the second and the third halve the image; the mean over pixels; one affine map to the logits.
"""

import flax.linen as linen
import jax.numpy as jnp

from jaxgen.nn.convolution import Conv
from jaxgen.nn.normalization import batch_norm
from jaxgen.typing import AnyArray, Array, Float

STAGES = 3
"""Number of stages; each after the first halves the image and doubles the width."""


class ResNet(linen.Module):
    """Classifier of images, published for 32x32 pixels, 10 classes and n = 3, 5, 7, 9, 18.

    Attributes:
        blocks: number n of residual blocks per stage.
        classes: number of classes.
        width: number of channels of the first stage.

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
        """Map a batch of images to a batch of logits; the mean over pixels is sown as `intermediates/features`."""
        x = linen.relu(batch_norm(_convolution(self.width)(inputs), train=train))
        for stage in range(STAGES):
            for i in range(self.blocks):
                halve = stage > 0 and i == 0
                x = ResidualBlock(self.width * 2**stage, stride=2 if halve else 1)(x, train=train)
        features = x.mean(axis=(1, 2))
        self.sow("intermediates", "features", features)
        return linen.Dense(self.classes)(features)


class ResidualBlock(linen.Module):
    """Residual block `relu(x + F(x))`: F is conv, batch normalization, ReLU, conv, batch normalization.

    The convolutions are 3x3. Where F changes the shape, x is subsampled with the stride and padded with channels of
    zeros, which is option A of the paper and needs no weights.

    Attributes:
        features: number of channels of the output, at least that of the input.
        stride: stride of the first convolution.

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
        change = linen.relu(batch_norm(_convolution(self.features, self.stride)(inputs), train=train))
        change = batch_norm(_convolution(self.features)(change), train=train)
        kept = inputs[:, :: self.stride, :: self.stride]
        kept = jnp.pad(kept, [(0, 0), (0, 0), (0, 0), (0, self.features - inputs.shape[-1])])
        return linen.relu(kept + change)


def _convolution(features: int, stride: int = 1) -> Conv:
    """Return a 3x3 convolution with centred windows, also with stride 2, where "SAME" would shift them by one pixel.

    The weights are initialized as in He et al. 2015 (arXiv:1502.01852). There is no bias, because batch normalization
    subtracts the mean, and with it any bias.
    """
    return Conv(
        features,
        kernel_size=(3, 3),
        strides=(stride, stride),
        padding=((1, 1), (1, 1)),
        use_bias=False,
        kernel_init=linen.initializers.he_normal(),
    )
