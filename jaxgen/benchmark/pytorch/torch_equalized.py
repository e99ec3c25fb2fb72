"""PyTorch copies of layers with an equalized learning rate, and of what their networks share.

Every weight is stored with variance 1 and scaled at every use. A leaky ReLU is homogeneous, `lrelu(c x) = c lrelu(x)`
for positive c, so that a factor after it costs nothing: it is one of the small weights before it.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear

from jaxgen._numerics import ROOT_EPSILON
from jaxgen.benchmark.pytorch.torch_networks import bias_of, filled
from jaxgen.typing import Params


class EqualizedLinear(nn.Linear):
    """Copy of a `jaxgen.nn.equalized.EqualizedDense`.

    Args:
        params: parameters of the Flax layer.
        gain: factor of the weights.
        multiplier: learning rate multiplier.
        factor: factor of weights and bias, that of an activation which follows.
    """

    def __init__(self, params: Params, *, gain: float = 1.0, multiplier: float = 1.0, factor: float = 1.0) -> None:
        inputs, outputs = params["kernel"].shape
        super().__init__(inputs, outputs, bias="bias" in params)
        self.scale = factor * gain * multiplier / math.sqrt(inputs)
        self.bias_scale = factor * multiplier
        filled(self, weight=np.transpose(params["kernel"]), **bias_of(params))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer."""
        return linear(x, self.weight * self.scale, scaled(self.bias, self.bias_scale))


class EqualizedConv(nn.Conv2d):
    """Copy of a `jaxgen.nn.equalized.EqualizedConv`.

    Args:
        params: parameters of the Flax layer.
        gain: factor of the weights.
        factor: factor of weights and bias, that of an activation which follows.
        stride: stride of the window.
        padding: zeros on all sides; None for as many as keep the size.
    """

    def __init__(
        self, params: Params, *, gain: float = 1.0, factor: float = 1.0, stride: int = 1, padding: int | None = None
    ) -> None:
        size, _, inputs, outputs = params["kernel"].shape
        around = size // 2 if padding is None else padding
        super().__init__(inputs, outputs, size, stride, around, bias="bias" in params)
        self.scale, self.bias_scale = factor * gain / math.sqrt(size**2 * inputs), factor
        filled(self, weight=np.transpose(params["kernel"], (3, 2, 0, 1)), **bias_of(params))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer."""
        bias = scaled(self.bias, self.bias_scale)
        return conv2d(x, self.weight * self.scale, bias, self.stride, self.padding)


def pixel_norm(x: Tensor) -> Tensor:
    """Divide vectors along the second axis by the root of their mean square."""
    return x * (x.square().mean(dim=1, keepdim=True) + ROOT_EPSILON).rsqrt()


def append_minibatch_stddev(x: Tensor, group: int) -> Tensor:
    """Append the mean standard deviation over the examples of strided groups as a channel."""
    size = min(group, len(x))
    groups = x.unflatten(0, (size, -1)).to(torch.promote_types(x.dtype, torch.float32))
    deviation = (groups.var(dim=0, unbiased=False) + ROOT_EPSILON).sqrt().mean(dim=(1, 2, 3))
    channel = deviation.to(x.dtype).repeat(size)[:, None, None, None].expand(-1, 1, *x.shape[2:])
    return torch.cat([x, channel], dim=1)


def scaled(bias: Tensor | None, scale: float) -> Tensor | None:
    """Return a bias times a factor."""
    return bias if bias is None or scale == 1.0 else bias * scale
