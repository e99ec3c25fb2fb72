"""Self-attention between the pixels of a feature map (SAGAN; Zhang et al. 2019, arXiv:1805.08318), as BigGAN has it."""

import flax.linen as linen
import jax
import jax.numpy as jnp

from jaxgen.errors import InputError
from jaxgen.nn.spectral_layers import SpectralConv, Weights
from jaxgen.typing import AnyArray, Array, Float

REDUCTION = 8
"""Number of channels of the feature map per channel of a query."""


class SelfAttention(linen.Module):
    """Add to each pixel a mean of values over the image, weighted by the similarity of its query to their keys.

        y = x + gamma O (softmax(Q K') V)

    Q has an eighth of the channels, K as many, V half of them; all four are 1x1 convolutions without bias and with
    spectral normalization. K and V are reduced to half the height and width by max-pooling, so the weights are
    [pixels, pixels / 4]. The products are not divided by a root of the number of channels. gamma starts at 0, so that
    the layer starts as the identity.

    Attributes:
        weights: initializer of the kernels and epsilon of their power iteration.

    Reference:
        Zhang et al. 2019, arXiv:1805.08318, section 3; the max-pooling and the numbers of channels are those of the
        authors' code.

    Example:
        >>> x = jnp.arange(2 * 4 * 4 * 8.0).reshape(2, 4, 4, 8)
        >>> y, _ = SelfAttention().init_with_output(jax.random.key(0), x, train=False)
        >>> bool((y == x).all())
        True
    """

    weights: Weights = Weights()

    @linen.compact
    def __call__(
        self, inputs: Float[AnyArray, "batch height width channels"], *, train: bool
    ) -> Float[Array, "batch height width channels"]:
        """Map a batch of feature maps to a batch of feature maps of the same shape."""
        x = jnp.asarray(inputs)
        batch, height, width, channels = x.shape
        if channels < REDUCTION or height % 2 or width % 2:
            raise InputError(
                f"self-attention needs an even height and width and at least {REDUCTION} channels, "
                f"got {height}x{width} pixels of {channels} channels: give a larger width, or no attention"
            )

        def project(name: str, features: int, x: Array) -> Array:
            return SpectralConv(features, (1, 1), use_bias=False, weights=self.weights, name=name)(x, train=train)

        query = project("query", channels // REDUCTION, x).reshape(batch, height * width, -1)
        key = _halve_by_maximum(project("key", channels // REDUCTION, x)).reshape(batch, height * width // 4, -1)
        value = _halve_by_maximum(project("value", channels // 2, x)).reshape(batch, height * width // 4, -1)
        wide = jnp.promote_types(query.dtype, jnp.float32)
        similarity = jnp.einsum("bqc,bkc->bqk", query, key, preferred_element_type=wide)
        attended = jnp.einsum("bqk,bkc->bqc", jax.nn.softmax(similarity).astype(value.dtype), value)
        gamma = self.param("gamma", linen.initializers.zeros, ())
        return x + gamma * project("out", channels, attended.reshape(batch, height, width, -1))


def _halve_by_maximum(x: Float[Array, "batch height width channels"]) -> Float[Array, "batch rows columns channels"]:
    """Return the maxima over 2x2 pixels, by an operation that has second derivatives."""
    batch, height, width, channels = x.shape
    return x.reshape(batch, height // 2, 2, width // 2, 2, channels).max((2, 4))
