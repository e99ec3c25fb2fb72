"""VGG-16, whose features precision and recall and the perceptual distance LPIPS compare, for inference."""

from typing import NamedTuple

import flax.linen as linen

from jaxgen.typing import Array, Float

STAGES = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))
"""Stages of convolutions, by their numbers among the layers of the published weights; pools stand between stages."""

WIDTHS = (64, 128, 256, 512, 512)
"""Number of channels of each stage."""

HIDDEN = 4096
"""Number of features of the two layers before the logits."""

CLASSES = 1000
"""Number of classes of ImageNet."""

MEAN, SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of the channels of ImageNet in [0, 1], by which torchvision standardizes images."""


class VGG16Features(NamedTuple):
    """What the network computes of images.

    Attributes:
        features: second layer of 4096 features, after ReLU.
        logits: logits of the classes of ImageNet.
    """

    features: Float[Array, "batch 4096"]
    logits: Float[Array, "batch 1000"]


class VGG16(linen.Module):
    """VGG-16 for images of 224x224, without dropout.

    Inputs are RGB images with mean about 0 and standard deviation about 1 in each channel.

    Reference:
        Simonyan & Zisserman 2015, arXiv:1409.1556, table 1, D.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> images = jax.ShapeDtypeStruct((5, 224, 224, 3), jnp.float32)
        >>> found, _ = jax.eval_shape(VGG16().init_with_output, jax.random.key(0), images)
        >>> found.features.shape, found.logits.shape
        ((5, 4096), (5, 1000))
    """

    @linen.compact
    def __call__(self, images: Float[Array, "batch 224 224 3"]) -> VGG16Features:
        """Map a batch of images to features and logits."""
        x = max_pool(VGG16Convolutions(name="features")(images)[-1])
        x = x.reshape(len(x), -1)
        x = linen.relu(linen.Dense(HIDDEN, name="classifier_0")(x))
        features = linen.relu(linen.Dense(HIDDEN, name="classifier_3")(x))
        return VGG16Features(features, linen.Dense(CLASSES, name="classifier_6")(features))


class VGG16Convolutions(linen.Module):
    """The convolutions of VGG-16, for images of any size from 16x16 on.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> images = jax.ShapeDtypeStruct((5, 32, 32, 3), jnp.float32)
        >>> found, _ = jax.eval_shape(VGG16Convolutions().init_with_output, jax.random.key(0), images)
        >>> [stage.shape for stage in found]  # doctest: +NORMALIZE_WHITESPACE
        [(5, 32, 32, 64), (5, 16, 16, 128), (5, 8, 8, 256), (5, 4, 4, 512), (5, 2, 2, 512)]
    """

    @linen.compact
    def __call__(
        self, images: Float[Array, "batch height width 3"]
    ) -> list[Float[Array, "batch rows columns channels"]]:
        """Map a batch of images to the outputs of the stages, after ReLU and before the pool."""
        x = images
        outputs: list[Float[Array, "batch rows columns channels"]] = []
        for stage, width in zip(STAGES, WIDTHS, strict=True):
            x = max_pool(x) if outputs else x
            for number in stage:
                x = linen.relu(linen.Conv(width, (3, 3), name=f"{number}")(x))
            outputs.append(x)
        return outputs


def max_pool(x: Float[Array, "batch height width channels"]) -> Float[Array, "batch rows columns channels"]:
    """Return the maximum of each 2x2 pixels.

    Example:
        >>> import jax.numpy as jnp
        >>> max_pool(jnp.arange(4.0).reshape(1, 2, 2, 1)).item()
        3.0
    """
    return linen.max_pool(x, (2, 2), (2, 2))
