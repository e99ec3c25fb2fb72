"""PyTorch copies of jaxgen's networks: the same layers with the same weights, channels last in memory.

Every function maps the parameters of a Flax layer or network to the PyTorch module that computes the same. Images are
`[batch, channels, height, width]`. Shapes are taken from the weights. The output of a network is float32 also where its
products are in bfloat16, because losses are computed from it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from jaxgen.nn.dcgan import LEAK, map_sizes
from jaxgen.nn.halved_sizes import halved_sizes
from jaxgen.typing import Params

Size = tuple[int, int]


def linear(params: Params) -> nn.Linear:
    """Return the copy of a `linen.Dense`."""
    inputs, outputs = params["kernel"].shape
    return filled(nn.Linear(inputs, outputs), weight=np.transpose(params["kernel"]), bias=params["bias"])


def convolution(params: Params, *, stride: int = 1, padding: int = 0) -> nn.Conv2d:
    """Return the copy of a `linen.Conv` with equal padding on all sides."""
    *window, inputs, outputs = params["kernel"].shape
    layer = nn.Conv2d(inputs, outputs, window, stride, padding, bias="bias" in params)
    return filled(layer, weight=np.transpose(params["kernel"], (3, 2, 0, 1)), **bias_of(params))


def transposed_convolution(params: Params, *, stride: int = 1, padding: int = 0) -> nn.ConvTranspose2d:
    """Return the copy of a `linen.ConvTranspose`, which unlike PyTorch's does not flip the kernel."""
    *window, inputs, outputs = params["kernel"].shape
    layer = nn.ConvTranspose2d(inputs, outputs, window, stride, padding, bias="bias" in params)
    flipped = np.flip(params["kernel"], axis=(0, 1))
    return filled(layer, weight=np.transpose(flipped, (2, 3, 0, 1)), **bias_of(params))


def batch_norm(params: Params) -> nn.BatchNorm2d:
    """Return the copy of a `linen.BatchNorm` in training.

    PyTorch's momentum is the weight of the new statistics, Flax's that of the old ones.
    """
    layer = nn.BatchNorm2d(len(params["scale"]), eps=1e-5, momentum=0.1)
    return filled(layer, weight=params["scale"], bias=params["bias"])


def halving(params: Params, size: Size) -> list[nn.Module]:
    """Return a 4x4 convolution with stride 2 and padding "SAME", for feature maps of this size.

    An odd side needs three pixels of padding, of which two are at the end.
    """
    return [*_end_padding(size, 1), convolution(params, stride=2, padding=1)]


def doubling(params: Params, size: Size) -> list[nn.Module]:
    """Return a 4x4 transposed convolution with stride 2 and padding "SAME", cropped to feature maps of this size."""
    return [transposed_convolution(params, stride=2, padding=1), *_end_padding(size, -1)]


def mlp(params: Params, activation: nn.Module) -> nn.Sequential:
    """Return the copy of a `jaxgen.nn.mlp.MLP` with inputs `[batch, features]`."""
    layers: list[nn.Module] = []
    for i in range(len(params)):
        layers += [linear(params[f"Dense_{i}"]), activation]
    return nn.Sequential(*layers[:-1], AtLeastFloat32())


def conv_encoder(params: Params, size: Size) -> nn.Sequential:
    """Return the copy of a `jaxgen.nn.conv_autoencoder.ConvEncoder`.

    Args:
        params: parameters of the Flax network.
        size: height and width of the images.

    Returns:
        `[batch, channels, height, width] -> [batch, features]`.
    """
    layers: list[nn.Module] = []
    for i, source in enumerate(halved_sizes(*size)[:-1]):
        layers += [*halving(params[f"Conv_{i}"], source), nn.ReLU(inplace=True)]
    layers += [ToRows(), linear(params["Dense_0"]), AtLeastFloat32()]
    return channels_last(nn.Sequential(*layers))


def conv_decoder(params: Params, size: Size) -> nn.Sequential:
    """Return the copy of a `jaxgen.nn.conv_autoencoder.ConvDecoder`.

    Args:
        params: parameters of the Flax network.
        size: height and width of the images.

    Returns:
        `[batch, latent_dim] -> [batch, channels, height, width]`.
    """
    *targets, smallest = halved_sizes(*size)
    layers: list[nn.Module] = [linear(params["Dense_0"]), ToMaps(smallest)]
    for i, target in enumerate(reversed(targets)):
        layers += [nn.ReLU(inplace=True), *doubling(params[f"ConvTranspose_{i}"], target)]
    return channels_last(nn.Sequential(*layers, AtLeastFloat32()))


class Discriminator(nn.Module):
    """Copy of a `jaxgen.nn.dcgan.Discriminator` in training: `[batch, channels, height, width] -> [batch, outputs]`.

    Args:
        params: parameters of the Flax network.
        size: height and width of the images.
    """

    def __init__(self, params: Params, size: Size) -> None:
        super().__init__()
        sizes = map_sizes(*size)
        layers: list[nn.Module] = []
        for i in range(len(sizes) - 1):
            layers += halving(params[f"Conv_{i}"], sizes[i])
            if (name := f"BatchNorm_{i - 1}") in params:
                layers.append(batch_norm(params[name]))
            layers.append(nn.LeakyReLU(LEAK, inplace=True))
        self.hidden = nn.Sequential(*layers)
        self.output = nn.Sequential(convolution(params[f"Conv_{len(sizes) - 1}"]), nn.Flatten(), AtLeastFloat32())
        channels_last(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map a batch of images to a batch of outputs."""
        return self.output(self.hidden(x))


def generator(params: Params, size: Size) -> nn.Sequential:
    """Return the copy of a `jaxgen.nn.dcgan.Generator` in training, followed by tanh.

    Args:
        params: parameters of the Flax network.
        size: height and width of the images.

    Returns:
        `[batch, latent_dim] -> [batch, channels, height, width]` with values in [-1, 1].
    """
    sizes = map_sizes(*size)
    first = transposed_convolution(params["ConvTranspose_0"])
    layers: list[nn.Module] = [nn.Unflatten(1, (first.in_channels, 1, 1)), first]
    for i, target in enumerate(sizes[-2::-1]):
        layers += [batch_norm(params[f"BatchNorm_{i}"]), nn.ReLU(inplace=True)]
        layers += doubling(params[f"ConvTranspose_{i + 1}"], target)
    return channels_last(nn.Sequential(*layers, AtLeastFloat32(), nn.Tanh()))


def residual_network(params: Params) -> nn.Sequential:
    """Return the copy of a `jaxgen.nn.resnet.ResNet` in training.

    Args:
        params: parameters of the Flax network.

    Returns:
        `[batch, channels, height, width] -> [batch, classes]`.
    """
    first = [convolution(params["Conv_0"], padding=1), batch_norm(params["BatchNorm_0"]), nn.ReLU(inplace=True)]
    count = sum(name.startswith("ResidualBlock") for name in params)
    blocks = [_ResidualBlock(params[f"ResidualBlock_{i}"]) for i in range(count)]
    last = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear(params["Dense_0"]), AtLeastFloat32()]
    return channels_last(nn.Sequential(*first, *blocks, *last))


class _ResidualBlock(nn.Module):
    """Copy of a `jaxgen.nn.resnet.ResidualBlock`; blocks with more output than input channels halve the image."""

    def __init__(self, params: Params) -> None:
        super().__init__()
        *_, inputs, outputs = params["Conv_0"]["kernel"].shape
        self.stride = 1 if inputs == outputs else 2
        self.new_channels = outputs - inputs
        self.change = nn.Sequential(
            convolution(params["Conv_0"], stride=self.stride, padding=1),
            batch_norm(params["BatchNorm_0"]),
            nn.ReLU(inplace=True),
            convolution(params["Conv_1"], padding=1),
            batch_norm(params["BatchNorm_1"]),
        )

    def forward(self, x: Tensor) -> Tensor:
        kept = x
        if self.stride > 1:
            kept = nn.functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new_channels))
        return torch.relu(kept + self.change(x))


class ToRows(nn.Module):
    """Flatten feature maps in the order of their memory, channels last, which needs no copy."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the rows."""
        return x.permute(0, 2, 3, 1).flatten(1)


class ToMaps(nn.Module):
    """The inverse of `ToRows`, for feature maps of this size."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """Return the feature maps."""
        return x.unflatten(1, (*self.size, -1)).permute(0, 3, 1, 2)


class AtLeastFloat32(nn.Module):
    """Conversion of narrower types to float32."""

    def forward(self, x: Tensor) -> Tensor:
        """Return float32, or float64."""
        return x.to(torch.promote_types(x.dtype, torch.float32))


def channels_last(network: Any) -> Any:
    """Return the network, with the channels of its weights last in memory."""
    return network.to(memory_format=torch.channels_last)


def _end_padding(size: Size, pixels: int) -> Sequence[nn.Module]:
    """Zeros after the last row and the last column of the sides that are odd; a negative number crops pixels."""
    rows, columns = size
    return [nn.ZeroPad2d((0, columns % 2 * pixels, 0, rows % 2 * pixels))] if rows % 2 or columns % 2 else []


def bias_of(params: Params) -> Params:
    """Return the bias of a layer that has one."""
    return {"bias": params["bias"]} if "bias" in params else {}


def filled(layer: Any, **values: Any) -> Any:
    """Return the layer, with these weights assigned to it."""
    with torch.no_grad():
        for name, value in values.items():
            getattr(layer, name).copy_(torch.tensor(np.ascontiguousarray(value)))
    return layer
