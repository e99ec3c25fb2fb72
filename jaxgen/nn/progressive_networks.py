"""Networks that grow (Karras et al. 2018, arXiv:1710.10196), as in the authors' code.

A network has layers for every resolution from 4x4 on, and is used up to one of them: the generator draws images of that
size, and the discriminator reads such images. After a growth both fade in the layers of the new resolution: with the
weight `alpha`,

    image = (1 - alpha) enlarged image of the resolution before + alpha image of the new resolution
    features = (1 - alpha) features of the reduced image + alpha features after the new block

and the real images lose their details in the same way (`faded`). The level of detail of the authors is
`log2(full size / size) + 1 - alpha`.
"""

import math
from collections.abc import Sequence

import flax.linen as linen
import jax
import jax.numpy as jnp

from jaxgen.errors import InputError
from jaxgen.nn.equalized import GAIN, LEAK, EqualizedConv, EqualizedDense
from jaxgen.nn.minibatch_stddev import append_minibatch_stddev
from jaxgen.nn.pixel_norm import pixel_norm
from jaxgen.nn.resampling import downsample, normalized, resample, upsample
from jaxgen.nn.resolutions import SMALLEST_RESOLUTION, channels_at, resolutions
from jaxgen.typing import Array, Float, Int, Scalar

BOX = (0.5, 0.5)
"""Filter that repeats pixels when they are enlarged, and averages them when they are reduced."""


def faded(
    images: Float[Array, "batch height width channels"], alpha: Scalar
) -> Float[Array, "batch height width channels"]:
    """Reduce and enlarge images again, and mix the result with them: as blurred as images of a network that fades.

    Args:
        images: real images.
        alpha: weight of the images themselves.

    Returns:
        The mixed images.

    Example:
        >>> faded(jnp.array([[0.0, 4.0], [0.0, 4.0]]).reshape(1, 2, 2, 1), 0.5)[0, :, :, 0]
        Array([[1., 3.],
               [1., 3.]], dtype=float32)
    """
    return mixed_images(upsample(downsample(images, BOX), BOX), images, alpha)


class Generator(linen.Module):
    """The generator: an affine map to a 4x4 map, and blocks that double it, with normalized pixels after every layer.

    Attributes:
        size: height and width of the largest images, a power of 2.
        channels: channels of the images.
        base: number of channels of a feature map times half its size.
        largest: largest number of channels.
        classes: number of classes of the labels; 0 without labels.

    Example:
        >>> network = Generator(size=16, base=32)
        >>> variables = network.init(jax.random.key(0), jnp.ones((2, 8)), train=False)
        >>> network.apply(variables, jnp.ones((2, 8)), train=False, size=8, alpha=0.5).shape
        (2, 8, 8, 3)
    """

    size: int
    channels: int = 3
    base: int = 8192
    largest: int = 512
    classes: int = 0

    @linen.compact
    def __call__(
        self,
        z: Float[Array, "batch latent"],
        label: Int[Array, " batch"] | None = None,
        *,
        train: bool,
        size: int | None = None,
        alpha: Scalar | None = None,
    ) -> Float[Array, "batch size size channels"]:
        """Return images of a resolution, by default the largest; None for `alpha` is the weight 1."""
        used = used_resolutions(self, size, alpha)
        inputs = z if not self.classes else jnp.concatenate([z, jax.nn.one_hot(label, self.classes)], axis=-1)
        x, images = pixel_norm(inputs), {}
        for each in used:
            x = GeneratorBlock(channels_at(each, product=2 * self.base, largest=self.largest), name=f"b{each}")(x)
            if each in used[-1 if alpha is None else -2 :] or self.is_initializing():
                images[each] = EqualizedConv(self.channels, 1, name=f"torgb{each}")(x)
        if alpha is None:
            return images[used[-1]]
        return mixed_images(upsample(images[used[-2]], BOX), images[used[-1]], alpha)


class GeneratorBlock(linen.Module):
    """Two layers; the first enlarges the map, or makes it of a vector."""

    features: int

    @linen.compact
    def __call__(self, x: Float[Array, "*batch channels"]) -> Float[Array, "batch height width features"]:
        """Apply the block."""
        if x.ndim == 2:
            shape = (SMALLEST_RESOLUTION, SMALLEST_RESOLUTION, self.features)
            dense = EqualizedDense(math.prod(shape), gain=GAIN / 4, use_bias=False, name="dense")
            bias = self.param("bias", linen.initializers.zeros, (self.features,))
            x = _normalized(dense(x).reshape(-1, *shape) + bias)
            return _normalized(EqualizedConv(self.features, 3, gain=GAIN, name="conv")(x))
        x = _normalized(EqualizedConv(self.features, 3, gain=GAIN, up=2, taps=BOX, name="conv0_up")(x))
        return _normalized(EqualizedConv(self.features, 3, gain=GAIN, name="conv1")(x))


class Discriminator(linen.Module):
    """The discriminator: blocks that halve the map, the minibatch standard deviation, and two dense layers.

    Attributes:
        size: height and width of the largest images, a power of 2.
        base: number of channels of a feature map times half its size.
        largest: largest number of channels.
        outputs: number of outputs of an image; None for a single one, without an axis.
        group: number of examples in a group of the minibatch standard deviation.
        fused: whether a map is reduced within its convolution, before bias and activation, as the authors' program does
            by default; otherwise after them, which is another function.
        blur: filter before the convolutions that reduce the map, which are fused then; None for none.

    Example:
        >>> network = Discriminator(size=16, base=32)
        >>> variables = network.init(jax.random.key(0), jnp.ones((4, 16, 16, 3)), train=False)
        >>> network.apply(variables, jnp.ones((4, 8, 8, 3)), train=False, alpha=0.5).shape
        (4,)
    """

    size: int
    base: int = 8192
    largest: int = 512
    outputs: int | None = None
    group: int = 4
    fused: bool = True
    blur: tuple[float, ...] | None = None

    @linen.compact
    def __call__(
        self, image: Float[Array, "batch size size colours"], *, train: bool, alpha: Scalar | None = None
    ) -> Float[Array, " batch *outputs"]:
        """Return the logits of images of any of the resolutions; None for `alpha` is the weight 1."""
        used = used_resolutions(self, image.shape[1], alpha)
        x = self._from_rgb(image)
        for each in reversed(used[1:]):
            halved = channels_at(each // 2, product=2 * self.base, largest=self.largest)
            x = DiscriminatorBlock(halved, self.fused, self.blur, name=f"b{each}")(x)
            if each == used[-1] or self.is_initializing():
                image = downsample(image, BOX)
            if each == used[-1] and alpha is not None:
                x = mixed_images(self._from_rgb(image), x, alpha)
            elif self.is_initializing():
                self._from_rgb(image)
        x = append_minibatch_stddev(x, group=self.group) if self.group > 1 else x
        features = channels_at(SMALLEST_RESOLUTION, product=2 * self.base, largest=self.largest)
        x = _activated(EqualizedConv(features, 3, gain=GAIN, name="conv")(x)).reshape(len(x), -1)
        x = _activated(EqualizedDense(min(self.base, self.largest), gain=GAIN, name="dense0")(x))
        outputs = EqualizedDense(self.outputs or 1, name="dense1")(x)
        return outputs[:, 0] if self.outputs is None else outputs

    def _from_rgb(self, image: Float[Array, "batch size size colours"]) -> Float[Array, "batch size size channels"]:
        """The features of images, by the layer for their size."""
        size = image.shape[1]
        channels = channels_at(size, product=2 * self.base, largest=self.largest)
        return _activated(EqualizedConv(channels, 1, gain=GAIN, name=f"fromrgb{size}")(image))


class DiscriminatorBlock(linen.Module):
    """Two layers, of which the second halves the map."""

    halved: int
    fused: bool
    blur: tuple[float, ...] | None

    @linen.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch half_height half_width halved"]:
        """Apply the block."""
        x = _activated(EqualizedConv(x.shape[-1], 3, gain=GAIN, name="conv0")(x))
        if self.blur is not None:
            x = blurred(x, self.blur)
        if self.fused:
            return _activated(EqualizedConv(self.halved, 3, gain=GAIN, down=2, taps=BOX, name="conv1_down")(x))
        return downsample(_activated(EqualizedConv(self.halved, 3, gain=GAIN, name="conv1_down")(x)), BOX)


def used_resolutions(network: linen.Module, size: int | None, alpha: Scalar | None) -> list[int]:
    """Return the resolutions that a growing network uses for images of a size.

    Args:
        network: the network.
        size: height and width of the images; None for the largest.
        alpha: weight of the newest layers; None where they have faded in.

    Returns:
        Sizes of feature maps, from 4 on.

    Raises:
        InputError: if the network has no such resolution, is initialized for another than the largest, or has no
            resolution from which the layers fade in.

    Example:
        >>> used_resolutions(Generator(size=32), 16, None)
        [4, 8, 16]
    """
    full: int = network.size
    known = resolutions(full)
    size = full if size is None else size
    if size not in known:
        raise InputError(f"images must have one of the sizes {', '.join(map(str, known))} of the network, got {size}")
    if network.scope is not None and network.is_initializing() and size != full:
        raise InputError(f"the network must be initialized with its largest images, {full} pixels, got {size}")
    if alpha is not None and size == SMALLEST_RESOLUTION:
        raise InputError(
            f"layers must fade in at more than {SMALLEST_RESOLUTION} pixels, as there are none before, got {size}"
        )
    return known[: known.index(size) + 1]


def mixed_images(old: Float[Array, "*image"], new: Float[Array, "*image"], weight: Scalar) -> Float[Array, "*image"]:
    """Return `(1 - weight) old + weight new`.

    Args:
        old: images or features of the resolution before.
        new: those of the new resolution.
        weight: weight of the new ones.

    Returns:
        The mixed ones.

    Example:
        >>> mixed_images(jnp.zeros(2), jnp.ones(2), 0.25)
        Array([0.25, 0.25], dtype=float32)
    """
    return old + weight * (new - old)


def blurred(
    x: Float[Array, "batch height width channels"], taps: Sequence[float]
) -> Float[Array, "batch height width channels"]:
    """Filter features by a filter of odd length, which keeps their size.

    Args:
        x: features.
        taps: weights of the filter, which are divided by their sum.

    Returns:
        The filtered features.

    Example:
        >>> blurred(jnp.array([0.0, 4.0, 0.0]).reshape(1, 1, 3, 1).repeat(3, axis=1), (1, 2, 1))[0, 1, :, 0]
        Array([1., 2., 1.], dtype=float32)
    """
    return resample(x, normalized(taps), padding=len(taps) // 2)


def _activated(x: Float[Array, "..."]) -> Float[Array, "..."]:
    return jax.nn.leaky_relu(x, LEAK)


def _normalized(x: Float[Array, "..."]) -> Float[Array, "..."]:
    return pixel_norm(_activated(x))
