"""Variational autoencoders of images, fully connected and convolutional."""

from functools import partial

import jax
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from jaxgen.models.vae import Config, build
from jaxgen.typing import Array, KeyArray, Params
from workloads.images import Shape, channels_first, noise_images, rows
from workloads.networks import conv_decoder, conv_encoder, mlp
from workloads.twin import Alternating, Noise, TorchPlayer, Twin, adam, normal
from workloads.workload import Draw, Workload


class TorchVAE(nn.Module):
    """Network of the twin."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def forward(self, x: Tensor, epsilon: Tensor) -> Tensor:
        """Return the negative evidence lower bound in nats per example."""
        mean, log_var = self.encoder(x).chunk(2, dim=1)
        z = mean + torch.exp(log_var / 2) * epsilon
        reconstruction = binary_cross_entropy_with_logits(self.decoder(z), x, reduction="sum")
        kl = 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum()
        return (reconstruction + kl) / len(x)


def mlp_vae(*, width: int = 400, batch_size: int = 128) -> Workload:
    """Return the fully connected workload 784-400-20, on images of the size of MNIST's."""
    config = Config(architecture="mlp", hidden=(width,), latent_dim=20, learning_rate=1e-3)

    def twin(params: Params, *, compiled: bool) -> Twin:
        return _twin(config, mlp(params["encoder"], nn.ReLU()), mlp(params["decoder"], nn.ReLU()), compiled=compiled)

    return Workload(
        name="MLP VAE",
        build=partial(build, config),
        data=partial(noise_images, (28, 28, 1), examples=10_000),
        tensors=rows,
        batch_size=batch_size,
        noise=_noise(config),
        twin=twin,
        scaled=mlp_vae,
        seeds=True,
        steps=250,
        compile_is_faster=True,
    )


def conv_vae(name: str, shape: Shape, *, steps: int, width: int = 32, batch_size: int = 128) -> Workload:
    """Return the workload with convolutions of stride 2 in the encoder, and their transposes in the decoder."""
    config = Config(architecture="conv", width=width, latent_dim=20, learning_rate=1e-3)

    def twin(params: Params, *, compiled: bool) -> Twin:
        size = shape[:2]
        return _twin(
            config, conv_encoder(params["encoder"], size), conv_decoder(params["decoder"], size), compiled=compiled
        )

    return Workload(
        name=name,
        build=partial(build, config),
        data=partial(noise_images, shape),
        tensors=channels_first,
        batch_size=batch_size,
        noise=_noise(config),
        twin=twin,
        scaled=partial(conv_vae, name, shape, steps=steps),
        convolutional=True,
        steps=steps,
    )


def _twin(config: Config, encoder: nn.Module, decoder: nn.Module, *, compiled: bool) -> Twin:
    def noise(x: Tensor) -> Noise:
        return (normal(x, config.latent_dim),)

    vae = TorchVAE(encoder, decoder)
    optimizer = adam(vae, learning_rate=config.learning_rate)
    return Alternating([TorchPlayer("vae", vae, vae, optimizer, noise)], compiled=compiled)


def _noise(config: Config) -> dict[str, Draw]:
    """The noise as `jaxgen.models.vae` draws it."""

    def epsilon(key: KeyArray, n: int) -> tuple[Array, ...]:
        return (jax.random.normal(key, (n, config.latent_dim)),)

    return {"vae": epsilon}
