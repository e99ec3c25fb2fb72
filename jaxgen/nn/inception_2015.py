"""The Inception network of 2015 whose features the Fréchet Inception distance compares, for inference.

It is the network of TensorFlow's archive `inception-2015-12-05`, with which Heusel et al. 2017 (arXiv:1706.08500) and
Salimans et al. 2016 (arXiv:1606.03498) measured, and differs from the Inception-v3 of later libraries:

- 1008 outputs of the last layer, for the 1000 classes of ImageNet.
- Average pools divide by the number of pixels inside of the image; padding does not count.
- The pool of the last block, `Mixed_7c`, takes the maximum, where that of every other block takes the average.
- No auxiliary classifier.

Batch normalization with fixed statistics is an affine map per channel: a convolution followed by it is a convolution
with a bias (`jaxgen.nn.folding`), and is stored as that. Modules have the names of the published weights.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeAlias

import flax.linen as linen
import jax.numpy as jnp

from jaxgen.typing import Array, Float

FeatureMaps: TypeAlias = Float[Array, "batch height width channels"]

BATCH_NORM_EPSILON = 1e-3
"""Number that the batch normalization of the network adds to the variance."""

CLASSES = 1008
"""Number of outputs of the last layer."""


class InceptionFeatures(NamedTuple):
    """What the network computes of images; each layer is the mean over its pixels.

    Attributes:
        layer_64: after the first max pool.
        layer_192: after the second max pool.
        layer_768: before the last reduction of size.
        layer_2048: after the last block; the features of the Fréchet Inception distance.
        logits: product of the last features and the weights of the last layer, without its bias, as the Inception
            score was published.
        bias: bias of the last layer; `logits + bias` are the logits of the classifier.
    """

    layer_64: Float[Array, "batch 64"]
    layer_192: Float[Array, "batch 192"]
    layer_768: Float[Array, "batch 768"]
    layer_2048: Float[Array, "batch 2048"]
    logits: Float[Array, "batch classes"]
    bias: Float[Array, " classes"]


class Inception2015(linen.Module):
    """The Inception network of 2015.

    Inputs are RGB images with values in [-1, 1], published for 299x299; the smallest that all layers accept are 75x75.

    Reference:
        Szegedy et al. 2016, arXiv:1512.00567, section 6, with the differences that the module describes.

    Example:
        >>> import jax
        >>> images = jax.ShapeDtypeStruct((5, 299, 299, 3), jnp.float32)
        >>> features, _ = jax.eval_shape(Inception2015().init_with_output, jax.random.key(0), images)
        >>> features.layer_2048.shape, features.logits.shape
        ((5, 2048), (5, 1008))
    """

    @linen.compact
    def __call__(self, images: Float[Array, "batch height width 3"]) -> InceptionFeatures:
        """Map a batch of images to the features of four layers and the logits."""
        x = Convolution(32, 3, stride=2, padding="VALID", name="Conv2d_1a_3x3")(images)
        x = Convolution(32, 3, padding="VALID", name="Conv2d_2a_3x3")(x)
        x = Convolution(64, 3, name="Conv2d_2b_3x3")(x)
        x = layer_64 = _max_pool(x, stride=2, padding="VALID")
        x = Convolution(80, 1, name="Conv2d_3b_1x1")(x)
        x = Convolution(192, 3, padding="VALID", name="Conv2d_4a_3x3")(x)
        x = layer_192 = _max_pool(x, stride=2, padding="VALID")
        for name, pooled in (("Mixed_5b", 32), ("Mixed_5c", 64), ("Mixed_5d", 64)):
            x = BlockA(pooled, name=name)(x)
        x = BlockB(name="Mixed_6a")(x)
        for name, inner in (("Mixed_6b", 128), ("Mixed_6c", 160), ("Mixed_6d", 160), ("Mixed_6e", 192)):
            x = BlockC(inner, name=name)(x)
        layer_768 = x
        x = BlockD(name="Mixed_7a")(x)
        x = BlockE(_average_pool, name="Mixed_7b")(x)
        x = BlockE(partial(_max_pool, stride=1, padding="SAME"), name="Mixed_7c")(x)
        first, second, third, last = (layer.mean(axis=(1, 2)) for layer in (layer_64, layer_192, layer_768, x))
        logits = linen.Dense(CLASSES, use_bias=False, name="fc")(last)
        bias = self.param("fc_bias", linen.initializers.zeros, (CLASSES,))
        return InceptionFeatures(first, second, third, last, logits, bias)


class Convolution(linen.Module):
    """Convolution with a bias, then ReLU.

    Attributes:
        features: number of channels of the output.
        window: height and width of the window, or one odd number for both.
        stride: stride of the window.
        padding: "SAME", which is centred for windows of odd size with stride 1, or "VALID".
    """

    features: int
    window: int | tuple[int, int]
    stride: int = 1
    padding: str = "SAME"

    @linen.compact
    def __call__(self, x: FeatureMaps) -> FeatureMaps:
        """Map a batch of feature maps to a batch of feature maps."""
        window = (self.window, self.window) if isinstance(self.window, int) else self.window
        strides = (self.stride, self.stride)
        return linen.relu(linen.Conv(self.features, window, strides=strides, padding=self.padding, name="conv")(x))


class BlockA(linen.Module):
    """Block at 35x35: windows 1x1, 5x5, two of 3x3, and an average pool."""

    pooled: int

    @linen.compact
    def __call__(self, x: FeatureMaps) -> FeatureMaps:
        """Map a batch of feature maps to a batch of feature maps."""
        one = Convolution(64, 1, name="branch1x1")(x)
        five = Convolution(48, 1, name="branch5x5_1")(x)
        five = Convolution(64, 5, name="branch5x5_2")(five)
        double = Convolution(64, 1, name="branch3x3dbl_1")(x)
        double = Convolution(96, 3, name="branch3x3dbl_2")(double)
        double = Convolution(96, 3, name="branch3x3dbl_3")(double)
        pool = Convolution(self.pooled, 1, name="branch_pool")(_average_pool(x))
        return jnp.concatenate([one, five, double, pool], axis=-1)


class BlockB(linen.Module):
    """Reduction from 35x35 to 17x17."""

    @linen.compact
    def __call__(self, x: FeatureMaps) -> FeatureMaps:
        """Map a batch of feature maps to a batch of feature maps."""
        three = Convolution(384, 3, stride=2, padding="VALID", name="branch3x3")(x)
        double = Convolution(64, 1, name="branch3x3dbl_1")(x)
        double = Convolution(96, 3, name="branch3x3dbl_2")(double)
        double = Convolution(96, 3, stride=2, padding="VALID", name="branch3x3dbl_3")(double)
        return jnp.concatenate([three, double, _max_pool(x, stride=2, padding="VALID")], axis=-1)


class BlockC(linen.Module):
    """Block at 17x17: windows of 7x7 as products of 1x7 and 7x1, and an average pool."""

    inner: int

    @linen.compact
    def __call__(self, x: FeatureMaps) -> FeatureMaps:
        """Map a batch of feature maps to a batch of feature maps."""
        one = Convolution(192, 1, name="branch1x1")(x)
        seven = Convolution(self.inner, 1, name="branch7x7_1")(x)
        seven = Convolution(self.inner, (1, 7), name="branch7x7_2")(seven)
        seven = Convolution(192, (7, 1), name="branch7x7_3")(seven)
        double = Convolution(self.inner, 1, name="branch7x7dbl_1")(x)
        double = Convolution(self.inner, (7, 1), name="branch7x7dbl_2")(double)
        double = Convolution(self.inner, (1, 7), name="branch7x7dbl_3")(double)
        double = Convolution(self.inner, (7, 1), name="branch7x7dbl_4")(double)
        double = Convolution(192, (1, 7), name="branch7x7dbl_5")(double)
        pool = Convolution(192, 1, name="branch_pool")(_average_pool(x))
        return jnp.concatenate([one, seven, double, pool], axis=-1)


class BlockD(linen.Module):
    """Reduction from 17x17 to 8x8."""

    @linen.compact
    def __call__(self, x: FeatureMaps) -> FeatureMaps:
        """Map a batch of feature maps to a batch of feature maps."""
        three = Convolution(192, 1, name="branch3x3_1")(x)
        three = Convolution(320, 3, stride=2, padding="VALID", name="branch3x3_2")(three)
        seven = Convolution(192, 1, name="branch7x7x3_1")(x)
        seven = Convolution(192, (1, 7), name="branch7x7x3_2")(seven)
        seven = Convolution(192, (7, 1), name="branch7x7x3_3")(seven)
        seven = Convolution(192, 3, stride=2, padding="VALID", name="branch7x7x3_4")(seven)
        return jnp.concatenate([three, seven, _max_pool(x, stride=2, padding="VALID")], axis=-1)


class BlockE(linen.Module):
    """Block at 8x8: windows of 3x3 that end in 1x3 beside 3x1, and a pool."""

    pool: Callable[[FeatureMaps], FeatureMaps]

    @linen.compact
    def __call__(self, x: FeatureMaps) -> FeatureMaps:
        """Map a batch of feature maps to a batch of feature maps."""
        one = Convolution(320, 1, name="branch1x1")(x)
        three = Convolution(384, 1, name="branch3x3_1")(x)
        wide = Convolution(384, (1, 3), name="branch3x3_2a")(three)
        high = Convolution(384, (3, 1), name="branch3x3_2b")(three)
        double = Convolution(448, 1, name="branch3x3dbl_1")(x)
        double = Convolution(384, 3, name="branch3x3dbl_2")(double)
        double_wide = Convolution(384, (1, 3), name="branch3x3dbl_3a")(double)
        double_high = Convolution(384, (3, 1), name="branch3x3dbl_3b")(double)
        pool = Convolution(192, 1, name="branch_pool")(self.pool(x))
        return jnp.concatenate([one, wide, high, double_wide, double_high, pool], axis=-1)


def _max_pool(x: FeatureMaps, *, stride: int, padding: str) -> FeatureMaps:
    return linen.max_pool(x, (3, 3), (stride, stride), padding)


def _average_pool(x: FeatureMaps) -> FeatureMaps:
    """Average over 3x3 pixels, of those inside of the image."""
    return linen.avg_pool(x, (3, 3), (1, 1), "SAME", count_include_pad=False)
