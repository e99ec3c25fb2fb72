"""The twin of VAE/GAN.

`config` is a `jaxgen.models.vaegan.Config` in which all numbers are given.
"""

from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, mse_loss

from jaxgen.benchmark.pytorch.tensors import channels_first
from jaxgen.benchmark.pytorch.torch_networks import Discriminator, Size, generator
from jaxgen.benchmark.pytorch.twin import Loss, Noise, Simultaneous, TorchPlayer, Twin, normal
from jaxgen.typing import Params


def vaegan(config: Any, size: Size, params: Params, *, compiled: bool) -> Twin:
    """Return the PyTorch side, for images of this height and width."""
    encoder = Discriminator(params["encoder"], size)
    decoder = generator(params["decoder"], size)
    discriminator = Discriminator(params["discriminator"], size)

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
    tensors = partial(channels_first, signed=True)
    return Simultaneous(forward, noise, players, tensors, compiled=compiled)


class RMSProp(torch.optim.Optimizer):
    """RMSProp with eps added under the root, as `jaxgen.models.vaegan` trains; PyTorch adds it to the root.

        nu = decay nu + (1 - decay) g^2,    w -= learning_rate g / sqrt(nu + eps)

    Each operation is one call for all parameters, as in PyTorch's own optimizers.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], *, lr: float, decay: float, eps: float) -> None:
        super().__init__(parameters, {"lr": lr, "decay": decay, "eps": eps})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
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
