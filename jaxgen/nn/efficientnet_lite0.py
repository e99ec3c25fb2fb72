"""EfficientNet-Lite0, a small classifier of ImageNet, for inference.

It is EfficientNet-B0 without squeeze-and-excitation and with ReLU6 in place of swish, as Google published it for small
devices. Batch normalization is folded into the convolutions (`jaxgen.nn.folding`).
"""

from typing import NamedTuple

import flax.linen as linen
import jax.numpy as jnp

from jaxgen.typing import Array, Float

BATCH_NORM_EPSILON = 1e-3
"""Number that the batch normalization of the network adds to the variance."""

CLASSES = 1000
"""Number of classes of ImageNet."""


class Stage(NamedTuple):
    """Blocks of one size.

    Attributes:
        repeats: number of blocks.
        window: height and width of the windows.
        stride: stride of the first block.
        expansion: factor by which a block widens its input.
        features: number of channels of the output.
    """

    repeats: int
    window: int
    stride: int
    expansion: int
    features: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
"""Stages of the network."""


class EfficientNetFeatures(NamedTuple):
    """What the network computes of images.

    Attributes:
        blocks: output of the first convolution, and of each block, mean over pixels.
        features: output of the last convolution, mean over pixels.
        logits: logits of the classes of ImageNet.
    """

    blocks: list[Float[Array, "batch channels"]]
    features: Float[Array, "batch 1280"]
    logits: Float[Array, "batch 1000"]


class EfficientNetLite0(linen.Module):
    """EfficientNet-Lite0.

    Inputs are RGB images with values in [-1, 1], published for 224x224.

    Reference:
        Tan & Le 2019, arXiv:1905.11946, table 1; tensorflow/tpu, `models/official/efficientnet/lite`.

    Example:
        >>> import jax
        >>> images = jax.ShapeDtypeStruct((5, 224, 224, 3), jnp.float32)
        >>> found, _ = jax.eval_shape(EfficientNetLite0().init_with_output, jax.random.key(0), images)
        >>> found.features.shape, found.logits.shape
        ((5, 1280), (5, 1000))
    """

    @linen.compact
    def __call__(self, images: Float[Array, "batch height width 3"]) -> EfficientNetFeatures:
        """Map a batch of images to features and logits."""
        x = relu6(linen.Conv(32, (3, 3), strides=(2, 2), name="stem")(images))
        outputs = [x]
        for stage in STAGES:
            for i in range(stage.repeats):
                stride = stage.stride if i == 0 else 1
                name = f"block_{len(outputs) - 1}"
                x = InvertedBottleneck(stage.features, stage.window, stride, stage.expansion, name=name)(x)
                outputs.append(x)
        features = relu6(linen.Conv(1280, (1, 1), name="head")(x)).mean(axis=(1, 2))
        logits = linen.Dense(CLASSES, name="classifier")(features)
        return EfficientNetFeatures([x.mean(axis=(1, 2)) for x in outputs], features, logits)


class InvertedBottleneck(linen.Module):
    """Inverted bottleneck: widen each pixel, convolve each channel for itself, narrow; add the input where it fits.

    Attributes:
        features: number of channels of the output.
        window: height and width of the windows.
        stride: stride of the windows.
        expansion: factor by which the input is widened; 1 leaves this out.
    """

    features: int
    window: int
    stride: int
    expansion: int

    @linen.compact
    def __call__(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch rows columns features"]:
        """Map a batch of feature maps to a batch of feature maps."""
        channels = x.shape[-1] * self.expansion
        y = relu6(linen.Conv(channels, (1, 1), name="expand")(x)) if self.expansion > 1 else x
        window, strides = (self.window, self.window), (self.stride, self.stride)
        y = relu6(linen.Conv(channels, window, strides=strides, feature_group_count=channels, name="depthwise")(y))
        y = linen.Conv(self.features, (1, 1), name="project")(y)
        return x + y if y.shape == x.shape else y


def relu6(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return x clipped to [0, 6].

    Example:
        >>> relu6(jnp.array([-1.0, 2.0, 9.0])).tolist()
        [0.0, 2.0, 6.0]
    """
    return jnp.clip(x, 0, 6)
