"""StyleGAN2's networks of all architectures in PyTorch, as functions of the authors' state dicts, for the tests.

Written from the definitions of Karras et al. 2020, arXiv:1912.04958, section 4.1 and figure 7, and the constants of the
authors' program of 2020: tensors have channels first, and names are those of its modules. What is computed here for the
stored arrays of their program, a generator "skip" and a discriminator "resnet" without classes, is compared in
`test_stylegan2_architectures.py`.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

TAPS = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=torch.float64) / 8
HALF = math.sqrt(0.5)
"""Factor of the two summands of a residual block."""


class Network:
    """A network as its state dict, in float64."""

    def __init__(self, state: Mapping[str, np.ndarray]) -> None:
        self.arrays = {name: torch.tensor(np.asarray(array, np.float64)) for name, array in state.items()}
        self.used: set[str] = set()

    def __getitem__(self, name: str) -> Tensor:
        self.used.add(name)
        return self.arrays[name]

    def dense(self, name: str, x: Tensor, *, multiplier: float = 1.0) -> Tensor:
        weight, bias = self[f"{name}.weight"], self[f"{name}.bias"]
        return x @ weight.T * (multiplier / math.sqrt(weight.shape[1])) + multiplier * bias

    def conv(self, name: str, x: Tensor, *, bias: bool = True) -> Tensor:
        """Return a convolution with the scale of the equalized learning rate, without an activation."""
        weight = self[f"{name}.weight"]
        y = functional.conv2d(x, weight / math.sqrt(weight[0].numel()), padding=weight.shape[-1] // 2)
        return y + _column(self[f"{name}.bias"]) if bias else y

    def reducing_conv(self, name: str, x: Tensor) -> Tensor:
        weight = self[f"{name}.weight"]
        y = functional.conv2d(_filtered(x, padding=2), weight / math.sqrt(weight[0].numel()), stride=2)
        return y + _column(self[f"{name}.bias"])

    def mapped(self, z: Tensor | None, labels: Tensor | None, *, layers: int) -> Tensor:
        """Return w: dense layers of the normalized latent and the normalized embedding of the class."""
        parts = [] if z is None else [_normalized(z)]
        if labels is not None:
            classes = self["mapping.embed.weight"].shape[1]
            indicators = functional.one_hot(labels, classes).to(torch.float64)
            parts.append(_normalized(self.dense("mapping.embed", indicators)))
        x = torch.cat(parts, dim=1)
        for number in range(layers):
            x = _activated(self.dense(f"mapping.fc{number}", x, multiplier=0.01))
        return x

    def styled_conv(self, name: str, x: Tensor, w: Tensor, *, up: bool = False, gain: float = 1.0) -> Tensor:
        """Return a layer of the synthesis network, with one kernel for each image."""
        styles, images = self.dense(f"{name}.affine", w), []
        for image, style in zip(x, styles, strict=True):
            kernel = self[f"{name}.weight"] * style[:, None, None]
            kernel = kernel / (kernel.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
            if up:
                enlarged = functional.conv_transpose2d(image[None], kernel.transpose(0, 1), stride=2)
                images.append(4 * _filtered(enlarged, padding=1))
            else:
                images.append(functional.conv2d(image[None], kernel, padding=1))
        noise = self[f"{name}.noise_strength"] * self[f"{name}.noise_const"]
        return gain * _activated(torch.cat(images) + noise + _column(self[f"{name}.bias"]))

    def colours(self, name: str, x: Tensor, w: Tensor) -> Tensor:
        styles = self.dense(f"{name}.affine", w) / math.sqrt(x.shape[1])
        modulated = x * styles[:, :, None, None]
        return functional.conv2d(modulated, self[f"{name}.weight"]) + _column(self[f"{name}.bias"])


def generate(net: Network, z: Tensor, labels: Tensor | None, *, size: int, architecture: str, layers: int) -> Tensor:
    """Return the images of latents, with the stored noise images and one style in all layers."""
    w = net.mapped(z, labels, layers=layers)
    x = net["synthesis.b4.const"].expand(len(z), -1, -1, -1)
    x = net.styled_conv("synthesis.b4.conv1", x, w)
    image = net.colours("synthesis.b4.torgb", x, w) if architecture == "skip" else None
    for each in _doubled(8, size):
        block, residual = f"synthesis.b{each}", architecture == "resnet"
        shortcut = _enlarged(net.conv(f"{block}.skip", x, bias=False)) if residual else None
        x = net.styled_conv(f"{block}.conv0", x, w, up=True)
        x = net.styled_conv(f"{block}.conv1", x, w, gain=HALF if residual else 1.0)
        if shortcut is not None:
            x = HALF * shortcut + x
        if architecture == "skip":
            assert image is not None
            image = _enlarged(image) + net.colours(f"{block}.torgb", x, w)
    return net.colours(f"synthesis.b{size}.torgb", x, w) if image is None else image


def discriminate(
    net: Network, image: Tensor, labels: Tensor | None, *, architecture: str, group: int, layers: int = 8
) -> Tensor:
    """Return the logits of images."""
    size = image.shape[-1]
    x = _activated(net.conv(f"b{size}.fromrgb", image))
    for each in reversed(_doubled(8, size)):
        y = _activated(net.reducing_conv(f"b{each}.conv1", _activated(net.conv(f"b{each}.conv0", x))))
        if architecture == "resnet":
            y = HALF * y + HALF * net.conv(f"b{each}.skip", _reduced(x), bias=False)
        x = y
        if architecture == "skip":
            image = _reduced(image)
            x = x + _activated(net.conv(f"b{each // 2}.fromrgb", image))
    groups = x.reshape(group, -1, *x.shape[1:])  # Examples i, i + n / group, ... are a group.
    deviation = (groups.var(dim=0, unbiased=False) + 1e-8).sqrt().mean(dim=(1, 2, 3))
    deviation = deviation.repeat(group)[:, None, None, None].expand(-1, 1, *x.shape[2:])
    x = _activated(net.conv("b4.conv", torch.cat([x, deviation], dim=1)))
    x = net.dense("b4.out", _activated(net.dense("b4.fc", x.flatten(1))))
    if labels is None:
        return x[:, 0]
    return (x * net.mapped(None, labels, layers=layers)).sum(dim=1) / math.sqrt(x.shape[1])


def _doubled(first: int, last: int) -> Sequence[int]:
    return [2**power for power in range(first.bit_length() - 1, last.bit_length())]


def _column(bias: Tensor) -> Tensor:
    return bias[:, None, None]


def _activated(x: Tensor) -> Tensor:
    return math.sqrt(2) * functional.leaky_relu(x, 0.2)


def _normalized(x: Tensor) -> Tensor:
    return x / (x.square().mean(dim=1, keepdim=True) + 1e-8).sqrt()


def _window(channels: int) -> Tensor:
    return torch.outer(TAPS, TAPS).expand(channels, 1, 4, 4)


def _filtered(x: Tensor, *, padding: int) -> Tensor:
    return functional.conv2d(x, _window(x.shape[1]), padding=padding, groups=x.shape[1])


def _enlarged(x: Tensor) -> Tensor:
    window = 4 * _window(x.shape[1])
    return functional.conv_transpose2d(x, window, stride=2, padding=1, groups=x.shape[1])


def _reduced(x: Tensor) -> Tensor:
    return functional.conv2d(x, _window(x.shape[1]), stride=2, padding=1, groups=x.shape[1])
