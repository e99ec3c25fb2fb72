"""BigGAN and BigGAN-deep in PyTorch, as functions of the state dicts of ajbrock/BigGAN-PyTorch, for the tests.

Written from the definitions of its layers: tensors have channels first, and names are those of its modules. What is
computed here is compared with the arrays of the authors' code in `test_biggan_arrays.py`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


class Network:
    """A network as its state dict.

    Attributes:
        arrays: tensors of the state dict in float64; weights require gradients.
        stored: new values of the statistics after passes in training.
        used: names that were read.
    """

    def __init__(self, state: Mapping[str, np.ndarray], *, train: bool, epsilon: float) -> None:
        self.arrays = {
            name: torch.tensor(array, dtype=torch.float64, requires_grad=not is_statistic(name))
            for name, array in state.items()
        }
        self.train, self.epsilon = train, epsilon
        self.stored: dict[str, Tensor] = {}
        self.used: set[str] = set()

    def __getitem__(self, name: str) -> Tensor:
        self.used.add(name)
        return self.arrays[name]

    def normalized(self, name: str) -> Tensor:
        """Return a weight divided by the estimate of its largest singular value; rows are the first axis."""
        weight = self[f"{name}.weight"]
        rows = weight.flatten(1)
        with torch.no_grad():
            v = functional.normalize(self[f"{name}.u0"] @ rows, eps=self.epsilon)
            u = functional.normalize(v @ rows.T, eps=self.epsilon)
        sigma = (v @ rows.T @ u.T).squeeze()
        self.used.add(f"{name}.sv0")
        if self.train:
            self.stored |= {f"{name}.u0": u, f"{name}.sv0": sigma.detach()[None]}
        return weight / sigma

    def conv(self, name: str, x: Tensor, *, bias: bool = True) -> Tensor:
        weight = self.normalized(name)
        return functional.conv2d(x, weight, self[f"{name}.bias"] if bias else None, padding=weight.shape[-1] // 2)

    def linear(self, name: str, x: Tensor, *, bias: bool = True) -> Tensor:
        return functional.linear(x, self.normalized(name), self[f"{name}.bias"] if bias else None)

    def standardize(self, name: str, x: Tensor) -> Tensor:
        mean, variance = self[f"{name}.stored_mean"].clone(), self[f"{name}.stored_var"].clone()
        y = functional.batch_norm(x, mean, variance, training=self.train, momentum=0.1, eps=1e-5)
        if self.train:
            self.stored |= {f"{name}.stored_mean": mean, f"{name}.stored_var": variance}
        return y

    def conditional_norm(self, name: str, x: Tensor, condition: Tensor) -> Tensor:
        if condition.dtype == torch.int64:
            gain, bias = (self[f"{name}.{kind}.weight"][condition] for kind in ("gain", "bias"))
        else:
            gain, bias = (self.linear(f"{name}.{kind}", condition, bias=False) for kind in ("gain", "bias"))
        return self.standardize(name, x) * (1 + gain)[:, :, None, None] + bias[:, :, None, None]

    def attention(self, name: str, x: Tensor) -> Tensor:
        n, _, height, width = x.shape
        theta, phi, g = (self.conv(f"{name}.{kind}", x, bias=False) for kind in ("theta", "phi", "g"))
        phi, g = functional.max_pool2d(phi, 2).flatten(2), functional.max_pool2d(g, 2).flatten(2)
        weights = torch.softmax(torch.einsum("nci,ncj->nij", theta.flatten(2), phi), dim=-1)
        mixed = torch.einsum("nij,ncj->nci", weights, g).reshape(n, -1, height, width)
        return self[f"{name}.gamma"] * self.conv(f"{name}.o", mixed, bias=False) + x


def is_statistic(name: str) -> bool:
    """Return whether an array of a state dict is changed by passes and not by gradients."""
    return name.rpartition(".")[2] in ("u0", "sv0", "stored_mean", "stored_var")


def generate(
    net: Network, z: Tensor, label: Tensor, *, blocks: int, hierarchical: bool, shared: bool, attention: Sequence[int]
) -> Tensor:
    """Return images of BigGAN's generator; `attention` are the numbers of the blocks that it follows."""
    y = net["shared.weight"][label] if shared else label
    conditions = [y] * blocks
    if hierarchical:
        z, *rest = z.chunk(blocks + 1, dim=1)
        conditions = [torch.cat([y, part], 1) for part in rest]
    h = net.linear("linear", z).reshape(len(z), -1, 4, 4)
    for i, condition in enumerate(conditions):
        name = f"blocks.{i}.0"
        x = functional.interpolate(net.conditional_norm(f"{name}.bn1", h, condition).relu(), scale_factor=2)
        x = net.conditional_norm(f"{name}.bn2", net.conv(f"{name}.conv1", x), condition).relu()
        h = net.conv(f"{name}.conv2", x) + net.conv(f"{name}.conv_sc", functional.interpolate(h, scale_factor=2))
        if i in attention:
            h = net.attention(f"blocks.{i}.1", h)
    return to_image(net, h)


def discriminate(net: Network, x: Tensor, label: Tensor, *, halved: Sequence[bool], attention: Sequence[int]) -> Tensor:
    """Return logits of BigGAN's discriminator."""
    h = x
    for i, half in enumerate(halved):
        name = f"blocks.{i}.0"
        change = net.conv(f"{name}.conv2", net.conv(f"{name}.conv1", h.relu() if i else h).relu())
        if half and i == 0:
            h = functional.avg_pool2d(change, 2) + net.conv(f"{name}.conv_sc", functional.avg_pool2d(h, 2))
        elif half:
            h = functional.avg_pool2d(change, 2) + functional.avg_pool2d(net.conv(f"{name}.conv_sc", h), 2)
        else:
            h = change + (h if change.shape == h.shape else net.conv(f"{name}.conv_sc", h))
        if i in attention:
            h = net.attention(f"blocks.{i}.1", h)
    return to_logits(net, h, label)


def generate_deep(
    net: Network, z: Tensor, label: Tensor, *, widths: Sequence[int], doubled: Sequence[bool], attention: Sequence[int]
) -> Tensor:
    """Return images of BigGAN-deep's generator; `widths` are the channels after each block."""
    condition = torch.cat([net["shared.weight"][label], z], 1)
    h = net.linear("linear", condition).reshape(len(z), -1, 4, 4)
    for i, (width, double) in enumerate(zip(widths, doubled, strict=True)):
        name, factor = f"blocks.{i}.0", 2 if double else 1
        x = net.conv(f"{name}.conv1", net.conditional_norm(f"{name}.bn1", h, condition).relu())
        x = functional.interpolate(net.conditional_norm(f"{name}.bn2", x, condition).relu(), scale_factor=factor)
        x = net.conv(f"{name}.conv2", x)
        x = net.conv(f"{name}.conv3", net.conditional_norm(f"{name}.bn3", x, condition).relu())
        x = net.conv(f"{name}.conv4", net.conditional_norm(f"{name}.bn4", x, condition).relu())
        h = x + functional.interpolate(h[:, :width], scale_factor=factor)
        if i in attention:
            h = net.attention(f"blocks.{i}.1", h)
    return to_image(net, h)


def discriminate_deep(
    net: Network, x: Tensor, label: Tensor, *, halved: Sequence[bool], depth: int, attention: Sequence[int]
) -> Tensor:
    """Return logits of BigGAN-deep's discriminator."""
    h = net.conv("input_conv", x)
    for i, half in enumerate(halved):
        for j in range(depth):
            name, factor = f"blocks.{i}.{j}", 2 if half and j == 0 else 1
            change = net.conv(f"{name}.conv1", h.relu())
            change = net.conv(f"{name}.conv3", net.conv(f"{name}.conv2", change.relu()).relu()).relu()
            change = net.conv(f"{name}.conv4", functional.avg_pool2d(change, factor))
            h = functional.avg_pool2d(h, factor)
            if change.shape[1] > h.shape[1]:
                h = torch.cat([h, net.conv(f"{name}.conv_sc", h)], 1)
            h = h + change
        if i in attention:
            h = net.attention(f"blocks.{i}.{depth}", h)
    return to_logits(net, h, label)


def to_image(net: Network, h: Tensor) -> Tensor:
    gain, bias = (net[f"output_layer.0.{name}"][:, None, None] for name in ("gain", "bias"))
    return net.conv("output_layer.2", (net.standardize("output_layer.0", h) * gain + bias).relu()).tanh()


def to_logits(net: Network, h: Tensor, label: Tensor) -> Tensor:
    features = h.relu().sum(dim=(2, 3))
    return net.linear("linear", features)[:, 0] + (net.normalized("embed")[label] * features).sum(dim=1)
