"""The generator and the discriminator of BigGAN (Brock, Donahue & Simonyan 2019, arXiv:1809.11096), appendix B.

They are those of the authors' PyTorch code, ajbrock/BigGAN-PyTorch, without its other branches: with the same weights
(`jaxgen.nn.biggan_names`) they return the same images and logits. Without hierarchical latents, and with other widths,
they are the networks of SA-GAN and SN-GAN in that code.

Images are square, with 32, 64, 128, 256 or 512 pixels, and have values in [-1, 1]. The networks for 8, 16 and 28
pixels, which are not published, are those for 32 with fewer blocks that double or halve the image. Labels are integers;
a network without conditions is one of a single class. All weights have the spectral normalization of
`jaxgen.nn.spectral_layers` except the embeddings of the generator.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

import flax.linen as linen
import jax.numpy as jnp

from jaxgen.batch_checks import check_labels
from jaxgen.errors import InputError
from jaxgen.nn.conditional_batch_norm import BatchNorm, ConditionalBatchNorm
from jaxgen.nn.self_attention import SelfAttention
from jaxgen.nn.sngan import double, halve, unchanged
from jaxgen.nn.spectral_layers import SpectralConv, SpectralDense, SpectralEmbed, Weights
from jaxgen.typing import AnyArray, Array, Float, Int

Entry = TypeVar("Entry")

GENERATOR_WIDTHS = {
    8: (4, 4),
    16: (4, 4, 4),
    28: (4, 4, 4),
    32: (4, 4, 4, 4),
    64: (16, 16, 8, 4, 2),
    128: (16, 16, 8, 4, 2, 1),
    256: (16, 16, 8, 8, 4, 2, 1),
    512: (16, 16, 8, 8, 4, 2, 1, 1),
}
"""Size of the image -> channels of the first feature map and after each block, in multiples of the width."""


class Halving(NamedTuple):
    """One block of a discriminator.

    Attributes:
        width: channels of its output, in multiples of the width of the network.
        halved: whether it halves the feature map.
        size: height of its output, by which attention is placed.
    """

    width: int
    halved: bool
    size: int


def halvings(size: int, widths: Sequence[int], *, last: bool = False) -> tuple[Halving, ...]:
    """Return blocks of which all halve the image, the last one only if `last`."""
    halved = [True] * (len(widths) - 1) + [last]
    sizes = [size >> sum(halved[: i + 1]) for i in range(len(widths))]
    return tuple(map(Halving, widths, halved, sizes))


DISCRIMINATOR_BLOCKS = {
    8: (Halving(4, True, 4), Halving(4, False, 4)),
    16: (Halving(4, True, 8), Halving(4, True, 4), Halving(4, False, 4), Halving(4, False, 4)),
    28: (Halving(4, True, 14), Halving(4, True, 7), Halving(4, False, 7), Halving(4, False, 7)),
    # The authors' table calls all four feature maps 16x16, though the last three have 8x8 pixels: with attention at 16
    # it follows every block.
    32: (Halving(4, True, 16), Halving(4, True, 16), Halving(4, False, 16), Halving(4, False, 16)),
    64: halvings(64, (1, 2, 4, 8, 16)),
    128: halvings(128, (1, 2, 4, 8, 16, 16)),
    256: halvings(256, (1, 2, 4, 8, 8, 16, 16)),
    512: halvings(512, (1, 1, 2, 4, 8, 8, 16, 16)),
}
"""Size of the image -> blocks of the discriminator."""


class Generator(linen.Module):
    """Generator: a dense layer to 4x4 (or 7x7) pixels, residual blocks that double the image, and a tanh.

    Each block normalizes its feature maps by the statistics of the batch, with gains and biases that depend on the
    class y, and on a part of the latent z:

        hierarchical       z = [z_0, z_1, ...]: z_0 is the input of the dense layer, [embedding of y, z_i] the condition
                           of block i (DeepMind's networks have [z_i, embedding of y])
        shared embedding   z is the input of the dense layer, the embedding of y the condition of every block
        neither            z is the input of the dense layer, every normalization has a gain and a bias per class

    Attributes:
        shape: height, width and channels of the image.
        width: number of channels to which the multiples in `GENERATOR_WIDTHS` refer (96 at 128 pixels).
        classes: number of classes.
        embedding_dim: dimension of the embedding of classes that all blocks share (128); None for none.
        hierarchical: whether the latent is split; this needs a shared embedding.
        attention: heights of the feature maps after which self-attention follows ((64,) at 128 pixels).
        weights: initializer and spectral normalization of the weights.

    Example:
        >>> import jax
        >>> from functools import partial
        >>> latents, labels = jnp.zeros((2, 8)), jnp.array([0, 1])
        >>> generator = Generator(shape=(32, 32, 3), width=2, classes=10, embedding_dim=4)
        >>> init = partial(generator.init_with_output, train=False)
        >>> jax.eval_shape(init, jax.random.key(0), latents, labels)[0].shape
        (2, 32, 32, 3)
    """

    shape: Sequence[int]
    width: int
    classes: int
    embedding_dim: int | None = 128
    hierarchical: bool = True
    attention: Sequence[int] = ()
    weights: Weights = Weights()

    @linen.compact
    def __call__(
        self, inputs: Float[AnyArray, "batch latent"], label: Int[AnyArray, " batch"], *, train: bool
    ) -> Float[Array, "batch height width channels"]:
        """Map a batch of latents and labels to a batch of images in [-1, 1]."""
        height, width, channels = self.shape
        first, *widths = widths_of(GENERATOR_WIDTHS, height, width)
        bottom, *sizes = sizes_of_maps(height, len(widths))
        check_attention(self.attention, sizes)
        z, conditions = self._conditions(jnp.asarray(inputs), check_labels(label), len(widths))
        x = SpectralDense(first * self.width * bottom**2, weights=self.weights, name="linear")(z, train=train)
        x = to_feature_map(x, bottom)
        classes = self.classes if self.embedding_dim is None else None
        for i, (multiple, size, condition) in enumerate(zip(widths, sizes, conditions, strict=True)):
            block = GeneratorBlock(multiple * self.width, classes, self.weights, name=f"blocks_{i}_0")
            x = block(x, condition, train=train)
            if size in self.attention:
                x = SelfAttention(self.weights, name=f"blocks_{i}_1")(x, train=train)
        return to_image(x, channels, self.weights, train=train)

    def _conditions(
        self, z: Float[Array, "batch latent"], label: Int[Array, " batch"], blocks: int
    ) -> tuple[Float[Array, "batch part"], list[Array]]:
        """Return the input of the dense layer, and the condition of each block."""
        if self.embedding_dim is None:
            if self.hierarchical:
                raise InputError("hierarchical latents need a shared embedding: give embedding_dim, such as 128")
            return z, [label] * blocks
        init = self.weights.of_embedding
        y = linen.Embed(self.classes, self.embedding_dim, embedding_init=init, name="shared")(label)
        if not self.hierarchical:
            return z, [y] * blocks
        parts = blocks + 1
        if z.shape[-1] % parts or not z.size:
            raise InputError(
                f"the dimension of hierarchical latents must be a multiple of {parts}, one part for the first layer "
                f"and one for each of {blocks} blocks, got {z.shape[-1]}"
            )
        z, *rest = jnp.split(z, parts, axis=-1)
        return z, [jnp.concatenate([y, part], axis=-1) for part in rest]


class Discriminator(linen.Module):
    """Discriminator with projection: residual blocks, the sum over pixels, an affine map and an embedding of classes.

        logit = w' f + b + e_y' f,    f = sum over pixels of relu(feature map)

    Attributes:
        width: number of channels to which the multiples in `DISCRIMINATOR_BLOCKS` refer (96 at 128 pixels).
        classes: number of classes.
        attention: heights of the feature maps after which self-attention follows ((64,) at 128 pixels).
        wide: whether the first convolution of a block has as many channels as its output, as in BigGAN and SA-GAN, or
            as its input, as in SN-GAN.
        weights: initializer and spectral normalization of the weights.

    Reference:
        Miyato & Koyama 2018, arXiv:1802.05637, equation 4 (projection).

    Example:
        >>> import jax
        >>> from functools import partial
        >>> images, labels = jnp.zeros((2, 32, 32, 3)), jnp.array([0, 1])
        >>> discriminator = Discriminator(width=2, classes=10)
        >>> init = partial(discriminator.init_with_output, train=False)
        >>> jax.eval_shape(init, jax.random.key(0), images, labels)[0].shape
        (2,)
    """

    width: int
    classes: int
    attention: Sequence[int] = ()
    wide: bool = True
    weights: Weights = Weights()

    @linen.compact
    def __call__(
        self, inputs: Float[AnyArray, "batch height width channels"], label: Int[AnyArray, " batch"], *, train: bool
    ) -> Float[Array, " batch"]:
        """Map a batch of images and labels to a batch of logits."""
        blocks = widths_of(DISCRIMINATOR_BLOCKS, *inputs.shape[1:3])
        check_attention(self.attention, [size for _, _, size in blocks])
        x = jnp.asarray(inputs)
        for i, (multiple, halved, size) in enumerate(blocks):
            features = multiple * self.width
            hidden = features if self.wide else x.shape[-1]
            block = DiscriminatorBlock(features, hidden, halved, i > 0, self.weights, name=f"blocks_{i}_0")
            x = block(x, train=train)
            if size in self.attention:
                x = SelfAttention(self.weights, name=f"blocks_{i}_1")(x, train=train)
        return project(x, label, self.classes, self.weights, train=train)


class GeneratorBlock(linen.Module):
    """Residual block that doubles the image.

        y = conv_1x1(double(x)) + conv(relu(norm(conv(double(relu(norm(x)))))))

    Attributes:
        features: number of channels of the output.
        classes: number of classes, if the condition is a class; None if it is a vector.
        weights: initializer and spectral normalization of the weights.

    Example:
        >>> import jax
        >>> from functools import partial
        >>> x, condition = jnp.zeros((2, 4, 4, 8)), jnp.zeros((2, 5))
        >>> init = partial(GeneratorBlock(6).init_with_output, train=False)
        >>> jax.eval_shape(init, jax.random.key(0), x, condition)[0].shape
        (2, 8, 8, 6)
    """

    features: int
    classes: int | None = None
    weights: Weights = Weights()

    @linen.compact
    def __call__(
        self, inputs: Float[Array, "batch height width channels"], condition: Array, *, train: bool
    ) -> Float[Array, "batch rows columns features"]:
        """Map a batch of feature maps and conditions to a batch of feature maps."""
        x = ConditionalBatchNorm(self.classes, self.weights, name="bn1")(inputs, condition, train=train)
        x = double(linen.relu(x))
        x = SpectralConv(self.features, (3, 3), weights=self.weights, name="conv1")(x, train=train)
        x = ConditionalBatchNorm(self.classes, self.weights, name="bn2")(x, condition, train=train)
        x = SpectralConv(self.features, (3, 3), weights=self.weights, name="conv2")(linen.relu(x), train=train)
        shortcut = SpectralConv(self.features, (1, 1), weights=self.weights, name="shortcut")
        return x + shortcut(double(inputs), train=train)


class DiscriminatorBlock(linen.Module):
    """Residual block that may halve the image.

        y = shortcut(x) + halve(conv(relu(conv(relu(x)))))

    The shortcut is a 1x1 convolution and `halve`, where the size or the number of channels changes. The first block of
    the network has no ReLU of its input, which is an image, and in its shortcut `halve` comes first.

    Attributes:
        features: number of channels of the output.
        hidden: number of channels between the two convolutions.
        halved: whether the image is halved.
        preactivated: whether the first operation is a ReLU: in all blocks but the first.
        weights: initializer and spectral normalization of the weights.

    Example:
        >>> import jax
        >>> from functools import partial
        >>> x = jnp.zeros((2, 8, 8, 3))
        >>> init = partial(DiscriminatorBlock(6, 6, True, False).init_with_output, train=False)
        >>> jax.eval_shape(init, jax.random.key(0), x)[0].shape
        (2, 4, 4, 6)
    """

    features: int
    hidden: int
    halved: bool
    preactivated: bool
    weights: Weights = Weights()

    @linen.compact
    def __call__(
        self, inputs: Float[Array, "batch height width channels"], *, train: bool
    ) -> Float[Array, "batch rows columns features"]:
        """Map a batch of feature maps to a batch of feature maps."""
        resize = halve if self.halved else unchanged
        x = linen.relu(inputs) if self.preactivated else inputs
        x = SpectralConv(self.hidden, (3, 3), weights=self.weights, name="conv1")(x, train=train)
        x = SpectralConv(self.features, (3, 3), weights=self.weights, name="conv2")(linen.relu(x), train=train)
        if not self.halved and inputs.shape[-1] == self.features:
            return x + inputs
        shortcut = SpectralConv(self.features, (1, 1), weights=self.weights, name="shortcut")
        if self.preactivated:
            return resize(x) + resize(shortcut(inputs, train=train))
        return resize(x) + shortcut(resize(inputs), train=train)


def sizes_of_maps(size: int, blocks: int) -> list[int]:
    """Return the heights of the feature maps of a generator: of the first, and after each block, which doubles it.

    Example:
        >>> sizes_of_maps(28, 2), sizes_of_maps(64, 4)
        ([7, 14, 28], [4, 8, 16, 32, 64])
    """
    return [size >> i for i in range(blocks, -1, -1)]


def to_feature_map(x: Float[Array, "batch numbers"], size: int) -> Float[Array, "batch rows columns channels"]:
    """Return the outputs of the first layer as a feature map; the channel is the first of their axes, as in PyTorch.

    Example:
        >>> to_feature_map(jnp.arange(32.0)[None], 4)[0, 0, :, 1].tolist()
        [16.0, 17.0, 18.0, 19.0]
    """
    return jnp.moveaxis(x.reshape(len(x), -1, size, size), 1, -1)


def to_image(
    x: Float[Array, "batch height width features"], channels: int, weights: Weights, *, train: bool
) -> Float[Array, "batch height width channels"]:
    """Apply the last layers of a generator: batch normalization without a condition, ReLU, convolution and tanh.

    Call it within the `__call__` of a module, which then owns the parameters.

    Example:
        >>> import jax
        >>> class Network(linen.Module):
        ...     @linen.compact
        ...     def __call__(self, x):
        ...         return to_image(x, 3, Weights(), train=False)
        >>> jax.eval_shape(Network().init_with_output, jax.random.key(0), jnp.ones((2, 4, 4, 5)))[0].shape
        (2, 4, 4, 3)
    """
    x = linen.relu(BatchNorm(name="output_norm")(x, train=train))
    return jnp.tanh(SpectralConv(channels, (3, 3), weights=weights, name="output")(x, train=train))


def project(
    x: Float[Array, "batch height width features"],
    label: Int[AnyArray, " batch"],
    classes: int,
    weights: Weights,
    *,
    train: bool,
) -> Float[Array, " batch"]:
    """Apply the last layers of a discriminator: ReLU, sum over pixels, affine map, and projection on the class.

    Call it within the `__call__` of a module, which then owns the parameters.

    Example:
        >>> import jax
        >>> class Network(linen.Module):
        ...     @linen.compact
        ...     def __call__(self, x, label):
        ...         return project(x, label, 3, Weights(), train=False)
        >>> x, label = jnp.ones((2, 4, 4, 5)), jnp.array([2, 0])
        >>> jax.eval_shape(Network().init_with_output, jax.random.key(0), x, label)[0].shape
        (2,)
    """
    features = linen.relu(x.astype(jnp.promote_types(x.dtype, jnp.float32))).sum(axis=(1, 2))
    of_all = SpectralDense(1, weights=weights, name="linear")(features, train=train)[:, 0]
    of_class = SpectralEmbed(classes, x.shape[-1], weights, name="embed")(label, train=train)
    return of_all + (of_class * features).sum(axis=-1)


def widths_of(table: Mapping[int, Entry], height: int, width: int) -> Entry:
    """Return the entry of a table for a size of the images.

    Raises:
        InputError: if the table has none.

    Example:
        >>> widths_of(GENERATOR_WIDTHS, 32, 32)
        (4, 4, 4, 4)
    """
    if height != width or height not in table:
        *sizes, last = map(str, table)
        raise InputError(
            f"images must be square with {', '.join(sizes)} or {last} pixels for BigGAN, got {height}x{width}: "
            "surround smaller images by black, with size=32 (--size 32), or give another image size (--image-size)"
        )
    return table[height]


def check_attention(attention: Sequence[int], sizes: Sequence[int]) -> None:
    """Raise an error if attention is placed at a size that no feature map has.

    Raises:
        InputError: if so.

    Example:
        >>> check_attention((64,), (8, 16, 32))
        Traceback (most recent call last):
        jaxgen.errors.InputError: attention must be at heights of feature maps, 8, 16, 32, got 64
    """
    for size in attention:
        if size not in sizes:
            possible = ", ".join(map(str, sorted(set(sizes))))
            raise InputError(f"attention must be at heights of feature maps, {possible}, got {size}")
