"""Convolutions whose gradients are fast on the CPU too, and the layers `Conv` and `ConvTranspose` that use them.

On GPU and TPU every convolution is XLA's. On the CPU the gradients of XLA's convolution fall back to plain loops inside
`jax.lax.scan`, where training spends its time, and take 3 to 50 times longer there. So on the CPU convolutions are
computed as matrix products (`jaxgen.nn.cpu_convolution`), whose derivatives are matrix products too and are fast
everywhere. They are fastest in `fit` and in functions compiled with `jaxgen.training.jit`.

`Conv` and `ConvTranspose` replace Flax's layers: they have the same parameters, initialization and results.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeAlias

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype as promote
from flax.linen.linear import default_kernel_init
from jax import lax

from jaxgen.nn import cpu_convolution
from jaxgen.typing import Array, Float

Padding: TypeAlias = str | Sequence[tuple[int, int]]
""""SAME", "VALID", or pairs (before, after) per spatial axis."""


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
    """Convolve like `jax.lax.conv_general_dilated`, channels last, with gradients that are fast on the CPU.

        y[i, f] = sum_{k, c} x[i * stride + k, c] kernel[k, c, f]

    for each example, where x is the padded and, with `lhs_dilation`, dilated input. On the CPU, XLA computes the
    convolutions with a dilated kernel, with groups of channels, with a stride and a dilated input, and of integers.

    Args:
        inputs: images, with any number of spatial axes.
        kernel: window of weights for each channel and feature.
        strides: stride of the window per spatial axis.
        padding: "SAME", "VALID", or pairs (before, after) per spatial axis.
        lhs_dilation: distance of neighbouring input pixels after zeros are inserted between them; None is 1.
        rhs_dilation: distance of neighbouring weights; None is 1.
        dimension_numbers: order of the axes; channels last is the only one that is supported, and None means it.
        feature_group_count: number of groups of channels.
        precision: precision of the products, as in `jax.lax`.

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
        raise ValueError(f"channels must be the last axis, got dimension_numbers={dimension_numbers}")
    strides, dilation = tuple(strides), tuple(lhs_dilation or (1,) * axes)
    convolve_by_xla = partial(
        lax.conv_general_dilated,
        window_strides=strides,
        padding=padding,
        lhs_dilation=dilation,
        rhs_dilation=rhs_dilation,
        dimension_numbers=numbers,
        feature_group_count=feature_group_count,
        precision=precision,
    )
    is_supported = cpu_convolution.is_supported(
        inputs, kernel, strides=strides, dilation=dilation, kernel_dilation=rhs_dilation, groups=feature_group_count
    )
    if jax.default_backend() != "cpu" or _by_xla.value or not is_supported:
        return convolve_by_xla(inputs, kernel)
    # XLA's shape rules raise the errors about arguments that do not fit together.
    outputs = jax.eval_shape(convolve_by_xla, inputs, kernel)
    if 0 in (inputs.size, outputs.size):
        return convolve_by_xla(inputs, kernel)
    return cpu_convolution.convolve(
        inputs, kernel, strides=strides, padding=padding, dilation=dilation, precision=precision
    )


def convolve_transpose(
    inputs: Float[Array, "batch *space channels"],
    kernel: Float[Array, "*window channels features"],
    strides: Sequence[int],
    padding: Padding,
    *,
    rhs_dilation: Sequence[int] | None = None,
    precision: Any = None,
) -> Float[Array, "batch *out features"]:
    """Convolve the input dilated by the strides, like `jax.lax.conv_transpose`, channels last, with fast gradients.

        y = convolve(x, kernel, 1, padding, lhs_dilation=strides)

    With "SAME" the output is `strides` times as large as the input, with "VALID" it contains every pixel to which an
    input pixel contributes.

    Args:
        inputs: images, with any number of spatial axes.
        kernel: window of weights for each channel and feature.
        strides: factor by which the output is larger than the input, per spatial axis.
        padding: "SAME", "VALID", or pairs (before, after) per spatial axis of zeros around the dilated input.
        rhs_dilation: distance of neighbouring weights; None is 1.
        precision: precision of the products, as in `jax.lax`.

    Returns:
        The features at each position of the enlarged image.

    Raises:
        ValueError: if the channels or the numbers of axes of inputs and kernel differ, or if padding is another string.

    Example:
        >>> convolve_transpose(jnp.ones((1, 1, 1, 1)), jnp.ones((2, 2, 1, 1)), (2, 2), "SAME")[0, :, :, 0]
        Array([[1., 1.],
               [1., 1.]], dtype=float32)
    """
    if isinstance(padding, str):
        distances = rhs_dilation or (1,) * len(strides)
        window = [(size - 1) * distance + 1 for size, distance in zip(kernel.shape[:-2], distances, strict=True)]
        padding = [_transpose_padding(*pair, padding) for pair in zip(window, strides, strict=True)]
    ones = (1,) * len(strides)
    options = {"lhs_dilation": strides, "rhs_dilation": rhs_dilation, "precision": precision}
    return convolve(inputs, kernel, ones, padding, **options)


# A part of the cache key of `jit`, so that a function is compiled once inside the context and once outside.
_by_xla = jax.make_user_context(default_value=False)


@contextmanager
def convolutions_by_xla() -> Iterator[None]:
    """Compute each convolution by a single operation of XLA on the CPU too, as a context or as a decorator.

    The context applies to functions that are traced in it by the same thread: their operations can be counted, and
    they compile faster. A function that was compiled outside is compiled again inside.

    Yields:
        Nothing.

    Example:
        >>> arguments = jnp.ones((1, 4, 4, 1)), jnp.ones((2, 2, 1, 1))
        >>> with convolutions_by_xla():
        ...     jaxpr = jax.make_jaxpr(lambda x, kernel: convolve(x, kernel, (2, 2), "VALID"))(*arguments)
        >>> [equation.primitive.name for equation in jaxpr.eqns]
        ['conv_general_dilated']
    """
    with _by_xla(True):
        yield


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
        features: number of channels of the output.
        kernel_size: size of the window per spatial axis, such as (height, width).
        strides: factor by which the output is larger than the input, per spatial axis; None is 1.
        padding: "SAME" (the output is `strides` times as large as the input), "VALID", or pairs (before, after) per
            spatial axis, as in `jax.lax.conv_transpose`.
        kernel_dilation: distance of neighbouring weights per spatial axis; None is 1.
        use_bias: whether a bias is added to each feature.
        dtype: dtype of the computation; None infers it from inputs and parameters.
        param_dtype: dtype of the parameters.
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
    """Return the dimension numbers of `jax.lax` for channels last."""
    space = "DHW"[-axes:]
    return f"N{space}C", f"{space}IO", f"N{space}C"


def _transpose_padding(size: int, stride: int, padding: str) -> tuple[int, int]:
    """Return the numbers of zeros before and after the dilated input that `jax.lax.conv_transpose` uses."""
    if padding == "VALID":
        return size - 1, size - 1 + max(stride - size, 0)
    if padding == "SAME":
        total = size + stride - 2
        before = size - 1 if stride >= size else math.ceil(total / 2)
        return before, total - before
    raise ValueError(f"padding must be 'SAME', 'VALID' or pairs of numbers, got {padding!r}")
