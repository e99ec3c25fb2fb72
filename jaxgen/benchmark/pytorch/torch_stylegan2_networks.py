"""PyTorch copies of the networks of `jaxgen.nn.stylegan2_networks`: generator "skip", discriminator "resnet".

Modulated convolutions scale the input and output channels instead of one kernel per example, as the authors' code does
in training; filters are depthwise convolutions.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, leaky_relu

from jaxgen.benchmark.pytorch.torch_equalized import (
    EqualizedConv,
    EqualizedLinear,
    append_deviation,
    pixel_norm,
    scaled,
)
from jaxgen.benchmark.pytorch.torch_networks import AtLeastFloat32, ToRows, channels_last, filled
from jaxgen.nn.equalized import GAIN, LEAK
from jaxgen.nn.modulated_convolution import EPSILON
from jaxgen.nn.stylegan2_networks import TAPS
from jaxgen.typing import Params


class Filter(nn.Module):
    """The separable filter of all resampling as a window; the networks' layers share one."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.tensor(np.outer(TAPS, TAPS), dtype=torch.float32))

    def forward(self, x: Tensor, *, padding: int, stride: int = 1) -> Tensor:
        """Filter every channel."""
        channels = x.shape[1]
        return conv2d(x, self.window.expand(channels, 1, -1, -1), None, stride, padding, groups=channels)

    def enlarge(self, x: Tensor) -> Tensor:
        """Double the image."""
        channels = x.shape[1]
        return conv_transpose2d(x, 4 * self.window.expand(channels, 1, -1, -1), None, 2, 1, groups=channels)


class Generator(nn.Module):
    """Copy of the generator with its mapping network, in training.

    Args:
        params: parameters of the Flax network.
        stats: statistics of the Flax network.
        decay: decay of the average of styles.
    """

    def __init__(self, params: Params, stats: Params, *, decay: float) -> None:
        super().__init__()
        mapping, synthesis = params["mapping"], params["synthesis"]
        layers = [mapping[f"fc{number}"] for number in range(len(mapping))]
        self.mapping = nn.ModuleList(EqualizedLinear(layer, multiplier=0.01, factor=GAIN) for layer in layers)
        self.register_buffer("average", torch.tensor(np.asarray(stats["latent_average"]["mapping"]["w"])))
        self.register_buffer("path_length", torch.tensor(np.asarray(stats["path_length"]["mean"])))
        self.decay = decay
        self.filter = Filter()
        sizes = sorted(int(name[1:]) for name in synthesis)
        self.blocks = nn.ModuleList(SynthesisBlock(synthesis[f"b{size}"], self.filter) for size in sizes)
        self.styles = 2 * len(sizes)
        channels_last(self)

    def map(self, z: Tensor, *, follow: bool = False) -> Tensor:
        """Return the styles of latents, which the average may follow."""
        w = pixel_norm(z)
        for layer in self.mapping:
            w = leaky_relu(layer(w), LEAK)
        if follow:
            self.average.lerp_(w.detach().mean(dim=0).to(self.average.dtype), 1 - self.decay)
        return w

    def mixed_styles(self, first: Tensor, second: Tensor, crossover: Tensor) -> Tensor:
        """Return styles `[batch, styles, style]`: of the second latents from the crossover on."""
        keep = torch.arange(self.styles, device=first.device)[:, None] < crossover
        return torch.where(keep, self.map(first, follow=True)[:, None], self.map(second)[:, None])

    def forward(self, w: Tensor, noise: Sequence[Tensor]) -> Tensor:
        """Return the images of styles, with one noise image for each convolution."""
        layers, images = iter(w.unbind(dim=1)), iter(noise)
        style = next(layers)
        x, image = None, None
        for block in self.blocks:
            # The map to colours has the style of the next convolution.
            x, style, image = block(x, style, layers, images, image, batch=len(w))
        return image.to(torch.promote_types(image.dtype, torch.float32))


class SynthesisBlock(nn.Module):
    """Copy of a block of the synthesis network."""

    def __init__(self, params: Params, window: Filter) -> None:
        super().__init__()
        self.filter = window
        self.conv0 = StyledConv(params["conv0"], window) if "conv0" in params else None
        self.conv1 = StyledConv(params["conv1"])
        self.torgb = ToColours(params["torgb"])
        if "const" in params:
            self.const = nn.Parameter(torch.tensor(np.moveaxis(np.asarray(params["const"]), -1, 0)[None].copy()))

    def forward(self, x, style, layers, noise, image, *, batch):  # type: ignore[no-untyped-def]
        """Return the new map, the style of the next layer, and the image so far."""
        if self.conv0 is None:
            x = self.const.expand(batch, -1, -1, -1)
        else:
            x, style = self.conv0(x, style, next(noise)), next(layers)
        x, style = self.conv1(x, style, next(noise)), next(layers)
        colours = self.torgb(x, style)
        return x, style, colours if image is None else self.filter.enlarge(image) + colours


class ModulatedConv(nn.Conv2d):
    """A convolution whose input channels are scaled by the style, and whose output channels may be demodulated."""

    def __init__(self, params: Params) -> None:
        size, _, inputs, outputs = params["kernel"].shape
        super().__init__(inputs, outputs, size, padding=size // 2)
        self.affine = EqualizedLinear(params["affine"])
        filled(self, weight=np.transpose(params["kernel"], (3, 2, 0, 1)), bias=params["bias"])


class StyledConv(ModulatedConv):
    """Copy of a layer of the synthesis network; with a filter it doubles the map."""

    def __init__(self, params: Params, window: Filter | None = None) -> None:
        super().__init__(params)
        self.filter = window
        self.noise_strength = nn.Parameter(torch.tensor(np.asarray(params["noise_strength"])))

    def forward(self, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        """Apply the layer."""
        styles = self.affine(w)
        x = x * styles[:, :, None, None]
        if self.filter is None:
            y = conv2d(x, self.weight, padding=1)
        else:
            enlarged = conv_transpose2d(x, 4 * self.weight.transpose(0, 1), stride=2)
            y = self.filter(enlarged, padding=1)
        # The gain of the activation is that of all three terms.
        factors = GAIN * self.demodulation(styles)
        y = torch.addcmul(GAIN * self.noise_strength * noise, y, factors[:, :, None, None])
        return leaky_relu(y + GAIN * self.bias[:, None, None], LEAK)

    def demodulation(self, styles: Tensor) -> Tensor:
        """Return the factor of each example and output channel."""
        squares = self.weight.square().sum(dim=(2, 3))
        return (styles.square() @ squares.t() + EPSILON).rsqrt()


class ToColours(ModulatedConv):
    """Copy of a map to colours."""

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Apply the layer."""
        styles = self.affine(w) / math.sqrt(x.shape[1])
        return conv2d(x * styles[:, :, None, None], self.weight, self.bias)


class Discriminator(nn.Module):
    """Copy of the discriminator.

    Args:
        params: parameters of the Flax network.
        group: number of examples in a group of the minibatch standard deviation.
    """

    def __init__(self, params: Params, *, group: int) -> None:
        super().__init__()
        self.group = group
        self.filter = Filter()
        sizes = sorted((int(name[1:]) for name in params if name != "b4"), reverse=True)
        self.fromrgb = EqualizedConv(params[f"b{sizes[0]}"]["fromrgb"], factor=GAIN)
        self.blocks = nn.ModuleList(DiscriminatorBlock(params[f"b{size}"], self.filter) for size in sizes)
        last = params["b4"]
        self.epilogue = nn.Sequential(
            EqualizedConv(last["conv"], factor=GAIN),
            nn.LeakyReLU(LEAK, inplace=True),
            ToRows(),
            EqualizedLinear(last["fc"], factor=GAIN),
            nn.LeakyReLU(LEAK, inplace=True),
            EqualizedLinear(last["out"]),
            AtLeastFloat32(),
            nn.Flatten(0),
        )
        channels_last(self)

    def trunk(self, image: Tensor) -> Tensor:
        """Return the features with their deviation over the batch."""
        x = leaky_relu(self.fromrgb(image), LEAK)
        for block in self.blocks:
            x = block(x)
        return append_deviation(x, self.group)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits."""
        return self.epilogue(self.trunk(image))


class DiscriminatorBlock(nn.Module):
    """Copy of a block of the discriminator, whose two branches are multiplied by the root of 1/2."""

    def __init__(self, params: Params, window: Filter) -> None:
        super().__init__()
        self.filter = window
        self.conv0 = EqualizedConv(params["conv0"], factor=GAIN)
        self.conv1 = EqualizedConv(params["conv1"], factor=GAIN * math.sqrt(0.5), stride=2, padding=0)
        self.skip = EqualizedConv(params["skip"], gain=math.sqrt(0.5))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        y = leaky_relu(self.conv0(x), LEAK)
        y = leaky_relu(self.conv1(self.filter(y, padding=2)), LEAK)
        return self.skip(self.filter(x, padding=1, stride=2)) + y
