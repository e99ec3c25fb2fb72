"""The generator of StyleGAN (Karras et al. 2019, arXiv:1812.04948), as in the authors' code.

It differs from that of StyleGAN2 in what follows a convolution: blur (after an enlargement), noise with a strength for
each channel, bias, activation, instance normalization, and a scale and a shift of every channel by the style:

    y = (1 + scale(w)) (x - mean(x)) / sqrt(variance(x) + 1e-8) + shift(w)

over the pixels of a channel (AdaIN). It grows like that of `jaxgen.nn.progressive_networks`, whose discriminator is
used with a blur of (1, 2, 1). With classes that discriminator has an output for each, and that of the label counts.
"""

import flax.linen as linen
import jax
import jax.numpy as jnp

from jaxgen.nn.equalized import GAIN, LEAK, EqualizedConv, EqualizedDense, normal
from jaxgen.nn.instance_norm import instance_norm
from jaxgen.nn.layer_styles import Noise, add_noise, follow_average
from jaxgen.nn.pixel_norm import pixel_norm
from jaxgen.nn.progressive_networks import BOX, blurred, mixed_images, used_resolutions
from jaxgen.nn.resampling import upsample
from jaxgen.nn.resolutions import SMALLEST_RESOLUTION, channels_at, resolutions
from jaxgen.typing import Array, Float, Int, Scalar

BLUR = (1.0, 2.0, 1.0)
"""Filter after enlargements, and before reductions in the discriminator."""


class Mapping(linen.Module):
    """The mapping network: dense layers from a normalized latent and class to a style.

    Attributes:
        features: number of features of the style w.
        layers: number of layers.
        hidden: number of features of the layers between; None for that of the style.
        classes: number of classes of the labels; 0 without labels.
        multiplier: learning rate multiplier.
        decay: decay of the stored moving average of w.

    Example:
        >>> w, _ = Mapping(8, layers=2).init_with_output(jax.random.key(0), jnp.ones((5, 4)), train=False)
        >>> w.shape
        (5, 8)
    """

    features: int = 512
    layers: int = 8
    hidden: int | None = None
    classes: int = 0
    multiplier: float = 0.01
    decay: float = 0.995

    @linen.compact
    def __call__(
        self, z: Float[Array, "batch latent"], label: Int[Array, " batch"] | None = None, *, train: bool
    ) -> Float[Array, "batch features"]:
        """Return the styles; in training, follow their average in the collection "latent_average"."""
        if self.classes:
            embedding = self.param("embedding", normal(1.0), (self.classes, z.shape[-1]))
            z = jnp.concatenate([z, embedding[label]], axis=-1)
        w = pixel_norm(z)
        for number in range(self.layers):
            last = number == self.layers - 1
            width = self.features if last or self.hidden is None else self.hidden
            dense = EqualizedDense(width, gain=GAIN, multiplier=self.multiplier, mixed=False, name=f"dense{number}")
            w = jax.nn.leaky_relu(dense(w), LEAK)
        follow_average(self, w, decay=self.decay, train=train)
        return w


class Synthesis(linen.Module):
    """The synthesis network: from styles to images.

    Attributes:
        size: height and width of the largest images, a power of 2.
        channels: channels of the images.
        base: number of channels of a feature map times half its size.
        largest: largest number of channels.

    Example:
        >>> network = Synthesis(size=8, base=32)
        >>> styles = jnp.ones((2, network.styles, 6))
        >>> images, _ = network.init_with_output(jax.random.key(0), styles, noise="none")
        >>> network.styles, images.shape
        (4, (2, 8, 8, 3))
    """

    size: int
    channels: int = 3
    base: int = 8192
    largest: int = 512

    @property
    def styles(self) -> int:
        """Number of styles: one for every layer."""
        return 2 * len(resolutions(self.size))

    @linen.compact
    def __call__(
        self,
        w: Float[Array, "batch styles style"],
        *,
        noise: Noise,
        size: int | None = None,
        alpha: Scalar | None = None,
    ) -> Float[Array, "batch size size channels"]:
        """Return images of a resolution, by default the largest; None for `alpha` is the weight 1."""
        used = used_resolutions(self, size, alpha)
        x, images = None, {}
        for number, each in enumerate(used):
            features = channels_at(each, product=2 * self.base, largest=self.largest)
            x = SynthesisBlock(features, name=f"b{each}")(x, w[:, 2 * number : 2 * number + 2], noise=noise)
            if each in used[-1 if alpha is None else -2 :] or self.is_initializing():
                images[each] = EqualizedConv(self.channels, 1, name=f"torgb{each}")(x)
        if alpha is None:
            return images[used[-1]]
        return mixed_images(upsample(images[used[-2]], BOX), images[used[-1]], alpha)


class SynthesisBlock(linen.Module):
    """Two layers; the first enlarges the map, or begins with a constant one."""

    features: int

    @linen.compact
    def __call__(
        self,
        x: Float[Array, "batch height width channels"] | None,
        w: Float[Array, "batch two style"],
        *,
        noise: Noise,
    ) -> Float[Array, "batch rows columns features"]:
        """Apply the block."""
        if x is None:
            shape = (SMALLEST_RESOLUTION, SMALLEST_RESOLUTION, self.features)
            constant = self.param("const", linen.initializers.ones, shape)
            x = jnp.broadcast_to(constant, (len(w), *constant.shape))
            x = Styling(name="const_styling")(x, w[:, 0], noise=noise)
            x = EqualizedConv(self.features, 3, gain=GAIN, use_bias=False, name="conv")(x)
            return Styling(name="conv_styling")(x, w[:, 1], noise=noise)
        up = EqualizedConv(self.features, 3, gain=GAIN, up=2, taps=BOX, use_bias=False, name="conv0_up")
        x = Styling(name="conv0_up_styling")(blurred(up(x), BLUR), w[:, 0], noise=noise)
        x = EqualizedConv(self.features, 3, gain=GAIN, use_bias=False, name="conv1")(x)
        return Styling(name="conv1_styling")(x, w[:, 1], noise=noise)


class Styling(linen.Module):
    """What follows a convolution: noise, bias, activation, instance normalization, and the style."""

    @linen.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"], w: Float[Array, "batch style"], *, noise: Noise
    ) -> Float[Array, "batch height width channels"]:
        """Return the styled features."""
        channels = x.shape[-1]
        strength = self.param("noise_strength", linen.initializers.zeros, (channels,))
        x = add_noise(self, x, strength, noise)
        x = jax.nn.leaky_relu(x + self.param("bias", linen.initializers.zeros, (channels,)), LEAK)
        style = EqualizedDense(2 * channels, mixed=False, name="style")(w)
        scale, shift = jnp.split(style[:, None, None], 2, axis=-1)
        return instance_norm(x) * (1 + scale) + shift
