"""PyTorch copies of the networks of `jaxgen.nn.biggan_networks`, without attention, in training.

Every layer divides its weights by the largest singular value that one step of the power iteration estimates from a
stored vector.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, batch_norm, conv2d, embedding, interpolate, linear

from jaxgen.benchmark.pytorch.torch_networks import bias_of, channels_last, filled
from jaxgen.nn.biggan_networks import DISCRIMINATOR_BLOCKS
from jaxgen.nn.conditional_batch_norm import EPSILON, MOMENTUM
from jaxgen.typing import Params


class Spectral(nn.Module):
    """The stored vector of a layer and its step."""

    u: Tensor

    def __init__(self, stats: Params, epsilon: float) -> None:
        super().__init__()
        self.register_buffer("u", torch.tensor(np.asarray(stats["u"])))
        self.epsilon = epsilon

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weights, whose first axis is that of the outputs, divided by their norm; the vector is stored."""
        matrix = weight.flatten(1)
        with torch.autocast(matrix.device.type, enabled=False):
            with torch.no_grad():
                v = self._normalized(torch.mv(matrix.t(), self.u))
            product = torch.mv(matrix, v)
            u = self._normalized(product.detach())
            self.u.copy_(u)
            return weight / torch.dot(u, product)

    def _normalized(self, x: Tensor) -> Tensor:
        return x / torch.linalg.vector_norm(x).clamp(min=self.epsilon)


class SpectralLinear(nn.Linear):
    """Copy of a `jaxgen.nn.spectral_layers.SpectralDense`."""

    def __init__(self, params: Params, stats: Params, epsilon: float) -> None:
        inputs, outputs = params["kernel"].shape
        super().__init__(inputs, outputs, bias="bias" in params)
        self.normalize = Spectral(stats, epsilon)
        filled(self, weight=np.transpose(params["kernel"]), **bias_of(params))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer."""
        return linear(x, self.normalize(self.weight), self.bias)


class SpectralConv(nn.Conv2d):
    """Copy of a `jaxgen.nn.spectral_layers.SpectralConv`; the columns of its matrix are in PyTorch's order."""

    def __init__(self, params: Params, stats: Params, epsilon: float) -> None:
        size, _, inputs, outputs = params["kernel"].shape
        super().__init__(inputs, outputs, size, padding=size // 2)
        self.normalize = Spectral(stats, epsilon)
        filled(self, weight=np.transpose(params["kernel"], (3, 2, 0, 1)), bias=params["bias"])

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer."""
        return conv2d(x, self.normalize(self.weight), self.bias, padding=self.padding)


class SpectralEmbedding(nn.Embedding):
    """Copy of a `jaxgen.nn.spectral_layers.SpectralEmbed`."""

    def __init__(self, params: Params, stats: Params, epsilon: float) -> None:
        super().__init__(*params["embedding"].shape)
        self.normalize = Spectral(stats, epsilon)
        filled(self, weight=params["embedding"])

    def forward(self, label: Tensor) -> Tensor:
        """Return the vectors of classes."""
        return embedding(label, self.normalize(self.weight))


class RunningNorm(nn.Module):
    """Batch normalization without gain and bias, which records its statistics."""

    mean: Tensor
    var: Tensor

    def __init__(self, stats: Params) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(np.asarray(stats["mean"])))
        self.register_buffer("var", torch.tensor(np.asarray(stats["var"])))

    def forward(self, x: Tensor) -> Tensor:
        """Normalize a batch."""
        return batch_norm(x, self.mean, self.var, None, None, True, 1 - MOMENTUM, EPSILON)


class ConditionalNorm(nn.Module):
    """Copy of a `jaxgen.nn.conditional_batch_norm.ConditionalBatchNorm` whose condition is a vector."""

    def __init__(self, params: Params, spectral: Params, batch_stats: Params, epsilon: float) -> None:
        super().__init__()
        self.normalize = RunningNorm(batch_stats)
        self.gain = SpectralLinear(params["gain"], spectral["gain"], epsilon)
        self.bias = SpectralLinear(params["bias"], spectral["bias"], epsilon)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Normalize a batch."""
        gain, bias = 1 + self.gain(condition).to(x.dtype), self.bias(condition).to(x.dtype)
        return torch.addcmul(bias[:, :, None, None], self.normalize(x), gain[:, :, None, None])


class Generator(nn.Module):
    """Copy of the generator with hierarchical latents and a shared embedding.

    Args:
        variables: Flax variables of the network.
        epsilon: smallest norm of the power iteration.
    """

    def __init__(self, variables: Params, epsilon: float) -> None:
        super().__init__()
        params, spectral, stats = (variables[kind] for kind in ("params", "spectral", "batch_stats"))
        self.shared = filled(nn.Embedding(*params["shared"]["embedding"].shape), weight=params["shared"]["embedding"])
        self.linear = SpectralLinear(params["linear"], spectral["linear"], epsilon)
        names = sorted(name for name in params if name.startswith("blocks_"))
        blocks = (GeneratorBlock(params[name], spectral[name], stats[name], epsilon) for name in names)
        self.blocks = nn.ModuleList(blocks)
        gain = params["output_norm"]
        self.norm = filled(nn.BatchNorm2d(len(gain["gain"]), EPSILON), weight=gain["gain"], bias=gain["bias"])
        of_norm = stats["output_norm"]
        filled(self.norm, running_mean=of_norm["mean"], running_var=of_norm["var"])
        self.output = SpectralConv(params["output"], spectral["output"], epsilon)
        channels = params["blocks_0_0"]["conv1"]["kernel"].shape[2]
        side = round((self.linear.out_features // channels) ** 0.5)
        self.first = (channels, side, side)
        channels_last(self)

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        """Return the images of latents and classes."""
        x = self.output(torch.relu_(self.features(z, label)))
        return torch.tanh(x.to(torch.promote_types(x.dtype, torch.float32)))

    def update_statistics(self, z: Tensor, label: Tensor) -> None:
        """Update the statistics and vectors of all layers as a pass does, without the images."""
        self.features(z, label)
        self.output.normalize(self.output.weight)

    def features(self, z: Tensor, label: Tensor) -> Tensor:
        """Return the last feature map, normalized."""
        y = self.shared(label)
        first, *rest = z.chunk(len(self.blocks) + 1, dim=1)
        x = self.linear(first).unflatten(1, self.first).contiguous(memory_format=torch.channels_last)
        for block, part in zip(self.blocks, rest, strict=True):
            x = block(x, torch.cat([y, part], dim=1))
        features: Tensor = self.norm(x)
        return features


class GeneratorBlock(nn.Module):
    """Copy of a residual block of the generator, which doubles the image."""

    def __init__(self, params: Params, spectral: Params, stats: Params, epsilon: float) -> None:
        super().__init__()
        self.bn1 = ConditionalNorm(params["bn1"], spectral["bn1"], stats["bn1"], epsilon)
        self.bn2 = ConditionalNorm(params["bn2"], spectral["bn2"], stats["bn2"], epsilon)
        self.conv1 = SpectralConv(params["conv1"], spectral["conv1"], epsilon)
        self.conv2 = SpectralConv(params["conv2"], spectral["conv2"], epsilon)
        self.shortcut = SpectralConv(params["shortcut"], spectral["shortcut"], epsilon)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Apply the block."""
        y = self.conv1(interpolate(torch.relu_(self.bn1(x, condition)), scale_factor=2))
        y = self.conv2(torch.relu_(self.bn2(y, condition)))
        return y + self.shortcut(interpolate(x, scale_factor=2))


class Discriminator(nn.Module):
    """Copy of the discriminator with projection.

    Args:
        variables: Flax variables of the network.
        size: height and width of the images.
        epsilon: smallest norm of the power iteration.
    """

    def __init__(self, variables: Params, size: int, epsilon: float) -> None:
        super().__init__()
        params, spectral = variables["params"], variables["spectral"]
        halved = [block.halved for block in DISCRIMINATOR_BLOCKS[size]]
        names = [f"blocks_{i}_0" for i in range(len(halved))]
        self.blocks = nn.ModuleList(
            DiscriminatorBlock(params[name], spectral[name], epsilon, halved=half, first=name == names[0])
            for name, half in zip(names, halved, strict=True)
        )
        self.linear = SpectralLinear(params["linear"], spectral["linear"], epsilon)
        self.embed = SpectralEmbedding(params["embed"], spectral["embed"], epsilon)
        channels_last(self)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        """Return the logits of images of classes."""
        for block in self.blocks:
            x = block(x)
        features = torch.relu(x.to(torch.promote_types(x.dtype, torch.float32))).sum(dim=(2, 3))
        of_all = self.linear(features).to(features.dtype)[:, 0]
        return of_all + (self.embed(label) * features).sum(dim=1)


class DiscriminatorBlock(nn.Module):
    """Copy of a residual block of the discriminator."""

    def __init__(self, params: Params, spectral: Params, epsilon: float, *, halved: bool, first: bool) -> None:
        super().__init__()
        self.halved, self.first = halved, first
        self.conv1 = SpectralConv(params["conv1"], spectral["conv1"], epsilon)
        self.conv2 = SpectralConv(params["conv2"], spectral["conv2"], epsilon)
        has = "shortcut" in params
        self.shortcut = SpectralConv(params["shortcut"], spectral["shortcut"], epsilon) if has else None

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        y = self.conv2(torch.relu_(self.conv1(x if self.first else torch.relu(x))))
        if self.shortcut is None:
            return y + x
        if self.first:
            return self.resize(y) + self.shortcut(self.resize(x))
        return self.resize(y + self.shortcut(x))

    def resize(self, x: Tensor) -> Tensor:
        """Halve the image, or not."""
        return avg_pool2d(x, 2) if self.halved else x
