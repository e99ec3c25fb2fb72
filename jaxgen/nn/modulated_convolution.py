"""Convolution whose kernel is scaled for each example by a style, and demodulated (Karras et al. 2020).

    w'_i = s_i w_i,    w''_ij = w'_ij / sqrt(sum_{i, window} w'_ij^2 + 1e-8)

for input channel i and output channel j. Demodulation divides by the standard deviation that the output of normal
inputs would have; it replaces the instance normalization of StyleGAN, without looking at the features.

It is computed in one of two forms. "scaled", the default, multiplies the input channels by the style, convolves all
examples with the one kernel, and multiplies the output channels by the demodulation. "grouped" makes a kernel for each
example and computes one convolution with a group of channels for each. On two cores of an EPYC under other load, the
value and the gradients of "grouped" took 5.7, 3.3, 1.06, 2.0 and 1.45 times as long (32 maps of 8x8x64 to 64 channels,
32 of 16x16x64 to 64, 32 of 32x32x32 to 32, 32 of 16x16x64 to 32 with enlargement, 8 of 32x32x128 to 128;
`benchmarks/modulated_convolution.py`). No accelerator was measured.
"""

from typing import Literal, TypeAlias

import jax
import jax.numpy as jnp

from jaxgen._numerics import ROOT_EPSILON
from jaxgen.nn.equalized import resampled_convolution
from jaxgen.nn.resampling import BINOMIAL, Filter
from jaxgen.typing import Array, Float

Form: TypeAlias = Literal["scaled", "grouped"]
"""How the convolution is computed: by one kernel and scaled features, or by a kernel for each example."""


def modulated_convolution(
    x: Float[Array, "batch height width channels"],
    kernel: Float[Array, "size size channels features"],
    styles: Float[Array, "batch channels"],
    *,
    demodulate: bool = True,
    up: int = 1,
    taps: Filter = BINOMIAL,
    form: Form = "scaled",
) -> Float[Array, "batch rows columns features"]:
    """Convolve each example with a kernel that its style has scaled.

    Args:
        x: features.
        kernel: window of weights.
        styles: factor of each input channel.
        demodulate: whether the kernels are divided by their norms.
        up: factor by which the image is enlarged.
        taps: filter of the enlargement, with the sum 1.
        form: how it is computed; both forms are the same function.

    Returns:
        The features.

    Reference:
        Karras et al. 2020, arXiv:1912.04958, section 2.2, equations 1 to 3.

    Example:
        >>> x, kernel = jnp.ones((2, 4, 4, 3)), jnp.ones((3, 3, 3, 5))
        >>> modulated_convolution(x, kernel, jnp.array([[1.0, 1, 1], [2, 2, 2]]))[:, 1, 1, 0].round(3)
        Array([5.196, 5.196], dtype=float32)
    """
    factors = _demodulation(kernel, styles) if demodulate else None
    if form == "scaled":
        y = resampled_convolution(x * styles[:, None, None].astype(x.dtype), kernel.astype(x.dtype), taps, up=up)
        return y if factors is None else y * factors[:, None, None].astype(x.dtype)
    kernels = kernel * styles[:, None, None, :, None]
    if factors is not None:
        kernels = kernels * factors[:, None, None, None]

    def one(example: Array, own: Array) -> Array:
        return resampled_convolution(example[None], own, taps, up=up)[0]

    return jax.vmap(one)(x, kernels.astype(x.dtype))


def _demodulation(
    kernel: Float[Array, "size size channels features"], styles: Float[Array, "batch channels"]
) -> Float[Array, "batch features"]:
    """1 / sqrt(sum of the squares of a kernel that a style has scaled), of each example and output channel."""
    wide = jnp.promote_types(kernel.dtype, jnp.float32)
    squares = jnp.square(kernel.astype(wide)).sum(axis=(0, 1))
    return jax.lax.rsqrt(jnp.square(styles.astype(wide)) @ squares + ROOT_EPSILON)
