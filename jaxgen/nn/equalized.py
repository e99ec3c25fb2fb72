"""Layers with an equalized learning rate, whose weights are stored with variance 1 and scaled at every use.

    y = activation(scale W x + b),    W ~ N(0, 1) at first,    scale = gain / sqrt(number of inputs of a unit)

Adam changes every weight by about the learning rate, whatever its size. With weights of variance 1 it changes all
layers at one relative speed (Karras et al. 2018, arXiv:1710.10196, section 4.1). A learning rate multiplier m makes a
layer slower: its weights are stored divided by m, and weights and bias are multiplied by m at use.
"""

import math
from collections.abc import Callable
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype

from jaxgen.nn.convolution import convolve, convolve_transpose
from jaxgen.nn.resampling import BINOMIAL, Filter, downsample, resample, sizes_of, upsample
from jaxgen.typing import Array, Float

LEAK = 0.2
"""Factor of the leaky ReLU below 0."""

GAIN = math.sqrt(2.0)
"""Factor after a leaky ReLU or before a ReLU that keeps the variance of the features near 1 (He et al. 2015)."""


def leaky_relu(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return `sqrt(2) max(x, 0.2 x)`, the activation of StyleGAN2, which keeps the mean square of normal inputs near 1.

    Args:
        x: features.

    Returns:
        The activated features.

    Example:
        >>> leaky_relu(jnp.array([-1.0, 1.0])).round(4)
        Array([-0.2828,  1.4142], dtype=float32)
    """
    return jax.nn.leaky_relu(x, LEAK) * jnp.asarray(GAIN, x.dtype)


class EqualizedDense(linen.Module):
    """A dense layer with an equalized learning rate.

    Attributes:
        features: number of outputs.
        gain: factor of the scale of the weights.
        multiplier: learning rate multiplier.
        bias_init: the bias at first, in use.
        use_bias: whether a bias is added.
        dtype: dtype of the computation; None infers it from inputs and parameters.
        mixed: whether it multiplies in bfloat16 in mixed precision (`jaxgen.nn.precision`).

    Reference:
        Karras et al. 2018, arXiv:1710.10196, section 4.1; multiplier: Karras et al. 2019, arXiv:1812.04948, appendix C.

    Example:
        >>> y, variables = EqualizedDense(3).init_with_output(jax.random.key(0), jnp.ones((1, 4)))
        >>> bool(jnp.allclose(y, variables["params"]["kernel"].sum(axis=0) / 2))
        True
    """

    features: int
    gain: float = 1.0
    multiplier: float = 1.0
    bias_init: float = 0.0
    use_bias: bool = True
    dtype: Any = None
    mixed: bool = True

    @linen.compact
    def __call__(self, x: Float[Array, "batch inputs"]) -> Float[Array, "batch features"]:
        """Apply the layer."""
        kernel = self.param("kernel", normal(1 / self.multiplier), (x.shape[-1], self.features))
        first = linen.initializers.constant(self.bias_init / self.multiplier)
        bias = self.param("bias", first, (self.features,)) if self.use_bias else None
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        y = x @ (kernel * (self.gain * self.multiplier / math.sqrt(x.shape[-1])))
        return y if bias is None else y + bias * self.multiplier


class EqualizedConv(linen.Module):
    """A convolution with an equalized learning rate and a bias, optionally with resampling by 2 and a filter.

    Attributes:
        features: number of output channels.
        size: height and width of the window; the image keeps its size, or is doubled or halved.
        gain: factor of the scale of the weights.
        up: factor by which the image is enlarged.
        down: factor by which it is reduced.
        taps: filter of the resampling, with the sum 1.
        use_bias: whether a bias is added.
        dtype: dtype of the computation; None infers it from inputs and parameters.
        mixed: whether it multiplies in bfloat16 in mixed precision (`jaxgen.nn.precision`).

    Example:
        >>> y, _ = EqualizedConv(5, 3, down=2).init_with_output(jax.random.key(0), jnp.ones((1, 8, 8, 2)))
        >>> y.shape
        (1, 4, 4, 5)
    """

    features: int
    size: int = 3
    gain: float = 1.0
    up: int = 1
    down: int = 1
    taps: Filter = BINOMIAL
    use_bias: bool = True
    dtype: Any = None
    mixed: bool = True

    @linen.compact
    def __call__(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch rows columns features"]:
        """Apply the layer."""
        kernel = self.param("kernel", normal(1.0), (self.size, self.size, x.shape[-1], self.features))
        bias = self.param("bias", linen.initializers.zeros, (self.features,)) if self.use_bias else None
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        scale = self.gain / math.sqrt(self.size**2 * x.shape[-1])
        y = resampled_convolution(x, kernel * jnp.asarray(scale, x.dtype), self.taps, up=self.up, down=self.down)
        return y if bias is None else y + bias


def resampled_convolution(
    images: Float[Array, "batch height width channels"],
    kernel: Float[Array, "size size channels features"],
    taps: Filter,
    *,
    up: int = 1,
    down: int = 1,
) -> Float[Array, "batch rows columns features"]:
    """Convolve images and enlarge or reduce them by a factor, with a filter against aliasing.

    To enlarge, the image is convolved where zeros were inserted, and then filtered; to reduce, it is filtered, and then
    convolved with a stride. The window of an enlargement is a convolution, that of the others a correlation, as in the
    authors' code.

    Args:
        images: images.
        kernel: window of weights; its size is odd.
        taps: filter with the sum 1.
        up: factor by which the images are enlarged.
        down: factor by which they are reduced; not with `up`.

    Returns:
        The features, centred on the same point as the images.

    Reference:
        Zhang 2019, arXiv:1904.11486 (filters before strides); Karras et al. 2020, arXiv:1912.04958, appendix B.

    Example:
        >>> kernel = jnp.zeros((3, 3, 1, 1)).at[1, 1].set(1.0)
        >>> resampled_convolution(jnp.ones((1, 2, 2, 1)), kernel, (0.5, 0.5), up=2)[0, 0, :, 0]
        Array([1., 1., 1., 1.], dtype=float32)
    """
    size = kernel.shape[0]
    around = size // 2
    if size == 1 and up > 1:
        return upsample(convolve(images, kernel, (1, 1), "VALID"), taps, factor=up)
    if size == 1 and down > 1:
        return convolve(downsample(images, taps, factor=down), kernel, (1, 1), "VALID")
    if up > 1:
        enlarged = convolve_transpose(images, kernel[::-1, ::-1], (up, up), [(size - 1, size - 1)] * 2)
        # What the window has added to the borders is taken off the padding of the filter.
        sides = [
            side - (size - 1 - around) + extra
            for length in sizes_of(taps)
            for side, extra in (((length + up - 1) // 2, 0), ((length - up) // 2, up - 1))
        ]
        return resample(enlarged, taps, padding=sides, gain=up**2)
    if down > 1:
        sides = [
            around + side for length in sizes_of(taps) for side in ((length - down + 1) // 2, (length - down) // 2)
        ]
        return convolve(resample(images, taps, padding=sides), kernel, (down, down), "VALID")
    return convolve(images, kernel, (1, 1), [(around, around)] * 2)


def normal(deviation: float) -> Callable[..., Array]:
    """Return an initializer of normal weights with a standard deviation.

    Args:
        deviation: standard deviation.

    Returns:
        A function of a key, a shape and a dtype.

    Example:
        >>> normal(2.0)(jax.random.key(0), (1000,)).std().round(1)
        Array(2., dtype=float32)
    """
    return linen.initializers.normal(deviation)
