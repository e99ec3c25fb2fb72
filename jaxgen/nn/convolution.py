"""Convolutions that are fast on the CPU, gradients included, inside `jax.lax.scan` too.

On the CPU, the gradients of XLA's convolution fall back to plain loops inside a scan, where training spends its time:
they take 3 to 50 times longer there. So every plain convolution is there a few matrix products (`jaxgen.nn.cpu_convolution.products`),
whose derivatives are matrix products too, fast everywhere. On GPU and TPU all of this is XLA's own convolution.

They are fastest in `fit` and in what `jaxgen.training.jit` compiles.

`Conv` and `ConvTranspose` stand in for Flax's layers: the same parameters, the same initialization, the same results.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.linear import default_kernel_init
from flax.linen.linear import promote_dtype as promote
from jax import lax

from jaxgen.nn.cpu_convolution.products import product
from jaxgen.nn.cpu_convolution.windows import Geometry
from jaxgen.typing import Array, Float

Padding: TypeAlias = str | Sequence[tuple[int, int]]


def convolve(
    inputs: Float[Array, "batch *space channels"],
    kernel: Float[Array, "*window group_channels features"],
    strides: Sequence[int],
    padding: Padding,
    *,
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    precision: Any = None,
) -> Float[Array, "batch *out features"]:
    """Convolve: `jax.lax.conv_general_dilated`, channels last, with gradients that are fast on the CPU.

    `y[i, f] = sum_{k, c} x[i * stride + k, c] kernel[k, c, f]` for each example, x being padded and, where
    `lhs_dilation` is given, spread. Kernels that are dilated, channels in groups, and a stride together with a spread
    input are left to XLA, as are whole numbers.

    Args:
        inputs: pictures, with any number of spatial axes.
        kernel: a window of weights for each channel and feature.
        strides: step of the window per spatial axis.
        padding: "SAME", "VALID", or pairs (before, after) per spatial axis.
        lhs_dilation: distance of neighbouring input pixels once zeros are put between them; None is 1.
        rhs_dilation: distance of neighbouring weights; None is 1.
        dimension_numbers: order of the axes; channels last, which is None, is the only one.
        feature_group_count: into how many groups the channels are split.
        precision: of the products, as in `jax.lax`.

    Returns:
        The features at each position of the window.

    Raises:
        ValueError: if the channels or the numbers of axes of inputs and kernel differ, or channels are not last.
        TypeError: if their dtypes differ.

    Example:
        >>> convolve(jnp.ones((1, 4, 4, 1)), jnp.ones((2, 2, 1, 1)), (2, 2), "VALID")[0, :, :, 0]
        Array([[4., 4.],
               [4., 4.]], dtype=float32)
    """
    axes = kernel.ndim - 2
    if inputs.ndim != kernel.ndim or inputs.shape[-1] != kernel.shape[-2] * feature_group_count:
        raise ValueError(
            f"inputs must be [batch, *space, channels] and kernel [*window, channels, features], "
            f"got inputs {inputs.shape} and kernel {kernel.shape}"
        )
    numbers = lax.conv_dimension_numbers(inputs.shape, kernel.shape, _channels_last(axes))
    if dimension_numbers not in (None, numbers):
        raise ValueError(f"channels must be the last axis, got {dimension_numbers}")
    ones = (1,) * axes
    strides, dilation = tuple(strides), tuple(lhs_dilation or ones)
    by_xla = partial(
        lax.conv_general_dilated,
        window_strides=strides,
        padding=padding,
        lhs_dilation=dilation,
        rhs_dilation=rhs_dilation,
        dimension_numbers=numbers,
        feature_group_count=feature_group_count,
        precision=precision,
    )
    plain = feature_group_count == 1 and tuple(rhs_dilation or ones) == ones and ones in (strides, dilation)
    if jax.default_backend() != "cpu" or not plain or not jnp.issubdtype(inputs.dtype, jnp.inexact):
        return by_xla(inputs, kernel)
    # XLA's rules say what does not fit together; where there is nothing to compute, the products have no shapes.
    if 0 in (inputs.size, jax.eval_shape(by_xla, inputs, kernel).size):
        return by_xla(inputs, kernel)
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(inputs.shape[1:-1], kernel.shape[:-2], strides, padding)
    # One precision for each factor may come as a list, which cannot be looked up among the programs.
    precision = tuple(precision) if isinstance(precision, list) else precision
    geometry = Geometry(strides, tuple((low, high) for low, high in padding), dilation, precision)
    return product(inputs, kernel, geometry)


def convolve_transpose(
    inputs: Float[Array, "batch *space channels"],
    kernel: Float[Array, "*window channels features"],
    strides: Sequence[int],
    padding: Padding,
    *,
    rhs_dilation: Sequence[int] | None = None,
    precision: Any = None,
) -> Float[Array, "batch *out features"]:
    """Convolve the input spread by the strides: `jax.lax.conv_transpose`, channels last, with fast gradients.

    `y = convolve(x, kernel, 1, padding, lhs_dilation=strides)`. With "SAME" the output is `strides` times the input,
    with "VALID" no pixel of any painted window is cut off.

    Args:
        inputs: pictures, with any number of spatial axes.
        kernel: a window of weights for each channel and feature.
        strides: the enlargement per spatial axis.
        padding: "SAME", "VALID", or pairs (before, after) per spatial axis, put around the spread input.
        rhs_dilation: distance of neighbouring weights; None is 1.
        precision: of the products, as in `jax.lax`.

    Returns:
        The features at each position of the enlarged picture.

    Raises:
        ValueError: if the channels or the numbers of axes of inputs and kernel differ, or padding has another name.

    Example:
        >>> convolve_transpose(jnp.ones((1, 1, 1, 1)), jnp.ones((2, 2, 1, 1)), (2, 2), "SAME")[0, :, :, 0]
        Array([[1., 1.],
               [1., 1.]], dtype=float32)
    """
    if isinstance(padding, str):
        apart = rhs_dilation or (1,) * len(strides)
        window = [(size - 1) * distance + 1 for size, distance in zip(kernel.shape[:-2], apart, strict=True)]
        padding = [_transpose_padding(*pair, padding) for pair in zip(window, strides, strict=True)]
    ones = (1,) * len(strides)
    options = {"lhs_dilation": strides, "rhs_dilation": rhs_dilation, "precision": precision}
    return convolve(inputs, kernel, ones, padding, **options)


class Conv(nn.Conv):
    """Flax's `nn.Conv` with gradients that are fast on the CPU.

    Example:
        >>> layer = Conv(features=8, kernel_size=(4, 4), strides=(2, 2))
        >>> features, variables = layer.init_with_output(jax.random.key(0), jnp.ones((1, 28, 28, 1)))
        >>> features.shape, variables["params"]["kernel"].shape
        ((1, 14, 14, 8), (4, 4, 1, 8))
    """

    conv_general_dilated: Callable[..., Any] | None = convolve


class ConvTranspose(nn.Module):
    """Flax's `nn.ConvTranspose` with gradients that are fast on the CPU.

    Attributes:
        features: channels of the output.
        kernel_size: height and width of the window (any number of axes).
        strides: the enlargement per spatial axis; None is 1.
        padding: "SAME" (the output is `strides` times the input), "VALID", or pairs (before, after) per spatial axis,
            as `jax.lax.conv_transpose` understands them.
        kernel_dilation: distance of neighbouring weights per spatial axis; None is 1.
        use_bias: whether a bias is added to each feature.
        dtype: of the computation; None infers it from inputs and parameters.
        param_dtype: of the parameters.
        kernel_init: initializer of the kernel, [*kernel_size, channels, features].
        bias_init: initializer of the bias, [features].

    Example:
        >>> layer = ConvTranspose(features=1, kernel_size=(4, 4), strides=(2, 2))
        >>> images, variables = layer.init_with_output(jax.random.key(0), jnp.ones((1, 14, 14, 8)))
        >>> images.shape, variables["params"]["kernel"].shape
        ((1, 28, 28, 1), (4, 4, 8, 1))
    """

    features: int
    kernel_size: Sequence[int]
    strides: Sequence[int] | None = None
    padding: Padding = "SAME"
    kernel_dilation: Sequence[int] | None = None
    use_bias: bool = True
    dtype: Any = None
    param_dtype: Any = jnp.float32
    kernel_init: nn.initializers.Initializer = default_kernel_init
    bias_init: nn.initializers.Initializer = nn.initializers.zeros_init()

    @nn.compact
    def __call__(self, inputs: Float[Array, "batch *space channels"]) -> Float[Array, "batch *out features"]:
        """Apply the layer, channels last."""
        shape = (*self.kernel_size, inputs.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        bias = self.param("bias", self.bias_init, (self.features,), self.param_dtype) if self.use_bias else None
        inputs, kernel, bias = promote(inputs, kernel, bias, dtype=self.dtype)
        strides = self.strides or (1,) * len(self.kernel_size)
        outputs = convolve_transpose(inputs, kernel, strides, self.padding, rhs_dilation=self.kernel_dilation)
        return outputs if bias is None else outputs + bias


def _channels_last(axes: int) -> tuple[str, str, str]:
    space = "DHW"[-axes:]
    return f"N{space}C", f"{space}IO", f"N{space}C"


def _transpose_padding(size: int, stride: int, padding: str) -> tuple[int, int]:
    """Zeros before and after the spread input, as `jax.lax.conv_transpose` puts them."""
    if padding == "VALID":
        return size - 1, size - 1 + max(stride - size, 0)
    if padding == "SAME":
        total = size + stride - 2
        before = size - 1 if stride >= size else math.ceil(total / 2)
        return before, total - before
    raise ValueError(f"padding must be 'SAME', 'VALID' or pairs of numbers, got {padding!r}")
