"""PyTorch copies of the networks of `jaxgen.nn.progressive_networks` whose layers have all faded in.

The filter of all resampling is the mean over 2x2 pixels. It follows a transposed convolution, or precedes a convolution
with stride 2, which is less work than one convolution with a window of 4x4 pixels.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv_transpose2d, leaky_relu

from jaxgen.benchmark.pytorch.torch_equalized import EqualizedConv, EqualizedLinear, append_minibatch_stddev, pixel_norm
from jaxgen.benchmark.pytorch.torch_networks import AtLeastFloat32, ToMaps, ToRows, channels_last, filled
from jaxgen.nn.equalized import GAIN, LEAK
from jaxgen.nn.resolutions import SMALLEST_RESOLUTION
from jaxgen.typing import Params


class Generator(nn.Module):
    """Copy of the generator.

    Args:
        params: parameters of the Flax network.
        sizes: sizes of its feature maps.
    """

    def __init__(self, params: Params, sizes: list[int]) -> None:
        super().__init__()
        first, *larger = (params[f"b{size}"] for size in sizes)
        self.dense = EqualizedLinear(first["dense"], gain=GAIN / 4)
        self.to_maps = ToMaps((SMALLEST_RESOLUTION, SMALLEST_RESOLUTION))
        self.bias = nn.Parameter(torch.tensor(np.asarray(first["bias"])))
        layers: list[nn.Module] = [EqualizedConv(first["conv"], gain=GAIN)]
        for block in larger:
            layers += [EnlargingConv(block["conv0_up"]), EqualizedConv(block["conv1"], gain=GAIN)]
        self.layers = nn.ModuleList(layers)
        self.torgb = nn.Sequential(EqualizedConv(params[f"torgb{sizes[-1]}"]), AtLeastFloat32())
        channels_last(self)

    def forward(self, z: Tensor) -> Tensor:
        """Return the images of latents."""
        x = normalized(self.to_maps(self.dense(pixel_norm(z))) + self.bias[:, None, None])
        for layer in self.layers:
            x = normalized(layer(x))
        images: Tensor = self.torgb(x)
        return images


class EnlargingConv(nn.ConvTranspose2d):
    """Copy of a convolution that doubles the map."""

    def __init__(self, params: Params) -> None:
        size, _, inputs, outputs = params["kernel"].shape
        super().__init__(inputs, outputs, size, stride=2)
        self.scale = 4 * GAIN / math.sqrt(size**2 * inputs)
        filled(self, weight=np.transpose(params["kernel"], (2, 3, 0, 1)), bias=params["bias"])

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """Apply the layer; the mean does not change the bias."""
        return avg_pool2d(conv_transpose2d(x, self.weight * self.scale, self.bias, stride=2), 2, stride=1)


class Discriminator(nn.Module):
    """Copy of the discriminator, which reduces maps within its convolutions.

    Args:
        params: parameters of the Flax network.
        sizes: sizes of its feature maps.
        group: number of examples in a group of the minibatch standard deviation.
    """

    def __init__(self, params: Params, sizes: list[int], *, group: int) -> None:
        super().__init__()
        self.group = group
        layers: list[nn.Module] = [EqualizedConv(params[f"fromrgb{sizes[-1]}"], gain=GAIN), nn.LeakyReLU(LEAK, True)]
        for size in reversed(sizes[1:]):
            block = params[f"b{size}"]
            layers += [
                EqualizedConv(block["conv0"], gain=GAIN),
                nn.LeakyReLU(LEAK, inplace=True),
                nn.AvgPool2d(2, stride=1, padding=1),
                EqualizedConv(block["conv1_down"], gain=GAIN, stride=2, padding=0),
                nn.LeakyReLU(LEAK, inplace=True),
            ]
        self.features = nn.Sequential(*layers)
        self.epilogue = nn.Sequential(
            EqualizedConv(params["conv"], gain=GAIN),
            nn.LeakyReLU(LEAK, inplace=True),
            ToRows(),
            EqualizedLinear(params["dense0"], gain=GAIN),
            nn.LeakyReLU(LEAK, inplace=True),
        )
        self.output = nn.Sequential(EqualizedLinear(params["dense1"]), AtLeastFloat32(), nn.Flatten(0))
        channels_last(self)

    def trunk(self, image: Tensor) -> Tensor:
        """Return the features with their deviation over the batch."""
        return append_minibatch_stddev(self.features(image), self.group)

    def forward(self, image: Tensor) -> Tensor:
        """Return the critic values."""
        values: Tensor = self.output(self.epilogue(self.trunk(image)))
        return values


def normalized(x: Tensor) -> Tensor:
    """Apply the activation and normalize every pixel."""
    return pixel_norm(leaky_relu(x, LEAK))
