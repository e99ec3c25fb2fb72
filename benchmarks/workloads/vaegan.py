"""VAE/GAN (Larsen et al. 2016, arXiv:1512.09300): three players that update at once, from one forward pass."""

from collections.abc import Iterable
from functools import partial

import jax
import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, mse_loss

from jaxgen.models.vaegan import Config, build
from jaxgen.typing import Array, KeyArray, Params
from workloads.images import Shape, channels_first, noise_images
from workloads.networks import Discriminator, generator
from workloads.twin import Loss, Noise, Simultaneous, TorchPlayer, Twin, normal
from workloads.workload import Workload


def vaegan(name: str, shape: Shape, *, steps: int, width: int = 64, batch_size: int = 64) -> Workload:
    """Return the workload with DCGAN's networks; the encoder is a discriminator with more outputs."""
    config = Config(width=width, latent_dim=20, gamma=1e-3, learning_rate=3e-4)

    def epsilons(key: KeyArray, n: int) -> tuple[Array, ...]:
        return tuple(jax.random.normal(half, (n, config.latent_dim)) for half in jax.random.split(key))

    return Workload(
        name=name,
        build=partial(build, config),
        data=partial(noise_images, shape),
        tensors=partial(channels_first, signed=True),
        batch_size=batch_size,
        noise=dict.fromkeys(("encoder", "decoder", "discriminator"), epsilons),
        twin=partial(twin, config, shape),
        scaled=partial(vaegan, name, shape, steps=steps),
        convolutional=True,
        steps=steps,
        comparable_steps=1,
    )


def twin(config: Config, shape: Shape, params: Params, *, compiled: bool) -> Twin:
    """Return the PyTorch side."""
    encoder = Discriminator(params["encoder"], shape[:2])
    decoder = generator(params["decoder"], shape[:2])
    discriminator = Discriminator(params["discriminator"], shape[:2])

    def forward(x: Tensor, epsilon: Tensor, z_prior: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return L_prior, L_like and L_GAN, means over the batch."""
        mean, log_var = encoder(x).chunk(2, dim=1)
        reconstruction = decoder(mean + torch.exp(log_var / 2) * epsilon)
        # Each batch is normalized by its own statistics.
        features = discriminator.hidden(x)
        reconstructed_features = discriminator.hidden(reconstruction)
        sampled_features = discriminator.hidden(decoder(z_prior))
        prior = 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum() / len(x)
        like = 0.5 * mse_loss(reconstructed_features, features, reduction="sum") / len(x)
        adversarial = (
            logsigmoid(discriminator.output(features))
            + logsigmoid(-discriminator.output(reconstructed_features))
            + logsigmoid(-discriminator.output(sampled_features))
        ).mean()
        return prior, like, adversarial

    def noise(x: Tensor) -> Noise:
        return normal(x, config.latent_dim), normal(x, config.latent_dim)

    def player(name: str, network: nn.Module, loss: Loss) -> TorchPlayer:
        rmsprop = RMSProp(network.parameters(), lr=config.learning_rate, decay=config.b2, eps=config.eps)
        return TorchPlayer(name, loss, network, rmsprop)

    players = [
        player("encoder", encoder, lambda prior, like, adversarial: prior + like),
        player("decoder", decoder, lambda prior, like, adversarial: config.gamma * like + adversarial),
        player("discriminator", discriminator, lambda prior, like, adversarial: -adversarial),
    ]
    return Simultaneous(forward, noise, players, compiled=compiled)


class RMSProp(torch.optim.Optimizer):
    """RMSProp with eps added under the root, as `jaxgen.models.vaegan` trains; PyTorch adds it to the root.

        nu = decay nu + (1 - decay) g^2,    w -= learning_rate g / sqrt(nu + eps)

    Each operation is one call for all parameters, as in PyTorch's own optimizers.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], *, lr: float, decay: float, eps: float) -> None:
        super().__init__(parameters, {"lr": lr, "decay": decay, "eps": eps})

    @torch.no_grad()
    def step(self) -> None:
        """Update all parameters that have a gradient."""
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            gradients = [parameter.grad for parameter in parameters]
            squares = [self._mean_square(parameter) for parameter in parameters]
            torch._foreach_mul_(squares, group["decay"])
            torch._foreach_addcmul_(squares, gradients, gradients, value=1 - group["decay"])
            roots = torch._foreach_add(squares, group["eps"])
            torch._foreach_sqrt_(roots)
            torch._foreach_addcdiv_(parameters, gradients, roots, value=-group["lr"])

    def _mean_square(self, parameter: nn.Parameter) -> Tensor:
        state = self.state[parameter]
        if not state:
            state["mean_square"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
        return state["mean_square"]
