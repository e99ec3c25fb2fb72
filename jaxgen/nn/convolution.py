"""Convolutions that are fast on the CPU, gradients included, inside `jax.lax.scan` too.

On the CPU, the gradients of XLA's convolution fall back to plain loops inside a scan, where training spends its time:
they take 3 to 50 times longer there. A convolution is also a matrix product, in either of two ways:

- gather: `unfold(x) @ kernel`, what each output pixel sees of the input, times the kernel;
- scatter: `fold(x @ kernel)`, what each input pixel paints on the output, summed where it overlaps.

`unfold` copies slices and `fold` is its transpose, so all derivatives of such a product, in both modes and of every
order, are again such products, which are fast everywhere; and the patches that `unfold` makes for the value are those
that the gradient of the kernel needs. On GPU and TPU all of this is XLA's own convolution.

`Conv` and `ConvTranspose` stand in for Flax's layers: the same parameters, the same initialization, the same results.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.linear import default_kernel_init
from flax.linen.linear import promote_dtype as promote
from jax import lax

from jaxgen.typing import Array, Float

Padding: TypeAlias = str | Sequence[tuple[int, int]]
Pairs: TypeAlias = tuple[tuple[int, int], ...]


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
    input are left to XLA.

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
    plain = feature_group_count == 1 and tuple(rhs_dilation or ones) == ones and ones in (strides, dilation)
    if not plain or jax.default_backend() != "cpu":
        options = {"dimension_numbers": numbers, "feature_group_count": feature_group_count, "precision": precision}
        return lax.conv_general_dilated(inputs, kernel, strides, padding, dilation, rhs_dilation, **options)
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(inputs.shape[1:-1], kernel.shape[:-2], strides, padding)
    geometry = _Geometry(strides, tuple((low, high) for low, high in padding), dilation, precision)
    return _product(inputs, kernel, geometry)


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
        >>> pictures, variables = layer.init_with_output(jax.random.key(0), jnp.ones((1, 14, 14, 8)))
        >>> pictures.shape, variables["params"]["kernel"].shape
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


class _Geometry(NamedTuple):
    """What a convolution is besides its arrays; `dilation` is that of the input."""

    strides: tuple[int, ...]
    padding: Pairs
    dilation: tuple[int, ...]
    precision: Any


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


def _product(inputs: Array, kernel: Array, geometry: _Geometry) -> Array:
    """The convolution as a matrix product. A stride can only be gathered; else the smaller matrix decides."""
    if math.prod(geometry.strides) > 1:
        outputs = _gather(inputs, kernel, geometry)
    elif _scatters(inputs, kernel, geometry):
        outputs = _scatter(inputs, kernel, geometry)
    else:
        outputs = _gather_interleaved(inputs, kernel, geometry)
    return outputs.astype(inputs.dtype)


def _scatters(inputs: Array, kernel: Array, geometry: _Geometry) -> bool:
    """Whether to scatter where both ways will do: the smaller matrix is taken, since making it is what costs."""
    *window, channels, features = kernel.shape
    pixels = inputs.shape[1:-1]
    coarse, padding, _ = _coarse(window, geometry)
    positions = [n + sum(edges) - k + 1 for n, k, edges in zip(pixels, coarse, padding, strict=True)]
    return math.prod((*pixels, *window, features)) < math.prod((*positions, *coarse, channels))


def _gather(inputs: Array, kernel: Array, geometry: _Geometry) -> Array:
    patches = _unfold(inputs, kernel.shape[:-2], geometry.strides, geometry.padding)
    # Behind the barrier the kernel stays transposed, so that its gradient is computed as `outputs^T @ patches`. The
    # compiler would turn it into `patches^T @ outputs`, for which it copies the patches, the larger matrix.
    rows = lax.optimization_barrier(kernel.reshape(-1, kernel.shape[-1]).T)
    return _contract(patches, rows, 1, geometry)


def _gather_interleaved(inputs: Array, kernel: Array, geometry: _Geometry) -> Array:
    """Gather from a spread input without its zeros (Shi et al. 2016, arXiv:1609.05158).

    As many outputs as the spread has pixels see the same inputs, through different weights: they are computed as
    features of one position, and then put side by side.
    """
    *window, channels, features = kernel.shape
    spread, axes = geometry.dilation, len(window)
    coarse, padding, crop = _coarse(window, geometry)
    # A window that the spread does not divide gets weights of zero at its end.
    missing = [size * step - k for size, step, k in zip(coarse, spread, window, strict=True)]
    kernel = jnp.pad(kernel, [*((0, more) for more in missing), (0, 0), (0, 0)])
    shares = [size for pair in zip(coarse, spread, strict=True) for size in pair]
    kernel = jnp.flip(kernel.reshape(*shares, channels, features), range(1, 2 * axes, 2))
    kernel = jnp.moveaxis(kernel, range(1, 2 * axes, 2), range(axes + 1, 2 * axes + 1))
    kernel = kernel.reshape(*coarse, channels, -1)
    outputs = _gather(inputs, kernel, geometry._replace(dilation=(1,) * axes, padding=padding))
    batch, *positions, _ = outputs.shape
    outputs = outputs.reshape(batch, *positions, *spread, features)
    outputs = jnp.moveaxis(outputs, range(axes + 1, 2 * axes + 1), range(2, 2 * axes + 1, 2))
    sizes = [size * step for size, step in zip(positions, spread, strict=True)]
    return _pad(outputs.reshape(batch, *sizes, features), crop)


def _coarse(window: Sequence[int], geometry: _Geometry) -> tuple[list[int], Pairs, Pairs]:
    """The window on the input before it is spread, its padding there, and the pixels to crop (as negative padding)."""
    coarse = [-(-size // step) for size, step in zip(window, geometry.dilation, strict=True)]
    # Without padding, the spread input would be painted on a picture that is larger by these margins.
    full = [size * step for size, step in zip(coarse, geometry.dilation, strict=True)]
    edges = zip(full, window, geometry.padding, strict=True)
    margins = [(size - 1 - low, k - 1 - high) for size, k, (low, high) in edges]
    each = list(zip(coarse, geometry.dilation, margins, strict=True))
    padding = tuple((size - 1 - low // step, size - 1 - high // step) for size, step, (low, high) in each)
    crop = tuple((-(low % step), -(high % step)) for _, step, (low, high) in each)
    return coarse, padding, crop


def _scatter(inputs: Array, kernel: Array, geometry: _Geometry) -> Array:
    *window, channels, features = kernel.shape
    columns = jnp.moveaxis(jnp.flip(kernel, range(len(window))), -2, 0).reshape(channels, -1)
    painted = _contract(inputs, columns, 0, geometry)
    # The picture and its padding from which unfolding with a stride would cut as many patches as there are inputs.
    padding = tuple((k - 1 - low, k - 1 - high) for k, (low, high) in zip(window, geometry.padding, strict=True))
    sizes = zip(inputs.shape[1:-1], window, geometry.dilation, padding, strict=True)
    space = [(size - 1) * step + k - low - high for size, k, step, (low, high) in sizes]
    picture = jax.ShapeDtypeStruct((len(inputs), *space, features), painted.dtype)
    unfold = partial(_unfold, window=window, strides=geometry.dilation, padding=padding)
    (folded,) = jax.linear_transpose(unfold, picture)(painted)
    return folded


def _unfold(pictures: Array, window: Sequence[int], strides: Sequence[int], padding: Pairs) -> Array:
    """The patch under each position of the window, as one axis ordered like a kernel's window and channels."""
    batch, *space, _ = pictures.shape
    each = list(zip(space, window, strides, padding, strict=True))
    positions = [(size + low + high - k) // step + 1 for size, k, step, (low, high) in each]
    # The picture in blocks of as many pixels as the window moves: what is cut out then has no strides.
    blocks = [n - 1 - (-k // step) for n, k, step in zip(positions, window, strides, strict=True)]
    whole = zip(blocks, each, strict=True)
    pictures = _pad(pictures, tuple((low, n * step - size - low) for n, (size, _, step, (low, _)) in whole))
    if window[-1] % strides[-1] == 0:  # The pixels of the last axis lie one beside the other: a block is cut as one.
        window, strides = (*window[:-1], window[-1] // strides[-1]), (*strides[:-1], 1)
    pairs = [size for pair in zip(blocks, strides, strict=True) for size in pair]
    pictures = pictures.reshape(batch, *pairs, -1)

    def pixel(offset: tuple[int, ...]) -> Array:
        cuts = zip(offset, positions, strides, strict=True)
        index = [part for start, n, step in cuts for part in (slice(start // step, start // step + n), start % step)]
        return pictures[:, *index]

    patches = jnp.stack([pixel(offset) for offset in itertools.product(*map(range, window))], axis=-2)
    return patches.reshape(batch, *positions, -1)


def _pad(pictures: Array, edges: Pairs) -> Array:
    """Put zeros around the pictures; a negative number takes pixels away."""
    return lax.pad(pictures, jnp.zeros((), pictures.dtype), [(0, 0, 0), *((*pair, 0) for pair in edges), (0, 0, 0)])


def _contract(left: Array, right: Array, axis: int, geometry: _Geometry) -> Array:
    """Sum over the last axis of the left and this one of the right matrix."""
    # bfloat16 is summed in float32, as XLA's convolution does.
    wide = jnp.promote_types(left.dtype, jnp.float32)
    numbers = (((left.ndim - 1,), (axis,)), ((), ()))
    return lax.dot_general(left, right, numbers, precision=geometry.precision, preferred_element_type=wide)
