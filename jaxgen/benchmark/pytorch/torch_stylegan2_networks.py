"""PyTorch copies of the networks of `jaxgen.nn.stylegan2_networks`: generator "skip", discriminator "resnet".

Modulated convolutions scale the input and output channels instead of one kernel per example, as the authors' code does
in training; filters are depthwise convolutions.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, leaky_relu

from jaxgen._numerics import ROOT_EPSILON
from jaxgen.benchmark.pytorch.torch_equalized import (
    EqualizedConv,
    EqualizedLinear,
    append_minibatch_stddev,
    pixel_norm,
)
from jaxgen.benchmark.pytorch.torch_networks import AtLeastFloat32, ToRows, channels_last, filled
from jaxgen.nn.equalized import GAIN, LEAK
from jaxgen.nn.resampling import BINOMIAL
from jaxgen.typing import Params


class Filter(nn.Module):
    """The separable filter of all resampling as a window; the layers of a network share one."""

    window: Tensor
    enlarging_window: Tensor

    def __init__(self) -> None:
        super().__init__()
        window = torch.tensor(np.outer(BINOMIAL, BINOMIAL), dtype=torch.float32)
        self.register_buffer("window", window)
        self.register_buffer("enlarging_window", 4 * window)

    def forward(self, x: Tensor, *, padding: int, stride: int = 1) -> Tensor:
        """Filter every channel."""
        filtered: Tensor = depthwise(x, self.window, stride, padding, False)
        return filtered

    def enlarge(self, x: Tensor) -> Tensor:
        """Double the image."""
        enlarged: Tensor = depthwise(x, self.enlarging_window, 2, 1, True)
        return enlarged


class Depthwise(torch.autograd.Function):
    """Convolution of every channel with one symmetric window, or its transpose, whose derivative is the other one.

    PyTorch's own derivative also computes the gradient by the window, channel by channel, where gradients of gradients
    are computed, although no window is trained; the authors' code has a function of its own too.
    """

    @staticmethod
    def forward(x: Tensor, window: Tensor, stride: int, padding: int, transposed: bool) -> Tensor:
        """Convolve."""
        channels = x.shape[1]
        apply = conv_transpose2d if transposed else conv2d
        windows = window.to(x.dtype).expand(channels, 1, -1, -1)
        return apply(x, windows, stride=stride, padding=padding, groups=channels)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep what the derivative needs."""
        _, window, ctx.stride, ctx.padding, ctx.transposed = inputs
        ctx.save_for_backward(window)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        """Return the gradient by the images."""
        (window,) = ctx.saved_tensors
        if ctx.stride == 1:  # The transpose is a convolution again, with the padding that gives the size of the images.
            options = (1, len(window) - 1 - ctx.padding, False)
        else:
            options = (ctx.stride, ctx.padding, not ctx.transposed)
        return depthwise(gradient, window, *options), None, None, None, None


depthwise: Callable[..., Any] = Depthwise.apply
"""The function of `Depthwise`."""


class Generator(nn.Module):
    """Copy of the generator with its mapping network, in training.

    Args:
        params: parameters of the Flax network.
        stats: statistics of the Flax network.
        decay: decay of the average of styles.
    """

    average: Tensor
    path_length: Tensor

    def __init__(self, params: Params, stats: Params, *, decay: float) -> None:
        super().__init__()
        mapping, synthesis = params["mapping"], params["synthesis"]
        layers = [mapping[f"fc{number}"] for number in range(len(mapping))]
        self.mapping = nn.ModuleList(EqualizedLinear(layer, multiplier=0.01, factor=GAIN) for layer in layers)
        self.register_buffer("average", torch.tensor(np.asarray(stats["latent_average"]["mapping"]["w"])))
        self.register_buffer("path_length", torch.tensor(np.asarray(stats["path_length"]["mean"])))
        self.decay = decay
        self.filter = Filter()
        self.channels: int = synthesis["b4"]["torgb"]["kernel"].shape[-1]
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
        assert image is not None
        return image.to(torch.promote_types(image.dtype, torch.float32))


class SynthesisBlock(nn.Module):
    """Copy of a block of the synthesis network."""

    def __init__(self, params: Params, window: Filter) -> None:
        super().__init__()
        self.filter = window
        self.conv0 = StyledConv(params["conv0"], window) if "conv0" in params else None
        self.conv1 = StyledConv(params["conv1"])
        self.torgb = ToRGB(params["torgb"])
        if "const" in params:
            self.const = nn.Parameter(torch.tensor(np.moveaxis(np.asarray(params["const"]), -1, 0)[None].copy()))

    def forward(
        self,
        x: Tensor | None,
        style: Tensor,
        layers: Iterator[Tensor],
        noise: Iterator[Tensor],
        image: Tensor | None,
        *,
        batch: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the new map, the style of the next layer, and the image so far."""
        if x is None or self.conv0 is None:
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

    def forward(self, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:  # type: ignore[override]
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
        assert self.bias is not None
        return leaky_relu(y + GAIN * self.bias[:, None, None], LEAK)

    def demodulation(self, styles: Tensor) -> Tensor:
        """Return the factor of each example and output channel."""
        squares = self.weight.square().sum(dim=(2, 3))
        return (styles.square() @ squares.t() + ROOT_EPSILON).rsqrt()


class ToRGB(ModulatedConv):
    """Copy of a map to colours."""

    def forward(self, x: Tensor, w: Tensor) -> Tensor:  # type: ignore[override]
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
        )
        self.output = nn.Sequential(EqualizedLinear(last["out"]), AtLeastFloat32(), nn.Flatten(0))
        channels_last(self)

    def trunk(self, image: Tensor) -> Tensor:
        """Return the features with their deviation over the batch."""
        x = leaky_relu(self.fromrgb(image), LEAK)
        for block in self.blocks:
            x = block(x)
        return append_minibatch_stddev(x, self.group)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits."""
        return self.output(self.epilogue(self.trunk(image)))


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
