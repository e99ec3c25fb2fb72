"""The networks of StyleGAN2 (Karras et al. 2020, arXiv:1912.04958), as in the authors' code of 2020 for PyTorch.

    w = mapping(z),    image = synthesis(w, ..., w),    logit = discriminator(image)

The mapping network maps a latent z to a style w; an affine map of w scales the input channels of every convolution
of the synthesis network. That network starts with a constant 4x4 map and doubles it block by block; every convolution
adds noise. It has one w for each convolution and one for the last map to colours, which may differ (style mixing).

In mixed precision (`jaxgen.nn.precision`) all convolutions multiply in bfloat16, of maps of every size, and the maps
between them are bfloat16. As in the authors' code, the rest is float32: the mapping network, the styles, the
demodulation, the sums of images, and the last block of the discriminator with the minibatch standard deviation. Their
float16, used for the four largest sizes alone, needs a bound on the features; a bfloat16 has the range of a float32 and
needs none.
"""

import math
from typing import Any, Literal, TypeAlias

import flax.linen as linen
import jax
import jax.numpy as jnp

from jaxgen.errors import InputError
from jaxgen.nn.equalized import EqualizedConv, EqualizedDense, leaky_relu, normal
from jaxgen.nn.layer_styles import Noise, add_noise, follow_average
from jaxgen.nn.minibatch_stddev import append_minibatch_stddev
from jaxgen.nn.modulated_convolution import modulated_convolution
from jaxgen.nn.pixel_norm import pixel_norm
from jaxgen.nn.resampling import BINOMIAL, downsample, upsample
from jaxgen.nn.resolutions import SMALLEST_RESOLUTION, channels_at, resolutions
from jaxgen.typing import Array, Float, Int

Architecture: TypeAlias = Literal["skip", "resnet", "orig"]
"""How the blocks of a network are connected: by images (skip), by features (resnet), or not (orig); section 4.1."""

HALF = math.sqrt(0.5)
"""Factor of both branches of a residual block, whose sum then has the variance of each."""


class Mapping(linen.Module):
    """The mapping network: dense layers from a normalized latent, and an embedding of the class, to a style.

    Attributes:
        features: number of features of the style w.
        layers: number of layers.
        hidden: number of features of the layers between; None for that of the style.
        classes: number of classes of the labels; 0 without labels.
        multiplier: learning rate multiplier.
        decay: decay of the stored moving average of w; None to store none.

    Example:
        >>> w, variables = Mapping(8, layers=2).init_with_output(jax.random.key(0), jnp.ones((5, 4)), train=False)
        >>> w.shape, variables["latent_average"]["w"].shape
        ((5, 8), (8,))
    """

    features: int = 512
    layers: int = 8
    hidden: int | None = None
    classes: int = 0
    multiplier: float = 0.01
    decay: float | None = 0.995

    @linen.compact
    def __call__(
        self,
        z: Float[Array, "batch latent"] | None,
        label: Int[Array, " batch"] | None = None,
        *,
        train: bool,
    ) -> Float[Array, "batch features"]:
        """Return the styles; in training, follow their average in the collection "latent_average"."""
        inputs = [] if z is None else [pixel_norm(z)]
        if self.classes:
            indicators = jax.nn.one_hot(label, self.classes)
            inputs.append(pixel_norm(EqualizedDense(self.features, mixed=False, name="embed")(indicators)))
        w = jnp.concatenate(inputs, axis=-1)
        for number in range(self.layers):
            last = number == self.layers - 1
            width = self.features if last or self.hidden is None else self.hidden
            layer = EqualizedDense(width, multiplier=self.multiplier, mixed=False, name=f"fc{number}")
            w = leaky_relu(layer(w))
        if self.decay is not None:
            follow_average(self, w, decay=self.decay, train=train)
        return w


class StyledConv(linen.Module):
    """A layer of the synthesis network: modulated convolution, noise, bias and activation.

        y = gain lrelu(demodulated convolution + strength noise + bias)

    Attributes:
        features: number of output channels.
        up: factor by which the map is enlarged.
        gain: factor of the result.
        dtype: dtype of the features; None for that of the input.
    """

    features: int
    up: int = 1
    gain: float = 1.0
    dtype: Any = None

    @linen.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"], w: Float[Array, "batch style"], *, noise: Noise
    ) -> Float[Array, "batch rows columns features"]:
        """Apply the layer."""
        styles = EqualizedDense(x.shape[-1], bias_init=1.0, mixed=False, name="affine")(w)
        kernel = self.param("kernel", normal(1.0), (3, 3, x.shape[-1], self.features))
        x = x.astype(self.dtype or x.dtype)
        y = modulated_convolution(x, kernel, styles, up=self.up, taps=BINOMIAL)
        strength = self.param("noise_strength", linen.initializers.zeros, ())
        y = add_noise(self, y, strength.astype(y.dtype), noise)
        y = leaky_relu(y + self.param("bias", linen.initializers.zeros, (self.features,)).astype(y.dtype))
        return self.gain * y


class ToRGB(linen.Module):
    """A modulated 1x1 convolution to the channels of the image, without demodulation.

    Attributes:
        channels: channels of the image.
        dtype: dtype of the product; None for that of the input. The image has that of the bias.
    """

    channels: int
    dtype: Any = None

    @linen.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"], w: Float[Array, "batch style"]
    ) -> Float[Array, "batch height width colours"]:
        """Apply the layer."""
        affine = EqualizedDense(x.shape[-1], bias_init=1.0, mixed=False, name="affine")
        styles = affine(w) / math.sqrt(x.shape[-1])
        kernel = self.param("kernel", normal(1.0), (1, 1, x.shape[-1], self.channels))
        x = x.astype(self.dtype or x.dtype)
        y = modulated_convolution(x, kernel, styles, demodulate=False)
        return y + self.param("bias", linen.initializers.zeros, (self.channels,))


class Synthesis(linen.Module):
    """The synthesis network: from styles to images in [-1, 1], approximately.

    Attributes:
        size: height and width of the images, a power of 2.
        channels: channels of the images.
        base: number of channels of a feature map times its size.
        largest: largest number of channels.
        architecture: how the blocks are connected.

    Example:
        >>> network = Synthesis(size=8, channels=1, base=64)
        >>> styles = jnp.ones((2, network.styles, 6))
        >>> images, _ = network.init_with_output(jax.random.key(0), styles, noise="none")
        >>> network.styles, images.shape
        (4, (2, 8, 8, 1))
    """

    size: int
    channels: int = 3
    base: int = 32768
    largest: int = 512
    architecture: Architecture = "skip"

    @property
    def styles(self) -> int:
        """Number of styles: one for every convolution, and one for the last map to colours."""
        return 2 * len(resolutions(self.size))

    @linen.compact
    def __call__(
        self, w: Float[Array, "batch styles style"], *, noise: Noise
    ) -> Float[Array, "batch height width channels"]:
        """Return the images."""
        if w.ndim != 3 or w.shape[1] != self.styles:
            raise InputError(f"styles must be [batch, {self.styles}, style], got {w.shape}")
        x, image, used = None, None, 0
        for size in resolutions(self.size):
            features = channels_at(size, product=self.base, largest=self.largest)
            last = size == self.size
            block = SynthesisBlock(features, self.channels, self.architecture, last, name=f"b{size}")
            # The map to colours has the style of the next convolution.
            x, image = block(x, image, w[:, used:], noise=noise)
            used += 1 if size == SMALLEST_RESOLUTION else 2
        assert image is not None
        return image


class SynthesisBlock(linen.Module):
    """A block of the synthesis network: the map is doubled and convolved twice.

    The first block has a constant map instead, and a single convolution.
    """

    features: int
    channels: int
    architecture: Architecture
    last: bool

    @linen.compact
    def __call__(
        self,
        x: Float[Array, "batch height width channels"] | None,
        image: Float[Array, "batch height width colours"] | None,
        w: Float[Array, "batch styles style"],
        *,
        noise: Noise,
    ) -> tuple[Float[Array, "batch rows columns features"], Float[Array, "batch rows columns colours"] | None]:
        """Return the new map, and the image so far."""
        layers = iter(jnp.moveaxis(w, 1, 0))
        shortcut, gain = None, 1.0
        if x is None:
            shape = (SMALLEST_RESOLUTION, SMALLEST_RESOLUTION, self.features)
            constant = self.param("const", normal(1.0), shape)
            x = jnp.broadcast_to(constant, (len(w), *constant.shape))
        else:
            if self.architecture == "resnet":
                gain = HALF
                skip = EqualizedConv(self.features, 1, gain=HALF, up=2, taps=BINOMIAL, use_bias=False, name="skip")
                shortcut = skip(x)
            conv0 = StyledConv(self.features, up=2, name="conv0")
            x = conv0(x, next(layers), noise=noise)
        conv1 = StyledConv(self.features, gain=gain, name="conv1")
        x = conv1(x, next(layers), noise=noise)
        if shortcut is not None:
            x = shortcut + x
        if image is not None:
            image = upsample(image, BINOMIAL)
        if self.last or self.architecture == "skip":
            colours = ToRGB(self.channels, name="torgb")(x, next(layers))
            image = colours if image is None else image + colours
        return x, image


class Discriminator(linen.Module):
    """The discriminator: blocks that halve the image, the minibatch standard deviation, and two dense layers.

    With labels the output is the inner product of the last features with an embedding of the class.

    Attributes:
        size: height and width of the images, a power of 2.
        base: number of channels of a feature map times its size.
        largest: largest number of channels.
        architecture: how the blocks are connected.
        classes: number of classes of the labels; 0 without labels.
        mapping_layers: number of layers of the mapping network of labels.
        group: number of examples in a group of the minibatch standard deviation.

    Example:
        >>> network = Discriminator(size=8, base=64)
        >>> logits, _ = network.init_with_output(jax.random.key(0), jnp.ones((4, 8, 8, 3)), train=False)
        >>> logits.shape
        (4,)
    """

    size: int
    base: int = 32768
    largest: int = 512
    architecture: Architecture = "resnet"
    classes: int = 0
    mapping_layers: int = 8
    group: int = 4

    @linen.compact
    def __call__(
        self,
        image: Float[Array, "batch height width colours"],
        label: Int[Array, " batch"] | None = None,
        *,
        train: bool,
    ) -> Float[Array, " batch"]:
        """Return the logits."""
        *larger, smallest = reversed(resolutions(self.size))
        x: Array | None = None
        for size in larger:
            tall = channels_at(size, product=self.base, largest=self.largest)
            halved = channels_at(size // 2, product=self.base, largest=self.largest)
            block = DiscriminatorBlock(tall, halved, self.architecture, name=f"b{size}")
            x, image = block(x, image)
        features = channels_at(smallest, product=self.base, largest=self.largest)
        outputs = features if self.classes else 1
        epilogue = Epilogue(features, outputs, self.architecture, self.group, name="b4")
        logits = epilogue(x, image)
        if not self.classes:
            return logits[:, 0]
        mapping = Mapping(features, layers=self.mapping_layers, classes=self.classes, decay=None, name="mapping")
        return (logits * mapping(None, label, train=train)).sum(axis=-1) / math.sqrt(features)


class DiscriminatorBlock(linen.Module):
    """A block of the discriminator: two convolutions, of which the second halves the map."""

    features: int
    halved: int
    architecture: Architecture

    @linen.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"] | None, image: Float[Array, "batch height width colours"]
    ) -> tuple[Float[Array, "batch rows columns features"], Float[Array, "batch rows columns colours"]]:
        """Return the halved map, and the image, halved where the next block reads it."""
        x, image = _add_from_rgb(x, image, self.features, self.architecture)
        y = leaky_relu(EqualizedConv(self.features, 3, name="conv0")(x))
        y = leaky_relu(EqualizedConv(self.halved, 3, down=2, taps=BINOMIAL, name="conv1")(y))
        if self.architecture != "resnet":
            return y, image
        shortcut = EqualizedConv(self.halved, 1, gain=HALF, down=2, taps=BINOMIAL, use_bias=False, name="skip")(x)
        return shortcut + HALF * y, image


class Epilogue(linen.Module):
    """The last block of the discriminator, from the 4x4 map to logits or features."""

    features: int
    outputs: int
    architecture: Architecture
    group: int

    @linen.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"] | None, image: Float[Array, "batch height width colours"]
    ) -> Float[Array, "batch outputs"]:
        """Return the outputs."""
        assert x is not None
        if self.architecture == "skip":
            x, _ = _add_from_rgb(x, image, self.features, self.architecture)
        x = append_minibatch_stddev(x.astype(jnp.promote_types(x.dtype, jnp.float32)), group=self.group)
        x = leaky_relu(EqualizedConv(self.features, 3, mixed=False, name="conv")(x))
        x = leaky_relu(EqualizedDense(self.features, mixed=False, name="fc")(x.reshape(len(x), -1)))
        return EqualizedDense(self.outputs, mixed=False, name="out")(x)


def _add_from_rgb(
    x: Float[Array, "batch height width channels"] | None,
    image: Float[Array, "batch height width colours"],
    features: int,
    architecture: Architecture,
) -> tuple[Float[Array, "batch height width features"], Float[Array, "batch rows columns colours"]]:
    """Add the features of the image, in the first block and in every one of "skip", for which it is then halved."""
    if x is not None and architecture != "skip":
        return x, image
    colours = leaky_relu(EqualizedConv(features, 1, name="fromrgb")(image))
    return colours if x is None else x + colours, downsample(image, BINOMIAL) if architecture == "skip" else image
