"""The fully connected autoencoder 784-400-20, on images of the size of MNIST's."""

from functools import partial

from torch import Tensor, nn

from jaxgen.models.autoencoder import Config, build
from jaxgen.typing import Params
from workloads.images import noise_images, rows
from workloads.networks import mlp
from workloads.twin import Alternating, TorchPlayer, Twin, adam
from workloads.workload import Workload


def mlp_autoencoder(*, width: int = 400, batch_size: int = 128) -> Workload:
    """Return the workload with one hidden layer in the encoder and one in the decoder."""
    config = Config(architecture="mlp", hidden=(width,), latent_dim=20, learning_rate=1e-3)

    def twin(params: Params, *, compiled: bool) -> Twin:
        autoencoder = nn.Sequential(mlp(params["encoder"], nn.ReLU()), mlp(params["decoder"], nn.ReLU()))

        def loss(x: Tensor) -> Tensor:
            return nn.functional.mse_loss(autoencoder(x), x, reduction="sum") / len(x)

        optimizer = adam(autoencoder, learning_rate=config.learning_rate)
        return Alternating([TorchPlayer("autoencoder", loss, autoencoder, optimizer)], compiled=compiled)

    return Workload(
        name="MLP AE",
        build=partial(build, config),
        data=partial(noise_images, (28, 28, 1), examples=10_000),
        tensors=rows,
        batch_size=batch_size,
        twin=twin,
        scaled=mlp_autoencoder,
        steps=300,
        compile_is_faster=True,
    )
